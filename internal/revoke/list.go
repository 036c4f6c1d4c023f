package revoke

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
)

// prefix is where revocations are kept in a store. A key is prefix, kind, "/", the hash of what is named.
const prefix = "revocations/"

// Max is how many revocations a List holds at most: about 100 MB. More are refused, and none is ever forgotten before its end to make room.
const Max = 1_000_000

// ErrFull says that there are Max revocations.
var ErrFull = fmt.Errorf("there are already %d revocations; take whole subjects or keys back instead of single tokens, and let revocations expire", Max)

// errNotLoaded is why tokens are refused before the list is known.
var errNotLoaded = errors.New("the revocation list is not known yet")

// name is what a revocation names, hashed, so that a name of any length takes the same room. With all of SHA-256 no two names share one.
type name [sha256.Size]byte

func nameOf(kind Kind, issuer, value string) name {
	text := make([]byte, 0, 256)
	for _, part := range [...]string{string(kind), issuer, value} {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	return sha256.Sum256(text)
}

// Key is where r is kept in the store.
func (r *Revocation) Key() string {
	n := nameOf(r.Kind, r.Issuer, r.Value)
	return prefix + string(r.Kind) + "/" + hex.EncodeToString(n[:])
}

// KeyOf is where the revocation with an ID, kind and hash with a slash between them, is kept in the store.
func KeyOf(id string) string { return prefix + id }

// entry is what is left to check of a revocation: the Unix second before whose end tokens must have been issued, 0 for all tokens.
type entry struct{ issuedBefore int64 }

func (r *Revocation) entry() entry {
	if r.IssuedBefore.IsZero() {
		return entry{}
	}
	return entry{max(r.IssuedBefore.Unix(), 1)}
}

// covers reports whether what was issued at a moment is taken back, compared in whole seconds. What does not say when it was issued always is.
func (e entry) covers(issued time.Time) bool {
	return e.issuedBefore == 0 || issued.IsZero() || issued.Unix() <= e.issuedBefore
}

// List is the revocations in force, the same at every gateway that shares the store, at most a second old. Before it is known, it refuses every token. It is safe for concurrent use.
type List struct {
	store  store.Store
	mirror *store.Mirror[name, entry]
}

// Open returns the list of a store, which it reads in the background and then follows. The caller closes it.
func Open(s store.Store, log *slog.Logger) *List {
	value := func(item store.Item) entry {
		r, err := decode(item.Value)
		if err != nil { // whoever wrote it wanted something taken back
			log.Error("a stored revocation cannot be read; all that it names is refused", slog.Any("error", err))
			r = Revocation{}
		}
		return r.entry()
	}
	return &List{store: s, mirror: store.OpenMirror(s, prefix, log, parseKey, value)}
}

// Close ends following the store.
func (l *List) Close() { l.mirror.Close() }

// WaitLoaded waits until the list is known; the error is that of ctx.
func (l *List) WaitLoaded(ctx context.Context) error { return l.mirror.WaitLoaded(ctx) }

// Len is the number of revocations in force.
func (l *List) Len() int { return l.mirror.Len() }

// Generation changes with every revocation; it is 0 until the list is known.
func (l *List) Generation() uint64 { return l.mirror.Generation() }

// Check refuses an identity whose token, or credential, was taken back at the moment now. The error is a *gate.Denial. generation is what the answer holds for: as long as [List.Generation] returns the same, an identity that
// passed need not be checked again.
func (l *List) Check(id *gate.Identity, now time.Time) (generation uint64, err error) {
	generation = l.mirror.Generation() // before looking: an addition meanwhile makes the answer old, not wrong
	if generation == 0 {
		return 0, gate.Deny(gate.ReasonRevocationsUnknown, errNotLoaded)
	}
	if l.mirror.Len() == 0 {
		return generation, nil
	}
	for _, kind := range kinds {
		if l.names(kind, kind.value(id), id, now, id.Issuer, AnyIssuer) || kind == Key && l.names(kind, id.Credential, id, now, "", id.Issuer, AnyIssuer) {
			return generation, &gate.Denial{Reason: gate.ReasonRevoked, Expected: "a token that is not revoked", Got: "revoked by " + string(kind)}
		}
	}
	return generation, nil
}

// names reports whether a revocation of a kind and one of the issuers names a value, and covers what the identity has.
func (l *List) names(kind Kind, value string, id *gate.Identity, now time.Time, issuers ...string) bool {
	if value == "" {
		return false
	}
	for _, issuer := range issuers {
		if e, found := l.mirror.Get(nameOf(kind, issuer, value), now); found && e.covers(id.Issued) {
			return true
		}
	}
	return false
}

// Add puts a revocation in force: here at once, at other gateways within a second. It replaces one that names the same. The error is of [Revocation.Check], ErrFull, or the store's; nothing has changed then.
func (l *List) Add(ctx context.Context, r Revocation, now time.Time) error {
	if err := r.Check(now); err != nil {
		return err
	}
	if _, known := l.mirror.Get(nameOf(r.Kind, r.Issuer, r.Value), now); !known && l.mirror.Len() >= Max {
		return ErrFull
	}
	text, err := r.encode()
	if err != nil {
		return fmt.Errorf("storing a revocation: %w", err)
	}
	var ttl time.Duration
	if !r.Expires.IsZero() {
		ttl = r.Expires.Sub(now) + time.Second
	}
	item := store.Item{Key: r.Key(), Value: text, Expires: r.Expires}
	item.Version, err = l.store.Put(ctx, item.Key, item.Value, ttl, store.Always())
	if err != nil {
		return fmt.Errorf("storing a revocation: %w", err)
	}
	l.mirror.Took(item)
	return nil
}

// Remove ends a revocation by its key. The error is store.ErrNotFound if there is none, or the store's.
func (l *List) Remove(ctx context.Context, key string) error {
	if _, ok := parseKey(key); !ok {
		return store.ErrNotFound
	}
	if err := l.store.Delete(ctx, key, store.Always()); err != nil {
		return fmt.Errorf("removing a revocation: %w", err)
	}
	l.mirror.Dropped(key)
	return nil
}

// Page returns up to limit revocations after a key in the order of their keys, which says nothing about their age.
func (l *List) Page(ctx context.Context, after string, limit int) ([]Revocation, error) {
	items, err := l.store.List(ctx, prefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing revocations: %w", err)
	}
	out := make([]Revocation, 0, len(items))
	for _, item := range items {
		r, err := decode(item.Value)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func parseKey(key string) (name, bool) {
	var n name
	rest, ok := strings.CutPrefix(key, prefix)
	kind, text, cut := strings.Cut(rest, "/")
	if !ok || !cut || !Kind(kind).known() || len(text) != 2*len(n) {
		return n, false
	}
	_, err := hex.Decode(n[:], []byte(text))
	return n, err == nil
}
