package jose

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// Algorithm is a signature or MAC algorithm of the "alg" registry. The type is
// closed: a value is one of the constants, or zero, which is no algorithm.
// There is no value for "none".
type Algorithm uint8

// The algorithms of RFC 7518 section 3, RFC 8037 and RFC 9864 (EdDSA, Ed25519),
// RFC 8812 (ES256K) and RFC 9964 (ML-DSA).
const (
	HS256 Algorithm = iota + 1
	HS384
	HS512
	RS256
	RS384
	RS512
	PS256
	PS384
	PS512
	ES256
	ES384
	ES512
	ES256K
	EdDSA
	Ed25519
	MLDSA44
	MLDSA65
	MLDSA87

	algorithmEnd
)

// family says which primitive an algorithm uses.
type family uint8

const (
	familyHMAC family = iota + 1
	familyPKCS1
	familyPSS
	familyECDSA
	familyEdDSA
	familyMLDSA
)

// describe is the one table of names, primitives and hashes.
func (a Algorithm) describe() (name string, f family, h crypto.Hash) {
	switch a {
	case HS256:
		return "HS256", familyHMAC, crypto.SHA256
	case HS384:
		return "HS384", familyHMAC, crypto.SHA384
	case HS512:
		return "HS512", familyHMAC, crypto.SHA512
	case RS256:
		return "RS256", familyPKCS1, crypto.SHA256
	case RS384:
		return "RS384", familyPKCS1, crypto.SHA384
	case RS512:
		return "RS512", familyPKCS1, crypto.SHA512
	case PS256:
		return "PS256", familyPSS, crypto.SHA256
	case PS384:
		return "PS384", familyPSS, crypto.SHA384
	case PS512:
		return "PS512", familyPSS, crypto.SHA512
	case ES256:
		return "ES256", familyECDSA, crypto.SHA256
	case ES384:
		return "ES384", familyECDSA, crypto.SHA384
	case ES512:
		return "ES512", familyECDSA, crypto.SHA512
	case ES256K:
		return "ES256K", familyECDSA, crypto.SHA256
	case EdDSA:
		return "EdDSA", familyEdDSA, 0
	case Ed25519:
		return "Ed25519", familyEdDSA, 0
	case MLDSA44:
		return "ML-DSA-44", familyMLDSA, 0
	case MLDSA65:
		return "ML-DSA-65", familyMLDSA, 0
	case MLDSA87:
		return "ML-DSA-87", familyMLDSA, 0
	default:
		return "", 0, 0
	}
}

// ParseAlgorithm returns the algorithm with exactly this name; case counts
// (RFC 7515 section 4.1.1). Any other name, "none" in every spelling included,
// is ErrUnsupportedAlgorithm; the error quotes at most the first bytes of it.
func ParseAlgorithm(name string) (Algorithm, error) {
	for a := HS256; a < algorithmEnd; a++ {
		if known, _, _ := a.describe(); known == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("%w: %s", ErrUnsupportedAlgorithm, quote(name))
}

// String returns the registered name, or "invalid" for a value that is none of
// the constants.
func (a Algorithm) String() string {
	if name, _, _ := a.describe(); name != "" {
		return name
	}
	return "invalid"
}

// Symmetric reports whether a is a MAC, so that whoever verifies can also sign.
func (a Algorithm) Symmetric() bool { return a.family() == familyHMAC }

func (a Algorithm) family() family {
	_, f, _ := a.describe()
	return f
}

func (a Algorithm) hash() crypto.Hash {
	_, _, h := a.describe()
	return h
}

// maxDigest is the size of the longest digest.
const maxDigest = sha512.Size

// digest appends the hash of message under a's hash function to dst. a is no MAC and hashes
// the message first: RS, PS and ES.
func (a Algorithm) digest(dst, message []byte) []byte {
	// These functions, unlike hash.Hash, allocate nothing.
	switch a.hash() {
	case crypto.SHA256:
		sum := sha256.Sum256(message)
		return append(dst, sum[:]...)
	case crypto.SHA384:
		sum := sha512.Sum384(message)
		return append(dst, sum[:]...)
	default: // SHA-512: there is no fourth
		sum := sha512.Sum512(message)
		return append(dst, sum[:]...)
	}
}

// Algorithms is a set of algorithms. The zero value is the empty set, and the
// empty set allows nothing. Sets are comparable with ==.
type Algorithms struct{ bits uint32 }

// NewAlgorithms returns the set of the given algorithms; values that are none
// of the constants are left out.
func NewAlgorithms(algorithms ...Algorithm) Algorithms {
	var s Algorithms
	for _, a := range algorithms {
		if a > 0 && a < algorithmEnd {
			s.bits |= 1 << a
		}
	}
	return s
}

// ParseAlgorithms returns the set of the named algorithms, or the error of
// [ParseAlgorithm] for the first name that is not known.
func ParseAlgorithms(names ...string) (Algorithms, error) {
	var s Algorithms
	for _, name := range names {
		a, err := ParseAlgorithm(name)
		if err != nil {
			return Algorithms{}, err
		}
		s = s.Union(NewAlgorithms(a))
	}
	return s, nil
}

// AsymmetricAlgorithms returns the set of every algorithm but the MACs: what a
// verifier may allow for keys that are published.
func AsymmetricAlgorithms() Algorithms {
	var s Algorithms
	for a := HS256; a < algorithmEnd; a++ {
		if !a.Symmetric() {
			s.bits |= 1 << a
		}
	}
	return s
}

// Has reports whether a is in the set.
func (s Algorithms) Has(a Algorithm) bool {
	return a > 0 && a < algorithmEnd && s.bits&(1<<a) != 0
}

// Union returns the algorithms that are in s or in t.
func (s Algorithms) Union(t Algorithms) Algorithms { return Algorithms{s.bits | t.bits} }

// Intersect returns the algorithms that are in both s and t.
func (s Algorithms) Intersect(t Algorithms) Algorithms { return Algorithms{s.bits & t.bits} }

// Empty reports whether the set allows nothing.
func (s Algorithms) Empty() bool { return s.bits == 0 }

// Len returns the number of algorithms in the set.
func (s Algorithms) Len() int { return bits.OnesCount32(s.bits) }

// All yields the algorithms of the set in the order of the constants.
func (s Algorithms) All() iter.Seq[Algorithm] {
	return func(yield func(Algorithm) bool) {
		for a := HS256; a < algorithmEnd; a++ {
			if s.Has(a) && !yield(a) {
				return
			}
		}
	}
}

// String returns the names, separated by commas.
func (s Algorithms) String() string {
	names := make([]string, 0, s.Len())
	for a := range s.All() {
		names = append(names, a.String())
	}
	return strings.Join(names, ",")
}
