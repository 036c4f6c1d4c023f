package file

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// run is the only goroutine of a Watcher.
func (w *Watcher) run(ctx context.Context, events *fsnotify.Watcher) {
	defer close(w.done)
	d := directories{events: events, watched: map[string]os.FileInfo{}}
	defer d.close()
	tick := time.NewTicker(w.options.Interval)
	defer tick.Stop()
	settled := time.NewTimer(0)
	settled.Stop()
	defer settled.Stop()
	var restless time.Time // since when there are events that nothing was read for
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.event():
			now := time.Now()
			if restless.IsZero() {
				restless = now
			}
			latest := restless.Add(10 * w.options.Settle)
			settled.Reset(min(w.options.Settle, max(0, latest.Sub(now))))
			continue
		case err := <-d.failure():
			w.options.Log.Warn("file system events were lost, the files are read again", "error", err)
		case <-settled.C:
		case <-tick.C:
		case <-w.kick:
		}
		restless = time.Time{}
		w.mu.Lock()
		paths := make([]string, 0, len(w.files))
		for path := range w.files {
			paths = append(paths, path)
		}
		w.mu.Unlock()
		d.follow(paths) // before the check, so that no change falls between the two
		if w.check() {
			notify(w.changed)
		}
	}
}

// directories are the folders whose events are asked for. Folders, not files: a watch on a file ends when the file is replaced.
type directories struct {
	events  *fsnotify.Watcher // nil if there are no events to be had
	watched map[string]os.FileInfo
}

// event returns the channel of events; it blocks forever if there are none to be had.
func (d *directories) event() <-chan fsnotify.Event {
	if d.events == nil {
		return nil
	}
	return d.events.Events
}

// failure returns the channel of errors, which mean that events were lost.
func (d *directories) failure() <-chan error {
	if d.events == nil {
		return nil
	}
	return d.events.Errors
}

func (d *directories) close() {
	if d.events != nil {
		_ = d.events.Close()
	}
}

// follow watches the folders that decide what the paths lead to, and no others. What changes between looking and watching shows in a second look, so it looks
// until nothing is new. A folder that cannot be watched is left to the regular checks.
func (d *directories) follow(paths []string) {
	const looks = 20
	if d.events == nil {
		return
	}
	for range looks {
		needed := map[string]bool{}
		for _, path := range paths {
			for _, dir := range deciding(path) {
				needed[dir] = true
			}
		}
		d.forget(needed)
		if !d.add(needed) {
			return
		}
	}
}

// forget ends the watches that are not needed, and those that look at a folder which has another place by now.
func (d *directories) forget(needed map[string]bool) {
	listed := d.events.WatchList()
	for dir, info := range d.watched {
		now, err := os.Stat(dir)
		if needed[dir] && err == nil && os.SameFile(info, now) && slices.Contains(listed, dir) {
			continue
		}
		_ = d.events.Remove(dir) // it may be gone already
		delete(d.watched, dir)
	}
}

// add starts the watches that are missing, and reports whether there were any.
func (d *directories) add(needed map[string]bool) (added bool) {
	for dir := range needed {
		if _, ok := d.watched[dir]; ok {
			continue
		}
		if info, err := os.Stat(dir); err == nil && d.events.Add(dir) == nil {
			d.watched[dir], added = info, true
		}
	}
	return added
}

// deciding returns the folders in which a change can make the path lead to another file: that of the file itself, that of each symbolic link on the way,
// and of what does not exist yet the nearest folder that does. Their names have no links in them. Folders further up are not among them: that one of them is
// moved as a whole is rare enough to be left to the regular checks.
func deciding(path string) []string {
	const maxLinks = 40
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	var dirs []string
	for range maxLinks {
		link, end := firstLink(path)
		dirs = append(dirs, filepath.Dir(end))
		if link == "" {
			break
		}
		target, err := os.Readlink(link)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		path = filepath.Join(target, path[len(link):])
	}
	return dirs
}

// firstLink returns the shortest part of an absolute path that is a symbolic link, or "", and where the walk ended: there, at the first part that does
// not exist, or at the whole path.
func firstLink(path string) (link, end string) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != filepath.Separator {
			continue
		}
		part := path[:i]
		switch info, err := os.Lstat(part); {
		case err != nil:
			return "", part
		case info.Mode()&os.ModeSymlink != 0:
			return part, part
		}
	}
	return "", path
}
