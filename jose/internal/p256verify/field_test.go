package p256verify

import (
	"crypto/elliptic"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var (
	units  = []unit{portable, unitADX}
	curve  = elliptic.P256().Params()
	bigP   = curve.P
	bigN   = curve.N
	bigR   = new(big.Int).Lsh(big.NewInt(1), 256)
	bigOne = big.NewInt(1)
)

func (u unit) String() string { return [...]string{"portable", "ADX"}[u] }

// available are the units that this processor has: every one is tested, not only the fastest.
func available() []unit {
	return slices.DeleteFunc(slices.Clone(units), func(u unit) bool { return !supported(u) })
}

func toBig(z [4]uint64) *big.Int {
	n := new(big.Int)
	for i := 3; i >= 0; i-- {
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(z[i]))
	}
	return n
}

func fromBig(n *big.Int) [4]uint64 { return split(n.FillBytes(make([]byte, 32))) }

func plus(a *big.Int, b int64) *big.Int { return new(big.Int).Add(a, big.NewInt(b)) }

// mod is a modulo m, and not negative.
func mod(a, m *big.Int) *big.Int { return new(big.Int).Mod(a, m) }

// mulMod and the others return what they are called of modulo m.
func mulMod(a, b, m *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b), m) }
func addMod(a, b, m *big.Int) *big.Int { return mod(new(big.Int).Add(a, b), m) }
func subMod(a, b, m *big.Int) *big.Int { return mod(new(big.Int).Sub(a, b), m) }
func invMod(a, m *big.Int) *big.Int    { return new(big.Int).ModInverse(a, m) }

// edges are the numbers below m that are likely to be wrong: at the ends, around powers of two, and
// with limbs of zeros and ones.
func edges(m *big.Int) []*big.Int {
	var list []*big.Int
	for i := int64(0); i < 4; i++ {
		list = append(list, big.NewInt(i), plus(m, -1-i), plus(new(big.Int).Rsh(m, 1), i-1))
	}
	for _, shift := range []uint{32, 63, 64, 65, 96, 127, 128, 160, 191, 192, 193, 223, 224, 225, 254, 255} {
		power := new(big.Int).Lsh(bigOne, shift)
		list = append(list, power, plus(power, -1), plus(power, 1), mod(new(big.Int).Neg(power), m))
	}
	words := []uint64{0, 1, 1<<32 - 1, 1 << 63, 1<<64 - 1}
	for i := range 625 {
		n := toBig([4]uint64{words[i%5], words[i/5%5], words[i/25%5], words[i/125]})
		if i%7 == 0 && n.Cmp(m) < 0 {
			list = append(list, n)
		}
	}
	return list
}

// below draws a number below m, with limbs of all sizes and long runs of ones.
func below(m *big.Int) *rapid.Generator[*big.Int] {
	limb := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1<<32 - 1, 1 << 32, 1<<64 - 1<<32, 1<<64 - 1}))
	return rapid.Custom(func(t *rapid.T) *big.Int {
		return mod(toBig([4]uint64{limb.Draw(t, "0"), limb.Draw(t, "1"), limb.Draw(t, "2"), limb.Draw(t, "3")}), m)
	})
}

// checkField compares every operation on x and y with math/big. Results are written over
// operands too.
func checkField(t rapid.TB, u unit, bx, by *big.Int) {
	t.Helper()
	x, y := fromBig(bx), fromBig(by)
	rInverse := invMod(bigR, bigP)
	check := func(name string, got element, want *big.Int) {
		t.Helper()
		if toBig(got).Cmp(want) != 0 {
			t.Fatalf("%s: %s of %x and %x is %x, want %x", u, name, bx, by, toBig(got), want)
		}
	}
	for name, op := range map[string]struct {
		do   func(z, x, y *element)
		want *big.Int
	}{
		"product":    {u.mul, mulMod(mulMod(bx, by, bigP), rInverse, bigP)},
		"sum":        {add, addMod(bx, by, bigP)},
		"difference": {subtract, subMod(bx, by, bigP)},
	} {
		z := element{1, 2, 3, 4} // what was there before does not count
		op.do(&z, &x, &y)
		check(name, z, op.want)
		if toBig(x).Cmp(bx) != 0 || toBig(y).Cmp(by) != 0 {
			t.Fatalf("%s: %s has changed an operand", u, name)
		}
		z = x
		op.do(&z, &z, &y)
		check(name+" over the first", z, op.want)
		z = y
		op.do(&z, &x, &z)
		check(name+" over the second", z, op.want)
	}
	z := element{1, 2, 3, 4}
	u.square(&z, &x)
	want := mulMod(mulMod(bx, bx, bigP), rInverse, bigP)
	check("square", z, want)
	z = x
	u.square(&z, &z)
	check("square in place", z, want)
	u.mul(&z, &x, &x)
	check("product with itself", z, want)
	z = x
	halve(&z)
	check("half", z, mulMod(bx, invMod(big.NewInt(2), bigP), bigP))
	if bx.Sign() != 0 {
		u.invert(&z, &x)
		check("inverse", z, mulMod(mulMod(bigR, bigR, bigP), invMod(bx, bigP), bigP))
	}
}

func TestFieldEdges(t *testing.T) {
	for _, u := range available() {
		list := edges(bigP)
		for i, x := range list {
			for j, y := range list {
				if (i+j)%4 == 0 {
					checkField(t, u, x, y)
				}
			}
		}
	}
}

// TestFieldResults chooses the second operand for the product to be an edge, and the operand of a square for the square.
func TestFieldResults(t *testing.T) {
	r := seeded(6)
	for _, u := range available() {
		for _, want := range edges(bigP) {
			wanted := mulMod(want, bigR, bigP)
			for range 4 {
				x := randomBelow(r, bigP)
				checkField(t, u, x, mulMod(wanted, invMod(x, bigP), bigP))
				checkField(t, u, x, subMod(want, x, bigP))
				checkField(t, u, x, subMod(x, want, bigP))
			}
			if root := new(big.Int).ModSqrt(wanted, bigP); root != nil {
				checkField(t, u, root, want)
				checkField(t, u, mod(new(big.Int).Neg(root), bigP), want)
			}
		}
	}
}

func TestFieldProperties(t *testing.T) {
	for _, u := range available() {
		t.Run(u.String(), rapid.MakeCheck(func(t *rapid.T) {
			checkField(t, u, below(bigP).Draw(t, "x"), below(bigP).Draw(t, "y"))
		}))
	}
}

// checkOrder compares the arithmetic modulo n with math/big. x is any number below 2^256.
func checkOrder(t rapid.TB, bx, by *big.Int) {
	t.Helper()
	x, y := fromBig(bx), fromBig(by)
	want := mulMod(mulMod(bx, by, bigN), invMod(bigR, bigN), bigN)
	if got := mulOrder(&x, &y); toBig(got).Cmp(want) != 0 {
		t.Fatalf("product of %x and %x is %x, want %x", bx, by, toBig(got), want)
	}
	if by.Sign() != 0 {
		if got := inverse(&y, &order); toBig(got).Cmp(invMod(by, bigN)) != 0 {
			t.Fatalf("inverse of %x is %x", by, toBig(got))
		}
	}
	// The digits are the bits in their places, and the sum is the number again.
	d, sum := recode(&y), new(big.Int)
	for s := range subtables {
		for c := range columns {
			for j := range teeth {
				power := new(big.Int).Lsh(bigOne, uint(32*j+8*s+c))
				if d[s]>>(8*c+j)&1 != 0 {
					sum.Add(sum, power)
				} else {
					sum.Sub(sum, power)
				}
			}
		}
	}
	if mod(sum, bigN).Cmp(by) != 0 {
		t.Fatalf("the digits of %x stand for %x", by, mod(sum, bigN))
	}
}

func TestOrderEdges(t *testing.T) {
	for i, x := range append(edges(bigR), plus(bigN, 0), plus(bigN, 1), plus(bigN, -1)) {
		for j, y := range edges(bigN) {
			if (i+j)%4 == 0 {
				checkOrder(t, x, y)
			}
		}
	}
}

func TestOrderProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkOrder(t, below(bigR).Draw(t, "x"), below(bigN).Draw(t, "y"))
	})
}

// TestSteps compares a matrix with that of as many single steps, by their definition.
func TestSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, g := rapid.Uint64().Draw(t, "f")|1, rapid.Uint64().Draw(t, "g")
		count := rapid.IntRange(-300, 300).Draw(t, "count")
		c, m := steps(count, f, g)

		x, y := new(big.Int).SetUint64(f), new(big.Int).SetUint64(g)
		u, v, q, r := big.NewInt(1), new(big.Int), new(big.Int), big.NewInt(1)
		for range stepCount {
			odd := y.Bit(0) != 0
			if odd && count > 0 {
				count = -count
				x, y = y, new(big.Int).Neg(x)
				u, v, q, r = q, r, new(big.Int).Neg(u), new(big.Int).Neg(v)
			}
			if odd {
				y, q, r = new(big.Int).Add(y, x), new(big.Int).Add(q, u), new(big.Int).Add(r, v)
			}
			count++
			y = new(big.Int).Rsh(y, 1)
			u, v = new(big.Int).Lsh(u, 1), new(big.Int).Lsh(v, 1)
		}
		for name, entry := range map[string]struct {
			got  int64
			want *big.Int
		}{"u": {m.u, u}, "v": {m.v, v}, "q": {m.q, q}, "r": {m.r, r}} {
			if entry.want.Cmp(big.NewInt(entry.got)) != 0 {
				t.Fatalf("%s = %d, want %d", name, entry.got, entry.want)
			}
		}
		if c != count {
			t.Fatalf("count = %d, want %d", c, count)
		}
	})
}

// TestDivide divides sums up to the bound that is given for them, and sees that what is left keeps its own.
func TestDivide(t *testing.T) {
	toWide := func(n *big.Int) (z wide) {
		limb := new(big.Int).SetUint64(1<<64 - 1)
		for i := range z { // And takes a negative number in two's complement
			z[i] = new(big.Int).And(new(big.Int).Rsh(n, uint(64*i)), limb).Uint64()
		}
		return z
	}
	fromWide := func(z wide) *big.Int {
		n := big.NewInt(int64(z[4]))
		return n.Lsh(n, 256).Add(n, toBig([4]uint64(z[:4])))
	}
	check := func(t rapid.TB, n *big.Int, m *modulus) {
		t.Helper()
		z, size := toWide(n), toBig(m.limbs)
		z.divide(m)
		got := fromWide(z)
		if got.CmpAbs(size) > 0 || subMod(new(big.Int).Lsh(got, stepCount), n, size).Sign() != 0 {
			t.Fatalf("%x/2^62 is %x modulo %x", n, got, size)
		}
	}
	for _, m := range []*modulus{&fieldPrime, &order} {
		size := toBig(m.limbs)
		most := new(big.Int).Lsh(size, stepCount)
		for _, n := range append(edges(size), most, plus(most, -1), new(big.Int).Rsh(most, 1), plus(new(big.Int).Lsh(size, stepCount-1), 1)) {
			check(t, n, m)
			check(t, new(big.Int).Neg(n), m)
		}
		rapid.Check(t, func(t *rapid.T) {
			n := new(big.Int).Mul(below(size).Draw(t, "number"), big.NewInt(rapid.Int64Range(-1<<stepCount, 1<<stepCount).Draw(t, "factor")))
			check(t, n, m)
		})
	}
}

func TestConstants(t *testing.T) {
	form := func(n *big.Int) [4]uint64 { return fromBig(mulMod(n, bigR, bigP)) }
	k0 := func(m *big.Int) uint64 {
		base := new(big.Int).Lsh(bigOne, 64)
		return mod(new(big.Int).Neg(invMod(m, base)), base).Uint64()
	}
	for name, c := range map[string]struct{ got, want [4]uint64 }{
		"p":    {fieldPrime.limbs, fromBig(bigP)},
		"n":    {order.limbs, fromBig(bigN)},
		"1":    {one, form(bigOne)},
		"R":    {rr, form(bigR)},
		"R^2":  {rrr, form(new(big.Int).Mul(bigR, bigR))},
		"b":    {curveB, form(curve.B)},
		"Gx":   {base.x, form(curve.Gx)},
		"Gy":   {base.y, form(curve.Gy)},
		"p-n":  {primeMinusOrder, fromBig(new(big.Int).Sub(bigP, bigN))},
		"RR":   {orderRR, fromBig(mulMod(bigR, bigR, bigN))},
		"ones": {allOnes, fromBig(mod(plus(bigR, -1), bigN))},
		"-1/p": {[4]uint64{fieldPrime.k0}, [4]uint64{k0(bigP)}},
		"-1/n": {[4]uint64{order.k0}, [4]uint64{k0(bigN)}},
	} {
		if c.got != c.want {
			t.Errorf("%s is %x, want %x", name, c.got, c.want)
		}
	}
}

// FuzzArithmetic takes two numbers, one after the other.
func FuzzArithmetic(f *testing.F) {
	for _, x := range []*big.Int{bigP, bigN, plus(bigR, -1), bigOne} {
		f.Add(append(x.FillBytes(make([]byte, 32)), plus(bigP, -1).Bytes()...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var both [64]byte
		copy(both[:], data)
		x, y := new(big.Int).SetBytes(both[:32]), new(big.Int).SetBytes(both[32:])
		for _, u := range available() {
			checkField(t, u, mod(x, bigP), mod(y, bigP))
		}
		checkOrder(t, x, mod(y, bigN))
	})
}

func BenchmarkField(b *testing.B) {
	for _, u := range available() {
		b.Run(u.String()+"/mul", func(b *testing.B) {
			x := rr
			for b.Loop() {
				u.mul(&x, &x, &rr)
			}
		})
		b.Run(u.String()+"/square", func(b *testing.B) {
			x := rr
			for b.Loop() {
				u.square(&x, &x)
			}
		})
	}
	b.Run("inverse", func(b *testing.B) {
		x := rr
		for b.Loop() {
			x = inverse(&x, &order)
		}
	})
}
