package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	// purgeSome is how many items that have ended a change removes at most, so that no caller pays for many.
	purgeSome = 64
	// keptGone is how many deletions are kept for watchers, roughly.
	keptGone = 4096
)

// Put implements store.Store. ErrFull says that the disk is, or that the file is as large as it may be.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration, c store.Condition) (uint64, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := store.CheckPut(key, value, ttl); err != nil {
		return 0, err
	}
	if value == nil {
		value = []byte{} // nil would be NULL
	}
	given, err := s.change(ctx, key, func(tx *sql.Tx, now time.Time, old, next uint64) error {
		if !c.Allows(old) {
			return store.ErrConflict
		}
		ends := int64(0)
		if ttl > 0 {
			ends = now.Add(ttl + time.Millisecond - 1).UnixMilli()
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO items (key, version, ends, value) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET version = excluded.version, ends = excluded.ends, value = excluded.value`,
			key, int64(next), ends, value); err != nil {
			return err
		}
		if old != 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM gone WHERE key = ?`, key)
		return err
	})
	if err != nil {
		return 0, s.failed(ctx, "writing", err)
	}
	return given, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string, c store.Condition) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := store.CheckKey(key); err != nil {
		return err
	}
	_, err := s.change(ctx, key, func(tx *sql.Tx, _ time.Time, old, next uint64) error {
		switch {
		case old == 0:
			return store.ErrNotFound
		case !c.Allows(old):
			return store.ErrConflict
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM items WHERE key = ?`, key); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO gone (version, key) VALUES (?, ?)`, int64(next), key); err != nil {
			return err
		}
		return shorten(ctx, tx)
	})
	if err != nil {
		return s.failed(ctx, "deleting", err)
	}
	return nil
}

// change makes one change in a transaction. make is told the version that is there, 0 for none, and the one after the change.
func (s *Store) change(ctx context.Context, key string, make func(tx *sql.Tx, now time.Time, old, next uint64) error) (uint64, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	now := time.Now()
	var last, old int64
	var ended bool
	if err := tx.QueryRowContext(ctx, `SELECT version, coalesce((SELECT version FROM items WHERE key = ?1 AND (ends = 0 OR ends > ?2)), 0), EXISTS (SELECT 1 FROM items WHERE ends > 0 AND ends <= ?2) FROM meta`,
		key, now.UnixMilli()).Scan(&last, &old, &ended); err != nil {
		return 0, err
	}
	next := store.NextVersion(uint64(last), now)
	if err := make(tx, now, uint64(old), next); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE meta SET version = ?`, int64(next)); err != nil {
		return 0, err
	}
	if ended {
		if _, err := tx.ExecContext(ctx, `DELETE FROM items WHERE rowid IN (SELECT rowid FROM items WHERE ends > 0 AND ends <= ? LIMIT ?)`, now.UnixMilli(), purgeSome); err != nil {
			return 0, err
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	s.tell()
	return next, nil
}

// shorten forgets old deletions when there are twice as many as are kept.
func shorten(ctx context.Context, tx *sql.Tx) error {
	var version int64
	err := tx.QueryRowContext(ctx, `SELECT version FROM gone ORDER BY version DESC LIMIT 1 OFFSET ?`, 2*keptGone).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, `SELECT version FROM gone ORDER BY version DESC LIMIT 1 OFFSET ?`, keptGone).Scan(&version); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE meta SET floor = ?`, version); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM gone WHERE version <= ?`, version)
	return err
}
