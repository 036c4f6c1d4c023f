package jose

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// SigningKey is the private part of a key, or a shared secret, with the one
// algorithm it signs by. It is immutable, prints as [secret] under every verb and
// encoder, and gives its material to [SigningKey.PrivateJWK] and
// [SigningKey.PrivatePEM] only. The zero value is not usable.
type SigningKey struct {
	alg    Algorithm
	public *Key
	// signer is always a pointer, so that printing a struct that holds a SigningKey
	// in an unexported field prints an address.
	signer signer
}

// signer is the private counterpart of material.
type signer interface {
	// public returns the verifying part.
	public() (material, error)
	// sign is called with an algorithm that fits the public part only.
	sign(alg Algorithm, message []byte) ([]byte, error)
	// private returns the private JWK members, in the order of their names.
	private() []member
	// pkcs8 returns the PrivateKeyInfo (RFC 5958).
	pkcs8() ([]byte, error)
}

// newSigningKey binds s to alg. Zero is the first algorithm that fits.
func newSigningKey(s signer, alg Algorithm, id string) (*SigningKey, error) {
	m, err := s.public()
	if err != nil {
		return nil, err
	}
	k := newKey(m).WithKeyID(id)
	if alg == 0 {
		for alg = range k.fits.All() {
			break
		}
	}
	public, err := k.WithAlgorithm(alg)
	if err != nil {
		return nil, err
	}
	return &SigningKey{alg, public, s}, nil
}

// GenerateKey makes a new key for alg: RSA keys of 2048 bits, secrets as long as the
// hash. Its kid is its thumbprint, or, for a secret, 128 random bits.
func GenerateKey(alg Algorithm) (*SigningKey, error) {
	s, err := generate(alg)
	if err != nil {
		return nil, fmt.Errorf("generating a key for %s: %w", alg, err)
	}
	k, err := newSigningKey(s, alg, "")
	if err != nil {
		return nil, err
	}
	id := k.public.Thumbprint()
	if id == "" {
		var random [16]byte
		rand.Read(random[:]) // never fails, by its contract
		id = encode(random[:])
	}
	return k.WithKeyID(id), nil
}

// NewSecretSigningKey makes a key that signs with a shared secret, by the rules of
// [NewSecretKey]. Without an algorithm it signs with HS256.
func NewSecretSigningKey(secret []byte, opts SecretOptions) (*SigningKey, error) {
	k, err := NewSecretKey(secret, opts)
	if err != nil {
		return nil, err
	}
	return newSigningKey(&secretSigner{k.material.(*secretMaterial)}, opts.Algorithm, opts.KeyID)
}

// Algorithm returns the algorithm k signs by.
func (k *SigningKey) Algorithm() Algorithm { return k.alg }

// KeyID returns the kid that tokens are marked with, "" for none.
func (k *SigningKey) KeyID() string { return k.public.id }

// WithKeyID returns a copy of k with another kid; "" removes it.
func (k *SigningKey) WithKeyID(id string) *SigningKey {
	return &SigningKey{k.alg, k.public.WithKeyID(id), k.signer}
}

// Public returns the key that verifies what k signs, with the same kid, bound to
// the same algorithm. For a MAC it is the secret itself.
func (k *SigningKey) Public() *Key { return k.public }

// SigningHeader is what the header of a new token holds besides alg and kid.
type SigningHeader struct {
	// Type is the typ; "" leaves it out.
	Type string
	// ContentType is the cty; "" leaves it out.
	ContentType string
	// Extra are further members, encoded by encoding/json. None may be called alg,
	// kid, typ, cty, crit, b64 or enc.
	Extra map[string]any
}

// Sign returns the compact JWS of payload (RFC 7515 section 7.1).
func (k *SigningKey) Sign(payload []byte, h SigningHeader) (string, error) {
	header, err := k.header(h)
	if err != nil {
		return "", err
	}
	return k.SignRaw(header, payload)
}

// SignRaw returns a compact JWS whose header is exactly the given bytes, however
// wrong they are. It exists to make the tokens that a verifier must refuse.
func (k *SigningKey) SignRaw(header, payload []byte) (string, error) {
	token := base64.RawURLEncoding.AppendEncode(nil, header)
	token = append(token, '.')
	token = base64.RawURLEncoding.AppendEncode(token, payload)
	signature, err := k.SignBytes(token)
	if err != nil {
		return "", err
	}
	token = append(token, '.')
	return string(base64.RawURLEncoding.AppendEncode(token, signature)), nil
}

// SignBytes returns the signature or MAC of any bytes: the counterpart of
// [Key.VerifyBytes].
func (k *SigningKey) SignBytes(message []byte) ([]byte, error) {
	signature, err := k.signer.sign(k.alg, message)
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", k.alg, err)
	}
	return signature, nil
}

// header writes the members in a fixed order: alg, typ, cty, kid, then by name.
func (k *SigningKey) header(h SigningHeader) ([]byte, error) {
	type entry struct {
		name  string
		value any
	}
	entries := []entry{{"alg", k.alg.String()}}
	for _, e := range []struct{ name, value string }{
		{"typ", h.Type}, {"cty", h.ContentType}, {"kid", k.public.id},
	} {
		if e.value != "" {
			entries = append(entries, entry{e.name, e.value})
		}
	}
	first := len(entries)
	for name, value := range h.Extra {
		switch name {
		case "alg", "kid", "typ", "cty", "crit", "b64", "enc":
			return nil, fmt.Errorf("%w: extra member %s", ErrHeaderInvalid, name)
		}
		entries = append(entries, entry{name, value})
	}
	slices.SortFunc(entries[first:], func(a, b entry) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	var out bytes.Buffer
	for i, e := range entries {
		name, err := json.Marshal(e.name)
		if err != nil {
			return nil, fmt.Errorf("%w: encoding a name: %w", ErrHeaderInvalid, err)
		}
		value, err := json.Marshal(e.value)
		if err != nil {
			return nil, fmt.Errorf("%w: encoding member %s: %w", ErrHeaderInvalid, quote(e.name), err)
		}
		out.WriteByte("{,"[min(i, 1)])
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// String returns "[secret]".
func (SigningKey) String() string { return redacted }

// Format writes "[secret]" under every verb, %#v among them.
func (SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns the string "[secret]"; see [SigningKey.PrivateJWK].
func (SigningKey) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText returns "[secret]", for encoders of other formats.
func (SigningKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[secret]".
func (SigningKey) LogValue() slog.Value { return slog.StringValue(redacted) }
