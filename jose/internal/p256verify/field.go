package p256verify

import (
	"encoding/binary"
	"math/bits"
)

// Arithmetic modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1, the field of P-256 (SP 800-186
// section 3.2.1.3), after Montgomery ("Modular multiplication without trial division", 1985).
//
// A number has four limbs in radix B = 2^64, lowest first, and is below p; R = B^4. It
// stands for itself divided by R. To multiply x and y, start at T = 0 and for each
// i from 0 to 3 set
//
//	q = (T + x y_i) (-1/p) mod B
//	T = (T + x y_i + q p) / B
//
// By the choice of q the division leaves no remainder, and with Q < R for all the q together
//
//	T = (xy + Qp) / R  at the end, so T = xy/R mod p and T < xy/R + p < 2p.         (1)
//
// Before the end T < x + p: it is so at T = 0, and (x + p + x(B-1) + p(B-1))/B = x + p. So
// T always has four limbs and one bit, T + x y_i + q p < B(x + p) five and one bit. T + x y_i has
// only five, since p < R - 2^223: it is below x + p + x(B-1) = Bx + p < B(R - 2^223) + R < BR.
// Subtracting p once at the end, if T >= p, leaves a number below p.
//
// What is special about p: it is -1 modulo B, so q is the lowest limb itself, and
//
//	T + qp = (T - q) + q 2^96 + q (2^64 - 2^32 + 1) 2^192
//
// where the first summand ends in a limb of 0, the second is q shifted, 32 bits above the bottom of
// limb 1, and only the third needs a multiplication.
//
// Squaring computes x^2 first, in eight limbs. The lower four, L, are divided by R in four rounds
// as above, with no bit above four limbs: if T < R then (T + qp)/B <= (R - 1 + (B-1)p)/B < p + (R-p)/B,
// and as R - p < 2^224, that is below p + 2^160 < R. With H for the upper four limbs, the result is
// H + (L + Qp)/R = (x^2 + Qp)/R, to which (1) applies.

// element is a number modulo p in that form. Each function takes elements that are
// below p, and sets its first argument, which may be one of the others, to one below p.
type element = [4]uint64

// The limbs of p.
const (
	p0 = 0xffffffffffffffff
	p1 = 0x00000000ffffffff
	p2 = 0
	p3 = 0xffffffff00000001
)

// one is R mod p = R - p, the form of the number 1.
var one = element{1, 0xffffffff00000000, 0xffffffffffffffff, 0xfffffffe}

// rr is R^2 mod p, which makes the form of a number.
var rr = element{3, 0xfffffffbffffffff, 0xfffffffffffffffe, 0x4fffffffd}

// rrr is R^3 mod p, which makes the form of the inverse of a form.
var rrr = element{0xfffffffd0000000a, 0xffffffedfffffff7, 0x00000005fffffffc, 0x0000001800000001}

// unit is an implementation of the multiplication.
type unit uint8

const (
	portable unit = iota
	unitADX       // MULX, ADCX and ADOX
)

// mulPortable sets z = xy/R.
func mulPortable(z, x, y *element) {
	var t0, t1, t2, t3, t4 uint64
	for _, digit := range y {
		h0, l0 := bits.Mul64(x[0], digit)
		h1, l1 := bits.Mul64(x[1], digit)
		h2, l2 := bits.Mul64(x[2], digit)
		h3, l3 := bits.Mul64(x[3], digit)
		var c uint64
		t0, c = bits.Add64(t0, l0, 0)
		t1, c = bits.Add64(t1, l1, c)
		t2, c = bits.Add64(t2, l2, c)
		t3, c = bits.Add64(t3, l3, c)
		t4 += c
		t1, c = bits.Add64(t1, h0, 0)
		t2, c = bits.Add64(t2, h1, c)
		t3, c = bits.Add64(t3, h2, c)
		t4, _ = bits.Add64(t4, h3, c)

		hi, lo := bits.Mul64(t0, p3)
		q := t0
		t0, c = bits.Add64(t1, q<<32, 0)
		t1, c = bits.Add64(t2, q>>32, c)
		t2, c = bits.Add64(t3, lo, c)
		t3, c = bits.Add64(t4, hi, c)
		t4 = c
	}
	reduce(z, t0, t1, t2, t3, t4)
}

// reduce sets z to the number with these limbs, below 2p, modulo p.
func reduce(z *element, t0, t1, t2, t3, t4 uint64) {
	s0, b := bits.Sub64(t0, p0, 0)
	s1, b := bits.Sub64(t1, p1, b)
	s2, b := bits.Sub64(t2, p2, b)
	s3, b := bits.Sub64(t3, p3, b)
	_, b = bits.Sub64(t4, 0, b)
	keep := -b // all ones if the number is below p; a jump would be foreseen in one of two cases
	z[0] = t0&keep | s0&^keep
	z[1] = t1&keep | s1&^keep
	z[2] = t2&keep | s2&^keep
	z[3] = t3&keep | s3&^keep
}

// add sets z = x + y.
func add(z, x, y *element) {
	t0, c := bits.Add64(x[0], y[0], 0)
	t1, c := bits.Add64(x[1], y[1], c)
	t2, c := bits.Add64(x[2], y[2], c)
	t3, c := bits.Add64(x[3], y[3], c)
	reduce(z, t0, t1, t2, t3, c)
}

// subtract sets z = x - y.
func subtract(z, x, y *element) {
	t0, b := bits.Sub64(x[0], y[0], 0)
	t1, b := bits.Sub64(x[1], y[1], b)
	t2, b := bits.Sub64(x[2], y[2], b)
	t3, b := bits.Sub64(x[3], y[3], b)
	borrowed := -b
	var c uint64
	z[0], c = bits.Add64(t0, p0&borrowed, 0)
	z[1], c = bits.Add64(t1, p1&borrowed, c)
	z[2], c = bits.Add64(t2, p2&borrowed, c)
	z[3], _ = bits.Add64(t3, p3&borrowed, c)
}

// halve sets z = z/2.
func halve(z *element) {
	odd := -(z[0] & 1)
	t0, c := bits.Add64(z[0], p0&odd, 0)
	t1, c := bits.Add64(z[1], p1&odd, c)
	t2, c := bits.Add64(z[2], p2&odd, c)
	t3, c := bits.Add64(z[3], p3&odd, c)
	z[0], z[1], z[2], z[3] = t0>>1|t1<<63, t1>>1|t2<<63, t2>>1|t3<<63, t3>>1|c<<63
}

// invert sets z = 1/x for an x that is not 0.
func (u unit) invert(z, x *element) {
	inverse := inverse(x, &fieldPrime) // of the form xR: 1/(xR)
	u.mul(z, &inverse, &rrr)           // R^3/(xR)/R = R/x, the form of 1/x
}

// split reads 32 bytes, big-endian, as limbs.
func split(b []byte) [4]uint64 {
	return [4]uint64{
		binary.BigEndian.Uint64(b[24:32]),
		binary.BigEndian.Uint64(b[16:24]),
		binary.BigEndian.Uint64(b[8:16]),
		binary.BigEndian.Uint64(b[:8]),
	}
}

// less reports whether x < y.
func less(x, y *[4]uint64) bool {
	for i := 3; i > 0; i-- {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return x[0] < y[0]
}
