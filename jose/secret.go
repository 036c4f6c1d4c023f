package jose

import (
	"bytes"
	"crypto/hmac"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"hash"
	"sync"
)

// secretMaterial is the key of a MAC.
type secretMaterial struct {
	secret sealed
	fits   Algorithms
	states [3]sync.Pool // of *macState, for HS256, HS384 and HS512
}

// macState is an HMAC that was made for the secret: its padded key has been hashed already
// (RFC 2104 section 4), and Reset goes back to that point.
type macState struct {
	mac hash.Hash
	sum [maxDigest]byte
}

// sealed holds secret bytes where printing cannot reach them: fmt follows pointers,
// slices and unexported fields, past every String method, but not functions.
type sealed func() []byte

func seal(secret []byte) sealed { return func() []byte { return secret } }

// SecretOptions say what a shared secret is for.
type SecretOptions struct {
	// KeyID is the kid, if the tokens carry one.
	KeyID string
	// Algorithm binds the key to one HMAC algorithm. Zero: all whose hash is no
	// longer than the secret.
	Algorithm Algorithm
	// AllowShort takes a secret shorter than the hash, which RFC 7518 section 3.2
	// forbids: it can be guessed offline from one token.
	AllowShort bool
}

// NewSecretKey returns the verification key of a shared secret; the bytes are
// copied. The error is ErrKeyWeak for a secret that is empty or, unless allowed,
// shorter than the hash; ErrKeySymmetric for what is the text of a public key
// ([LooksLikePublicKey]); ErrKeyMismatch for an algorithm other than HS256, HS384
// and HS512.
func NewSecretKey(secret []byte, opts SecretOptions) (*Key, error) {
	if LooksLikePublicKey(secret) {
		return nil, fmt.Errorf("%w: the secret is an encoded key", ErrKeySymmetric)
	}
	m, err := newSecret(secret, opts.AllowShort)
	if err != nil {
		return nil, err
	}
	k := newKey(m)
	k.id = opts.KeyID
	if opts.Algorithm == 0 {
		return k, nil
	}
	if bound, err := k.WithAlgorithm(opts.Algorithm); err == nil {
		return bound, nil
	}
	if opts.Algorithm.Symmetric() {
		return nil, shortSecret(len(secret), opts.Algorithm)
	}
	return nil, fmt.Errorf("%w: %s with a shared secret", ErrKeyMismatch, opts.Algorithm)
}

func newSecret(secret []byte, allowShort bool) (*secretMaterial, error) {
	if len(secret) == 0 {
		return nil, fmt.Errorf("%w: empty secret", ErrKeyWeak)
	}
	m := &secretMaterial{secret: seal(bytes.Clone(secret))}
	for _, alg := range [...]Algorithm{HS256, HS384, HS512} {
		if allowShort || len(secret) >= alg.hash().Size() {
			m.fits = m.fits.Union(NewAlgorithms(alg))
		}
	}
	if m.fits.Empty() {
		return nil, shortSecret(len(secret), HS256)
	}
	return m, nil
}

func shortSecret(size int, alg Algorithm) error {
	return fmt.Errorf("%w: secret of %d bytes, %s needs %d", ErrKeyWeak, size, alg, alg.hash().Size())
}

// LooksLikePublicKey reports whether secret is what a key or certificate is written
// as: PEM, a JWK or JWK Set, or the DER of a public key or certificate, plain or in
// base64. Such bytes are known to others, so whoever takes them as the secret of a
// MAC accepts anyone's tokens.
func LooksLikePublicKey(secret []byte) bool {
	text := bytes.TrimSpace(secret)
	switch {
	case bytes.Contains(text, []byte("-----BEGIN ")):
		return true
	case len(text) > 0 && text[0] == '{':
		return looksLikeJWK(string(text))
	}
	if looksLikeDER(secret) {
		return true
	}
	// The body of a PEM file without its first and last line; line breaks are skipped.
	der, err := base64.StdEncoding.AppendDecode(nil, text)
	return err == nil && looksLikeDER(der)
}

func looksLikeJWK(text string) bool {
	s, err := newScanner(text, DefaultLimits())
	if err != nil {
		return false
	}
	s.loose = true // it need not be a good key to be a known one
	found := false
	err = s.object(func(name string) error {
		found = found || name == "kty" || name == "keys"
		return s.skip()
	})
	return err == nil && found
}

func looksLikeDER(der []byte) bool {
	// A line break that an editor added is not part of it.
	var element asn1.RawValue
	rest, err := asn1.Unmarshal(der, &element)
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return false
	}
	der = element.FullBytes
	if _, err := parsePKIX(der); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return true
	}
	_, err = x509.ParseCertificate(der)
	return err == nil
}

// secretFromJWK reads k.
func secretFromJWK(j *jwk, allowShort bool) (*secretMaterial, error) {
	k, err := j.bytes("k")
	if err != nil {
		return nil, err
	}
	return newSecret(k, allowShort)
}

func (m *secretMaterial) algorithms() Algorithms { return m.fits }

func (m *secretMaterial) verify(alg Algorithm, message, signature []byte) bool {
	s := m.take(alg)
	defer m.states[alg-HS256].Put(s)
	return hmac.Equal(s.over(message), signature)
}

func (m *secretMaterial) mac(alg Algorithm, message []byte) []byte {
	s := m.take(alg)
	defer m.states[alg-HS256].Put(s)
	return bytes.Clone(s.over(message))
}

// take returns a state of the algorithm that nobody else uses.
func (m *secretMaterial) take(alg Algorithm) *macState {
	if s, ok := m.states[alg-HS256].Get().(*macState); ok {
		return s
	}
	return &macState{mac: hmac.New(alg.hash().New, m.secret())}
}

// over returns the MAC of message, in the state's own memory.
func (s *macState) over(message []byte) []byte {
	s.mac.Reset()
	s.mac.Write(message)
	return s.mac.Sum(s.sum[:0])
}

func (m *secretMaterial) required() []member { return nil }

func (m *secretMaterial) equal(other material) bool {
	o, ok := other.(*secretMaterial)
	return ok && subtle.ConstantTimeCompare(m.secret(), o.secret()) == 1
}
