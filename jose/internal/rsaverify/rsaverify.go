// Package rsaverify verifies RSA signatures with keys that stay: what Montgomery
// multiplication needs is computed once for each key, not for each signature, and the
// multiplication is written for the processor where it can be.
//
// It is for verification only. Modulus, exponent, signature, digest and everything
// computed from them are public, so its time may depend on them, and does. It must
// never see a private key or a plaintext.
package rsaverify

import (
	"bytes"
	"crypto/rsa"
	"math/big"
	"math/bits"
)

//go:generate go -C asm run . ..

// Key is an RSA public key with its constants. It is immutable. Make one with [New].
type Key struct {
	modulus   [maxBytes]byte // big-endian, size bytes
	size      int            // bytes of the modulus: k of RFC 8017
	squarings int            // e is 2^squarings + 1
	field     field
}

// maxBytes is the size of the largest modulus.
const maxBytes = 4096 / 8

// New prepares a key. It reports false for a key that this package does not verify with, and
// that is for crypto/rsa: a modulus of other than exactly 2048, 3072 or 4096 bits, an even or
// negative one, an exponent other than 3 and 65537, or one that would not be quicker here.
func New(public *rsa.PublicKey) (*Key, bool) {
	k, ok := newKey(public, fastest())
	if !ok || !k.pays() {
		return nil, false
	}
	return k, true
}

// pays reports whether the key verifies quicker than with crypto/rsa. With assembly all keys do.
// Portable code gains by the constants, but crypto/rsa has assembly for 2048 bits, which
// makes up for them where there are many products, and the code is made for words of 64 bits.
func (k *Key) pays() bool {
	if k.field.unit != portable {
		return true
	}
	return bits.UintSize == 64 && (k.size > 2048/8 || k.squarings == 1)
}

func newKey(public *rsa.PublicKey, u unit) (*Key, bool) {
	n := public.N
	if n == nil || n.Sign() <= 0 || n.Bit(0) == 0 {
		return nil, false
	}
	k := &Key{size: n.BitLen() / 8}
	switch n.BitLen() {
	case 2048, 3072, 4096:
	default:
		return nil, false
	}
	switch public.E {
	case 3:
		k.squarings = 1
	case 65537:
		k.squarings = 16
	default:
		return nil, false
	}
	n.FillBytes(k.modulus[:k.size])
	k.field.init(n, u)
	return k, true
}

// open is RSAVP1 (RFC 8017 section 5.2.2) with its conversions: it writes
// signature^e mod n to em and returns the part of it that is as long as the modulus.
// It reports false for a signature of another length, or not below the modulus.
func (k *Key) open(em *[maxBytes]byte, signature []byte) ([]byte, bool) {
	if len(signature) != k.size || bytes.Compare(signature, k.modulus[:k.size]) >= 0 {
		return nil, false
	}
	f := &k.field
	var s, a, b limbs
	f.split(&s, signature)
	// With R for the factor of Montgomery form: the first product is sR, squaring makes it
	// s^(e-1)R, and the product with the signature itself, which is not in that form,
	// is s^e without the factor.
	x, z := &a, &b
	f.mul(x, &s, &f.rr)
	for range k.squarings {
		f.mul(z, x, x)
		x, z = z, x
	}
	f.mul(z, x, &s)
	f.reduce(z)
	f.join(em[:k.size], z)
	return em[:k.size], true
}

// montgomeryConstant returns -1/n mod 2^64 for an odd n, by Newton's iteration: n is its
// own inverse to 3 bits, and each round doubles their number.
func montgomeryConstant(n uint64) uint64 {
	inverse := n
	for range 5 {
		inverse *= 2 - n*inverse
	}
	return -inverse
}

// power2Mod returns 2^exponent mod n.
func power2Mod(exponent uint, n *big.Int) *big.Int {
	p := new(big.Int).Lsh(big.NewInt(1), exponent)
	return p.Mod(p, n)
}
