package attack_test

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// refusePayloads sends tokens with a good signature and a changed payload to the API of tickets.
func (s *suite) refusePayloads(t *testing.T, reasons map[string]map[string]object) {
	t.Helper()
	for reason, payloads := range reasons {
		for name, change := range payloads {
			t.Run(name, func(t *testing.T) {
				s.refuse(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, change))), refused(401, reason))
			})
		}
	}
}

// claims attacks what a token with a good signature says.
func (s *suite) claims(t *testing.T) {
	t.Run("issuer", s.issuerClaims)
	t.Run("audience", s.audienceClaims)
	t.Run("times", s.timeClaims)
	t.Run("payload", s.payloads)
	t.Run("order of checks", s.orderOfChecks)
	t.Run("identity", s.identityClaims)
	t.Run("the same token at a stricter API", s.stricterAPI)
}

func (s *suite) issuerClaims(t *testing.T) {
	url := s.alpha.url
	s.refusePayloads(t, map[string]map[string]object{
		"issuer_missing": {"iss missing": {"iss": nil}, "only ISS": {"iss": nil, "ISS": url}, "only issuer": {"iss": nil, "issuer": url}},
		"claim_invalid": {
			"iss array": {"iss": []string{url}}, "iss array of two": {"iss": []string{"https://evil.test", url}}, "iss number": {"iss": 1}, "iss null": {"iss": raw("null")},
			"iss object": {"iss": object{"url": url}}, "iss true": {"iss": true},
		},
		"issuer_unknown": {
			"iss empty": {"iss": ""}, "iss with a slash": {"iss": url + "/"}, "iss with a space": {"iss": url + " "}, "iss in capitals": {"iss": strings.ToUpper(url)},
			"iss with a zero byte": {"iss": url + "\x00"}, "iss cut": {"iss": url[:len(url)-1]}, "iss with more": {"iss": url + ".evil.test"}, "iss with user": {"iss": strings.Replace(url, "http://", "http://x@", 1)},
			"iss with https": {"iss": strings.Replace(url, "http://", "https://", 1)}, "iss with other letters": {"iss": strings.Replace(url, "http", "hｔtp", 1)}, "iss by name": {"iss": "alpha"},
			"iss with a fragment": {"iss": url + "#"}, "iss pattern": {"iss": "*"}, "iss injection": {"iss": "' OR '1'='1"}, "iss long": {"iss": strings.Repeat("x", 9000)},
		},
	})
}

func (s *suite) audienceClaims(t *testing.T) {
	s.refusePayloads(t, map[string]map[string]object{
		"audience_missing": {"aud missing": {"aud": nil}, "aud of nobody": {"aud": []string{}}, "only AUD": {"aud": nil, "AUD": "tickets"}, "only azp": {"aud": nil, "azp": "tickets"}},
		"audience_mismatch": {
			"aud of another API": {"aud": "orders"}, "aud empty": {"aud": ""}, "aud a prefix": {"aud": "ticket"}, "aud with more": {"aud": "tickets2"}, "aud in capitals": {"aud": "Tickets"},
			"aud list in a text": {"aud": "orders tickets"}, "aud with a comma": {"aud": "orders,tickets"}, "aud pattern": {"aud": "*"}, "aud with a space": {"aud": "tickets "}, "aud others": {"aud": []string{"orders", "tickets2"}},
			"aud with a zero byte": {"aud": "tickets\x00"}, "aud JSON in a text": {"aud": `["tickets"]`},
		},
		"claim_invalid": {
			"aud number": {"aud": 1}, "aud null": {"aud": raw("null")}, "aud object": {"aud": object{"tickets": true}}, "aud true": {"aud": true}, "aud nested": {"aud": raw(`[["tickets"]]`)},
			"aud with a number beside": {"aud": raw(`["tickets",1]`)}, "aud with null beside": {"aud": raw(`["tickets",null]`)},
		},
	})
	t.Run("aud array that holds the right one passes", func(t *testing.T) {
		s.forwarded(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"aud": []string{"orders", "tickets"}}))))
	})
	t.Run("token of another API of the issuer", func(t *testing.T) {
		s.refuse(t, s.get("/orders", bearer(s.good())), refused(401, "audience_mismatch"))
		s.forwarded(t, s.get("/orders", bearer(s.token(s.alpha, jose.RS256, nil, object{"aud": "orders"}))))
	})
}

func (s *suite) timeClaims(t *testing.T) {
	now := time.Now().Unix()
	s.refusePayloads(t, map[string]map[string]object{
		"expiry_missing": {"exp missing": {"exp": nil}, "only EXP": {"exp": nil, "EXP": now + 60}, "only expires_in": {"exp": nil, "expires_in": 3600}},
		"token_expired": {
			"exp a second ago": {"exp": now - 1}, "exp now": {"exp": now}, "exp zero": {"exp": 0}, "exp negative": {"exp": -1}, "exp of long ago": {"exp": raw("-62135596800")}, "exp a fraction ago": {"exp": raw(fmt.Sprintf("%d.5", now-1))},
			"exp with exponent": {"exp": raw("1.7e9")}, "exp tiny": {"exp": raw("1e-400")}, "exp minus zero": {"exp": raw("-0")},
		},
		"token_time_invalid": {
			"exp text": {"exp": fmt.Sprint(now + 60)}, "exp empty text": {"exp": ""}, "exp date": {"exp": "2099-01-01T00:00:00Z"}, "exp null": {"exp": raw("null")}, "exp true": {"exp": true}, "exp array": {"exp": []int64{now + 60}},
			"exp object": {"exp": object{"t": now + 60}}, "exp 1e400": {"exp": raw("1e400")}, "exp -1e400": {"exp": raw("-1e400")}, "exp of 400 digits": {"exp": raw(strings.Repeat("9", 400))}, "exp above 63 bits": {"exp": raw("9223372036854775808")},
			"exp in milliseconds": {"exp": raw(fmt.Sprintf("%d000", now+60)), "iat": raw(fmt.Sprintf("%q", "x"))}, "nbf text": {"nbf": fmt.Sprint(now - 60)}, "nbf null": {"nbf": raw("null")}, "nbf 1e400": {"nbf": raw("1e400")},
			"iat text": {"iat": fmt.Sprint(now - 60)}, "iat null": {"iat": raw("null")}, "iat array": {"iat": []int64{now}},
		},
		"token_payload_invalid": {
			"exp Infinity": {"exp": raw("Infinity")}, "exp NaN": {"exp": raw("NaN")}, "exp hexadecimal": {"exp": raw("0xffffffff")}, "exp with a zero before": {"exp": raw(fmt.Sprintf("0%d", now+60))}, "exp with a plus": {"exp": raw(fmt.Sprintf("+%d", now+60))},
			"exp without fraction": {"exp": raw(fmt.Sprintf("%d.", now+60))}, "exp with underscores": {"exp": raw("9_999_999_999")}, "exp with an empty exponent": {"exp": raw("1e")},
		},
		"token_not_yet_valid":    {"nbf in an hour": {"nbf": now + 3600}, "nbf in a minute": {"nbf": now + 60}, "nbf far": {"nbf": raw("253402300800")}},
		"token_issued_in_future": {"iat in an hour": {"iat": now + 3600}},
	})
	for name, exp := range map[string]string{"a fraction ahead": fmt.Sprintf("%d.25", now+60), "with exponent": "4.1e9"} {
		t.Run("exp "+name+" passes", func(t *testing.T) {
			s.forwarded(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"exp": raw(exp)}))))
		})
	}
}

// payloads are texts with a good signature that no two readers need understand alike.
func (s *suite) payloads(t *testing.T) {
	key := s.alpha.keys[jose.RS256]
	rest := strings.TrimPrefix(s.alpha.goodClaims().with(object{"sub": nil}).text(), "{")
	whole := s.alpha.goodClaims().text()
	for name, payload := range map[string]string{
		"sub twice":                     `{"sub":"` + subject + `","sub":"root",` + rest,
		"sub twice by escape":           `{"sub":"` + subject + `","\u0073ub":"root",` + rest,
		"sub twice, the same":           `{"sub":"root","sub":"root",` + rest,
		"iss twice":                     `{"iss":"https://evil.test",` + rest,
		"aud twice":                     `{"aud":"orders",` + rest,
		"exp twice":                     `{"exp":1,` + rest,
		"members twice deep inside":     `{"x":[{"y":{"z":1,"z":2}}],` + rest,
		"roles twice":                   `{"realm_access":{"roles":["admin"]},` + rest,
		"second value behind":           whole + whole,
		"second value before":           `{}` + whole,
		"comma behind":                  whole + ",",
		"text behind":                   whole + "x",
		"zero byte behind":              whole + "\x00",
		"not UTF-8":                     "{\"x\":\"\xff\"," + rest,
		"overlong UTF-8":                "{\"x\":\"\xc0\xaf\"," + rest,
		"half a surrogate":              `{"x":"\ud800",` + rest,
		"half a surrogate in UTF-8":     "{\"x\":\"\xed\xa0\x80\"," + rest,
		"UTF-16":                        "\xff\xfe{\x00}\x00",
		"byte order mark":               "\ufeff" + whole,
		"null":                          "null",
		"array":                         "[" + whole + "]",
		"text":                          `"` + "x" + `"`,
		"number":                        "1",
		"true":                          "true",
		"nothing":                       "",
		"spaces":                        "   ",
		"deep arrays":                   `{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "," + rest,
		"deep objects":                  `{"x":` + strings.Repeat(`{"x":`, 1500) + "1" + strings.Repeat("}", 1500) + "," + rest,
		"deep and not closed":           `{"x":` + strings.Repeat("[", 9000),
		"control character in a text":   "{\"x\":\"a\nb\"," + rest,
		"single quotes":                 "{'sub':'root'," + rest,
		"name without quotes":           "{sub:1," + rest,
		"comment":                       "{/*x*/" + rest,
		"trailing comma":                strings.TrimSuffix(whole, "}") + ",}",
		"bad escape":                    `{"x":"\q",` + rest,
		"not closed":                    strings.TrimSuffix(whole, "}"),
		"line separator between values": "{\u2028" + rest,
	} {
		t.Run(name, func(t *testing.T) {
			s.refuse(t, s.get("/tickets", bearer(s.sign(key, goodHeader(key).text(), payload))), refused(401, "token_payload_invalid"))
		})
	}
}

// orderOfChecks: what a forged token says decides nothing about the answer, so that a forger learns nothing and a bad signature is never called something else.
func (s *suite) orderOfChecks(t *testing.T) {
	now := time.Now().Unix()
	for name, change := range map[string]object{
		"expired": {"exp": now - 60}, "without exp": {"exp": nil}, "not yet valid": {"nbf": now + 60}, "for another audience": {"aud": "orders"}, "without audience": {"aud": nil}, "with a bad date": {"exp": "x"}, "without sub": {"sub": nil},
	} {
		t.Run(name+" and a bad signature is a bad signature", func(t *testing.T) {
			header, payload, _ := split(s.token(s.alpha, jose.RS256, nil, change))
			_, _, other := split(s.good())
			s.refuse(t, s.get("/tickets", bearer(header+"."+payload+"."+other)), refused(401, "signature_invalid"))
		})
	}
}

// identityClaims are tokens whose claims try to become more than one header, or another's.
func (s *suite) identityClaims(t *testing.T) {
	t.Run("SUB beside sub is another claim", func(t *testing.T) {
		r := s.forwarded(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"SUB": "root", "Sub": "root", "ſub": "root"}))))
		r.sees(t, "X-User", subject)
	})
	t.Run("SUB without sub is no sub", func(t *testing.T) {
		r := s.forwarded(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"sub": nil, "SUB": "root"})), "X-User: root"))
		r.sees(t, "X-User")
	})
	t.Run("a claim whose name is a path is not the path", func(t *testing.T) {
		r := s.forwarded(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"realm_access": nil, "realm_access.roles": []string{"admin"}}))))
		r.sees(t, "X-Role")
	})
	for name, sub := range map[string]string{
		"line break": "a\r\nX-Group: admin", "line feed": "a\nX-Group: admin", "carriage return": "a\rX-Group: admin", "zero byte": "a\x00b", "delete": "a\x7f", "next line": "a\u0085b", "line separator": "a\u2028X-Group: admin",
	} {
		t.Run("subject with a "+name, func(t *testing.T) {
			answers := s.send(t, "web", s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"sub": sub}))))
			if len(answers) == 1 && answers[0].StatusCode == 200 { // characters beyond ASCII may be written in another form
				r := s.reached(t, answers)
				r.sees(t, "X-Group", group)
				return
			}
			s.untouched(t)
			check(t, answers[0], refused(403, "claim_not_forwardable"))
		})
	}
	for name, sub := range map[string]string{"number": "1", "object": `{"id":"root"}`, "array": `["root"]`, "null": "null", "true": "true"} {
		t.Run("subject that is a "+name, func(t *testing.T) {
			s.refuse(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"sub": raw(sub)}))), refused(401, "claim_invalid"))
		})
	}
	t.Run("claims of another type than the rule's", func(t *testing.T) {
		for _, grp := range []string{`["administrators"]x`, `{"administrators":true}`, `[["administrators"]]`, `"Administrators"`, `"administrators "`, `"administrators\u0000"`, `null`, `true`, `1`} {
			grp = strings.TrimSuffix(grp, "x")
			if strings.HasPrefix(grp, `["`) {
				continue // Equals is about one text; OneOf is about lists
			}
			s.refuse(t, s.get("/administrators", bearer(s.token(s.alpha, jose.RS256, nil, object{"grp": raw(grp)}))), refused(403, "claims_refused"))
		}
	})
}

// stricterAPI: that a token was good elsewhere, a moment ago, opens nothing.
func (s *suite) stricterAPI(t *testing.T) {
	token := s.good()
	expired := s.token(s.alpha, jose.RS256, nil, object{"exp": time.Now().Unix() + 2})
	s.forwarded(t, s.get("/tickets", bearer(token)))
	s.forwarded(t, s.get("/tickets", bearer(expired)))
	for range 3 {
		s.refuse(t, s.get("/tickets/admin", bearer(token)), refused(403, "scope_insufficient"))
		s.refuse(t, s.get("/administrators", bearer(token)), refused(403, "claims_refused"))
		s.refuse(t, s.get("/orders", bearer(token)), refused(401, "audience_mismatch"))
		s.refuse(t, s.get("/strict", bearer(token)), refused(401, "token_type_mismatch"))
		s.refuse(t, s.get("/beta", bearer(token)), refused(401, "issuer_unknown"))
		s.forwarded(t, s.get("/tickets", bearer(token)))
	}
	header, payload, signature := split(token)
	s.refuse(t, s.get("/tickets", bearer(header+"."+b64(s.alpha.goodClaims().with(object{"sub": "root"}).text())+"."+signature)), refused(401, "signature_invalid"))
	s.refuse(t, s.get("/tickets", bearer(header+"."+payload+"."+signature[:len(signature)-6])), refused(401, "signature_invalid"))
	t.Run("a token that was good until it expired", func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(3 * time.Second))) // the clock itself is what is waited for
		s.refuse(t, s.get("/tickets", bearer(expired)), refused(401, "token_expired"))
	})
	for _, scope := range []any{nil, "tickets:read", "tickets:administrate", "xtickets:admin", "tickets:admin:x", "Tickets:admin", "tickets:admin,tickets:read", "tickets:admin\ttickets:read", "tickets:admin\u00a0x",
		object{"tickets:admin": true}, true, []any{[]string{"tickets:admin"}}} {
		t.Run(fmt.Sprintf("scope %q", scope), func(t *testing.T) {
			s.refuse(t, s.get("/tickets/admin", bearer(s.token(s.alpha, jose.RS256, nil, object{"scope": scope}))), refused(403, "scope_insufficient"))
		})
	}
	t.Run("the scope itself passes", func(t *testing.T) {
		s.forwarded(t, s.get("/tickets/admin", bearer(s.token(s.alpha, jose.RS256, nil, object{"scope": "tickets:read tickets:admin"}))))
	})
}

// malleability is the table of ways to write a token anew without the key.
func (s *suite) malleability(t *testing.T) {
	key := s.alpha.keys[jose.ES256]
	whole := s.token(s.alpha, jose.ES256, nil, nil)
	header, payload, signature := split(whole)
	good, _ := base64.RawURLEncoding.DecodeString(signature)
	t.Run("s replaced by n-s passes, as the standard has it", func(t *testing.T) {
		n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
		other := new(big.Int).Sub(n, new(big.Int).SetBytes(good[32:]))
		r := s.forwarded(t, s.get("/tickets", bearer(s.leaks.remember(header+"."+payload+"."+b64(string(good[:32])+string(other.FillBytes(make([]byte, 32))))))))
		r.sees(t, "X-User", subject)
	})
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, whole[len(whole)-1])
	unused := whole[:len(whole)-1] + alphabet[last|1:last|1+1]
	claims := strings.TrimPrefix(s.alpha.goodClaims().with(object{"sub": nil}).text(), "{")
	sign := func(header, payload string) string { return s.sign(key, header, payload) }
	const head = `"alg":"ES256","kid":"key-es256"`
	s.refuseAll(t, []forgery{
		{"unused bits of the signature set", unused, "token_malformed"},
		{"padding", whole + "==", "token_malformed"},
		{"padding in the header", strings.Replace(whole, ".", "=.", 1), "token_malformed"},
		{"alg twice", sign(`{"alg":"ES256","alg":"ES256","kid":"key-es256"}`, s.alpha.goodClaims().text()), "token_header_invalid"},
		{"sub twice", sign(`{`+head+`}`, `{"sub":"a","sub":"b",`+claims), "token_payload_invalid"},
		{"unknown crit", sign(`{`+head+`,"crit":["x"],"x":1}`, s.alpha.goodClaims().text()), "token_critical_header"},
		{"crit empty", sign(`{`+head+`,"crit":[]}`, s.alpha.goodClaims().text()), "token_critical_header"},
		{"b64 false without crit", sign(`{`+head+`,"b64":false}`, s.alpha.goodClaims().text()), "token_header_invalid"},
		{"second JSON value behind the payload", sign(`{`+head+`}`, s.alpha.goodClaims().text()+`{"sub":"root"}`), "token_payload_invalid"},
		{"payload that is not UTF-8", sign(`{`+head+`}`, "{\"sub\":\"\xff\xfe\","+claims), "token_payload_invalid"},
		{"payload null", sign(`{`+head+`}`, "null"), "token_payload_invalid"},
		{"payload array", sign(`{`+head+`}`, "["+s.alpha.goodClaims().text()+"]"), "token_payload_invalid"},
		{"exp text", sign(`{`+head+`}`, s.alpha.goodClaims().with(object{"exp": "9999999999"}).text()), "token_time_invalid"},
		{"exp 1e400", sign(`{`+head+`}`, s.alpha.goodClaims().with(object{"exp": raw("1e400")}).text()), "token_time_invalid"},
		{"byte order mark", sign(`{`+head+`}`, "\ufeff"+s.alpha.goodClaims().text()), "token_payload_invalid"},
	})
	// Line breaks and spaces cannot be in a header field; in a query and a form they can.
	for name, token := range map[string]string{
		"line feed in the signature": header + "." + payload + "." + signature[:40] + "%0A" + signature[40:], "CRLF at the end": whole + "%0D%0A", "line feed at the end": whole + "%0A",
		"space before": "%20" + whole, "space behind": whole + "%20", "plus before": "+" + whole, "tab before": "%09" + whole, "zero byte behind": whole + "%00", "percent-encoded padding": whole + "%3D%3D",
	} {
		t.Run(name+" in a query", func(t *testing.T) {
			s.refuse(t, message("GET", "/?jwt="+token, "places.test"), refused(401, "token_malformed"))
		})
		t.Run(name+" in a form", func(t *testing.T) {
			s.refuse(t, formRequest("jwt="+token), refused(401, "token_malformed"))
		})
	}
	t.Run("space before in a header is none", func(t *testing.T) {
		s.forwarded(t, s.get("/tickets", "Authorization:   Bearer  "+whole+" "))
	})
	for name, value := range map[string]string{"tab": "Bearer\t" + whole, "two tokens": "Bearer " + whole + " " + whole, "line feed": "Bearer " + header + "." + payload + "." + signature[:40] + "\t" + signature[40:]} {
		t.Run(name+" in a header", func(t *testing.T) {
			answers := s.send(t, "web", s.get("/tickets", "Authorization: "+value))
			s.untouched(t)
			if answers[0].StatusCode != 401 {
				t.Errorf("status %d", answers[0].StatusCode)
			}
		})
	}
}
