package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	// pollInterval is how often a watcher looks for changes by other processes. Those of this one wake it.
	pollInterval = 250 * time.Millisecond
	// changesAtOnce is how many changes are read at once.
	changesAtOnce = 64
)

// tell wakes the watchers.
func (s *Store) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// next is closed with the next change.
func (s *Store) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, resync func(), change func(store.Change)) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return err
	}
	// No version is below 0, so the first answer is a gap, and the position to go on from.
	w := &watch{store: s, prefix: prefix, since: -1}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		changed := s.next() // before looking, so that nothing falls in between
		for more := true; more; {
			if err := s.usable(ctx); err != nil {
				return err
			}
			var changes []store.Change
			var gap bool
			var err error
			changes, gap, more, err = w.look(ctx)
			if err != nil {
				w.since = -1 // the file may be back, and may be another one
				break
			}
			if gap {
				resync()
			}
			for _, c := range changes {
				if err := s.usable(ctx); err != nil {
					return err
				}
				change(c)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return store.ErrClosed
		case <-changed:
		case <-ticker.C:
		}
	}
}

// watch is where a watcher is: at the version up to which changes were told, -1 at the start.
type watch struct {
	store  *Store
	prefix string
	since  int64
}

// look reads the next changes in one view of the file. gap says that some cannot be told any more; more, that there are others.
func (w *watch) look(ctx context.Context) (changes []store.Change, gap, more bool, err error) {
	var version, floor int64
	if err := w.store.read.QueryRowContext(ctx, `SELECT version, floor FROM meta`).Scan(&version, &floor); err != nil {
		return nil, false, false, err
	}
	switch {
	case w.since < floor || w.since > version:
		w.since = version
		return nil, true, false, nil
	case w.since == version:
		return nil, false, false, nil
	}
	tx, err := w.store.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, false, false, err
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.QueryRowContext(ctx, `SELECT version, floor FROM meta`).Scan(&version, &floor); err != nil {
		return nil, false, false, err
	}
	if w.since < floor {
		w.since = version
		return nil, true, false, nil
	}
	changes, last, full, err := w.changes(ctx, tx)
	if err != nil {
		return nil, false, false, err
	}
	if full {
		version = last
	}
	w.since = version
	return changes, false, full, nil
}

// changes reads changes after since, in their order. full says that there may be others after last.
func (w *watch) changes(ctx context.Context, tx *sql.Tx) (changes []store.Change, last int64, full bool, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT key, value, version, ends, 0 FROM items WHERE version > ?1 AND key >= ?2 AND key < ?3
		UNION ALL SELECT key, NULL, version, 0, 1 FROM gone WHERE version > ?1 AND key >= ?2 AND key < ?3 ORDER BY 3 LIMIT ?4`, w.since, w.prefix, w.prefix+"\xff", changesAtOnce)
	if err != nil {
		return nil, 0, false, err
	}
	defer func() { _ = rows.Close() }()
	now := time.Now()
	read := 0
	for rows.Next() {
		var item store.Item
		var ends int64
		var gone bool
		if err := rows.Scan(&item.Key, &item.Value, &last, &ends, &gone); err != nil {
			return nil, 0, false, err
		}
		read++
		switch {
		case gone:
			changes = append(changes, store.Change{Item: store.Item{Key: item.Key}, Gone: true})
		case ends == 0 || ends > now.UnixMilli():
			item.Version = uint64(last)
			if ends != 0 {
				item.Expires = time.UnixMilli(ends)
			}
			changes = append(changes, store.Change{Item: item})
		}
	}
	return changes, last, read == changesAtOnce, rows.Err()
}
