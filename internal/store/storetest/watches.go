package storetest

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

// newWatching is a context for a watch, and what ends it.
func newWatching(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// watch is a watcher that keeps what it is told.
type watch struct {
	store  store.Store
	prefix string
	cancel context.CancelFunc
	done   chan error

	mu      sync.Mutex
	changes []store.Change
	resyncs int
	// state is what everything told, and read after a resync, comes to.
	state map[string]string
	slow  time.Duration
	// entered sees whether the functions are called at once.
	entered bool
	twice   bool
}

// watching begins to watch, and returns when watching has begun.
func watching(t *testing.T, s store.Store, prefix string, slow time.Duration) *watch {
	t.Helper()
	ctx, cancel := newWatching(t)
	w := &watch{store: s, prefix: prefix, cancel: cancel, done: make(chan error, 1), state: map[string]string{}, slow: slow}
	go func() { w.done <- s.Watch(ctx, prefix, func() { w.resync(ctx) }, w.change) }()
	await(t, "watching begins", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.resyncs > 0 })
	return w
}

func (w *watch) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.twice = w.twice || w.entered
	w.entered = true
}

func (w *watch) resync(ctx context.Context) {
	w.enter()
	state := map[string]string{}
	for item, err := range store.All(ctx, w.store, w.prefix) {
		if err != nil {
			return // the test is over
		}
		state[item.Key] = string(item.Value)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
	w.resyncs++
	w.entered = false
}

func (w *watch) change(c store.Change) {
	w.enter()
	if w.slow > 0 {
		time.Sleep(w.slow)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, c)
	if c.Gone {
		delete(w.state, c.Item.Key)
	} else {
		w.state[c.Item.Key] = string(c.Item.Value)
	}
	w.entered = false
}

// told waits until there is a change that ok accepts, and returns how long that took.
func (w *watch) told(t *testing.T, what string, ok func(store.Change) bool) time.Duration {
	t.Helper()
	began := time.Now()
	await(t, what+" is told", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, c := range w.changes {
			if ok(c) {
				return true
			}
		}
		return false
	})
	return time.Since(began)
}

// end ends the watch.
func (w *watch) end(t *testing.T) {
	t.Helper()
	w.cancel()
	is(t, "watching", <-w.done, context.Canceled)
	if w.twice {
		t.Error("the functions of a watch were called at once")
	}
}

// converges waits until what was told is what is there.
func (w *watch) converges(t *testing.T, want map[string]string) {
	t.Helper()
	await(t, "what was told is what is there", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return maps.Equal(w.state, want)
	})
}

func testWatch(on subject) {
	t, s := on.t, on.s
	put(t, s, "things/before", "0")
	w := watching(t, s, "things/", 0)
	version := put(t, s, "things/a", "1")
	within(t, w.told(t, "creating", func(c store.Change) bool {
		return !c.Gone && c.Item.Key == "things/a" && string(c.Item.Value) == "1" && c.Item.Version == version
	}))
	version = putFor(t, s, "things/a", "2", time.Hour)
	within(t, w.told(t, "changing", func(c store.Change) bool {
		left := time.Until(c.Item.Expires)
		return !c.Gone && c.Item.Version == version && string(c.Item.Value) == "2" && left > 58*time.Minute && left < 61*time.Minute
	}))
	drop(t, s, "things/a")
	within(t, w.told(t, "deleting", func(c store.Change) bool {
		return c.Gone && c.Item.Key == "things/a" && c.Item.Value == nil && c.Item.Version == 0
	}))
	drop(t, s, "things/before")
	within(t, w.told(t, "deleting what was there before", func(c store.Change) bool { return c.Gone && c.Item.Key == "things/before" }))
	// What is refused is no change.
	_, err := s.Put(t.Context(), "things/b", nil, 0, store.IfVersion(9))
	is(t, "putting", err, store.ErrConflict)
	put(t, s, "things/c", "3")
	w.told(t, "the last one", func(c store.Change) bool { return c.Item.Key == "things/c" })
	w.end(t)
	for _, c := range w.changes {
		if c.Item.Key == "things/b" {
			t.Error("a refused change was told")
		}
	}
}

func within(t *testing.T, took time.Duration) {
	t.Helper()
	if took > 3*second {
		t.Errorf("it took %v until a change was told", took)
	}
}

func testWatchPrefix(on subject) {
	t, s := on.t, on.s
	w := watching(t, s, "things/b", 0)
	for _, key := range []string{"things/a", "things/b", "things/ba", "things/b/c", "things/c", "others/b", "things-b/b"} {
		put(t, s, key, "1")
	}
	put(t, s, "things/bz", "1")
	w.told(t, "the last one", func(c store.Change) bool { return c.Item.Key == "things/bz" })
	w.end(t)
	want := map[string]string{"things/b": "1", "things/ba": "1", "things/b/c": "1", "things/bz": "1"}
	if !maps.Equal(w.state, want) {
		t.Errorf("told: %q", w.state)
	}
}

// Changes of one key come in their order, and the last one always comes.
func testWatchLast(on subject) {
	t, s := on.t, on.s
	w := watching(t, s, "things/", 0)
	last := uint64(0)
	for i := range 100 {
		last = put(t, s, "things/a", strconv.Itoa(i))
	}
	w.told(t, "the last one", func(c store.Change) bool { return c.Item.Version == last })
	w.end(t)
	version := uint64(0)
	for _, c := range w.changes {
		if c.Item.Version < version {
			t.Errorf("version %d was told after %d", c.Item.Version, version)
		}
		version = c.Item.Version
	}
}

func testWatchEnd(on subject) {
	t, s := on.t, on.s
	w := watching(t, s, "things/", 0)
	putFor(t, s, "things/short", "1", 50*time.Millisecond)
	await(t, "the item ends", func() bool { return absent(t, s, "things/short") })
	put(t, s, "things/last", "1")
	w.told(t, "the last one", func(c store.Change) bool { return c.Item.Key == "things/last" })
	w.end(t)
	for _, c := range w.changes {
		if c.Gone {
			t.Errorf("the end of %s was told", c.Item.Key)
		}
	}
}

func testWatchEnds(on subject) {
	t, s := on.t, on.s
	ctx, cancel := newWatching(t)
	cancel()
	is(t, "watching with a context that is over", s.Watch(ctx, "things/", func() {}, func(store.Change) {}), context.Canceled)
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	is(t, "watching for a time", s.Watch(ctx, "things/", func() {}, func(store.Change) {}), context.DeadlineExceeded)
	w := watching(t, s, "things/", 0)
	is(t, "closing", s.Close(), nil)
	is(t, "watching a store that is closed", <-w.done, store.ErrClosed)
}

// A watcher that is slower than the changes never holds a writer up, and knows everything in the end.
func testWatchSlow(on subject) {
	t, s := on.t, on.s
	w := watching(t, s, "things/", 200*time.Microsecond)
	want := map[string]string{}
	for i := range 300 {
		key := fmt.Sprintf("things/%d", i%150)
		if i%7 == 6 {
			if err := s.Delete(t.Context(), key, store.Always()); err == nil {
				delete(want, key)
			}
			continue
		}
		put(t, s, key, strconv.Itoa(i))
		want[key] = strconv.Itoa(i)
	}
	w.converges(t, want)
	w.end(t)
}

func testWatchMany(on subject) {
	t, s := on.t, on.s
	var watches []*watch
	for i := range 8 {
		watches = append(watches, watching(t, s, []string{"things/", "others/"}[i%2], 0))
	}
	put(t, s, "things/a", "1")
	put(t, s, "others/a", "2")
	for i, w := range watches {
		want := map[string]string{"things/a": "1"}
		if i%2 == 1 {
			want = map[string]string{"others/a": "2"}
		}
		w.converges(t, want)
		w.end(t)
	}
}

// Two gateways on one store see each other's changes within a second.
func testShared(on subject) {
	t, open := on.t, on.open
	one, two := opened(t, open), opened(t, open)
	w := watching(t, two, "things/", 0)
	version := put(t, one, "things/a", "1")
	holds(t, two, "things/a", "1", version)
	within(t, w.told(t, "the other one's change", func(c store.Change) bool { return c.Item.Version == version }))
	_, err := two.Put(t.Context(), "things/a", []byte("2"), 0, store.IfVersion(version))
	is(t, "changing what the other one has put", err, nil)
	_, err = one.Put(t.Context(), "things/a", []byte("3"), 0, store.IfVersion(version))
	is(t, "changing an old version", err, store.ErrConflict)
	drop(t, one, "things/a")
	gone(t, two, "things/a")
	within(t, w.told(t, "the other one's deleting", func(c store.Change) bool { return c.Gone && c.Item.Key == "things/a" }))
	counted(t, []store.Store{one, two})
	w.end(t)
}

func testReopen(on subject) {
	t, open := on.t, on.open
	one := open()
	kept := put(t, one, "things/kept", "1")
	putFor(t, one, "things/short", "1", 50*time.Millisecond)
	long := putFor(t, one, "things/long", "1", time.Hour)
	put(t, one, "things/dropped", "1")
	drop(t, one, "things/dropped")
	newest := put(t, one, "others/a", "\x00\xff")
	is(t, "closing", one.Close(), nil)

	two := opened(t, open)
	holds(t, two, "things/kept", "1", kept)
	holds(t, two, "things/long", "1", long)
	holds(t, two, "others/a", "\x00\xff", newest)
	gone(t, two, "things/dropped")
	await(t, "the short one ends", func() bool { return absent(t, two, "things/short") })
	if item, err := two.Get(t.Context(), "things/long"); err != nil || time.Until(item.Expires) > time.Hour || time.Until(item.Expires) < 55*time.Minute {
		t.Errorf("it ends %v, %v", item.Expires, err)
	}
	if version := put(t, two, "things/new", "1"); version <= newest {
		t.Errorf("version %d comes after %d", version, newest)
	}
}
