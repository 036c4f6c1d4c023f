package p256verify

import "sync"

// Multiples of a point by a comb (Lim and Lee, "More flexible exponentiation with
// precomputation", 1994) with digits 1 and -1.
//
// For a u < n let k be a number below 2^256 that is (u + 2^256-1)/2 modulo n, with bits k_i. Then
//
//	sum of (2k_i - 1) 2^i = 2k - (2^256-1) = u mod n
//
// so uP is the sum of (2k_i - 1) 2^i P: no digit is 0. Let i = 32j + 8s + c, with 8 teeth j, 4 subtables s and
// 8 columns c:
//
//	uP = sum over c of 2^c * sum over s of P(s, c)
//	P(s, c) = sum over j of (2k_i - 1) 2^(32j + 8s) P
//
// The bits of the 8 teeth say which of 256 points P(s, c) is. Those where the highest tooth is 1
// are in subtable s, the others are their opposites. So uP takes 32 additions and 7 doublings, and
// the doublings serve for uG + vQ as a whole.
//
// No point of a table is infinity, and no two that are added to make one are the same or opposite, for a
// point of order n: each is a sum of +-2^(32j + 8s), times the point, in which the highest power, at least
// 2^224 and at most 2^248, is more than twice as large as all others together.

const (
	teeth     = 8
	subtables = 4
	columns   = 8
)

// table has 4 * 128 points of 64 bytes: 32 kB. Point i of a subtable has tooth 7 positive,
// and tooth j < 7 if bit j of i is 1.
type table [subtables][1 << (teeth - 1)]affine

// baseTable is the table of the generator: one for all keys, made for the first.
var baseTable = sync.OnceValue(func() *table { return fastest().newTable(&base) })

func (u unit) newTable(q *affine) *table {
	// powers[2m] is 2^(8m) q, and powers[2m+1] twice that.
	var powers [2 * teeth * subtables]affine
	var points [len(powers)]point
	var p point
	p.set(q)
	for i := range points {
		points[i] = p
		u.double(&p)
		if i%2 != 0 {
			for range columns - 2 {
				u.double(&p)
			}
		}
	}
	u.normalize(powers[:], points[:])
	t := new(table)
	for s := range t {
		u.fill(&t[s], powers[2*s:])
	}
	return t
}

// fill makes a subtable. The power of tooth j is powers[8j], and twice that powers[8j+1].
func (u unit) fill(to *[1 << (teeth - 1)]affine, powers []affine) {
	const stride = 2 * subtables
	var points [len(to)]point
	points[0].set(&powers[stride*(teeth-1)])
	for j := range teeth - 1 {
		minus := powers[stride*j]
		minus.negate()
		u.add(&points[0], &minus)
	}
	for i := 1; i < len(points); i++ {
		j := 0
		for i>>j&1 == 0 {
			j++
		}
		points[i] = points[i&(i-1)] // tooth j is negative in it
		u.add(&points[i], &powers[stride*j+1])
	}
	u.normalize(to[:], points[:])
}

// addDigit adds the point of a digit to p.
func (u unit) addDigit(p *point, subtable *[1 << (teeth - 1)]affine, digit uint8) {
	const highest = 1 << (teeth - 1)
	if digit >= highest {
		u.add(p, &subtable[digit-highest])
		return
	}
	q := subtable[highest-1-digit] // the other teeth
	q.negate()
	u.add(p, &q)
}

// multiply returns k1 P1 + k2 P2 for the points of two tables.
func (u unit) multiply(t1, t2 *table, k1, k2 *scalar) (p point) {
	d1, d2 := recode(k1), recode(k2)
	for c := columns - 1; c >= 0; c-- {
		u.double(&p)
		for s := range subtables {
			u.addDigit(&p, &t1[s], uint8(d1[s]>>(8*c)))
			u.addDigit(&p, &t2[s], uint8(d2[s]>>(8*c)))
		}
	}
	return p
}
