package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The limbs 1 and 3 of p; limb 0 is 2^64-1, and limb 2 is 0.
const (
	p1 = 0x00000000ffffffff
	p3 = 0xffffffff00000001
)

// sum is a number of five limbs, or six for a moment, in registers.
type sum struct {
	*build.Context
	limbs  []reg.GPVirtual
	p3     reg.GPVirtual
	lo, hi reg.GPVirtual
}

// newSum has count limbs without a value.
func newSum(c *build.Context, count int) *sum {
	s := &sum{Context: c, p3: c.GP64(), lo: c.GP64(), hi: c.GP64()}
	for range count {
		s.limbs = append(s.limbs, c.GP64())
	}
	c.MOVQ(operand.U64(p3), s.p3)
	return s
}

// multiply writes the Montgomery multiplication. The file field.go above has the derivation.
func multiply(c *build.Context) {
	begin(c, "mulADX", "func(z, x, y *[4]uint64)", "mulADX sets z to xy/2^256 mod p. It needs ADX and BMI2.")
	product(c, argument(c, "x"), argument(c, "y")).store(argument(c, "z"))
	c.RET()
}

// product is xy/2^256 mod p.
func product(c *build.Context, x, y operand.Mem) *sum {
	s := newSum(c, 6)
	for i := range 4 {
		c.MOVQ(word(y, i), reg.RDX)
		if i == 0 {
			s.firstRow(x)
		} else {
			s.addRow(x)
		}
		s.divide()
	}
	s.reduce()
	return s
}

// firstRow sets the sum, of five limbs, to RDX times the four limbs at x. The sixth becomes 0.
func (s *sum) firstRow(x operand.Mem) {
	t := s.limbs
	s.XORQ(t[5], t[5])
	s.MULXQ(word(x, 0), t[0], t[1])
	s.MULXQ(word(x, 1), s.lo, t[2])
	s.ADDQ(s.lo, t[1])
	s.MULXQ(word(x, 2), s.lo, t[3])
	s.ADCQ(s.lo, t[2])
	s.MULXQ(word(x, 3), s.lo, t[4])
	s.ADCQ(s.lo, t[3])
	s.ADCQ(operand.U8(0), t[4])
}

// addRow adds RDX times the four limbs at x, with one carry chain in CF and one in OF. The sum
// has five limbs; the sixth becomes 0.
func (s *sum) addRow(x operand.Mem) {
	t := s.limbs
	s.XORQ(t[5], t[5]) // clears CF and OF; a zero cannot be moved to a register later without that
	for j := range 4 {
		s.MULXQ(word(x, j), s.lo, s.hi)
		s.ADCXQ(s.lo, t[j])
		s.ADOXQ(s.hi, t[j+1])
	}
	s.ADCXQ(t[5], t[4])
}

// divide adds the multiple of p that makes the lowest limb 0, and drops that limb. A sum of
// six limbs gets a new one above, which has no value yet; one of four has four again.
func (s *sum) divide() {
	t := s.limbs
	low := s.GP64()
	s.MOVQ(t[0], reg.RDX)
	s.MOVQ(t[0], low)
	s.SHLQ(operand.U8(32), low)
	s.SHRQ(operand.U8(32), t[0])
	s.MULXQ(s.p3, s.lo, s.hi)
	s.ADDQ(low, t[1])
	s.ADCQ(t[0], t[2])
	s.ADCQ(s.lo, t[3])
	if len(t) == 4 {
		s.ADCQ(operand.U8(0), s.hi)
		s.MOVQ(s.hi, t[0])
		s.limbs = append(t[1:4:4], t[0])
		return
	}
	s.ADCQ(s.hi, t[4])
	s.ADCQ(operand.U8(0), t[5])
	s.limbs = append(t[1:6:6], t[0])
}

// reduce subtracts p from the first five limbs, if that does not make them negative, and leaves four.
func (s *sum) reduce() {
	t, q := s.limbs, s.GP64()
	var reduced []reg.GPVirtual
	for i := range 4 {
		reduced = append(reduced, s.GP64())
		s.MOVQ(t[i], reduced[i])
	}
	s.MOVQ(operand.U32(p1), q)
	s.SUBQ(operand.I8(-1), reduced[0])
	s.SBBQ(q, reduced[1])
	s.SBBQ(operand.I8(0), reduced[2])
	s.SBBQ(s.p3, reduced[3])
	s.SBBQ(operand.I8(0), t[4])
	for i := range 4 {
		s.CMOVQCS(t[i], reduced[i])
	}
	s.limbs = reduced
}

// subtract subtracts y from four limbs below p, and adds p if they become negative.
func (s *sum) subtract(y operand.Mem) *sum {
	s.SUBQ(word(y, 0), s.limbs[0])
	for i := 1; i < 4; i++ {
		s.SBBQ(word(y, i), s.limbs[i])
	}
	mask, second := s.GP64(), s.GP64()
	s.SBBQ(mask, mask) // all ones if they are negative, and limb 0 of p then
	s.MOVQ(mask, second)
	s.SHRQ(operand.U8(32), second) // p1
	s.ANDQ(mask, s.p3)
	s.ADDQ(mask, s.limbs[0])
	s.ADCQ(second, s.limbs[1])
	s.ADCQ(operand.U8(0), s.limbs[2])
	s.ADCQ(s.p3, s.limbs[3])
	s.MOVQ(operand.U64(p3), s.p3)
	return s
}

// store writes the four limbs.
func (s *sum) store(z operand.Mem) {
	for i, limb := range s.limbs {
		s.MOVQ(limb, word(z, i))
	}
}

// square writes the Montgomery squaring.
func square(c *build.Context) {
	begin(c, "squareADX", "func(z, x *[4]uint64)", "squareADX sets z to x^2/2^256 mod p. It needs ADX and BMI2.")
	power(c, argument(c, "x")).store(argument(c, "z"))
	c.RET()
}

// power is x^2/2^256 mod p.
func power(c *build.Context, x operand.Mem) *sum {
	s := newSum(c, 8)
	t := s.limbs

	// Each product of two different limbs once, from limb 1 to limb 6.
	c.MOVQ(word(x, 0), reg.RDX)
	c.MULXQ(word(x, 1), t[1], t[2])
	c.MULXQ(word(x, 2), s.lo, t[3])
	c.ADDQ(s.lo, t[2])
	c.MULXQ(word(x, 3), s.lo, t[4])
	c.ADCQ(s.lo, t[3])
	c.ADCQ(operand.U8(0), t[4])
	c.MOVQ(word(x, 1), reg.RDX)
	c.XORQ(t[7], t[7])
	c.XORQ(t[5], t[5]) // clears CF and OF
	c.MULXQ(word(x, 2), s.lo, s.hi)
	c.ADCXQ(s.lo, t[3])
	c.ADOXQ(s.hi, t[4])
	c.MULXQ(word(x, 3), s.lo, s.hi)
	c.ADCXQ(s.lo, t[4])
	c.ADOXQ(s.hi, t[5])
	c.ADCXQ(t[7], t[5])
	c.MOVQ(word(x, 2), reg.RDX)
	c.MULXQ(word(x, 3), s.lo, t[6])
	c.ADDQ(s.lo, t[5])
	c.ADCQ(operand.U8(0), t[6])

	// Twice that, and the squares of the limbs.
	c.XORQ(t[7], t[7]) // clears CF and OF
	for i := range 4 {
		c.MOVQ(word(x, i), reg.RDX)
		if i == 0 {
			c.MULXQ(reg.RDX, t[0], s.hi)
		} else {
			c.MULXQ(reg.RDX, s.lo, s.hi)
			c.ADCXQ(t[2*i], t[2*i])
			c.ADOXQ(s.lo, t[2*i])
		}
		c.ADCXQ(t[2*i+1], t[2*i+1])
		c.ADOXQ(s.hi, t[2*i+1])
	}

	above := t[4:]
	s.limbs = t[:4]
	for range 4 {
		s.divide()
	}
	carry := c.GP64()
	c.XORQ(carry, carry)
	c.ADDQ(above[0], s.limbs[0])
	for i := 1; i < 4; i++ {
		c.ADCQ(above[i], s.limbs[i])
	}
	c.ADCQ(operand.U8(0), carry)
	s.limbs = append(s.limbs, carry)
	s.reduce()
	return s
}

// begin starts a function.
func begin(c *build.Context, name, signature string, doc ...string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr(signature)
	c.Pragma("noescape")
	c.Doc(doc...)
}

// argument is what a parameter points to.
func argument(c *build.Context, name string) operand.Mem {
	return operand.Mem{Base: c.Load(c.Param(name), c.GP64())}
}

// word is limb i of m.
func word(m operand.Mem, i int) operand.Mem { return m.Offset(8 * i) }
