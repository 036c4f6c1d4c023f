// Package store keeps what must outlive a request, and be the same for all gateways that share it: keys with values, versions and an end. Drivers are packages
// below this one; storetest is what each of them must pass.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// The errors of stores. Anything else says that the store could not be asked: nothing is known then of what a change has done.
var (
	// ErrNotFound says that there is no item under a key.
	ErrNotFound = errors.New("not found in the store")
	// ErrConflict says that an item is not at the version that was asked for.
	ErrConflict = errors.New("changed in the store by somebody else")
	// ErrTooLarge says that a key or value is longer than a store takes.
	ErrTooLarge = errors.New("too large for the store")
	// ErrInvalid says that a key or prefix is not one, that a ttl is negative, or that a limit is below 1.
	ErrInvalid = errors.New("not what a store takes")
	// ErrFull says that there is no room for an item; nothing was changed.
	ErrFull = errors.New("the store is full")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// The limits of an item, in bytes.
const (
	MaxKey   = 512
	MaxValue = 1 << 20
)

// pageOfAll is how many items All asks for at once.
const pageOfAll = 500

// Item is a value under a key.
type Item struct {
	Key   string
	Value []byte
	// Version changes with every change of the item and only grows, also when the item is gone in between; it is never 0 for an item that is there.
	Version uint64
	// Expires is the end of the item by this process's clock, give or take the time an answer of the store takes; zero if it has none.
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

// Store keeps items. Implementations are safe for concurrent use, and never keep or hand out a slice that somebody else may write to.
//
// A key is valid UTF-8 without control characters. It is a space, "/", and at least one character more; the space is lower-case letters, digits and "-". A store keeps a space in one place: spaces are the unit that
// a Cluster spreads. A prefix is the beginning of a key, with its space and the "/" at least. Methods return ErrInvalid for what is not a key or prefix, ErrTooLarge for what is too long, and ErrClosed after Close.
type Store interface {
	// Get returns the item under key, or ErrNotFound.
	Get(ctx context.Context, key string) (Item, error)
	// Put writes value under key and returns the new version. A ttl of 0 has no end; a part of a millisecond counts as a whole one. ErrConflict says that the condition does not hold.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration, c Condition) (version uint64, err error)
	// Delete removes the item under key: ErrNotFound if there is none, ErrConflict if the condition does not hold. If it asks for version 0 there is nothing to remove: ErrNotFound or ErrConflict.
	Delete(ctx context.Context, key string, c Condition) error
	// List returns the first limit items whose keys start with prefix and are greater than after, in byte order of their keys; fewer only if there are no more. A limit below 1 is ErrInvalid.
	List(ctx context.Context, prefix, after string, limit int) ([]Item, error)
	// Watch calls change for every change below prefix that is made from now on, by any gateway that shares the store, within a second of it, until ctx is over or the store is closed; it returns ctx's error or
	// ErrClosed then. Both functions are called by the goroutine that called Watch, never at once. Changes of one key arrive in their order; of several changes of one key in a short time only the last may arrive.
	// An item that comes to its end is not a change. After a gap, say because the connection was lost, resync is called: whatever was not told must be read anew with List. It is also called once at the start, when
	// watching has begun. What List has shown then may be told as a change afterwards.
	Watch(ctx context.Context, prefix string, resync func(), change func(Change)) error
	// Close lets go of everything, and ends all calls. Data that was written is kept, unless the driver says otherwise. Closing again does nothing.
	Close() error
}

// CheckKey returns ErrInvalid or ErrTooLarge for a text that is not a key. The error does not repeat it.
func CheckKey(key string) error {
	if err := CheckPrefix(key); err != nil {
		return err
	}
	if strings.HasSuffix(key, "/") && strings.Count(key, "/") == 1 {
		return fmt.Errorf("%w: there is nothing after the space", ErrInvalid)
	}
	return nil
}

// CheckPrefix returns ErrInvalid or ErrTooLarge for a text that no key may start with, or that does not name a space.
func CheckPrefix(prefix string) error {
	if len(prefix) > MaxKey {
		return fmt.Errorf("%w: a key of %d bytes", ErrTooLarge, len(prefix))
	}
	space, _, ok := strings.Cut(prefix, "/")
	if !ok || space == "" || strings.Trim(space, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%w: it does not start with a space and a slash", ErrInvalid)
	}
	if !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		return fmt.Errorf("%w: it has bytes that are no UTF-8, or control characters", ErrInvalid)
	}
	return nil
}

// CheckPut is what all drivers ask of what is put.
func CheckPut(key string, value []byte, ttl time.Duration) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%w: a value of %d bytes", ErrTooLarge, len(value))
	}
	if ttl < 0 {
		return fmt.Errorf("%w: the time to live is negative", ErrInvalid)
	}
	return nil
}

// CheckList is what all drivers ask of a List.
func CheckList(prefix string, limit int) error {
	if limit < 1 {
		return fmt.Errorf("%w: a list of %d items", ErrInvalid, limit)
	}
	return CheckPrefix(prefix)
}

// NextVersion is the version after last that a store gives at a time. It follows the clock, so that a store that lost its last writes in a crash does not give their versions again.
func NextVersion(last uint64, now time.Time) uint64 {
	return max(last+1, uint64(max(now.UnixMicro(), 0)))
}

// All returns the items below prefix in byte order of their keys, and asks for them page by page. It ends after an error.
func All(ctx context.Context, s Store, prefix string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for after := ""; ; {
			items, err := s.List(ctx, prefix, after, pageOfAll)
			if err != nil {
				yield(Item{}, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if len(items) < pageOfAll {
				return
			}
			after = items[len(items)-1].Key
		}
	}
}
