package attack_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/jose"
)

// spellings are names that back ends may take for X-User.
var spellings = []string{"X-User", "x-user", "X-USER", "x-UsEr", "X_User", "x_user", "X_USER", "X.User", "x.user", "X-User", "X_uSER"}

// headers attacks what the upstream is told.
func (s *suite) headers(t *testing.T) {
	t.Run("identity", s.identityHeaders)
	t.Run("identity in a trailer", s.identityTrailers)
	t.Run("names that are no names", s.oddNames)
	t.Run("Connection names ours", s.connectionOptions)
	t.Run("what proxies say", s.forwardedHeaders)
	t.Run("hop by hop", s.hopByHop)
}

// identityHeaders are sent by the client itself, everywhere.
func (s *suite) identityHeaders(t *testing.T) {
	all := make([]string, 0, 2*len(spellings))
	for _, name := range spellings {
		all = append(all, name+": root", strings.Replace(name, "ser", "ser", 1)+":root")
	}
	with := func(lines []string, more ...string) []string { return append(append([]string(nil), lines...), more...) }
	token := bearer(s.good())
	for _, spelling := range append([]string{"all"}, spellings...) {
		lines := []string{spelling + ": root"}
		if spelling == "all" {
			lines = all
		}
		t.Run(spelling+" beside a token", func(t *testing.T) {
			s.forwarded(t, s.get("/tickets", with(lines, token)...)).sees(t, "X-User", subject)
			s.forwarded(t, s.get("/tickets", with([]string{token}, lines...)...)).sees(t, "X-User", subject)
		})
		t.Run(spelling+" beside a token without the claim", func(t *testing.T) {
			none := bearer(s.token(s.alpha, jose.RS256, nil, object{"sub": nil}))
			s.forwarded(t, s.get("/tickets", with(lines, none)...)).sees(t, "X-User")
		})
		t.Run(spelling+" on a public path", func(t *testing.T) {
			s.forwarded(t, s.get("/tickets/health", lines...)).sees(t, "X-User")
			s.forwarded(t, s.get("/tickets/public/x", lines...)).sees(t, "X-User")
		})
		t.Run(spelling+" at an anonymous API", func(t *testing.T) {
			s.forwarded(t, message("GET", "/", "open.test", lines...)).sees(t, "X-User")
		})
		t.Run(spelling+" at an API that sets other headers", func(t *testing.T) {
			s.forwarded(t, s.get("/orders", with(lines, bearer(s.token(s.alpha, jose.RS256, nil, object{"aud": "orders"})))...)).sees(t, "X-User")
		})
		t.Run(spelling+" without a token", func(t *testing.T) {
			s.refuse(t, s.get("/tickets", lines...), refused(401, "token_missing"))
		})
	}
	t.Run("the other identity headers", func(t *testing.T) {
		r := s.forwarded(t, s.get("/tickets", token, "x_group: admin", "X.Role: admin", "X-ROLE: admin", "X-Group: admin"))
		r.sees(t, "X-Group", group)
		r.sees(t, "X-Role", role)
	})
	t.Run("folded into another line", func(t *testing.T) {
		answers := s.send(t, "web", s.get("/tickets", token, "X-Other: 1", " X-User: root"))
		if len(answers) == 1 && answers[0].StatusCode == 400 {
			s.untouched(t)
			return
		}
		s.reached(t, answers).sees(t, "X-User", subject)
	})
	t.Run("names that only look alike pass", func(t *testing.T) {
		r := s.forwarded(t, s.get("/tickets", token, "X-User-Agent: 1", "XUser: 2", "X--User: 3"))
		r.sees(t, "X-User", subject)
		r.sees(t, "X-User-Agent", "1")
		r.sees(t, "X--User", "3")
	})
}

// identityTrailers come after the body, where some servers take them for header fields.
func (s *suite) identityTrailers(t *testing.T) {
	body := "1\r\nx\r\n0\r\n"
	for _, name := range append([]string{"X-Group", "X_Role", "X-Forwarded-For", "X_Forwarded_Host", "X-Original-Url", "X-Real-IP", "Forwarded", "Authorization", "Cookie", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Authorization"}, spellings...) {
		for _, announced := range []bool{true, false} {
			lines := []string{"Transfer-Encoding: chunked"}
			if announced {
				lines = append(lines, "Trailer: "+name+", X-Checksum")
			}
			end := body + name + ": root\r\nX-Checksum: 1\r\n\r\n"
			for _, tt := range []struct {
				where        string
				host, target string
				lines        []string
			}{
				{"beside a token", "api.test", "/tickets", []string{bearer(s.good())}},
				{"beside a token without claims", "api.test", "/tickets", []string{bearer(s.token(s.alpha, jose.RS256, nil, object{"sub": nil, "grp": nil, "realm_access": nil}))}},
				{"at an anonymous API", "open.test", "/", nil},
			} {
				t.Run(fmt.Sprintf("%s %s, announced %v", name, tt.where, announced), func(t *testing.T) {
					m := append(message("POST", tt.target, tt.host, append(tt.lines, lines...)...), end...)
					answers := s.send(t, "web", m)
					if len(answers) == 1 && answers[0].StatusCode == 400 { // some names end a message
						for _, r := range s.upstream.take() {
							if r.complete {
								t.Errorf("the upstream was reached: %s", r.raw)
							}
						}
						s.upstream.takeComplaints()
						return
					}
					r := s.reached(t, answers)
					for _, f := range r.trailer {
						if strings.Contains(f.value, "root") {
							t.Errorf("the upstream got the trailer %s", f.name)
						}
					}
					for _, announcement := range r.values("Trailer") {
						if strings.Contains(strings.ToLower(announcement), strings.ToLower(name)) {
							t.Errorf("the upstream is told of a trailer: %s", announcement)
						}
					}
					if r.body != "x" {
						t.Errorf("body %q", r.body)
					}
				})
			}
		}
	}
}

// oddNames end in a 400, or are dropped; the upstream never sees them.
func (s *suite) oddNames(t *testing.T) {
	for name, line := range map[string]string{
		"space before the colon": "X-User : root", "tab before the colon": "X-User\t: root", "space inside": "X User: root", "no name": ": root", "vertical tab": "X-User\x0b: root", "zero byte in the name": "X-User\x00: root", "zero byte in the value": "X-Other: a\x00b",
		"carriage return in the value": "X-Other: a\rX-User: root", "delete in the value": "X-Other: a\x7fb", "not ASCII": "X-Usér: root", "full width": "Ｘ-User: root", "soft hyphen": "X\u00adUser: root", "quotes": "\"X-User\": root", "bracket": "X[User]: root", "no colon": "X-User root", "escape": "X-Other: a\x1b[2Jb",
	} {
		t.Run(name, func(t *testing.T) {
			answers := s.send(t, "web", s.get("/tickets", bearer(s.good()), line))
			s.untouched(t)
			if len(answers) != 1 || answers[0].StatusCode != 400 {
				t.Errorf("answers %v", answers)
			}
		})
	}
}

// connectionOptions must not take away what the gateway has set.
func (s *suite) connectionOptions(t *testing.T) {
	for _, options := range []string{"X-User", "x-user", "close, X-User", "X-User, X-Group, X-Role", "X_User", "keep-alive, X-User", "X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Proto, X-Forwarded-Host", "Host", "Content-Length", "Transfer-Encoding", "Content-Type", "Authorization", "Cookie", ", ,X-User,,"} {
		t.Run(options, func(t *testing.T) {
			m := s.get("/tickets", bearer(s.good()), "Connection: "+options, "X-User: root")
			r := s.forwarded(t, m)
			r.sees(t, "X-User", subject)
			r.sees(t, "X-Group", group)
			r.sees(t, "X-Role", role)
			r.sees(t, "X-Forwarded-For", "127.0.0.1")
			r.sees(t, "X-Forwarded-Host", "api.test")
			r.sees(t, "X-Forwarded-Proto", "http")
			r.sees(t, "X-Real-Ip", "127.0.0.1")
			r.sees(t, "Host", "api.test")
		})
	}
	for _, options := range []string{"X-User;x", "X-User\tX-Group", "\"X-User\"", "X-User=1"} {
		t.Run(options+" is no option", func(t *testing.T) {
			answers := s.send(t, "web", s.get("/tickets", bearer(s.good()), "Connection: "+options, "X-User: root"))
			if len(answers) == 1 && answers[0].StatusCode == 400 {
				s.untouched(t)
				return
			}
			s.reached(t, answers).sees(t, "X-User", subject)
		})
	}
	t.Run("a body keeps its framing", func(t *testing.T) {
		m := append(message("POST", "/tickets", "api.test", bearer(s.good()), "Connection: Content-Length, Transfer-Encoding", "Content-Length: 3"), "abc"...)
		if r := s.forwarded(t, m); r.body != "abc" {
			t.Errorf("body %q", r.body)
		}
	})
	t.Run("a hundred", func(t *testing.T) {
		var options strings.Builder
		for i := range 100 {
			fmt.Fprintf(&options, "X-%d,", i)
		}
		s.refuse(t, s.get("/tickets", bearer(s.good()), "Connection: "+options.String()), refused(400, "header_field_invalid"))
	})
}

// forwardedHeaders are believed from trusted addresses only.
func (s *suite) forwardedHeaders(t *testing.T) {
	lies := []string{
		"X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2", "x_forwarded_for: 10.0.0.3", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test", "X-Forwarded-Port: 443", "X-Forwarded-Uri: /tickets/health", "X-Forwarded-Method: GET", "X-Forwarded-Prefix: /x",
		"X-Forwarded-User: root", "X-Forwarded-Email: root@evil.test", "X.Forwarded.User: root", "X-Forwarded-Client-Cert: x", "X-Forwarded: for=10.0.0.1", "Forwarded: for=10.0.0.1;host=evil.test;proto=https", "X-Real-IP: 10.0.0.1", "X_Real_IP: 10.0.0.1", "True-Client-IP: 10.0.0.1",
		"X-Client-IP: 10.0.0.1", "Client-IP: 10.0.0.1", "X-Cluster-Client-IP: 10.0.0.1", "X-Original-URL: /tickets/health", "X-Original-URI: /tickets/health", "X-Rewrite-URL: /tickets/health", "X_Original_URL: /tickets/health", "X-Original-Host: evil.test", "X-Original-Method: GET",
	}
	t.Run("without a token from anybody", func(t *testing.T) {
		s.refuse(t, s.get("/tickets", lies...), refused(401, "token_missing"))
	})
	t.Run("without a token from a trusted proxy", func(t *testing.T) {
		s.refuseAt(t, "edge", s.get("/tickets", lies...), refused(401, "token_missing"))
	})
	t.Run("from anybody", func(t *testing.T) {
		for _, m := range [][]byte{s.get("/tickets", append(lies, bearer(s.good()))...), s.get("/tickets/health", lies...), message("GET", "/", "open.test", lies...)} {
			r := s.forwarded(t, m)
			host := r.values("Host")[0]
			r.sees(t, "X-Forwarded-For", "127.0.0.1")
			r.sees(t, "X-Forwarded-Proto", "http")
			r.sees(t, "X-Forwarded-Host", host)
			r.sees(t, "X-Forwarded-Port", "80")
			r.sees(t, "X-Real-Ip", "127.0.0.1")
			r.sees(t, "Forwarded", `for=127.0.0.1;host="`+host+`";proto=http`)
			for _, lie := range lies {
				name, value, _ := strings.Cut(lie, ": ")
				if got := strings.Join(r.values(name), ", "); strings.Contains(got, value) {
					t.Errorf("the upstream sees %s %q", name, got)
				}
			}
		}
	})
	t.Run("from a trusted proxy", func(t *testing.T) {
		r := s.forwardedAt(t, "edge", s.get("/tickets", bearer(s.good()), "X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.test", "x_forwarded_for: 10.0.0.3", "X-User: root"))
		r.sees(t, "X-Forwarded-For", "192.0.2.9, 127.0.0.1")
		r.sees(t, "X-Forwarded-Proto", "https")
		r.sees(t, "X-Forwarded-Host", "www.test")
		r.sees(t, "X-Real-Ip", "192.0.2.9")
		r.sees(t, "X-User", subject)
	})
}

// hopByHop fields concern the connection to the gateway, and end there.
func (s *suite) hopByHop(t *testing.T) {
	r := s.forwarded(t, s.get("/tickets", bearer(s.good()), "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic Og==", "Proxy: http://evil.test", "TE: gzip, trailers;q=0.5, deflate", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
		"Connection: Upgrade, HTTP2-Settings", "Expect: 100-continue", "X-Other: stays"))
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy", "Upgrade", "HTTP2-Settings", "Expect", "Transfer-Encoding"} {
		r.sees(t, name)
	}
	r.sees(t, "X-Other", "stays")
	for _, te := range r.values("TE") {
		if te != "trailers" {
			t.Errorf("TE %q", te)
		}
	}
	for _, protocol := range []string{"h2c", "h2", "HTTP/2.0", "TLS/1.2", "websocket, h2c"} {
		t.Run("upgrade to "+protocol+" on a public path", func(t *testing.T) {
			r := s.forwarded(t, message("GET", "/tickets/health", "api.test", "Upgrade: "+protocol, "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"))
			r.sees(t, "Upgrade")
			r.sees(t, "HTTP2-Settings")
		})
	}
}
