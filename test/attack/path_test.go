package attack_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/test/program"
)

// paths attacks where a path leads.
func (s *suite) paths(t *testing.T) {
	t.Run("public paths are public", func(t *testing.T) {
		for _, target := range []string{"/tickets/health", "/tickets/public", "/tickets/public/", "/tickets/public/a/b", "/tickets/health?x=1", "/tickets/./public/x", "/tickets//public/x", "/tickets/x/../public/a", "/tickets/%70ublic/a"} {
			r := s.forwarded(t, s.get(target))
			if path, _, _ := strings.Cut(r.target(), "?"); path != "/tickets/health" && path != "/tickets/public" && !strings.HasPrefix(path, "/tickets/public/") {
				t.Errorf("%s: the upstream gets %s", target, path)
			}
		}
	})
	t.Run("a segment that looks odd is gone with the dots behind it", func(t *testing.T) {
		for target, want := range map[string]string{"/tickets/public/;/../admin": "/tickets/public/admin", "/tickets/%3fx=/../public/": "/tickets/public/", "/tickets/admin;/../health": "/tickets/health"} {
			if got := s.forwarded(t, s.get(target)).target(); got != want {
				t.Errorf("%s goes on as %s, want %s", target, got, want)
			}
		}
	})
	missing, ambiguous := refused(401, "token_missing"), refused(400, "request_target_invalid")
	for target, want := range map[string]verdict{
		"/tickets/public/../admin":                 missing,
		"/tickets/public/%2e%2e/admin":             missing,
		"/tickets/public/%2E./admin":               missing,
		"/tickets/public/.%2e/admin":               missing,
		"/tickets/public/x/../../admin":            missing,
		"/tickets/public/..//admin":                missing,
		"/tickets/public/./../admin/":              missing,
		"/tickets/public/..":                       missing,
		"/tickets/health/../admin":                 missing,
		"/tickets/health/..":                       missing,
		"/tickets/health/":                         missing,
		"/tickets/health/x":                        missing,
		"/tickets/healthx":                         missing,
		"/tickets/publicx":                         missing,
		"/tickets/public%20":                       missing,
		"/tickets/Public/x":                        missing,
		"/tickets/HEALTH":                          missing,
		"//tickets//admin":                         missing,
		"/./tickets/admin":                         missing,
		"/%74ickets/admin":                         missing,
		"/tickets/%61dmin":                         missing,
		"/x/../tickets/admin":                      missing,
		"/../../tickets/admin":                     missing,
		"/tickets?/tickets/public":                 missing,
		"/tickets/admin?x=/../public/":             missing,
		"/tickets/public/..%2fadmin":               ambiguous,
		"/tickets/public/..%2Fadmin":               ambiguous,
		"/tickets/public/%2e%2e%2fadmin":           ambiguous,
		"/tickets/public%2f..%2fadmin":             ambiguous,
		"/tickets/public/..%5cadmin":               ambiguous,
		"/tickets/public/..\\admin":                ambiguous,
		"/tickets/public\\..\\admin":               ambiguous,
		"/tickets/public/..;/admin":                ambiguous,
		"/tickets/public/..;x=1/admin":             ambiguous,
		"/tickets/public/%252e%252e/admin":         ambiguous,
		"/tickets/public/%252e%252e%252fadmin":     ambiguous,
		"/tickets/public/%25252e%25252e/admin":     ambiguous,
		"/tickets/public/..%252fadmin":             ambiguous,
		"/tickets/public/%c0%ae%c0%ae/admin":       ambiguous,
		"/tickets/public/%c0%af../admin":           ambiguous,
		"/tickets/public/%e0%80%ae%e0%80%ae/admin": ambiguous,
		"/tickets/public/..%00/admin":              ambiguous,
		"/tickets/public/%00":                      ambiguous,
		"/tickets/health%00":                       ambiguous,
		"/tickets/health%0a":                       ambiguous,
		"/tickets/health%0d%0aX-User:%20root":      ambiguous,
		"/tickets/health%09":                       ambiguous,
		"/tickets/public/%":                        malformedMessage(400),
		"/tickets/public/%2":                       malformedMessage(400),
		"/tickets/public/%zz":                      malformedMessage(400),
		"/tickets/public/%u002e%u002e/admin":       malformedMessage(400),
		"/tickets/health;x":                        ambiguous,
		"/tickets/health;/admin":                   missing,
		"/tickets/health%3bx":                      ambiguous,
		"/tickets%2fhealth":                        ambiguous,
		"/tickets/health%2fx":                      missing,
		"/tickets/admin%2f..%2fhealth":             ambiguous,
		"/tickets/admin/..;/health":                ambiguous,
		"/tickets/x;/public/a":                     missing,
		"/tickets/health%3fx":                      ambiguous,
		"/tickets/health%23":                       ambiguous,
		"/tickets;/public/x":                       ambiguous,
		"/tickets%3b/admin":                        ambiguous,
		"/Tickets/admin":                           refused(404, "route_not_found"),
		"/ticketsx":                                missing,
		"/tickets/../internal":                     refused(404, "route_not_found"),
		"/":                                        refused(404, "route_not_found"),
		"/tickets/health#/../admin":                unroutable(400, "request_target_invalid"),
		"/tickets/public/#/admin":                  unroutable(400, "request_target_invalid"),
	} {
		t.Run(target, func(t *testing.T) {
			answers := s.send(t, "web", s.get(target))
			s.untouched(t)
			if len(answers) != 1 {
				t.Fatalf("%d answers", len(answers))
			}
			check(t, answers[0], want)
		})
	}
	t.Run("an API's path in disguise is its path", func(t *testing.T) {
		token := bearer(s.good())
		for _, target := range []string{"/tickets/admin", "/tickets/x/../admin", "/tickets//admin", "/tickets/%61dmin", "/tickets/./admin/x", "/tickets/admin/"} {
			s.refuse(t, s.get(target, token), refused(403, "scope_insufficient"))
		}
		for _, target := range []string{"/tickets%2fadmin", "/tickets/admin%2fx", "/tickets/x%2f..%2fadmin", "/tickets/admin;x", "/tickets/;/admin", "/tickets/%2fadmin", "/tickets/.%2fadmin", "/tickets/%5cadmin"} {
			answers := s.send(t, "web", s.get(target, token))
			s.untouched(t)
			if len(answers) != 1 || answers[0].StatusCode == 200 {
				t.Errorf("%s: %v", target, answers)
			}
		}
	})
	t.Run("what is judged is what goes on", func(t *testing.T) {
		for target, want := range map[string]string{"/tickets/a/../b": "/tickets/b", "/tickets/%61": "/tickets/a", "/tickets//a///b/": "/tickets/a/b/", "/tickets/a%2fb": "/tickets/a%2Fb", "/tickets/%c3%a9": "/tickets/%C3%A9", "/tickets/x?y=/../%2e": "/tickets/x?y=/../%2e", "/tickets/a%20b": "/tickets/a%20b"} {
			if got := s.forwarded(t, s.get(target, bearer(s.good()))).target(); got != want {
				t.Errorf("%s goes on as %s, want %s", target, got, want)
			}
		}
	})
	t.Run("method", func(t *testing.T) {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "Get", "FOO", "GETX"} {
			s.refuse(t, message(method, "/tickets/health", "api.test", "Content-Length: 0"), missing)
		}
		s.refuse(t, message("TRACE", "/tickets/health", "api.test", "Content-Length: 0"), refused(501, "method_unsupported"))
		for _, header := range []string{"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X_Method.Override: DELETE"} {
			name, _, _ := strings.Cut(header, ":")
			if got := s.forwarded(t, s.get("/tickets/health", header)); len(got.values(name)) > 0 {
				t.Errorf("%s reached the upstream, which may obey it", header)
			}
		}
		for _, header := range []string{"X-HTTP-Method-Override: GET", "X-HTTP-Method: GET", "X-Method-Override: GET"} {
			s.refuse(t, message("POST", "/tickets/health", "api.test", "Content-Length: 0", header), missing)
		}
	})
}

// hosts attacks which API a name leads to.
func (s *suite) hosts(t *testing.T) {
	missing := refused(401, "token_missing")
	for host, want := range map[string]verdict{
		"API.TEST": missing, "api.test.": missing, "Api.Test.:80": missing, "api.test:99": missing, "api.test:443": missing,
		"api.test..": unroutable(400, "host_invalid"), "api_test": refused(404, "route_not_found"), "xapi.test": refused(404, "route_not_found"), "api.test.evil.test": refused(404, "route_not_found"), "127.0.0.1": refused(404, "route_not_found"), "localhost": refused(404, "route_not_found"),
		"api.test:": unroutable(400, "host_invalid"), "api.test:99999": unroutable(400, "host_invalid"), "api.test:80:80": unroutable(400, "host_invalid"), "api.test, open.test": unroutable(400, "host_invalid"), "open.test,api.test": unroutable(400, "host_invalid"),
		"open.test@api.test": unroutable(400, "host_invalid"), "api.test/open.test": malformedMessage(400), "api.test#open.test": malformedMessage(400), "api.test\\open.test": malformedMessage(400), "open.test?": malformedMessage(400), "%6fpen.test": unroutable(400, "host_invalid"), "[::1": unroutable(400, "host_invalid"), ".open.test": unroutable(400, "host_invalid"),
		"open..test": unroutable(400, "host_invalid"), "": unroutable(400, "host_invalid"),
	} {
		t.Run("Host "+host, func(t *testing.T) {
			answers := s.send(t, "web", message("GET", "/tickets", host))
			s.untouched(t)
			if len(answers) != 1 {
				t.Fatalf("%d answers", len(answers))
			}
			check(t, answers[0], want)
		})
	}
	for name, m := range map[string]string{
		"no Host":                       "GET /tickets HTTP/1.1\r\nConnection: close\r\n\r\n",
		"two Hosts":                     "GET /tickets HTTP/1.1\r\nHost: api.test\r\nHost: open.test\r\nConnection: close\r\n\r\n",
		"two Hosts, the open first":     "GET /tickets HTTP/1.1\r\nHost: open.test\r\nHost: api.test\r\nConnection: close\r\n\r\n",
		"two Hosts, the same":           "GET /tickets HTTP/1.1\r\nHost: open.test\r\nhost: open.test\r\nConnection: close\r\n\r\n",
		"Host with a space before":      "GET /tickets HTTP/1.1\r\n Host: open.test\r\nHost: api.test\r\nConnection: close\r\n\r\n",
		"Host with a space behind":      "GET /tickets HTTP/1.1\r\nHost : open.test\r\nHost: api.test\r\nConnection: close\r\n\r\n",
		"absolute form, another Host":   "GET http://open.test/tickets HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
		"absolute form, open Host":      "GET http://api.test/tickets HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n",
		"absolute form of another kind": "GET ftp://open.test/ HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n",
		"authority form":                "GET open.test:80 HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n",
		"CONNECT":                       "CONNECT open.test:80 HTTP/1.1\r\nHost: open.test:80\r\nConnection: close\r\n\r\n",
		"CONNECT with a path":           "CONNECT /tickets/health HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
		"target without a slash":        "GET tickets/health HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
		"asterisk with GET":             "GET * HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n",
		"empty target":                  "GET  HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n",
		"space in the target":           "GET /tickets/health x HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
		"tab in the target":             "GET /tickets/health\tx HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			answers := s.send(t, "web", []byte(m))
			s.untouched(t)
			if len(answers) != 1 || answers[0].StatusCode != 400 {
				t.Errorf("answers %v", answers)
			}
		})
	}
	t.Run("absolute form with its own Host", func(t *testing.T) { // a server may take it (RFC 9112 section 3.2.2), for what it is
		for path, want := range map[string]int{"/tickets": 401, "/tickets/admin": 401, "/tickets/health": 200, "/tickets/public/..%2fadmin": 400} {
			answers := s.send(t, "web", []byte("GET http://api.test"+path+" HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"))
			for _, r := range s.upstream.take() {
				if r.target() != "/tickets/health" || want != 200 {
					t.Errorf("the upstream was reached: %.300q", r.raw)
				}
			}
			if len(answers) != 1 || answers[0].StatusCode != want && answers[0].StatusCode != 400 {
				t.Errorf("%s: answers %v", path, summary(answers))
			}
		}
	})
	t.Run("an anonymous API passes with its own name only", func(t *testing.T) {
		s.forwarded(t, message("GET", "/tickets", "open.test")).sees(t, "Host", "open.test")
		s.refuse(t, message("GET", "/tickets", "api.test", "X-Forwarded-Host: open.test", "X-Host: open.test", "Forwarded: host=open.test", "X-HTTP-Host-Override: open.test"), missing)
	})
	t.Run("the operators' pages are not for clients", func(t *testing.T) {
		for _, page := range []string{"/metrics", "/status", "/healthz", "/readyz", "/debug/pprof/"} {
			s.refuse(t, s.get(page), refused(404, "route_not_found"))
		}
	})
	t.Run("another listener", s.listeners)
}

// listeners: a door that is less well guarded leads nowhere else.
func (s *suite) listeners(t *testing.T) {
	missing := refused(401, "token_missing")
	open := func(listener, name string, client ...tls.Certificate) dialer {
		return func(t *testing.T) net.Conn {
			t.Helper()
			raw := program.Dial(t, s.gateway.Addresses[listener])
			conn := tls.Client(raw, &tls.Config{ServerName: name, Certificates: client, NextProtos: []string{"http/1.1"}, InsecureSkipVerify: true, // the test is about what the server does
				VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { return nil }})
			_ = conn.SetDeadline(time.Now().Add(program.Patience))
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			return conn
		}
	}
	t.Run("an API that is not served there", func(t *testing.T) {
		s.refuse(t, s.get("/internal", bearer(s.good())), refused(404, "route_not_found"))
		s.reached(t, parseAnswers(t, program.Exchange(t, open("tls", "api.test")(t), s.get("/internal", bearer(s.good())))))
	})
	for _, name := range []string{"api.test", "open.test", "", "nobody.test", "API.TEST."} {
		t.Run("TLS to "+name, func(t *testing.T) {
			for _, path := range []string{"/tickets", "/internal", "/orders"} {
				answers := parseAnswers(t, program.Exchange(t, open("tls", name)(t), s.get(path)))
				s.untouched(t)
				check(t, answers[0], missing)
			}
		})
	}
	t.Run("TLS with a client certificate to another name", func(t *testing.T) {
		s.gateway.Access.SkipToEnd()
		answers := parseAnswers(t, program.Exchange(t, open("mutual", "open.test", s.client)(t), s.get("/tickets", bearer(s.good()))))
		s.untouched(t)
		check(t, answers[0], unroutable(421, "misdirected_request"))
		s.reached(t, parseAnswers(t, program.Exchange(t, open("mutual", "api.test", s.client)(t), s.get("/tickets", bearer(s.good())))))
	})
	t.Run("TLS without the client certificate", func(t *testing.T) {
		conn := open("mutual", "api.test")(t) // in TLS 1.3 the client learns it later
		got := program.Exchange(t, conn, s.get("/tickets", bearer(s.good())))
		s.untouched(t)
		if len(got) > 0 {
			t.Errorf("answer %q", got)
		}
	})
	t.Run("TLS with a client certificate of nobody", func(t *testing.T) {
		stranger := program.WriteCertificate(t, t.TempDir(), "client")
		got := program.Exchange(t, open("mutual", "api.test", stranger)(t), s.get("/tickets", bearer(s.good())))
		s.untouched(t)
		if len(got) > 0 {
			t.Errorf("answer %q", got)
		}
	})
	t.Run("HTTP to a TLS listener", func(t *testing.T) {
		answers := s.send(t, "tls", s.get("/tickets", bearer(s.good())))
		s.untouched(t)
		check(t, answers[0], malformedMessage(400))
	})
}
