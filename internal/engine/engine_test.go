package engine_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/proxy"
	"github.com/jotgate/jotgate/jose"
)

const secret = "a secret of more than thirty-two bytes"

// recorder is the client's end of an exchange.
type recorder struct {
	status  int
	header  gate.Header
	body    strings.Builder
	aborted bool
}

func (r *recorder) Informational(int, gate.Header) error { return nil }
func (r *recorder) Head(status int, header gate.Header, _ int64) error {
	r.status = status
	r.header = append(gate.Header(nil), header...)
	return nil
}
func (r *recorder) Write(p []byte) (int, error)                     { return r.body.Write(p) }
func (r *recorder) Flush() error                                    { return nil }
func (r *recorder) Trailer(gate.Header) error                       { return nil }
func (r *recorder) Upgrade(gate.Header) (io.ReadWriteCloser, error) { return nil, io.ErrClosedPipe }
func (r *recorder) Abort()                                          { r.aborted = true }

type gateway struct {
	*engine.Engine
	upstream string
	seen     atomic.Pointer[http.Request]
	calls    atomic.Int64
}

func newGateway(t *testing.T, more ...func(*engine.Options)) *gateway {
	t.Helper()
	g := new(gateway)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.calls.Add(1)
		if wait := r.URL.Query().Get("wait"); wait != "" {
			d, _ := time.ParseDuration(wait)
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
		g.seen.Store(r)
		_, _ = io.WriteString(w, "hello from the upstream")
	}))
	g.upstream = server.URL
	log := slog.New(slog.DiscardHandler)
	options := engine.Options{
		Log: log, Metrics: observe.NewMetrics("test"), Access: observe.NewAccessLog(io.Discard),
		Keys: keys.NewManager(keys.Options{Log: log}), Proxy: proxy.NewManager(proxy.Options{Log: log}),
	}
	for _, change := range more {
		change(&options)
	}
	g.Engine = engine.New(options)
	t.Cleanup(func() {
		g.Close()
		options.Keys.Close()
		options.Proxy.Close()
		options.Access.Close()
		server.Close()
	})
	return g
}

func (g *gateway) parse(t *testing.T, document string) *gate.Config {
	t.Helper()
	document = strings.NewReplacer("UPSTREAM", g.upstream, "SECRET", secret, "\t", "  ").Replace(document)
	result := native.Load("test.yaml", []byte(document), t.TempDir(), nil)
	if err := result.Problems.Err(); err != nil {
		t.Fatal(err)
	}
	return result.Config
}

func (g *gateway) use(t *testing.T, document string) {
	t.Helper()
	snapshot, problems := g.Prepare(g.parse(t, document))
	if snapshot == nil {
		t.Fatal(problems)
	}
	g.Swap(snapshot)
}

func newExchange(method, url string, header ...string) (*gate.Exchange, *recorder) {
	host, target, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	client := new(recorder)
	x := &gate.Exchange{
		Context: context.Background(), Start: time.Now(), Listener: "web", Method: method, Proto: 11, Scheme: "http", Host: host, Target: "/" + target,
		Peer: netip.MustParseAddrPort("192.0.2.1:4711"), Client: netip.MustParseAddrPort("192.0.2.1:4711"), Body: http.NoBody, Writer: client,
	}
	for i := 0; i+1 < len(header); i += 2 {
		x.In.Add(header[i], header[i+1])
	}
	return x, client
}

func (g *gateway) do(method, url string, header ...string) (*gate.Exchange, *recorder) {
	x, client := newExchange(method, url, header...)
	g.Serve(x)
	return x, client
}

func token(t *testing.T, claims map[string]any) string {
	t.Helper()
	key, err := jose.NewSecretSigningKey([]byte(secret), jose.SecretOptions{Algorithm: jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"iss": "https://id.example.com", "aud": "tickets", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := key.Sign(payload, jose.SigningHeader{})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

const document = `
listeners: [{name: web, address: "127.0.0.1:0"}, {name: other, address: "127.0.0.1:0"}]
providers:
  - {name: idp, issuer: "https://id.example.com", secret: SECRET, audiences: [tickets], algorithms: [HS256]}
upstreams:
  - {name: up, servers: [{url: UPSTREAM}]}
apis:
  - name: tickets
    match: Host(` + "`api.example.com`) && PathPrefix(`/tickets`)" + `
    upstream: up
    realm: my tickets
    auth:
      jwt:
        providers: [idp]
        scopes: [tickets:read]
        claims: Equals(` + "`grp`, `admin`)" + `
        forwardHeaders: {X-User: sub}
        stripAuthorization: true
    public: [{path: /tickets/health}, {pathPrefix: /tickets/public, methods: [GET, POST]}]
    maxBodyBytes: 10B
    timeout: 300ms
  - name: open
    match: PathPrefix(` + "`/open`)" + `
    upstream: up
    auth: {anonymous: true}
    answers: bare
  - name: elsewhere
    match: PathPrefix(` + "`/elsewhere`)" + `
    listeners: [other]
    upstream: up
    auth: {anonymous: true}
`

func TestServe(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	good := token(t, map[string]any{"grp": "admin", "scope": "tickets:read x"})
	const api = "http://api.example.com"
	for _, test := range []struct {
		name   string
		method string
		url    string
		header []string
		status int
		reason gate.Reason // "" if the request is forwarded
	}{
		{"good token", "GET", api + "/tickets/1", []string{"Authorization", "Bearer " + good}, 200, ""},
		{"no token", "GET", api + "/tickets/1", nil, 401, gate.ReasonTokenMissing},
		{"bad token", "GET", api + "/tickets/1", []string{"Authorization", "Bearer x"}, 401, gate.ReasonTokenMalformed},
		{"expired", "GET", api + "/tickets", []string{"Authorization", "Bearer " + token(t, map[string]any{"exp": 1})}, 401, gate.ReasonExpired},
		{"claims", "GET", api + "/tickets", []string{"Authorization", "Bearer " + token(t, map[string]any{"grp": "dev", "scope": "tickets:read"})}, 403, gate.ReasonClaims},
		{"scope", "GET", api + "/tickets", []string{"Authorization", "Bearer " + token(t, map[string]any{"grp": "admin"})}, 403, gate.ReasonScope},
		{"public path", "GET", api + "/tickets/health", nil, 200, ""},
		{"public path, other method", "POST", api + "/tickets/health", nil, 401, gate.ReasonTokenMissing},
		{"public path is exact", "GET", api + "/tickets/health/x", nil, 401, gate.ReasonTokenMissing},
		{"public prefix", "POST", api + "/tickets/public/a/b", nil, 200, ""},
		{"public prefix ends at a slash", "GET", api + "/tickets/publications", nil, 401, gate.ReasonTokenMissing},
		{"public path by dot segments", "GET", api + "/tickets/public/../secret", nil, 401, gate.ReasonTokenMissing},
		{"public path by encoded dot segments", "GET", api + "/tickets/public/%2e%2e/secret", nil, 401, gate.ReasonTokenMissing},
		{"encoded slash that changes the verdict", "GET", api + "/tickets%2Fhealth", nil, 400, gate.ReasonBadTarget},
		{"path parameter that changes the verdict", "GET", api + "/tickets;/health", nil, 400, gate.ReasonBadTarget},
		{"hidden dot segment", "GET", api + "/tickets/public/..%2f..%2fx", nil, 400, gate.ReasonBadTarget},
		{"encoded slash that changes nothing", "GET", api + "/open/a%2Fb", nil, 200, ""},
		{"anonymous", "GET", "http://any/open/x", nil, 200, ""},
		{"no route", "GET", "http://any/nowhere", nil, 404, gate.ReasonNoRoute},
		{"other host", "GET", "http://evil.example.com/tickets/1", []string{"Authorization", "Bearer " + good}, 404, gate.ReasonNoRoute},
		{"host with final dot and port", "GET", "http://API.example.com.:8080/tickets/1", []string{"Authorization", "Bearer " + good}, 200, ""},
		{"api of another listener", "GET", "http://any/elsewhere", nil, 404, gate.ReasonNoRoute},
		{"bad host", "GET", "http://a b/open", nil, 400, gate.ReasonBadHost},
		{"method that echoes", "TRACE", "http://any/open/x", nil, 501, gate.ReasonMethod},
		{"two tokens", "GET", api + "/tickets", []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, 400, gate.ReasonTokenAmbiguous},
		{"fragment", "GET", "http://any/open?a#b", nil, 400, gate.ReasonBadTarget},
		{"control character in the query", "GET", "http://any/open?a\x01b", nil, 400, gate.ReasonBadTarget},
		{"bad encoding", "GET", "http://any/open/%zz", nil, 400, gate.ReasonBadTarget},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := g.calls.Load()
			x, client := g.do(test.method, test.url, test.header...)
			if client.status != test.status {
				t.Errorf("status %d, want %d; %s", client.status, test.status, client.body.String())
			}
			var reason gate.Reason
			if x.Denial != nil {
				reason = x.Denial.Reason
			}
			if reason != test.reason {
				t.Errorf("reason %q, want %q", reason, test.reason)
			}
			if forwarded := g.calls.Load() != before; forwarded != (test.reason == "") {
				t.Errorf("the upstream was reached: %v", forwarded)
			}
		})
	}
}

func TestForwardedRequest(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	good := token(t, map[string]any{"grp": "admin", "scope": "tickets:read"})
	_, client := g.do("GET", "http://api.example.com/tickets/a%2Fb//c/./d%41?q=%31&r=;", "Authorization", "Bearer "+good, "X-User", "mallory", "x_user", "mallory", "X.User", "mallory", "Connection", "X-User")
	if client.status != 200 || client.body.String() != "hello from the upstream" {
		t.Fatalf("status %d: %s", client.status, client.body.String())
	}
	r := g.seen.Load()
	if got, want := r.RequestURI, "/tickets/a%2Fb/c/dA?q=%31&r=;"; got != want {
		t.Errorf("the upstream saw %q, want %q", got, want)
	}
	if got := r.Header["X-User"]; !cmp.Equal(got, []string{"alice"}) {
		t.Errorf("X-User is %q", got)
	}
	for name := range r.Header {
		if name != "X-User" && gate.FoldName(name) == "x-user" || name == "Authorization" {
			t.Errorf("the upstream got %s: %q", name, r.Header[name])
		}
	}
}

func TestTokensAreStrippedOnPublicPathsToo(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	if _, client := g.do("GET", "http://api.example.com/tickets/health", "Authorization", "Bearer forged"); client.status != 200 {
		t.Fatalf("status %d", client.status)
	}
	if got := g.seen.Load().Header["Authorization"]; got != nil {
		t.Errorf("the upstream got a token that nobody has verified: %q", got)
	}
}

func TestForwardedHostIsTheRoutedOne(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	good := token(t, map[string]any{"grp": "admin", "scope": "tickets:read"})
	for sent, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.COM.:8080": "api.example.com:8080", "api.example.com:8080": "api.example.com:8080",
	} {
		if _, client := g.do("GET", "http://"+sent+"/tickets", "Authorization", "Bearer "+good); client.status != 200 || g.seen.Load().Host != want {
			t.Errorf("Host %s: status %d, the upstream saw %s, want %s", sent, client.status, g.seen.Load().Host, want)
		}
	}
}

// A connection may be older than the configuration. It gets what the new one serves everywhere.
func TestRequestFromAListenerThatIsNoMore(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	for url, want := range map[string]int{"http://any/open/x": 200, "http://any/elsewhere": 404} {
		x, client := newExchange("GET", url)
		x.Listener = "renamed"
		if g.Serve(x); client.status != want {
			t.Errorf("%s: %d, want %d", url, client.status, want)
		}
	}
}

func TestIdentityHeadersAreRemovedOnEveryRoute(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	for _, url := range []string{"http://any/open/x", "http://api.example.com/tickets/health"} {
		if _, client := g.do("GET", url, "X-User", "mallory", "X_USER", "mallory"); client.status != 200 {
			t.Fatalf("%s: status %d", url, client.status)
		}
		for name := range g.seen.Load().Header {
			if gate.FoldName(name) == "x-user" {
				t.Errorf("%s: the upstream got the client's %s", url, name)
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	_, client := g.do("GET", "http://api.example.com/tickets", "Authorization", "Bearer "+token(t, map[string]any{"exp": 1}))
	want := gate.Header{
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "WWW-Authenticate", Value: `Bearer realm="my tickets", error="invalid_token", error_description="The token has expired"`},
		{Name: "Content-Type", Value: "application/problem+json"},
	}
	if diff := cmp.Diff(want, client.header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if got, want := client.body.String(), `{"title":"Unauthorized","status":401,"detail":"The token has expired","reason":"token_expired"}`; got != want {
		t.Errorf("body %s\nwant %s", got, want)
	}
	_, client = g.do("GET", "http://api.example.com/tickets")
	if got, want := client.header.Get("WWW-Authenticate"), `Bearer realm="my tickets"`; got != want {
		t.Errorf("without credentials: %s, want %s (no error code: RFC 6750 section 3.1)", got, want)
	}
	_, client = g.do("GET", "http://api.example.com/tickets", "Authorization", "Bearer "+token(t, map[string]any{"grp": "admin"}))
	if got, want := client.header.Get("WWW-Authenticate"), `Bearer realm="my tickets", error="insufficient_scope", error_description="The token's scope does not cover the request", scope="tickets:read"`; got != want {
		t.Errorf("without scope: %s\nwant %s", got, want)
	}
	_, client = g.do("GET", "http://api.example.com/tickets", "Authorization", "Bearer a", "Authorization", "Bearer b")
	if got, want := client.header.Get("WWW-Authenticate"), `Bearer realm="my tickets", error="invalid_request", error_description="More than one token or API key was sent"`; got != want {
		t.Errorf("with two tokens: %s\nwant %s", got, want)
	}
	_, client = g.do("HEAD", "http://api.example.com/tickets")
	if client.status != 401 || client.body.Len() != 0 {
		t.Errorf("HEAD: status %d, body %q", client.status, client.body.String())
	}
}

func TestPreflightNeedsNoToken(t *testing.T) {
	g := newGateway(t)
	g.use(t, strings.Replace(document, "    realm: my tickets\n", "    realm: my tickets\n    cors: {allowOrigins: [\"https://app.example.com\"], allowCredentials: true}\n", 1))
	before := g.calls.Load()
	_, client := g.do("OPTIONS", "http://api.example.com/tickets", "Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT")
	if client.status != 204 || client.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || g.calls.Load() != before {
		t.Errorf("preflight: %d %v", client.status, client.header)
	}
	_, client = g.do("GET", "http://api.example.com/tickets", "Origin", "https://app.example.com")
	if client.status != 401 || client.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("scripts cannot read the refusal: %d %v", client.status, client.header)
	}
	_, client = g.do("OPTIONS", "http://api.example.com/tickets")
	if client.status != 401 {
		t.Errorf("OPTIONS that is no preflight: %d, want 401", client.status)
	}
}

// What a server refuses before it can be routed has its reason in the answer too, and the status that the server has chosen.
func TestRefused(t *testing.T) {
	g := newGateway(t)
	x, client := newExchange("GET", "http://any/")
	x.Denial, x.Status = gate.Deny(gate.ReasonBadMessage, nil), 501
	g.Refused(x)
	if got, want := client.body.String(), `{"title":"Not Implemented","status":501,"detail":"The HTTP message is malformed","reason":"message_invalid"}`; client.status != 501 || got != want {
		t.Errorf("%d %s\nwant 501 %s", client.status, got, want)
	}
}

func TestBodyLimit(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	for _, test := range []struct {
		name   string
		body   string
		length int64
		status int
	}{
		{"as long as allowed", "0123456789", 10, 200},
		{"too long", "0123456789a", 11, 413},
		{"unknown length, as long as allowed", "0123456789", -1, 200},
		{"unknown length, too long", "0123456789a", -1, 413},
		{"unknown length, far too long", strings.Repeat("x", 1<<20), -1, 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			x, client := newExchange("POST", "http://api.example.com/tickets/public/x")
			x.Body, x.Length = io.NopCloser(strings.NewReader(test.body)), test.length
			g.Serve(x)
			if client.status != test.status {
				t.Errorf("status %d, want %d", client.status, test.status)
			}
		})
	}
}

func TestTimeLimit(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	x, client := g.do("GET", "http://api.example.com/tickets/public/x?wait=20s")
	if client.status != 504 || x.Denial == nil || x.Denial.Reason != gate.ReasonDeadline {
		t.Errorf("status %d, denial %v", client.status, x.Denial)
	}
}

func TestQuarantine(t *testing.T) {
	g := newGateway(t)
	config := g.parse(t, strings.Replace(document, "Host(`api.example.com`) && PathPrefix(`/tickets`)", "PathPrefix(`/open/tickets`)", 1))
	config.APIs[0].Broken = "its secret is missing"
	snapshot, problems := g.Prepare(config)
	if snapshot == nil {
		t.Fatal(problems)
	}
	g.Swap(snapshot)
	x, client := g.do("GET", "http://any/open/tickets/1")
	if client.status != 503 || x.Denial.Reason != gate.ReasonQuarantined {
		t.Errorf("a broken API answered %d (%v): the request must not fall to the wider route", client.status, x.Denial)
	}
	if strings.Contains(client.body.String(), "its secret") {
		t.Errorf("the answer shows what is wrong: %s", client.body.String())
	}
	if _, client := g.do("GET", "http://any/open/x"); client.status != 200 {
		t.Errorf("the other API answered %d", client.status)
	}
	if s := g.Current(); len(s) != 3 || s[0].State != "quarantined" || s[0].Error != "its secret is missing" || s[1].State != "serving" {
		t.Errorf("status: %+v", s)
	}
}

func TestExplain(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	before := g.calls.Load()
	x, client := newExchange("GET", "http://api.example.com/tickets", "Authorization", "Bearer "+token(t, map[string]any{"exp": 1}))
	if d := g.Explain(x); d == nil || d.Reason != gate.ReasonExpired {
		t.Errorf("denial %v", d)
	}
	names := make(map[string]gate.Reason)
	for _, c := range x.Trace.Checks {
		names[c.Name] = c.Reason
	}
	for _, name := range []string{"route", "signature"} {
		if reason, ok := names[name]; !ok || reason != "" {
			t.Errorf("the check %q is not among the passed ones: %+v", name, x.Trace.Checks)
		}
	}
	if client.status != 0 || g.calls.Load() != before {
		t.Error("explaining answered the client or reached the upstream")
	}
	x, _ = newExchange("GET", "http://api.example.com/tickets", "Authorization", "Bearer "+token(t, map[string]any{"grp": "admin", "scope": "tickets:read"}))
	if d := g.Explain(x); d != nil {
		t.Errorf("a good request is refused: %v; %+v", d, x.Trace.Checks)
	}
}

func TestBeforeTheFirstSnapshot(t *testing.T) {
	g := newGateway(t)
	x, client := g.do("GET", "http://any/open")
	if client.status != 503 || x.Denial.Reason != gate.ReasonNotReady {
		t.Errorf("status %d, denial %v", client.status, x.Denial)
	}
}

// A snapshot keeps its upstreams until the last request that began with it is done.
func TestSwapUnderLoad(t *testing.T) {
	g := newGateway(t)
	g.use(t, document)
	stop := make(chan struct{})
	done := make(chan int)
	for range 4 {
		go func() {
			failed := 0
			for {
				select {
				case <-stop:
					done <- failed
					return
				default:
				}
				if _, client := g.do("GET", "http://any/open/x"); client.status != 200 {
					failed++
				}
			}
		}()
	}
	for i := range 50 {
		g.use(t, document+"    maxBodyBytes: "+string(rune('1'+i%9))+"KiB\n")
	}
	close(stop)
	for range 4 {
		if n := <-done; n != 0 {
			t.Errorf("%d requests failed while configurations changed", n)
		}
	}
}

func TestCheck(t *testing.T) {
	const valid = document
	for _, test := range []struct {
		name, old, new string
		want           string // path and message of the only problem
	}{
		{"unknown provider", "providers: [idp]", "providers: [ipd]", `apis[0].auth.jwt.providers[0]: there is no provider called "ipd" (known: idp)`},
		{"unknown upstream", "upstream: up\n    realm", "upstream: pu\n    realm", `apis[0].upstream: there is no upstream called "pu" (known: up)`},
		{"unknown listener", "listeners: [other]", "listeners: [others]", `apis[2].listeners[0]: there is no listener called "others" (known: web, other)`},
		{"name twice", "name: elsewhere", "name: open", `apis[2].name: another api is already called "open"`},
		{"rule", "Host(`api.example.com`) &&", "Hots(`api.example.com`) &&", "apis[0].match: column 1 of the expression: unknown function \"Hots\" (there are Host, HostRegexp, Path, PathPrefix, PathRegexp, Method, Header, HeaderRegexp, Query, QueryRegexp, ClientIP)"},
		{"claims", "claims: Equals(`grp`, `admin`)", "claims: Equals(`grp`)", "apis[0].auth.jwt.claims: column 1 of the expression: Equals has 2 arguments, 1 given (write Equals(`claim`, `value`))"},
		{"no auth", "auth: {anonymous: true}\n    answers: bare", "auth: {}\n    answers: bare", "apis[1].auth: it is not said who may call the API (name jwt or apiKey, or say anonymous: true to let everybody in)"},
		{"answers", "answers: bare", "answers: html", `apis[1].answers: unknown form of answers "html" (use problem or bare)`},
		{"public path", "path: /tickets/health", "path: /tickets/../health", `apis[0].public[0].path: "/tickets/../health" is no canonical path, so no request could have it (start with /, without . and .. segments, percent-encoding and ;)`},
		{"public method", "methods: [GET, POST]", "methods: [get]", `apis[0].public[1].methods[0]: "get" is no method (write it in capitals, for example GET)`},
		{"two providers of one issuer", "algorithms: [HS256]}", "algorithms: [HS256]}\n  - {name: idp2, issuer: \"https://id.example.com\", secret: SECRET, audiences: [x], algorithms: [HS256]}", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(valid, test.old) {
				t.Fatalf("the document does not hold %q", test.old)
			}
			g := newGateway(t)
			config := g.parse(t, strings.Replace(valid, test.old, test.new, 1))
			var got []string
			for _, p := range engine.Check(config) {
				p.Source, p.Position = "", gate.Position{}
				got = append(got, p.Error())
			}
			want := []string{test.want}
			if test.want == "" {
				want = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("two providers of one issuer in one API", func(t *testing.T) {
		g := newGateway(t)
		config := g.parse(t, strings.NewReplacer("algorithms: [HS256]}", "algorithms: [HS256]}\n  - {name: idp2, issuer: \"https://id.example.com\", secret: SECRET, audiences: [x], algorithms: [HS256]}", "providers: [idp]", "providers: [idp, idp2]").Replace(valid))
		if problems := engine.Check(config); problems.Err() == nil {
			t.Error("which of the two judges a token would be a guess, and nobody says so")
		}
	})
}
