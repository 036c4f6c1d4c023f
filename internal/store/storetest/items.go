package storetest

import (
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

func testGetPut(on subject) {
	t, s := on.t, on.s
	gone(t, s, "things/a")
	first := put(t, s, "things/a", "1")
	holds(t, s, "things/a", "1", first)
	gone(t, s, "things/A")
	gone(t, s, "things/a/")
	gone(t, s, "other/a")
	second := put(t, s, "things/a", "2")
	if second <= first {
		t.Errorf("version %d comes after %d", second, first)
	}
	holds(t, s, "things/a", "2", second)
	if same := put(t, s, "things/a", "2"); same <= second {
		t.Errorf("the same value again: version %d comes after %d", same, second)
	}
	item, err := s.Get(t.Context(), "things/a")
	if err != nil || !item.Expires.IsZero() {
		t.Errorf("an item without an end ends %v, %v", item.Expires, err)
	}
}

func testConditions(on subject) {
	t, s := on.t, on.s
	ctx := t.Context()
	_, err := s.Put(ctx, "things/a", []byte("x"), 0, store.IfVersion(7))
	is(t, "changing what is not there", err, store.ErrConflict)
	gone(t, s, "things/a")
	first, err := s.Put(ctx, "things/a", []byte("1"), 0, store.IfVersion(0))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(ctx, "things/a", []byte("x"), 0, store.IfVersion(0))
	is(t, "creating what is there", err, store.ErrConflict)
	for _, wrong := range []uint64{first + 1, first - 1, 1<<64 - 1, 1 << 53, 1} {
		_, err = s.Put(ctx, "things/a", []byte("x"), 0, store.IfVersion(wrong))
		is(t, "changing another version", err, store.ErrConflict)
		is(t, "deleting another version", s.Delete(ctx, "things/a", store.IfVersion(wrong)), store.ErrConflict)
	}
	holds(t, s, "things/a", "1", first)
	second, err := s.Put(ctx, "things/a", []byte("2"), 0, store.IfVersion(first))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(ctx, "things/a", []byte("x"), 0, store.IfVersion(first))
	is(t, "changing an old version", err, store.ErrConflict)
	is(t, "deleting an old version", s.Delete(ctx, "things/a", store.IfVersion(first)), store.ErrConflict)
	holds(t, s, "things/a", "2", second)
	is(t, "deleting", s.Delete(ctx, "things/a", store.IfVersion(second)), nil)
	gone(t, s, "things/a")
}

func testDelete(on subject) {
	t, s := on.t, on.s
	ctx := t.Context()
	is(t, "deleting what is not there", s.Delete(ctx, "things/a", store.Always()), store.ErrNotFound)
	put(t, s, "things/a", "1")
	put(t, s, "things/b", "2")
	drop(t, s, "things/a")
	gone(t, s, "things/a")
	is(t, "deleting again", s.Delete(ctx, "things/a", store.Always()), store.ErrNotFound)
	if err := s.Delete(ctx, "things/b", store.IfVersion(0)); err == nil {
		t.Error("deleting version 0 of what is there succeeded")
	}
	if keys := keysOf(t, s, "things/", 10); len(keys) != 1 || keys[0] != "things/b" {
		t.Errorf("there are %q", keys)
	}
	again := put(t, s, "things/a", "3")
	holds(t, s, "things/a", "3", again)
}

// A version that was once seen must never stand for something else.
func testVersionsGrow(on subject) {
	t, s := on.t, on.s
	last := uint64(0)
	for range 20 {
		version := put(t, s, "things/a", "1")
		if version <= last {
			t.Fatalf("version %d comes after %d", version, last)
		}
		last = version
		drop(t, s, "things/a")
	}
	short := putFor(t, s, "things/a", "1", time.Millisecond)
	await(t, "the item ends", func() bool { return absent(t, s, "things/a") })
	if version := put(t, s, "things/a", "1"); version <= short {
		t.Errorf("version %d comes after %d", version, short)
	}
}

func absent(t *testing.T, s store.Store, key string) bool {
	t.Helper()
	_, err := s.Get(t.Context(), key)
	if err != nil {
		is(t, "getting "+key, err, store.ErrNotFound)
	}
	return err != nil
}

func testEnd(on subject) {
	t, s := on.t, on.s
	ctx := t.Context()
	const ttl = 400 * time.Millisecond
	before := time.Now()
	version := putFor(t, s, "things/a", "1", ttl)
	after := time.Now()
	item, err := s.Get(ctx, "things/a")
	if err != nil {
		if time.Since(before) < ttl {
			t.Fatal(err)
		}
	} else if item.Expires.Before(before.Add(ttl-50*time.Millisecond)) || item.Expires.After(time.Now().Add(ttl+50*time.Millisecond)) {
		t.Errorf("put between %v and %v for %v, it ends %v", before, after, ttl, item.Expires)
	}
	await(t, "the item ends", func() bool { return absent(t, s, "things/a") })
	if lived := time.Since(before); lived < ttl-5*time.Millisecond {
		t.Errorf("it ended after %v", lived)
	}
	is(t, "deleting what has ended", s.Delete(ctx, "things/a", store.Always()), store.ErrNotFound)
	_, err = s.Put(ctx, "things/a", []byte("x"), 0, store.IfVersion(version))
	is(t, "changing what has ended", err, store.ErrConflict)
	again, err := s.Put(ctx, "things/a", []byte("2"), 0, store.IfVersion(0))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, s, "things/a", "2", again)
}

func testEndTakenAway(on subject) {
	t, s := on.t, on.s
	const ttl = 100 * time.Millisecond
	putFor(t, s, "things/witness", "1", ttl+50*time.Millisecond)
	putFor(t, s, "things/kept", "1", ttl)
	putFor(t, s, "things/longer", "1", ttl)
	kept := put(t, s, "things/kept", "2")
	longer := putFor(t, s, "things/longer", "2", time.Hour)
	putFor(t, s, "things/shorter", "1", time.Hour)
	putFor(t, s, "things/shorter", "2", ttl)
	await(t, "the witness ends", func() bool { return absent(t, s, "things/witness") })
	await(t, "the shortened item ends", func() bool { return absent(t, s, "things/shorter") })
	put(t, s, "things/other", "1") // what drivers do besides, they have done
	holds(t, s, "things/kept", "2", kept)
	holds(t, s, "things/longer", "2", longer)
}

func testEndFractions(on subject) {
	t, s := on.t, on.s
	version, err := s.Put(t.Context(), "things/a", []byte("1"), time.Nanosecond, store.Always())
	if err != nil || version == 0 {
		t.Fatalf("version %d, %v", version, err)
	}
	await(t, "the item ends", func() bool { return absent(t, s, "things/a") })
	long := putFor(t, s, "things/b", "1", 100*365*24*time.Hour)
	holds(t, s, "things/b", "1", long)
	_, err = s.Put(t.Context(), "things/c", []byte("1"), -time.Nanosecond, store.Always())
	is(t, "putting with a negative ttl", err, store.ErrInvalid)
	gone(t, s, "things/c")
}
