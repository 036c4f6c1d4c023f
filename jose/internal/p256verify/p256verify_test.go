package p256verify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"sync"
	"testing"
)

// signer is a private key that is not random, so that failures come again.
func signer(tb testing.TB, d *big.Int) *ecdsa.PrivateKey {
	tb.Helper()
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	return private
}

// ready returns a key with its table.
func ready(tb testing.TB, public *ecdsa.PublicKey, u unit) *Key {
	tb.Helper()
	k, ok := newKey(public, u)
	if !ok {
		tb.Fatal("the key is refused")
	}
	k.table.Store(u.newTable(&k.point))
	return k
}

// raw is a signature as it is in a token; r and s are below 2^256.
func raw(r, s *big.Int) []byte {
	b := make([]byte, signatureSize)
	r.FillBytes(b[:32])
	s.FillBytes(b[32:])
	return b
}

func sign(tb testing.TB, private *ecdsa.PrivateKey, digest []byte) []byte {
	tb.Helper()
	r, s, err := ecdsa.Sign(rand.Reader, private, digest)
	if err != nil {
		tb.Fatal(err)
	}
	return raw(r, s)
}

// agree fails if a key says other than crypto/ecdsa.
func agree(t *testing.T, k *Key, digest, signature []byte) bool {
	t.Helper()
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	want := ecdsa.Verify(k.public, digest, r, s)
	if got := k.Verify(digest, signature); got != want {
		point, _ := k.public.Bytes()
		t.Fatalf("%s: key %x, digest %x, signature %x: %v, and crypto/ecdsa says %v", k.unit, point, digest, signature, got, want)
	}
	return want
}

// craft returns the digest and the signature for which the verifier computes uG + vQ for Q = aG, and which
// are right if that is not infinity. u is the digest's number divided by s, and v is r divided by s.
func craft(tb testing.TB, a, u, v *big.Int) (digest, signature []byte) {
	tb.Helper()
	r := big.NewInt(1) // nothing is right for infinity
	if sum := addMod(u, mulMod(a, v, bigN), bigN); sum.Sign() != 0 {
		r = mod(new(big.Int).SetBytes(encoded(tb, sum)[1:33]), bigN)
	}
	s := mulMod(r, invMod(v, bigN), bigN)
	return mulMod(u, s, bigN).FillBytes(make([]byte, digestSize)), raw(r, s)
}

func TestNew(t *testing.T) {
	good := &signer(t, big.NewInt(5)).PublicKey
	point := encoded(t, big.NewInt(5))
	x, y := new(big.Int).SetBytes(point[1:33]), new(big.Int).SetBytes(point[33:])
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, public := range map[string]*ecdsa.PublicKey{
		"P-384":              &other.PublicKey,
		"no curve":           {X: x, Y: y},
		"generic parameters": {Curve: curve, X: x, Y: y},
		"infinity":           {Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)},
		"not on the curve":   {Curve: elliptic.P256(), X: y, Y: x},
		"x+p":                {Curve: elliptic.P256(), X: new(big.Int).Add(x, bigP), Y: y},
		"negative":           {Curve: elliptic.P256(), X: x, Y: new(big.Int).Neg(y)},
	} {
		if _, ok := New(public); ok {
			t.Errorf("%s is taken", name)
		}
	}
	if k, ok := New(good); ok != pays || ok && (k.unit != fastest() || k.table.Load() != nil) {
		t.Errorf("a good key: %v", ok)
	}
}

// TestVerify signs with crypto/ecdsa, and flips bits everywhere.
func TestVerify(t *testing.T) {
	r := seeded(3)
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	for _, u := range available() {
		for range rounds {
			private := signer(t, randomBelow(r, bigN))
			k := ready(t, &private.PublicKey, u)
			for i := range 5 {
				digest := sha256.Sum256([]byte{byte(i), byte(r.Uint64())})
				signature := sign(t, private, digest[:])
				if !agree(t, k, digest[:], signature) {
					t.Fatal("crypto/ecdsa refuses its own signature")
				}
				for range 10 {
					bad, bit := bytes.Clone(signature), r.IntN(8*len(signature))
					bad[bit/8] ^= 1 << (bit % 8)
					if agree(t, k, digest[:], bad) {
						t.Fatal("a changed signature is taken")
					}
				}
				other := digest
				other[r.IntN(len(other))] ^= 1 << r.IntN(8)
				if agree(t, k, other[:], signature) {
					t.Fatal("a changed digest is taken")
				}
				// The opposite s is right too, by the definition of ECDSA.
				opposite := raw(new(big.Int).SetBytes(signature[:32]), new(big.Int).Sub(bigN, new(big.Int).SetBytes(signature[32:])))
				if !agree(t, k, digest[:], opposite) {
					t.Fatal("n-s is refused")
				}
			}
		}
	}
}

func TestLengths(t *testing.T) {
	private := signer(t, big.NewInt(99))
	digest := sha256.Sum256([]byte("message"))
	signature := sign(t, private, digest[:])
	for _, u := range available() {
		first, ok := newKey(&private.PublicKey, u)
		if !ok {
			t.Fatal("the key is refused")
		}
		for name, k := range map[string]*Key{"with a table": ready(t, &private.PublicKey, u), "without": first} {
			for what, c := range map[string]struct{ digest, signature []byte }{
				"no signature":           {digest[:], nil},
				"a byte short":           {digest[:], signature[1:]},
				"a byte long":            {digest[:], append([]byte{0}, signature...)},
				"a byte long at the end": {digest[:], append(bytes.Clone(signature), 0)},
				"half":                   {digest[:], signature[:32]},
				"no digest":              {nil, signature},
				"a short digest":         {digest[:31], signature},
				"a long digest":          {append(digest[:], 0), signature},
			} {
				if k.Verify(c.digest, c.signature) {
					t.Errorf("%s, %s: %s is taken", u, name, what)
				}
			}
		}
	}
}

// TestRange has r and s at the ends of their range and beyond, with digests at theirs.
func TestRange(t *testing.T) {
	values := []*big.Int{new(big.Int), bigOne, big.NewInt(2), plus(bigN, -1), bigN, plus(bigN, 1), plus(bigN, 2), plus(bigP, -1), bigP,
		new(big.Int).Sub(bigP, bigN), plus(new(big.Int).Sub(bigP, bigN), -1), new(big.Int).Lsh(bigOne, 255), plus(bigR, -1)}
	digests := []*big.Int{new(big.Int), bigOne, plus(bigN, -1), bigN, plus(bigN, 1), plus(bigR, -1)}
	for _, u := range available() {
		for _, d := range []*big.Int{bigOne, big.NewInt(2), plus(bigN, -1), plus(bigN, -2), big.NewInt(77)} {
			private := signer(t, d)
			k := ready(t, &private.PublicKey, u)
			for _, r := range values {
				for _, s := range values {
					for _, e := range digests {
						agree(t, k, e.FillBytes(make([]byte, digestSize)), raw(r, s))
					}
				}
			}
			// A small s, by the choice of the digest: n more is the same number, and still no signature.
			for s := int64(1); s < 4; s++ {
				r := mod(new(big.Int).SetBytes(encoded(t, big.NewInt(9))[1:33]), bigN)
				digest := subMod(big.NewInt(9*s), mulMod(r, d, bigN), bigN).FillBytes(make([]byte, digestSize))
				if !agree(t, k, digest, raw(r, big.NewInt(s))) {
					t.Fatal("a good signature is refused")
				}
				if agree(t, k, digest, raw(r, plus(bigN, s))) {
					t.Fatal("s+n is taken")
				}
			}
			// A small digest: n more is another digest and the same number.
			r := mod(new(big.Int).SetBytes(encoded(t, big.NewInt(9))[1:33]), bigN)
			for e := int64(0); e < 4; e++ {
				s := mulMod(addMod(big.NewInt(e), mulMod(r, d, bigN), bigN), invMod(big.NewInt(9), bigN), bigN)
				for _, digest := range []*big.Int{big.NewInt(e), plus(bigN, e)} {
					if !agree(t, k, digest.FillBytes(make([]byte, digestSize)), raw(r, s)) {
						t.Fatalf("a good signature of %x is refused", digest)
					}
				}
			}
		}
	}
}

// TestSmallMultiples has signatures for which the verifier adds few and small multiples of a key that is one itself.
func TestSmallMultiples(t *testing.T) {
	small := []*big.Int{bigOne, big.NewInt(2), big.NewInt(3), big.NewInt(1 << 8), new(big.Int).Lsh(bigOne, 32), plus(bigN, -1), plus(bigN, -2), plus(bigN, -3), new(big.Int).Rsh(bigN, 1)}
	for _, u := range available() {
		for _, a := range small {
			k := ready(t, &signer(t, a).PublicKey, u)
			for _, first := range append([]*big.Int{new(big.Int)}, small...) {
				for _, second := range small {
					digest, signature := craft(t, a, first, second)
					infinity := addMod(first, mulMod(a, second, bigN), bigN).Sign() == 0
					if agree(t, k, digest, signature) == infinity {
						t.Fatalf("%x G + %x * %x G: taken is %v", first, second, a, infinity)
					}
				}
			}
		}
	}
}

// TestLargeX has sums whose x-coordinate is not below n: r is that less n. And it has r of which only r+n-p is
// the x-coordinate: that is not the same modulo n.
func TestLargeX(t *testing.T) {
	for _, u := range available() {
		for _, start := range []*big.Int{plus(bigN, 1), plus(bigP, -200), new(big.Int), big.NewInt(5)} {
			x := new(big.Int).Set(start)
			for new(big.Int).ModSqrt(rightSide(x), bigP) == nil {
				x.Add(x, bigOne)
			}
			// Q = (R - G)/v, so that G + vQ = R.
			sum, ok := u.newAffine(append([]byte{4}, raw(x, new(big.Int).ModSqrt(rightSide(x), bigP))...))
			if !ok {
				t.Fatal("the point is refused")
			}
			var p point
			p.set(&sum)
			minus := base
			minus.negate()
			u.add(&p, &minus)
			difference, q := [1]affine{}, [1]affine{}
			u.normalize(difference[:], []point{p})
			v := big.NewInt(12345)
			inverse, zero := fromBig(invMod(v, bigN)), scalar{}
			p = u.multiply(baseTable(), u.newTable(&difference[0]), &zero, &inverse)
			u.normalize(q[:], []point{p})
			k := ready(t, publicKey(t, u, &q[0]), u)

			r := mod(x, bigN)
			s := mulMod(r, invMod(v, bigN), bigN)
			if r.Sign() != 0 && !agree(t, k, s.FillBytes(make([]byte, digestSize)), raw(r, s)) {
				t.Errorf("%s: r = %x is refused for x = %x", u, r, x)
			}
			wrong := []*big.Int{x} // above n, though the x-coordinate itself
			if x.Cmp(bigN) < 0 {
				wrong = []*big.Int{new(big.Int).Sub(new(big.Int).Add(x, bigP), bigN), new(big.Int).Add(x, bigN), new(big.Int).Add(x, bigP)}
			}
			for _, r := range wrong {
				s := mulMod(r, invMod(v, bigN), bigN)
				if agree(t, k, s.FillBytes(make([]byte, digestSize)), raw(r, s)) {
					t.Errorf("%s: r = %x is taken for x = %x", u, r, x)
				}
			}
		}
	}
}

// publicKey is the key with the given point.
func publicKey(tb testing.TB, u unit, q *affine) *ecdsa.PublicKey {
	tb.Helper()
	x, y := element{}, element{}
	u.mul(&x, &q.x, &element{1})
	u.mul(&y, &q.y, &element{1})
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, raw(toBig(x), toBig(y))...))
	if err != nil {
		tb.Fatal(err)
	}
	return public
}

// TestLazy sees when the table is made: not in the first uses, in which crypto/ecdsa verifies, and not
// for what is no signature by its form.
func TestLazy(t *testing.T) {
	private := signer(t, big.NewInt(31))
	digest := sha256.Sum256([]byte("message"))
	signature := sign(t, private, digest[:])
	bad := bytes.Clone(signature)
	bad[40] ^= 1
	for _, u := range available() {
		k, _ := newKey(&private.PublicKey, u)
		for use := 1; use < 3*lazyUses; use++ {
			if use%2 == 0 && !k.Verify(digest[:], signature) || use%2 != 0 && k.Verify(digest[:], bad) {
				t.Fatalf("%s, use %d: verified wrong", u, use)
			}
			k.Verify(digest[:], signature[:63])
			if made := k.table.Load() != nil; made != (use > lazyUses) {
				t.Fatalf("%s: the table after use %d: %v", u, use, made)
			}
		}
	}
}

func TestVerifyConcurrently(t *testing.T) {
	private := signer(t, big.NewInt(32))
	digest := sha256.Sum256([]byte("message"))
	signature := sign(t, private, digest[:])
	bad := bytes.Clone(signature)
	bad[3] ^= 1
	for _, u := range available() {
		k, _ := newKey(&private.PublicKey, u)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					if !k.Verify(digest[:], signature) || k.Verify(digest[:], bad) {
						t.Error("verified wrong")
					}
				}
			})
		}
		wg.Wait()
		if k.table.Load() == nil {
			t.Errorf("%s: no table after 160 uses", u)
		}
	}
}

func TestAllocations(t *testing.T) {
	private := signer(t, big.NewInt(33))
	digest := sha256.Sum256([]byte("message"))
	signature := sign(t, private, digest[:])
	bad := bytes.Clone(signature)
	bad[3] ^= 1
	for _, u := range available() {
		k := ready(t, &private.PublicKey, u)
		if n := testing.AllocsPerRun(20, func() {
			if !k.Verify(digest[:], signature) || k.Verify(digest[:], bad) {
				t.Error("verified wrong")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", u, n)
		}
	}
}

// BenchmarkVerify has crypto/ecdsa in the same run, to compare with.
func BenchmarkVerify(b *testing.B) {
	private := signer(b, big.NewInt(1234567))
	digest := sha256.Sum256([]byte("message"))
	signature := sign(b, private, digest[:])
	b.Run("crypto", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			if !ecdsa.Verify(&private.PublicKey, digest[:], r, s) {
				b.Fatal("refused")
			}
		}
	})
	for _, u := range available() {
		k := ready(b, &private.PublicKey, u)
		b.Run(u.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !k.Verify(digest[:], signature) {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkTable(b *testing.B) {
	for _, u := range available() {
		b.Run(u.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				u.newTable(&base)
			}
		})
	}
}
