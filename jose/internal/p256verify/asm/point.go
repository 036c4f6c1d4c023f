package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// slope writes the first half of the addition of a point to another. The file point.go above has the formulas.
func slope(c *build.Context) {
	begin(c, "slopeADX", "func(h, m, x, y, z, qx, qy *[4]uint64)",
		"slopeADX sets h to qx z^2 - x, and m to qy z^3 - y. It needs ADX and BMI2.")
	at := func(name string) operand.Mem { return argument(c, name) }
	power(c, at("z")).store(at("h"))
	product(c, at("z"), at("h")).store(at("m"))
	product(c, at("qx"), at("h")).subtract(at("x")).store(at("h"))
	product(c, at("qy"), at("m")).subtract(at("y")).store(at("m"))
	c.RET()
}

// chord writes the second half.
func chord(c *build.Context) {
	begin(c, "chordADX", "func(x, y, z, h, m *[4]uint64)",
		"chordADX sets x to m^2 - h^3 - 2x h^2, y to m(x h^2 - x') - y h^3 for the new x', and z to zh. It uses up h.",
		"It needs ADX and BMI2.")
	at := func(name string) operand.Mem { return argument(c, name) }
	t := c.AllocLocal(32)
	power(c, at("h")).store(t)
	product(c, at("z"), at("h")).store(at("z"))
	product(c, at("h"), t).store(at("h"))
	product(c, t, at("x")).store(t)
	x := power(c, at("m")).subtract(at("h")).subtract(t).subtract(t)
	x.store(at("x"))
	load(c, t).subtract(at("x")).store(t)
	product(c, at("h"), at("y")).store(at("h"))
	product(c, at("m"), t).subtract(at("h")).store(at("y"))
	c.RET()
}

// load is the element at m.
func load(c *build.Context, m operand.Mem) *sum {
	s := newSum(c, 4)
	for i, limb := range s.limbs {
		c.MOVQ(word(m, i), limb)
	}
	return s
}
