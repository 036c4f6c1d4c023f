package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey returns the same public key for the same kid and algorithm.
func testKey(tb testing.TB, kid string, alg jose.Algorithm) *jose.Key {
	tb.Helper()
	made, _ := testKeys.LoadOrStore(candidate{kid, alg}, sync.OnceValues(func() (*jose.Key, error) {
		k, err := jose.GenerateKey(alg)
		if err != nil {
			return nil, err
		}
		return k.WithKeyID(kid).Public(), nil
	}))
	k, err := made.(func() (*jose.Key, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

var testKeys sync.Map

// setOf returns the JWK Set of ES256 keys with these kids.
func setOf(tb testing.TB, kids ...string) string {
	tb.Helper()
	keys := make([]*jose.Key, len(kids))
	for i, kid := range kids {
		keys[i] = testKey(tb, kid, jose.ES256)
	}
	return marshalSet(tb, keys...)
}

func marshalSet(tb testing.TB, keys ...*jose.Key) string {
	tb.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// fetchLimits are the defaults, but quick.
func fetchLimits() gate.Fetch {
	var f gate.Fetch
	f.SetDefaults()
	f.StartWait = 5 * time.Second
	return f
}

// idp is a provider whose answers can be changed.
type idp struct {
	*httptest.Server
	handler atomic.Pointer[http.HandlerFunc]
	hits    atomic.Int64
}

func newIDP(tb testing.TB, h http.HandlerFunc) *idp {
	tb.Helper()
	p := new(idp)
	p.serve(h)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hits.Add(1)
		(*p.handler.Load())(w, r)
	}))
	tb.Cleanup(p.Close)
	return p
}

func (p *idp) serve(h http.HandlerFunc) { p.handler.Store(&h) }

// body answers 200 with a text.
func body(text string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		fmt.Fprint(w, text)
	}
}

func newManager(tb testing.TB, stateDir string) *Manager {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	if _, ok := tb.(*testing.T); ok {
		log = slog.New(slog.NewTextHandler(testLog{tb}, nil))
	}
	m := NewManager(Options{Log: log, StateDir: stateDir})
	tb.Cleanup(m.Close)
	return m
}

// testLog shows logs of failing tests.
type testLog struct{ testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	fmt.Fprintf(l.Output(), "%s", b)
	return len(b), nil
}

func acquire(tb testing.TB, m *Manager, p *gate.Provider) *Source {
	tb.Helper()
	s, problems := m.Acquire(p)
	if err := problems.Err(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Release)
	return s
}

func ready(tb testing.TB, s *Source) {
	tb.Helper()
	if err := s.WaitReady(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func urlProvider(urls ...string) *gate.Provider {
	return &gate.Provider{Name: "p", JWKSURLs: urls, Fetch: fetchLimits(), Algorithms: []string{"ES256"}}
}

// kids returns the kids of the keys that a source gives for a kid, or the error.
func kids(s *Source, kid string, alg jose.Algorithm) ([]string, error) {
	keys, err := s.Keys(context.Background(), kid, alg)
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.KeyID())
	}
	return ids, err
}

func wantKids(tb testing.TB, s *Source, kid string, want ...string) {
	tb.Helper()
	if got, err := kids(s, kid, jose.ES256); err != nil || !slices.Equal(got, want) {
		tb.Errorf("keys for %q: %q, %v; want %q", kid, got, err, want)
	}
}

func wantError(tb testing.TB, s *Source, kid string, alg jose.Algorithm, want error) {
	tb.Helper()
	if got, err := kids(s, kid, alg); !errors.Is(err, want) || got != nil {
		tb.Errorf("keys for %q: %q, %v; want %v", kid, got, err, want)
	}
}

// eventually waits until a condition that others bring about holds.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSecret(t *testing.T) {
	m := newManager(t, "")
	s := acquire(t, m, &gate.Provider{Name: "p", Secret: gate.NewSecret("0123456789abcdef0123456789abcdef"), Algorithms: []string{"HS256"}})
	ready(t, s)
	for _, kid := range []string{"", "any"} {
		keys, err := s.Keys(t.Context(), kid, jose.HS256)
		if err != nil || len(keys) != 1 || !keys[0].Symmetric() {
			t.Errorf("%v, %v", keys, err)
		}
	}
	wantError(t, s, "", jose.HS512, ErrUnknownKey)
	wantError(t, s, "", jose.RS256, ErrUnknownKey)
}

func TestPublicKey(t *testing.T) {
	key := testKey(t, "a", jose.ES256)
	text, err := key.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	m := newManager(t, "")
	s := acquire(t, m, &gate.Provider{Name: "p", PublicKey: string(text), Algorithms: []string{"ES256"}})
	ready(t, s)
	wantKids(t, s, "", "")
	wantKids(t, s, "whatever", "")
	wantError(t, s, "a", jose.RS256, ErrUnknownKey)
}

func TestURL(t *testing.T) {
	p := newIDP(t, body(setOf(t, "a", "b")))
	m := newManager(t, "")
	s := acquire(t, m, urlProvider(p.URL))
	ready(t, s)
	wantKids(t, s, "a", "a")
	wantKids(t, s, "b", "b")
	wantKids(t, s, "", "a", "b")
	keys, err := s.Keys(t.Context(), "a", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s.Verified(keys[0])
	status := m.Status()
	if len(status) != 1 || !status[0].Ready || status[0].Error != "" || status[0].Keys[0].Tokens != 1 || status[0].Keys[1].Tokens != 0 ||
		status[0].Keys[0].Type != "EC" || status[0].Parts[0].Fetches != 1 || status[0].Parts[0].Location != p.URL {
		t.Errorf("%+v", status)
	}
}

// Where no key has a kid, that of a token says nothing: it is judged by the keys that fit, without a fetch. What a key is for still counts.
func TestSetWithoutKids(t *testing.T) {
	plain := testKey(t, "plain", jose.ES256).WithKeyID("")
	member := func(key *jose.Key, add string) string {
		text, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(text), "}") + add + "}"
	}
	idp := newIDP(t, body(fmt.Sprintf(`{"keys":[%s,%s,%s]}`, member(plain, ""),
		member(testKey(t, "enc", jose.ES384).WithKeyID(""), `,"use":"enc"`), member(testKey(t, "verify", jose.EdDSA).WithKeyID(""), `,"key_ops":["sign"]`))))
	p := urlProvider(idp.URL)
	p.Algorithms = []string{"ES256", "ES384", "EdDSA"}
	p.Fetch.UnknownKeyInterval, p.Fetch.UnknownKeyWait = time.Millisecond, time.Second
	s := acquire(t, newManager(t, ""), p)
	ready(t, s)
	for _, kid := range []string{"a", "../../etc/passwd", ""} {
		wantKids(t, s, kid, "")
	}
	if n := idp.hits.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	for _, alg := range []jose.Algorithm{jose.ES384, jose.EdDSA, jose.HS256, jose.RS256} {
		wantError(t, s, "a", alg, ErrUnknownKey)
	}

	idp.serve(body(marshalSet(t, plain, testKey(t, "b", jose.ES256))))
	wantError(t, s, "other", jose.RS256, ErrUnknownKey) // has the set fetched
	eventually(t, "the new set is used", func() bool { return len(s.Status().Keys) == 2 })
	wantKids(t, s, "b", "b")
	wantError(t, s, "a", jose.ES256, ErrUnknownKey)
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	write := func(text string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	write(setOf(t, "a"))
	m := newManager(t, "")
	s := acquire(t, m, &gate.Provider{Name: "p", JWKSFile: file, Algorithms: []string{"ES256"}})
	ready(t, s)
	wantKids(t, s, "a", "a")

	write(setOf(t, "b"))
	eventually(t, "the new file is used", func() bool { _, err := s.view.Load().find(candidate{"b", jose.ES256}); return err == nil })
	wantError(t, s, "a", jose.ES256, ErrUnknownKey)

	for name, bad := range map[string]string{"empty": "", "no keys": `{"keys":[]}`, "not JSON": "keys"} {
		before := s.Status().Parts[0].Failures
		write(bad)
		eventually(t, name+" is noticed", func() bool { return s.Status().Parts[0].Failures > before })
		wantKids(t, s, "b", "b")
		if s.Status().Error == "" {
			t.Errorf("%s: no error in the status", name)
		}
	}
	write(setOf(t, "c"))
	eventually(t, "the mended file is used", func() bool { return s.Status().Error == "" })
	wantKids(t, s, "c", "c")
}
