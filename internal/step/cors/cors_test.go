package cors_test

import (
	"errors"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/step/cors"
)

func api(change func(*gate.CORS)) *gate.API {
	c := &gate.CORS{AllowOrigins: []string{"https://app.example.com", "HTTP://LOCALHOST:3000", "https://shop.example.com:443"}}
	c.SetDefaults()
	if change != nil {
		change(c)
	}
	return &gate.API{Name: "tickets", Origin: gate.Origin{Object: "apis[0]"}, CORS: c}
}

func step(tb testing.TB, change func(*gate.CORS)) *cors.Step {
	tb.Helper()
	s, problems := cors.New(api(change))
	if problems.Err() != nil {
		tb.Fatal(problems)
	}
	return s
}

func lines(text string) gate.Header {
	var h gate.Header
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

func print(h gate.Header) string {
	var all []string
	for _, f := range h {
		all = append(all, f.Name+": "+f.Value+"\n")
	}
	sort.Strings(all)
	return strings.Join(all, "")
}

// serve takes a request through the step; the upstream, where it is reached, answers with reply.
func serve(s *cors.Step, method, in, reply string) (x *gate.Exchange, forwarded bool) {
	x = &gate.Exchange{Method: method, In: lines(in)}
	if err := s.Handle(x); errors.Is(err, gate.ErrAnswered) {
		s.Respond(x)
		return x, false
	}
	x.Status, x.Reply, x.Server = 200, lines(reply), "http://127.0.0.1:9000"
	s.Respond(x)
	return x, true
}

func TestPreflight(t *testing.T) {
	const ask = "\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: authorization"
	const allowed = "Access-Control-Allow-Headers: Authorization, Content-Type\nAccess-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\n"
	credentials := func(c *gate.CORS) { c.AllowCredentials, c.ExposeHeaders = true, []string{"X-Total"} }
	everybody := func(c *gate.CORS) { c.AllowOrigins, c.MaxAge = []string{"*"}, 0 }
	for _, tt := range []struct {
		name   string
		change func(*gate.CORS)
		in     string
		want   string
	}{
		{"allowed", nil, "Origin: https://app.example.com" + ask,
			allowed + "Access-Control-Allow-Origin: https://app.example.com\nAccess-Control-Max-Age: 600\nVary: Origin\n"},
		{"allowed as the browser writes it", nil, "Origin: http://localhost:3000" + ask,
			allowed + "Access-Control-Allow-Origin: http://localhost:3000\nAccess-Control-Max-Age: 600\nVary: Origin\n"},
		{"default port", nil, "Origin: https://shop.example.com" + ask,
			allowed + "Access-Control-Allow-Origin: https://shop.example.com\nAccess-Control-Max-Age: 600\nVary: Origin\n"},
		{"with credentials", credentials, "Origin: https://app.example.com" + ask,
			"Access-Control-Allow-Credentials: true\n" + allowed + "Access-Control-Allow-Origin: https://app.example.com\nAccess-Control-Max-Age: 600\nVary: Origin\n"},
		{"everybody", everybody, "Origin: https://x.example.com" + ask,
			allowed + "Access-Control-Allow-Origin: *\nAccess-Control-Max-Age: 0\n"},
		{"attack: other origin", credentials, "Origin: https://evil.example.com" + ask, "Vary: Origin\n"},
		{"attack: our origin as a prefix", credentials, "Origin: https://app.example.com.evil.example" + ask, "Vary: Origin\n"},
		{"attack: our origin as a suffix", credentials, "Origin: https://evilapp.example.com" + ask, "Vary: Origin\n"},
		{"attack: other scheme", credentials, "Origin: http://app.example.com" + ask, "Vary: Origin\n"},
		{"attack: other port", credentials, "Origin: https://app.example.com:8443" + ask, "Vary: Origin\n"},
		{"attack: null", credentials, "Origin: null" + ask, "Vary: Origin\n"},
		{"null where it is listed", func(c *gate.CORS) { c.AllowOrigins = []string{"null"} }, "Origin: null" + ask,
			allowed + "Access-Control-Allow-Origin: null\nAccess-Control-Max-Age: 600\nVary: Origin\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, forwarded := serve(step(t, tt.change), "OPTIONS", tt.in, "")
			if forwarded || x.Status != 204 {
				t.Errorf("status %d, forwarded: %v", x.Status, forwarded)
			}
			if diff := cmp.Diff(tt.want, print(x.Reply)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotPreflight(t *testing.T) {
	for name, in := range map[string]string{
		"no origin":           "Access-Control-Request-Method: PUT",
		"no method asked for": "Origin: https://app.example.com",
		"two origins":         "Origin: https://app.example.com\nOrigin: https://evil.example.com\nAccess-Control-Request-Method: PUT",
		"nothing":             "",
	} {
		if _, forwarded := serve(step(t, nil), "OPTIONS", in, ""); !forwarded {
			t.Errorf("%s: taken for a preflight", name)
		}
	}
	if _, forwarded := serve(step(t, nil), "GET", "Origin: https://app.example.com\nAccess-Control-Request-Method: PUT", ""); !forwarded {
		t.Error("GET: taken for a preflight")
	}
}

func TestResponses(t *testing.T) {
	credentials := func(c *gate.CORS) { c.AllowCredentials, c.ExposeHeaders = true, []string{"X-Total", "X-Page"} }
	const exposed = "Access-Control-Allow-Credentials: true\nAccess-Control-Allow-Origin: https://app.example.com\nAccess-Control-Expose-Headers: X-Total, X-Page\n"
	for _, tt := range []struct {
		name      string
		change    func(*gate.CORS)
		in, reply string
		want      string
	}{
		{"allowed", credentials, "Origin: https://app.example.com", "A: b", "A: b\n" + exposed + "Vary: Origin\n"},
		{"no origin", credentials, "", "A: b", "A: b\nVary: Origin\n"},
		{"other origin", credentials, "Origin: https://evil.example.com", "A: b", "A: b\nVary: Origin\n"},
		{"two origins", credentials, "Origin: https://app.example.com\nOrigin: https://app.example.com", "A: b", "A: b\nVary: Origin\n"},
		{"Vary of the upstream", credentials, "Origin: https://app.example.com", "Vary: Accept", exposed + "Vary: Accept\nVary: Origin\n"},
		{"Vary of the upstream has it", credentials, "Origin: https://app.example.com", "Vary: Accept, origin", exposed + "Vary: Accept, origin\n"},
		{"Vary by everything", credentials, "Origin: https://app.example.com", "Vary: *", exposed + "Vary: *\n"},
		{"attack: the upstream allows more", credentials, "Origin: https://evil.example.com",
			"access-control-allow-origin: *\nAccess-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: *\nAccess-Control-Allow-Private-Network: true", "Vary: Origin\n"},
		{"the upstream's are replaced", credentials, "Origin: https://app.example.com", "Access-Control-Allow-Origin: *\nA: b", "A: b\n" + exposed + "Vary: Origin\n"},
		{"everybody", func(c *gate.CORS) { c.AllowOrigins = []string{"*"} }, "Origin: https://x.example.com", "A: b", "A: b\nAccess-Control-Allow-Origin: *\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, _ := serve(step(t, tt.change), "GET", tt.in, tt.reply)
			if diff := cmp.Diff(tt.want, print(x.Reply)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefusalsAreReadable: a script must be able to read the 401 that it is sent.
func TestRefusalsAreReadable(t *testing.T) {
	s := step(t, nil)
	x := &gate.Exchange{Method: "GET", In: lines("Origin: https://app.example.com")}
	if err := s.Handle(x); err != nil {
		t.Fatal(err)
	}
	x.Status, x.Reply = 401, lines("WWW-Authenticate: Bearer")
	s.Respond(x)
	want := "Access-Control-Allow-Origin: https://app.example.com\nVary: Origin\nWWW-Authenticate: Bearer\n"
	if diff := cmp.Diff(want, print(x.Reply)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheck(t *testing.T) {
	origins := func(list ...string) func(*gate.CORS) { return func(c *gate.CORS) { c.AllowOrigins = list } }
	for _, tt := range []struct {
		name   string
		change func(*gate.CORS)
		want   []string
	}{
		{"good", nil, nil},
		{"more good ones", origins("http://127.0.0.1:8080", "http://[::1]:8080", "https://xn--bcher-kva.example", "capacitor://localhost"), nil},
		{"none", origins(), []string{`apis[0].cors.allowOrigins: is missing (for example ["https://app.example.com"])`}},
		{"everybody with credentials", func(c *gate.CORS) {
			c.AllowOrigins, c.AllowCredentials, c.AllowHeaders = []string{"*", "https://a.example.com"}, true, []string{"*"}
		}, []string{
			`apis[0].cors.allowOrigins[0]: "*" cannot be combined with allowCredentials (name the origins)`,
			`apis[0].cors.allowOrigins[0]: "*" stands for all origins (remove the others, or this)`,
			`apis[0].cors.allowHeaders[0]: with allowCredentials, browsers take "*" for a name, not for all (list the names)`,
		}},
		{"null with credentials", func(c *gate.CORS) { c.AllowOrigins, c.AllowCredentials = []string{"null"}, true }, []string{
			`warning: apis[0].cors.allowOrigins[0]: every sandboxed page and local file has the origin "null", and may act with the user's credentials`,
		}},
		{"no origins", origins("app.example.com", "https://", "https://a.example.com/", "https://u@a.example.com", "https://a.example.com?x", "https://a.example.com#", "https://*.example.com", "https://bücher.example", "https://a:", "https://a:b", ""), []string{
			`apis[0].cors.allowOrigins[0]: "app.example.com" is not an origin: scheme or host is missing (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[1]: "https://" is not an origin: scheme or host is missing (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[2]: "https://a.example.com/" is not an origin: it has more than scheme, host and port (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[3]: "https://u@a.example.com" is not an origin: it has more than scheme, host and port (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[4]: "https://a.example.com?x" is not an origin: it has more than scheme, host and port (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[5]: "https://a.example.com#" is not an origin: it has more than scheme, host and port (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[6]: "https://*.example.com" is not an origin: '*' in the host: wildcards do not exist, and international names are written as xn-- (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[7]: "https://bücher.example" is not an origin: 'ü' in the host: wildcards do not exist, and international names are written as xn-- (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[8]: "https://a:" is not an origin: it has more than scheme, host and port (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[9]: "https://a:b" is not an origin: it cannot be read (scheme://host or scheme://host:port)`,
			`apis[0].cors.allowOrigins[10]: "" is not an origin: scheme or host is missing (scheme://host or scheme://host:port)`,
		}},
		{"lists", func(c *gate.CORS) {
			c.AllowMethods, c.AllowHeaders, c.ExposeHeaders, c.MaxAge = []string{"GET "}, []string{"A\r\nB"}, []string{""}, -time.Second
		}, []string{
			`apis[0].cors.allowMethods[0]: "GET " is not a name`,
			`apis[0].cors.allowHeaders[0]: "A\r\nB" is not a name`,
			`apis[0].cors.exposeHeaders[0]: "" is not a name`,
			`apis[0].cors.maxAge: must not be negative`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			problems := cors.Check(api(tt.change))
			for _, p := range problems {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if made, again := cors.New(api(tt.change)); (made == nil) != (problems.Err() != nil) || !cmp.Equal(problems, again) {
				t.Errorf("New: %v, %v", made, again)
			}
		})
	}
	if problems := cors.Check(&gate.API{}); problems != nil {
		t.Error(problems)
	}
}

func BenchmarkSimpleRequest(b *testing.B) {
	s := step(b, nil)
	x := &gate.Exchange{Method: "GET", In: lines("Accept: */*\nOrigin: https://app.example.com"), Status: 200}
	reply := lines("Content-Type: application/json\nVary: Accept")
	b.ReportAllocs()
	for b.Loop() {
		x.Reply = append(x.Reply[:0], reply...)
		if err := s.Handle(x); err != nil {
			b.Fatal(err)
		}
		s.Respond(x)
	}
}
