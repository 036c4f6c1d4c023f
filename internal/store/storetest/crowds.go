package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	writers = 50
	updates = 2
)

func testWriters(on subject) { counted(on.t, []store.Store{on.s}) }

// counted has 50 writers count up one item together, by conditions only: no update is lost.
func counted(t *testing.T, stores []store.Store) {
	t.Helper()
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for range updates {
				if err := add(t.Context(), stores[i%len(stores)], "counts/a"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	item, err := stores[0].Get(t.Context(), "counts/a")
	if err != nil || string(item.Value) != strconv.Itoa(writers*updates) {
		t.Errorf("%d writers have counted to %s, %v", writers, item.Value, err)
	}
}

// add counts an item up by one.
func add(ctx context.Context, s store.Store, key string) error {
	for {
		item, err := s.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n, _ := strconv.Atoi(string(item.Value))
		_, err = s.Put(ctx, key, []byte(strconv.Itoa(n+1)), 0, store.IfVersion(item.Version))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// Of many that create an item, or delete it, one does.
func testCreators(on subject) {
	t, s := on.t, on.s
	for range 5 {
		for _, act := range []func() error{
			func() error {
				_, err := s.Put(t.Context(), "things/a", nil, 0, store.IfVersion(0))
				return err
			},
			func() error { return s.Delete(t.Context(), "things/a", store.Always()) },
		} {
			var done atomic.Int32
			var group sync.WaitGroup
			for range writers {
				group.Go(func() {
					err := act()
					if err == nil {
						done.Add(1)
					} else if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if n := done.Load(); n != 1 {
				t.Fatalf("%d succeeded", n)
			}
		}
	}
}

// Who reads while others write sees items that were written, whole.
func testReaders(on subject) {
	t, s := on.t, on.s
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			key := fmt.Sprintf("things/%d", i%4)
			for j := range 25 {
				text := strconv.Itoa(j)
				for len(text) < 3000 {
					text += text[:1]
				}
				if _, err := s.Put(t.Context(), key, []byte(text), time.Hour, store.Always()); err != nil {
					t.Error(err)
					return
				}
				items, err := s.List(t.Context(), "things/", "", 10)
				if err != nil {
					t.Error(err)
					return
				}
				for k, item := range items {
					if len(item.Value) < 3000 || item.Value[len(item.Value)-1] != item.Value[0] || k > 0 && items[k-1].Key >= item.Key {
						t.Errorf("item %d of a list is %s with %d bytes", k, item.Key, len(item.Value))
						return
					}
				}
			}
		})
	}
	group.Wait()
}

func testCancelled(on subject) {
	t, s := on.t, on.s
	version := put(t, s, "things/a", "1")
	ctx, cancel := newWatching(t)
	cancel()
	for name, err := range calls(ctx, s) {
		is(t, name, err, context.Canceled)
	}
	holds(t, s, "things/a", "1", version)
}

// calls makes every call.
func calls(ctx context.Context, s store.Store) map[string]error {
	out := make(map[string]error)
	_, out["get"] = s.Get(ctx, "things/a")
	_, out["put"] = s.Put(ctx, "things/a", []byte("x"), 0, store.Always())
	out["delete"] = s.Delete(ctx, "things/a", store.Always())
	_, out["list"] = s.List(ctx, "things/", "", 1)
	out["watch"] = s.Watch(ctx, "things/", func() {}, func(store.Change) {})
	return out
}

func testClose(on subject) {
	t, s := on.t, on.s
	put(t, s, "things/a", "1")
	is(t, "closing", s.Close(), nil)
	is(t, "closing again", s.Close(), nil)
	for name, err := range calls(t.Context(), s) {
		is(t, name, err, store.ErrClosed)
	}
}

// Calls that are under way when the store is closed end, well or with ErrClosed.
func testCloseUnderLoad(on subject) {
	t, s := on.t, on.s
	var group sync.WaitGroup
	var begun sync.WaitGroup
	for i := range 10 {
		begun.Add(1)
		group.Go(func() {
			once := sync.OnceFunc(begun.Done)
			err := WriteUntil(t.Context(), s, fmt.Sprintf("things/%d/", i), func(string) { once() })
			once()
			is(t, "writing", err, store.ErrClosed)
		})
	}
	begun.Wait()
	group.Go(func() { is(t, "closing at once", s.Close(), nil) })
	is(t, "closing", s.Close(), nil)
	group.Wait()
}
