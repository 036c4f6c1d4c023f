package manage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/manage"
	"github.com/jotgate/jotgate/jose"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience bounds everything that is waited for.
	patience    = 30 * time.Second
	issuer      = "https://id.example.com"
	tokenSecret = "a secret of more than thirty-two bytes"
	reader      = "the-reader-has-this-token"
	writer      = "the-writer-has-this-token"
	other       = "the-other-writer-has-this-token"
)

const document = `
listeners: [{name: web, address: "127.0.0.1:0"}]
admin:
  address: "127.0.0.1:0"
  tokens:
    - {name: grafana, secret: the-reader-has-this-token, role: read}
    - {name: alice, secret: the-writer-has-this-token, role: write}
stateDirectory: state
store: STORE
usage: {aggregate: true}
providers:
  - {name: idp, issuer: "https://id.example.com", secret: "a secret of more than thirty-two bytes", audiences: [tickets], algorithms: [HS256]}
  - {name: partners, issuer: "https://partners.example.com", individual: {}, audiences: [tickets], algorithms: [HS256]}
upstreams: [{name: up, servers: [{url: "UPSTREAM"}]}]
plans: [{name: fixed}]
policies: [{name: unlimited, access: [{api: tickets}]}, {name: counted, access: [{api: tickets}], quota: {limit: 3, period: 1h}}]
applications: [{name: web, id: app-1}]
apis:
  - name: tickets
    match: PathPrefix(` + "`/tickets`" + `)
    upstream: up
    auth: {access: [policies], apiKey: {}, jwt: {providers: [idp], policies: {claims: [pol], default: [counted]}}}
    limits: [{name: everybody, quota: {limit: 1000, period: 1h}}]
  - name: orders
    match: PathPrefix(` + "`/orders`" + `)
    upstream: up
    auth: {access: [groups], apiKey: {}, jwt: {providers: [idp, partners]}}
`

// logs is a log that is read while it is written.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// gateway is one that runs, in front of a server that answers everything.
type gateway struct {
	t        *testing.T
	file     string
	text     string
	app      *app.App
	log      logs
	hangup   chan struct{}
	end      func() // stops it, once
	contract *contract
	mux      *http.ServeMux
	client   *http.Client
	mu       sync.Mutex
	secrets  []string // what no log may show
}

// configure makes a gateway that does not run yet. What store says is the configuration of the store.
func configure(t *testing.T, store string) *gateway {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	g := &gateway{
		t: t, file: filepath.Join(t.TempDir(), "jotgate.yaml"), contract: readContract(t), mux: http.NewServeMux(),
		client: &http.Client{Transport: &http.Transport{}, Timeout: patience}, secrets: []string{reader, writer, other, tokenSecret},
	}
	g.text = strings.NewReplacer("STORE", store, "UPSTREAM", up.URL).Replace(document)
	for _, r := range manage.Routes() {
		g.mux.HandleFunc(r.Method+" "+r.Path, func(http.ResponseWriter, *http.Request) {})
	}
	t.Cleanup(func() {
		g.stop()
		g.client.CloseIdleConnections()
		up.Close()
		for _, secret := range g.secrets {
			if strings.Contains(g.log.String(), secret) {
				t.Errorf("a secret is in the log: %s", secret)
			}
		}
	})
	return g
}

// start runs a gateway with the memory store.
func start(t *testing.T) *gateway {
	t.Helper()
	g := configure(t, "{driver: memory}")
	g.start()
	return g
}

func (g *gateway) write() {
	g.t.Helper()
	if err := os.WriteFile(g.file, []byte(g.text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) start() {
	g.t.Helper()
	g.write()
	before := strings.Count(g.log.String(), `"msg":"serving"`)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	gate := app.New(app.Options{Load: app.File(g.file), Log: &g.log, Access: &g.log, Version: "v0"})
	g.app, g.hangup = gate, make(chan struct{})
	go func() { done <- gate.Run(ctx, g.hangup, false) }()
	g.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Error(err)
		}
	})
	g.await(func() bool { return strings.Count(g.log.String(), `"msg":"serving"`) > before })
}

func (g *gateway) stop() {
	if g.end != nil {
		g.end()
	}
}

// await waits until something is so.
func (g *gateway) await(ok func() bool) {
	g.t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > patience {
			g.t.Fatalf("it does not happen; the log is\n%s", g.log.String())
		}
	}
}

// answer is one of the management API.
type answer struct {
	status int
	header http.Header
	body   string
}

// name is what an answer of a list or of one thing says, by the name of its member.
func (a answer) member(t *testing.T, name string) any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return all[name]
}

// do sends a request with the writer's token, and header lines "Name: value", and holds the answer to the contract.
func (g *gateway) do(method, path, body string, header ...string) answer {
	g.t.Helper()
	r, err := http.NewRequest(method, "http://"+g.app.AdminAddr().String()+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+writer)
	if len(header) > 0 && strings.HasPrefix(header[0], "Authorization: ") {
		r.Header.Del("Authorization")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if value != "" {
			r.Header.Add(name, value)
		}
	}
	response, err := g.client.Transport.RoundTrip(r) // which follows no redirects
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	a := answer{response.StatusCode, response.Header, string(text)}
	g.conform(r, a)
	return a
}

// conform fails if an answer, or the body that got a good one, is not what the contract says.
func (g *gateway) conform(r *http.Request, a answer) {
	g.t.Helper()
	media := a.header.Get("Content-Type")
	place := "/components/responses/Problem/content/" + escape("application/problem+json") + "/schema"
	_, pattern := g.mux.Handler(r)
	method, path, found := strings.Cut(strings.ReplaceAll(pattern, "...}", "}"), " ")
	if found {
		var err error
		if place, err = g.contract.place(method, path, a.status, media); err != nil {
			g.t.Error(err)
			return
		}
	}
	switch {
	case r.Method == http.MethodHead:
	case place == "":
		if a.body != "" {
			g.t.Errorf("%s %s: a body that the document does not know: %s", r.Method, r.URL, a.body)
		}
	default:
		if err := g.contract.check(place, []byte(a.body)); err != nil {
			g.t.Errorf("%s %s: %v in %s", r.Method, r.URL, err, a.body)
		}
	}
	if a.header.Get("Cache-Control") != "no-store" {
		g.t.Errorf("%s %s may be stored", r.Method, r.URL)
	}
}

// want sends a request and fails unless its answer has a status and contains a text.
func (g *gateway) want(status int, contains, method, path, body string, header ...string) answer {
	g.t.Helper()
	a := g.do(method, path, body, header...)
	if a.status != status || !strings.Contains(a.body, contains) {
		g.t.Errorf("%s %s %s: %d %s, want %d with %q", method, path, body, a.status, a.body, status, contains)
	}
	return a
}

// call makes a request to an API of the gateway with a header line, and returns the status and the body.
func (g *gateway) call(path, header string) (int, string) {
	g.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+g.app.Addrs()["web"].String()+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		r.Header.Set(name, value)
	}
	response, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (g *gateway) wantCall(status int, contains, path, header string) {
	g.t.Helper()
	if got, body := g.call(path, header); got != status || !strings.Contains(body, contains) {
		g.t.Errorf("%s: %d %s, want %d with %q", path, got, body, status, contains)
	}
}

// bearer is the header line with a token of the provider.
func bearer(t *testing.T, claims map[string]any) string {
	t.Helper()
	return signed(t, tokenSecret, claims)
}

// signed is the header line with a token that is signed with a secret.
func signed(t *testing.T, secret string, claims map[string]any) string {
	t.Helper()
	key, err := jose.NewSecretSigningKey([]byte(secret), jose.SecretOptions{Algorithm: jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"iss": issuer, "aud": "tickets", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
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
	return "Authorization: Bearer " + signed
}

// quoted is a text as JSON.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text)
}
