package apikey

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
)

// prefix is where keys are kept in a store. A key of the store is prefix and the hash of the secret.
const prefix = "apikeys/"

// Max is how many keys a Directory holds at most.
const Max = 1_000_000

var (
	// ErrFull says that there are Max keys.
	ErrFull = fmt.Errorf("there are already %d API keys", Max)
	// ErrExists says that there is a key with the same secret.
	ErrExists = errors.New("there is already an API key with this secret")
	errUnread = errors.New("the API keys are not known yet")
)

// Directory knows the keys of a store: the same at every gateway that shares it, at most a second old. It is safe for concurrent use.
type Directory struct {
	store  store.Store
	mirror *store.Mirror[hash, *Key]
}

// Open returns the directory of a store, which it reads in the background and then follows. The caller closes it.
func Open(s store.Store, log *slog.Logger) *Directory {
	value := func(item store.Item) *Key {
		k, err := decode(item)
		if err != nil {
			log.Error("a stored API key cannot be read; it is refused", slog.Any("error", err))
			return &Key{Suspended: true}
		}
		return k
	}
	return &Directory{store: s, mirror: store.OpenMirror(s, prefix, log, parseKey, value)}
}

func parseKey(key string) (hash, bool) {
	var h hash
	text, ok := strings.CutPrefix(key, prefix)
	if !ok || len(text) != 2*len(h) {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(text))
	return h, err == nil
}

func (h hash) key() string { return prefix + hex.EncodeToString(h[:]) }

// Close ends following the store.
func (d *Directory) Close() { d.mirror.Close() }

// WaitLoaded waits until the keys are known; the error is that of ctx.
func (d *Directory) WaitLoaded(ctx context.Context) error { return d.mirror.WaitLoaded(ctx) }

// Generation changes with every change of a key; it is 0 until the keys are known.
func (d *Directory) Generation() uint64 { return d.mirror.Generation() }

// Len is the number of keys.
func (d *Directory) Len() int { return d.mirror.Len() }

// Find returns the key with a secret, if it may be used at an API at the moment now. The error is a *gate.Denial. The time that it takes tells nothing about secrets: they are looked up by their hash.
func (d *Directory) Find(secret, api string, now time.Time) (*Key, error) {
	if d.mirror.Generation() == 0 {
		return nil, gate.Deny(gate.ReasonKeysUnknown, errUnread)
	}
	if !Possible(secret) {
		return nil, &gate.Denial{Reason: gate.ReasonAPIKeyUnknown, Expected: "an API key", Got: "a text that is none"}
	}
	k, ok := d.mirror.Get(hashOf(secret), now)
	switch {
	case !ok:
		return nil, &gate.Denial{Reason: gate.ReasonAPIKeyUnknown, Expected: "an API key that is known here"}
	case k.Suspended:
		return nil, &gate.Denial{Reason: gate.ReasonAPIKeySuspended, Got: "key " + k.ID}
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return nil, &gate.Denial{Reason: gate.ReasonAPIKeyExpired, Expected: "a time before " + k.Expires.UTC().Format(time.RFC3339), Got: "key " + k.ID}
	case !k.Opens(api):
		return nil, &gate.Denial{Reason: gate.ReasonAPIKeyElsewhere, Expected: "a key for " + api, Got: "key " + k.ID + " for " + strings.Join(k.APIs, ", ")}
	}
	return k, nil
}

// Create makes a key from what k says and returns it with its secret, which is nowhere else and cannot be had again. A secret that was made elsewhere may be given instead of "". The error is of
// [CheckNew], ErrFull, ErrExists, or the store's; nothing has changed then.
func (d *Directory) Create(ctx context.Context, k Key, secret string, now time.Time) (*Key, string, error) {
	if err := CheckNew(&k, secret, now); err != nil {
		return nil, "", err
	}
	k.Prefix = ""
	if secret == "" {
		secret = newSecret()
		k.Prefix = secret[:visible]
	}
	if d.Len() >= Max {
		return nil, "", ErrFull
	}
	h := hashOf(secret)
	k.ID, k.Created = h.id(), now.UTC()
	switch err := d.put(ctx, h, &k, store.IfVersion(0)); {
	case errors.Is(err, store.ErrConflict):
		return nil, "", ErrExists
	case err != nil:
		return nil, "", err
	}
	return &k, secret, nil
}

// Get returns a key by its ID. The error is store.ErrNotFound or the store's.
func (d *Directory) Get(ctx context.Context, id string) (*Key, error) {
	k, _, err := d.get(ctx, id)
	return k, err
}

func (d *Directory) get(ctx context.Context, id string) (*Key, hash, error) {
	if len(id) != 2*idBytes {
		return nil, hash{}, store.ErrNotFound
	}
	items, err := d.store.List(ctx, prefix+id, "", 1)
	switch {
	case err != nil:
		return nil, hash{}, fmt.Errorf("reading an API key: %w", err)
	case len(items) == 0:
		return nil, hash{}, store.ErrNotFound
	}
	h, ok := parseKey(items[0].Key)
	if !ok {
		return nil, hash{}, store.ErrNotFound
	}
	k, err := decode(items[0])
	return k, h, err
}

// Update changes what a key says, but not its ID, secret and origin; c says at which version. It returns the key as it is then. The error is of [Key.Check], store.ErrNotFound, store.ErrConflict, or the
// store's; nothing has changed then.
func (d *Directory) Update(ctx context.Context, id string, k Key, c store.Condition, now time.Time) (*Key, error) {
	old, h, err := d.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !c.Allows(old.Version) {
		return nil, store.ErrConflict
	}
	k.ID, k.Prefix, k.Created, k.CreatedBy = old.ID, old.Prefix, old.Created, old.CreatedBy
	if k.Expires.Equal(old.Expires) {
		now = old.Created // what has ended may be changed in other ways, for example be suspended
	}
	if err := k.Check(now); err != nil {
		return nil, err
	}
	if err := d.put(ctx, h, &k, store.IfVersion(old.Version)); err != nil {
		return nil, err
	}
	return &k, nil
}

// Delete ends a key for good. The error is store.ErrNotFound, store.ErrConflict, or the store's.
func (d *Directory) Delete(ctx context.Context, id string, c store.Condition) error {
	_, h, err := d.get(ctx, id)
	if err != nil {
		return err
	}
	if err := d.store.Delete(ctx, h.key(), c); err != nil {
		return fmt.Errorf("deleting an API key: %w", err)
	}
	d.mirror.Dropped(h.key())
	return nil
}

// Page returns up to limit keys after an ID in the order of their IDs.
func (d *Directory) Page(ctx context.Context, after string, limit int) ([]*Key, error) {
	if after != "" {
		after = prefix + after + "g" // beyond the rest of the hash
	}
	items, err := d.store.List(ctx, prefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing API keys: %w", err)
	}
	keys := make([]*Key, 0, len(items))
	for _, item := range items {
		k, err := decode(item)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// put writes a key, which is in force here at once.
func (d *Directory) put(ctx context.Context, h hash, k *Key, c store.Condition) error {
	text, err := encode(k)
	if err != nil {
		return fmt.Errorf("storing an API key: %w", err)
	}
	item := store.Item{Key: h.key(), Value: text}
	// Ended keys stay for a while, so that their holders are told what is wrong with them.
	var ttl time.Duration
	if !k.Expires.IsZero() {
		item.Expires = k.Expires.Add(keepEnded)
		ttl = time.Until(item.Expires)
	}
	if item.Version, err = d.store.Put(ctx, item.Key, text, ttl, c); err != nil {
		return fmt.Errorf("storing an API key: %w", err)
	}
	k.Version = item.Version
	d.mirror.Took(item)
	return nil
}

// keepEnded is how long a key is known after its end.
const keepEnded = 30 * 24 * time.Hour
