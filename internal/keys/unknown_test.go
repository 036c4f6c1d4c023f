package keys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/jose"
)

const jwksURL = "http://id.test/jwks"

// 100,000 random kids, each by a request of its own, cause at most one fetch in an interval and never a wait beyond the limit.
func TestRandomKids(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		p := urlProvider(jwksURL)
		s := acquire(t, w.Manager, p)
		ready(t, s)
		w.hits.Store(0)
		start := time.Now()
		var wg sync.WaitGroup
		var longest atomic.Int64
		for i := range 100_000 {
			wg.Go(func() {
				came := time.Now()
				wantError(t, s, fmt.Sprintf("random-%d", i), jose.ES256, ErrUnknownKey)
				for waited := int64(time.Since(came)); ; {
					if l := longest.Load(); waited <= l || longest.CompareAndSwap(l, waited) {
						return
					}
				}
			})
			if i%100 == 0 {
				time.Sleep(20 * time.Millisecond) // 5,000 a second, for 20 s
			}
		}
		wg.Wait()
		intervals := int64(time.Since(start)/p.Fetch.UnknownKeyInterval) + 1
		if hits := w.hits.Load(); hits > intervals || hits < 2 {
			t.Errorf("%d fetches in %d intervals", hits, intervals)
		}
		if got := time.Duration(longest.Load()); got > p.Fetch.UnknownKeyWait {
			t.Errorf("a request waited %s", got)
		}
		status := s.Status()
		if status.UnknownKeyRefused != 100_000 || int64(status.UnknownKeyFetches) != w.hits.Load() {
			t.Errorf("%d refused, %d fetches counted", status.UnknownKeyRefused, status.UnknownKeyFetches)
		}
		wantKids(t, s, "a", "a")
	})
}

// The provider rotates its keys under load, uses the new one at once, and somebody sends random kids all the time: no good token is refused. When there are more
// random kids than requests may wait, the first tokens of a new key may be.
func TestRotationUnderAttack(t *testing.T) {
	for name, tc := range map[string]struct {
		attack  time.Duration // between two random kids
		refused int64         // at most, of 4,000 good tokens
	}{
		"attack":   {3 * time.Millisecond, 0},
		"overload": {500 * time.Microsecond, 20},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", body(setOf(t, "old")), func(w *world) {
				t := w.T
				s := acquire(t, w.Manager, urlProvider(jwksURL))
				ready(t, s)
				ctx, stop := context.WithCancel(t.Context())
				var attack, load sync.WaitGroup
				attack.Go(func() {
					for i := 0; sleep(ctx, tc.attack); i++ {
						attack.Go(func() { wantError(t, s, fmt.Sprintf("random-%d", i), jose.ES256, ErrUnknownKey) })
					}
				})
				var refused atomic.Int64
				kid := "old"
				for i := range 4_000 { // 200 a second, for 20 s, with a rotation every 4 s
					if i%800 == 799 {
						next := fmt.Sprintf("new-%d", i)
						w.serve(body(setOf(t, kid, next)))
						kid = next
					}
					sent := kid
					load.Go(func() {
						if got, err := kids(s, sent, jose.ES256); err != nil {
							refused.Add(1)
						} else if len(got) != 1 || got[0] != sent {
							t.Errorf("keys for %s: %q", sent, got)
						}
					})
					time.Sleep(5 * time.Millisecond)
				}
				load.Wait()
				stop()
				attack.Wait()
				if n := refused.Load(); n > tc.refused {
					t.Errorf("%d good tokens refused", n)
				}
			})
		})
	}
}

// Caches between the gateway and the provider are told not to answer when a key is looked for.
func TestUnknownKidPassesCaches(t *testing.T) {
	cache := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cache-Control") == "no-cache" {
			body(setOf(t, "a", "b"))(w, r)
			return
		}
		body(setOf(t, "a"))(w, r)
	}
	inBubble(t, "", cache, func(w *world) {
		s := acquire(w.T, w.Manager, urlProvider(jwksURL))
		ready(w.T, s)
		wantKids(w.T, s, "b", "b")
	})
}

// A rotation without any attack costs nobody more than the fetch.
func TestRotation(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		w.hits.Store(0)
		w.serve(body(setOf(t, "a", "b")))
		start := time.Now()
		var wg sync.WaitGroup
		for range maxWaiters {
			wg.Go(func() { wantKids(t, s, "b", "b") })
		}
		wg.Wait()
		if took := time.Since(start); took > 0 {
			t.Errorf("waited %s beyond the fetch", took)
		}
		if w.hits.Load() != 1 {
			t.Errorf("%d fetches", w.hits.Load())
		}
	})
}

// A kid that a fetch did not find is refused at once until the next fetch is allowed, and then looked for again.
func TestMissingKid(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		p := urlProvider(jwksURL)
		s := acquire(t, w.Manager, p)
		ready(t, s)
		w.hits.Store(0)
		start := time.Now()
		for range 1000 {
			wantError(t, s, "gone", jose.ES256, ErrUnknownKey)
		}
		if took := time.Since(start); took > 0 || w.hits.Load() != 1 {
			t.Errorf("%s and %d fetches for one missing kid", took, w.hits.Load())
		}
		w.serve(body(setOf(t, "a", "gone")))
		after(p.Fetch.UnknownKeyInterval)
		wantKids(t, s, "gone", "gone")
		if w.hits.Load() != 2 {
			t.Errorf("%d fetches", w.hits.Load())
		}
	})
}

// Another kid in the same interval waits for the next fetch.
func TestSecondUnknownKidWaits(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		p := urlProvider(jwksURL)
		s := acquire(t, w.Manager, p)
		ready(t, s)
		wantError(t, s, "x", jose.ES256, ErrUnknownKey)
		w.serve(body(setOf(t, "a", "b")))
		after(time.Second)
		start := time.Now()
		wantKids(t, s, "b", "b")
		if got, want := time.Since(start), p.Fetch.UnknownKeyInterval-time.Second; got != want {
			t.Errorf("waited %s, want %s", got, want)
		}
	})
}

// A wait that is shorter than the interval refuses at once instead, but the fetch comes.
func TestShortWait(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Second} {
		inBubble(t, "", body(setOf(t, "a")), func(w *world) {
			t := w.T
			p := urlProvider(jwksURL)
			p.Fetch.UnknownKeyWait = wait
			s := acquire(t, w.Manager, p)
			ready(t, s)
			wantError(t, s, "x", jose.ES256, ErrUnknownKey)
			synctest.Wait()
			w.serve(body(setOf(t, "a", "b")))
			start := time.Now()
			wantError(t, s, "b", jose.ES256, ErrUnknownKey)
			if took := time.Since(start); took > 0 {
				t.Errorf("waited %s", took)
			}
			after(p.Fetch.UnknownKeyInterval)
			wantKids(t, s, "b", "b")
		})
	}
}

// While the provider hangs, tokens of known keys are not affected, and those of unknown ones wait no longer than they may and get 503.
func TestUnknownKidWhileHanging(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		p := urlProvider(jwksURL)
		p.Fetch.Timeout = 20 * time.Second
		s := acquire(t, w.Manager, p)
		ready(t, s)
		w.serve(hang)
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() {
			wantError(t, s, "x", jose.ES256, ErrUnavailable)
			if got := time.Since(start); got != p.Fetch.UnknownKeyWait {
				t.Errorf("waited %s", got)
			}
		})
		synctest.Wait()
		for range 100 {
			wantKids(t, s, "a", "a")
		}
		if time.Since(start) != 0 {
			t.Error("a known kid waited")
		}
		wg.Wait()
	})
}

// A fetch that fails says nothing about a kid: 503, at once until the next one.
func TestUnknownKidWhileFailing(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		w.hits.Store(0)
		w.serve(status(http.StatusInternalServerError, ""))
		start := time.Now()
		for range 10 {
			wantError(t, s, "x", jose.ES256, ErrUnavailable)
		}
		if time.Since(start) > 0 || w.hits.Load() != 1 {
			t.Errorf("%s and %d fetches", time.Since(start), w.hits.Load())
		}
	})
}

// A request that goes away stops waiting.
func TestUnknownKidCancelled(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		wantError(t, s, "x", jose.ES256, ErrUnknownKey)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Keys(ctx, "y", jose.ES256)
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// Requests that wait when the source is closed are let go, and later ones do not wait.
func TestUnknownKidWhileClosing(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		wantError(t, s, "x", jose.ES256, ErrUnknownKey)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { wantError(t, s, "y", jose.ES256, ErrUnavailable) })
		synctest.Wait()
		w.Close()
		wg.Wait()
		wantError(t, s, "z", jose.ES256, ErrUnavailable)
		wantKids(t, s, "a", "a")
		if time.Since(start) > 0 {
			t.Error("waited")
		}
	})
}

func TestLongKid(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		w.hits.Store(0)
		wantError(t, s, strings.Repeat("x", maxKidBytes+1), jose.ES256, ErrUnknownKey)
		after(time.Minute)
		if w.hits.Load() != 0 {
			t.Error("a kid that is too long was looked for")
		}
	})
}

// What is remembered is bounded, whatever is sent.
func TestSeekerBounds(t *testing.T) {
	inBubble(t, "", body(setOf(t, "a")), func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, urlProvider(jwksURL))
		ready(t, s)
		var wg sync.WaitGroup
		check := func() {
			t.Helper()
			k := s.seeker
			k.mu.Lock()
			defer k.mu.Unlock()
			if max(len(k.searches), len(k.missing), k.waiters) > maxWaiters {
				t.Errorf("%d searches, %d missing, %d waiters", len(k.searches), len(k.missing), k.waiters)
			}
		}
		for round := range 2 {
			for i := range 2 * maxWaiters {
				wg.Go(func() { _, _ = kids(s, fmt.Sprint("kid", round, i), jose.ES256) })
			}
			for range 2 * maxWaiters {
				wg.Go(func() { _, _ = kids(s, fmt.Sprint("popular", round), jose.ES256) })
			}
			synctest.Wait()
			check()
			time.Sleep(time.Second)
		}
		wg.Wait()
		check()
		if k := s.seeker; k.waiters != 0 || len(k.searches) != 0 {
			t.Errorf("%d waiters and %d searches are left", k.waiters, len(k.searches))
		}
	})
}
