package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/store"
)

func testList(on subject) {
	t, s := on.t, on.s
	// In byte order, that of U+FFFD comes before that of U+10000, other than in UTF-16.
	keys := []string{
		"a/-", "a/b", "a/b!", "a/b/", "a/b/c", "a/b/d", "a/b0", "a/bc", "a/~", "a/\u00e9", "a/\u2028", "a/\ufffd", "a/\U00010000", "a/\U0010ffff",
		"a-b/a", "ab/a",
	}
	for _, i := range []int{5, 2, 9, 0, 13, 7, 1, 14, 3, 12, 4, 15, 8, 6, 10, 11} {
		put(t, s, keys[i], "of "+keys[i])
	}
	in := keys[:14]
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"a/", "", 100, in},
		{"a/", "", 3, in[:3]},
		{"a/", "a/b", 3, in[2:5]},
		{"a/", "a/b0", 1, in[7:8]},
		{"a/", "a/b/cc", 2, in[5:7]},
		{"a/b", "", 100, []string{"a/b", "a/b!", "a/b/", "a/b/c", "a/b/d", "a/b0", "a/bc"}},
		{"a/b/", "", 100, []string{"a/b/", "a/b/c", "a/b/d"}},
		{"a/b/", "a/b/", 100, []string{"a/b/c", "a/b/d"}},
		{"a/b/", "a/b/d", 100, nil},
		{"a/b/", "a/a", 100, []string{"a/b/", "a/b/c", "a/b/d"}}, // before everything with the prefix
		{"a/b/", "a/c", 100, nil},                                // after it
		{"a/b/", "Z", 100, []string{"a/b/", "a/b/c", "a/b/d"}},
		{"a/b/", "zz", 100, nil},
		{"a/b/c", "", 100, []string{"a/b/c"}},
		{"a/b/cc", "", 100, nil},
		{"a/\U0010ffff", "", 100, in[13:]},
		{"a/\U0010ffff", in[13], 100, nil},
		{"a-b/", "", 100, []string{"a-b/a"}},
		{"none/", "", 100, nil},
	} {
		items, err := s.List(t.Context(), c.prefix, c.after, c.limit)
		if err != nil {
			t.Errorf("listing %q after %q: %v", c.prefix, c.after, err)
			continue
		}
		var got []string
		for _, item := range items {
			got = append(got, item.Key)
			if string(item.Value) != "of "+item.Key || item.Version == 0 || !item.Expires.IsZero() {
				t.Errorf("%q is listed as %q at version %d until %v", item.Key, item.Value, item.Version, item.Expires)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("listing %q after %q, at most %d: %q, not %q", c.prefix, c.after, c.limit, got, c.want)
		}
	}
}

func testListPages(on subject) {
	t, s := on.t, on.s
	var want []string
	for i := range 60 {
		key := fmt.Sprintf("things/%03d", (i*37)%60)
		put(t, s, key, key)
		want = append(want, key)
	}
	slices.Sort(want)
	for _, page := range []int{1, 7, 59, 60, 61, 1 << 40} {
		if got := keysOf(t, s, "things/", page); !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %q", page, got)
		}
	}
	var all []string
	for item, err := range store.All(t.Context(), s, "things/") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, item.Key)
	}
	if !slices.Equal(all, want) {
		t.Errorf("all: %q", all)
	}
	for _, limit := range []int{0, -1} {
		_, err := s.List(t.Context(), "things/", "", limit)
		is(t, fmt.Sprintf("listing %d", limit), err, store.ErrInvalid)
	}
}

// A list is whole, however large its values are.
func testListLarge(on subject) {
	t, s := on.t, on.s
	large := strings.Repeat("x", store.MaxValue)
	for i := range 8 {
		put(t, s, fmt.Sprintf("things/%d", i), large[i:])
	}
	items, err := s.List(t.Context(), "things/", "", 8)
	if err != nil || len(items) != 8 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for i, item := range items {
		if len(item.Value) != store.MaxValue-i {
			t.Errorf("item %d has %d bytes", i, len(item.Value))
		}
	}
}

func testListEnded(on subject) {
	t, s := on.t, on.s
	var want []string
	for i := range 20 {
		key := fmt.Sprintf("things/%02d", i)
		if i%2 == 0 {
			putFor(t, s, key, "1", 30*time.Millisecond)
		} else {
			putFor(t, s, key, "1", time.Hour)
			want = append(want, key)
		}
	}
	await(t, "the last one ends", func() bool { return absent(t, s, "things/18") })
	for _, page := range []int{3, 100} {
		if got := keysOf(t, s, "things/", page); !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %q", page, got)
		}
	}
	items, err := s.List(t.Context(), "things/", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if left := time.Until(item.Expires); left < 58*time.Minute || left > 61*time.Minute {
			t.Errorf("%s ends in %v", item.Key, left)
		}
	}
}

// Any sequence of changes leaves what it leaves in a map.
func testModel(on subject) {
	t, s := on.t, on.s
	var spaces atomic.Int64
	rapid.Check(t, func(r *rapid.T) {
		space := fmt.Sprintf("space%d/", spaces.Add(1))
		model := map[string]store.Item{}
		last := uint64(0)
		key := rapid.Map(rapid.StringMatching(`[ab/]{1,3}`), func(k string) string { return space + k })
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			k := key.Draw(r, "key")
			c, asked := store.Always(), uint64(0)
			conditional := rapid.Bool().Draw(r, "conditional")
			if conditional {
				asked = rapid.SampledFrom([]uint64{0, last, model[k].Version}).Draw(r, "version")
				c = store.IfVersion(asked)
			}
			_, there := model[k]
			if rapid.IntRange(0, 3).Draw(r, "kind") == 0 {
				err := s.Delete(t.Context(), k, c)
				if want := there && c.Allows(model[k].Version); (err == nil) != want {
					r.Fatalf("deleting %q, which is there: %v: %v", k, there, err)
				}
				if err == nil {
					delete(model, k)
				}
				continue
			}
			value := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(r, "value")
			version, err := s.Put(t.Context(), k, value, 0, c)
			if want := c.Allows(model[k].Version); (err == nil) != want {
				r.Fatalf("putting %q, asked for %v version %d where %d is there: %v", k, conditional, asked, model[k].Version, err)
			}
			if err == nil {
				if version <= last {
					r.Fatalf("version %d comes after %d", version, last)
				}
				last = version
				model[k] = store.Item{Key: k, Value: value, Version: version}
			}
		}
		compare(t, r, s, space, model)
	})
}

func compare(t *testing.T, r *rapid.T, s store.Store, space string, model map[string]store.Item) {
	t.Helper()
	prefix := space + rapid.StringMatching(`[ab/]{0,2}`).Draw(r, "prefix")
	after := rapid.SampledFrom([]string{"", prefix, space + "a", space + "b", space + "/", "zzz"}).Draw(r, "after")
	limit := rapid.IntRange(1, 6).Draw(r, "limit")
	var want []store.Item
	for k, item := range model {
		if strings.HasPrefix(k, prefix) && k > after {
			want = append(want, item)
		}
	}
	slices.SortFunc(want, func(a, b store.Item) int { return strings.Compare(a.Key, b.Key) })
	want = want[:min(limit, len(want))]
	got, err := s.List(t.Context(), prefix, after, limit)
	if err != nil {
		r.Fatal(err)
	}
	if len(got) == 0 && len(want) == 0 {
		return
	}
	for i := range got {
		if len(got[i].Value) == 0 {
			got[i].Value = []byte{} // nil is as good
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("listing %q after %q, at most %d: %s", prefix, after, limit, diff)
	}
}
