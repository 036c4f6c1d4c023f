// Package memory keeps items in this process. What shall outlive it is written, and read back, by Save and Load: see package snapshot.
package memory

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	// DefaultMaxBytes is the room of a store that is not told otherwise.
	DefaultMaxBytes = 256 << 20
	// overhead is what an item costs beside its key and value: the entry, its places in the map and the index, and half of a block's room.
	overhead = 200
	// purgeSome is how many items that have ended a change removes at most, so that no caller pays for many.
	purgeSome = 64
)

// Store is a store.Store in memory.
type Store struct {
	maxBytes int64
	now      func() time.Time
	closed   chan struct{}
	once     sync.Once

	mu      sync.RWMutex
	items   map[string]*entry
	index   index
	ends    ends
	bytes   int64
	version uint64
	watches map[*watch]struct{}
}

// entry is an item. It is never changed once it is in the store, but for place.
type entry struct {
	key     string
	value   []byte
	version uint64
	end     int64 // Unix time in nanoseconds, 0 for none
	place   int   // in ends
}

func (e *entry) over(now time.Time) bool { return e.end != 0 && e.end <= now.UnixNano() }

func (e *entry) size() int64 { return int64(len(e.key)+len(e.value)) + overhead }

func (e *entry) item() store.Item {
	item := store.Item{Key: e.key, Value: bytes.Clone(e.value), Version: e.version}
	if e.end != 0 {
		item.Expires = time.Unix(0, e.end)
	}
	return item
}

// New makes an empty store that takes up to maxBytes, counting what an item costs beside its key and value; 0 means DefaultMaxBytes.
func New(maxBytes int64) *Store {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	return &Store{maxBytes: maxBytes, now: time.Now, closed: make(chan struct{}), items: make(map[string]*entry), watches: make(map[*watch]struct{})}
}

// usable returns why no call can be made.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.closed:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	if err := s.usable(ctx); err != nil {
		return store.Item{}, err
	}
	if err := store.CheckKey(key); err != nil {
		return store.Item{}, err
	}
	s.mu.RLock()
	e := s.live(key, s.now())
	s.mu.RUnlock()
	if e == nil {
		return store.Item{}, store.ErrNotFound
	}
	return e.item(), nil
}

// live returns the entry of a key that is there and has not ended, or nil.
func (s *Store) live(key string, now time.Time) *entry {
	if e := s.items[key]; e != nil && !e.over(now) {
		return e
	}
	return nil
}

// Put implements store.Store. ErrFull says that the room is used up by items that have not ended.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration, c store.Condition) (uint64, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := store.CheckPut(key, value, ttl); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	now := s.now()
	s.purge(now, purgeSome)
	old := s.live(key, now)
	if !c.Allows(version(old)) {
		return 0, store.ErrConflict
	}
	e := &entry{key: strings.Clone(key), value: bytes.Clone(value), end: end(now, ttl), place: -1}
	if !s.room(e, now) {
		return 0, store.ErrFull
	}
	s.version = store.NextVersion(s.version, now)
	e.version = s.version
	s.set(e)
	s.tell(key, e)
	return e.version, nil
}

func version(e *entry) uint64 {
	if e == nil {
		return 0
	}
	return e.version
}

// end is the moment in which a ttl is over, with parts of milliseconds as whole ones. What is too far away to be told is no end.
func end(now time.Time, ttl time.Duration) int64 {
	if ttl == 0 {
		return 0
	}
	if rounded := ttl.Truncate(time.Millisecond); rounded < ttl {
		ttl = rounded + time.Millisecond
	}
	return max(now.Add(ttl).UnixNano(), 0)
}

// room reports whether e fits in, if need be after removing whatever has ended.
func (s *Store) room(e *entry, now time.Time) bool {
	fits := func() bool {
		size := s.bytes + e.size()
		if old := s.items[e.key]; old != nil {
			size -= old.size()
		}
		return size <= s.maxBytes
	}
	if fits() {
		return true
	}
	s.purge(now, len(s.ends))
	return fits()
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string, c store.Condition) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := store.CheckKey(key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	now := s.now()
	s.purge(now, purgeSome)
	e := s.live(key, now)
	switch {
	case e == nil:
		return store.ErrNotFound
	case !c.Allows(e.version):
		return store.ErrConflict
	}
	s.remove(e)
	s.tell(key, nil)
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckList(prefix, limit); err != nil {
		return nil, err
	}
	var found []*entry
	now := s.now()
	s.mu.RLock()
	for e := range s.index.from(prefix, after) {
		if !strings.HasPrefix(e.key, prefix) || len(found) == limit {
			break
		}
		if !e.over(now) {
			found = append(found, e)
		}
	}
	s.mu.RUnlock()
	items := make([]store.Item, len(found))
	for i, e := range found {
		items[i] = e.item()
	}
	return items, nil
}

// set puts e in the place of what has its key.
func (s *Store) set(e *entry) {
	if old := s.items[e.key]; old != nil {
		s.remove(old)
	}
	s.items[e.key] = e
	s.index.insert(e)
	s.bytes += e.size()
	if e.end != 0 {
		heap.Push(&s.ends, e)
	}
}

func (s *Store) remove(e *entry) {
	delete(s.items, e.key)
	s.index.remove(e.key)
	s.bytes -= e.size()
	if e.end != 0 {
		heap.Remove(&s.ends, e.place)
	}
}

// purge removes up to most items that have ended, the oldest ends first.
func (s *Store) purge(now time.Time, most int) {
	for range most {
		if len(s.ends) == 0 || !s.ends[0].over(now) {
			return
		}
		s.remove(s.ends[0])
	}
}

// Close implements store.Store. What was not saved is lost.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// String says how much is kept, for logs.
func (s *Store) String() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return fmt.Sprintf("%d items, %d of %d bytes", len(s.items), s.bytes, s.maxBytes)
}

// ends is a heap of the entries that have an end, the next one first. Each knows its place.
type ends []*entry

func (h ends) Len() int           { return len(h) }
func (h ends) Less(i, j int) bool { return h[i].end < h[j].end }
func (h ends) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *ends) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *ends) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
