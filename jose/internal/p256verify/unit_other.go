//go:build !amd64

package p256verify

import (
	"math/bits"
	"runtime"
)

// pays says that Go code with tables is quicker here than crypto/ecdsa: with words of 64 bits,
// but not on s390x, which has instructions for all of ECDSA.
const pays = bits.UintSize == 64 && runtime.GOARCH != "s390x"

func supported(u unit) bool { return u == portable }

func fastest() unit { return portable }

// mul sets z = xy.
func (unit) mul(z, x, y *element) { mulPortable(z, x, y) }

// square sets z = x^2.
func (unit) square(z, x *element) { mulPortable(z, x, x) }

// slope sets H and M of p and q, as in point.go.
func (unit) slope(h, m *element, p *point, q *affine) { slopePortable(h, m, p, q) }

// chord sets p to the sum with the point of H and M, and uses up h.
func (unit) chord(p *point, h, m *element) { chordPortable(p, h, m) }
