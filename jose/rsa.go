package jose

import (
	"crypto/fips140"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/jotgate/jotgate/jose/internal/rsaverify"
)

// Bounds on RSA keys. The lower one is RFC 7518 section 3.3; the upper ones keep a
// hostile key from making each verification expensive.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	maxRSAExponent = 1<<31 - 1
)

type rsaMaterial struct {
	public *rsa.PublicKey
	// prepared verifies instead of crypto/rsa, where it is not nil.
	prepared *rsaverify.Key
}

// newRSA checks the numbers before the key is used for anything.
func newRSA(public *rsa.PublicKey) (*rsaMaterial, error) {
	switch size := public.N.BitLen(); {
	case size < minRSABits:
		return nil, fmt.Errorf("%w: RSA modulus of %d bits, at least %d are needed", ErrKeyWeak, size, minRSABits)
	case size > maxRSABits:
		return nil, fmt.Errorf("%w: RSA modulus of %d bits, at most %d are taken", ErrKeyUnsupported, size, maxRSABits)
	case public.N.Sign() < 0 || public.N.Bit(0) == 0:
		return nil, fmt.Errorf("%w: RSA modulus is even", ErrKeyInvalid)
	case public.E < 3 || public.E&1 == 0:
		return nil, fmt.Errorf("%w: RSA exponent is even or less than 3", ErrKeyWeak)
	case public.E > maxRSAExponent:
		return nil, fmt.Errorf("%w: RSA exponent is above 2^31-1", ErrKeyUnsupported)
	case madeByInfineon(public.N):
		return nil, fmt.Errorf("%w: RSA modulus of a generator with few possible primes (CVE-2017-15361)", ErrKeyWeak)
	}
	return &rsaMaterial{public, prepareRSA(public)}, nil
}

// prepareRSA returns nil for a key that is for crypto/rsa. In FIPS 140-3 mode every key is:
// only the validated module may verify then.
func prepareRSA(public *rsa.PublicKey) *rsaverify.Key {
	if fips140.Enabled() {
		return nil
	}
	prepared, ok := rsaverify.New(public)
	if !ok {
		return nil
	}
	return prepared
}

// rsaFromJWK reads n and e. Leading zero bytes, a known mistake of encoders
// (RFC 7518 section 6.3.1.1), change no number and are let pass.
func rsaFromJWK(j *jwk) (*rsaMaterial, error) {
	n, err := j.bytes("n")
	if err != nil {
		return nil, err
	}
	e, err := j.bytes("e")
	if err != nil {
		return nil, err
	}
	if e = minimal(e); len(e) > 4 {
		return nil, fmt.Errorf("%w: RSA exponent is above 2^31-1", ErrKeyUnsupported)
	}
	var padded [8]byte
	copy(padded[8-len(e):], e)
	exponent := binary.BigEndian.Uint64(padded[:])
	if exponent > maxRSAExponent {
		return nil, fmt.Errorf("%w: RSA exponent is above 2^31-1", ErrKeyUnsupported)
	}
	// The size is checked before the number is made.
	if n = minimal(n); len(n) > maxRSABits/8 {
		return nil, fmt.Errorf("%w: RSA modulus of more than %d bits", ErrKeyUnsupported, maxRSABits)
	}
	return newRSA(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)})
}

func (m *rsaMaterial) algorithms() Algorithms {
	return NewAlgorithms(RS256, RS384, RS512, PS256, PS384, PS512)
}

func (m *rsaMaterial) verify(alg Algorithm, message, signature []byte) bool {
	if m.prepared != nil {
		return m.verifyPrepared(alg, message, signature)
	}
	digest := alg.digest(nil, message)
	if alg.family() == familyPSS {
		return rsa.VerifyPSS(m.public, alg.hash(), digest, signature, pssOptions(alg)) == nil
	}
	return rsa.VerifyPKCS1v15(m.public, alg.hash(), digest, signature) == nil
}

// verifyPrepared allocates nothing.
func (m *rsaMaterial) verifyPrepared(alg Algorithm, message, signature []byte) bool {
	var buffer [maxDigest]byte
	digest := alg.digest(buffer[:0], message)
	if alg.family() == familyPSS {
		return m.prepared.VerifyPSS(alg.hash(), digest, signature)
	}
	return m.prepared.VerifyPKCS1v15(alg.hash(), digest, signature)
}

// pssOptions fixes the salt to the length of the hash (RFC 7518 section 3.5).
func pssOptions(alg Algorithm) *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: alg.hash()}
}

func (m *rsaMaterial) required() []member {
	e := big.NewInt(int64(m.public.E))
	return []member{{"e", encode(e.Bytes())}, {"kty", "RSA"}, {"n", encode(m.public.N.Bytes())}}
}

func (m *rsaMaterial) equal(other material) bool {
	o, ok := other.(*rsaMaterial)
	return ok && m.public.Equal(o.public)
}
