package p256verify

import "math/bits"

// scalar is a number modulo the order n of the curve, lowest limb first.
type scalar = [4]uint64

// order is n (SP 800-186 section 3.2.1.3), which is above 2^255 as well.
var order = modulus{
	limbs: scalar{0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000},
	k0:    0xccd1c8aaee00bc4f,
}

// orderRR is R^2 mod n.
var orderRR = scalar{0x83244c95be79eea2, 0x4699799c49bd6fa6, 0x2845b2392b6bec59, 0x66e12d94f3d95620}

// allOnes is 2^256-1 mod n.
var allOnes = scalar{0x0c46353d039cdaae, 0x4319055258e8617b, 0, 0xffffffff}

// primeMinusOrder is p-n: the x-coordinates from n on are those that are less above n.
var primeMinusOrder = element{0x0c46353d039cdaae, 0x4319055358e8617b, 0, 0}

// inRange reports whether 0 < x < n.
func inRange(x *scalar) bool { return *x != scalar{} && less(x, &order.limbs) }

// mulOrder returns xy/R mod n for an x < R and a y < n. It is Montgomery's multiplication as in
// field.go, for an n without a special form: T < xy/R + n < 2n at the end.
func mulOrder(x, y *scalar) (z scalar) {
	var top uint64
	for _, digit := range x {
		above := addRow(&z, y, digit)
		carry := addRow(&z, &order.limbs, z[0]*order.k0)
		var c1, c2 uint64
		carry, c1 = bits.Add64(carry, above, 0)
		carry, c2 = bits.Add64(carry, top, 0)
		z[0], z[1], z[2], z[3] = z[1], z[2], z[3], carry
		top = c1 + c2
	}
	if top != 0 || !less(&z, &order.limbs) {
		subtractOrder(&z)
	}
	return z
}

// addRow sets z = z + y digit and returns the limb above.
func addRow(z, y *scalar, digit uint64) uint64 {
	var carry uint64
	for i := range z {
		hi, lo := bits.Mul64(y[i], digit)
		var c uint64
		lo, c = bits.Add64(lo, z[i], 0)
		hi += c
		z[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return carry
}

// subtractOrder sets z = z - n modulo R.
func subtractOrder(z *scalar) {
	var b uint64
	for i := range z {
		z[i], b = bits.Sub64(z[i], order.limbs[i], b)
	}
}

// digits are the 32 columns of a scalar: bit j of byte i of digits[s] is bit 32j + 8s + i of
// the recoded scalar. What they stand for is in table.go.
type digits [subtables]uint64

// recode returns the digits of a k below 2^256 that is (u + 2^256-1)/2 modulo n, for a u < n.
func recode(u *scalar) digits {
	var k scalar
	var c uint64
	for i := range k { // at most n-1 + 2^256-1-n
		k[i], c = bits.Add64(u[i], allOnes[i], c)
	}
	if c = 0; k[0]&1 != 0 {
		for i := range k {
			k[i], c = bits.Add64(k[i], order.limbs[i], c)
		}
	}
	for i := range 3 {
		k[i] = k[i]>>1 | k[i+1]<<63
	}
	k[3] = k[3]>>1 | c<<63

	var d digits
	for s := range d {
		var rows uint64
		for i, limb := range k { // bits 32j + 8s, for j = 2i and 2i+1
			limb >>= 8 * s
			rows |= (limb&0xff | limb>>32&0xff<<8) << (16 * i)
		}
		d[s] = transpose(rows)
	}
	return d
}

// transpose exchanges bit i of byte j with bit j of byte i, for all i and j: in squares of
// two bits, of two such squares, and of four.
func transpose(x uint64) uint64 {
	t := (x ^ x>>7) & 0x00aa00aa00aa00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000cccc0000cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x00000000f0f0f0f0
	return x ^ t ^ t<<28
}
