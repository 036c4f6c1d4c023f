package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestContentDecides does to a watched file what leaves its content as it is.
func TestContentDecides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	missing := path + ".missing"
	w := &Watcher{kick: make(chan struct{}, 1)} // nothing runs, so every check is one of the test's
	write := func(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }
	if err := write(path, "same"); err != nil {
		t.Fatal(err)
	}
	r := w.Begin()
	_, _ = r.ReadFile(path)
	_, _ = r.ReadFile(missing)
	r.Watch()
	for _, c := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"nothing", func() error { return nil }, false},
		{"touched", func() error { return os.Chtimes(path, time.Now(), time.Now()) }, false},
		{"written again", func() error { return write(path, "same") }, false},
		{"replaced", func() error { return write(path+"~", "same") }, false},
		{"renamed over", func() error { return os.Rename(path+"~", path) }, false},
		{"another file", func() error { return write(path+".other", "x") }, false},
		{"other content", func() error { return write(path, "other") }, true},
		{"the same other content", func() error { return write(path, "other") }, false},
		{"removed", func() error { return os.Remove(path) }, true},
		{"still missing", func() error { return nil }, false},
		{"a missing one made", func() error { return write(missing, "") }, true},
	} {
		if err := c.do(); err != nil {
			t.Fatal(c.name, err)
		}
		if got := w.check(); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
