package rsaverify

import (
	"bytes"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

var (
	units = []unit{portable, unitADX, unitIFMA}
	sizes = []int{2048, 3072, 4096}
)

func (u unit) String() string { return [...]string{"portable", "ADX", "IFMA"}[u] }

// available are the units that this processor has: every one is tested, not only the fastest.
func available() []unit {
	return slices.DeleteFunc(slices.Clone(units), func(u unit) bool { return !supported(u) })
}

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 2)) }

func bigger(a *big.Int, b int64) *big.Int { return new(big.Int).Add(a, big.NewInt(b)) }

// number returns up to the given number of bits: random ones, or long runs of ones and zeros, which
// make long carries.
func number(r *rand.Rand, bits int) *big.Int {
	z := new(big.Int)
	for z.BitLen() < bits {
		run := 64
		switch word := new(big.Int).SetUint64(r.Uint64()); r.IntN(4) {
		case 0, 1:
			z.Lsh(z, uint(run)).Or(z, word)
		default:
			run = 1 + r.IntN(300)
			ones := new(big.Int).Lsh(big.NewInt(1), uint(run))
			z.Lsh(z, uint(run))
			if z.Sign() == 0 || r.IntN(2) == 0 {
				z.Or(z, ones.Sub(ones, big.NewInt(1)))
			}
		}
	}
	return z.Rsh(z, uint(z.BitLen()-bits))
}

// moduli are odd and of exactly the given bits: random, and those at the ends of the range.
func moduli(r *rand.Rand, bits, random int) []*big.Int {
	top := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	list := []*big.Int{
		bigger(top, 1),
		bigger(new(big.Int).Lsh(top, 1), -1),
		bigger(new(big.Int).Lsh(top, 1), -3),
		new(big.Int).SetBit(new(big.Int).Add(top, new(big.Int).Rsh(top, 1)), 0, 1),
	}
	for range random {
		n := number(r, bits)
		list = append(list, n.SetBit(n, 0, 1))
	}
	return list
}

// bound is what the operands of f are below: the factor of Montgomery form, or 2n.
func (f *field) bound() *big.Int {
	if f.radix == 52 {
		return new(big.Int).Lsh(f.big(&f.n), 1)
	}
	return new(big.Int).Lsh(big.NewInt(1), uint(64*f.count))
}

func (f *field) big(z *limbs) *big.Int {
	n := new(big.Int)
	for i := f.count - 1; i >= 0; i-- {
		n.Lsh(n, uint(f.radix)).Or(n, new(big.Int).SetUint64(z[i]))
	}
	return n
}

func (f *field) limbs(n *big.Int) (z limbs) {
	n = new(big.Int).Set(n)
	mask := new(big.Int).SetUint64(f.mask())
	for i := range f.count {
		z[i] = new(big.Int).And(n, mask).Uint64()
		n.Rsh(n, uint(f.radix))
	}
	if n.Sign() != 0 {
		panic("number does not fit")
	}
	return z
}

// checkProduct multiplies and compares with math/big: z is below the bound, all above its limbs
// is 0, no limb is too large, and zR = xy modulo n.
func checkProduct(t *testing.T, f *field, n, x, y *big.Int) *big.Int {
	t.Helper()
	xl, yl := f.limbs(x), f.limbs(y)
	var zl limbs
	for i := range (f.count + 7) / 8 * 8 {
		zl[i] = ^uint64(0) // what was there before does not count
	}
	f.mul(&zl, &xl, &yl)
	z := f.big(&zl)
	for i, limb := range zl {
		if limb > f.mask() || i >= f.count && limb != 0 {
			t.Fatalf("%s: limb %d of %x * %x mod %x is %x", f.unit, i, x, y, n, limb)
		}
	}
	if z.Cmp(f.bound()) >= 0 {
		t.Fatalf("%s: %x * %x mod %x = %x: too large", f.unit, x, y, n, z)
	}
	left := new(big.Int).Lsh(z, uint(f.radix*f.count))
	left.Sub(left, new(big.Int).Mul(x, y))
	if left.Rem(left, n).Sign() != 0 {
		t.Fatalf("%s: %x * %x mod %x = %x: wrong", f.unit, x, y, n, z)
	}
	if xl != f.limbs(x) || yl != f.limbs(y) || f.limbs(n) != f.n {
		t.Fatalf("%s: an operand has changed", f.unit)
	}
	return z
}

func TestMultiplyEdges(t *testing.T) {
	for _, u := range available() {
		t.Run(u.String(), func(t *testing.T) {
			r := seeded(1)
			for _, size := range sizes {
				for _, n := range moduli(r, size, 8) {
					var f field
					f.init(n, u)
					bound := f.bound()
					values := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), bigger(n, -1), n, bigger(bound, -1), bigger(bound, -2)}
					for _, bits := range []int{51, 52, 53, 63, 64, 65, 104, 128, size / 2, size - 53, size - 52, size - 1} {
						p := new(big.Int).Lsh(big.NewInt(1), uint(bits))
						values = append(values, p, bigger(p, -1))
					}
					if above := bigger(n, 1); above.Cmp(bound) < 0 {
						values = append(values, above)
					}
					for _, x := range values {
						for _, y := range values {
							checkProduct(t, &f, n, x, y)
						}
					}
				}
			}
		})
	}
}

// products is how many random products are compared with math/big, over all units and sizes;
// -products=1000000 is for changes of the multiplication.
var products = flag.Int("products", 100_000, "random products to compare with math/big")

func TestMultiplyRandom(t *testing.T) {
	count := *products
	if testing.Short() {
		count /= 10
	}
	const perModulus = 100
	for _, u := range available() {
		t.Run(u.String(), func(t *testing.T) {
			r := seeded(3)
			for _, size := range sizes {
				for range count / len(sizes) / len(units) / perModulus {
					n := moduli(r, size, 1)[r.IntN(5)]
					var f field
					f.init(n, u)
					bound := f.bound()
					x := new(big.Int).Mod(number(r, size+1), bound)
					for i := range perModulus {
						y := x
						if i%2 == 0 {
							y = new(big.Int).Mod(number(r, size+1), bound)
						}
						x = checkProduct(t, &f, n, x, y)
					}
				}
			}
		})
	}
}

// The vector unit may write its result over an operand.
func TestMultiplyInPlace(t *testing.T) {
	if !supported(unitIFMA) {
		t.Skip("this processor has no AVX-512 IFMA")
	}
	r := seeded(4)
	for _, size := range sizes {
		n := moduli(r, size, 1)[4]
		var f field
		f.init(n, unitIFMA)
		x, y := f.limbs(number(r, size)), f.limbs(number(r, size))
		var want, square limbs
		f.mul(&want, &x, &y)
		f.mul(&square, &x, &x)
		a, b, c := x, y, x
		f.mul(&a, &a, &y)
		f.mul(&b, &x, &b)
		f.mul(&c, &c, &c)
		if a != want || b != want || c != square {
			t.Errorf("%d bits: in place the product is another", size)
		}
	}
}

func TestConversion(t *testing.T) {
	for _, u := range available() {
		t.Run(u.String(), func(t *testing.T) {
			r := seeded(5)
			for _, size := range sizes {
				for _, n := range moduli(r, size, 20) {
					var f field
					f.init(n, u)
					b := n.FillBytes(make([]byte, size/8))
					var z limbs
					f.split(&z, b)
					if f.big(&z).Cmp(n) != 0 || z != f.n {
						t.Fatalf("%x is split wrong", n)
					}
					out := make([]byte, size/8)
					f.join(out, &z)
					if string(out) != string(b) {
						t.Fatalf("%x is joined wrong: %x", n, out)
					}
				}
			}
		})
	}
}

func TestReduce(t *testing.T) {
	for _, u := range available() {
		t.Run(u.String(), func(t *testing.T) {
			r := seeded(6)
			for _, size := range sizes {
				for _, n := range moduli(r, size, 5) {
					var f field
					f.init(n, u)
					values := []*big.Int{new(big.Int), bigger(n, -1), n, bigger(n, 1), bigger(new(big.Int).Lsh(n, 1), -1), number(r, size)}
					for _, v := range values {
						if v.BitLen() > f.radix*f.count {
							continue // below 2n, but no number of this radix
						}
						z := f.limbs(v)
						f.reduce(&z)
						if want := new(big.Int).Mod(v, n); f.big(&z).Cmp(want) != 0 {
							t.Fatalf("%x mod %x = %x", v, n, f.big(&z))
						}
					}
				}
			}
		})
	}
}

// FuzzMultiply takes a size, and modulus and operands one after the other.
func FuzzMultiply(f *testing.F) {
	f.Add(uint8(0), []byte{1})
	f.Add(uint8(1), bytes.Repeat([]byte{0xff}, 3*3072/8))
	r := seeded(7)
	for i, size := range sizes {
		f.Add(uint8(i), number(r, 3*size).Bytes())
	}
	f.Fuzz(func(t *testing.T, choice uint8, data []byte) {
		size := sizes[int(choice)%len(sizes)]
		var operands [3]*big.Int
		for i := range operands {
			part := data[:min(len(data), size/8)]
			data = data[len(part):]
			operands[i] = new(big.Int).SetBytes(part)
		}
		n, x, y := operands[0], operands[1], operands[2]
		n.SetBit(n.SetBit(n, 0, 1), size-1, 1)
		for _, u := range available() {
			var field field
			field.init(n, u)
			a, b := new(big.Int).Mod(x, field.bound()), new(big.Int).Mod(y, field.bound())
			checkProduct(t, &field, n, checkProduct(t, &field, n, a, b), a)
			checkProduct(t, &field, n, b, b)
		}
	})
}

func BenchmarkMultiply(b *testing.B) {
	for _, size := range sizes {
		for _, u := range available() {
			b.Run(fmt.Sprintf("%d/%s", size, u), func(b *testing.B) {
				var f field
				r := seeded(8)
				f.init(moduli(r, size, 1)[4], u)
				x, y := f.rr, limbs{}
				for b.Loop() {
					f.mul(&y, &x, &x)
				}
			})
		}
	}
}
