package jose

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what secret material prints as.
const redacted = "[secret]"

// Key verifies signatures: a public key, or the shared secret of a MAC. It is
// immutable. Make one with [ParseKey], [ParseSet], [ParsePEM], [NewSecretKey] or
// [SigningKey.Public]. The zero Key fits no algorithm.
type Key struct {
	id    string
	bound Algorithm // 0: every one that fits the material
	fits  Algorithms
	// material is always a pointer, so that printing a struct that holds a Key
	// in an unexported field prints an address.
	material material
}

// material is the mathematical part of a key: one type for each kind of key.
type material interface {
	// algorithms is what the type, curve and size of the key allow.
	algorithms() Algorithms
	// verify is called with one of these algorithms only.
	verify(alg Algorithm, message, signature []byte) bool
	// required returns the required public JWK members in the order of their
	// names (RFC 7638 section 3.2), nil for a secret.
	required() []member
	equal(other material) bool
}

// member is a string member of a JWK; its value needs no JSON escapes.
type member struct{ name, value string }

func newKey(m material) *Key { return &Key{fits: m.algorithms(), material: m} }

// KeyID returns the kid, "" if the key has none.
func (k *Key) KeyID() string { return k.id }

// Algorithm returns the one algorithm the key is bound to, or 0 if its type and
// curve alone decide. See [Key.Algorithms].
func (k *Key) Algorithm() Algorithm { return k.bound }

// Algorithms returns every algorithm the key may be used with: the bound one, or
// all that fit its type, curve and size.
func (k *Key) Algorithms() Algorithms { return k.fits }

// Fits reports whether the key may be used with alg.
func (k *Key) Fits(alg Algorithm) bool { return k.fits.Has(alg) }

// Symmetric reports whether the key is a shared secret.
func (k *Key) Symmetric() bool {
	_, ok := k.material.(*secretMaterial)
	return ok
}

// WithKeyID returns a copy of k with another kid; "" removes it.
func (k *Key) WithKeyID(id string) *Key {
	c := *k
	c.id = id
	return &c
}

// WithAlgorithm returns a copy of k bound to alg, or ErrKeyMismatch if k does not
// fit it.
func (k *Key) WithAlgorithm(alg Algorithm) (*Key, error) {
	if !k.Fits(alg) {
		return nil, fmt.Errorf("%w: %s", ErrKeyMismatch, alg)
	}
	c := *k
	c.bound, c.fits = alg, NewAlgorithms(alg)
	return &c, nil
}

// WithStandardRSA returns a copy of k that verifies RSA signatures with crypto/rsa alone.
// Otherwise keys of 2048, 3072 and 4096 bits with the exponent 3 or 65537 verify with code
// of this module wherever that is quicker; in FIPS 140-3 mode none does. Both ways take the
// same signatures. It changes nothing in keys of other types.
func (k *Key) WithStandardRSA() *Key {
	c := *k
	if m, ok := k.material.(*rsaMaterial); ok {
		c.material = &rsaMaterial{public: m.public}
	}
	return &c
}

// WithStandardECDSA returns a copy of k that verifies ECDSA signatures with crypto/ecdsa alone.
// Otherwise keys on P-256 verify with code of this module wherever that is quicker, after the first
// few signatures; in FIPS 140-3 mode none does. Both ways take the same signatures. It changes
// nothing in keys of other types and curves.
func (k *Key) WithStandardECDSA() *Key {
	c := *k
	if m, ok := k.material.(*ecMaterial); ok {
		c.material = &ecMaterial{public: m.public, alg: m.alg}
	}
	return &c
}

// VerifyBytes checks a signature over any bytes: the primitive below [Verify], for
// formats other than the compact JWS. alg must come from the application, never
// from the input. The error is exactly one of ErrKeyMismatch and ErrSignatureInvalid.
func (k *Key) VerifyBytes(alg Algorithm, message, signature []byte) error {
	if !k.Fits(alg) {
		return fmt.Errorf("%w: %s", ErrKeyMismatch, alg)
	}
	if !k.material.verify(alg, message, signature) {
		return ErrSignatureInvalid
	}
	return nil
}

// Thumbprint returns the SHA-256 JWK thumbprint in base64url (RFC 7638). It is ""
// for a secret, whose hash would let others guess it offline (section 7).
func (k *Key) Thumbprint() string {
	if k.material == nil || k.Symmetric() {
		return ""
	}
	members := k.material.required()
	sum := sha256.Sum256(appendMembers(nil, members))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Equal reports whether k and other are the same key material with the same kid
// and algorithms. The zero Key equals nothing.
func (k *Key) Equal(other *Key) bool {
	return other != nil && k.id == other.id && k.fits == other.fits && k.material != nil && k.material.equal(other.material)
}

// MarshalJSON returns the public JWK, with use "sig" and the kid and alg if there
// are any. A shared secret becomes the string "[secret]".
func (k Key) MarshalJSON() ([]byte, error) {
	if k.material == nil || k.Symmetric() {
		return json.Marshal(redacted)
	}
	return k.appendJWK(nil, k.material.required())
}

// appendJWK writes the common members and those given.
func (k *Key) appendJWK(dst []byte, members []member) ([]byte, error) {
	id, err := json.Marshal(k.id)
	if err != nil {
		return nil, fmt.Errorf("encoding kid: %w", err)
	}
	var common []member
	if _, named := k.material.(*akpMaterial); k.bound != 0 && !named {
		common = append(common, member{"alg", k.bound.String()})
	}
	common = append(common, member{"use", "sig"})
	dst = appendMembers(dst, append(common, members...))
	if k.id != "" {
		dst = append(dst[:len(dst)-1], `,"kid":`...)
		dst = append(append(dst, id...), '}')
	}
	return dst, nil
}

func appendMembers(dst []byte, members []member) []byte {
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fmt.Appendf(dst, "%q:%q", m.name, m.value)
	}
	return append(dst, '}')
}

// String describes the key by kid and algorithms, never by its material.
func (k Key) String() string {
	return fmt.Sprintf("jose.Key(kid=%s, %s)", quote(k.id), k.fits)
}

// Format writes String under every verb, so that %#v does not reach the material either.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// minimal strips leading zero bytes: the form of Base64urlUInt (RFC 7518 section 2).
func minimal(b []byte) []byte { return bytes.TrimLeft(b, "\x00") }
