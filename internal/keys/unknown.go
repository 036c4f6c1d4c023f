package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxKidBytes is the longest kid that is looked for.
	maxKidBytes = 512
	// maxWaiters is how many requests wait at a time, how many kids are looked for, and how many are remembered as missing.
	maxWaiters = 4096
	// evictSample is how many searches are looked at to find one that gives way, and evictWaiters how many requests may wait for that one.
	evictSample, evictWaiters = 16, 4
)

// seeker looks for keys that are not there: in rounds, of which one starts at most every interval, whoever asks for whatever. A round fetches every part of the
// source once. What it did not find is refused at once until the next round may start.
//
// Random kids do not crowd out the kid of a new key: when too many requests wait, a search that few of them wait for gives way, and for the kid of a new key there
// are soon many. A request that has to give way is refused as any unknown key is, not with 503: an attacker must not be able to make the gateway look broken.
type seeker struct {
	interval, wait time.Duration
	// view is the source's.
	view *atomic.Pointer[view]
	// fetch fetches every part; it returns an error if one of them failed, so that nothing is known about missing keys.
	fetch func(context.Context) error

	// kick wakes run; it is never blocked on.
	kick    chan struct{}
	fetches atomic.Uint64
	refused atomic.Uint64

	mu       sync.Mutex // guards what follows
	searches map[candidate]*search
	waiters  int
	missing  map[candidate]struct{} // what the last round did not find
	verdict  error                  // of the last round, about those
	next     time.Time              // no round starts before
	stopped  bool
}

// search is one kid and algorithm being looked for.
type search struct {
	waiters int
	// done is closed after verdict is set and the search is out of the map.
	done    chan struct{}
	verdict error // nil: found
}

func newSeeker(interval, wait time.Duration, v *atomic.Pointer[view], fetch func(context.Context) error) *seeker {
	return &seeker{
		interval: interval, wait: wait, view: v, fetch: fetch,
		kick:     make(chan struct{}, 1),
		searches: make(map[candidate]*search),
	}
}

// seek returns nil when the key is there now, and else ErrUnknownKey or an error that wraps ErrUnavailable. It waits for the next round if that ends within the
// seeker's wait.
func (k *seeker) seek(ctx context.Context, c candidate) error {
	s, err := k.join(c)
	if s == nil {
		if err != nil {
			k.refused.Add(1)
		}
		return err
	}
	timer := time.NewTimer(k.wait)
	defer timer.Stop()
	select {
	case <-s.done:
		err = s.verdict
	case <-timer.C:
		err = ErrUnavailable
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	k.leave(c, s)
	if err != nil {
		k.refused.Add(1)
	}
	return err
}

// join makes the request a waiter of a search, or decides at once.
func (k *seeker) join(c candidate) (*search, error) {
	if len(c.kid) > maxKidBytes {
		return nil, ErrUnknownKey
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// Keys may have come since the caller looked. From here on, found closes the search.
	if _, err := k.view.Load().find(c); !errors.Is(err, ErrUnknownKey) {
		return nil, err
	}
	if k.stopped {
		return nil, ErrUnavailable
	}
	now := time.Now()
	if _, known := k.missing[c]; known && now.Before(k.next) {
		return nil, k.verdict
	}
	s := k.searches[c]
	if max(k.waiters, len(k.searches)) >= maxWaiters && !k.evict(s) {
		return nil, ErrUnknownKey
	}
	if s == nil {
		s = &search{done: make(chan struct{})}
		k.searches[c] = s
	}
	select {
	case k.kick <- struct{}{}:
	default:
	}
	if max(0, k.next.Sub(now)) >= k.wait {
		return nil, ErrUnknownKey // the round will come all the same
	}
	s.waiters++
	k.waiters++
	return s, nil
}

// leave is the opposite of join. A search that nobody waits for goes on.
func (k *seeker) leave(c candidate, s *search) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.searches[c] == s {
		s.waiters--
		k.waiters--
	}
}

// evict ends the search, of some that the map gives in its random order, that the fewest wait for, if those are few. It spares one.
func (k *seeker) evict(spared *search) bool {
	var least candidate
	var victim *search
	looked := 0
	for c, s := range k.searches {
		if s != spared && (victim == nil || s.waiters < victim.waiters) {
			least, victim = c, s
		}
		if looked++; looked == evictSample {
			break
		}
	}
	if victim == nil || victim.waiters > evictWaiters {
		return false
	}
	k.end(least, victim, ErrUnknownKey)
	return max(k.waiters, len(k.searches)) < maxWaiters
}

func (k *seeker) end(c candidate, s *search, verdict error) {
	s.verdict = verdict
	k.waiters -= s.waiters
	delete(k.searches, c)
	close(s.done)
}

// found ends the searches for which there is something in the view now.
func (k *seeker) found() {
	v := k.view.Load()
	k.mu.Lock()
	defer k.mu.Unlock()
	for c, s := range k.searches {
		if _, err := v.find(c); !errors.Is(err, ErrUnknownKey) {
			k.end(c, s, err)
		}
	}
}

// run makes the rounds until the context is done, and then ends what is left.
func (k *seeker) run(ctx context.Context) {
	defer k.stop()
	for {
		select {
		case <-k.kick:
		case <-ctx.Done():
			return
		}
		if !sleep(ctx, time.Until(k.nextRound())) {
			return
		}
		k.round(ctx)
	}
}

func (k *seeker) nextRound() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next
}

// round looks for what is asked for at its start.
func (k *seeker) round(ctx context.Context) {
	k.mu.Lock()
	asked := maps.Clone(k.searches)
	if len(asked) == 0 {
		k.mu.Unlock()
		return
	}
	k.next = time.Now().Add(k.interval)
	k.mu.Unlock()

	k.fetches.Add(1)
	verdict := ErrUnknownKey
	if err := k.fetch(ctx); err != nil {
		verdict = ErrUnavailable
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	k.missing = make(map[candidate]struct{}, len(asked))
	k.verdict = verdict
	for c, s := range asked {
		if k.searches[c] == s {
			k.missing[c] = struct{}{}
			k.end(c, s, verdict)
		}
	}
	if len(k.searches) > 0 {
		select {
		case k.kick <- struct{}{}:
		default:
		}
	}
}

func (k *seeker) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	for c, s := range k.searches {
		k.end(c, s, ErrUnavailable)
	}
}

// sleep waits for d and reports whether the context still lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
