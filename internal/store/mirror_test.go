package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// after is the key of an item without its prefix; keys that end in "?" are none.
func after(prefix string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		name, ok := strings.CutPrefix(key, prefix)
		return name, ok && !strings.HasSuffix(name, "?")
	}
}

func text(item store.Item) string { return string(item.Value) }

func put(t *testing.T, s store.Store, key, value string, ttl time.Duration) store.Item {
	t.Helper()
	version, err := s.Put(t.Context(), key, []byte(value), ttl, store.Always())
	if err != nil {
		t.Fatal(err)
	}
	item := store.Item{Key: key, Value: []byte(value), Version: version}
	if ttl > 0 {
		item.Expires = time.Now().Add(ttl)
	}
	return item
}

func TestMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		for i := range 2500 { // more than a page
			put(t, s, fmt.Sprintf("things/%04d", i), "old", 0)
		}
		put(t, s, "things/odd?", "left out", 0)
		put(t, s, "others/0000", "not below the prefix", 0)
		m := store.OpenMirror(s, "things/", quiet(), after("things/"), text)
		defer m.Close()
		if err := m.WaitLoaded(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.Len(); n != 2500 {
			t.Fatalf("%d entries", n)
		}
		<-m.Changed()
		generation := m.Generation()

		put(t, s, "things/0000", "new", 0)
		if err := s.Delete(t.Context(), "things/0001", store.Always()); err != nil {
			t.Fatal(err)
		}
		put(t, s, "things/brief", "soon gone", 10*time.Second)
		synctest.Wait()
		time.Sleep(time.Second)
		now := time.Now()
		if v, ok := m.Get("0000", now); !ok || v != "new" {
			t.Errorf("a changed entry is %q, %v", v, ok)
		}
		if _, ok := m.Get("0001", now); ok {
			t.Error("a deleted entry is there")
		}
		if v, ok := m.Get("brief", now); !ok || v != "soon gone" {
			t.Errorf("a new entry is %q, %v", v, ok)
		}
		if m.Generation() == generation {
			t.Error("the generation is still the same")
		}
		<-m.Changed()

		time.Sleep(10 * time.Second)
		if _, ok := m.Get("brief", time.Now()); ok {
			t.Error("an ended entry is there")
		}
		if n := len(m.Values(time.Now())); n != 2499 {
			t.Errorf("%d values", n)
		}
		time.Sleep(2 * time.Minute)
		if n := m.Len(); n != 2499 {
			t.Errorf("%d entries: what has ended is kept", n)
		}
	})
}

// TestMirrorOwnChanges: what its owner has written is in force before the store tells it, and what the store tells late does not bring back what was before.
func TestMirrorOwnChanges(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	m := store.OpenMirror(s, "things/", quiet(), after("things/"), text)
	defer m.Close()
	if err := m.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := put(t, s, "things/a", "1", 0)
	m.Took(put(t, s, "things/a", "2", 0))
	m.Took(old)
	if v, _ := m.Get("a", time.Now()); v != "2" {
		t.Errorf("%q", v)
	}
	m.Dropped("things/a")
	if _, ok := m.Get("a", time.Now()); ok {
		t.Error("it is there")
	}
}

// flaky is a store whose lists fail.
type flaky struct {
	store.Store
	failures int // left
}

func (f *flaky) List(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	if f.failures > 0 {
		f.failures--
		return nil, context.DeadlineExceeded
	}
	return f.Store.List(ctx, prefix, after, limit)
}

func TestMirrorWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &flaky{Store: memory.New(0), failures: 3}
		defer s.Close()
		put(t, s, "things/a", "1", 0)
		m := store.OpenMirror(s, "things/", quiet(), after("things/"), text)
		defer m.Close()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.WaitLoaded(short); err == nil || m.Generation() != 0 || m.Len() != 0 {
			t.Fatalf("%v: generation %d, %d entries", err, m.Generation(), m.Len())
		}
		if err := m.WaitLoaded(t.Context()); err != nil || m.Generation() == 0 || m.Len() != 1 {
			t.Fatalf("%v: generation %d, %d entries", err, m.Generation(), m.Len())
		}
	})
}

// TestMirrorRefresh: what was written elsewhere is known after a refresh, without waiting to be told; several at once do not lose what they are told meanwhile.
func TestMirrorRefresh(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	m := store.OpenMirror(s, "things/", quiet(), after("things/"), text)
	defer m.Close()
	if err := m.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			key := fmt.Sprintf("things/%d", i)
			if _, err := s.Put(t.Context(), key, []byte("x"), 0, store.Always()); err != nil {
				t.Error(err)
			}
			if err := m.Refresh(t.Context()); err != nil {
				t.Error(err)
			}
			if _, ok := m.Get(strings.TrimPrefix(key, "things/"), time.Now()); !ok {
				t.Errorf("%s is not known", key)
			}
		})
	}
	group.Wait()
	generation := m.Generation()
	m.Dropped("things/that-never-were")
	if m.Generation() != generation {
		t.Error("nothing changed, and it is told")
	}
}
