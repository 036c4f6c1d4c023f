package idp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/test/idp"
)

// gateway is jotgate in front of a server that always answers 200.
type gateway struct {
	*app.App
	t      *testing.T
	url    string
	client *http.Client
}

const document = `
listeners: [{name: web, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
stateDirectory: state
providers:
  - name: foreign
    issuer: ISSUER
    discovery: true
    anyAudience: true
    algorithms: [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87]
    fetch: {minRefresh: 1s, maxRefresh: REFRESH, unknownKeyInterval: INTERVAL, unknownKeyWait: WAIT, timeout: 2s, startWait: STARTWAIT}
upstreams:
  - {name: up, servers: [{url: UPSTREAM}]}
apis:
  - name: api
    match: PathPrefix(` + "`/`)" + `
    upstream: up
    auth:
      jwt:
        providers: [foreign]
        from: [{header: Authorization}]
        claims: Contains(` + "`groups`, `admin`) && SplitContains(`scope`, ` `, `api:read`)" + `
        forwardHeaders: {X-User: sub}
`

type settings struct {
	issuer, refresh, startWait, interval, wait, dir string
}

func newGateway(t *testing.T, s settings) *gateway {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-User"))
	}))
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	for value, otherwise := range map[*string]string{&s.refresh: "10m", &s.startWait: "15s", &s.interval: "1s", &s.wait: "5s"} {
		if *value == "" {
			*value = otherwise
		}
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.dir, "jotgate.yaml")
	text := strings.NewReplacer("ISSUER", s.issuer, "UPSTREAM", upstream.URL, "REFRESH", s.refresh, "STARTWAIT", s.startWait, "INTERVAL", s.interval, "WAIT", s.wait).Replace(document)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}, Timeout: time.Minute}}
	g.App = app.New(app.Options{Load: app.File(file), Log: io.Discard, Access: io.Discard, Version: "test"})
	t.Cleanup(func() {
		g.client.CloseIdleConnections()
		g.Stop(context.Background())
		upstream.Close()
	})
	if err := g.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.url = "http://" + g.Addrs()["web"].String() + "/"
	return g
}

func (g *gateway) call(token string) error {
	request, err := http.NewRequest("GET", g.url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := g.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != 200 {
		return fmt.Errorf("%d %s", answer.StatusCode, body)
	}
	if string(body) != "svc" {
		return fmt.Errorf("the upstream was told that the user is %q", body)
	}
	return nil
}

// load calls with the newest token from several goroutines until stop is called, which returns how many calls were made and the first that failed.
func (g *gateway) load(token func() string) (stop func() (int64, error)) {
	var calls atomic.Int64
	var first atomic.Pointer[error]
	quit := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				calls.Add(1)
				if err := g.call(token()); err != nil {
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	return func() (int64, error) {
		close(quit)
		clients.Wait()
		if err := first.Load(); err != nil {
			return calls.Load(), *err
		}
		return calls.Load(), nil
	}
}

func TestEveryAlgorithmOfTheProvider(t *testing.T) {
	p := idp.Start(t, ".")
	g := newGateway(t, settings{issuer: p.Issuer})
	for _, name := range []string{"rs256", "rs384", "rs512", "ps256", "ps384", "ps512", "es256", "es384", "es512", "eddsa", "ed25519"} {
		t.Run(name, func(t *testing.T) {
			if err := g.call(p.Token("https://" + name + ".test")); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range []string{"opaque", "jwe", "hs256"} {
		t.Run("not "+name, func(t *testing.T) {
			if err := g.call(p.Token("https://" + name + ".test")); err == nil || !strings.HasPrefix(err.Error(), "401 ") {
				t.Errorf("%v, want 401", err)
			}
		})
	}
}

// Keys are rotated under load, old ones dropped, and not one good request fails.
func TestRotationUnderLoad(t *testing.T) {
	p := idp.Start(t, ".")
	g := newGateway(t, settings{issuer: p.Issuer})
	var token atomic.Pointer[string]
	renew := func() {
		fresh := p.Token("https://es256.test")
		token.Store(&fresh)
	}
	renew()
	stop := g.load(func() string { return *token.Load() })
	const rotations = 4
	for range rotations {
		time.Sleep(500 * time.Millisecond) // load between the rotations; nothing is waited for
		p.Rotate()
		renew() // from now on every call has a token of a key that the gateway has never seen
	}
	old := *token.Load()
	p.Rotate()
	renew()
	time.Sleep(1500 * time.Millisecond) // load over more than one interval
	p.Drop()
	calls, err := stop()
	if err != nil {
		t.Errorf("a good request failed: %v", err)
	}
	t.Logf("%d calls, %d rotations, %+v", calls, rotations+1, p.Stats())
	if calls < 100 {
		t.Errorf("only %d calls: that is no load", calls)
	}
	if err := g.call(old); err != nil {
		t.Logf("the token of the dropped key is refused already: %v", err)
	}
	// A search for an unknown key brings the set without the dropped one.
	_ = g.call(withKid(*token.Load(), "no-such-kid"))
	eventually(t, "the token of the dropped key is refused", func() bool {
		_ = g.call(withKid(*token.Load(), fmt.Sprint(time.Now().UnixNano())))
		return g.call(old) != nil
	})
	if err := g.call(*token.Load()); err != nil {
		t.Errorf("after the old keys were dropped: %v", err)
	}
}

// The provider is broken, slow, frozen and killed, and not one good request fails.
func TestOutagesUnderLoad(t *testing.T) {
	p := idp.Start(t, ".")
	dir := t.TempDir()
	g := newGateway(t, settings{issuer: p.Issuer, refresh: "1s", dir: dir})
	token := p.Token("https://rs256.test")
	if err := g.call(token); err != nil {
		t.Fatal(err)
	}
	stop := g.load(func() string { return token })
	for _, mode := range []string{"fail", "html", "slow", "ok"} {
		before := p.Stats().JWKS
		p.Fault(mode)
		eventually(t, "the set is asked for in mode "+mode, func() bool { return p.Stats().JWKS > before })
		time.Sleep(300 * time.Millisecond)
	}
	p.Freeze()
	time.Sleep(3 * time.Second) // longer than a fetch may take
	p.Thaw()
	p.Kill()
	time.Sleep(2 * time.Second)
	calls, err := stop()
	if err != nil {
		t.Errorf("a good request failed: %v", err)
	}
	t.Logf("%d calls", calls)
	if calls < 100 {
		t.Errorf("only %d calls: that is no load", calls)
	}
	g.Stop(context.Background())

	// A gateway that starts while the provider is gone uses the last keys that were good.
	again := newGateway(t, settings{issuer: p.Issuer, dir: dir, startWait: "5s"})
	if err := again.call(token); err != nil {
		t.Errorf("after a restart without the provider: %v", err)
	}
}

// storm sends n tokens with random kids and returns how many of them passed.
func (g *gateway) storm(token string, n int64, running func()) (passed int64) {
	const clients = 200
	var next, through atomic.Int64
	var wait sync.WaitGroup
	for range clients {
		wait.Go(func() {
			for {
				i := next.Add(1)
				if i > n {
					return
				}
				if g.call(withKid(token, fmt.Sprintf("kid-%d", i))) == nil {
					through.Add(1)
				}
			}
		})
	}
	eventually(g.t, "the storm rages", func() bool { return next.Load() > n/10 })
	running()
	wait.Wait()
	return through.Load()
}

// 100,000 random kids cause at most one fetch in an interval. The requests do not wait for it, so that the storm is as dense as can be.
func TestStormOfUnknownKeys(t *testing.T) {
	p := idp.Start(t, ".")
	g := newGateway(t, settings{issuer: p.Issuer, interval: "2s", wait: "1ms"})
	good := p.Token("https://es256.test")
	before := p.Stats().JWKS
	start := time.Now()
	const n = 100_000
	passed := g.storm(good, n, func() {
		if err := g.call(good); err != nil {
			t.Errorf("a good token of a known key in the storm: %v", err)
		}
	})
	seconds := time.Since(start).Seconds()
	fetches := p.Stats().JWKS - before
	t.Logf("%d tokens in %.1f s: %d fetches", n, seconds, fetches)
	if float64(fetches) > seconds/2+1 {
		t.Errorf("%d fetches in %.1f s, with an interval of 2 s", fetches, seconds)
	}
	if fetches == 0 {
		t.Error("no fetch at all: a rotation would go unnoticed")
	}
	if passed != 0 {
		t.Errorf("%d forged tokens passed", passed)
	}
}

// In the middle of a storm of unknown kids the provider rotates its keys, and good tokens of the new key get through.
func TestRotationInAStorm(t *testing.T) {
	p := idp.Start(t, ".")
	g := newGateway(t, settings{issuer: p.Issuer})
	good := p.Token("https://es256.test")
	passed := g.storm(good, 2000, func() {
		p.Rotate()
		fresh := p.Token("https://es256.test")
		for range 20 {
			if err := g.call(fresh); err != nil {
				t.Errorf("a good token of a new key: %v", err)
			}
		}
		if err := g.call(good); err != nil {
			t.Errorf("a good token of a known key: %v", err)
		}
	})
	if passed != 0 {
		t.Errorf("%d forged tokens passed", passed)
	}
}

// withKid names another key in the header of a token.
func withKid(token, kid string) string {
	header, rest, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		panic(errors.Join(errors.New("the provider's token has no base64url header"), err))
	}
	i := strings.Index(string(text), `"kid":"`) + len(`"kid":"`)
	j := i + strings.IndexByte(string(text[i:]), '"')
	return base64.RawURLEncoding.EncodeToString([]byte(string(text[:i])+kid+string(text[j:]))) + "." + rest
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it did not come to pass that %s", what)
}
