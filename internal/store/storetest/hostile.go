package storetest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/jotgate/jotgate/internal/store"
)

func testKeys(on subject) {
	t, s := on.t, on.s
	ctx := t.Context()
	for _, c := range []struct {
		name, key     string
		want          error
		isPrefix, bad bool
	}{
		{name: "empty", key: "", want: store.ErrInvalid},
		{name: "no space", key: "/a", want: store.ErrInvalid},
		{name: "no slash", key: "things", want: store.ErrInvalid},
		{name: "only a space", key: "things/", want: store.ErrInvalid, isPrefix: true},
		{name: "space in capitals", key: "Things/a", want: store.ErrInvalid},
		{name: "space with a brace", key: "th{ngs/a", want: store.ErrInvalid},
		{name: "space with a closing brace", key: "}/a", want: store.ErrInvalid},
		{name: "space that is not ASCII", key: "d\u00edngs/a", want: store.ErrInvalid},
		{name: "NUL", key: "things/a\x00b", want: store.ErrInvalid},
		{name: "line feed", key: "things/a\nb", want: store.ErrInvalid},
		{name: "DEL", key: "things/a\x7f", want: store.ErrInvalid},
		{name: "C1", key: "things/a\u0085", want: store.ErrInvalid},
		{name: "not UTF-8", key: "things/\xff", want: store.ErrInvalid},
		{name: "cut UTF-8", key: "things/\xe2\x82", want: store.ErrInvalid},
		{name: "surrogate", key: "things/\xed\xa0\x80", want: store.ErrInvalid},
		{name: "overlong", key: "things/\xc0\xaf", want: store.ErrInvalid},
		{name: "too long", key: "things/" + strings.Repeat("k", store.MaxKey), want: store.ErrTooLarge},
	} {
		_, err := s.Get(ctx, c.key)
		is(t, c.name+": get", err, c.want)
		_, err = s.Put(ctx, c.key, nil, 0, store.Always())
		is(t, c.name+": put", err, c.want)
		if err != nil && len(c.key) > 3 && strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: the error repeats the key", c.name)
		}
		is(t, c.name+": delete", s.Delete(ctx, c.key, store.Always()), c.want)
		if !c.isPrefix {
			_, err = s.List(ctx, c.key, "", 1)
			is(t, c.name+": list", err, c.want)
			is(t, c.name+": watch", s.Watch(ctx, c.key, func() {}, func(store.Change) {}), c.want)
		}
	}
	longest := "things/" + strings.Repeat("k", store.MaxKey-len("things/"))
	version := put(t, s, longest, "1")
	holds(t, s, longest, "1", version)
	if keys := keysOf(t, s, longest, 5); !slices.Equal(keys, []string{longest}) {
		t.Error("the longest key is not listed")
	}
}

// hostile are keys that mean something to somebody.
var hostile = []string{
	"things/ ", "things//", "things/..", "things/../../etc/passwd", "things/%", "things/_", "things/%00", "things/*", "things/?", "things/[a-z]", "things/\\", "things/\\x00", "things/'", "things/' OR 1=1 --",
	"things/\"", "things/;DROP TABLE items", "things/{a}", "things/}", "things/{", "things/{}", "things/+inf", "things/-", "things/(", "things/[", "things/a:b", "things/:index", "things/$1", "things/`id`",
	"things/\u202e", "things/\u200b", "things/e\u0301", "things/\u00e9", "things/\U0001f600", "things/-1", "things/nil", "things/0", "things/00",
}

func testHostileKeys(on subject) {
	t, s := on.t, on.s
	versions := make(map[string]uint64)
	for _, key := range hostile {
		versions[key] = put(t, s, key, "of "+key)
	}
	for _, key := range hostile {
		holds(t, s, key, "of "+key, versions[key])
		// What is a pattern or an escape to somebody is a text here.
		for _, listed := range keysOf(t, s, key, 50) {
			if !strings.HasPrefix(listed, key) {
				t.Errorf("the prefix %q lists %q", key, listed)
			}
		}
	}
	want := slices.Clone(hostile)
	slices.Sort(want)
	if got := keysOf(t, s, "things/", 4); !slices.Equal(got, want) {
		t.Errorf("listed: %q", got)
	}
	for _, key := range hostile {
		drop(t, s, key)
		gone(t, s, key)
	}
	if got := keysOf(t, s, "things/", 4); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func testValues(on subject) {
	t, s := on.t, on.s
	ctx := t.Context()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	largest := bytes.Repeat([]byte("\x00\xff\r\n"), store.MaxValue/4)
	for _, value := range [][]byte{nil, {}, {0}, []byte("\n"), []byte("0 0\n"), []byte("-OOM\r\n"), []byte("$-1\r\n"), all, bytes.Repeat(all, 300), largest} {
		if _, err := s.Put(ctx, "things/a", value, 0, store.Always()); err != nil {
			t.Fatalf("%d bytes: %v", len(value), err)
		}
		if item, err := s.Get(ctx, "things/a"); err != nil || !bytes.Equal(item.Value, value) {
			t.Errorf("%d bytes became %d, %v", len(value), len(item.Value), err)
		}
		if items, err := s.List(ctx, "things/", "", 1); err != nil || len(items) != 1 || !bytes.Equal(items[0].Value, value) {
			t.Errorf("%d bytes are listed as %d items, %v", len(value), len(items), err)
		}
	}
	_, err := s.Put(ctx, "things/a", append(largest, 0), 0, store.Always())
	is(t, "putting too much", err, store.ErrTooLarge)
	if item, err := s.Get(ctx, "things/a"); err != nil || !bytes.Equal(item.Value, largest) {
		t.Errorf("what was refused has left %d bytes, %v", len(item.Value), err)
	}
}

// Nobody can change an item by writing to a slice.
func testSlices(on subject) {
	t, s := on.t, on.s
	ctx, cancel := newWatching(t)
	seen := make(chan store.Change, 10)
	ready := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Watch(ctx, "things/", sync.OnceFunc(func() { close(ready) }), func(c store.Change) {
			for i := range c.Item.Value {
				c.Item.Value[i] = 'W'
			}
			seen <- c
		})
	}()
	<-ready
	value := []byte("abc")
	version, err := s.Put(ctx, "things/a", value, 0, store.Always())
	if err != nil {
		t.Fatal(err)
	}
	copy(value, "VVV")
	<-seen
	holds(t, s, "things/a", "abc", version)
	item, err := s.Get(ctx, "things/a")
	if err != nil {
		t.Fatal(err)
	}
	copy(item.Value, "YYY")
	holds(t, s, "things/a", "abc", version)
	items, err := s.List(ctx, "things/", "", 1)
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	copy(items[0].Value, "ZZZ")
	holds(t, s, "things/a", "abc", version)
	cancel()
	if err := <-done; !errors.Is(err, ctx.Err()) {
		t.Errorf("watching: %v", err)
	}
}
