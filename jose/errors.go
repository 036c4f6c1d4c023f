package jose

import (
	"errors"
	"fmt"
	"strconv"
)

// What can be wrong with a token. Every error of [Parse] and [Verify] is exactly
// one of these by errors.Is, so that a caller can map it to a stable code. The
// texts hold no part of the token but the name of its algorithm, quoted and cut.
var (
	// ErrMalformed: not three segments of canonical base64url (RFC 7515 section 7.1).
	ErrMalformed = errors.New("malformed token")
	// ErrTooLarge: a limit of [Limits] is exceeded, in a token or in a key set.
	ErrTooLarge = errors.New("too large")
	// ErrEncrypted: five segments, so a JWE (RFC 7516 section 9), which is not supported.
	ErrEncrypted = errors.New("encrypted token")
	// ErrHeaderInvalid: the header is not a JSON object, lacks alg, has a member
	// of the wrong type, or one that a JWS must not have.
	ErrHeaderInvalid = errors.New("invalid header")
	// ErrDuplicateMember: a JSON object has two members of one name (RFC 7515 section 4).
	ErrDuplicateMember = errors.New("duplicate member")
	// ErrUnsupportedAlgorithm: the alg is none, or not one of the constants.
	ErrUnsupportedAlgorithm = errors.New("unsupported algorithm")
	// ErrCritical: the header has crit; no extension is understood (RFC 7515 section 4.1.11).
	ErrCritical = errors.New("critical header extension")
	// ErrAlgorithmNotAllowed: the algorithm is known, and not in the allowed set.
	ErrAlgorithmNotAllowed = errors.New("algorithm not allowed")
	// ErrKeyMismatch: the key is not one for the token's algorithm.
	ErrKeyMismatch = errors.New("key does not fit the algorithm")
	// ErrSignatureInvalid: the signature or MAC is not one of this key over this input.
	ErrSignatureInvalid = errors.New("invalid signature")
)

// What can be wrong with a key. Every error about a single key is exactly one of
// these by errors.Is.
var (
	// ErrKeyInvalid: not a JWK or PEM block at all, or a member is missing,
	// mistyped, out of range, or not a point of its curve.
	ErrKeyInvalid = errors.New("invalid key")
	// ErrKeyUnsupported: a key type, curve or algorithm this package does not know.
	ErrKeyUnsupported = errors.New("unsupported key")
	// ErrKeyWeak: too small, a bad exponent, a known-weak generator, or a secret
	// shorter than its hash (RFC 7518 sections 3.2 and 3.3).
	ErrKeyWeak = errors.New("weak key")
	// ErrKeyUse: use or key_ops say that the key is not for this (RFC 7517 sections 4.2, 4.3).
	ErrKeyUse = errors.New("key not meant for this use")
	// ErrKeyPrivate: private parts where a public key belongs; the key is no secret any more.
	ErrKeyPrivate = errors.New("private key where a public key belongs")
	// ErrKeySymmetric: a shared secret where only public keys belong, or a public
	// key where a secret belongs.
	ErrKeySymmetric = errors.New("symmetric key mixed up with public key")
	// ErrKeyDuplicate: two keys for one algorithm have one kid.
	ErrKeyDuplicate = errors.New("duplicate key id")
)

// ErrSetInvalid is the error for a document that is not a JWK Set (RFC 7517
// section 5): not JSON, or without an array "keys".
var ErrSetInvalid = errors.New("invalid key set")

// A KeyProblem says why one key was left out of a [Set].
type KeyProblem struct {
	// Index is the position in the "keys" array, or in the list of keys, from 0.
	Index int
	// KeyID is the kid, where it could be read.
	KeyID string
	// Err is one of the ErrKey errors, ErrDuplicateMember or ErrTooLarge.
	Err error
}

// Error names the key by index and kid, then the reason.
func (p *KeyProblem) Error() string {
	if p.KeyID == "" {
		return fmt.Sprintf("key %d: %v", p.Index, p.Err)
	}
	return fmt.Sprintf("key %d (kid %s): %v", p.Index, quote(p.KeyID), p.Err)
}

// Unwrap returns Err.
func (p *KeyProblem) Unwrap() error { return p.Err }

// quote makes foreign text fit for a message: one line, printable, short.
func quote(s string) string {
	const most = 32
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
