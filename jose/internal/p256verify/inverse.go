package p256verify

import "math/bits"

// Inverses by division steps, after Bernstein and Yang ("Fast constant-time gcd computation and
// modular inversion", 2019); here in variable time, as everything is public.
//
// For an odd f, any g and a count c, one step is
//
//	(c, f, g) -> (1-c, g, (g-f)/2)              if c > 0 and g is odd
//	(c, f, g) -> (1+c, f, (g + (g mod 2) f)/2)  otherwise
//
// It keeps f odd and gcd(f, g). From c = 1, f = m and 0 < g < m < 2^256, at most
// (49*256+57)/17 < 742 steps reach g = 0 (theorem 11.2), and then f is 1 or -1 for a prime m.
//
// What the steps do depends only on c and the lowest bits of f and g. So 62 steps are made with
// words, which gives the matrix of what they do to f and g, multiplied by 2^62:
//
//	f' = (uf + vg)/2^62,  g' = (qf + rg)/2^62,  |u| + |v| <= 2^62,  |q| + |r| <= 2^62.  (1)
//
// The bound holds since a step doubles the row of f, and makes the row of g a sum or a difference of two
// rows that are bounded by half of it. By it, |f'| and |g'| stay at most m, and the sums are below
// 2^62 * 2^256: they fit into five limbs, in two's complement.
//
// Beside f and g go d and e, at first 0 and 1, with f = dx and g = ex modulo m for the x to invert. The
// same matrix goes over them, and as it is not exact there, the multiple tm with 0 <= t < 2^62 that makes
// the sum a multiple of 2^62 is subtracted if the sum is positive or 0, else added. So if |d| and |e| are
// at most m, the sum is at most 2^62 m in size by (1), and what is left too; |d'| and |e'| are at most m.
// In the end 1/x is d/f, which is d or -d.

// modulus is an odd prime above 2^255.
type modulus struct {
	limbs [4]uint64
	k0    uint64 // -1/m mod 2^64
}

var fieldPrime = modulus{limbs: [4]uint64{p0, p1, p2, p3}, k0: 1}

// wide is a number of 320 bits in two's complement, lowest limb first.
type wide [5]uint64

// stepCount is the number of steps that one matrix stands for.
const stepCount = 62

// matrix is that of stepCount steps, multiplied by 2^stepCount.
type matrix struct{ u, v, q, r int64 }

// inverse returns 1/x mod m, for 0 < x < m.
func inverse(x *[4]uint64, m *modulus) [4]uint64 {
	f := wide{m.limbs[0], m.limbs[1], m.limbs[2], m.limbs[3]}
	g := wide{x[0], x[1], x[2], x[3]}
	var d, e wide
	e[0] = 1
	for c := 1; g != (wide{}); {
		var t matrix
		c, t = steps(c, f[0], g[0])
		f, g = t.apply(&f, &g)
		d, e = t.applyModulo(&d, &e, m)
	}
	if f.negative() {
		d = combine(-1, &d, 0, &e)
	}
	if d.negative() {
		d.addMultiple(&wide{m.limbs[0], m.limbs[1], m.limbs[2], m.limbs[3]}, 1)
	}
	return [4]uint64{d[0], d[1], d[2], d[3]}
}

// steps makes stepCount steps with the lowest limbs of f and g. Only as many of their bits
// are right as there are steps left, and no others count.
func steps(c int, f, g uint64) (int, matrix) {
	t := matrix{u: 1, r: 1}
	for left := stepCount; ; {
		zeros := bits.TrailingZeros64(g | 1<<left)
		g >>= zeros // as many steps with an even g
		t.u <<= zeros
		t.v <<= zeros
		c += zeros
		if left -= zeros; left == 0 {
			return c, t
		}
		if c > 0 {
			c = -c
			f, g = g, -f
			t.u, t.v, t.q, t.r = t.q, t.r, -t.u, -t.v
		}
		// For the next 1-c steps, f stays and is added to g or not. All that they add is wf, with w
		// such that g+wf ends in as many zeros: w = -g/f. For six bits 1/f is f(2-f^2), as
		// f^2 = 1+8a, and f^2 (2-f^2) = 1-64a^2.
		w := g * f * (f*f - 2) & (1<<min(1-c, left, 6) - 1)
		g += w * f
		t.q += int64(w) * t.u
		t.r += int64(w) * t.v
	}
}

// apply returns (uf + vg)/2^62 and (qf + rg)/2^62.
func (t *matrix) apply(f, g *wide) (a, b wide) {
	a, b = combine(t.u, f, t.v, g), combine(t.q, f, t.r, g)
	a.shift()
	b.shift()
	return a, b
}

// applyModulo returns what is (ud + ve)/2^62 and (qd + re)/2^62 modulo m, at most m in size.
func (t *matrix) applyModulo(d, e *wide, m *modulus) (a, b wide) {
	a, b = combine(t.u, d, t.v, e), combine(t.q, d, t.r, e)
	a.divide(m)
	b.divide(m)
	return a, b
}

// divide sets z to z/2^62 modulo m.
func (z *wide) divide(m *modulus) {
	t := int64(z[0] * m.k0 & (1<<stepCount - 1)) // z + tm ends in zeros
	if !z.negative() && t != 0 {
		t -= 1 << stepCount
	}
	z.addMultiple(&wide{m.limbs[0], m.limbs[1], m.limbs[2], m.limbs[3]}, t)
	z.shift()
}

// combine returns ux + vy.
func combine(u int64, x *wide, v int64, y *wide) (z wide) {
	z.addMultiple(x, u)
	z.addMultiple(y, v)
	return z
}

// addMultiple adds ux to z, modulo 2^320.
func (z *wide) addMultiple(x *wide, u int64) {
	sign := uint64(u >> 63) // all ones if u is negative: then -x = ^x + 1 is added -u times
	factor := (uint64(u) ^ sign) - sign
	negate := sign & 1
	var carry uint64
	for i := range z {
		var limb, c uint64
		limb, negate = bits.Add64(x[i]^sign, 0, negate)
		hi, lo := bits.Mul64(limb, factor)
		lo, c = bits.Add64(lo, carry, 0)
		hi += c
		z[i], c = bits.Add64(z[i], lo, 0)
		carry = hi + c
	}
}

// shift sets z to z/2^62, rounded down.
func (z *wide) shift() {
	for i := range 4 {
		z[i] = z[i]>>stepCount | z[i+1]<<(64-stepCount)
	}
	z[4] = uint64(int64(z[4]) >> stepCount)
}

func (z *wide) negative() bool { return int64(z[4]) < 0 }
