package jose

import (
	"fmt"
	"math/big"
	"slices"
)

// checkEdwards refuses a public key that is not the encoding of a point of
// edwards25519 (RFC 8032 section 5.1.3), so that a broken key is reported when it is
// read rather than refusing every signature; and a point of small order, for which
// signatures exist that fit many messages.
func checkEdwards(encoded [32]byte) error {
	f := newEdwardsField()
	x, y, ok := f.decode(encoded)
	if !ok {
		return fmt.Errorf("%w: not a point of Ed25519", ErrKeyInvalid)
	}
	for range 3 {
		x, y = f.double(x, y)
	}
	if x.Sign() == 0 && y.Cmp(big.NewInt(1)) == 0 {
		return fmt.Errorf("%w: a point of small order", ErrKeyWeak)
	}
	return nil
}

// edwardsField is the field of 2^255-19 with the curve's constant d. It is used once
// for each key, never on secrets, so it need not be fast or constant in time.
type edwardsField struct{ p, d *big.Int }

func newEdwardsField() edwardsField {
	p := new(big.Int).Lsh(big.NewInt(1), 255)
	f := edwardsField{p: p.Sub(p, big.NewInt(19))}
	f.d = f.quotient(big.NewInt(-121665), big.NewInt(121666))
	return f
}

func (f edwardsField) product(a, b *big.Int) *big.Int {
	c := new(big.Int).Mul(a, b)
	return c.Mod(c, f.p)
}

func (f edwardsField) quotient(a, b *big.Int) *big.Int {
	return f.product(a, new(big.Int).ModInverse(b, f.p))
}

// decode finds x with -x^2 + y^2 = 1 + d x^2 y^2 and the encoded sign.
func (f edwardsField) decode(encoded [32]byte) (x, y *big.Int, ok bool) {
	odd := encoded[31] >> 7
	encoded[31] &= 0x7f
	slices.Reverse(encoded[:])
	y = new(big.Int).SetBytes(encoded[:])
	if y.Cmp(f.p) >= 0 {
		return nil, nil, false
	}
	one := big.NewInt(1)
	yy := f.product(y, y)
	above := new(big.Int).Sub(yy, one)
	// d*y^2 + 1 is never zero, because -1/d is not a square.
	below := new(big.Int).Add(f.product(f.d, yy), one)
	x = new(big.Int).ModSqrt(f.quotient(above, below), f.p)
	if x == nil || x.Sign() == 0 && odd == 1 {
		return nil, nil, false
	}
	if x.Bit(0) != uint(odd) {
		x.Sub(f.p, x)
	}
	return x, y, true
}

// double returns twice a point. The addition law is complete on this curve, so
// the divisors are never zero.
func (f edwardsField) double(x, y *big.Int) (*big.Int, *big.Int) {
	one := big.NewInt(1)
	xx, yy, xy := f.product(x, x), f.product(y, y), f.product(x, y)
	t := f.product(f.d, f.product(xx, yy))
	x2 := f.quotient(new(big.Int).Add(xy, xy), new(big.Int).Add(one, t))
	y2 := f.quotient(new(big.Int).Add(yy, xx), new(big.Int).Sub(one, t))
	return x2, y2
}
