package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/sqlite"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

// child names the file that this process is to write to until it is killed.
const child = "JOTGATE_TEST_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(child); path != "" {
		fmt.Println("error:", write(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// write puts items from several writers, and says on its output which ones were acknowledged.
func write(path string) error {
	s, err := sqlite.Open(context.Background(), path, 0)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	errs := make(chan error)
	for i := range 4 {
		go func() {
			errs <- storetest.WriteUntil(context.Background(), s, fmt.Sprintf("load/%d/", i), func(key string) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Println(key)
			})
		}()
	}
	return <-errs
}

func open(t *testing.T, path string, maxBytes int64) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t *testing.T, s store.Store, key, value string) error {
	t.Helper()
	_, err := s.Put(t.Context(), key, []byte(value), 0, store.Always())
	return err
}

// quick is a folder in memory, if the system has one: some thousand commits would wait for the disk, and this is not about the disk.
func quick(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "jotgate-test-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Driver{Shared: true, Persists: true, Fresh: func(t *testing.T) func() store.Store {
		t.Helper()
		path := filepath.Join(quick(t), "a name?with#signs%20 &c.db")
		return func() store.Store { return open(t, path, 0) }
	}})
}

// A process that is killed in the middle of writing loses nothing that was acknowledged, and others that use the file go on.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, 0)
	told := make(chan string, 100_000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx, "load/", func() {}, func(c store.Change) { told <- c.Item.Key }) }()

	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), child+"="+path)
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "load/") {
			t.Fatalf("the other process: %s", lines.Text())
		}
		keys = append(keys, lines.Text())
		if len(keys) == 150 {
			if err := process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = process.Wait()
	// A line that was cut off is no key that was acknowledged.
	if last := keys[len(keys)-1]; len(last) != len(keys[0]) {
		keys = keys[:len(keys)-1]
	}
	storetest.Acknowledged(t, s, keys)
	if err := put(t, s, "load/after", "1"); err != nil {
		t.Errorf("writing after another process was killed: %v", err)
	}
	for key := range told {
		if key == "load/after" {
			break
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	storetest.Acknowledged(t, open(t, path, 0), keys)
}

func TestOnlyTheOwnerReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := put(t, open(t, path, 0), "things/a", "1"); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file.Name(), info.Mode(), err)
		}
	}
}

// A file that is damaged, or something else, is refused with its name, and left as it is.
func TestBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "whole.db")
	s := open(t, path, 0)
	for i := range 200 {
		if err := put(t, s, fmt.Sprintf("things/%d", i), strings.Repeat("x", 500)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, text string) []byte {
		out := []byte(string(whole))
		copy(out[at:], text)
		return out
	}
	for name, data := range map[string][]byte{
		"not a database":   []byte(strings.Repeat("no database at all\n", 300)),
		"zeros":            make([]byte, 8192),
		"cut off":          whole[:len(whole)/2],
		"a torn page":      changed(5*4096, strings.Repeat("\xaa", 4096)),
		"a broken schema":  changed(100, strings.Repeat("\xff", 100)),
		"something else's": changed(68, "\x00\x00\x00\x01"),
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := sqlite.Open(t.Context(), path, 0)
		if !errors.Is(err, sqlite.ErrBroken) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if s != nil {
			t.Errorf("%s: opened", name)
		}
	}
	newer := filepath.Join(dir, "newer.db")
	if err := os.WriteFile(newer, changed(60, "\x00\x00\x00\x63"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), newer, 0); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a newer version: %v", err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(dir, "no", "folder"), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, 512<<10)
	n := 0
	for ; ; n++ {
		err := put(t, s, fmt.Sprintf("things/%04d", n), strings.Repeat("x", 10_000))
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil || n > 60 {
			t.Fatalf("item %d: %v", n, err)
		}
	}
	if n < 30 {
		t.Errorf("only %d items", n)
	}
	items, err := s.List(t.Context(), "things/", "", 100)
	if err != nil || len(items) != n {
		t.Errorf("%d items of %d, %v", len(items), n, err)
	}
	for i := range 3 {
		if err := s.Delete(t.Context(), fmt.Sprintf("things/%04d", i), store.Always()); err != nil {
			t.Errorf("deleting: %v", err)
		}
	}
	if err := put(t, s, "things/new", strings.Repeat("x", 10_000)); err != nil {
		t.Errorf("in the place of the deleted ones: %v", err)
	}
}

// Room of items that have ended is used again.
func TestGrowth(t *testing.T) {
	t.Parallel()
	path := filepath.Join(quick(t), "store.db")
	s := open(t, path, 0)
	for round := range 3 {
		for i := range 100 {
			if _, err := s.Put(t.Context(), fmt.Sprintf("things/%d/%d", round, i), make([]byte, 5000), time.Millisecond, store.Always()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 600_000 {
		t.Errorf("300 items of 5000 bytes, of which few were there at a time, have left %d bytes, %v", info.Size(), err)
	}
}
