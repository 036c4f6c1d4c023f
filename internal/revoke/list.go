package revoke

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
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

// entry is what is left to check of a revocation: Unix seconds, 0 for everything and for never.
type entry struct{ issuedBefore, expires int64 }

func (r *Revocation) entry() entry {
	var e entry
	if !r.IssuedBefore.IsZero() {
		e.issuedBefore = max(r.IssuedBefore.Unix(), 1)
	}
	if !r.Expires.IsZero() {
		e.expires = max(r.Expires.Unix()+1, 1)
	}
	return e
}

// List is the revocations in force, the same at every gateway that shares the store, at most a second old. It is safe for concurrent use.
type List struct {
	store store.Store
	log   *slog.Logger

	mu      sync.RWMutex
	entries map[name]entry
	// meanwhile is what changed since a reading of the whole list began, nil for what is gone; nil when nothing is being read.
	meanwhile map[name]*entry

	// generation changes with every revocation that is added, so that a token that was found good need not be looked up again until then. 0: nothing is loaded yet.
	generation atomic.Uint64
	loaded     chan struct{}
	once       sync.Once
	stop       context.CancelFunc
	done       chan struct{}
}

// Open returns the list of a store, which it reads in the background and then follows. The caller closes it.
func Open(s store.Store, log *slog.Logger) *List {
	ctx, stop := context.WithCancel(context.Background())
	l := &List{store: s, log: log, entries: make(map[name]entry), loaded: make(chan struct{}), stop: stop, done: make(chan struct{})}
	go l.follow(ctx)
	return l
}

// Close ends following the store.
func (l *List) Close() {
	l.stop()
	<-l.done
}

// WaitLoaded waits until the list is known.
func (l *List) WaitLoaded(ctx context.Context) error {
	select {
	case <-l.loaded:
		return nil
	case <-ctx.Done():
		return errNotLoaded
	}
}

// Len is the number of revocations in force.
func (l *List) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.entries)
}

// Generation changes with every revocation that is added.
func (l *List) Generation() uint64 { return l.generation.Load() }

// Check refuses an identity whose token was taken back at the moment now. The error is a *gate.Denial. generation is what the answer holds for: as long as [List.Generation] returns the same, an identity that
// passed need not be checked again.
func (l *List) Check(id *gate.Identity, now time.Time) (generation uint64, err error) {
	generation = l.generation.Load() // before looking: an addition meanwhile makes the answer old, not wrong
	if generation == 0 {
		return 0, gate.Deny(gate.ReasonRevocationsUnknown, errNotLoaded)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.entries) == 0 {
		return generation, nil
	}
	issued := issuedAt(id)
	for _, kind := range kinds {
		value := kind.value(id)
		if value == "" {
			continue
		}
		for _, issuer := range [...]string{id.Issuer, AnyIssuer} {
			if e, found := l.entries[nameOf(kind, issuer, value)]; found && e.lasts(now) && covers(e.issuedBefore, issued) {
				return generation, &gate.Denial{Reason: gate.ReasonRevoked, Expected: "a token that is not revoked", Got: "revoked by " + string(kind)}
			}
		}
	}
	return generation, nil
}

func (e entry) lasts(now time.Time) bool { return e.expires == 0 || now.Unix() < e.expires }

// issuedAt is iat in whole seconds; the far past if it is missing, so that every revocation covers the token.
func issuedAt(id *gate.Identity) int64 {
	if id.Claims != nil {
		if at, err := id.Claims.Get("iat").NumericDate(); err == nil {
			return at.Unix()
		}
	}
	return math.MinInt64
}

// Add puts a revocation in force: here at once, at other gateways within a second. It replaces one that names the same. The error is of [Revocation.Check], ErrFull, or the store's; nothing has changed then.
func (l *List) Add(ctx context.Context, r Revocation, now time.Time) error {
	if err := r.Check(now); err != nil {
		return err
	}
	n := nameOf(r.Kind, r.Issuer, r.Value)
	l.mu.RLock()
	_, known := l.entries[n]
	full := !known && len(l.entries) >= Max
	l.mu.RUnlock()
	if full {
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
	if _, err := l.store.Put(ctx, r.Key(), text, ttl, store.Always()); err != nil {
		return fmt.Errorf("storing a revocation: %w", err)
	}
	l.put(n, r.entry())
	return nil
}

// Remove ends a revocation by its key. The error is store.ErrNotFound if there is none, or the store's.
func (l *List) Remove(ctx context.Context, key string) error {
	n, ok := parseKey(key)
	if !ok {
		return store.ErrNotFound
	}
	if err := l.store.Delete(ctx, key, store.Always()); err != nil {
		return fmt.Errorf("removing a revocation: %w", err)
	}
	l.drop(n)
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
