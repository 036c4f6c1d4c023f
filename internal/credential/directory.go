package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
)

// prefix is where credentials are kept in a store. A key of the store is prefix and the ID.
const prefix = "credentials/"

// Max is how many credentials a Directory holds at most.
const Max = 100_000

var (
	// ErrFull says that there are Max credentials.
	ErrFull = fmt.Errorf("there are already %d credentials", Max)
	// ErrExists says that there is a credential with the same ID.
	ErrExists = errors.New("there is already a credential with this id")
)

// Directory knows the credentials of a store: the same at every gateway that shares it, at most a second old. It is safe for concurrent use.
type Directory struct {
	store  store.Store
	mirror *store.Mirror[string, *Credential]
}

// Open returns the directory of a store, which it reads in the background and then follows. The caller closes it.
func Open(s store.Store, log *slog.Logger) *Directory {
	value := func(item store.Item) *Credential {
		r, err := decode(item)
		if err != nil {
			log.Error("a stored credential cannot be read; it verifies nothing", slog.Any("error", err))
			return &Credential{Suspended: true}
		}
		return r.Credential
	}
	return &Directory{store: s, mirror: store.OpenMirror(s, prefix, log, parseKey, value)}
}

func parseKey(key string) (string, bool) {
	id, ok := strings.CutPrefix(key, prefix)
	return id, ok && id != ""
}

// Close ends following the store.
func (d *Directory) Close() { d.mirror.Close() }

// WaitLoaded waits until the credentials are known; the error is that of ctx.
func (d *Directory) WaitLoaded(ctx context.Context) error { return d.mirror.WaitLoaded(ctx) }

// Generation changes with every change of a credential; it is 0 until the credentials are known.
func (d *Directory) Generation() uint64 { return d.mirror.Generation() }

// Len is the number of credentials.
func (d *Directory) Len() int { return d.mirror.Len() }

// Find returns the credential with an ID, also if it is suspended or has ended; nil if there is none. It looks at memory alone, whatever is asked for, and does not allocate.
func (d *Directory) Find(id string) *Credential {
	c, _ := d.mirror.Get(id, time.Time{}) // at a moment before every end: who asks judges the end
	return c
}

// Create makes a credential from what c says and a secret, or the public key that c has. The error is fit for who asked, or ErrFull, ErrExists, or the store's; nothing has changed then.
func (d *Directory) Create(ctx context.Context, c Credential, secret string, now time.Time) (*Credential, error) {
	if err := CheckNew(&c, secret, now); err != nil {
		return nil, err
	}
	if d.Len() >= Max {
		return nil, ErrFull
	}
	c.Created = now.UTC()
	made, err := d.put(ctx, record{&c, secret}, store.IfVersion(0))
	if errors.Is(err, store.ErrConflict) {
		return nil, ErrExists
	}
	return made, err
}

// CheckNew says what is wrong with a credential that is to be made; nil if nothing is. It sets the subject of one that names none: it is the ID.
func CheckNew(c *Credential, secret string, now time.Time) error {
	if c.Subject == "" {
		c.Subject = c.ID
	}
	if err := c.Check(now); err != nil {
		return err
	}
	_, err := compile(c.ID, secret, c.PublicKey)
	return err
}

// Get returns a credential by its ID. The error is store.ErrNotFound or the store's.
func (d *Directory) Get(ctx context.Context, id string) (*Credential, error) {
	r, err := d.get(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.Credential, nil
}

func (d *Directory) get(ctx context.Context, id string) (*record, error) {
	if id == "" || gate.CheckText(id, maxText) != nil {
		return nil, store.ErrNotFound
	}
	item, err := d.store.Get(ctx, prefix+id)
	if err != nil {
		return nil, fmt.Errorf("reading a credential: %w", err)
	}
	return decode(item)
}

// Update changes what a credential says, but not its ID and origin; at which version, condition says. Its key is changed if a secret is given or c has another public key. It returns the credential as it is
// then. The error is fit for who asked, or store.ErrNotFound, store.ErrConflict, or the store's; nothing has changed then.
func (d *Directory) Update(ctx context.Context, id string, c Credential, secret string, condition store.Condition, now time.Time) (*Credential, error) {
	old, err := d.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !condition.Allows(old.Version) {
		return nil, store.ErrConflict
	}
	c.ID, c.Created, c.CreatedBy = old.ID, old.Created, old.CreatedBy
	switch {
	case secret == "" && c.PublicKey == "":
		secret, c.PublicKey = old.Secret, old.PublicKey
	case secret != "" && c.PublicKey == old.PublicKey:
		c.PublicKey = ""
	}
	if c.Expires.Equal(old.Expires) {
		now = old.Created // what has ended may be changed in other ways, for example be suspended
	}
	if err := CheckNew(&c, secret, now); err != nil {
		return nil, err
	}
	return d.put(ctx, record{&c, secret}, store.IfVersion(old.Version))
}

// Delete ends a credential for good. The error is store.ErrNotFound, store.ErrConflict, or the store's.
func (d *Directory) Delete(ctx context.Context, id string, condition store.Condition) error {
	if id == "" || gate.CheckText(id, maxText) != nil {
		return store.ErrNotFound
	}
	if err := d.store.Delete(ctx, prefix+id, condition); err != nil {
		return fmt.Errorf("deleting a credential: %w", err)
	}
	d.mirror.Dropped(prefix + id)
	return nil
}

// Page returns up to limit credentials after an ID in the order of their IDs.
func (d *Directory) Page(ctx context.Context, after string, limit int) ([]*Credential, error) {
	if after != "" {
		after = prefix + after
	}
	items, err := d.store.List(ctx, prefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing credentials: %w", err)
	}
	all := make([]*Credential, 0, len(items))
	for _, item := range items {
		r, err := decode(item)
		if err != nil {
			return nil, err
		}
		all = append(all, r.Credential)
	}
	return all, nil
}

// put writes a credential, which is in force here at once.
func (d *Directory) put(ctx context.Context, r record, condition store.Condition) (*Credential, error) {
	text, err := json.Marshal(r) //nolint:gosec // the store is where the secret is kept
	if err != nil {
		return nil, fmt.Errorf("storing a credential: %w", err)
	}
	item := store.Item{Key: prefix + r.ID, Value: text}
	// Ended credentials stay for a while, so that their holders are told what is wrong with them.
	var ttl time.Duration
	if !r.Expires.IsZero() {
		item.Expires = r.Expires.Add(keepEnded)
		ttl = time.Until(item.Expires)
	}
	if item.Version, err = d.store.Put(ctx, item.Key, text, ttl, condition); err != nil {
		return nil, fmt.Errorf("storing a credential: %w", err)
	}
	d.mirror.Took(item)
	stored, err := decode(item)
	if err != nil {
		return nil, err
	}
	return stored.Credential, nil
}

// keepEnded is how long a credential is known after its end.
const keepEnded = 30 * 24 * time.Hour
