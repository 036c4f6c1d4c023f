package attack_test

import (
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// floods are attacks that are only seen in numbers.
func (s *suite) floods(t *testing.T) {
	t.Run("large tokens at a time", func(t *testing.T) {
		large := s.get("/tickets", bearer(strings.Repeat("A", 10_000_000)))
		body := formRequest("jwt=" + strings.Repeat(".", 10_000_000))
		s.atOnce(t, 60, func(i int) {
			message, status := large, 431
			if i%2 > 0 {
				message, status = body, 413
			}
			for _, a := range s.send(t, "web", message) { // a client that goes on sending may not see it
				if a.StatusCode != status {
					t.Errorf("status %d, want %d", a.StatusCode, status)
				}
			}
		})
		s.untouched(t)
	})
	t.Run("unknown kids at a time", func(t *testing.T) {
		s.alpha.mu.Lock()
		before := s.alpha.fetches
		s.alpha.mu.Unlock()
		good, started := s.get("/tickets", bearer(s.good())), time.Now()
		var slowest time.Duration
		var mu sync.Mutex
		s.atOnce(t, 400, func(i int) {
			message, status := good, 200
			if i%8 > 0 {
				message, status = s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, object{"kid": rand.Text()}, nil))), 401
			}
			sent := time.Now()
			answers := s.send(t, "web", message)
			if len(answers) != 1 || answers[0].StatusCode != status {
				t.Errorf("answers %v, want %d", summary(answers), status)
			}
			if d := time.Since(sent); status == 200 {
				mu.Lock()
				slowest = max(slowest, d)
				mu.Unlock()
			}
		})
		for _, r := range s.upstream.take() {
			r.sees(t, "X-User", subject)
		}
		took := time.Since(started)
		s.alpha.mu.Lock()
		fetched := s.alpha.fetches - before
		s.alpha.mu.Unlock()
		t.Logf("%d fetches in %v; the slowest good token took %v", fetched, took, slowest)
		// Three providers fetch the set of this issuer, each at most once in the interval.
		if most := 3 * (int(took/unknownKeyInterval) + 2); fetched > most {
			t.Errorf("%d fetches of the key set in %v, want at most %d", fetched, took, most)
		}
		if slowest > 2*time.Second {
			t.Errorf("a good token waited for %v", slowest)
		}
	})
}

// unknownKeyInterval is what the configuration says.
const unknownKeyInterval = 20 * time.Millisecond

// atOnce calls do n times, up to forty at a time, and waits for all.
func (s *suite) atOnce(t *testing.T, n int, do func(i int)) {
	t.Helper()
	var all sync.WaitGroup
	places := make(chan struct{}, 40)
	for i := range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			do(i)
		})
	}
	all.Wait()
}
