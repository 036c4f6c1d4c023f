// Package credential knows the credentials of callers who sign their tokens themselves, each with a secret or key of his own. What such a token claims is the caller's own word: it proves that he is the
// credential's subject, and nothing else. What he may do is said by the credential.
package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/jose"
)

// Credential is what is known of a caller who signs his tokens himself. It is read-only. His secret is not in it, and cannot be printed.
type Credential struct {
	// ID names the credential: what its tokens say in kid, or in sub.
	ID string `json:"id"`
	// Name is for people.
	Name string `json:"name"`
	// Subject is the only sub that its tokens may have, and who is calling.
	Subject string `json:"subject"`
	// PublicKey is the key that verifies its tokens, in PEM; "" if that is a shared secret.
	PublicKey string `json:"public_key,omitempty"`
	// Application is the ID of the calling application, Groups are the caller's groups, Policies the names of the policies that apply.
	Application string   `json:"application,omitempty"`
	Groups      []string `json:"groups,omitempty"`
	Policies    []string `json:"policies,omitempty"`
	// Suspended credentials are refused until they are resumed.
	Suspended bool `json:"suspended,omitempty"`
	// Expires is the end of the credential; zero: none.
	Expires time.Time `json:"expires,omitzero"`
	// Created is when the credential was made, and CreatedBy by which admin token.
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by,omitempty"`
	// Version changes with every change of the credential. It is kept beside it.
	Version uint64 `json:"-"`

	key *jose.Key // nil: it verifies nothing
}

// Key verifies the credential's tokens, for the algorithms of its kind alone: no public key is ever taken for a secret. It is nil if the credential has no key, or none that can be read: such a credential
// verifies nothing.
func (c *Credential) Key() *jose.Key { return c.key }

// The limits of a credential's texts.
const (
	maxText   = 256
	maxList   = 100
	maxSecret = 1 << 10
	maxPEM    = 16 << 10
)

// Check says what is wrong with what c says at the moment now, nil if nothing is. The error is fit for whoever made it.
func (c *Credential) Check(now time.Time) error {
	for _, t := range []struct {
		name, value string
		required    bool
	}{{"id", c.ID, true}, {"name", c.Name, true}, {"subject", c.Subject, true}, {"application", c.Application, false}} {
		if t.required && t.value == "" {
			return fmt.Errorf("%s: is missing", t.name)
		}
		if err := gate.CheckText(t.value, maxText); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for _, l := range []struct {
		name   string
		values []string
	}{{"groups", c.Groups}, {"policies", c.Policies}} {
		if err := gate.CheckTexts(l.values, maxList, maxText); err != nil {
			return fmt.Errorf("%s%w", l.name, err)
		}
	}
	if !c.Expires.IsZero() && !c.Expires.After(now) {
		return errors.New("expires: is in the past")
	}
	return nil
}

// compile makes the key of a secret or public key, of which there must be exactly one. Errors do not repeat it.
func compile(id, secret, publicKey string) (*jose.Key, error) {
	switch {
	case secret == "" && publicKey == "":
		return nil, errors.New("secret or public_key: one of them is needed")
	case secret != "" && publicKey != "":
		return nil, errors.New("secret and public_key: only one of them can be used")
	case len(secret) > maxSecret:
		return nil, fmt.Errorf("secret: longer than %d bytes", maxSecret)
	case len(publicKey) > maxPEM:
		return nil, fmt.Errorf("public_key: longer than %d bytes", maxPEM)
	case secret != "":
		key, err := jose.NewSecretKey([]byte(secret), jose.SecretOptions{KeyID: id})
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		return key, nil
	}
	keys, err := jose.ParsePEM([]byte(publicKey))
	switch {
	case err != nil:
		return nil, fmt.Errorf("public_key: %w", err)
	case len(keys) != 1:
		return nil, fmt.Errorf("public_key: %d keys where there must be one", len(keys))
	}
	return keys[0].WithKeyID(id), nil
}

// record is the form in which a credential is stored. Its secret is kept as it is: whoever verifies a MAC must have it.
type record struct {
	*Credential
	Secret string `json:"secret,omitempty"`
}

func decode(item store.Item) (*record, error) {
	r := &record{Credential: &Credential{Version: item.Version}}
	if err := json.Unmarshal(item.Value, r); err != nil {
		return nil, errors.New("reading a credential: it is not what is stored here") // the cause may repeat the secret
	}
	if prefix+r.ID != item.Key {
		return nil, errors.New("reading a credential: it is stored under the name of another")
	}
	var err error
	if r.key, err = compile(r.ID, r.Secret, r.PublicKey); err != nil {
		return nil, fmt.Errorf("reading a credential: %w", err)
	}
	return r, nil
}
