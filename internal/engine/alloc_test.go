package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/proxy"
	"github.com/jotgate/jotgate/jose"
)

// answering is the end of a request's way without a network: what is measured is everything before and after it.
type answering struct {
	body     []byte
	requests int
}

func (a *answering) Forward(x *gate.Exchange) error {
	a.requests++
	x.Server, x.Attempts = "http://192.0.2.9:9000", 1
	x.Reply.Add("Content-Type", "application/json")
	x.Reply.Add("X-Up", "1")
	if err := x.WriteHead(200, 2); err != nil {
		return err
	}
	n, err := x.Writer.Write(a.body)
	x.Sent += int64(n)
	return err
}

// nobody is a client that takes everything.
type nobody struct{ status int }

func (n *nobody) Informational(int, gate.Header) error            { return nil }
func (n *nobody) Head(status int, _ gate.Header, _ int64) error   { n.status = status; return nil }
func (n *nobody) Write(p []byte) (int, error)                     { return len(p), nil }
func (n *nobody) Flush() error                                    { return nil }
func (n *nobody) Trailer(gate.Header) error                       { return nil }
func (n *nobody) Upgrade(gate.Header) (io.ReadWriteCloser, error) { return nil, io.ErrClosedPipe }
func (n *nobody) Abort()                                          {}

const measured = `
listeners: [{name: web, address: "127.0.0.1:0"}]
providers:
  - {name: idp, issuer: "https://id.example.com", secret: a secret of more than thirty-two bytes, audiences: [tickets], algorithms: [HS256]}
upstreams: [{name: up, servers: [{url: "http://127.0.0.1:9"}]}]
apis:
  - name: tickets
    match: Host(` + "`api.example.com`) && PathPrefix(`/tickets`)" + `
    upstream: up
    auth:
      jwt:
        providers: [idp]
        from: [{header: Authorization}, {header: X-Token}, {cookie: token}, {query: jwt}]
        scopes: [tickets:read]
        claims: Equals(` + "`grp`, `admin`)" + `
        forwardHeaders: {X-User: sub, X-Group: grp, X-Role: roles}
        stripAuthorization: true
    cors: {allowOrigins: ["https://app.example.com"], allowCredentials: true, exposeHeaders: [X-Up]}
    public: [{path: /tickets/health}]
    timeout: 30s
`

// limited limits each user of the measured API, and all of them together.
const limited = `    limits:
      - {name: each, per: [identity], rate: {limit: 1000000}}
      - {name: all, quota: {limit: 1000000000, period: 24h}}
`

// noted is a record of usage as the management API keeps one: it only counts here.
type noted struct{ records int }

func (n *noted) Record(*gate.Exchange, time.Duration) { n.records++ }

// nobodyRevoked are revocations that are asked at every request.
type nobodyRevoked struct{ asked int }

func (n *nobodyRevoked) Check(*gate.Identity, time.Time) (uint64, error) { return 1, nil }
func (n *nobodyRevoked) Generation() uint64                              { n.asked++; return 1 }

// bench is an engine whose upstream answers at once.
type bench struct {
	*Engine
	access   *observe.AccessLog
	upstream *answering
	client   nobody
	x        gate.Exchange
	token    string
	proxied  bool
	usage    noted
	revoked  nobodyRevoked
}

// newBench makes one with the measured API, to which more of its settings may be added.
func newBench(tb testing.TB, log gate.Log, more ...string) *bench {
	tb.Helper()
	logger := slog.New(slog.DiscardHandler)
	b := &bench{access: observe.NewAccessLog(io.Discard), upstream: &answering{body: []byte("{}")}}
	b.access.Configure(log)
	options := Options{
		Log: logger, Metrics: observe.NewMetrics("test"), Access: b.access,
		Keys: keys.NewManager(keys.Options{Log: logger}), Proxy: proxy.NewManager(proxy.Options{Log: logger}),
		Counters: limit.NewMemory(0), Usage: &b.usage, Revocations: &b.revoked,
	}
	b.Engine = New(options)
	tb.Cleanup(func() {
		b.Close()
		options.Keys.Close()
		options.Proxy.Close()
		b.access.Close()
	})
	result := native.Load("test.yaml", []byte(measured+strings.Join(more, "")), tb.TempDir(), nil)
	if err := result.Problems.Err(); err != nil {
		tb.Fatal(err)
	}
	snapshot, problems := b.Prepare(result.Config)
	if snapshot == nil {
		tb.Fatal(problems)
	}
	b.fill("GET")
	found, err := snapshot.route(&b.x)
	if err != nil {
		tb.Fatal(err)
	}
	found.upstream = b.upstream
	b.Swap(snapshot)
	key, err := jose.NewSecretSigningKey([]byte("a secret of more than thirty-two bytes"), jose.SecretOptions{Algorithm: jose.HS256})
	if err != nil {
		tb.Fatal(err)
	}
	payload := fmt.Sprintf(`{"iss":"https://id.example.com","aud":"tickets","sub":"alice","grp":"admin","scope":"tickets:read","roles":["a","b"],"exp":%d}`,
		time.Now().Add(time.Hour).Unix())
	if b.token, err = key.Sign([]byte(payload), jose.SigningHeader{}); err != nil {
		tb.Fatal(err)
	}
	b.token = "Bearer " + b.token
	return b
}

// fill does what a server does with the exchange of a connection.
func (b *bench) fill(method string) {
	x := &b.x
	x.Reset()
	x.Context, x.Start, x.Listener, x.Writer, x.Body = context.Background(), time.Now(), "web", &b.client, http.NoBody
	x.Method, x.Proto, x.Scheme, x.Host, x.Target = method, 11, "http", "api.example.com", "/tickets/4711?page=2&sort=name"
	x.Peer = netip.MustParseAddrPort("192.0.2.1:4711")
	x.Client = x.Peer
	x.In.Add("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	x.In.Add("Accept", "*/*")
	x.In.Add("X-Role", "root")
	x.In.Add("X-Data", "1") // of the length of a header that is set
	x.In.Add("Origin", "https://app.example.com")
	x.In.Add("Cookie", "lang=en; theme=dark")
	x.In.Add("Connection", "keep-alive")
	x.In.Add("Authorization", b.token)
	if b.proxied {
		x.PeerTrusted, x.Client = true, netip.MustParseAddrPort("198.51.100.7:0")
		x.In.Add("X-Forwarded-For", "198.51.100.7")
		x.In.Add("Forwarded", "for=198.51.100.7;proto=https")
	}
}

// serve serves one request and returns the status of the answer.
func (b *bench) serve() int {
	b.fill("GET")
	b.Serve(&b.x)
	return b.client.status
}

// TestHitAllocations: a request with a token seen before costs no memory, from the route to the access line.
func TestHitAllocations(t *testing.T) {
	for _, tt := range []struct {
		name  string
		log   gate.Log
		proxy bool // the request comes from a trusted proxy
		more  string
	}{
		{"no access log", gate.Log{}, false, ""},
		{"access log", gate.Log{Access: true}, false, ""},
		{"access log with subject", gate.Log{Access: true, AccessSubject: true}, true, ""},
		{"limits", gate.Log{}, false, limited},
		{"everything", gate.Log{Access: true, AccessSubject: true}, true, limited},
		{"limits in other fields", gate.Log{Access: true}, false, limited + "limits: {headers: quota}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.log, tt.more)
			b.proxied = tt.proxy
			if n := testing.AllocsPerRun(1000, func() {
				if status := b.serve(); status != 200 {
					t.Fatalf("status %d, %v", status, b.x.Denial)
				}
			}); n != 0 && !raceDetector {
				t.Errorf("%v allocations", n)
			}
			if b.upstream.requests < 1000 || b.x.Out.Get("X-User") != "alice" || b.x.Out.Count("X-Role") != 2 || b.x.Out.Has("Authorization") ||
				tt.proxy && b.x.Out.Get("X-Forwarded-For") != "198.51.100.7, 192.0.2.1" {
				t.Errorf("%d requests, the last one was %v", b.upstream.requests, b.x.Out)
			}
			if b.usage.records < 1000 || b.revoked.asked < 1000 {
				t.Errorf("%d records of usage, %d questions about revocations", b.usage.records, b.revoked.asked)
			}
			if told := b.x.Reply.Has("RateLimit") || b.x.Reply.Has("X-RateLimit-Remaining"); told != (tt.more != "") {
				t.Errorf("the answer was %v", b.x.Reply)
			}
			if status := b.TokenCache(); status.Hits < 1000 || status.Misses != 1 {
				t.Errorf("%+v", status)
			}
		})
	}
}

// TestManyAPIsAllocateNothing: what the first request of an API makes stays, however many there are.
func TestManyAPIsAllocateNothing(t *testing.T) {
	const n = 1000
	b := newBench(t, gate.Log{Access: true})
	var text strings.Builder
	text.WriteString("listeners: [{name: web, address: \"127.0.0.1:0\"}]\nupstreams: [{name: up, servers: [{url: \"http://127.0.0.1:9\"}]}]\napis:\n")
	targets := make([]string, n)
	for i := range targets {
		targets[i] = fmt.Sprintf("/api-%05d", i)
		fmt.Fprintf(&text, "  - {name: api-%d, match: \"PathPrefix(`%s`)\", upstream: up, auth: {anonymous: true}}\n", i, targets[i])
	}
	result := native.Load("test.yaml", []byte(text.String()), t.TempDir(), nil)
	if err := result.Problems.Err(); err != nil {
		t.Fatal(err)
	}
	snapshot, problems := b.Prepare(result.Config)
	if snapshot == nil {
		t.Fatal(problems)
	}
	for _, target := range targets {
		b.fill("GET")
		b.x.Target = target
		found, err := snapshot.route(&b.x)
		if err != nil {
			t.Fatal(err)
		}
		found.upstream = b.upstream
	}
	b.Swap(snapshot)
	all := func() {
		for _, target := range targets {
			b.fill("GET")
			b.x.Target = target
			if b.Serve(&b.x); b.client.status != 200 {
				t.Fatalf("status %d, %v", b.client.status, b.x.Denial)
			}
		}
	}
	if got := testing.AllocsPerRun(10, all); got > n/100 && !raceDetector { // the access log may need more memory for what waits
		t.Errorf("%v allocations for %d requests", got, n)
	}
}

// BenchmarkHit is all that the gateway does to a request with a token seen before, but for the network.
func BenchmarkHit(bb *testing.B) {
	for _, tt := range []struct {
		name   string
		access bool
		more   string
	}{{"bare", false, ""}, {"access", true, ""}, {"limits", false, limited}, {"everything", true, limited}} {
		bb.Run(tt.name, func(bb *testing.B) {
			b := newBench(bb, gate.Log{Access: tt.access}, tt.more)
			bb.ReportAllocs()
			for bb.Loop() {
				if status := b.serve(); status != 200 {
					bb.Fatal(status)
				}
			}
		})
	}
}
