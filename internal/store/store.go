// Package store keeps what must outlive a request, and be the same for all gateways that share it: keys with values, versions and an end. Drivers are packages
// below this one; storetest is what each of them must pass.
package store

import (
	"context"
	"errors"
	"time"
)

// The errors of stores. Anything else says that the store could not be asked.
var (
	// ErrNotFound says that there is no item under a key.
	ErrNotFound = errors.New("not found in the store")
	// ErrConflict says that an item is not at the version that was asked for.
	ErrConflict = errors.New("changed in the store by somebody else")
	// ErrTooLarge says that a key or value is longer than a store takes.
	ErrTooLarge = errors.New("too large for the store")
)

// The limits of an item, in bytes.
const (
	MaxKey   = 512
	MaxValue = 1 << 20
)

// Item is a value under a key.
type Item struct {
	Key   string
	Value []byte
	// Version changes with every change of the item, and is never 0 for an item that is there.
	Version uint64
	// Expires is the end of the item; zero if it has none.
	Expires time.Time
}

// Condition says at which version a change may be made.
type Condition struct {
	version uint64
	set     bool
}

// Always makes a change whatever is there.
func Always() Condition { return Condition{} }

// IfVersion makes a change only if the item is at a version; 0 stands for an item that is not there.
func IfVersion(version uint64) Condition { return Condition{version: version, set: true} }

// Allows reports whether a change may be made to an item at a version, 0 if it is not there.
func (c Condition) Allows(version uint64) bool { return !c.set || c.version == version }

// Version returns the version that is asked for; ok is false if any will do.
func (c Condition) Version() (version uint64, ok bool) { return c.version, c.set }

// Change is one change of an item. Its Item has no value and no version if the item is gone.
type Change struct {
	Item Item
	Gone bool
}

// Store keeps items. Implementations are safe for concurrent use. A key is valid UTF-8 without control characters, of parts joined by "/".
type Store interface {
	// Get returns the item under key, or ErrNotFound.
	Get(ctx context.Context, key string) (Item, error)
	// Put writes value under key and returns the new version. A ttl of 0 has no end. ErrConflict says that the condition does not hold.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration, c Condition) (version uint64, err error)
	// Delete removes the item under key: ErrNotFound if there is none, ErrConflict if the condition does not hold.
	Delete(ctx context.Context, key string, c Condition) error
	// List returns up to limit items whose keys start with prefix and are greater than after, in byte order of their keys.
	List(ctx context.Context, prefix, after string, limit int) ([]Item, error)
	// Watch calls change for every change below prefix that is made from now on, by any gateway that shares the store, within a second of it, until ctx is over; it returns ctx's error then. Changes of one key arrive in
	// their order; of several changes of one key in a short time only the last may arrive. An item that comes to its end is not a change. After a gap, say because the connection was lost, resync is called: whatever was not
	// told must be read anew with List. It is also called once at the start, when watching has begun.
	Watch(ctx context.Context, prefix string, resync func(), change func(Change)) error
	// Close lets go of everything. Data that was written is kept, unless the driver says otherwise.
	Close() error
}
