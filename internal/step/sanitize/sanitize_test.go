package sanitize_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/step/sanitize"
)

// lines reads a header from its text.
func lines(text string) gate.Header {
	var h gate.Header
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			h.Add(name, strings.TrimPrefix(value, " "))
		}
	}
	return h
}

func print(h gate.Header) string {
	var b strings.Builder
	for _, f := range h {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

func exchange(in string) *gate.Exchange {
	return &gate.Exchange{
		In: lines(in), Host: "api.example.com", OutHost: "api.example.com", Scheme: "http",
		Peer: netip.MustParseAddrPort("192.0.2.7:4711"), Client: netip.MustParseAddrPort("192.0.2.7:4711"),
	}
}

// handle returns what is forwarded, without the fields that every request gets.
func handle(t *testing.T, x *gate.Exchange, protected ...string) string {
	t.Helper()
	if err := sanitize.New(protected).Handle(x); err != nil {
		t.Fatal(err)
	}
	var out gate.Header
	for _, f := range x.Out {
		if !strings.HasPrefix(f.Name, "X-Forwarded-") && f.Name != "X-Real-Ip" && f.Name != "Forwarded" {
			out = append(out, f)
		}
	}
	return print(out)
}

func TestForwardsWhatIsTheUpstreams(t *testing.T) {
	in := "Accept: a\nX-One: 1\naccept: b\nAuthorization: Bearer x\nCookie: a=b\nX_Under: 1\nContent-Type: text/plain\nCache-Control: no-cache\nEmpty: \n"
	if diff := cmp.Diff(in, handle(t, exchange(in), "X-User")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAttackHopByHop(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"fields of the connection", "Connection: keep-alive\nKeep-Alive: 5\nProxy-Connection: x\nProxy-Authorization: Basic x\nProxy-Authenticate: x\n" +
			"Transfer-Encoding: chunked\nUpgrade: websocket\nTrailer: X\nHTTP2-Settings: x\nExpect: 100-continue\nContent-Length: 5\nA: b", "A: b\n"},
		{"httpoxy", "Proxy: http://evil.example.com\nA: b", "A: b\n"},
		{"a second Host", "Host: evil.example.com\nA: b", "A: b\n"},
		{"spellings of framing fields", "Transfer_Encoding: chunked\nContent.Length: 5\nTRANSFER-ENCODING: x\nA: b", "A: b\n"},
		{"named by Connection", "Connection: close, X-Hop ,x-other\nX-HOP: 1\nX-Other: 2\nA: b", "A: b\n"},
		{"several Connection lines", "Connection: x-hop\nX-Hop: 1\nConnection: x-other\nX-Other: 2\nA: b", "A: b\n"},
		{"empty options", "Connection: ,, ,\nA: b", "A: b\n"},
		{"TE for trailers stays", "TE: trailers\nConnection: TE\nA: b", "A: b\nTE: trailers\n"},
		{"TE among others", "TE: gzip, Trailers\nTe: deflate;q=0.5\nA: b", "A: b\nTE: trailers\n"},
		{"TE for codings goes", "TE: gzip\nA: b", "A: b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, handle(t, exchange(tt.in))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAttackIdentityHeaderSpoof sends our names in every spelling that a back end may fold to ours.
func TestAttackIdentityHeaderSpoof(t *testing.T) {
	for _, name := range []string{
		"X-User", "x-user", "X_User", "X.User", "x_USER", "X-User_Name", "X_User.Name", "X.User-Name", "x-user-name",
	} {
		for _, trusted := range []bool{false, true} {
			x := exchange(name + ": admin\nA: b\n" + name + ": root")
			x.PeerTrusted = trusted
			if got := handle(t, x, "X-User", "x_user_name"); got != "A: b\n" {
				t.Errorf("%s (trusted %v): forwarded %q", name, trusted, got)
			}
		}
	}
	if got := handle(t, exchange("X-Users: 1\nXUser: 2\nX--User: 3"), "X-User"); got != "X-Users: 1\nXUser: 2\nX--User: 3\n" {
		t.Errorf("other names: forwarded %q", got)
	}
}

// TestAttackConnectionNamesOurField: Connection: X-User cannot take away what is set after this step.
func TestAttackConnectionNamesOurField(t *testing.T) {
	x := exchange("Connection: X-User, X-Forwarded-For, X-Real-Ip, Forwarded\nX-User: admin")
	handle(t, x, "X-User")
	x.Out.Add("X-User", "alice")
	for name, want := range map[string]string{"X-User": "alice", "X-Forwarded-For": "192.0.2.7", "X-Real-Ip": "192.0.2.7"} {
		if got := x.Out.Get(name); got != want || x.Out.Count(name) != 1 {
			t.Errorf("%s is %q, %d times", name, got, x.Out.Count(name))
		}
	}
	if x.Out.Has("Connection") {
		t.Error("Connection was forwarded")
	}
}

// TestAttackTrailer: our names cannot come after the body either.
func TestAttackTrailer(t *testing.T) {
	x := exchange("Trailer: X-Sum, X-User,x_user\nTrailer: X-Forwarded-For, , Content-Length, X Bad, X-More")
	x.Length, x.PeerTrusted = -1, true
	x.Trailer = func() gate.Header {
		return lines("X-Sum: 1\nX-User: admin\nx_user: admin\nX-Forwarded-For: 10.0.0.1\nContent-Length: 5")
	}
	if got := handle(t, x, "X-User"); got != "Trailer: X-Sum, X-More\n" {
		t.Errorf("announced %q", got)
	}
	if got := print(x.Trailer()); got != "X-Sum: 1\n" {
		t.Errorf("trailer %q", got)
	}
}

func TestAttackInvalidFields(t *testing.T) {
	valid := gate.Field{Name: "A", Value: "ok \t\xff"}
	for _, pair := range [][2]string{
		{"", "x"}, {"X User", "x"}, {"X-User:", "x"}, {"X-User\x00", "x"}, {"X\tU", "x"}, {"X-Üser", "x"}, {":path", "/"}, {"X(", "x"},
		{"A", "x\r\nX-User: admin"}, {"A", "x\ny"}, {"A", "x\x00"}, {"A", "\x7f"}, {"A", " x"}, {"A", "x\t"}, {"Connection", "x\x01"},
	} {
		f := gate.Field{Name: pair[0], Value: pair[1]}
		x := exchange("")
		x.In = gate.Header{valid, f}
		err := sanitize.New(nil).Handle(x)
		if gate.AsDenial(err).Reason != gate.ReasonBadForwarding {
			t.Errorf("%q: %v", f, err)
		}
	}
	x := exchange("")
	x.In = gate.Header{valid}
	if got := handle(t, x); got != "A: ok \t\xff\n" {
		t.Errorf("valid field became %q", got)
	}
}

// TestAttackConnectionOptionFlood: each option is looked for in the whole header, so their number is bounded.
func TestAttackConnectionOptionFlood(t *testing.T) {
	x := exchange("Connection: " + strings.Repeat("a,", 32) + "b")
	if err := sanitize.New(nil).Handle(x); gate.AsDenial(err).Reason != gate.ReasonBadForwarding {
		t.Error(err)
	}
	handle(t, exchange("Connection: "+strings.Repeat("a,", 32)+strings.Repeat("close,", 1000)))
}

func TestDescribesTheRequest(t *testing.T) {
	spoofed := `
		X-Forwarded-For: 10.0.0.1
		X_Forwarded_For: 10.0.0.2
		X.Forwarded-For: 10.0.0.3
		x-forwarded-for: 10.0.0.4
		X-Forwarded-Proto: https
		X-Forwarded-Host: admin.example.com
		X-Forwarded-Port: 443
		X-Forwarded-Prefix: /admin
		X-Forwarded-Uri: /admin
		X-Forwarded-Method: GET
		X-Forwarded-User: admin
		X-Forwarded-Client-Cert: Hash=00
		X-Forwarded: for=10.0.0.1
		X-Real-Ip: 10.0.0.1
		X_Real_Ip: 10.0.0.1
		True-Client-Ip: 10.0.0.1
		Client-Ip: 10.0.0.1
		X-Original-Url: /admin
		X-Rewrite-Url: /admin
		Forwarded: for=10.0.0.1;host=admin.example.com
		A: b`
	ours := func(peer, host, port, proto, forwarded string) string {
		return "X-Forwarded-For: " + peer + "\nX-Forwarded-Proto: " + proto + "\nX-Forwarded-Host: " + host + "\nX-Forwarded-Port: " + port +
			"\nX-Real-Ip: " + peer + "\nForwarded: " + forwarded + "\n"
	}
	for _, tt := range []struct {
		name   string
		in     string
		change func(*gate.Exchange)
		want   string
	}{
		{"nothing sent", "", nil, ours("192.0.2.7", "api.example.com", "80", "http", `for=192.0.2.7;host="api.example.com";proto=http`)},
		{"attack: spoofed by a client", spoofed, nil,
			"A: b\n" + ours("192.0.2.7", "api.example.com", "80", "http", `for=192.0.2.7;host="api.example.com";proto=http`)},
		{"https, port, IPv6", "", func(x *gate.Exchange) {
			x.Scheme, x.OutHost, x.Peer = "https", "[2001:db8::2]:8443", netip.MustParseAddrPort("[2001:db8::1%eth0]:1")
			x.Client = x.Peer
		}, ours("2001:db8::1", "[2001:db8::2]:8443", "8443", "https", `for="[2001:db8::1]";host="[2001:db8::2]:8443";proto=https`)},
		{"IPv6 host without port", "", func(x *gate.Exchange) { x.OutHost = "[2001:db8::2]" },
			ours("192.0.2.7", "[2001:db8::2]", "80", "http", `for=192.0.2.7;host="[2001:db8::2]";proto=http`)},
		{"IPv4 in IPv6", "", func(x *gate.Exchange) {
			x.Peer = netip.MustParseAddrPort("[::ffff:192.0.2.9]:1")
			x.Client = x.Peer
		}, ours("192.0.2.9", "api.example.com", "80", "http", `for=192.0.2.9;host="api.example.com";proto=http`)},
		{"attack: a host that ends its quotes", "", func(x *gate.Exchange) { x.OutHost = `a";for=10.0.0.1;x="\` },
			ours("192.0.2.7", `a";for=10.0.0.1;x="\`, "80", "http", `for=192.0.2.7;host="a\";for=10.0.0.1;x=\"\\";proto=http`)},
		{"no peer", "", func(x *gate.Exchange) { x.Peer, x.Client = netip.AddrPort{}, netip.AddrPort{} },
			ours("unknown", "api.example.com", "80", "http", `for=unknown;host="api.example.com";proto=http`)},
		{"from a trusted proxy", `
			X-Forwarded-For: 203.0.113.5
			X_Forwarded_For: 10.0.0.2
			x-forwarded-for: 198.51.100.1
			X-Forwarded-Proto: https
			X-Forwarded-Host: www.example.com
			X-Forwarded-Prefix: /shop
			X-Real-Ip: 10.0.0.1
			Forwarded: for=203.0.113.5;proto=https, for=198.51.100.1`, func(x *gate.Exchange) {
			x.PeerTrusted, x.Client = true, netip.MustParseAddrPort("203.0.113.5:0")
		}, "X-Forwarded-For: 203.0.113.5, 198.51.100.1, 192.0.2.7\nX-Forwarded-Proto: https\nX-Forwarded-Host: www.example.com\n" +
			"X-Forwarded-Prefix: /shop\nX-Real-Ip: 203.0.113.5\n" +
			`Forwarded: for=203.0.113.5;proto=https, for=198.51.100.1, for=192.0.2.7;host="api.example.com";proto=http` + "\nX-Forwarded-Port: 80\n"},
		{"attack: an open quote behind a trusted proxy", "Forwarded: for=\"10.0.0.1\nForwarded: for=10.0.0.2\nForwarded: for=\"a\\\"", func(x *gate.Exchange) {
			x.PeerTrusted = true
		}, `Forwarded: for=10.0.0.2, for=192.0.2.7;host="api.example.com";proto=http` + "\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n" +
			"X-Forwarded-Host: api.example.com\nX-Forwarded-Port: 80\nX-Real-Ip: 192.0.2.7\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := exchange(tt.in)
			if tt.change != nil {
				tt.change(x)
			}
			if err := sanitize.New(nil).Handle(x); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, print(x.Out)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestNothingProtectedGetsThrough is the promise of the package, for all headers.
func TestNothingProtectedGetsThrough(t *testing.T) {
	protected := []string{"X-User", "X-Auth-Request-Groups-Of-The-Person-Who-Calls-In-A-Name-That-Is-Longer-Than-Any-Buffer-And-Then-Some-More-Of-It-So-That-It-Fits"}
	step := sanitize.New(protected)
	folded := map[string]bool{}
	for _, name := range protected {
		folded[gate.FoldName(name)] = true
	}
	name := rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9._-]{1,20}`),
		rapid.StringMatching(`[Xx][._-][Uu][Ss]er`),
		rapid.SampledFrom(append([]string{"Connection", "TE", "X-Forwarded-For", "X_forwarded.proto", strings.ToUpper(protected[1]), strings.ReplaceAll(protected[1], "-", "_")}, protected...)),
	)
	rapid.Check(t, func(t *rapid.T) {
		x := exchange("")
		for range rapid.IntRange(0, 12).Draw(t, "lines") {
			x.In.Add(name.Draw(t, "name"), rapid.StringMatching(`[a-zA-Z-]{0,10}`).Draw(t, "value"))
		}
		before := print(x.In)
		if err := step.Handle(x); err != nil {
			t.Fatal(err)
		}
		for _, f := range x.Out {
			if folded[gate.FoldName(f.Name)] || gate.EqualName(f.Name, "Connection") {
				t.Fatalf("%s was forwarded", f.Name)
			}
		}
		if x.Out.Get("X-Forwarded-For") != "192.0.2.7" || x.Out.Count("X-Forwarded-For") != 1 {
			t.Fatalf("X-Forwarded-For: %s", print(x.Out))
		}
		if print(x.In) != before {
			t.Fatal("the received header was changed")
		}
	})
}

func usual() *gate.Exchange {
	return exchange(`
		User-Agent: curl/8
		Accept: */*
		Authorization: Bearer xxx
		Connection: keep-alive
		Content-Type: application/json
		Content-Length: 12
		X-User: admin
		X-Forwarded-For: 10.0.0.1`)
}

func TestAllocations(t *testing.T) {
	step, x := sanitize.New([]string{"X-User", "X-Group"}), usual()
	if n := testing.AllocsPerRun(100, func() { _ = step.Handle(x) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestAllocationsBehindProxy: what a proxy has said is continued in new texts, one for each of the three fields that depend on the client.
func TestAllocationsBehindProxy(t *testing.T) {
	step, x := sanitize.New(nil), exchange(`
		X-Forwarded-For: 198.51.100.7
		Forwarded: for=198.51.100.7;proto=https
		X-Forwarded-Proto: https`)
	x.PeerTrusted = true
	clients := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.7:1"), netip.MustParseAddrPort("198.51.100.8:1")}
	i := 0
	if n := testing.AllocsPerRun(100, func() {
		i++
		x.Client = clients[i%2]
		_ = step.Handle(x)
	}); n > 3 {
		t.Errorf("%v allocations", n)
	}
	if got := x.Out.Get("X-Forwarded-For"); got != "198.51.100.7, 192.0.2.7" {
		t.Errorf("X-Forwarded-For: %s", got)
	}
}

// TestAttackStaleHop: an exchange that is used again says where its own request came from, whatever the one before said.
func TestAttackStaleHop(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.7:4711"), netip.MustParseAddrPort("192.0.2.8:4711")
	long := strings.Repeat("a.", 200) + "example.com"
	step, reused := sanitize.New(nil), new(gate.Exchange)
	for i, from := range []gate.Exchange{
		{Peer: a, Client: a, OutHost: "one.example.com", Scheme: "http"},
		{Peer: a, Client: a, OutHost: "one.example.com", Scheme: "http"},
		{Peer: b, Client: b, OutHost: "one.example.com", Scheme: "http"},
		{Peer: b, Client: a, OutHost: "one.example.com", Scheme: "http"},
		{Peer: b, Client: a, OutHost: "two.example.com", Scheme: "http"},
		{Peer: b, Client: b, OutHost: "two.example.com", Scheme: "http"},
		{Peer: b, OutHost: "two.example.com", Scheme: "http"},
		{Peer: b, Client: netip.AddrPortFrom(a.Addr().Next(), 1), OutHost: "two.example.com", Scheme: "http"},
		{Peer: b, Client: netip.AddrPortFrom(a.Addr(), 1), OutHost: "two.example.com", Scheme: "http"},
		{Peer: b, Client: a, OutHost: "two.example.com", Scheme: "https"},
		{Peer: b, Client: a, OutHost: long, Scheme: "https"},
		{Peer: a, Client: a, OutHost: long, Scheme: "https"},
		{Peer: a, Client: a, OutHost: "", Scheme: "https"},
		{OutHost: "one.example.com", Scheme: "http"},
		{Peer: a, Client: a, OutHost: "one.example.com", Scheme: "http"},
	} {
		fresh := from
		reused.Reset()
		reused.Peer, reused.Client, reused.OutHost, reused.Scheme = from.Peer, from.Client, from.OutHost, from.Scheme
		for _, x := range []*gate.Exchange{&fresh, reused} {
			if err := step.Handle(x); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(print(fresh.Out), print(reused.Out)); diff != "" {
			t.Errorf("request %d (-new exchange +used before):\n%s", i, diff)
		}
		if len(reused.Hop.Host) > 300 {
			t.Error("a long host is kept in memory")
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	step, x := sanitize.New([]string{"X-User", "X-Group"}), usual()
	b.ReportAllocs()
	for b.Loop() {
		if err := step.Handle(x); err != nil {
			b.Fatal(err)
		}
	}
}
