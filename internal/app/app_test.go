package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer = "https://id.example.com"
	secret = "a secret of more than thirty-two bytes"
)

const document = `
listeners: [{name: web, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
providers:
  - {name: idp, issuer: "https://id.example.com", secret: "${file:secret}", audiences: [tickets], algorithms: [HS256]}
upstreams:
  - {name: up, servers: [{url: UPSTREAM}]}
apis:
  - name: tickets
    match: PathPrefix(` + "`/tickets`)" + `
    upstream: up
    auth: {jwt: {providers: [idp], forwardHeaders: {X-User: sub}}}
`

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// harness is a gateway with a configuration file, in front of a server that says its name.
type harness struct {
	*app.App
	t           *testing.T
	file        string
	upstream    string
	log, access syncBuffer
	client      *http.Client
}

func newHarness(t *testing.T, handler http.HandlerFunc) *harness {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "user %s", r.Header.Get("X-User")) }
	}
	server := httptest.NewServer(handler)
	dir := t.TempDir()
	h := &harness{t: t, file: filepath.Join(dir, "jotgate.yaml"), upstream: server.URL, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 30 * time.Second}}
	h.write("secret", secret)
	h.write("jotgate.yaml", document)
	h.App = app.New(app.Options{Load: app.File(h.file), Log: &h.log, Access: &h.access, Version: "v0"})
	t.Cleanup(func() {
		h.client.CloseIdleConnections()
		h.Stop(context.Background())
		server.Close()
	})
	return h
}

// write replaces a file as careful programs do: whole or not at all.
func (h *harness) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(filepath.Dir(h.file), name)
	text = strings.ReplaceAll(text, "UPSTREAM", h.upstream)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) start() {
	h.t.Helper()
	if err := h.Start(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) get(path, bearer string) (int, string) {
	h.t.Helper()
	status, body, err := h.try(path, bearer)
	if err != nil {
		h.t.Fatal(err)
	}
	return status, body
}

func (h *harness) try(path, bearer string) (int, string, error) {
	request, err := http.NewRequest("GET", "http://"+h.Addrs()["web"].String()+path, nil)
	if err != nil {
		return 0, "", err
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, err := h.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

func (h *harness) admin(path string) (int, string) {
	h.t.Helper()
	answer, err := h.client.Get("http://" + h.AdminAddr().String() + path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func (h *harness) status() app.Status {
	h.t.Helper()
	var s app.Status
	_, body := h.admin("/status")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		h.t.Fatalf("%v in %s", err, body)
	}
	return s
}

func token(t *testing.T, secret string, claims map[string]any) string {
	t.Helper()
	key, err := jose.NewSecretSigningKey([]byte(secret), jose.SecretOptions{Algorithm: jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"iss": issuer, "aud": "tickets", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
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

func TestServes(t *testing.T) {
	h := newHarness(t, nil)
	h.start()
	good := token(t, secret, nil)
	if status, body := h.get("/tickets", good); status != 200 || body != "user alice" {
		t.Errorf("%d %s", status, body)
	}
	if status, body := h.get("/tickets", ""); status != 401 || !strings.Contains(body, "token_missing") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := h.admin("/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %s", status, body)
	}
	if status, body := h.admin("/readyz"); status != 200 || body != "ready\n" {
		t.Errorf("readyz: %d %s", status, body)
	}
	if _, body := h.admin("/metrics"); !strings.Contains(body, `jotgate_requests_total{api="tickets",code="401",reason="token_missing"} 1`) ||
		!strings.Contains(body, `jotgate_requests_total{api="tickets",code="200",reason="passed"} 1`) {
		t.Errorf("metrics: %s", body)
	}
	s := h.status()
	if !s.Ready || s.Version != "v0" || s.Configuration.Generation != 1 || len(s.Configuration.Hash) != 64 || !s.LastReload.Success || len(s.APIs) != 1 || s.APIs[0].State != "serving" {
		t.Errorf("status: %+v", s)
	}
	h.Stop(context.Background())
	for _, part := range strings.Split(good, ".") {
		if strings.Contains(h.log.String()+h.access.String(), part) {
			t.Errorf("a part of the token is in the logs: %s", part)
		}
	}
	if n := strings.Count(h.access.String(), "\n"); n != 2 {
		t.Errorf("%d access lines, want 2: %s", n, h.access.String())
	}
}

func TestStartRefusesABadConfiguration(t *testing.T) {
	h := newHarness(t, nil)
	h.write("jotgate.yaml", strings.ReplaceAll(strings.ReplaceAll(document, "HS256", "HS1"), "upstream: up", "upstream: down"))
	err := h.Start(context.Background())
	var problems gate.Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("want both mistakes, got %v", err)
	}
}

// What could not be read is reported once, not again as missing.
func TestOneMistakeIsOneProblem(t *testing.T) {
	h := newHarness(t, nil)
	h.write("jotgate.yaml", strings.ReplaceAll(document, "${file:secret}", "${file:no-such-file}"))
	err := h.Start(context.Background())
	var problems gate.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Path != "providers[0].secret" {
		t.Fatalf("want one problem with the secret, got %v", err)
	}
}

// A mistake does not hide another one that has nothing to do with it, even if that is about the whole of what the first is a part of.
func TestAllMistakesAtOnce(t *testing.T) {
	h := newHarness(t, nil)
	for _, c := range []struct {
		name, old, new string
		want           []string
	}{
		{"an unknown key beside no source of keys", `secret: "${file:secret}"`, `colour: blue`, []string{"providers[0]", "providers[0].colour"}},
		{"an unknown key that was meant to be the source of keys", `secret: "${file:secret}"`, `secrett: "${file:secret}"`, []string{"providers[0].secrett"}},
		{"a list that is empty beside a contradiction", `{jwt: {providers: [idp]`, `{anonymous: true, jwt: {providers: []`, []string{"apis[0].auth", "apis[0].auth.jwt.providers"}},
		{"a value of the wrong type beside what would follow from it", `secret: "${file:secret}"`, `secret: [a]`, []string{"providers[0].secret"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(document, c.old, c.new, 1)
			if text == document {
				t.Fatal("the document lacks what is to be replaced")
			}
			h.write("jotgate.yaml", text)
			var got []string
			for _, p := range app.File(h.file)(os.ReadFile).Problems {
				got = append(got, p.Path)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("problems with %q, want %q", got, c.want)
			}
		})
	}
}

func TestReloadTakesAGoodConfigurationOver(t *testing.T) {
	h := newHarness(t, nil)
	h.start()
	other := token(t, secret, map[string]any{"aud": "other"})
	if status, _ := h.get("/tickets", other); status != 401 {
		t.Fatalf("status %d", status)
	}
	h.write("jotgate.yaml", strings.ReplaceAll(document, "[tickets]", "[other]"))
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	if status, _ := h.get("/tickets", other); status != 200 {
		t.Errorf("the new configuration is not in force: %d", status)
	}
	if s := h.status(); s.Configuration.Generation != 2 || !s.LastReload.Success {
		t.Errorf("status: %+v", s)
	}
}

func TestReloadRefusesABadConfiguration(t *testing.T) {
	h := newHarness(t, nil)
	h.start()
	good := token(t, secret, nil)
	before := h.status().Configuration
	h.write("jotgate.yaml", strings.ReplaceAll(document, "upstream: up", "upstrem: up"))
	if err := h.Reload(context.Background()); err == nil {
		t.Fatal("a bad configuration was taken over")
	}
	if status, _ := h.get("/tickets", good); status != 200 {
		t.Errorf("the former configuration is not in force: %d", status)
	}
	s := h.status()
	if s.LastReload.Success || !strings.Contains(strings.Join(s.LastReload.Errors, "\n"), "upstrem") || s.Configuration.Generation != before.Generation || s.Configuration.Hash != before.Hash {
		t.Errorf("status: %+v", s)
	}
	if _, body := h.admin("/metrics"); !strings.Contains(body, "jotgate_config_last_reload_successful 0\n") || !strings.Contains(body, `jotgate_config_reloads_total{result="failure"} 1`) {
		t.Error("the metrics do not say that the configuration was refused")
	}
	if !strings.Contains(h.log.String(), "the former stays in force") {
		t.Errorf("log: %s", h.log.String())
	}
	h.write("jotgate.yaml", document)
	if err := h.Reload(context.Background()); err != nil {
		t.Errorf("after it was mended: %v", err)
	}
}

func TestAChangedFileIsTakenOver(t *testing.T) {
	h := newHarness(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.Run(ctx, nil, true) }()
	eventually(t, "the gateway serves", func() bool { return strings.Contains(h.log.String(), `"serving"`) })
	const other = "another secret of more than thirty-two bytes"
	if status, _ := h.get("/tickets", token(t, other, nil)); status != 401 {
		t.Errorf("status %d", status)
	}
	h.write("secret", other) // a file that the configuration refers to
	eventually(t, "the new secret is in force", func() bool {
		status, _ := h.get("/tickets", token(t, other, nil))
		return status == 200
	})
	if status, _ := h.get("/tickets", token(t, secret, nil)); status != 401 {
		t.Errorf("the former secret is still trusted: %d", status)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHangupReloads(t *testing.T) {
	h := newHarness(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	hangup := make(chan struct{})
	go func() { done <- h.Run(ctx, hangup, false) }()
	hangup <- struct{}{} // is taken once the gateway serves
	hangup <- struct{}{} // is taken once the first reload is done
	eventually(t, "a second reload", func() bool { return h.status().Configuration.Generation >= 2 })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it did not come to pass that %s", what)
}

// Reloads under load, with listeners, providers, upstreams and APIs that change: no request fails, no connection is dropped.
func TestReloadUnderLoad(t *testing.T) {
	h := newHarness(t, nil)
	h.start()
	good := token(t, secret, nil)
	var sent, failed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				sent.Add(1)
				if status, body, err := h.try("/tickets", good); err != nil || status != 200 || body != "user alice" {
					failed.Add(1)
					t.Errorf("%d %s %v", status, body, err)
				}
			}
		})
	}
	const reloads = 100
	for i := range reloads {
		text := document
		switch i % 4 {
		case 1:
			text = strings.Replace(text, `address: "127.0.0.1:0"}]`, `address: "127.0.0.1:0", maxHeaderBytes: 32KiB}]`, 1)
		case 2:
			text = strings.Replace(text, "audiences: [tickets]", "audiences: [tickets, more]", 1)
		case 3:
			text = strings.Replace(text, "{name: up,", "{name: up, retries: 1,", 1)
		}
		h.write("jotgate.yaml", text)
		if err := h.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	clients.Wait()
	if sent.Load() < reloads || failed.Load() > 0 {
		t.Errorf("%d of %d requests failed during %d reloads", failed.Load(), sent.Load(), reloads)
	}
}

func TestStopLosesNoRequest(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := newHarness(t, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "late but whole")
	})
	h.start()
	good := token(t, secret, nil)
	type result struct {
		status int
		body   string
		err    error
	}
	got := make(chan result)
	go func() {
		status, body, err := h.try("/tickets", good)
		got <- result{status, body, err}
	}()
	<-entered
	stopped := make(chan struct{})
	go func() {
		h.Stop(context.Background())
		close(stopped)
	}()
	eventually(t, "the gateway says that it is not ready", func() bool {
		status, body := h.admin("/readyz")
		return status == 503 && body == "stopping\n"
	})
	close(release)
	if r := <-got; r.err != nil || r.status != 200 || r.body != "late but whole" {
		t.Errorf("the request under way ended with %+v", r)
	}
	<-stopped
	if err := h.Reload(context.Background()); err == nil {
		t.Error("a stopped gateway reloads")
	}
}

// TestCutOffIsNotTheClients: what the gateway cuts off when it stops is not blamed on the client, whatever serves it and whether or not its API has a time limit.
func TestCutOffIsNotTheClients(t *testing.T) {
	for _, engine := range []string{"jotgate", "net/http"} {
		for _, limit := range []string{"", "timeout: 10m, "} {
			t.Run(strings.Trim(engine+" "+limit, " ,"), func(t *testing.T) {
				entered := make(chan struct{})
				h := newHarness(t, func(_ http.ResponseWriter, r *http.Request) {
					close(entered)
					<-r.Context().Done()
				})
				h.write("jotgate.yaml", strings.NewReplacer(
					`"127.0.0.1:0"}]`, fmt.Sprintf(`"127.0.0.1:0", engine: %s}]`, engine),
					"upstream: up\n", "upstream: up\n    "+strings.Trim(limit, ", ")+"\n",
					"upstreams:", "shutdown: {timeout: 100ms}\nupstreams:",
				).Replace(document))
				h.start()
				sent := make(chan error)
				good := token(t, secret, nil)
				go func() {
					_, _, err := h.try("/tickets", good)
					sent <- err
				}()
				<-entered
				h.Stop(context.Background())
				<-sent // cut off: an error, or the answer that there was still time for
				if line := h.access.String(); !strings.Contains(line, `"reason":"not_ready"`) || strings.Count(line, "\n") != 1 {
					t.Errorf("logged %s", line)
				}
			})
		}
	}
}

func TestNotReadyBeforeTheFirstKeys(t *testing.T) {
	release := make(chan struct{})
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := jose.NewSet(key.WithKeyID("k1").Public())
	jwks, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write(jwks)
	}))
	defer idp.Close()
	h := newHarness(t, nil)
	h.write("jotgate.yaml", strings.NewReplacer(`secret: "${file:secret}"`, "jwksURLs: ["+idp.URL+"]", "HS256", "ES256").Replace(document))
	started := make(chan error)
	go func() { started <- h.Start(context.Background()) }()
	eventually(t, "the admin door is open", func() bool { return h.AdminAddr() != nil })
	if status, body := h.admin("/readyz"); status != 503 || body != "starting\n" {
		t.Errorf("readyz before the first keys: %d %s", status, body)
	}
	close(release)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if status, _ := h.admin("/readyz"); status != 200 {
		t.Errorf("readyz with keys: %d", status)
	}
}
