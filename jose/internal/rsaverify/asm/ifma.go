package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// state is what lives in registers during one multiplication in radix 2^52.
type state struct {
	*build.Context
	sum, x       []reg.VecVirtual
	n            []operand.Op // registers, or memory where there are too few
	digit, q     reg.VecVirtual
	zero         reg.VecVirtual
	low, x0, n0  reg.GPVirtual
	k0, mask, yi reg.GPVirtual
}

// ifma writes the almost Montgomery multiplication of the given number of limbs of
// 52 bits, in that many vectors of eight. The file montgomery.go has the derivation.
func ifma(c *build.Context, limbs, vectors int) {
	begin(c, fmt.Sprintf("mulIFMA%d", limbs), "",
		fmt.Sprintf("mulIFMA%d sets z to xy/2^%d mod n, below 2n, for x and y below 2n, in limbs of 52 bits.\nz may be x or y. It needs AVX-512 F and IFMA, and BMI2.", limbs, 52*limbs))
	s := &state{Context: c}
	z, x, n := argument(c, "z"), argument(c, "x"), argument(c, "n")
	s.yi, s.k0 = argument(c, "y"), argument(c, "k0")
	s.load(x, n, vectors)

	s.mask, s.low = c.GP64(), c.GP64()
	c.MOVQ(operand.U64(1<<52-1), s.mask)
	c.XORQ(s.low, s.low)
	count := c.GP64()
	c.MOVQ(operand.U32(uint32(limbs)), count)
	loop := fmt.Sprintf("digit%d", limbs)
	c.Label(loop)
	s.step()
	c.DECQ(count)
	c.JNZ(operand.LabelRef(loop))

	for i, v := range s.sum {
		c.VMOVDQU64(v, word(z, 8*i))
	}
	c.VZEROUPPER()
	s.normalize(z, 8*vectors)
	c.RET()
}

// load brings x, and n as far as there are registers, into vectors, and clears the sum.
func (s *state) load(x, n reg.GPVirtual, vectors int) {
	s.zero, s.digit, s.q = s.ZMM(), s.ZMM(), s.ZMM()
	s.VPXORQ(s.zero, s.zero, s.zero)
	inRegisters := 3*vectors+3 <= 32
	for i := range vectors {
		sum, v := s.ZMM(), s.ZMM()
		s.VMOVDQA64(s.zero, sum)
		s.VMOVDQU64(word(x, 8*i), v)
		s.sum, s.x = append(s.sum, sum), append(s.x, v)
		if !inRegisters {
			s.n = append(s.n, word(n, 8*i))
			continue
		}
		m := s.ZMM()
		s.VMOVDQU64(word(n, 8*i), m)
		s.n = append(s.n, m)
	}
	s.x0, s.n0 = s.GP64(), s.GP64()
	s.MOVQ(word(x, 0), s.x0)
	s.MOVQ(word(n, 0), s.n0)
}

// step adds x times one digit of y, and the multiple q of n that makes the lowest limb
// a multiple of 2^52, and shifts the sum by one limb. The true lowest limb is s.low;
// lane 0 of the vectors is only what the next shift throws away.
func (s *state) step() {
	lo, hi, t := s.GP64(), s.GP64(), s.GP64()
	s.VPBROADCASTQ(word(s.yi, 0), s.digit)
	s.MOVQ(word(s.yi, 0), reg.RDX)
	s.ADDQ(operand.U8(8), s.yi)
	s.MULXQ(s.x0, lo, hi)
	s.ADDQ(lo, s.low)
	s.ADCQ(operand.U8(0), hi)
	s.MOVQ(s.k0, reg.RDX)
	s.IMULQ(s.low, reg.RDX)
	s.ANDQ(s.mask, reg.RDX)
	s.VPBROADCASTQ(reg.RDX, s.q)
	for i := range s.sum {
		s.VPMADD52LUQ(s.x[i], s.digit, s.sum[i])
	}
	s.MULXQ(s.n0, lo, t)
	s.ADDQ(lo, s.low)
	s.ADCQ(t, hi)
	s.SHRQ(operand.U8(52), s.low)
	s.SHLQ(operand.U8(12), hi)
	s.ORQ(hi, s.low)
	for i := range s.sum {
		s.VPMADD52LUQ(s.n[i], s.q, s.sum[i])
	}
	next := s.GP64()
	for i := range s.sum {
		above := s.zero
		if i+1 < len(s.sum) {
			above = s.sum[i+1]
		}
		s.VALIGNQ(operand.U8(1), s.sum[i], above, s.sum[i])
		if i == 0 {
			s.VMOVQ(s.sum[0].AsX(), next)
			s.ADDQ(next, s.low)
		}
	}
	for i := range s.sum {
		s.VPMADD52HUQ(s.x[i], s.digit, s.sum[i])
	}
	for i := range s.sum {
		s.VPMADD52HUQ(s.n[i], s.q, s.sum[i])
	}
}

// normalize carries what is above 52 bits to the limb above.
func (s *state) normalize(z reg.GPVirtual, limbs int) {
	limb := s.GP64()
	for i := range limbs {
		if i > 0 {
			s.SHRQ(operand.U8(52), s.low)
			s.ADDQ(word(z, i), s.low)
		}
		s.MOVQ(s.low, limb)
		s.ANDQ(s.mask, limb)
		s.MOVQ(limb, word(z, i))
	}
}
