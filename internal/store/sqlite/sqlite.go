// Package sqlite keeps items in a file, with SQLite: what was acknowledged is on the disk. Several processes of one machine may share the file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite" // registers the driver

	"github.com/jotgate/jotgate/internal/store"
)

// ErrBroken says that a file is damaged, or is not a store. Nothing was changed.
var ErrBroken = errors.New("the file is damaged or not a store")

const (
	pageSize = 4096
	// readers is how many calls read at once; there is one writer.
	readers = 4
	// busyWait is how long a call waits for another process that writes, unless its context ends before.
	busyWait = 5 * time.Second
	// SQLite's result codes.
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// Store is a store.Store in a file.
type Store struct {
	write, read *sql.DB
	closed      chan struct{}
	once        sync.Once
	closeErr    error

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, after every change by this process
}

// Open opens the file at path, and makes it if there is none. It is readable only by its owner. maxBytes bounds it (but not the write-ahead log beside it, which is a few MiB); 0 does not. ErrBroken says that the file is damaged,
// which is looked for in all of it, or something else.
func Open(ctx context.Context, path string, maxBytes int64) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening a store: %w", err)
	}
	if err := private(path); err != nil {
		return nil, fmt.Errorf("opening a store: %w", err)
	}
	s := &Store{closed: make(chan struct{}), changed: make(chan struct{})}
	pages := int64(0)
	if maxBytes > 0 {
		pages = max(maxBytes/pageSize, 16)
	}
	if s.write, err = database(path, "immediate", "journal_mode(WAL)", "max_page_count("+strconv.FormatInt(pages, 10)+")"); err != nil {
		return nil, fmt.Errorf("opening a store: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = database(path, "deferred", "query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a store: %w", err), s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store %s: %w", path, fault(ctx, err)), s.Close())
	}
	return s, nil
}

// private makes a file that is not there, and takes everybody else's rights away from one that is. What SQLite puts beside it has the rights of the file.
func private(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), file.Close())
}

// database is a pool of connections to a file; lock says when their transactions take it. With synchronous(FULL) a commit is on the disk when it is acknowledged.
func database(path, lock string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"_txlock": {lock}}
	for _, pragma := range append([]string{fmt.Sprintf("busy_timeout(%d)", busyWait.Milliseconds()), "synchronous(FULL)", "journal_size_limit(4194304)", "trusted_schema(0)", "cell_size_check(1)"}, pragmas...) {
		query.Add("_pragma", pragma)
	}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
}

// fault is what an error of SQLite means to callers.
func fault(ctx context.Context, err error) error {
	var answer *sqlite.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &answer):
		return err
	}
	switch answer.Code() & 0xff { // the rest says more about it
	case codeCorrupt, codeNotADB:
		return fmt.Errorf("%w: %w", ErrBroken, err)
	case codeFull:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// usable returns why no call can be made.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.closed:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// failed is the error of a call.
func (s *Store) failed(ctx context.Context, doing string, err error) error {
	if unusable := s.usable(ctx); unusable != nil {
		return unusable
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return err
	}
	return fmt.Errorf("%s in the file: %w", doing, fault(ctx, err))
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	if err := s.usable(ctx); err != nil {
		return store.Item{}, err
	}
	if err := store.CheckKey(key); err != nil {
		return store.Item{}, err
	}
	item, err := scanItem(s.read.QueryRowContext(ctx, `SELECT key, value, version, ends FROM items WHERE key = ? AND (ends = 0 OR ends > ?)`, key, time.Now().UnixMilli()))
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Item{}, s.failed(ctx, "reading", err)
	}
	return item, nil
}

// scanItem reads a row of key, value, version and end.
func scanItem(row interface{ Scan(...any) error }) (store.Item, error) {
	var item store.Item
	var version, ends int64
	if err := row.Scan(&item.Key, &item.Value, &version, &ends); err != nil {
		return store.Item{}, err
	}
	item.Version = uint64(version)
	if ends != 0 {
		item.Expires = time.UnixMilli(ends)
	}
	return item, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := store.CheckList(prefix, limit); err != nil {
		return nil, err
	}
	// \xff is in no key: what begins with the prefix is below.
	rows, err := s.read.QueryContext(ctx, `SELECT key, value, version, ends FROM items WHERE key >= ? AND key < ? AND key > ? AND (ends = 0 OR ends > ?) ORDER BY key LIMIT ?`,
		max(prefix, after), prefix+"\xff", after, time.Now().UnixMilli(), limit)
	if err != nil {
		return nil, s.failed(ctx, "listing", err)
	}
	defer func() { _ = rows.Close() }()
	var items []store.Item
	for rows.Next() {
		item, err := scanItem(rows)
		if err != nil {
			return nil, s.failed(ctx, "listing", err)
		}
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return nil, s.failed(ctx, "listing", err)
	}
	return items, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.closeErr = errors.Join(s.read.Close(), s.write.Close())
	})
	return s.closeErr
}
