package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/store/snapshot"
)

// owner is an owner of a section: a text.
type owner struct {
	text   string
	loaded int
	fail   error
}

func (o *owner) save(w io.Writer) error {
	if o.fail != nil {
		return o.fail
	}
	_, err := io.WriteString(w, o.text)
	return err
}

func (o *owner) load(r io.Reader) error {
	o.loaded++
	if o.fail != nil {
		return o.fail
	}
	text, err := io.ReadAll(r)
	o.text = string(text)
	return err
}

var quiet = slog.New(slog.DiscardHandler)

func open(t *testing.T, path string) *snapshot.File {
	t.Helper()
	f, err := snapshot.Open(path, time.Hour, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func section(t *testing.T, f *snapshot.File, name string, o *owner) {
	t.Helper()
	if err := f.Section(name, o.save, o.load); err != nil {
		t.Fatal(err)
	}
}

// written makes a snapshot of sections.
func written(t *testing.T, path string, texts map[string]string) {
	t.Helper()
	f := open(t, path)
	for name, text := range texts {
		if err := f.Section(name, (&owner{text: text}).save, func(io.Reader) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	f.Start()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a [strange] *name")
	large := strings.Repeat("0123456789", 50_000)
	written(t, path, map[string]string{"one": "first", "two": large, "empty": ""})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	f := open(t, path)
	one, two, empty, added := &owner{}, &owner{}, &owner{text: "x"}, &owner{text: "new"}
	section(t, f, "two", two)
	section(t, f, "added", added)
	section(t, f, "empty", empty)
	section(t, f, "one", one)
	if one.text != "first" || two.text != large || empty.text != "" || empty.loaded != 1 || added.text != "new" || added.loaded != 0 {
		t.Errorf("loaded: %q, %d bytes, %q, %q", one.text, len(two.text), empty.text, added.text)
	}
	if err := f.Section("one", one.save, one.load); err == nil {
		t.Error("a section is there twice")
	}
	f.Start()
	if err := f.Section("late", one.save, one.load); err == nil {
		t.Error("a section came after the start")
	}
}

// A process that fails before everything is loaded must not write half of it.
func TestNothingIsWrittenBeforeStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	written(t, path, map[string]string{"one": "1", "two": "2"})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	section(t, f, "one", &owner{})
	if err := f.Write(); err == nil {
		t.Error("written before the start")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file has changed, %v", err)
	}
}

// Whatever happens to a byte of the file, nothing of it is loaded, and it is kept.
func TestBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	written(t, path, map[string]string{"one": "first", "two": "second"})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string][]byte{"longer": append(bytes.Clone(whole), 0), "twice": append(bytes.Clone(whole), whole...), "another version": resealed(bytes.Replace(whole, []byte("snapshot 1"), []byte("snapshot 2"), 1))}
	for i := range whole {
		broken[fmt.Sprintf("cut off at %d", i)] = whole[:i]
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		broken[fmt.Sprintf("flipped at %d", i)] = flipped
	}
	for name, data := range broken {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := snapshot.Open(path, time.Hour, quiet)
		if !errors.Is(err, snapshot.ErrBroken) || f == nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, aside, ok := strings.Cut(err.Error(), "it is kept as ")
		kept, readErr := os.ReadFile(aside)
		if !ok || readErr != nil || !bytes.Equal(kept, data) {
			t.Fatalf("%s: kept as %q, %v", name, aside, readErr)
		}
		one := &owner{}
		section(t, f, "one", one)
		if one.loaded != 0 {
			t.Errorf("%s: loaded", name)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(aside); err != nil {
			t.Fatal(err)
		}
		if left := names(t, dir); left != "" {
			t.Fatalf("%s: left %s", name, left)
		}
	}
}

// resealed gives what is not as it should be the checksum of what is.
func resealed(data []byte) []byte {
	body := data[:len(data)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestSectionThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	failure := errors.New("these are not mine")
	for name, load := range map[string]func(io.Reader) error{
		"fails":    func(io.Reader) error { return failure },
		"leaves":   func(r io.Reader) error { _, err := r.Read(make([]byte, 1)); return err },
		"ends":     func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 100)); return err },
		"nothing":  func(io.Reader) error { return nil },
		"one more": func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 6)); return err },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "state")
		written(t, path, map[string]string{"one": "first", "two": "second"})
		f := open(t, path)
		err := f.Section("one", (&owner{text: "anew"}).save, load)
		if !errors.Is(err, snapshot.ErrBroken) || !strings.Contains(err.Error(), `section "one"`) || name == "fails" && !errors.Is(err, failure) {
			t.Errorf("%s: %v", name, err)
		}
		two := &owner{}
		section(t, f, "two", two)
		if two.loaded != 0 {
			t.Errorf("%s: half of a broken snapshot was loaded", name)
		}
		f.Start()
		if err := f.Write(); err != nil {
			t.Fatal(err)
		}
		if all := names(t, dir); !strings.HasPrefix(all, "state state.broken-") {
			t.Errorf("%s: there is %s", name, all)
		}
	}
}

func TestFailedWriteKeepsTheLastOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	f := open(t, path)
	one := &owner{text: "good"}
	section(t, f, "one", one)
	f.Start()
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	one.fail = errors.New("cannot be told")
	if err := f.Write(); !errors.Is(err, one.fail) {
		t.Errorf("writing: %v", err)
	}
	if when, err := f.Status(); !errors.Is(err, one.fail) || when.IsZero() {
		t.Errorf("the status is %v, %v", when, err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) || names(t, dir) != "state" {
		t.Errorf("there is %s, %v", names(t, dir), err)
	}
	one.fail = nil
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Status(); err != nil {
		t.Error(err)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"state.new-123", "state.broken-1", "other.new-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, filepath.Join(dir, "state"))
	if left := names(t, dir); left != "other.new-1 state.broken-1" {
		t.Errorf("left: %s", left)
	}
}

func TestInterval(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(dir, "state")
		f, err := snapshot.Open(path, 10*time.Second, quiet)
		if err != nil {
			t.Fatal(err)
		}
		one := &owner{text: "1"}
		section(t, f, "one", one)
		f.Start()
		began := time.Now()
		for i := range 3 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if when, err := f.Status(); err != nil || when.Sub(began) != time.Duration(i+1)*10*time.Second {
				t.Errorf("written at %v, %v", when.Sub(began), err)
			}
		}
		one.text = "last"
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		again := &owner{}
		section(t, open(t, path), "one", again)
		if again.text != "last" {
			t.Errorf("at the end %q was written", again.text)
		}
	})
}

// A file with a checksum that holds, and anything in it, is loaded whole or refused.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("jotgate snapshot 1\n\x00"))
	f.Add([]byte("jotgate snapshot 1\n\x03one\x00\x00\x00\x05first\x00\x00\x00\x00\x00"))
	f.Add([]byte("jotgate snapshot 1\n\x03one\xff\xff\xff\xff"))
	f.Add([]byte("jotgate snapshot 1\n\x03one\x00\x00\x00\x00\x03one\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, resealed(append(body, make([]byte, sha256.Size)...)), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := snapshot.Open(path, time.Hour, quiet)
		if err != nil {
			if !errors.Is(err, snapshot.ErrBroken) {
				t.Fatal(err)
			}
			return
		}
		one := &owner{}
		if err := file.Section("one", one.save, one.load); err != nil {
			t.Errorf("a section of a whole file cannot be read: %v", err)
		}
		if len(one.text) > len(body) {
			t.Errorf("%d bytes of %d", len(one.text), len(body))
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
}
