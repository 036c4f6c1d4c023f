package keys

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What nothing can use any more is removed from the state directory, and nothing else.
func TestDiskPrune(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	now := time.Now()
	d := disk{dir}
	put := func(name string, age time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			write(t, path, []byte("x"), 0o600)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	save := func(binding string, maxStale, age time.Duration) {
		t.Helper()
		doc, err := parseDocument([]byte(setOf(t, "a")), setOptions(fetchLimits()))
		if err != nil {
			t.Fatal(err)
		}
		doc.fetched, doc.lifetime = now.Add(-age), time.Minute
		if err := d.save(binding, doc, maxStale); err != nil {
			t.Fatal(err)
		}
		put(binding+".jwks", age)
	}
	binding := func(digit string) string { return strings.Repeat(digit, 64) }
	const day = 24 * time.Hour
	if n, err := d.prune(now); n != 0 || err != nil {
		t.Errorf("no directory: %d, %v", n, err)
	}
	save(binding("a"), day, 31*day)
	save(binding("b"), day, 29*day)
	save(binding("c"), 60*day, 31*day)
	save(binding("d"), 60*day, 61*day)
	put(binding("e")+".jwks", 31*day) // damaged
	put(binding("f")+".jwks", 29*day)
	put(".new-123", 31*day) // what a crash left
	put(".new-124", time.Minute)
	for _, foreign := range []string{"README", "a.jwks", binding("g") + ".jwks", binding("a"), binding("a") + ".jwks.bak"} {
		put(foreign, 400*day)
	}
	if err := os.Mkdir(filepath.Join(dir, binding("1")+".jwks"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(binding("1")+".jwks", 400*day)
	if err := os.Symlink("README", filepath.Join(dir, binding("2")+".jwks")); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	n, err := d.prune(now)
	if err != nil {
		t.Fatal(err)
	}
	removed := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(names(t, dir), name) })
	want := []string{".new-123", binding("a") + ".jwks", binding("d") + ".jwks", binding("e") + ".jwks"}
	if !slices.Equal(removed, want) || n != len(want) {
		t.Errorf("%d removed: %q, want %q", n, removed, want)
	}
}

func names(tb testing.TB, dir string) (all []string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// A manager removes old files when it starts, and, once a day, when a source ends.
func TestManagerPrunes(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
			t.Fatal(err)
		}
		old := filepath.Join(dir, "keys", strings.Repeat("a", 64)+".jwks")
		left := func() bool {
			t.Helper()
			_, err := os.Stat(old)
			return err == nil
		}
		put := func() {
			t.Helper()
			write(t, old, []byte("x"), 0o600)
			long := time.Now().Add(-31 * 24 * time.Hour)
			if err := os.Chtimes(old, long, long); err != nil {
				t.Fatal(err)
			}
		}
		put()
		m := newManager(t, dir)
		if left() {
			t.Error("the start left an old file")
		}
		m.dial = (&pipes{done: closed()}).dial
		end := func() {
			t.Helper()
			s, problems := m.Acquire(urlProvider(jwksURL))
			if problems.Err() != nil {
				t.Fatal(problems)
			}
			s.Release()
		}
		put()
		end()
		if !left() {
			t.Error("looked again on the same day")
		}
		time.Sleep(24 * time.Hour)
		put()
		end()
		if left() {
			t.Error("the end of a source left an old file")
		}
	})
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
