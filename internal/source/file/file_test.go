package file_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/source/file"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// never is an interval that does not come: what a test with it sees, it sees through events.
const never = time.Hour

func watch(t *testing.T, interval time.Duration, paths ...string) *file.Watcher {
	t.Helper()
	w := file.Watch(t.Context(), file.Options{Log: slog.New(slog.DiscardHandler), Interval: interval, Settle: 5 * time.Millisecond})
	t.Cleanup(w.Close)
	load(t, w, paths...)
	return w
}

// load reads the paths, as a load of a configuration does, and returns what is in the first.
func load(t *testing.T, w *file.Watcher, paths ...string) string {
	t.Helper()
	r := w.Begin()
	var first string
	for i, path := range paths {
		data, err := r.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if i == 0 {
			first = string(data)
		}
	}
	r.Watch()
	return first
}

// expect waits for changes until the first path has the content: the states between may have been seen too.
func expect(t *testing.T, w *file.Watcher, content string, paths ...string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case <-w.Changed():
			if load(t, w, paths...) == content {
				return
			}
		case <-deadline:
			t.Fatalf("the change to %q was not seen", content)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEvents changes a file in all the ways in which files get changed. The paths are relative to a folder of the test's own.
func TestEvents(t *testing.T) {
	write := func(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }
	// A mounted ConfigMap: a link to a file in a folder that is a link to a dated folder, which is replaced by a rename.
	mount := func(dir, version, content string) error {
		return errors.Join(
			os.Mkdir(filepath.Join(dir, version), 0o700),
			write(filepath.Join(dir, version, "c.yaml"), content),
			os.Symlink(version, filepath.Join(dir, "..tmp")),
			os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")),
		)
	}
	elsewhere := filepath.Join(t.TempDir(), "target.yaml")
	old := func(_, path string) error { return write(path, "old") }
	for _, c := range []struct {
		name          string
		before, after func(dir, path string) error
	}{
		{
			"written in place",
			old,
			func(_, path string) error { return write(path, "new") },
		},
		{
			"replaced by a rename, as editors do",
			old,
			func(_, path string) error {
				return errors.Join(os.Rename(path, path+"~"), write(path+".swp", "new"), os.Rename(path+".swp", path))
			},
		},
		{
			"removed and made again",
			old,
			func(_, path string) error { return errors.Join(os.Remove(path), write(path, "new")) },
		},
		{
			"not there at first",
			func(string, string) error { return nil },
			func(_, path string) error { return write(path, "new") },
		},
		{
			"a mounted volume that is swapped",
			func(dir, path string) error {
				return errors.Join(mount(dir, "..2026_01", "old"), os.Symlink(filepath.Join("..data", "c.yaml"), path))
			},
			func(dir, _ string) error {
				return errors.Join(mount(dir, "..2026_02", "new"), os.RemoveAll(filepath.Join(dir, "..2026_01")))
			},
		},
		{
			"an absolute link whose target is written",
			func(_, path string) error { return errors.Join(write(elsewhere, "old"), os.Symlink(elsewhere, path)) },
			func(string, string) error { return write(elsewhere, "new") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "c.yaml")
			must(t, c.before(dir, path))
			w := watch(t, never, path)
			must(t, c.after(dir, path))
			expect(t, w, "new", path)
			must(t, write(path, "newer")) // it is still watched
			expect(t, w, "newer", path)
		})
	}
}

func TestFolders(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b")
	path := filepath.Join(dir, "c.yaml")
	w := watch(t, never, path)

	must(t, os.MkdirAll(dir, 0o700)) // the folder comes to be
	write(t, path, "1")
	expect(t, w, "1", path)

	must(t, os.RemoveAll(filepath.Join(root, "a"))) // vanishes
	expect(t, w, "", path)
	must(t, os.MkdirAll(dir, 0o700)) // and comes back
	write(t, path, "2")
	expect(t, w, "2", path)

	releases := filepath.Join(root, "releases")
	for _, release := range []string{"1", "2"} {
		must(t, os.MkdirAll(filepath.Join(releases, release), 0o700))
		write(t, filepath.Join(releases, release, "c.yaml"), "release "+release)
	}
	current := filepath.Join(root, "current")
	must(t, os.Symlink(filepath.Join(releases, "1"), current))
	linked := filepath.Join(current, "c.yaml")
	load(t, w, linked)
	must(t, os.Symlink(filepath.Join(releases, "2"), current+"~")) // a folder on the way is a link that is replaced
	must(t, os.Rename(current+"~", current))
	expect(t, w, "release 2", linked)
}

// TestWithoutEvents writes through a second name of the file in another folder, which causes no event in the first.
func TestWithoutEvents(t *testing.T) {
	path, other := filepath.Join(t.TempDir(), "c.yaml"), filepath.Join(t.TempDir(), "other")
	write(t, path, "old")
	must(t, os.Link(path, other))
	w := watch(t, 10*time.Millisecond, path)
	write(t, other, "new")
	expect(t, w, "new", path)
}

// TestMovedAway moves a folder far above the file, of which nobody below it hears.
func TestMovedAway(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	path := filepath.Join(dir, "c.yaml")
	must(t, os.MkdirAll(dir, 0o700))
	write(t, path, "old")
	w := watch(t, 10*time.Millisecond, path)
	must(t, os.Rename(filepath.Join(root, "a"), filepath.Join(root, "z")))
	must(t, os.MkdirAll(dir, 0o700))
	write(t, path, "new")
	expect(t, w, "new", path)
}

// TestNothingIsLost changes a file after it was read and before it is watched.
func TestNothingIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	write(t, path, "old")
	w := watch(t, never)
	r := w.Begin()
	if _, err := r.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, "new")
	r.Watch()
	expect(t, w, "new", path)
}

// TestRestless changes a file in a folder that is never quiet.
func TestRestless(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	write(t, path, "old")
	w := watch(t, never, path)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.WriteFile(filepath.Join(dir, "noise"), []byte("x"), 0o600)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	write(t, path, "new")
	expect(t, w, "new", path)
}

func TestReadFile(t *testing.T) {
	w := watch(t, never)
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	write(t, large, strings.Repeat("x", file.MaxBytes+1))
	largest := filepath.Join(dir, "largest")
	write(t, largest, strings.Repeat("x", file.MaxBytes))
	r := w.Begin()
	for _, c := range []struct{ path, want string }{
		{dir, "not a regular file"},
		{"/dev/zero", "not a regular file"},
		{large, "larger than 8388608 bytes"},
		{filepath.Join(dir, "missing"), "no such file"},
	} {
		if _, err := r.ReadFile(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.path, err, c.want)
		}
	}
	if data, err := r.ReadFile(largest); err != nil || len(data) != file.MaxBytes {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// TestClose ends a Watcher in both ways; TestMain sees what is left.
func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	w := watch(t, never, path)
	w.Close()
	w.Close()
	load(t, w, path) // of no effect, and no harm
}
