package keys

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long after a file event the file is read: writers make several.
const settle = 20 * time.Millisecond

// watch calls changed after something in the directory of the file has changed, until the context is done. The directory is watched because editors and
// Kubernetes replace files and symbolic links instead of writing to them. Without a working watcher the periodic reading remains.
func watch(ctx context.Context, file string, log *slog.Logger, changed func()) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { _ = watcher.Close() }()
		err = watcher.Add(filepath.Dir(file))
	}
	if err != nil {
		log.WarnContext(ctx, "watching the key file failed, it is read from time to time", "location", file, "error", err)
		return
	}
	changed() // it may have changed before the watcher was there
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-watcher.Events:
			if !ok {
				return
			}
			if !concerns(event, file) {
				continue
			}
			if !sleep(ctx, settle) {
				return
			}
			drain(watcher.Events)
			changed()
		case err, ok := <-watcher.Errors:
			if !ok {
				return
			}
			log.WarnContext(ctx, "watching the key file failed", "location", file, "error", err)
			changed()
		}
	}
}

// concerns reports whether the file can have changed: by an event of its own, or because something appeared or went that it may be reached through.
func concerns(event fsnotify.Event, file string) bool {
	if event.Has(fsnotify.Create) || event.Has(fsnotify.Rename) || event.Has(fsnotify.Remove) {
		return true
	}
	return event.Has(fsnotify.Write) && filepath.Base(event.Name) == filepath.Base(file)
}

// drain takes the events that the next reading covers.
func drain(events <-chan fsnotify.Event) {
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		default:
			return
		}
	}
}
