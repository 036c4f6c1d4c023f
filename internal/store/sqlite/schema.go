package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// applicationID marks a file as ours: "jotg".
const applicationID = 0x6a6f7467

// migrations are what makes a file of one version one of the next; the number of those that were made is its user_version. They are never changed, only added to.
var migrations = [...]string{
	// gone has the keys that were deleted last, for watchers; floor is the version up to which it was shortened. ends is Unix time in milliseconds, 0 for none.
	`CREATE TABLE items (key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, ends INTEGER NOT NULL, value BLOB NOT NULL);
	CREATE UNIQUE INDEX items_by_version ON items (version);
	CREATE INDEX items_by_end ON items (ends) WHERE ends > 0;
	CREATE TABLE gone (version INTEGER NOT NULL PRIMARY KEY, key TEXT NOT NULL UNIQUE);
	CREATE TABLE meta (only INTEGER NOT NULL PRIMARY KEY CHECK (only = 0), version INTEGER NOT NULL, floor INTEGER NOT NULL);
	INSERT INTO meta VALUES (0, 0, 0);`,
}

// prepare looks whether the file is whole and ours, and brings it to this version.
func (s *Store) prepare(ctx context.Context) error {
	var verdict string
	if err := s.write.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrBroken, verdict)
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	var application, version, tables int
	for pragma, into := range map[string]*int{`PRAGMA application_id`: &application, `PRAGMA user_version`: &version, `SELECT count(*) FROM sqlite_schema`: &tables} {
		if err := tx.QueryRowContext(ctx, pragma).Scan(into); err != nil {
			return err
		}
	}
	switch {
	case tables > 0 && application != applicationID:
		return fmt.Errorf("%w: it is a database of something else", ErrBroken)
	case version > len(migrations):
		return fmt.Errorf("it was written by a newer version (%d, this one knows %d)", version, len(migrations))
	case version == len(migrations):
		return nil
	}
	if err := migrate(ctx, tx, version); err != nil {
		return err
	}
	return tx.Commit()
}

func migrate(ctx context.Context, tx *sql.Tx, from int) error {
	for i, migration := range migrations[from:] {
		if _, err := tx.ExecContext(ctx, migration); err != nil {
			return fmt.Errorf("migrating to version %d: %w", from+i+1, err)
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = %d`, applicationID, len(migrations)))
	return err
}
