package p256verify

import (
	"fmt"
	"math/big"
	"testing"
)

// step is one addition of multiply: the point of a digit of the generator, or of the key.
type step struct {
	column, subtable int
	key              bool
	factor           *big.Int // of the generator, or of the key
}

// additions lists the steps of uG + vQ, computed with math/big.
func additions(u, v *big.Int) (list []step) {
	half := invMod(big.NewInt(2), bigN)
	recoded := func(k *big.Int) *big.Int { return mulMod(new(big.Int).Add(k, plus(bigR, -1)), half, bigN) }
	ku, kv := recoded(u), recoded(v)
	for c := columns - 1; c >= 0; c-- {
		for s := range subtables {
			for _, key := range []bool{false, true} {
				k := ku
				if key {
					k = kv
				}
				factor := new(big.Int)
				for j := range teeth {
					power := new(big.Int).Lsh(bigOne, uint(32*j+8*s))
					if k.Bit(32*j+8*s+c) == 0 {
						power.Neg(power)
					}
					factor.Add(factor, power)
				}
				list = append(list, step{c, s, key, factor})
			}
		}
	}
	return list
}

// keyFor returns the a for which, in uG + vQ with Q = aG, the sum before the given step is the point
// that this step adds, or its opposite. It is nil if no a does.
//
// Before the step the sum is (x + ay)G, with x and y from the steps before; what is added is fG or faG. So
// x + ay = f or x + ay = fa.
func keyFor(list []step, at int, opposite bool) *big.Int {
	x, y := new(big.Int), new(big.Int)
	for i, s := range list[:at+1] {
		if i > 0 && s.column != list[i-1].column {
			x.Lsh(x, 1)
			y.Lsh(y, 1)
		}
		if i == at {
			break
		}
		if s.key {
			y.Add(y, s.factor)
		} else {
			x.Add(x, s.factor)
		}
	}
	f := new(big.Int).Set(list[at].factor)
	if opposite {
		f.Neg(f)
	}
	numerator, denominator := subMod(f, x, bigN), mod(y, bigN)
	if list[at].key {
		numerator, denominator = mod(x, bigN), subMod(f, y, bigN)
	}
	if numerator.Sign() == 0 || denominator.Sign() == 0 {
		return nil
	}
	return mulMod(numerator, invMod(denominator, bigN), bigN)
}

// replay makes the additions before a step, and reports what relation the sum and the point of the step have.
func replay(u unit, table *table, list []step, at int, bu, bv *big.Int) (same, opposite bool) {
	ku, kv := fromBig(bu), fromBig(bv)
	du, dv := recode(&ku), recode(&kv)
	var p point
	for i, s := range list[:at+1] {
		if i > 0 && s.column != list[i-1].column {
			u.double(&p)
		}
		from, d := baseTable(), du[s.subtable]
		if s.key {
			from, d = table, dv[s.subtable]
		}
		digit := uint8(d >> (8 * s.column))
		if i < at {
			u.addDigit(&p, &from[s.subtable], digit)
			continue
		}
		var q point
		u.addDigit(&q, &from[s.subtable], digit)
		var both [2]affine
		u.normalize(both[:], []point{p, q})
		same = both[0] == both[1]
		both[1].negate()
		opposite = both[0] == both[1]
	}
	return same, opposite
}

// TestExceptionalSteps makes, for each addition of a verification, a key and signatures with which it adds a point to
// itself, and others with which the sum is infinity there. All of them are good signatures, but for the last
// addition, after which infinity is the result.
func TestExceptionalSteps(t *testing.T) {
	r := seeded(4)
	for _, u := range available() {
		count := 0
		for at := 1; at < 2*subtables*columns; at++ {
			for _, opposite := range []bool{false, true} {
				name := fmt.Sprintf("%s: step %d, opposite %v", u, at, opposite)
				bu, bv := randomBelow(r, bigN), randomBelow(r, bigN)
				list := additions(bu, bv)
				a := keyFor(list, at, opposite)
				if a == nil {
					t.Fatalf("%s: no key", name)
				}
				k := ready(t, &signer(t, a).PublicKey, u)
				isSame, isOpposite := replay(u, k.table.Load(), list, at, bu, bv)
				if isSame == opposite || isOpposite != opposite {
					t.Fatalf("%s: the points are the same: %v, opposite: %v", name, isSame, isOpposite)
				}
				digest, signature := craft(t, a, bu, bv)
				want := !opposite || at < len(list)-1
				if agree(t, k, digest, signature) != want {
					t.Fatalf("%s: taken is %v", name, !want)
				}
				signature[5] ^= 1
				if agree(t, k, digest, signature) {
					t.Fatalf("%s: a changed signature is taken", name)
				}
				count++
			}
		}
		if count != 2*(2*subtables*columns-1) {
			t.Errorf("%s: %d cases", u, count)
		}
	}
}

// FuzzVerify compares with crypto/ecdsa. The input is a private key, and either a digest and a signature or two factors
// for which those are made, perhaps so that one of the steps is exceptional.
func FuzzVerify(f *testing.F) {
	number := func(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
	r := seeded(5)
	for _, d := range []*big.Int{bigOne, plus(bigN, -1), big.NewInt(7)} {
		f.Add(uint8(0), number(d), number(bigN), number(bigOne), number(plus(bigN, -1)))
		f.Add(uint8(1), number(d), number(new(big.Int)), number(bigOne), number(bigOne))
		f.Add(uint8(1), number(d), number(randomBelow(r, bigN)), number(randomBelow(r, bigN)), number(bigOne))
		f.Add(uint8(2), number(d), number(randomBelow(r, bigN)), number(randomBelow(r, bigN)), number(big.NewInt(40)))
		f.Add(uint8(3), number(d), number(randomBelow(r, bigN)), number(randomBelow(r, bigN)), number(big.NewInt(63)))
	}
	f.Fuzz(func(t *testing.T, kind uint8, key, first, second, third []byte) {
		limited := func(b []byte, m *big.Int) *big.Int { return mod(new(big.Int).SetBytes(b[:min(len(b), 32)]), m) }
		a, v := plus(limited(key, plus(bigN, -1)), 1), plus(limited(second, plus(bigN, -1)), 1)
		u := limited(first, bigN)
		digest, signature := number(limited(first, bigR)), raw(limited(second, bigR), limited(third, bigR))
		switch kind % 4 {
		case 1:
			digest, signature = craft(t, a, u, v)
		case 2, 3:
			at := 1 + int(limited(third, big.NewInt(2*subtables*columns-1)).Int64())
			if exceptional := keyFor(additions(u, v), at, kind%4 == 3); exceptional != nil {
				a = exceptional
			}
			digest, signature = craft(t, a, u, v)
		}
		for _, unit := range available() {
			agree(t, ready(t, &signer(t, a).PublicKey, unit), digest, signature)
		}
	})
}
