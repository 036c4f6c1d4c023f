// Package storetest is what every driver of a store must pass.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

// Driver is a driver under test.
type Driver struct {
	// Fresh makes place for new data and returns what opens a store on it. The test closes what it opens.
	Fresh func(t *testing.T) (open func() store.Store)
	// Shared says that several stores may be open on the same data at once, and see each other's changes.
	Shared bool
	// Persists says that data outlives the store that wrote it.
	Persists bool
}

// second is what the contract allows a change to take until it is told. A loaded machine gets some more.
const second = time.Second

// patience is how long the tests wait for what must come in the end.
const patience = 20 * time.Second

// Run runs the suite. All of its tests run in parallel, each with data of its own.
func Run(t *testing.T, d Driver) {
	t.Helper()
	type test struct {
		name string
		run  func(subject)
	}
	for _, c := range []test{
		{"get and put", testGetPut}, {"conditions", testConditions}, {"delete", testDelete}, {"versions grow", testVersionsGrow}, {"end", testEnd}, {"end is taken away", testEndTakenAway}, {"end fractions", testEndFractions},
		{"list", testList}, {"list pages", testListPages}, {"list large", testListLarge}, {"list without ended", testListEnded}, {"model", testModel},
		{"keys", testKeys}, {"hostile keys", testHostileKeys}, {"values", testValues}, {"slices", testSlices},
		{"writers", testWriters}, {"creators", testCreators}, {"readers", testReaders},
		{"watch", testWatch}, {"watch prefix", testWatchPrefix}, {"watch last", testWatchLast}, {"watch end", testWatchEnd}, {"watch ends", testWatchEnds}, {"watch slow", testWatchSlow}, {"watch many", testWatchMany},
		{"cancelled", testCancelled}, {"close", testClose}, {"close under load", testCloseUnderLoad},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(subject{t: t, s: opened(t, d.Fresh(t))})
		})
	}
	if d.Shared {
		t.Run("shared", func(t *testing.T) {
			t.Parallel()
			testShared(subject{t: t, open: d.Fresh(t)})
		})
	}
	if d.Persists {
		t.Run("reopen", func(t *testing.T) {
			t.Parallel()
			testReopen(subject{t: t, open: d.Fresh(t)})
		})
	}
}

// subject is what a test of the suite is about: a store that is open, or what opens one.
type subject struct {
	t    *testing.T
	s    store.Store
	open func() store.Store
}

func opened(t *testing.T, open func() store.Store) store.Store {
	t.Helper()
	s := open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// WriteUntil puts new items below prefix, one after the other, until that fails, and tells of each that was acknowledged. It returns the error.
func WriteUntil(ctx context.Context, s store.Store, prefix string, acknowledged func(key string)) error {
	for i := 0; ; i++ {
		key := fmt.Sprintf("%s%08d", prefix, i)
		if _, err := s.Put(ctx, key, []byte(key), 0, store.Always()); err != nil {
			return err
		}
		acknowledged(key)
	}
}

// Acknowledged fails the test for every key of WriteUntil that is lost or has another value.
func Acknowledged(t *testing.T, s store.Store, keys []string) {
	t.Helper()
	for _, key := range keys {
		if item, err := s.Get(t.Context(), key); err != nil || string(item.Value) != key {
			t.Errorf("%s was acknowledged; now there is %q, %v", key, item.Value, err)
		}
	}
}

func put(t *testing.T, s store.Store, key, value string) uint64 {
	t.Helper()
	return putFor(t, s, key, value, 0)
}

func putFor(t *testing.T, s store.Store, key, value string, ttl time.Duration) uint64 {
	t.Helper()
	version, err := s.Put(t.Context(), key, []byte(value), ttl, store.Always())
	if err != nil {
		t.Fatalf("putting %q: %v", key, err)
	}
	if version == 0 {
		t.Fatalf("putting %q: version 0", key)
	}
	return version
}

func drop(t *testing.T, s store.Store, key string) {
	t.Helper()
	if err := s.Delete(t.Context(), key, store.Always()); err != nil {
		t.Fatalf("deleting %q: %v", key, err)
	}
}

// holds fails the test unless key has a value and version.
func holds(t *testing.T, s store.Store, key, value string, version uint64) {
	t.Helper()
	item, err := s.Get(t.Context(), key)
	if err != nil {
		t.Errorf("getting %q: %v", key, err)
		return
	}
	if item.Key != key || string(item.Value) != value || item.Version != version {
		t.Errorf("under %q there is %q = %q at version %d, not %q at %d", key, item.Key, item.Value, item.Version, value, version)
	}
}

func is(t *testing.T, doing string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, not %v", doing, err, want)
	}
}

func gone(t *testing.T, s store.Store, key string) {
	t.Helper()
	_, err := s.Get(t.Context(), key)
	is(t, "getting "+key, err, store.ErrNotFound)
}

// await waits until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// keysOf lists everything below a prefix in pages.
func keysOf(t *testing.T, s store.Store, prefix string, page int) []string {
	t.Helper()
	keys := []string{}
	for after := ""; ; {
		items, err := s.List(t.Context(), prefix, after, page)
		if err != nil {
			t.Fatalf("listing %q after %q: %v", prefix, after, err)
		}
		for _, item := range items {
			keys = append(keys, item.Key)
		}
		if len(items) > page {
			t.Fatalf("listing %q: %d items, where %d are the most", prefix, len(items), page)
		}
		if len(items) < page {
			return keys
		}
		after = items[len(items)-1].Key
	}
}
