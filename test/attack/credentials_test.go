package attack_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/jose"
)

// formRequest posts a form to the API that takes tokens from it.
func formRequest(body string, lines ...string) []byte {
	lines = append(lines, "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body)))
	return append(message("POST", "/", "places.test", lines...), body...)
}

// credentials attacks where tokens are looked for.
func (s *suite) credentials(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		for _, path := range []string{"/tickets", "/tickets/admin", "/orders", "/strict", "/beta", "/administrators"} {
			s.refuse(t, s.get(path), refused(401, "token_missing"))
		}
	})
	t.Run("in a place that is not asked", func(t *testing.T) {
		token := s.good()
		for _, m := range [][]byte{
			s.get("/tickets?jwt=" + token), s.get("/tickets?access_token=" + token), s.get("/tickets", "Cookie: access_token="+token), s.get("/tickets", "X-Token: "+token), s.get("/tickets", "Proxy-Authorization: Bearer "+token),
			s.get("/tickets", "X-Authorization: Bearer "+token), s.get("/tickets", "X-Forwarded-Access-Token: "+token), s.get("/tickets", "Sec-WebSocket-Protocol: bearer, "+token), s.get("/tickets", "Authorization_: Bearer "+token),
		} {
			s.refuse(t, m, refused(401, "token_missing"))
		}
	})
	t.Run("scheme", s.schemes)
	t.Run("two Authorization lines", s.twoLines)
	t.Run("two places", s.twoPlaces)
	t.Run("the same place twice", s.samePlace)
	t.Run("a good token is taken out of the request", s.stripped)
	t.Run("cross-origin questions", s.crossOrigin)
}

func (s *suite) schemes(t *testing.T) {
	token := s.good()
	for _, value := range []string{"Bearer " + token, "bearer " + token, "BEARER " + token, "bEaReR " + token, "Bearer  " + token, "Bearer     " + token, "\tBearer " + token + "\t "} {
		t.Run(strings.Replace(value, token, "TOKEN", 1)+" passes", func(t *testing.T) {
			s.forwarded(t, s.get("/tickets", "Authorization: "+value)).sees(t, "Authorization")
		})
	}
	for value, reason := range map[string]string{
		token: "authorization_scheme_unsupported", "": "authorization_scheme_unsupported", "Bearer:" + token: "authorization_scheme_unsupported", "Bearer: " + token: "authorization_scheme_unsupported", "Bearer\t" + token: "authorization_scheme_unsupported",
		"Bearer" + token: "authorization_scheme_unsupported", "Bearer=" + token: "authorization_scheme_unsupported", "Bearer," + token: "authorization_scheme_unsupported", "Basic " + token: "authorization_scheme_unsupported",
		"Token " + token: "authorization_scheme_unsupported", "JWT " + token: "authorization_scheme_unsupported", "DPoP " + token: "authorization_scheme_unsupported", "Bea rer " + token: "authorization_scheme_unsupported", "Βearer " + token: "authorization_scheme_unsupported",
		"Bearer": "token_malformed", "Bearer ": "token_malformed", "Bearer \t" + token: "token_malformed", "Bearer " + token + " x": "token_malformed", "Bearer " + token + ",": "token_malformed", "Bearer token=" + token: "token_malformed",
		"Bearer Bearer " + token: "token_malformed", "Bearer realm=\"x\"": "token_malformed", "Bearer \"" + token + "\"": "token_malformed", "Bearer " + token + "; q=1": "token_malformed", "Bearer " + token + "\x80": "token_malformed", "Basic Og==": "authorization_scheme_unsupported",
		"Bearer =": "token_malformed", "Bearer null": "token_malformed", "Bearer undefined": "token_malformed",
	} {
		t.Run(fmt.Sprintf("%q", strings.Replace(value, token, "TOKEN", 1)), func(t *testing.T) {
			s.refuse(t, s.get("/tickets", "Authorization: "+value), refused(401, reason))
		})
	}
}

func (s *suite) twoLines(t *testing.T) {
	good, bad, basic := bearer(s.good()), bearer(s.token(s.attacker.issuer, jose.RS256, nil, nil)), "Authorization: Basic Og=="
	for name, lines := range map[string][]string{
		"good, bad": {good, bad}, "bad, good": {bad, good}, "good, good": {good, good}, "good, other scheme": {good, basic}, "other scheme, good": {basic, good}, "good, empty": {good, "Authorization:"}, "empty, good": {"Authorization:", good},
		"good, bad in another case": {good, strings.Replace(bad, "Authorization", "authorization", 1)}, "bad in capitals, good": {strings.ToUpper(bad[:13]) + bad[13:], good}, "three": {good, bad, good}, "apart": {good, "X-Other: 1", bad},
		"two of another scheme": {basic, basic},
	} {
		t.Run(name, func(t *testing.T) {
			s.refuse(t, s.get("/tickets", lines...), refused(400, "token_ambiguous"))
		})
	}
	g, b := strings.TrimPrefix(good, "Authorization: "), strings.TrimPrefix(bad, "Authorization: ")
	for _, joined := range []string{g + ", " + b, b + ", " + g, g + "," + g, g + ", Basic Og==", g + ";" + b, g + " " + b, strings.TrimPrefix(g, "Bearer ") + "," + strings.TrimPrefix(b, "Bearer ")} {
		t.Run("joined in one line", func(t *testing.T) {
			answers := s.send(t, "web", s.get("/tickets", "Authorization: "+joined))
			s.untouched(t)
			if answers[0].StatusCode != http.StatusUnauthorized && answers[0].StatusCode != http.StatusBadRequest {
				t.Errorf("status %d", answers[0].StatusCode)
			}
		})
	}
}

// twoPlaces sends tokens in two of the places that are looked at, in all orders.
func (s *suite) twoPlaces(t *testing.T) {
	bad := s.token(s.attacker.issuer, jose.RS256, nil, nil)
	in := map[string]func(token string) (query, line, body string){
		"header":          func(token string) (string, string, string) { return "", "Authorization: Bearer " + token, "" },
		"another":         func(token string) (string, string, string) { return "", "X-Token: " + token, "" },
		"another, Bearer": func(token string) (string, string, string) { return "", "X-Token: Bearer " + token, "" },
		"cookie":          func(token string) (string, string, string) { return "", "Cookie: access_token=" + token, "" },
		"query":           func(token string) (string, string, string) { return "jwt=" + token, "", "" },
		"form":            func(token string) (string, string, string) { return "", "", "jwt=" + token },
	}
	request := func(places ...[2]string) []byte {
		var queries, lines, bodies []string
		for _, p := range places {
			query, line, body := in[p[0]](p[1])
			if query != "" {
				queries = append(queries, query)
			}
			if line != "" {
				lines = append(lines, line)
			}
			if body != "" {
				bodies = append(bodies, body)
			}
		}
		target, body := "/?"+strings.Join(queries, "&"), strings.Join(bodies, "&")
		if body == "" {
			return message("GET", target, "places.test", lines...)
		}
		lines = append(lines, "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body)))
		return append(message("POST", target, "places.test", lines...), body...)
	}
	for first := range in {
		t.Run("good in "+first+" alone passes", func(t *testing.T) { s.forwarded(t, request([2]string{first, s.good()})) })
		t.Run("bad in "+first+" alone", func(t *testing.T) { s.refuse(t, request([2]string{first, bad}), refused(401, "issuer_unknown")) })
		for second := range in {
			if first == second {
				continue
			}
			t.Run("good in "+first+", bad in "+second, func(t *testing.T) {
				s.refuse(t, request([2]string{first, s.good()}, [2]string{second, bad}), refused(400, "token_ambiguous"))
			})
			t.Run("good in "+first+", good in "+second, func(t *testing.T) {
				s.refuse(t, request([2]string{first, s.good()}, [2]string{second, s.good()}), refused(400, "token_ambiguous"))
			})
		}
		if first == "header" {
			continue
		}
		t.Run("good in "+first+", other scheme in Authorization", func(t *testing.T) {
			m := request([2]string{first, s.good()})
			m = []byte(strings.Replace(string(m), "Connection: close\r\n", "Connection: close\r\nAuthorization: Basic Og==\r\n", 1))
			s.refuse(t, m, refused(400, "token_ambiguous"))
		})
	}
}

// samePlace sends two tokens where one is expected.
func (s *suite) samePlace(t *testing.T) {
	good, bad := s.good(), s.token(s.attacker.issuer, jose.RS256, nil, nil)
	get := func(target string, lines ...string) []byte { return message("GET", target, "places.test", lines...) }
	for name, m := range map[string][]byte{
		"query":                           get("/?jwt=" + good + "&jwt=" + bad),
		"query, bad first":                get("/?jwt=" + bad + "&jwt=" + good),
		"query, name encoded":             get("/?jwt=" + good + "&%6awt=" + bad),
		"query, name encoded in capitals": get("/?%6A%77%74=" + bad + "&jwt=" + good),
		"query, after a semicolon":        get("/?jwt=" + good + "&a=1;jwt=" + bad),
		"query, before a semicolon":       get("/?a=1;jwt=" + bad + "&jwt=" + good),
		"cookie":                          get("/", "Cookie: access_token="+good+"; access_token="+bad),
		"cookie, bad first":               get("/", "Cookie: access_token="+bad+"; access_token="+good),
		"cookie, two lines":               get("/", "Cookie: access_token="+good, "Cookie: access_token="+bad),
		"cookie, quoted":                  get("/", "Cookie: access_token="+good+"; access_token=\""+bad+"\""),
		"cookie, spaces":                  get("/", "Cookie: access_token="+good+"; \t access_token ="+bad),
		"header":                          get("/", "X-Token: "+good, "X-Token: "+bad),
		"header, underscore":              get("/", "X-Token: "+good, "X_Token: "+bad),
		"header, dot":                     get("/", "X.Token: "+bad, "X-Token: "+good),
		"header, underscore alone":        get("/", "X_Token: "+good),
		"form":                            formRequest("jwt=" + good + "&jwt=" + bad),
		"form, bad first":                 formRequest("jwt=" + bad + "&jwt=" + good),
		"form, name encoded":              formRequest("%6a%77%74=" + bad + "&jwt=" + good),
		"form and query of one name":      append(message("POST", "/?jwt="+good, "places.test", "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(bad)+4)), "jwt="+bad...),
	} {
		t.Run(name, func(t *testing.T) { s.refuse(t, m, refused(400, "token_ambiguous")) })
	}
	body := "jwt=" + good
	for name, m := range map[string][]byte{
		"form with two media types": formRequest(body, "Content-Type: text/plain"),
		"form that is encoded":      formRequest(body, "Content-Encoding: gzip"),
		"form with a broken name":   formRequest(body + "&%zz=1"),
	} {
		t.Run(name, func(t *testing.T) { s.refuse(t, m, refused(400, "form_invalid")) })
	}
	t.Run("form of another media type", func(t *testing.T) {
		m := append(message("POST", "/", "places.test", "Content-Type: text/plain", fmt.Sprintf("Content-Length: %d", len(body))), body...)
		s.refuse(t, m, refused(401, "token_missing"))
	})
	t.Run("form of a GET request", func(t *testing.T) {
		m := append(message("GET", "/", "places.test", "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body))), body...)
		s.refuse(t, m, refused(401, "token_missing"))
	})
	t.Run("query with a broken name", func(t *testing.T) { s.refuse(t, get("/?jwt="+good+"&%zz=1"), refused(400, "request_target_invalid")) })
}

// stripped: not a byte of the token goes on, wherever it was.
func (s *suite) stripped(t *testing.T) {
	for name, m := range map[string]func(token string) []byte{
		"header":  func(token string) []byte { return message("GET", "/x?a=1", "places.test", bearer(token)) },
		"another": func(token string) []byte { return message("GET", "/x?a=1", "places.test", "X-Token: "+token) },
		"cookie": func(token string) []byte {
			return message("GET", "/x?a=1", "places.test", "Cookie: a=1; access_token="+token+"; b=2")
		},
		"query": func(token string) []byte { return message("GET", "/x?a=1&jwt="+token+"&b=2", "places.test") },
		"form":  func(token string) []byte { return formRequest("a=1&jwt=" + token + "&b=2") },
	} {
		t.Run(name, func(t *testing.T) {
			token := s.good()
			r := s.forwarded(t, m(token))
			for part := range strings.SplitSeq(token, ".") {
				if strings.Contains(r.raw, part) {
					t.Errorf("a part of the token went on: %s", r.raw)
				}
			}
			if name == "cookie" {
				r.sees(t, "Cookie", "a=1; b=2")
			}
			if name == "form" && r.body != "a=1&b=2" {
				t.Errorf("body %q", r.body)
			}
			if name == "query" && r.target() != "/x?a=1&b=2" {
				t.Errorf("target %q", r.target())
			}
		})
	}
}

// crossOrigin: a browser's question opens nothing, and only the origins of the configuration get an answer.
func (s *suite) crossOrigin(t *testing.T) {
	ask := func(lines ...string) answer {
		answers := s.send(t, "web", message("OPTIONS", "/tickets", "api.test", lines...))
		s.untouched(t)
		if len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		return answers[0]
	}
	method := "Access-Control-Request-Method: GET"
	if a := ask("Origin: https://app.test", method); a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != "https://app.test" {
		t.Errorf("the origin that may: %d %v", a.StatusCode, a.Header)
	}
	for _, origin := range []string{"https://evil.test", "null", "https://app.test.evil.test", "https://evil.test/https://app.test", "http://app.test", "https://app.test:8443", "https://APP.test", "https://xapp.test", "https://app.test,https://evil.test"} {
		if a := ask("Origin: "+origin, method); a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("origin %s: %v", origin, a.Header)
		}
		answers := s.send(t, "web", s.get("/tickets", bearer(s.good()), "Origin: "+origin))
		s.reached(t, answers)
		if answers[0].Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("origin %s with a token: %v", origin, answers[0].Header)
		}
	}
	s.refuse(t, message("OPTIONS", "/tickets", "api.test"), refused(401, "token_missing"))
	s.refuse(t, message("OPTIONS", "/tickets", "api.test", "Origin: https://app.test"), refused(401, "token_missing"))
	s.refuse(t, message("OPTIONS", "/tickets", "api.test", method), refused(401, "token_missing"))
	s.refuse(t, message("OPTIONS", "/orders", "api.test", "Origin: https://app.test", method), refused(401, "token_missing"))
	s.refuse(t, s.get("/tickets", "Origin: https://app.test", method), refused(401, "token_missing"))
}
