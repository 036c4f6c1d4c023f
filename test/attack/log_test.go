package attack_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/jose"
)

// logs sends tokens to where programs use to log them; that none was is looked at in the end.
func (s *suite) logs(t *testing.T) {
	t.Run("token in the query of an upstream that is gone", func(t *testing.T) {
		answers := s.send(t, "web", message("GET", "/x?jwt="+s.good(), "gone.test"))
		if len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		check(t, answers[0], refused(502, "upstream_connect_failed"))
		s.silent(t, answers[0])
	})
	for name, m := range map[string][]byte{
		"expired token":                              s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, nil, object{"exp": 1}))),
		"claims that are not enough":                 s.get("/administrators", bearer(s.good())),
		"token in a query":                           message("GET", "/?jwt="+s.token(s.alpha, jose.RS256, nil, object{"aud": "orders"}), "places.test"),
		"token in a broken query":                    message("GET", "/?jwt="+s.good()+"&%zz", "places.test"),
		"token in a field name":                      s.get("/tickets", strings.ReplaceAll(s.good(), ".", "-")+": x"),
		"token as a field":                           s.get("/tickets", s.good()),
		"token as the Host":                          message("GET", "/tickets", strings.Repeat("x", 300)+s.good()),
		"token as the method":                        message(strings.ReplaceAll(s.good(), "_", "-"), "/tickets", "api.test", "Content-Length: x"),
		"token as a length":                          s.get("/tickets", "Content-Length: "+s.good()),
		"token as a coding":                          s.get("/tickets", "Transfer-Encoding: "+s.good()),
		"secret in an Authorization of another kind": s.get("/tickets", "Authorization: Basic "+s.leaks.remember("c2VjcmV0LW9mLWEtdXNlcjpwYXNzd29yZA==")),
		"token in a referrer and a cookie":           s.get("/tickets", "Referer: https://app.test/?jwt="+s.good(), "Cookie: session="+s.good()),
	} {
		t.Run(name, func(t *testing.T) {
			answers := s.send(t, "web", m)
			s.untouched(t)
			if len(answers) != 1 || answers[0].StatusCode < 400 {
				t.Fatalf("answers %v", summary(answers))
			}
			s.silent(t, answers[0])
		})
	}
	t.Run("metrics and answers name no values", func(t *testing.T) {
		answers := s.send(t, "web", s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, object{"kid": "kid-of-an-attacker"}, object{"aud": "aud-of-an-attacker"}))))
		s.untouched(t)
		for _, value := range []string{"kid-of-an-attacker", "aud-of-an-attacker"} {
			if strings.Contains(string(answers[0].body)+headerText(answers[0].Header), value) {
				t.Errorf("the answer names %s", value)
			}
		}
	})
}

// silent fails the test if an answer gives a part of a token back.
func (s *suite) silent(t *testing.T, a answer) {
	t.Helper()
	s.leaks.check(t, "answer", string(a.body)+headerText(a.Header)+"\n")
}

func headerText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b) // a builder takes everything
	return b.String()
}
