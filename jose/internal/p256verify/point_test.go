package p256verify

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"testing"
)

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 2)) }

// randomBelow returns a number from 1 to m-1.
func randomBelow(r *rand.Rand, m *big.Int) *big.Int {
	return plus(mod(toBig([4]uint64{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}), plus(m, -1)), 1)
}

// encoded is kG as crypto/ecdsa has it, for a k that is not 0 modulo n.
func encoded(tb testing.TB, k *big.Int) []byte {
	tb.Helper()
	b, err := signer(tb, mod(k, bigN)).PublicKey.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// multiple is kG as a point of the table sort.
func multiple(tb testing.TB, u unit, k *big.Int) affine {
	tb.Helper()
	q, ok := u.newAffine(encoded(tb, k))
	if !ok {
		tb.Fatalf("%x G is refused", k)
	}
	return q
}

// projected is kG, or infinity, with a random z.
func projected(tb testing.TB, u unit, r *rand.Rand, k *big.Int) (p point) {
	tb.Helper()
	z, zz := fromBig(randomBelow(r, bigP)), element{}
	u.square(&zz, &z)
	p.x, p.y = z, zz // infinity has no coordinates, so any will do
	if mod(k, bigN).Sign() == 0 {
		return p
	}
	q := multiple(tb, u, k)
	u.mul(&p.x, &q.x, &zz)
	u.mul(&zz, &zz, &z)
	u.mul(&p.y, &q.y, &zz)
	p.z = z
	return p
}

// checkPoint fails if p is not kG.
func checkPoint(t *testing.T, u unit, what string, p point, k *big.Int) {
	t.Helper()
	infinity := mod(k, bigN).Sign() == 0
	if infinity != (p.z == element{}) {
		t.Fatalf("%s: %s: infinity is %v, want %v", u, what, !infinity, infinity)
	}
	if infinity {
		return
	}
	var q [1]affine
	u.normalize(q[:], []point{p})
	if want := multiple(t, u, k); q[0] != want {
		t.Fatalf("%s: %s is %x, want %x", u, what, q[0], want)
	}
}

// TestAdd has every case of the addition: two points, the same twice, opposite ones, infinity.
func TestAdd(t *testing.T) {
	r := seeded(1)
	for _, u := range available() {
		list := []*big.Int{new(big.Int), bigOne, big.NewInt(2), big.NewInt(3), plus(bigN, -1), plus(bigN, -2), randomBelow(r, bigN), randomBelow(r, bigN)}
		list = append(list, new(big.Int).Sub(bigN, list[6]))
		for _, k := range list {
			p := projected(t, u, r, k)
			double := p
			u.double(&double)
			checkPoint(t, u, "the double", double, new(big.Int).Lsh(k, 1))
			for _, l := range list {
				if l.Sign() == 0 {
					continue // no point of a table is infinity
				}
				q, sum := multiple(t, u, l), p
				u.add(&sum, &q)
				checkPoint(t, u, "the sum", sum, new(big.Int).Add(k, l))
				u.double(&sum) // and its double, also of infinity
				checkPoint(t, u, "the double of the sum", sum, new(big.Int).Lsh(new(big.Int).Add(k, l), 1))
				q.negate()
				difference := p
				u.add(&difference, &q)
				checkPoint(t, u, "the difference", difference, new(big.Int).Sub(k, l))
			}
		}
	}
}

// TestFormulas compares the halves of the addition with the portable ones, which are put together of operations that
// are tested one by one. They are formulas: what they are given need not be points.
func TestFormulas(t *testing.T) {
	r, list := seeded(7), edges(bigP)
	pick := func() element {
		if r.IntN(3) == 0 {
			return fromBig(randomBelow(r, bigP))
		}
		return fromBig(list[r.IntN(len(list))])
	}
	rounds := 20_000
	if testing.Short() {
		rounds /= 10
	}
	for _, u := range available() {
		for round := range rounds {
			p, q := point{pick(), pick(), pick()}, affine{pick(), pick()}
			var h, m, wantH, wantM element
			if round%2 == 0 { // the differences are at the edges
				p.x, p.y = element{}, element{}
				slopePortable(&wantH, &wantM, &p, &q)
				h, m = pick(), pick()
				subtract(&p.x, &wantH, &h)
				subtract(&p.y, &wantM, &m)
			}
			before, beforeQ := p, q
			u.slope(&h, &m, &p, &q)
			slopePortable(&wantH, &wantM, &p, &q)
			if h != wantH || m != wantM || p != before || q != beforeQ {
				t.Fatalf("%s: slope of %x and %x is %x, %x, want %x, %x", u, p, q, h, m, wantH, wantM)
			}
			h, m = pick(), pick()
			want := p
			wantH, wantM = h, m
			u.chord(&p, &h, &m)
			chordPortable(&want, &wantH, &wantM)
			if p != want || m != wantM {
				t.Fatalf("%s: chord from %x is %x, want %x", u, before, p, want)
			}
		}
	}
}

func TestNewAffine(t *testing.T) {
	good := encoded(t, big.NewInt(5))
	x, y := new(big.Int).SetBytes(good[1:33]), new(big.Int).SetBytes(good[33:])
	from := func(x, y *big.Int) []byte { return append([]byte{4}, raw(x, y)...) }
	flipped := bytes.Clone(good)
	flipped[64] ^= 1
	for name, b := range map[string][]byte{
		"empty":                nil,
		"infinity":             {0},
		"compressed":           append([]byte{2}, good[1:33]...),
		"hybrid":               append([]byte{6}, good[1:]...),
		"a byte short":         good[:64],
		"a byte long":          append(bytes.Clone(good), 0),
		"a bit of y":           flipped,
		"exchanged":            from(y, x),
		"0, 0":                 from(new(big.Int), new(big.Int)),
		"y = 0":                from(x, new(big.Int)),
		"x + p, for a small x": from(new(big.Int).Add(smallX(t), bigP), new(big.Int).ModSqrt(rightSide(smallX(t)), bigP)),
		"p, p":                 from(bigP, bigP),
		"all ones":             from(plus(bigR, -1), plus(bigR, -1)),
	} {
		for _, u := range available() {
			if _, ok := u.newAffine(b); ok {
				t.Errorf("%s: %s is taken", u, name)
			}
		}
	}
	for _, u := range available() {
		q, ok := u.newAffine(from(smallX(t), new(big.Int).ModSqrt(rightSide(smallX(t)), bigP)))
		if !ok || !u.onCurve(&q) {
			t.Errorf("%s: the point with the small x is refused", u)
		}
	}
}

// smallX is the least x-coordinate of a point.
func smallX(tb testing.TB) *big.Int {
	tb.Helper()
	for x := int64(0); x < 100; x++ {
		if new(big.Int).ModSqrt(rightSide(big.NewInt(x)), bigP) != nil {
			return big.NewInt(x)
		}
	}
	tb.Fatal("no point has a small x")
	return nil
}

func TestTable(t *testing.T) {
	r := seeded(2)
	for _, u := range available() {
		for _, k := range []*big.Int{bigOne, plus(bigN, -1), randomBelow(r, bigN)} {
			q := multiple(t, u, k)
			table := u.newTable(&q)
			for s := range table {
				for i := range table[s] {
					if i%17 != 0 && i < 120 {
						continue
					}
					sum := new(big.Int)
					for j := range teeth {
						power := new(big.Int).Lsh(bigOne, uint(32*j+8*s))
						if j == teeth-1 || i>>j&1 != 0 {
							sum.Add(sum, power)
						} else {
							sum.Sub(sum, power)
						}
					}
					if want := multiple(t, u, sum.Mul(sum, k)); table[s][i] != want {
						t.Fatalf("%s: point %d of subtable %d is %x, want %x", u, i, s, table[s][i], want)
					}
				}
			}
		}
	}
	if *fastest().newTable(&base) != *baseTable() {
		t.Error("the table of the generator is another")
	}
}

// TestMultiply has keys that are small multiples of the generator, and factors at the ends, so that the
// same points meet again and again.
func TestMultiply(t *testing.T) {
	factors := []*big.Int{new(big.Int), bigOne, big.NewInt(2), big.NewInt(3), plus(bigN, -1), plus(bigN, -2),
		new(big.Int).Rsh(bigN, 1), new(big.Int).Lsh(bigOne, 8), new(big.Int).Lsh(bigOne, 32), new(big.Int).Lsh(bigOne, 255), mod(plus(bigR, -1), bigN)}
	for _, u := range available() {
		for _, a := range []*big.Int{bigOne, big.NewInt(2), big.NewInt(3), plus(bigN, -1), plus(bigN, -2), new(big.Int).Lsh(bigOne, 8), new(big.Int).Lsh(bigOne, 32), invMod(big.NewInt(2), bigN)} {
			q := multiple(t, u, a)
			table := u.newTable(&q)
			for _, k := range factors {
				for _, l := range factors {
					bk, bl := fromBig(k), fromBig(l)
					p := u.multiply(baseTable(), table, &bk, &bl)
					checkPoint(t, u, "the sum", p, new(big.Int).Add(k, new(big.Int).Mul(a, l)))
				}
			}
		}
	}
}

// rightSide is x^3 - 3x + b.
func rightSide(x *big.Int) *big.Int {
	z := new(big.Int).Exp(x, big.NewInt(3), bigP)
	z.Sub(z, new(big.Int).Mul(x, big.NewInt(3)))
	return z.Add(z, curve.B).Mod(z, bigP)
}
