package attack_test

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// goodTokens shows that the attacks do not fail for another reason: what they are made from passes.
func (s *suite) goodTokens(t *testing.T) {
	for _, from := range []*issuer{s.alpha, s.beta, s.static} {
		for alg := range from.keys {
			t.Run(from.url+" "+alg.String(), func(t *testing.T) {
				r := s.forwarded(t, s.get("/tickets", bearer(s.token(from, alg, nil, nil))))
				r.sees(t, "X-User", subject)
				r.sees(t, "X-Group", group)
				r.sees(t, "X-Role", role)
				r.sees(t, "Authorization")
			})
		}
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		t.Run(alg, func(t *testing.T) { s.forwarded(t, s.get("/tickets", bearer(s.legacy(alg, nil, nil)))) })
	}
	for _, path := range []string{"/strict", "/beta"} {
		t.Run(path, func(t *testing.T) {
			from := map[string]*issuer{"/strict": s.alpha, "/beta": s.beta}[path]
			s.forwarded(t, s.get(path, bearer(s.token(from, jose.RS256, object{"typ": "at+jwt"}, nil))))
		})
	}
}

// hmacToken makes a token with a MAC.
func (s *suite) hmacToken(alg string, secret []byte, header, payload string) string {
	hashes := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	input := b64(header) + "." + b64(payload)
	mac := hmac.New(hashes[alg], secret)
	mac.Write([]byte(input))
	return s.leaks.remember(input + "." + b64(string(mac.Sum(nil))))
}

// legacy is a token of the issuer with the shared secret.
func (s *suite) legacy(alg string, header, payload object) string {
	claims := s.alpha.goodClaims().with(object{"iss": "https://legacy.test"}).with(payload)
	return s.hmacToken(alg, []byte(s.legacySecret), object{"alg": alg}.with(header).text(), claims.text())
}

// forgery is a token that must be refused.
type forgery struct {
	name, token, reason string
}

// refuseAll sends each forgery to the API of tickets.
func (s *suite) refuseAll(t *testing.T, forgeries []forgery) {
	t.Helper()
	for _, f := range forgeries {
		t.Run(f.name, func(t *testing.T) {
			s.refuse(t, s.get("/tickets", bearer(s.leaks.remember(f.token))), refused(401, f.reason))
		})
	}
}

// tokens attacks the form of the token, its header and its signature.
func (s *suite) tokens(t *testing.T) {
	t.Run("alg none", s.algNone)
	t.Run("public key taken for a shared secret", s.keyConfusion)
	t.Run("the token brings its own key", s.headerKeys)
	t.Run("other algorithm than the key's", s.algorithmMix)
	t.Run("signature of ECDSA", s.ecdsaSignatures)
	t.Run("signature of RSA", s.rsaSignatures)
	t.Run("other signatures", s.otherSignatures)
	t.Run("form", s.forms)
	t.Run("header members", s.headerMembers)
	t.Run("huge", s.hugeTokens)
	t.Run("type confusion", s.types)
}

func (s *suite) algNone(t *testing.T) {
	header, payload, signature := split(s.good())
	for _, none := range []string{"none", "None", "NONE", "nOnE", "noNE", " none", "none ", "nonе", "\\u006eone", "null", "", "0", "plain", "None\\u0000"} {
		head := b64(`{"alg":"` + none + `","typ":"JWT"}`)
		s.refuseAll(t, []forgery{
			{none + " and the signature of another", head + "." + payload + "." + signature, "algorithm_unsupported"},
			{none + " and any signature", head + "." + payload + ".AAAA", "algorithm_unsupported"},
			{none + " and two parts", head + "." + payload, "token_malformed"},
		})
		t.Run(none+" and no signature", func(t *testing.T) {
			s.refuseOneOf(t, head+"."+payload+".", "algorithm_unsupported", "token_malformed")
		})
	}
	s.refuseAll(t, []forgery{
		{"alg null", b64(`{"alg":null}`) + "." + payload + "." + signature, "token_header_invalid"},
		{"alg missing", b64(`{"typ":"JWT"}`) + "." + payload + "." + signature, "token_header_invalid"},
		{"alg false", b64(`{"alg":false}`) + "." + payload + "." + signature, "token_header_invalid"},
		{"alg array", b64(`{"alg":["RS256"]}`) + "." + payload + "." + signature, "token_header_invalid"},
		{"alg in lower case", b64(`{"alg":"rs256"}`) + "." + payload + "." + signature, "algorithm_unsupported"},
		{"alg none after a good one", b64(`{"alg":"RS256","kid":"key-rs256","alg":"none"}`) + "." + payload + "." + signature, "token_header_invalid"},
		{"alg none beside ALG", b64(`{"alg":"none","ALG":"RS256","kid":"key-rs256"}`) + "." + payload + "." + signature, "algorithm_unsupported"},
		{"only ALG", b64(`{"ALG":"RS256","kid":"key-rs256"}`) + "." + payload + "." + signature, "token_header_invalid"},
		{"signature cut off", header + "." + payload + ".", "token_malformed"},
		{"signature and dot cut off", header + "." + payload, "token_malformed"},
	})
}

// refuseOneOf is for forgeries that are wrong in two ways, of which either may be found first.
func (s *suite) refuseOneOf(t *testing.T, token string, reasons ...string) {
	t.Helper()
	answers := s.send(t, "web", s.get("/tickets", bearer(s.leaks.remember(token))))
	s.untouched(t)
	var p problem
	if len(answers) != 1 || json.Unmarshal(answers[0].body, &p) != nil {
		t.Fatalf("answers %v", answers)
	}
	for _, reason := range reasons {
		if p.Reason == reason {
			check(t, answers[0], refused(401, reason))
			return
		}
	}
	t.Errorf("status %d, reason %s, want one of %q", answers[0].StatusCode, p.Reason, reasons)
}

// keyConfusion signs HMACs with everything that can be known of a public key: for the issuer itself, and for the issuer whose tokens do have HMACs.
func (s *suite) keyConfusion(t *testing.T) {
	for _, from := range []struct {
		name string
		*issuer
		alg jose.Algorithm
	}{{"RSA from a key set", s.alpha, jose.RS256}, {"RSA from the configuration", s.static, jose.RS256}, {"EC from a key set", s.alpha, jose.ES256}} {
		key := from.keys[from.alg]
		for form, secret := range publicForms(t, key) {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				header := object{"alg": alg, "kid": key.KeyID()}
				s.refuseAll(t, []forgery{
					{from.name + " as " + form + " with " + alg, s.hmacToken(alg, secret, header.text(), from.goodClaims().text()), "algorithm_not_allowed"},
					{from.name + " as " + form + " with " + alg + " for the issuer of HMACs",
						s.hmacToken(alg, secret, header.text(), from.goodClaims().with(object{"iss": "https://legacy.test"}).text()), "signature_invalid"},
				})
			}
		}
	}
	for name, secret := range map[string]string{"no secret": "", "a zero byte": "\x00", "its own kid": "key-rs256", "the issuer's name": "https://legacy.test", "null": "null"} {
		t.Run("HMAC with "+name, func(t *testing.T) {
			token := s.hmacToken("HS256", []byte(secret), `{"alg":"HS256"}`, s.alpha.goodClaims().with(object{"iss": "https://legacy.test"}).text())
			s.refuse(t, s.get("/tickets", bearer(token)), refused(401, "signature_invalid"))
		})
	}
	whole := s.legacy("HS256", nil, nil)
	header, payload, signature := split(whole)
	mac, _ := base64.RawURLEncoding.DecodeString(signature)
	s.refuseAll(t, []forgery{
		{"HMAC cut to half", header + "." + payload + "." + b64(string(mac[:16])), "signature_invalid"},
		{"HMAC cut to one byte", header + "." + payload + "." + b64(string(mac[:1])), "signature_invalid"},
		{"HMAC with a byte more", header + "." + payload + "." + b64(string(mac)+"\x00"), "signature_invalid"},
		{"HMAC of another hash", s.hmacToken("HS512", []byte(s.legacySecret), `{"alg":"HS256"}`, s.alpha.goodClaims().with(object{"iss": "https://legacy.test"}).text()), "signature_invalid"},
	})
}

// publicForms are the ways in which a public key is found on disks and in key sets.
func publicForms(t *testing.T, key *jose.SigningKey) map[string][]byte {
	t.Helper()
	text := publicPEM(t, key)
	block, _ := pem.Decode([]byte(text))
	jwk, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	base := base64.StdEncoding.EncodeToString(block.Bytes)
	forms := map[string][]byte{
		"PEM": []byte(text), "PEM without line end": []byte(strings.TrimSuffix(text, "\n")), "PEM with CRLF": []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		"PEM with spaces for lines": []byte(strings.ReplaceAll(text, "\n", " ")), "PEM twice": []byte(text + text),
		"DER": block.Bytes, "base64": []byte(base), "base64 with line end": []byte(base + "\n"), "base64url": []byte(base64.RawURLEncoding.EncodeToString(block.Bytes)),
		"JWK": jwk, "key set": []byte(`{"keys":[` + string(jwk) + `]}`), "kid": []byte(key.KeyID()), "thumbprint": []byte(key.Public().Thumbprint()),
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if public, ok := public.(*rsa.PublicKey); ok {
		der := x509.MarshalPKCS1PublicKey(public)
		forms["PKCS#1 DER"] = der
		forms["PKCS#1 PEM"] = pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der})
		forms["modulus"] = public.N.Bytes()
		forms["modulus in base64url"] = []byte(b64(string(public.N.Bytes())))
	}
	return forms
}

// headerKeys are tokens that say themselves by which key they are to be judged. The attacker's server counts who comes for it.
func (s *suite) headerKeys(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256} {
		key := s.attacker.keys[alg]
		jwk, err := json.Marshal(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		chain := []string{base64.StdEncoding.EncodeToString(s.client.Certificate[0])}
		evil := s.attacker.url
		for name, header := range map[string]object{
			"jwk":                           {"jwk": raw(string(jwk))},
			"jku":                           {"jku": evil + "/jku"},
			"jku with the issuer before @":  {"jku": strings.Replace(s.alpha.url, "http://", "http://issuer@", 1)},
			"jku with the attacker after @": {"jku": "http://" + strings.TrimPrefix(s.alpha.url, "http://") + "@" + strings.TrimPrefix(evil, "http://") + "/jku"},
			"jku to metadata":               {"jku": "http://169.254.169.254/latest/meta-data/"},
			"jku to a file":                 {"jku": "file:///etc/passwd"},
			"x5u":                           {"x5u": evil + "/x5u"},
			"x5c":                           {"x5c": chain},
			"x5t":                           {"x5t": key.Public().Thumbprint(), "x5t#S256": key.Public().Thumbprint()},
			"all of them":                   {"jwk": raw(string(jwk)), "jku": evil + "/all", "x5u": evil + "/all", "x5c": chain},
			"kid that is a URL":             {"kid": evil + "/kid"},
			"kid that is a key":             {"kid": string(jwk)},
			"issuer in the header":          {"iss": evil},
			"discovery in the header":       {"discovery": evil, "openid_configuration": evil, "jwks_uri": evil + "/uri"},
		} {
			t.Run(alg.String()+" "+name, func(t *testing.T) {
				for _, kid := range []any{kidOf(alg), nil, header["kid"]} { // the kid of the issuer's key, none, the attacker's
					token := s.sign(key, object{"alg": alg.String()}.with(header).with(object{"kid": kid}).text(), s.alpha.goodClaims().text())
					s.refuseOneOf(t, token, "signature_invalid", "key_unknown")
				}
			})
		}
		t.Run(alg.String()+" attacker as the issuer", func(t *testing.T) {
			s.refuse(t, s.get("/tickets", bearer(s.token(s.attacker.issuer, alg, nil, nil))), refused(401, "issuer_unknown"))
		})
	}
	if hits := s.attacker.hits(); len(hits) > 0 {
		t.Errorf("the gateway asked the attacker's server for %q", hits)
	}
}

// algorithmMix presents signatures under other names of algorithms.
func (s *suite) algorithmMix(t *testing.T) {
	names := []string{"HS256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "RS1", "HS1", "ES257"}
	for alg, key := range s.alpha.keys {
		for _, name := range names {
			edwards := strings.HasPrefix(name, "Ed") && strings.HasPrefix(alg.String(), "Ed")
			if name == alg.String() || edwards {
				continue
			}
			t.Run(alg.String()+" as "+name, func(t *testing.T) {
				token := s.sign(key, goodHeader(key).with(object{"alg": name}).text(), s.alpha.goodClaims().text())
				s.refuseOneOf(t, token, "key_unknown", "signature_invalid", "algorithm_not_allowed", "algorithm_unsupported")
			})
		}
	}
}

// forms are texts that are no compact JWS, though somebody might read one into them.
func (s *suite) forms(t *testing.T) {
	whole := s.good()
	header, payload, signature := split(whole)
	encrypted := b64(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`) + ".AAAA.AAAA.AAAA.AAAA"
	inner := s.sign(s.alpha.keys[jose.RS256], object{"alg": "RS256", "kid": "key-rs256", "cty": "JWT"}.text(), whole)
	s.refuseAll(t, []forgery{
		{"one part", header, "token_malformed"},
		{"no header", "." + payload + "." + signature, "token_header_invalid"},
		{"no payload", header + ".." + signature, "token_payload_invalid"},
		{"only dots", "..", "token_header_invalid"},
		{"four parts", whole + ".AAAA", "token_malformed"},
		{"dot behind", whole + ".", "token_malformed"},
		{"dot before", "." + whole, "token_malformed"},
		{"two tokens", whole + "." + whole, "token_malformed"},
		{"general JSON serialization", `{"payload":"` + payload + `","signatures":[{"protected":"` + header + `","signature":"` + signature + `"}]}`, "token_malformed"},
		{"flattened JSON serialization", `{"protected":"` + header + `","payload":"` + payload + `","signature":"` + signature + `"}`, "token_malformed"},
		{"JSON serialization with dots", `{"a":"` + whole + `"}`, "token_malformed"},
		{"JSON polyglot", header + `.{"b":"` + payload + `."}.` + signature, "token_malformed"},
		{"JWE", encrypted, "token_encrypted"},
		{"JWE direct", b64(`{"alg":"dir","enc":"A128CBC-HS256"}`) + "..AAAA.AAAA.AAAA", "token_encrypted"},
		{"JWE with a billion hashes", b64(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`) + ".AAAA.AAAA.AAAA.AAAA", "token_encrypted"},
		{"JWE with a compression bomb", b64(`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`) + "..AAAA.AAAA.AAAA", "token_encrypted"},
		{"JWE with a point off the curve", b64(`{"alg":"ECDH-ES","enc":"A128GCM","epk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`) + "..AAAA.AAAA.AAAA", "token_encrypted"},
		{"JWE header in a JWS", s.token(s.alpha, jose.RS256, object{"enc": "A256GCM"}, nil), "token_header_invalid"},
		{"token in a token", inner, "token_payload_invalid"},
		{"opaque token", "2YotnFZFEjr1zCsicMWpAA", "token_malformed"},
		{"standard alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(whole) + "+/", "token_malformed"},
		{"percent-encoded", strings.ReplaceAll(whole, ".", "%2e"), "token_malformed"},
		{"in quotes", `"` + whole + `"`, "token_malformed"},
		{"not ASCII", whole + "é", "token_malformed"},
		{"a part of the signature", whole[:len(whole)-6], "signature_invalid"},
		{"payload of another", header + "." + b64(s.alpha.goodClaims().with(object{"sub": "root"}).text()) + "." + signature, "signature_invalid"},
		{"header of another", b64(`{"alg":"RS256","kid":"key-rs256"}`) + "." + payload + "." + signature, "signature_invalid"},
	})
}

// headerMembers are headers with a good signature of the issuer, but that no two readers need understand alike.
func (s *suite) headerMembers(t *testing.T) {
	header := func(text string) string { return s.sign(s.alpha.keys[jose.RS256], text, s.alpha.goodClaims().text()) }
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	const good = `"alg":"RS256","kid":"key-rs256"`
	s.refuseAll(t, []forgery{
		{"crit unknown", header(`{` + good + `,"crit":["exp"],"exp":1}`), "token_critical_header"},
		{"crit of ours", header(`{` + good + `,"crit":["x"],"x":true}`), "token_critical_header"},
		{"crit not there", header(`{` + good + `,"crit":["missing"]}`), "token_critical_header"},
		{"crit empty", header(`{` + good + `,"crit":[]}`), "token_critical_header"},
		{"crit of alg", header(`{` + good + `,"crit":["alg"]}`), "token_critical_header"},
		{"crit no list", header(`{` + good + `,"crit":"x","x":1}`), "token_critical_header"},
		{"crit null", header(`{` + good + `,"crit":null}`), "token_critical_header"},
		{"crit of numbers", header(`{` + good + `,"crit":[1]}`), "token_critical_header"},
		{"crit b64", header(`{` + good + `,"crit":["b64"],"b64":false}`), "token_critical_header"},
		{"b64 false", header(`{` + good + `,"b64":false}`), "token_header_invalid"},
		{"b64 true", header(`{` + good + `,"b64":true}`), "token_header_invalid"},
		{"alg twice", header(`{` + good + `,"alg":"RS256"}`), "token_header_invalid"},
		{"alg twice by escape", header(`{` + good + `,"\u0061lg":"none"}`), "token_header_invalid"},
		{"kid twice", header(`{` + good + `,"kid":"key-es256"}`), "token_header_invalid"},
		{"other members twice", header(`{` + good + `,"x":1,"x":1}`), "token_header_invalid"},
		{"members twice deep inside", header(`{` + good + `,"x":{"y":[{"z":1,"z":2}]}}`), "token_header_invalid"},
		{"kid a number", header(`{"alg":"RS256","kid":1}`), "token_header_invalid"},
		{"kid null", header(`{"alg":"RS256","kid":null}`), "token_header_invalid"},
		{"kid an array", header(`{"alg":"RS256","kid":["key-rs256"]}`), "token_header_invalid"},
		{"kid an object", header(`{"alg":"RS256","kid":{"$ne":null}}`), "token_header_invalid"},
		{"typ a number", header(`{` + good + `,"typ":1}`), "token_header_invalid"},
		{"array", header(`["RS256"]`), "token_header_invalid"},
		{"text", header(`"RS256"`), "token_header_invalid"},
		{"null", header(`null`), "token_header_invalid"},
		{"empty", header(``), "token_header_invalid"},
		{"empty object", header(`{}`), "token_header_invalid"},
		{"second value", header(`{` + good + `}{}`), "token_header_invalid"},
		{"zero byte behind", header(`{` + good + "}\x00"), "token_header_invalid"},
		{"byte order mark", header("\ufeff{" + good + `}`), "token_header_invalid"},
		{"not UTF-8", header(`{` + good + ",\"x\":\"\xff\"}"), "token_header_invalid"},
		{"half a surrogate", header(`{` + good + `,"x":"\ud800"}`), "token_header_invalid"},
		{"UTF-16", header("{\x00\"\x00a\x00l\x00g\x00"), "token_header_invalid"},
		{"comment", header(`{` + good + `/**/}`), "token_header_invalid"},
		{"trailing comma", header(`{` + good + `,}`), "token_header_invalid"},
		{"deep nesting", header(`{` + good + `,"x":` + deep[:800] + `}`), "token_too_large"},
		{"not closed", header(`{` + good + ``), "token_header_invalid"},
	})
	t.Run("deep nesting in a large header", func(t *testing.T) {
		s.refuseOneOf(t, header(`{`+good+`,"x":`+deep[:6000]+`}`), "token_header_invalid", "token_too_large")
	})
	t.Run("many members", func(t *testing.T) {
		s.refuseOneOf(t, header(`{`+good+strings.Repeat(`,"x":1`, 700)+`}`), "token_header_invalid", "token_too_large")
	})
}

// hugeTokens must be refused before work is spent on them.
func (s *suite) hugeTokens(t *testing.T) {
	whole := s.good()
	header, payload, signature := split(whole)
	large := refused(401, "token_too_large")
	for _, tt := range []struct {
		name, token string
		want        verdict
	}{
		{"16,000 dots", strings.Repeat(".", 16000), refused(401, "token_malformed")},
		{"40,000 dots", strings.Repeat(".", 40000), large},
		{"1,000,000 dots", strings.Repeat(".", 1_000_000), malformedMessage(431)},
		{"17 KiB", header + "." + payload + strings.Repeat("A", 16<<10) + "." + signature, large},
		{"60 KiB", header + "." + strings.Repeat("A", 60<<10) + "." + signature, large},
		{"10 MB", header + "." + strings.Repeat("A", 10_000_000) + "." + signature, malformedMessage(431)},
		{"kid of 9 KB", b64(`{"alg":"RS256","kid":"`+strings.Repeat("k", 9000)+`"}`) + "." + payload + "." + signature, large},
		{"kid of 1 MB", b64(`{"alg":"RS256","kid":"`+strings.Repeat("k", 1<<20)+`"}`) + "." + payload + "." + signature, malformedMessage(431)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			started := time.Now()
			s.refuse(t, s.get("/tickets", bearer(s.leaks.remember(tt.token))), tt.want)
			if d := time.Since(started); d > 5*time.Second {
				t.Errorf("it took %v", d)
			}
		})
		if tt.want.status != 431 {
			continue
		}
		t.Run(tt.name+" in a form", func(t *testing.T) {
			s.refuse(t, formRequest("jwt="+tt.token), refused(413, "body_too_large"))
		})
	}
	t.Run("form of 16,000 dots", func(t *testing.T) {
		s.refuse(t, formRequest("jwt="+strings.Repeat(".", 16000)), refused(401, "token_malformed"))
	})
}

// types are good tokens that were made for another purpose.
func (s *suite) types(t *testing.T) {
	for _, typ := range []string{"logout+jwt", "dpop+jwt", "secevent+jwt", "id_token+jwt", "application/logout+jwt", "APPLICATION/DPOP+JWT", "token-introspection+jwt", "vp+jwt", "vc+sd-jwt", "dc+sd-jwt",
		"kb+jwt", "entity-statement+jwt", "oauth-authz-req+jwt", "statuslist+jwt", "JOSE", "JWE", "at+jwt ", " JWT", "JWT\\u0000", "application/", "application/x/at+jwt", "text/jwt", ""} {
		t.Run("typ "+typ, func(t *testing.T) {
			token := s.token(s.alpha, jose.RS256, object{"typ": raw(`"` + typ + `"`)}, nil)
			s.refuse(t, s.get("/tickets", bearer(token)), refused(401, "token_type_mismatch"))
		})
	}
	for _, typ := range []any{"JWT", "application/jwt", "id+jwt", nil} {
		t.Run("an API of access tokens gets another", func(t *testing.T) {
			token := s.token(s.alpha, jose.RS256, object{"typ": typ}, nil)
			s.refuse(t, s.get("/strict", bearer(token)), refused(401, "token_type_mismatch"))
		})
	}
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt"} {
		t.Run("access token "+typ+" passes", func(t *testing.T) {
			s.forwarded(t, s.get("/strict", bearer(s.token(s.alpha, jose.RS256, object{"typ": typ}, nil))))
		})
	}
	for name, tt := range map[string]struct {
		payload object
		reason  string
	}{
		"an ID token":                     {object{"client_id": nil, "nonce": "n", "at_hash": "h"}, "claim_missing"},
		"an ID token for the client":      {object{"client_id": nil, "nonce": "n", "aud": "client"}, "audience_mismatch"},
		"a logout token":                  {object{"client_id": nil, "sid": "s", "events": object{"http://schemas.openid.net/event/backchannel-logout": object{}}}, "claim_missing"},
		"client_id null":                  {object{"client_id": raw("null")}, "claim_missing"},
		"without sub":                     {object{"sub": nil}, "subject_mismatch"},
		"with another sub":                {object{"sub": "client"}, "subject_mismatch"},
		"with a longer sub":               {object{"sub": subject + "x"}, "subject_mismatch"},
		"with a sub in another case":      {object{"sub": strings.ToUpper(subject)}, "subject_mismatch"},
		"without jti":                     {object{"jti": nil}, "claim_missing"},
		"without iat":                     {object{"iat": nil}, "claim_missing"},
		"issued long ago":                 {object{"iat": time.Now().Add(-2 * time.Hour).Unix()}, "token_too_old"},
		"valid for long":                  {object{"exp": time.Now().Add(3 * time.Hour).Unix()}, "token_lifetime_too_long"},
		"with a required claim by a path": {object{"client_id": nil, "client": object{"id": "x"}}, "claim_missing"},
	} {
		t.Run("access token "+name, func(t *testing.T) {
			s.refuse(t, s.get("/strict", bearer(s.token(s.alpha, jose.RS256, object{"typ": "at+jwt"}, tt.payload))), refused(401, tt.reason))
		})
	}
}
