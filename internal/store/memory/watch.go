package memory

import (
	"context"
	"strings"

	"github.com/jotgate/jotgate/internal/store"
)

// maxPending is how many keys wait for a slow watcher. With more it is told to read everything anew.
const maxPending = 4096

// watch is one watcher. What it was not told is guarded by the store's lock.
type watch struct {
	prefix string
	order  []string
	latest map[string]*entry // nil for what is gone
	gap    bool
	wake   chan struct{} // has room for one
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, resync func(), change func(store.Change)) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return err
	}
	w := &watch{prefix: prefix, latest: make(map[string]*entry), wake: make(chan struct{}, 1)}
	s.mu.Lock()
	s.watches[w] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watches, w)
		s.mu.Unlock()
	}()
	resync()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return store.ErrClosed
		case <-w.wake:
		}
		order, latest, gap := s.take(w)
		if gap {
			resync()
		}
		for _, key := range order {
			if err := s.usable(ctx); err != nil {
				return err
			}
			if e := latest[key]; e == nil {
				change(store.Change{Item: store.Item{Key: key}, Gone: true})
			} else if !e.over(s.now()) {
				change(store.Change{Item: e.item()})
			}
		}
	}
}

// take takes over what waits for a watcher.
func (s *Store) take(w *watch) (order []string, latest map[string]*entry, gap bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	order, latest, gap = w.order, w.latest, w.gap
	w.order, w.latest, w.gap = nil, make(map[string]*entry), false
	return order, latest, gap
}

// tell leaves a change for the watchers; e is nil if the item is gone. It never waits for them.
func (s *Store) tell(key string, e *entry) {
	for w := range s.watches {
		if !strings.HasPrefix(key, w.prefix) {
			continue
		}
		if _, waits := w.latest[key]; !waits {
			if len(w.order) == maxPending {
				w.order, w.latest, w.gap = nil, make(map[string]*entry), true
			}
			w.order = append(w.order, key)
		}
		w.latest[key] = e
		select {
		case w.wake <- struct{}{}:
		default: // it is awake
		}
	}
}
