package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

// Watch implements store.Store. It asks for changes five times a second. A server that cannot be asked is a gap, and so is a new connection.
func (s *Store) Watch(ctx context.Context, prefix string, resync func(), change func(store.Change)) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return err
	}
	// No version is this high, so the first answer is a gap, and the position to go on from.
	w := &poll{store: s, prefix: prefix, resync: resync, change: change, since: strconv.FormatUint(1<<53, 10)}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return store.ErrClosed
		case <-pause.C:
		}
		more, err := w.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrClosed):
			return store.ErrClosed
		case err != nil:
			w.gap = true
		}
		if more {
			pause.Reset(0)
		} else {
			pause.Reset(pollInterval)
		}
	}
}

// poll is where a watcher is.
type poll struct {
	store  *Store
	prefix string
	resync func()
	change func(store.Change)
	since  string // the version up to which changes were told
	dials  uint64 // how many connections there had been
	gap    bool   // asking has failed since then
}

// ask asks once, and tells what there is. more says that there was more than one answer takes.
func (w *poll) ask(ctx context.Context) (more bool, err error) {
	// A server that was restarted, or replaced, within an interval may have lost changes that were told, and have got others since.
	if dials := w.store.client.dials.Load(); dials != w.dials {
		w.gap, w.dials = true, dials
	}
	space, rest := split(w.prefix)
	reply, err := w.store.texts(w.store.eval(ctx, w.store.changes, space, w.since, rest, strconv.Itoa(pageItems), strconv.Itoa(pageBytes)))
	if err != nil {
		return false, err
	}
	if len(reply)%4 != 2 {
		return false, errReply
	}
	changes := make([]store.Change, 0, len(reply)/4)
	for i := 2; i < len(reply); i += 4 {
		found, err := item(space+"/"+reply[i], reply[i+1:i+4])
		if err != nil {
			return false, err
		}
		if found.Version == 0 {
			changes = append(changes, store.Change{Item: store.Item{Key: found.Key}, Gone: true})
		} else {
			changes = append(changes, store.Change{Item: found})
		}
	}
	w.since = reply[0]
	if reply[1] == "gap" || w.gap {
		w.gap = false
		w.resync()
	}
	for _, c := range changes {
		if err := w.store.usable(ctx); err != nil {
			return false, err
		}
		w.change(c)
	}
	return reply[1] == "more", nil
}
