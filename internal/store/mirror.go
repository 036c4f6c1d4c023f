package store

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pageSize is how many items a Mirror reads at once.
	pageSize = 1000
	// retryAfter is how long a Mirror leaves a store alone that failed.
	retryAfter = 500 * time.Millisecond
	// sweepEvery is how often a Mirror forgets items that have ended.
	sweepEvery = time.Minute
)

// Mirror keeps what a store has below a prefix in memory, at most a second old, for those that must look at it with every request. While the store cannot be
// asked, what is known stays. It is safe for concurrent use.
type Mirror[K comparable, V any] struct {
	store   Store
	prefix  string
	key     func(string) (K, bool)
	value   func(Item) V
	log     *slog.Logger
	changed chan struct{} // has room for one: something changed since it was last received from

	reading sync.Mutex // held while everything is read
	mu      sync.RWMutex
	entries map[K]mirrored[V]
	// meanwhile is what changed since a reading of everything began, nil for what is gone; nil when nothing is being read.
	meanwhile map[K]*mirrored[V]

	generation atomic.Uint64
	loaded     chan struct{}
	once       sync.Once
	stop       context.CancelFunc
	done       chan struct{}
}

type mirrored[V any] struct {
	value   V
	version uint64
	expires time.Time
}

func (m mirrored[V]) over(now time.Time) bool { return !m.expires.IsZero() && !now.Before(m.expires) }

// OpenMirror begins to read and to follow what is below prefix. key and value make an entry of an item; items whose key is none are left out, and named in the log. The caller closes the mirror.
func OpenMirror[K comparable, V any](s Store, prefix string, log *slog.Logger, key func(string) (K, bool), value func(Item) V) *Mirror[K, V] {
	ctx, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	m := &Mirror[K, V]{
		store: s, prefix: prefix, key: key, value: value, log: log, changed: make(chan struct{}, 1),
		entries: make(map[K]mirrored[V]), loaded: make(chan struct{}), stop: stop, done: make(chan struct{}),
	}
	go m.follow(ctx)
	return m
}

// Close ends following the store.
func (m *Mirror[K, V]) Close() {
	m.stop()
	<-m.done
}

// WaitLoaded waits until everything was read once; the error is that of ctx.
func (m *Mirror[K, V]) WaitLoaded(ctx context.Context) error {
	select {
	case <-m.loaded:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Generation is 0 until everything was read once; from then on it changes with everything that is added, changed or removed.
func (m *Mirror[K, V]) Generation() uint64 { return m.generation.Load() }

// Changed receives something after a change; several changes may be one.
func (m *Mirror[K, V]) Changed() <-chan struct{} { return m.changed }

// Get returns the value of an entry that has not ended at the moment now.
func (m *Mirror[K, V]) Get(key K, now time.Time) (value V, ok bool) {
	m.mu.RLock()
	e, ok := m.entries[key]
	m.mu.RUnlock()
	if !ok || e.over(now) {
		return value, false
	}
	return e.value, true
}

// Len is the number of entries.
func (m *Mirror[K, V]) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.entries)
}

// Values are the values of all entries that have not ended at the moment now, in no order.
func (m *Mirror[K, V]) Values(now time.Time) []V {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]V, 0, len(m.entries))
	for _, e := range m.entries {
		if !e.over(now) {
			out = append(out, e.value)
		}
	}
	return out
}

// Took tells the mirror of an item that its owner has just put into the store, so that it is in force here at once.
func (m *Mirror[K, V]) Took(item Item) {
	if key, e, ok := m.entry(item); ok {
		m.put(key, e)
	}
}

// Dropped tells the mirror of an item that its owner has just removed from the store.
func (m *Mirror[K, V]) Dropped(key string) {
	if k, ok := m.key(key); ok {
		m.drop(k)
	}
}

// entry makes an entry of an item.
func (m *Mirror[K, V]) entry(item Item) (K, mirrored[V], bool) {
	key, ok := m.key(item.Key)
	if !ok {
		m.log.Error("the store holds something under an unknown key, which has no effect", slog.String("prefix", m.prefix))
		return key, mirrored[V]{}, false
	}
	return key, mirrored[V]{value: m.value(item), version: item.Version, expires: item.Expires}, true
}

func (m *Mirror[K, V]) follow(ctx context.Context) {
	defer close(m.done)
	resync := make(chan struct{}, 1)
	again := func() { signal(resync) }
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for ctx.Err() == nil {
			if err := m.store.Watch(ctx, m.prefix, again, m.told); err != nil && ctx.Err() == nil {
				m.log.Warn("the store is not followed", slog.String("prefix", m.prefix), slog.Any("error", err))
				pause(ctx)
			}
		}
	}()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			<-watching
			return
		case now := <-sweep.C:
			m.forget(now)
		case <-resync:
			if err := m.load(ctx); err != nil && ctx.Err() == nil {
				m.log.Error("the store cannot be read; what was known stays in force", slog.String("prefix", m.prefix), slog.Any("error", err))
				pause(ctx)
				again()
			}
		}
	}
}

// signal fills a channel that has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is full already
	}
}

func pause(ctx context.Context) {
	timer := time.NewTimer(retryAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Refresh reads everything now, for an owner who must not go by what is up to a second old. The error is the store's; what was known stays then.
func (m *Mirror[K, V]) Refresh(ctx context.Context) error { return m.load(ctx) }

// load reads everything. What is changed meanwhile is told by the watch, which began before, and counts more than what was read.
func (m *Mirror[K, V]) load(ctx context.Context) error {
	m.reading.Lock()
	defer m.reading.Unlock()
	m.mu.Lock()
	m.meanwhile = make(map[K]*mirrored[V])
	m.mu.Unlock()
	fresh, err := m.read(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	meanwhile := m.meanwhile
	m.meanwhile = nil
	if err != nil {
		return err
	}
	for key, e := range meanwhile {
		switch {
		case e == nil:
			delete(fresh, key)
		case fresh[key].version < e.version:
			fresh[key] = *e
		}
	}
	m.entries = fresh
	m.generation.Add(1)
	m.once.Do(func() { close(m.loaded) })
	signal(m.changed)
	return nil
}

func (m *Mirror[K, V]) read(ctx context.Context) (map[K]mirrored[V], error) {
	fresh := make(map[K]mirrored[V])
	for after := ""; ; {
		items, err := m.store.List(ctx, m.prefix, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if key, e, ok := m.entry(item); ok {
				fresh[key] = e
			}
		}
		if len(items) < pageSize {
			return fresh, nil
		}
		after = items[len(items)-1].Key
	}
}

// told takes over what the store tells.
func (m *Mirror[K, V]) told(c Change) {
	if c.Gone {
		m.Dropped(c.Item.Key)
	} else {
		m.Took(c.Item)
	}
}

func (m *Mirror[K, V]) put(key K, e mirrored[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.meanwhile != nil {
		m.meanwhile[key] = &e
	}
	if known, found := m.entries[key]; found && known.version >= e.version {
		return // it is our own change, or one before it, that the store tells us
	}
	m.entries[key] = e
	m.bump()
}

func (m *Mirror[K, V]) drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.meanwhile != nil {
		m.meanwhile[key] = nil
	}
	if _, found := m.entries[key]; found {
		delete(m.entries, key)
		m.bump()
	}
}

// bump tells of a change. A mirror that was never loaded stays unknown.
func (m *Mirror[K, V]) bump() {
	if m.generation.Load() != 0 {
		m.generation.Add(1)
		signal(m.changed)
	}
}

// forget drops what has ended.
func (m *Mirror[K, V]) forget(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := false
	for key, e := range m.entries {
		if e.over(now) {
			delete(m.entries, key)
			ended = true
		}
	}
	if ended {
		m.bump()
	}
}
