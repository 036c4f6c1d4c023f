// Package file reads the files of a configuration and says when one of them changed.
//
// What is read is what is watched, in the very state in which it was read: a change between the reading and the watching is not lost. A change is a change
// of content, seen through file system events and, because those do not come from everywhere, by reading again from time to time.
package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// MaxBytes is the size of the largest file that is read.
const MaxBytes = 8 << 20

// Options tune a Watcher. The zero value is fit for use, apart from Log.
type Options struct {
	// Log gets a warning when no file system events are to be had. It is required.
	Log *slog.Logger
	// Interval is the time between two looks at the files without any event; 0 means 10 seconds.
	Interval time.Duration
	// Settle is how long the file system must be quiet before the files are read: editors and copies write in several steps. 0 means 100 milliseconds.
	// Where it is never quiet, the files are read after ten times as long.
	Settle time.Duration
}

// Watcher says when a file that a Reading used is not any more as it was read.
type Watcher struct {
	options Options
	changed chan struct{}
	kick    chan struct{} // the files were replaced
	stop    context.CancelFunc
	done    chan struct{}

	mu    sync.Mutex
	files map[string]state // what is watched
}

// state is what a file was like: the hash of its content, or that it could not be read.
type state struct {
	digest [sha256.Size]byte
	err    string
}

// Watch starts a Watcher, which watches nothing until a Reading is done. It runs until ctx ends or Close is called.
func Watch(ctx context.Context, options Options) *Watcher {
	if options.Interval <= 0 {
		options.Interval = 10 * time.Second
	}
	if options.Settle <= 0 {
		options.Settle = 100 * time.Millisecond
	}
	ctx, stop := context.WithCancel(ctx)
	w := &Watcher{options: options, changed: make(chan struct{}, 1), kick: make(chan struct{}, 1), stop: stop, done: make(chan struct{})}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		options.Log.Warn("file system events are not available", "error", err, "interval", options.Interval)
		events = nil
	}
	go w.run(ctx, events)
	return w
}

// Changed delivers a value after a watched file changed, appeared or vanished; several changes may be one value. It is never closed.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Close stops watching and waits until nothing runs any more.
func (w *Watcher) Close() {
	w.stop()
	<-w.done
}

// A Reading is one load of a configuration. It is safe for concurrent use.
type Reading struct {
	w     *Watcher
	mu    sync.Mutex
	files map[string]state
}

// Begin starts a load.
func (w *Watcher) Begin() *Reading { return &Reading{w: w, files: map[string]state{}} }

// ReadFile is Read, and remembers what it found. A file that cannot be read is remembered too: it may come to be.
func (r *Reading) ReadFile(path string) ([]byte, error) {
	data, err := Read(path)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[path] = stateOf(data, err)
	return data, err
}

// Watch makes the files of this load, and no others, those that are watched. A file that is not any more as it was read counts as changed.
func (r *Reading) Watch() {
	r.mu.Lock()
	files := maps.Clone(r.files)
	r.mu.Unlock()
	r.w.mu.Lock()
	r.w.files = files
	r.w.mu.Unlock()
	notify(r.w.kick)
}

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Read returns the content of a regular file of at most MaxBytes, so it is bounded in time and memory: others, such as pipes and devices, may block or never end.
func Read(path string) (data []byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err == nil && len(data) > MaxBytes {
		return nil, &os.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d bytes", MaxBytes)}
	}
	return data, err
}

func stateOf(data []byte, err error) state {
	if err != nil {
		return state{err: err.Error()}
	}
	return state{digest: sha256.Sum256(data)}
}

// check reads the watched files again and reports whether one is not as it was. What it sees is what the next check compares with.
func (w *Watcher) check() (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for path, before := range w.files {
		if now := stateOf(Read(path)); now != before {
			w.files[path] = now
			changed = true
		}
	}
	return changed
}
