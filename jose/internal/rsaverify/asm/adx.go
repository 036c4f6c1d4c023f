package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// adx writes the Montgomery multiplication of the given number of limbs of 64 bits,
// with one carry chain in CF and one in OF. The file montgomery.go has the derivation.
func adx(c *build.Context, limbs int) {
	begin(c, fmt.Sprintf("mulADX%d", limbs), " uint64",
		fmt.Sprintf("mulADX%d adds xy/2^%d mod n to z, which must be 0 and neither x nor y, in limbs of 64 bits.\nThe result has one bit more, 0 or 1, and is below x+n. It needs ADX and BMI2.", limbs, 64*limbs))
	z, x, y, n := argument(c, "z"), argument(c, "x"), argument(c, "y"), argument(c, "n")
	k0 := argument(c, "k0")
	top, count := c.GP64(), c.GP64()
	c.XORQ(top, top)
	c.MOVQ(operand.U32(uint32(limbs)), count)
	loop := fmt.Sprintf("row%d", limbs)
	c.Label(loop)

	c.MOVQ(word(y, 0), reg.RDX)
	c.ADDQ(operand.U8(8), y)
	above := row(c, z, x, limbs, 0)
	c.MOVQ(word(z, 0), reg.RDX)
	c.IMULQ(k0, reg.RDX)
	carry := row(c, z, n, limbs, -1)

	next := c.GP64()
	c.XORQ(next, next)
	c.ADDQ(above, carry)
	c.ADCQ(operand.U8(0), next)
	c.ADDQ(top, carry)
	c.ADCQ(operand.U8(0), next)
	c.MOVQ(carry, word(z, limbs-1))
	c.MOVQ(next, top)
	c.DECQ(count)
	c.JNZ(operand.LabelRef(loop))
	c.Store(top, c.ReturnIndex(0))
	c.RET()
}

// row adds RDX times the limbs at m to those at z, stores the sum shift limbs further,
// and returns the limb above. With a shift of -1 the lowest limb of the sum, which is
// 0 then, is not stored.
func row(c *build.Context, z, m reg.GPVirtual, limbs, shift int) reg.GPVirtual {
	zero, lo := c.GP64(), c.GP64()
	high := [2]reg.GPVirtual{c.GP64(), c.GP64()}
	c.XORQ(zero, zero) // clears CF and OF
	for j := range limbs {
		c.MULXQ(word(m, j), lo, high[j%2])
		if j > 0 {
			c.ADCXQ(high[(j+1)%2], lo)
		}
		c.ADOXQ(word(z, j), lo)
		if j+shift >= 0 {
			c.MOVQ(lo, word(z, j+shift))
		}
	}
	last := high[(limbs+1)%2]
	c.ADCXQ(zero, last)
	c.ADOXQ(zero, last)
	return last
}
