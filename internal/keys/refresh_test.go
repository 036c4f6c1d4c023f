package keys

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// A set is renewed ahead of its end, by the Cache-Control of its answer.
func TestRefreshSchedule(t *testing.T) {
	for _, tc := range []struct {
		cacheControl string
		lifetime     time.Duration
	}{
		{"", 10 * time.Minute}, {"max-age=200", 200 * time.Second}, {"max-age=99999", 10 * time.Minute},
	} {
		inBubble(t, "", body(setOf(t, "a"), "Cache-Control", tc.cacheControl), func(w *world) {
			t := w.T
			s := acquire(t, w.Manager, urlProvider(jwksURL))
			ready(t, s)
			start := time.Now()
			for w.hits.Load() < 2 {
				time.Sleep(time.Second)
			}
			if got := time.Since(start).Seconds() / tc.lifetime.Seconds(); got < 0.75 || got > 0.86 {
				t.Errorf("%q: renewed at %.2f of the lifetime", tc.cacheControl, got)
			}
			next := s.Status().Parts[0].NextFetch
			if d := time.Until(next); d <= 0 || d > tc.lifetime {
				t.Errorf("the next fetch is in %s", d)
			}
		})
	}
}

// Failing fetches are repeated ever more slowly, and a good one mends everything.
func TestBackoff(t *testing.T) {
	inBubble(t, "", status(http.StatusServiceUnavailable, ""), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		after(10 * time.Minute)
		// 0.5, 1, 2, 4, 8 s, then at most 10 s, each give or take half.
		if n := w.hits.Load(); n < 40 || n > 90 {
			t.Errorf("%d attempts in 10 minutes without keys", n)
		}
		w.serve(body(setOf(t, "a")))
		after(20 * time.Second)
		ready(t, s)
		w.serve(status(http.StatusServiceUnavailable, ""))
		w.hits.Store(0)
		after(20 * time.Minute)
		if n := w.hits.Load(); n < 5 || n > 30 {
			t.Errorf("%d attempts in the 10 minutes after the keys should have been renewed", n)
		}
		wantKids(t, s, "a", "a")
		if got := s.Status(); !got.Parts[0].Stale || !got.Ready {
			t.Errorf("%+v", got)
		}
	})
}

// Keys that cannot be renewed are used up to a limit, and not beyond.
func TestMaxStale(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a"), "Cache-Control", "max-age=100"), func(w *world) {
		t := w.T
		p := urlProvider(jwksURL)
		p.Fetch.MaxStale = time.Hour
		s := acquire(t, w.Manager, p)
		ready(t, s)
		generation := s.Generation()
		w.serve(status(http.StatusInternalServerError, ""))
		after(100*time.Second + time.Hour - time.Second)
		wantKids(t, s, "a", "a")
		after(2 * time.Second)
		wantError(t, s, "a", jose.ES256, ErrUnavailable)
		wantError(t, s, "", jose.ES256, ErrUnavailable)
		if s.Generation() == generation || s.Ready() {
			t.Errorf("generation %d, ready %v", s.Generation(), s.Ready())
		}
		w.serve(body(setOf(t, "a")))
		after(20 * time.Second)
		wantKids(t, s, "a", "a")
	})
}

// Addresses are independent: one that fails keeps neither the others' keys back nor its own from being used.
func TestSeveralURLs(t *testing.T) {
	idp := &site{docs: map[string]string{"/1": setOf(t, "a"), "/2": "500"}}
	inBubble(t, "", idp.ServeHTTP, func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider("http://id.test/1", "http://id.test/2"))
		if err := s.WaitReady(t.Context()); err == nil || !strings.Contains(err.Error(), "http://id.test/2: the server answered 500") || strings.Contains(err.Error(), "/1") {
			t.Errorf("ready: %v", err)
		}
		wantKids(t, s, "a", "a")
		wantError(t, s, "b", jose.ES256, ErrUnavailable) // it may be the other's
		idp.set("/2", setOf(t, "b", "a"))
		after(20 * time.Second)
		wantKids(t, s, "b", "b")
		wantKids(t, s, "a", "a")
		ready(t, s)
		idp.set("/1", "500")
		after(time.Hour)
		wantKids(t, s, "a", "a")
		wantKids(t, s, "b", "b")
		wantError(t, s, "x", jose.ES256, ErrUnavailable)
	})
}

// After a restart with the provider down, the last known good keys are used, for as long as they may be.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	p := urlProvider(jwksURL)
	p.Fetch.MaxStale = time.Hour
	set := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body(setOf(t, "a"), "ETag", `"v1"`)(w, r)
	}
	run := func(h http.HandlerFunc, test func(*world, *Source)) {
		t.Helper()
		inBubble(t, dir, h, func(w *world) {
			t := w.T
			s := acquire(t, w.Manager, p)
			test(w, s)
		})
	}
	down := status(http.StatusBadGateway, "")
	run(set, func(w *world, s *Source) { ready(w.T, s) })
	files, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}

	run(down, func(w *world, s *Source) {
		t := w.T

		ready(t, s)
		wantKids(t, s, "a", "a")
		if got := s.Status().Parts[0]; !got.FromDisk {
			t.Errorf("%+v", got)
		}
		w.serve(set)
		after(time.Minute)
		if got := s.Status(); got.Parts[0].FromDisk || got.Error != "" || got.Generation != 1 {
			t.Errorf("the answer 304 does not confirm the keys: %+v", got)
		}
	})
	run(down, func(w *world, s *Source) {
		t := w.T

		after(p.Fetch.MaxRefresh + p.Fetch.MaxStale + 2*time.Minute)
		wantError(t, s, "a", jose.ES256, ErrUnavailable)
	})

	flipped := []byte(strings.Replace(string(good), "id.test", "ev.test", 1))
	other := p.Fetch
	for name, spoil := range map[string]func(){
		"damaged":        func() { write(t, files[0], flipped, 0o600) },
		"cut off":        func() { write(t, files[0], good[:len(good)/2], 0o600) },
		"short":          func() { write(t, files[0], good[:10], 0o600) },
		"empty":          func() { write(t, files[0], nil, 0o600) },
		"written by all": func() { write(t, files[0], good, 0o666) },
		"link": func() {
			write(t, filepath.Join(dir, "target"), good, 0o600)
			if err := os.Remove(files[0]); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(dir, "target"), files[0]); err != nil {
				t.Fatal(err)
			}
		},
		"other issuer":  func() { p.Issuer = "https://other" },
		"other address": func() { p.JWKSURLs = []string{jwksURL + "2"} },
		"other TLS":     func() { p.Fetch.TLS = &gate.ClientTLS{ServerName: "q"} },
	} {
		t.Run(name, func(t *testing.T) {
			write(t, files[0], good, 0o600)
			spoil()
			run(down, func(w *world, s *Source) { wantError(w.T, s, "a", jose.ES256, ErrUnavailable) })
			p.Issuer, p.JWKSURLs, p.Fetch = "", []string{jwksURL}, other
			if err := os.Remove(files[0]); err != nil {
				t.Fatal(err)
			}
		})
	}

	// A file of another binding is not taken, even under the name of this one.
	write(t, files[0], good, 0o600)
	name := filepath.Join(dir, "keys", strings.Repeat("0", 64)+".jwks")
	if err := os.Rename(files[0], name); err != nil {
		t.Fatal(err)
	}
	if doc, err := (disk{filepath.Join(dir, "keys")}).load(strings.Repeat("0", 64), setOptions(p.Fetch), time.Now()); err == nil {
		t.Errorf("loaded %+v", doc)
	}
}

func write(tb testing.TB, path string, data []byte, mode os.FileMode) {
	tb.Helper()
	if err := os.RemoveAll(path); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		tb.Fatal(err)
	}
}

// A state directory that cannot be written costs nothing but the copy.
func TestDiskUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil, 0o600)
	inBubble(t, file, body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		wantKids(t, s, "a", "a")
	})
}
