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
