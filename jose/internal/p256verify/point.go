package p256verify

// Points of y^2 = x^3 - 3x + b (SP 800-186 section 3.2.1.3).
//
// The order of the curve is a prime: every point but the one at infinity has it, none has y = 0, and
// doubling never gives infinity except from infinity.

// affine is a point that is not at infinity.
type affine struct{ x, y element }

// point is the point (x/z^2, y/z^3), and infinity if z is 0.
type point struct{ x, y, z element }

// curveB is b in Montgomery form.
var curveB = element{0xd89cdf6229c4bddf, 0xacf005cd78843090, 0xe5a220abf7212ed6, 0xdc30061d04874834}

// base is the generator G.
var base = affine{
	x: element{0x79e730d418a9143c, 0x75ba95fc5fedb601, 0x79fb732b77622510, 0x18905f76a53755c6},
	y: element{0xddf25357ce95560a, 0x8b4ab8e4ba19e45c, 0xd2e88688dd21f325, 0x8571ff1825885d85},
}

// newAffine reads an uncompressed point (SEC 1 section 2.3.4), and reports false if it is none
// of the curve.
func (u unit) newAffine(b []byte) (affine, bool) {
	if len(b) != 65 || b[0] != 4 {
		return affine{}, false
	}
	x, y := split(b[1:33]), split(b[33:])
	if !less(&x, &fieldPrime.limbs) || !less(&y, &fieldPrime.limbs) {
		return affine{}, false
	}
	var q affine
	u.mul(&q.x, &x, &rr)
	u.mul(&q.y, &y, &rr)
	return q, u.onCurve(&q)
}

func (u unit) onCurve(q *affine) bool {
	var left, right, three element
	u.square(&left, &q.y)
	u.square(&right, &q.x)
	u.mul(&right, &right, &q.x)
	add(&three, &q.x, &q.x)
	add(&three, &three, &q.x)
	subtract(&right, &right, &three)
	add(&right, &right, &curveB)
	return left == right
}

// negate sets q = -q.
func (q *affine) negate() { subtract(&q.y, &element{}, &q.y) }

// set sets p = q.
func (p *point) set(q *affine) { p.x, p.y, p.z = q.x, q.y, one }

// double sets p = 2p. With X, Y, Z for p:
//
//	M  = 3(X - Z^2)(X + Z^2)
//	S  = 4XY^2
//	X' = M^2 - 2S
//	Y' = M(S - X') - 8Y^4
//	Z' = 2YZ
//
// That is the tangent's slope M/2YZ with the divisions put off. Infinity stays infinity, as Z' is 0 if Z is.
func (u unit) double(p *point) {
	var m, s, t, yy element
	u.square(&t, &p.z)
	subtract(&m, &p.x, &t)
	add(&t, &p.x, &t)
	u.mul(&t, &m, &t)
	add(&m, &t, &t)
	add(&m, &m, &t)

	u.mul(&p.z, &p.y, &p.z)
	add(&p.z, &p.z, &p.z)

	add(&yy, &p.y, &p.y)
	u.square(&yy, &yy) // 4Y^2
	u.mul(&s, &p.x, &yy)
	u.square(&yy, &yy) // 16Y^4
	halve(&yy)

	u.square(&p.x, &m)
	subtract(&p.x, &p.x, &s)
	subtract(&p.x, &p.x, &s)
	subtract(&s, &s, &p.x)
	u.mul(&p.y, &m, &s)
	subtract(&p.y, &p.y, &yy)
}

// add sets p = p + q, whatever they are. With X, Y, Z for p and x, y for q:
//
//	H  = x Z^2 - X
//	M  = y Z^3 - Y
//	X' = M^2 - H^3 - 2X H^2
//	Y' = M(X H^2 - X') - Y H^3
//	Z' = ZH
//
// That is the chord's slope M/ZH with the divisions put off. H = 0 means that the points have the
// same x: then they are one (M = 0), and the tangent is needed, or opposite, and the sum is infinity. If
// p is infinity, it has no x, and the sum is q. Signatures and keys can be made so that each of these
// happens at any step; all other sums are what the formulas say.
func (u unit) add(p *point, q *affine) {
	if p.z == (element{}) {
		p.set(q)
		return
	}
	var h, m element
	u.slope(&h, &m, p, q)
	if h == (element{}) {
		if m == (element{}) {
			u.double(p)
		} else {
			p.z = element{}
		}
		return
	}
	u.chord(p, &h, &m)
}

// slopePortable sets H and M of p and q.
func slopePortable(h, m *element, p *point, q *affine) {
	var zz element
	mulPortable(&zz, &p.z, &p.z)
	mulPortable(h, &q.x, &zz)
	subtract(h, h, &p.x)
	mulPortable(m, &p.z, &zz)
	mulPortable(m, &q.y, m)
	subtract(m, m, &p.y)
}

// chordPortable sets p to the sum with the point of H and M, and uses up h.
func chordPortable(p *point, h, m *element) {
	var t element
	mulPortable(&p.z, &p.z, h)
	mulPortable(&t, h, h)
	mulPortable(h, h, &t)     // H^3
	mulPortable(&t, &t, &p.x) // X H^2
	mulPortable(&p.x, m, m)
	subtract(&p.x, &p.x, h)
	subtract(&p.x, &p.x, &t)
	subtract(&p.x, &p.x, &t)
	subtract(&t, &t, &p.x)
	mulPortable(h, h, &p.y)
	mulPortable(&p.y, m, &t)
	subtract(&p.y, &p.y, h)
}

// normalize writes the points as affine ones; none may be infinity. There is one inversion for all of
// them: of the product of all z, from which the inverse of each is had by multiplying with the others.
func (u unit) normalize(to []affine, points []point) {
	before := make([]element, len(points)) // product of the z before each
	product := one
	for i := range points {
		before[i] = product
		u.mul(&product, &product, &points[i].z)
	}
	u.invert(&product, &product)
	for i := len(points) - 1; i >= 0; i-- {
		p, q := &points[i], &to[i]
		var z, zz element // 1/z and its powers
		u.mul(&z, &product, &before[i])
		u.mul(&product, &product, &p.z)
		u.square(&zz, &z)
		u.mul(&q.x, &p.x, &zz)
		u.mul(&zz, &zz, &z)
		u.mul(&q.y, &p.y, &zz)
	}
}
