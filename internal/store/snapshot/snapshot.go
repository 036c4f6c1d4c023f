// Package snapshot keeps the states of several owners in one file, as sections, so that they outlive the process: written now and then and at the end, replaced as a whole, and read only if it is whole. What changed after the
// last writing is lost when the process is killed.
package snapshot

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// ErrBroken says that a file is not what was once written: cut off, changed, or of another version.
var ErrBroken = errors.New("the snapshot is broken")

// File is a snapshot and those whose states are in it. It is safe for concurrent use.
type File struct {
	path     string
	log      *slog.Logger
	interval time.Duration

	mu       sync.Mutex // held while the file is written, too
	sections []section
	places   map[string]place // of what was read at the start
	read     *os.File
	started  bool
	closed   bool
	stop     chan struct{}
	owned    sync.WaitGroup

	statusMu sync.Mutex
	written  time.Time
	failed   error
}

type section struct {
	name string
	save func(io.Writer) error
}

// Open reads the file at path, if there is one, and returns what Section, then Start and in the end Close are called on. A file that is broken is renamed, so that nothing overwrites it: the error is ErrBroken then, it says where
// the file is now, and the snapshot can be used and is empty. With any other error there is none. The file is written every interval, and readable only by its owner.
func Open(path string, interval time.Duration, log *slog.Logger) (*File, error) {
	f := &File{path: path, interval: interval, log: log, stop: make(chan struct{})}
	if err := f.removeLeftovers(); err != nil {
		return nil, fmt.Errorf("opening a snapshot: %w", err)
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening a snapshot: %w", err)
	}
	f.places, err = scan(file)
	if err == nil {
		f.read = file
		return f, nil
	}
	_ = file.Close()
	if errors.Is(err, ErrBroken) {
		return f, f.keepAside(err)
	}
	return nil, fmt.Errorf("reading the snapshot %s: %w", path, err)
}

// keepAside renames a broken file, and says so in the error that it returns.
func (f *File) keepAside(why error) error {
	aside := fmt.Sprintf("%s.broken-%s", f.path, time.Now().UTC().Format("20060102T150405.000"))
	if err := os.Rename(f.path, aside); err != nil {
		return fmt.Errorf("%w, and cannot be kept aside: %w", why, err)
	}
	return fmt.Errorf("%w; it is kept as %s", why, aside)
}

// removeLeftovers removes what writing has left behind when a process was killed.
func (f *File) removeLeftovers() error {
	left, err := filepath.Glob(globEscape(f.path) + ".new-*")
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func globEscape(path string) string {
	var out []rune
	for _, r := range path {
		if r == '*' || r == '?' || r == '[' || r == '\\' {
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}

// Section has save write a state in every snapshot from Start on, and load read it now if the file has it. load is given what save once wrote and must read all of it. An error is one of load or of its use: the file is kept aside then
// as if it were broken, and the error says where; the section is in force all the same, and later ones find nothing to load.
func (f *File) Section(name string, save func(io.Writer) error, load func(io.Reader) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.started || f.closed || name == "" || len(name) > maxName || slices.ContainsFunc(f.sections, func(s section) bool { return s.name == name }) {
		return fmt.Errorf("the section %q of a snapshot comes too late or twice", name)
	}
	f.sections = append(f.sections, section{name: name, save: save})
	at, ok := f.places[name]
	if !ok {
		return nil
	}
	r := &chunks{r: bufio.NewReaderSize(io.NewSectionReader(f.read, at.offset, at.length), bufferSize)}
	err := load(r)
	if err == nil {
		if _, after := r.Read(make([]byte, 1)); !errors.Is(after, io.EOF) {
			err = errors.New("it was not read to its end")
		}
	}
	if err == nil {
		return nil
	}
	f.letGo()
	return f.keepAside(fmt.Errorf("%w: section %q: %w", ErrBroken, name, err))
}

// letGo closes what was read at the start.
func (f *File) letGo() {
	if f.read != nil {
		_ = f.read.Close()
	}
	f.read, f.places = nil, nil
}

// Start begins to write, now that all sections are there. Before that nothing is written, Close included, so that a process that fails while it starts leaves the file alone.
func (f *File) Start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.started || f.closed {
		return
	}
	f.started = true
	f.letGo()
	f.owned.Go(func() {
		ticker := time.NewTicker(f.interval)
		defer ticker.Stop()
		for {
			select {
			case <-f.stop:
				return
			case <-ticker.C:
				if err := f.Write(); err != nil {
					f.log.Error("snapshot not written", "path", f.path, "error", err)
				}
			}
		}
	})
}

// Write writes the file now. After an error the last one is still there.
func (f *File) Write() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.started || f.closed {
		return errors.New("writing a snapshot that is not in use")
	}
	return f.write()
}

func (f *File) write() error {
	err := f.replace()
	if err != nil {
		err = fmt.Errorf("writing the snapshot: %w", err)
	}
	f.statusMu.Lock()
	defer f.statusMu.Unlock()
	f.failed = err
	if err == nil {
		f.written = time.Now()
	}
	return err
}

// Status says when the file was last written, zero if it was not, and the error if trying to has failed since.
func (f *File) Status() (written time.Time, err error) {
	f.statusMu.Lock()
	defer f.statusMu.Unlock()
	return f.written, f.failed
}

// Close writes the file for the last time and ends writing it. Closing again does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	f.letGo()
	var err error
	if f.started {
		err = f.write()
	}
	close(f.stop)
	f.mu.Unlock()
	f.owned.Wait()
	return err
}

// replace writes a new file beside the old one and puts it in its place. Each step is on the disk before the next one.
func (f *File) replace() error {
	file, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".new-*")
	if err != nil {
		return err
	}
	err = f.fill(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncDir(filepath.Dir(f.path))
}

func (f *File) fill(file io.Writer) error {
	buffer := bufio.NewWriterSize(file, bufferSize)
	sum := sha256.New()
	w := io.MultiWriter(buffer, sum)
	if _, err := io.WriteString(w, magic); err != nil {
		return err
	}
	for _, s := range f.sections {
		if err := writeSection(w, s); err != nil {
			return fmt.Errorf("section %q: %w", s.name, err)
		}
	}
	if _, err := w.Write([]byte{0}); err != nil { // no section has an empty name
		return err
	}
	if _, err := buffer.Write(sum.Sum(nil)); err != nil {
		return err
	}
	return buffer.Flush()
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
