package match_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/match"
)

func TestCanonicalHost(t *testing.T) {
	tests := []struct{ raw, want string }{
		{"", ""}, {":8080", ""}, {":", ""},
		{"api.example.com", "api.example.com"},
		{"API.Example.COM", "api.example.com"},
		{"api.example.com:443", "api.example.com"},
		{"api.example.com:", "api.example.com"},
		{"api.example.com.", "api.example.com"},
		{"api.example.com.:443", "api.example.com"},
		{"localhost", "localhost"},
		{"my_service.ns:80", "my_service.ns"},
		{"xn--bcher-kva.de", "xn--bcher-kva.de"},
		{"192.0.2.1:80", "192.0.2.1"},
		{"[::1]", "::1"},
		{"[::1]:8080", "::1"},
		{"[::1]:", "::1"},
		{"[2001:DB8:0:0:0::1]:443", "2001:db8::1"},
	}
	for _, tt := range tests {
		if got, err := match.CanonicalHost(tt.raw); err != nil || got != tt.want {
			t.Errorf("CanonicalHost(%q) = %q, %v; want %q", tt.raw, got, err, tt.want)
		}
	}
	for _, raw := range []string{
		".", "..", "a..", "a..b", ".a", "a.com..", ":80:80", "a:b", "a:80:80", "a:123456", "a:-1", "a: 80", "a b", " a", "a ", "a\t", "a\x00", "a\r\nb", "a/b", "a?b", "a#b", "a@b",
		"user@a.com", "a\\b", "a%2eb", "a%00", "bücher.de", "a\xff", "a,b", "a;b", "*", "*.a.com", "[", "[]", "[::1", "::1", "[::1]x", "[::1]80", "[::1]:x", "[::1%25eth0]", "[::1%eth0]", "[1.2.3.4]", "[v1.a]",
		"a．com", "ａ.com", "a.com\u200b", "\u212a.com", strings.Repeat("a", 254), strings.Repeat("a.", 200),
	} {
		if got, err := match.CanonicalHost(raw); !errors.Is(err, match.ErrHost) || got != "" {
			t.Errorf("CanonicalHost(%q) = %q, %v; want ErrHost", raw, got, err)
		}
	}
	if n := testing.AllocsPerRun(20, func() { _, _ = match.CanonicalHost("api.example.com:8080") }); n != 0 {
		t.Errorf("CanonicalHost allocates %v times", n)
	}
}

func TestCanonicalPath(t *testing.T) {
	same := func(s string) match.Path { return match.Path{Routing: s, Forward: s, Folded: s} }
	tests := []struct {
		raw  string
		want match.Path
	}{
		{"", same("/")},
		{"/", same("/")},
		{"/tickets/1", same("/tickets/1")},
		{"/tickets/", same("/tickets/")},
		{"/.well-known/x", same("/.well-known/x")},
		{"/...", same("/...")}, {"/..a/.b", same("/..a/.b")},
		{"/a:b@c!$&'()*+,=~-._", same("/a:b@c!$&'()*+,=~-._")},

		// Dot segments and empty segments.
		{"//", same("/")}, {"/a//b", same("/a/b")}, {"//a", same("/a")}, {"/a//", same("/a/")}, {"///a///b///", same("/a/b/")},
		{"/.", same("/")}, {"/./", same("/")}, {"/a/.", same("/a/")}, {"/a/./b", same("/a/b")},
		{"/..", same("/")}, {"/../..", same("/")}, {"/../../etc/passwd", same("/etc/passwd")},
		{"/a/..", same("/")}, {"/a/b/..", same("/a/")}, {"/a/b/../", same("/a/")}, {"/a/../b", same("/b")}, {"/a//../b", same("/b")},
		{"/%2e%2e/%2E/b", same("/b")}, {"/a/%2e%2e/b", same("/b")}, {"/a/.%2e/b", same("/b")}, {"/a/%2e/b", same("/a/b")}, {"/a/%2e%2e%2e/b", same("/a/.../b")},

		// Percent-encoding.
		{"/%61dmin", same("/admin")}, {"/%41%7e%2D", same("/A~-")},
		{"/foo%20bar%2Fbaz", match.Path{Routing: "/foo bar%2Fbaz", Forward: "/foo%20bar%2Fbaz", Folded: "/foo bar/baz"}},
		{"/foo%20bar%2fbaz", match.Path{Routing: "/foo bar%2Fbaz", Forward: "/foo%20bar%2Fbaz", Folded: "/foo bar/baz"}},
		{"/é", match.Path{Routing: "/é", Forward: "/%C3%A9", Folded: "/é"}},
		{"/%c3%a9", match.Path{Routing: "/é", Forward: "/%C3%A9", Folded: "/é"}},
		{"/{id}|^\"<>`", match.Path{Routing: "/{id}|^\"<>`", Forward: "/%7Bid%7D%7C%5E%22%3C%3E%60", Folded: "/{id}|^\"<>`"}},
		{"/100%25", match.Path{Routing: "/100%25", Forward: "/100%25", Folded: "/100%"}},
		{"/a%3Ab", match.Path{Routing: "/a%3Ab", Forward: "/a%3Ab", Folded: "/a:b"}},

		// What back ends may read in another way.
		{"/public%2Fadmin", match.Path{Routing: "/public%2Fadmin", Forward: "/public%2Fadmin", Folded: "/public/admin"}},
		{"/public%252Fadmin", match.Path{Routing: "/public%252Fadmin", Forward: "/public%252Fadmin", Folded: "/public/admin"}},
		{"/public%2525252fadmin", match.Path{Routing: "/public%2525252fadmin", Forward: "/public%2525252fadmin", Folded: "/public/admin"}},
		{"/public%5Cadmin", match.Path{Routing: "/public\\admin", Forward: "/public%5Cadmin", Folded: "/public/admin"}},
		{"/public%255cadmin", match.Path{Routing: "/public%255cadmin", Forward: "/public%255cadmin", Folded: "/public/admin"}},
		{"/public;v=1/admin;x", match.Path{Routing: "/public;v=1/admin;x", Forward: "/public;v=1/admin;x", Folded: "/public/admin"}},
		{"/;/admin", match.Path{Routing: "/;/admin", Forward: "/;/admin", Folded: "/admin"}},
		{"/admin%3Fx", match.Path{Routing: "/admin%3Fx", Forward: "/admin%3Fx", Folded: "/admin"}},
		{"/admin;a%3Fb/c", match.Path{Routing: "/admin;a%3Fb/c", Forward: "/admin;a%3Fb/c", Folded: "/admin"}},
		{"/admin%3Fa/b/c", match.Path{Routing: "/admin%3Fa/b/c", Forward: "/admin%3Fa/b/c", Folded: "/admin"}},
		{"/admin%23x", match.Path{Routing: "/admin%23x", Forward: "/admin%23x", Folded: "/admin"}},
		{"/%2561dmin", match.Path{Routing: "/%2561dmin", Forward: "/%2561dmin", Folded: "/admin"}},
		{"/a%2F%2Fb", match.Path{Routing: "/a%2F%2Fb", Forward: "/a%2F%2Fb", Folded: "/a/b"}},
	}
	for _, tt := range tests {
		got, err := match.CanonicalPath(tt.raw)
		if err != nil {
			t.Errorf("CanonicalPath(%q): %v", tt.raw, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("CanonicalPath(%q) (-want +got):\n%s", tt.raw, diff)
		}
		if got.Ambiguous() != (tt.want.Folded != tt.want.Routing) {
			t.Errorf("CanonicalPath(%q).Ambiguous() = %v", tt.raw, got.Ambiguous())
		}
	}
	if n := testing.AllocsPerRun(20, func() { _, _ = match.CanonicalPath("/tickets/1/comments") }); n != 0 {
		t.Errorf("CanonicalPath allocates %v times", n)
	}
}

func TestCanonicalPathRefuses(t *testing.T) {
	for _, raw := range []string{
		"*", "a", "a/b", "http://a/b", " /a", "%2Fa", "\\a",
		// Fragments, queries, and characters that are no part of a target.
		"/a#b", "/a?b", "/#", "/a b", "/a\tb", "/a\r\nb", "/a\x00", "/a\x7f", "/a\\b", "/..\\admin", "/a\u0085b",
		// The same behind percent-encoding.
		"/a%00", "/a%0d%0aX:1", "/a%0A", "/a%09", "/a%7F", "/a%C2%85", "/a%2500", "/a%25250a",
		// Broken encoding.
		"/%", "/%2", "/%zz", "/a%2", "/%u0041", "/% 41", "/%-1",
		// Not UTF-8: Latin-1, overlong forms of "." and "/", surrogates.
		"/%E9", "/\xe9", "/%c0%ae%c0%ae/admin", "/..%c0%afadmin", "/%e0%80%af", "/%ed%a0%80", "/%25c0%25ae",
		// Dot segments that only some back ends see.
		"/public/..;/admin", "/public/..;x=1/admin", "/public/.;/admin", "/public/%2e%2e;/admin", "/public/..%3B/admin", "/public/..%2Fadmin", "/public/..%2fadmin",
		"/public/%2e%2e%2fadmin", "/public/..%5Cadmin", "/public/..%5c..%5cadmin", "/public%2F..%2Fadmin", "/public%2f../admin%2f..",
		"/public/%252e%252e/admin", "/public/%252e%252e%252fadmin", "/public/..%252fadmin", "/public/%25252e%25252e%25252fadmin", "/public/..%255cadmin",
		"/public/..%3f", "/public/..%23x", "/public%3f/.%2Fadmin", "/public%23/..%2fadmin", "/public;%3f/..;/admin", "/public/.%252e/admin", "/public%5c..%5cadmin",
	} {
		if got, err := match.CanonicalPath(raw); !errors.Is(err, match.ErrPath) || got != (match.Path{}) {
			t.Errorf("CanonicalPath(%q) = %+v, %v; want ErrPath", raw, got, err)
		}
	}
}

// checkCanonical states what holds for every path.
func checkCanonical(t interface{ Fatalf(string, ...any) }, raw string) {
	p, err := match.CanonicalPath(raw)
	if err != nil {
		if !errors.Is(err, match.ErrPath) {
			t.Fatalf("CanonicalPath(%q): %v is not ErrPath", raw, err)
		}
		return
	}
	again, err := match.CanonicalPath(p.Forward)
	if err != nil || again != p {
		t.Fatalf("CanonicalPath(%q) = %+v, but what is forwarded is judged as %+v, %v", raw, p, again, err)
	}
	for _, form := range []string{p.Routing, p.Forward, p.Folded} {
		if !strings.HasPrefix(form, "/") || strings.Contains(form, "//") || strings.Contains(form+"/", "/../") || strings.Contains(form+"/", "/./") {
			t.Fatalf("CanonicalPath(%q) = %+v is not clean", raw, p)
		}
	}
	decoded, err := url.PathUnescape(p.Forward)
	if err != nil || strings.Contains(decoded+"/", "/../") || strings.Contains(decoded+"/", "/./") {
		t.Fatalf("CanonicalPath(%q) = %+v, which decodes to %q, %v", raw, p, decoded, err)
	}
	if u, err := url.ParseRequestURI(p.Forward); err != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != decoded {
		t.Fatalf("CanonicalPath(%q) = %+v, which net/url reads as %#v, %v", raw, p, u, err)
	}
}

func TestCanonicalPathIsStable(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"/", "/", ".", "..", "a", "%", "%2e", "%2F", "%5c", "%25", "25", "2e", "2F", ";", "\\", "%20", "é", "%C3%A9", "%00", "?", "#", "%3f", "{", "[", "]", ":", "//", "%3B",
	})
	rapid.Check(t, func(t *rapid.T) {
		checkCanonical(t, "/"+strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), ""))
	})
}

func FuzzCanonicalPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "/a%2Fb", "/a;b/..;/c", "/%252e%252e/", "/%c0%ae", "//a", "/é%20", "/[a]:@", "/a\\b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) { checkCanonical(t, raw) })
}

func FuzzCanonicalHost(f *testing.F) {
	for _, seed := range []string{"", "a.com", "A.com.:80", "[::1]:80", "[::ffff:1.2.3.4]", "a..b", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		host, err := match.CanonicalHost(raw)
		if err != nil {
			if !errors.Is(err, match.ErrHost) {
				t.Fatalf("CanonicalHost(%q): %v is not ErrHost", raw, err)
			}
			return
		}
		bracketed := host
		if strings.Contains(host, ":") {
			bracketed = "[" + host + "]"
		}
		if again, err := match.CanonicalHost(bracketed); err != nil || again != host {
			t.Fatalf("CanonicalHost(%q) = %q, but of that %q, %v", raw, host, again, err)
		}
	})
}
