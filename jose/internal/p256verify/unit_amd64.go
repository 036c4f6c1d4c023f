package p256verify

import "golang.org/x/sys/cpu"

// pays says that Go code with tables is quicker here than crypto/ecdsa.
const pays = true

// supported reports whether the processor can run u.
func supported(u unit) bool {
	return u == portable || cpu.X86.HasADX && cpu.X86.HasBMI2
}

func fastest() unit {
	if supported(unitADX) {
		return unitADX
	}
	return portable
}

// mul sets z = xy.
func (u unit) mul(z, x, y *element) {
	if u == unitADX {
		mulADX(z, x, y)
		return
	}
	mulPortable(z, x, y)
}

// square sets z = x^2.
func (u unit) square(z, x *element) {
	if u == unitADX {
		squareADX(z, x)
		return
	}
	mulPortable(z, x, x)
}

// slope sets H and M of p and q, as in point.go.
func (u unit) slope(h, m *element, p *point, q *affine) {
	if u == unitADX {
		slopeADX(h, m, &p.x, &p.y, &p.z, &q.x, &q.y)
		return
	}
	slopePortable(h, m, p, q)
}

// chord sets p to the sum with the point of H and M, and uses up h.
func (u unit) chord(p *point, h, m *element) {
	if u == unitADX {
		chordADX(&p.x, &p.y, &p.z, h, m)
		return
	}
	chordPortable(p, h, m)
}
