package keys

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

func TestAcquireShares(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		a, _ := w.Acquire(urlProvider(jwksURL))
		b, _ := w.Acquire(urlProvider(jwksURL))
		if a == nil || a != b {
			t.Fatal("the same content gave two sources")
		}
		other := urlProvider(jwksURL)
		other.Fetch.MaxKeys = 7
		c, _ := w.Acquire(other)
		if c == a {
			t.Fatal("other content gave the same source")
		}
		a.Release()
		ready(t, b)
		if n := len(w.Status()); n != 2 {
			t.Errorf("%d sources", n)
		}
		b.Release()
		c.Release()
		if n := len(w.Status()); n != 0 {
			t.Errorf("%d sources after they were given back", n)
		}
		hits := w.hits.Load()
		after(time.Hour)
		if w.hits.Load() != hits {
			t.Error("a source that was given back still fetches")
		}
		d, _ := w.Acquire(urlProvider(jwksURL))
		if d == a {
			t.Error("a closed source was given out")
		}
		ready(t, d)
		d.Release()
	})
}

// A secret that is not UTF-8 is not mixed up with another.
func TestAcquireTellsSecretsApart(t *testing.T) {
	m := newManager(t, "")
	of := func(last string) *Source {
		return acquire(t, m, &gate.Provider{Name: "p", Secret: gate.NewSecret(strings.Repeat("x", 32) + last), Algorithms: []string{"HS256"}})
	}
	if of("\xff") == of("\xfe") {
		t.Error("two secrets, one source")
	}
	if a, b := of("a"), of("a"); a != b {
		t.Error("one secret, two sources")
	}
}

// When only the name or the settings of fetching change, the new source goes on with the keys of the old one, even if the provider is down. When it is about trust, it does not.
func TestAcquireAdopts(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		w.serve(status(http.StatusInternalServerError, ""))

		p := urlProvider(jwksURL)
		p.Fetch.Timeout = time.Second
		next := acquire(t, w.Manager, p)
		ready(t, next)
		wantKids(t, next, "a", "a")

		p = urlProvider(jwksURL)
		p.Name = "renamed"
		renamed := acquire(t, w.Manager, p)
		ready(t, renamed)
		wantKids(t, renamed, "a", "a")

		p = urlProvider(jwksURL)
		p.Issuer = "https://other"
		wantError(t, acquire(t, w.Manager, p), "a", jose.ES256, ErrUnavailable)
		p = urlProvider(jwksURL)
		p.Fetch.TLS = &gate.ClientTLS{InsecureSkipVerify: true}
		wantError(t, acquire(t, w.Manager, p), "a", jose.ES256, ErrUnavailable)
	})
}

// A gateway that starts while the provider is down has the keys of the last run, also if the provider was given another name since.
func TestRenameOverRestart(t *testing.T) {
	dir := t.TempDir()
	idp := newIDP(t, body(setOf(t, "a")))
	m := newManager(t, dir)
	ready(t, acquire(t, m, urlProvider(idp.URL)))
	m.Close()
	idp.serve(abort)
	p := urlProvider(idp.URL)
	p.Name = "renamed"
	s := acquire(t, newManager(t, dir), p)
	ready(t, s)
	wantKids(t, s, "a", "a")
}

func TestAcquireRefuses(t *testing.T) {
	m := newManager(t, "")
	if s, problems := m.Acquire(&gate.Provider{Name: "p"}); s != nil || problems.Err() == nil {
		t.Errorf("%v, %v", s, problems)
	}
	m.Close()
	if s, problems := m.Acquire(urlProvider(jwksURL)); s != nil || problems.Err() == nil {
		t.Errorf("after Close: %v, %v", s, problems)
	}
}

func TestCloseTwice(t *testing.T) {
	inBubble(t, "", hang, func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		static := acquire(t, w.Manager, &gate.Provider{Name: "s", Secret: gate.NewSecret(strings.Repeat("x", 32)), Algorithms: []string{"HS256"}})
		synctest.Wait()
		start := time.Now()
		w.Close()
		w.Close()
		if time.Since(start) > 0 {
			t.Errorf("closing took %s while the provider hangs", time.Since(start))
		}
		wantError(t, s, "a", jose.ES256, ErrUnavailable)
		if _, err := static.Keys(t.Context(), "", jose.HS256); err != nil {
			t.Error(err)
		}
	})
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	kids1, kids2 := setOf(t, "a", "b"), setOf(t, "b", "c")
	idp := newIDP(t, body(kids1, "Cache-Control", "max-age=0"))
	m := newManager(t, t.TempDir())
	p := urlProvider(idp.URL)
	p.Fetch.MinRefresh, p.Fetch.UnknownKeyInterval = time.Millisecond, time.Millisecond
	keep := acquire(t, m, p)
	ready(t, keep)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 100 {
				s, problems := m.Acquire(p)
				if problems.Err() != nil {
					t.Error(problems)
					return
				}
				found, err := s.Keys(t.Context(), "b", jose.ES256)
				if err != nil {
					t.Error(err)
				} else {
					s.Verified(found[0])
				}
				if i%10 == 0 {
					_, _ = s.Keys(t.Context(), fmt.Sprint(worker, i), jose.ES256)
					_ = m.Status()
					_ = s.Generation()
					if i%20 == 0 {
						idp.serve(body(kids2, "Cache-Control", "max-age=0"))
					} else {
						idp.serve(body(kids1, "Cache-Control", "max-age=0"))
					}
				}
				s.Release()
			}
		})
	}
	wg.Wait()
	for _, k := range keep.Status().Keys {
		if k.KeyID == "b" && k.Tokens != 800 {
			t.Errorf("%d tokens counted", k.Tokens)
		}
	}
}

func TestInsecureIsLoud(t *testing.T) {
	var logged strings.Builder
	m := NewManager(Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	defer m.Close()
	p := urlProvider("https://127.0.0.1:1/")
	p.Fetch.TLS = &gate.ClientTLS{InsecureSkipVerify: true}
	s, _ := m.Acquire(p)
	s.Release()
	if !strings.Contains(logged.String(), "level=WARN msg=\"SERVER CERTIFICATES ARE NOT CHECKED") {
		t.Error(logged.String())
	}
}

// A link that is swapped, as Kubernetes does with mounted files, is a change of the file.
func TestFileLinkSwap(t *testing.T) {
	dir := t.TempDir()
	link := func(name, to string) {
		t.Helper()
		writeLink(t, filepath.Join(dir, name), to)
	}
	write(t, filepath.Join(dir, "v1"), []byte(setOf(t, "a")), 0o600)
	write(t, filepath.Join(dir, "v2"), []byte(setOf(t, "b")), 0o600)
	link("data", "v1")
	link("keys.json", "data")
	s := acquire(t, newManager(t, ""), &gate.Provider{Name: "p", JWKSFile: filepath.Join(dir, "keys.json"), Algorithms: []string{"ES256"}})
	wantKids(t, s, "a", "a")
	link("data", "v2")
	eventually(t, "the new file is used", func() bool { _, err := s.view.Load().find(candidate{"b", jose.ES256}); return err == nil })
}

// A token with an unknown kid has the file read again, even when nobody told that it changed.
func TestFileUnknownKid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	write(t, file, []byte(setOf(t, "a")), 0o600)
	m := newManager(t, "")
	p := &gate.Provider{Name: "p", JWKSFile: file, Algorithms: []string{"ES256"}}
	s := m.open(p, nil) // its goroutines are started here, without the watcher
	ctx, stop := context.WithCancel(t.Context())
	s.done.Go(func() { s.parts[0].run(ctx) })
	s.done.Go(func() { s.seeker.run(ctx) })
	defer s.done.Wait()
	defer stop()
	wantKids(t, s, "a", "a")
	write(t, file, []byte(setOf(t, "b")), 0o600)
	wantKids(t, s, "b", "b")
	wantError(t, s, "a", jose.ES256, ErrUnknownKey)
}

func writeLink(tb testing.TB, path, to string) {
	tb.Helper()
	if err := os.Symlink(to, path+".new"); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}
