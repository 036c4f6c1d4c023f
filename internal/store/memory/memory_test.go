package memory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Driver{Fresh: func(*testing.T) func() store.Store {
		return func() store.Store { return memory.New(0) }
	}})
}

// saved is a store whose data is what the last one has saved when it was closed.
type saved struct {
	*memory.Store
	to   *bytes.Buffer
	once *sync.Once
}

func (s saved) Close() error {
	err := s.Store.Close()
	s.once.Do(func() {
		s.to.Reset()
		err = errors.Join(err, s.Save(s.to))
	})
	return err
}

func TestSavedStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Driver{Persists: true, Fresh: func(t *testing.T) func() store.Store {
		t.Helper()
		var file bytes.Buffer
		return func() store.Store {
			s := memory.New(0)
			if file.Len() > 0 {
				if err := s.Load(bytes.NewReader(file.Bytes())); err != nil {
					t.Fatal(err)
				}
			}
			return saved{Store: s, to: &file, once: new(sync.Once)}
		}
	}})
}

func put(t *testing.T, s store.Store, key string, size int, ttl time.Duration) error {
	t.Helper()
	_, err := s.Put(t.Context(), key, make([]byte, size), ttl, store.Always())
	return err
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(100_000)
		n := 0
		for ; ; n++ {
			err := put(t, s, fmt.Sprintf("things/%04d", n), 800, time.Hour)
			if errors.Is(err, store.ErrFull) {
				break
			}
			if err != nil || n > 100 {
				t.Fatalf("item %d: %v", n, err)
			}
		}
		if n < 90 {
			t.Errorf("only %d items", n)
		}
		// What is there can be changed for something as small, and makes room when it is deleted or has ended.
		if err := put(t, s, "things/0000", 800, time.Minute); err != nil {
			t.Errorf("changing: %v", err)
		}
		if err := put(t, s, "things/0000", 90_000, time.Minute); !errors.Is(err, store.ErrFull) {
			t.Errorf("growing: %v", err)
		}
		if item, err := s.Get(t.Context(), "things/0000"); err != nil || len(item.Value) != 800 {
			t.Errorf("what was refused has left %d bytes, %v", len(item.Value), err)
		}
		if err := s.Delete(t.Context(), "things/0001", store.Always()); err != nil {
			t.Fatal(err)
		}
		if err := put(t, s, "things/new", 800, 0); err != nil {
			t.Errorf("in the place of the deleted one: %v", err)
		}
		if err := put(t, s, "things/newer", 800, 0); !errors.Is(err, store.ErrFull) {
			t.Errorf("with no room left: %v", err)
		}
		time.Sleep(time.Hour)
		if err := put(t, s, "things/large", 90_000, 0); err != nil {
			t.Errorf("after all others have ended: %v", err)
		}
	})
}

// The moment of the end belongs to the time after it.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		if err := put(t, s, "things/a", 1, 1500*time.Microsecond); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Millisecond - 1)
		if _, err := s.Get(t.Context(), "things/a"); err != nil {
			t.Errorf("a nanosecond before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := s.Get(t.Context(), "things/a"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("at the end: %v", err)
		}
		if s.String() != "1 items, 209 of 268435456 bytes" {
			t.Errorf("kept: %s", s)
		}
		if err := s.Save(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if s.String() != "0 items, 0 of 268435456 bytes" {
			t.Errorf("kept after saving: %s", s)
		}
	})
}

// A watcher that misses more than is kept for it is told so.
func TestGap(t *testing.T) {
	t.Parallel()
	s := memory.New(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resyncs, blocked := make(chan struct{}, 10), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Watch(ctx, "things/", func() { resyncs <- struct{}{} }, func(store.Change) { <-blocked })
	}()
	<-resyncs
	for i := range 10_000 {
		if err := put(t, s, fmt.Sprintf("things/%d", i), 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-resyncs:
		t.Error("told while it was busy")
	default:
	}
	close(blocked)
	<-resyncs
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestManyInAnyOrder(t *testing.T) {
	t.Parallel()
	const n = 5000
	for name, place := range map[string]func(int) int{
		"rising":  func(i int) int { return i },
		"falling": func(i int) int { return n - 1 - i },
		"mixed":   func(i int) int { return i * 2711 % n },
	} {
		s := memory.New(0)
		for i := range n {
			if err := put(t, s, fmt.Sprintf("things/%05d", place(i)), 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		check := func(step int) {
			t.Helper()
			next := 0
			for item, err := range store.All(t.Context(), s, "things/") {
				if want := fmt.Sprintf("things/%05d", next); err != nil || item.Key != want {
					t.Fatalf("%s: %q, %v instead of %q", name, item.Key, err, want)
				}
				next += step
			}
			if next < n {
				t.Errorf("%s: the list ends before %d", name, next)
			}
		}
		check(1)
		for i := range n {
			if p := place(i); p%10 != 0 {
				if err := s.Delete(t.Context(), fmt.Sprintf("things/%05d", p), store.Always()); err != nil {
					t.Fatal(err)
				}
			}
		}
		check(10)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	from := memory.New(0)
	for i := range 3 {
		if err := put(t, from, fmt.Sprintf("things/%d", i), 10, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := from.Save(&file); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	for n := range whole {
		s := memory.New(0)
		if err := s.Load(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("%d of %d bytes were loaded", n, len(whole))
		}
		if !strings.HasPrefix(s.String(), "0 items, 0 of") {
			t.Fatalf("%d bytes have left %s", n, s)
		}
	}
	for name, data := range map[string][]byte{
		"something behind": append(bytes.Clone(whole), 0),
		"another format":   append([]byte{9}, whole[1:]...),
		"a broken key":     bytes.Replace(whole, []byte("things/1"), []byte("things\x001"), 1),
		"a key twice":      bytes.Replace(whole, []byte("things/1"), []byte("things/0"), 1),
	} {
		if err := memory.New(0).Load(bytes.NewReader(data)); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
	if err := memory.New(500).Load(bytes.NewReader(whole)); !errors.Is(err, store.ErrFull) {
		t.Errorf("with too little room: %v", err)
	}
	if err := from.Load(bytes.NewReader(whole)); err == nil {
		t.Error("loaded into a store that is not empty")
	}
}

// What is loaded is never more than what was read, however the numbers lie.
func FuzzLoad(f *testing.F) {
	from := memory.New(0)
	for i := range 3 {
		if _, err := from.Put(f.Context(), fmt.Sprintf("things/%d", i), []byte("value"), time.Hour, store.Always()); err != nil {
			f.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := from.Save(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := memory.New(0)
		if err := s.Load(bytes.NewReader(data)); err != nil {
			if !strings.HasPrefix(s.String(), "0 items, 0 of") {
				t.Errorf("after %v there is %s", err, s)
			}
			return
		}
		var again bytes.Buffer
		if err := s.Save(&again); err != nil {
			t.Fatal(err)
		}
		if err := memory.New(0).Load(&again); err != nil {
			t.Errorf("what was loaded and saved cannot be loaded: %v", err)
		}
	})
}
