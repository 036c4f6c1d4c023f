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
