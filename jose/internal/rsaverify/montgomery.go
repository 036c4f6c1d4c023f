package rsaverify

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// Multiplication modulo an odd n, after Montgomery ("Modular multiplication without trial
// division", 1985).
//
// Numbers have L limbs in radix B, lowest first; R = B^L > n and k0 = -1/n mod B. With
// y = sum of y_i B^i, start at T = 0 and for each i from 0 to L-1 set
//
//	q_i = (T + x y_i) k0 mod B
//	T   = (T + x y_i + q_i n) / B
//
// By the choice of q_i the division leaves no remainder, and with q = sum of q_i B^i < R
//
//	T = (xy + qn) / R   at the end, so T = xy/R mod n and T < xy/R + n.   (1)
//
// Before the end T < x + n: it is so at T = 0, and (x + n + x(B-1) + n(B-1))/B = x + n. (2)
//
// # Radix 2^64
//
// L is 32, 48 or 64, and R is the power of two next above n. Every operand is below R. By
// (2) T < 2R, so one bit above the limbs is enough; by (1) T < R + n at the end. If that
// bit is set, n is subtracted, and the result is below R again. This is what mulPortable and
// mulADX do. In the last product of a power y is the signature, below n, so by (1) T < 2n:
// subtracting n once, because of the bit or because T >= n, leaves the one number below n.
//
// # Radix 2^52
//
// The IFMA instructions multiply 52 bits by 52 and add the lower or the upper 52 bits of the
// product to lanes of 64. L is 40, 60 or 80, so R/n > 2^32, 2^48 or 2^64. Every operand is
// below 2n ("almost" reduced): by (1) T < 4n*n/R + n < 2n, so nothing is subtracted. In the
// last product y < n, so T < 2n holds too, and the number is reduced once in the end.
//
// A lane takes at most four halves of products, each below 2^52, in each step, and lives
// for at most 80 steps from the highest lane to the lowest, so it stays below
// 80 * 4 * 2^52 < 2^61 without a carry between lanes. The lowest limb decides q_i, so it is
// kept apart, in full: low < 2^62 at the start of a step, low + x_0 y_i + q_i n_0 < 2^62 +
// 2 * 2^104 < 2^106, of which the bits from 52 on are below 2^54; with the next lane, below 2^61,
// low is below 2^62 again. The upper halves of x_0 y_i and q_i n_0 are in low that way, and
// in lane 0 a second time, but lane 0 is thrown away by the next shift and replaced by low in
// the end. Then one pass carries: T < 2n < 2^(52L), so none leaves the highest limb, and the lanes
// above L (3072 bits: 60 limbs in 64 lanes) are 0, as none is negative.

// limbs is a number; which radix, and how many of them count, is up to the field. The rest is 0.
type limbs = [maxLimbs]uint64

// maxLimbs is 4096 bits in radix 2^52, in whole vectors of eight.
const maxLimbs = 80

// unit is an implementation of the multiplication.
type unit uint8

const (
	portable unit = iota
	unitADX       // MULX, ADCX and ADOX
	unitIFMA      // AVX-512 IFMA
)

func (u unit) radix() int {
	if u == unitIFMA {
		return 52
	}
	return 64
}

// field is the ring of integers modulo n, with what one unit needs.
type field struct {
	n, rr limbs // the modulus, and R^2 mod n
	k0    uint64
	count int // L
	radix int // bits of a limb
	unit  unit
}

// init takes an odd n of 2048, 3072 or 4096 bits.
func (f *field) init(n *big.Int, u unit) {
	f.unit, f.radix = u, u.radix()
	f.count = n.BitLen() / 64
	if f.radix == 52 {
		f.count = n.BitLen() / 1024 * 20
	}
	var b [maxBytes]byte
	size := n.BitLen() / 8
	f.split(&f.n, n.FillBytes(b[:size]))
	f.split(&f.rr, power2Mod(uint(2*f.radix*f.count), n).FillBytes(b[:size]))
	f.k0 = montgomeryConstant(f.n[0]) & f.mask()
}

func (f *field) mask() uint64 { return 1<<f.radix - 1 } // all ones for 64

// split reads a big-endian number of at most maxBytes bytes below n.
func (f *field) split(z *limbs, b []byte) {
	// Every limb begins at a multiple of four bits, and the eight bytes from there hold it.
	// The highest ones reach beyond the number, into zeros.
	var padded [maxBytes + 16]byte
	copy(padded[len(padded)-len(b):], b)
	*z = limbs{}
	for i := range f.count {
		at := i * f.radix
		from := len(padded) - 8 - at/8
		z[i] = binary.BigEndian.Uint64(padded[from:]) >> (at % 8) & f.mask()
	}
}

// join writes a number that fits as len(b) big-endian bytes, a multiple of eight.
func (f *field) join(b []byte, z *limbs) {
	var words [maxBytes / 8]uint64
	for i, limb := range z[:f.count] {
		at := i * f.radix
		word, shift := at/64, at%64
		if word == len(words) {
			break // only zeros are left
		}
		words[word] |= limb << shift
		if shift+f.radix > 64 && word+1 < len(words) {
			words[word+1] |= limb >> (64 - shift)
		}
	}
	for i := range len(b) / 8 {
		binary.BigEndian.PutUint64(b[len(b)-8*(i+1):], words[i])
	}
}

// reduce makes z, below 2n, the number below n.
func (f *field) reduce(z *limbs) {
	for i := f.count - 1; i >= 0; i-- {
		if z[i] != f.n[i] {
			if z[i] > f.n[i] {
				f.subtract(z)
			}
			return
		}
	}
	f.subtract(z) // z = n
}

// subtract sets z = z - n, without a borrow out of the highest limb.
func (f *field) subtract(z *limbs) {
	var borrow uint64
	for i := range f.count {
		z[i], borrow = bits.Sub64(z[i], f.n[i], borrow)
		z[i] &= f.mask()
	}
}

// mulWide is mul with the portable unit.
func (f *field) mulWide(z, x, y *limbs) {
	*z = limbs{}
	l := f.count
	if mulPortable(z[:l], x[:l], y[:l], f.n[:l], f.k0) != 0 {
		f.subtract(z)
	}
}

// mulPortable adds xy/R mod n to z, which must be 0 and neither x nor y, and returns the bit
// above the limbs. The result is below x+n.
func mulPortable(z, x, y, n []uint64, k0 uint64) uint64 {
	var top uint64
	for _, digit := range y {
		above := addRow(z, x, digit)
		carry := addRow(z, n, z[0]*k0)
		copy(z, z[1:])
		var c1, c2 uint64
		carry, c1 = bits.Add64(carry, above, 0)
		z[len(z)-1], c2 = bits.Add64(carry, top, 0)
		top = c1 + c2
	}
	return top
}

// addRow sets z = z + m digit and returns the limb above. It cannot overflow:
// (B^L - 1) + (B^L - 1)(B - 1) < B^(L+1).
func addRow(z, m []uint64, digit uint64) uint64 {
	var carry uint64
	for j := range m {
		hi, lo := bits.Mul64(m[j], digit)
		var c uint64
		lo, c = bits.Add64(lo, z[j], 0)
		hi += c
		z[j], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return carry
}
