package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// A file has its own, shorter times for unknown kids: reading it costs nobody anything.
const (
	fileUnknownInterval = time.Second
	fileUnknownWait     = 1500 * time.Millisecond
)

// Source holds the keys of one provider. It is made by [Manager.Acquire] and safe for concurrent use. After its last [Source.Release] it still answers from the keys
// it had, but does not renew them.
type Source struct {
	manager  *Manager
	content  string // what it is shared by
	provider string
	kind     string
	log      *slog.Logger
	started  time.Time
	patience time.Duration // gate.Fetch.StartWait

	view   atomic.Pointer[view]
	parts  []*part
	seeker *seeker // nil if the keys cannot change

	ready     chan struct{} // closed when every part has had keys
	readyOnce sync.Once
	rebuild   sync.Mutex // serializes changes of view

	stop context.CancelFunc
	done sync.WaitGroup

	references int // guarded by manager.mu
}

// Keys returns the keys that may have signed a token with this kid ("" for none) and algorithm: at least one and at most four. If any key has a kid, a kid stands
// only for the keys that have it. Where none has, as with shared secrets, PEM and some sets, the kid of a token does not matter.
//
// It does not block or allocate while there are such keys. For an unknown kid it waits for a fetch within the limits of gate.Fetch, or until the context is done.
// The error is or wraps ErrUnknownKey, ErrUnavailable or ErrAmbiguous. The slice must not be changed.
func (s *Source) Keys(ctx context.Context, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	c := candidate{kid, alg}
	keys, err := s.view.Load().find(c)
	if err == nil || s.seeker == nil || !errors.Is(err, ErrUnknownKey) {
		return keys, err
	}
	if err := s.seeker.seek(ctx, c); err != nil {
		return nil, err
	}
	return s.view.Load().find(c)
}

// Verified counts a token that the key, which came from Keys, has verified.
func (s *Source) Verified(key *jose.Key) {
	if tokens := s.view.Load().tokens[key]; tokens != nil {
		tokens.Add(1)
	}
}

// Generation changes whenever the keys change: a verdict of an earlier generation must not be used.
func (s *Source) Generation() uint64 { return s.view.Load().generation }

// Ready reports whether every document of the source has given keys.
func (s *Source) Ready() bool { return s.view.Load().complete }

// WaitReady returns nil once every document of the source has given keys. If they do not within gate.Fetch.StartWait of the source's making, or until the context is
// done, the error wraps ErrUnavailable and says what is wrong.
func (s *Source) WaitReady(ctx context.Context) error {
	timer := time.NewTimer(time.Until(s.started.Add(s.patience)))
	defer timer.Stop()
	select {
	case <-s.ready:
		return nil
	default:
	}
	select {
	case <-s.ready:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return fmt.Errorf("provider %s: %w: %s", s.provider, ErrUnavailable, s.Status().Error)
}

// Release gives the source back. The last one who does stops its background work and waits for it.
func (s *Source) Release() { s.manager.release(s) }

// Status is the state of the source.
func (s *Source) Status() gate.KeySourceStatus {
	v := s.view.Load()
	status := gate.KeySourceStatus{Provider: s.provider, Kind: s.kind, Ready: v.complete, Keys: v.status(), Generation: v.generation}
	now := time.Now()
	for _, p := range s.parts {
		status.Parts = append(status.Parts, p.status(now)...)
		if doc := p.document(); doc != nil {
			status.Skipped = append(status.Skipped, doc.skipped...)
		}
	}
	for _, p := range status.Parts {
		if p.LastError == "" {
			continue
		}
		if status.Error != "" {
			status.Error += "; "
		}
		status.Error += p.Location + ": " + p.LastError
	}
	if status.Error == "" && !v.complete {
		status.Error = "no keys yet"
	}
	if s.seeker != nil {
		status.UnknownKeyFetches = s.seeker.fetches.Load()
		status.UnknownKeyRefused = s.seeker.refused.Load()
	}
	return status
}

// refresh puts the parts' documents together in a new view.
func (s *Source) refresh() {
	s.rebuild.Lock()
	defer s.rebuild.Unlock()
	var keys []*jose.Key
	complete := true
	for _, p := range s.parts {
		doc := p.document()
		if doc == nil {
			complete = false
			continue
		}
		keys = append(keys, doc.keys...)
	}
	before := s.view.Load()
	after := before.next(keys, complete)
	if complete {
		defer s.readyOnce.Do(func() { close(s.ready) })
	}
	if after == before {
		return
	}
	s.view.Store(after)
	s.seeker.found()
	s.log.Info("keys changed", "keys", len(after.keys), "added", countMissing(after.keys, before.keys),
		"removed", countMissing(before.keys, after.keys), "generation", after.generation)
}

// countMissing returns how many of a are not in b.
func countMissing(a, b []*jose.Key) (n int) {
	for _, key := range a {
		if !slices.Contains(b, key) {
			n++
		}
	}
	return n
}

// fetchAll asks every part for an attempt at once and waits for all.
func (s *Source) fetchAll(ctx context.Context) error {
	answers := make(chan error, len(s.parts))
	for _, p := range s.parts {
		select {
		case p.ask <- answers:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var all []error
	for range s.parts {
		select {
		case err := <-answers:
			all = append(all, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.Join(all...)
}

// start begins the background work of a source that has any.
func (s *Source) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	if s.seeker == nil {
		return
	}
	for _, p := range s.parts {
		s.done.Go(func() { p.run(ctx) })
		if p.kind == kindFile {
			s.done.Go(func() {
				watch(ctx, p.record().snapshot().Location, s.log, func() {
					select {
					case p.wake <- struct{}{}:
					default:
					}
				})
			})
		}
	}
	s.done.Go(func() { s.seeker.run(ctx) })
}

// close stops the background work and waits for it.
func (s *Source) close() {
	s.stop()
	s.done.Wait()
}
