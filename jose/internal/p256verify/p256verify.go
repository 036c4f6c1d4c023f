// Package p256verify verifies ECDSA signatures on the curve P-256 with keys that stay: multiples
// of the public key are computed once for each key, not for each signature, and the multiplication
// is written for the processor where it can be.
//
// It is for verification only. Key, signature, digest and everything computed from them are
// public, so its time may depend on them, and does. It must never see a private key or a nonce.
package p256verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/big"
	"sync/atomic"
)

//go:generate go -C asm run . ..

// Sizes in bytes.
const (
	digestSize    = 32 // SHA-256
	signatureSize = 64 // r and s
)

// lazyUses is how many signatures of a key are verified with crypto/ecdsa before its table is
// made: that takes about as long as making the table, so that a key that is hardly used costs neither
// the time nor the memory of one, and no key takes more than twice the time that is the least for it.
const lazyUses = 4

// Key is a public key with its table, which it makes when it is used often enough: 32 kB. It may be used
// concurrently. Make one with [New].
type Key struct {
	public *ecdsa.PublicKey
	point  affine
	unit   unit
	uses   atomic.Uint32
	table  atomic.Pointer[table]
}

// New prepares a key. It reports false for a key that this package does not verify with, and that is
// for crypto/ecdsa: one on another curve, a point that is not on the curve, and any key where this
// package would not be quicker.
func New(public *ecdsa.PublicKey) (*Key, bool) {
	if !pays {
		return nil, false
	}
	return newKey(public, fastest())
}

func newKey(public *ecdsa.PublicKey, u unit) (*Key, bool) {
	if public.Curve != elliptic.P256() {
		return nil, false
	}
	encoded, err := public.Bytes()
	if err != nil {
		return nil, false
	}
	q, ok := u.newAffine(encoded)
	if !ok {
		return nil, false
	}
	return &Key{public: public, point: q, unit: u}, true
}

// Verify is the verification of FIPS 186-5 section 6.4.2 for a message with this SHA-256 digest. The signature
// is r and s in 32 bytes each (RFC 7518 section 3.4). With another length of either the result is false.
// It allocates nothing but in the first few uses of a key.
func (k *Key) Verify(digest, signature []byte) bool {
	if len(digest) != digestSize || len(signature) != signatureSize {
		return false
	}
	if t := k.prepared(); t != nil {
		return k.verify(t, digest, signature)
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(k.public, digest, r, s)
}

// prepared returns the table. It is nil in the first uses, and for other goroutines while one makes it.
func (k *Key) prepared() *table {
	t := k.table.Load()
	if t == nil && k.uses.Add(1) == lazyUses+1 {
		t = k.unit.newTable(&k.point)
		k.table.Store(t)
	}
	return t
}

// verify has the steps of section 6.4.2. The digest is as long as the order, so all of it counts.
func (k *Key) verify(t *table, digest, signature []byte) bool {
	r, s, e := split(signature[:32]), split(signature[32:]), split(digest)
	if !inRange(&r) || !inRange(&s) { // step 1
		return false
	}
	w := inverse(&s, &order) // step 4
	w = mulOrder(&w, &orderRR)
	u, v := mulOrder(&e, &w), mulOrder(&r, &w)           // step 5, and e modulo n of step 3
	sum := k.unit.multiply(baseTable(), t, &u, &v)       // step 6
	return sum.z != (element{}) && k.unit.hasX(&sum, &r) // steps 6 to 8
}

// hasX reports whether the x-coordinate of p, which is not infinity, is r modulo n, for an r < n: it is
// r, or r+n if that is below p, as 2n > p. The coordinate is X/Z^2, and to compare it nothing is divided.
func (u unit) hasX(p *point, r *scalar) bool {
	var x, zz element
	u.square(&zz, &p.z)
	u.mul(&x, r, &rr)
	u.mul(&x, &x, &zz)
	if x == p.x {
		return true
	}
	if !less(r, &primeMinusOrder) {
		return false
	}
	// (r+n) = r - (p-n) modulo p
	x = *r
	subtract(&x, &x, &primeMinusOrder)
	u.mul(&x, &x, &rr)
	u.mul(&x, &x, &zz)
	return x == p.x
}
