// Package apikey makes and knows API keys: secrets of the gateway's own making, for callers that have no token. Of a key only its hash is kept, so that whoever reads the
// store cannot call with what he finds there.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
)

// Key is an API key as it is known after it was made: without its secret.
type Key struct {
	// ID names the key. It is the beginning of the hash of its secret and tells nothing about it.
	ID string `json:"id"`
	// Name is for people.
	Name string `json:"name"`
	// Prefix is the visible beginning of the secret, by which its holder can tell which key it is; "" for a secret that was not made here.
	Prefix string `json:"prefix,omitempty"`
	// Owner is the user who calls with the key: his other keys share his limits. Empty: the key stands for itself.
	Owner string `json:"owner,omitempty"`
	// Application is the ID of the calling application, Groups are the owner's groups, Policies the names of the policies that apply.
	Application string   `json:"application,omitempty"`
	Groups      []string `json:"groups,omitempty"`
	Policies    []string `json:"policies,omitempty"`
	// APIs are the APIs that the key opens, by name; empty: all that accept keys.
	APIs []string `json:"apis,omitempty"`
	// Suspended keys are refused until they are resumed.
	Suspended bool `json:"suspended,omitempty"`
	// Expires is the end of the key; zero: none.
	Expires time.Time `json:"expires,omitzero"`
	// Created is when the key was made, and CreatedBy by which admin token.
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by,omitempty"`
	// Version changes with every change of the key. It is kept beside it.
	Version uint64 `json:"-"`
}

// The limits of a key's texts.
const (
	maxText   = 256
	maxList   = 100
	minSecret = 20 // characters of a secret that was made elsewhere
	maxSecret = 256
)

// Check says what is wrong with k at the moment now, nil if nothing is. The error is fit for whoever made it.
func (k *Key) Check(now time.Time) error {
	if k.Name == "" {
		return errors.New("name: is missing")
	}
	for _, t := range []struct{ name, value string }{{"name", k.Name}, {"owner", k.Owner}, {"application", k.Application}} {
		if err := gate.CheckText(t.value, maxText); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for _, l := range []struct {
		name   string
		values []string
	}{{"groups", k.Groups}, {"policies", k.Policies}, {"apis", k.APIs}} {
		if err := gate.CheckTexts(l.values, maxList, maxText); err != nil {
			return fmt.Errorf("%s%w", l.name, err)
		}
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) {
		return errors.New("expires: is in the past")
	}
	return nil
}

// Opens reports whether the key may be used at an API.
func (k *Key) Opens(api string) bool {
	if len(k.APIs) == 0 {
		return true
	}
	for _, name := range k.APIs {
		if name == api {
			return true
		}
	}
	return false
}

// hash is the SHA-256 of a secret. Secrets are long and random, so that a slow hash, which is for passwords, would only cost time.
type hash [sha256.Size]byte

// It does not allocate for one of a length that a key may have.
func hashOf(secret string) hash {
	var buffer [maxSecret]byte
	return sha256.Sum256(append(buffer[:0], secret...))
}

// idBytes is how much of a hash is a key's ID.
const idBytes = 16

func (h hash) id() string { return hex.EncodeToString(h[:idBytes]) }

const (
	// start marks secrets that are made here, so that scanners for leaked secrets find them.
	start = "jg_"
	// visible is how much of a secret is kept to be shown.
	visible = len(start) + 6
)

// newSecret makes a secret of 208 random bits.
func newSecret() string { return start + rand.Text() + rand.Text()[:16] }

// checkSecret says what is wrong with a secret that was made elsewhere.
func checkSecret(s string) error {
	switch {
	case len(s) < minSecret || len(s) > maxSecret:
		return fmt.Errorf("secret: must have %d to %d characters", minSecret, maxSecret)
	case !Possible(s):
		return errors.New("secret: has other characters than visible ASCII without space, comma and dot")
	}
	return nil
}

// CheckNew says what is wrong with a key that is to be made, and with its secret if it was made elsewhere; nil if nothing is.
func CheckNew(k *Key, secret string, now time.Time) error {
	if err := k.Check(now); err != nil {
		return err
	}
	if secret == "" {
		return nil
	}
	return checkSecret(secret)
}

// Possible reports whether a text has the form of an API key. It is never that of a token, which has dots.
func Possible(s string) bool {
	if len(s) < minSecret || len(s) > maxSecret {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '.' || c == ',' {
			return false
		}
	}
	return true
}

func encode(k *Key) ([]byte, error) { return json.Marshal(k) }

func decode(item store.Item) (*Key, error) {
	k := &Key{Version: item.Version}
	if err := json.Unmarshal(item.Value, k); err != nil {
		return nil, fmt.Errorf("reading an API key: %w", err)
	}
	if k.ID == "" {
		return nil, errors.New("reading an API key: it has no id")
	}
	return k, nil
}
