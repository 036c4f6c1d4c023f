package rsaverify

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"math/bits"
	"os"
	"strings"
	"sync"
	"testing"
)

var hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// privateKey has primes from testdata, which fit both exponents.
func privateKey(tb testing.TB, bits, e int) *rsa.PrivateKey {
	tb.Helper()
	text, err := os.ReadFile("testdata/primes.txt")
	if err != nil {
		tb.Fatal(err)
	}
	lines := strings.Fields(string(text))
	for i := 0; i < len(lines); i += 2 {
		p, _ := new(big.Int).SetString(lines[i], 16)
		q, _ := new(big.Int).SetString(lines[i+1], 16)
		n := new(big.Int).Mul(p, q)
		if n.BitLen() != bits {
			continue
		}
		order := new(big.Int).Mul(bigger(p, -1), bigger(q, -1))
		d := new(big.Int).ModInverse(big.NewInt(int64(e)), order)
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: e}, D: d, Primes: []*big.Int{p, q}}
		key.Precompute()
		return key
	}
	tb.Fatalf("no primes for %d bits", bits)
	return nil
}

type testKey struct {
	name    string
	private *rsa.PrivateKey
	key     *Key
}

// keys returns one for every unit of this processor, size and exponent.
func keys(t *testing.T) []testKey {
	t.Helper()
	var list []testKey
	for _, u := range available() {
		for _, size := range sizes {
			for _, e := range []int{3, 65537} {
				private := privateKey(t, size, e)
				key, ok := newKey(&private.PublicKey, u)
				if !ok {
					t.Fatalf("the key of %d bits with exponent %d is refused", size, e)
				}
				list = append(list, testKey{fmt.Sprintf("%s/%d/%d", u, size, e), private, key})
			}
		}
	}
	return list
}

func digestOf(h crypto.Hash, message string) []byte {
	w := h.New()
	w.Write([]byte(message))
	return w.Sum(nil)
}

func TestNew(t *testing.T) {
	n := privateKey(t, 2048, 3).N
	cases := map[string]*rsa.PublicKey{
		"no modulus":      {E: 3},
		"modulus 0":       {N: new(big.Int), E: 3},
		"even":            {N: bigger(n, 1), E: 3},
		"negative":        {N: new(big.Int).Neg(n), E: 3},
		"2047 bits":       {N: new(big.Int).Rsh(n, 1).SetBit(new(big.Int).Rsh(n, 1), 0, 1), E: 3},
		"2049 bits":       {N: new(big.Int).SetBit(n, 2048, 1), E: 3},
		"1024 bits":       {N: bigger(new(big.Int).Lsh(big.NewInt(1), 1023), 1), E: 3},
		"8192 bits":       {N: bigger(new(big.Int).Lsh(big.NewInt(1), 8191), 1), E: 3},
		"exponent 1":      {N: n, E: 1},
		"exponent 0":      {N: n},
		"exponent -3":     {N: n, E: -3},
		"exponent 5":      {N: n, E: 5},
		"exponent 65539":  {N: n, E: 65539},
		"exponent 2^16":   {N: n, E: 1 << 16},
		"exponent 2^31-1": {N: n, E: 1<<31 - 1},
	}
	for name, public := range cases {
		t.Run(name, func(t *testing.T) {
			if _, ok := New(public); ok {
				t.Error("New took it")
			}
			if _, ok := newKey(public, portable); ok {
				t.Error("newKey took it")
			}
		})
	}
}

// TestPays has what BenchmarkVerify shows.
func TestPays(t *testing.T) {
	for _, u := range available() {
		for _, size := range sizes {
			for _, e := range []int{3, 65537} {
				public := &privateKey(t, size, e).PublicKey
				key, ok := newKey(public, u)
				if !ok {
					t.Fatal("the key is refused")
				}
				want := u != portable || bits.UintSize == 64 && (size != 2048 || e == 3)
				if got := key.pays(); got != want {
					t.Errorf("%s, %d bits, exponent %d: %v, want %v", u, size, e, got, want)
				}
				if u != fastest() {
					continue
				}
				if made, ok := New(public); ok != want || ok && made.field.unit != u {
					t.Errorf("%s, %d bits, exponent %d: New = %v", u, size, e, ok)
				}
			}
		}
	}
}

// TestOpen compares the bare power with math/big.
func TestOpen(t *testing.T) {
	random := 200
	if testing.Short() {
		random = 20
	}
	r := seeded(10)
	for _, u := range available() {
		t.Run(u.String(), func(t *testing.T) {
			for _, size := range sizes {
				for _, n := range moduli(r, size, 2) {
					for _, e := range []int{3, 65537} {
						key, ok := newKey(&rsa.PublicKey{N: n, E: e}, u)
						if !ok {
							t.Fatalf("%x is refused", n)
						}
						values := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), bigger(n, -1), bigger(n, -2), new(big.Int).Rsh(n, 1)}
						for range random / 10 {
							values = append(values, number(r, size-1), new(big.Int).Mod(number(r, size), n))
						}
						for _, s := range values {
							var em [maxBytes]byte
							got, ok := key.open(&em, s.FillBytes(make([]byte, size/8)))
							want := new(big.Int).Exp(s, big.NewInt(int64(e)), n)
							if !ok || !bytes.Equal(got, want.FillBytes(make([]byte, size/8))) {
								t.Fatalf("%x^%d mod %x = %x (%v), want %x", s, e, n, got, ok, want)
							}
						}
					}
				}
			}
		})
	}
}

func TestOpenRefusesRange(t *testing.T) {
	for _, c := range keys(t) {
		t.Run(c.name, func(t *testing.T) {
			private, key := c.private, c.key
			size := key.size
			n := private.N.FillBytes(make([]byte, size))
			cases := map[string][]byte{
				"n":                 n,
				"n+1":               bigger(private.N, 1).FillBytes(make([]byte, size)),
				"all ones":          bytes.Repeat([]byte{0xff}, size),
				"empty":             nil,
				"a byte short":      make([]byte, size-1),
				"a byte long":       make([]byte, size+1),
				"n, a zero before":  append([]byte{0}, n...),
				"half":              make([]byte, size/2),
				"twice":             make([]byte, 2*size),
				"longer than known": make([]byte, 4*maxBytes),
			}
			for name, signature := range cases {
				var em [maxBytes]byte
				if _, ok := key.open(&em, signature); ok {
					t.Errorf("%s: taken", name)
				}
			}
			// What is right but n too large is the same number, and still no signature.
			digest := digestOf(crypto.SHA256, "message")
			signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest)
			if err != nil {
				t.Fatal(err)
			}
			sum := new(big.Int).Add(new(big.Int).SetBytes(signature), private.N)
			if sum.BitLen() <= 8*size && key.VerifyPKCS1v15(crypto.SHA256, digest, sum.FillBytes(make([]byte, size))) {
				t.Error("s+n: taken")
			}
			if key.VerifyPKCS1v15(crypto.SHA256, digest, append([]byte{0}, signature...)) {
				t.Error("a zero before the signature: taken")
			}
		})
	}
}

// TestVerify signs with crypto/rsa, and flips bits everywhere.
func TestVerify(t *testing.T) {
	for _, c := range keys(t) {
		t.Run(c.name, func(t *testing.T) {
			private, key := c.private, c.key
			r := seeded(11)
			for _, h := range hashes {
				digest := digestOf(h, "message")
				pkcs1, err := rsa.SignPKCS1v15(nil, private, h, digest)
				if err != nil {
					t.Fatal(err)
				}
				pss, err := rsa.SignPSS(rand.Reader, private, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
				if err != nil {
					t.Fatal(err)
				}
				for name, c := range map[string]struct {
					verify    func(h crypto.Hash, digest, signature []byte) bool
					signature []byte
				}{"PKCS1": {key.VerifyPKCS1v15, pkcs1}, "PSS": {key.VerifyPSS, pss}} {
					if !c.verify(h, digest, c.signature) {
						t.Fatalf("%s %s: a good signature is refused", name, h)
					}
					for range 20 {
						bad, bit := bytes.Clone(c.signature), r.IntN(8*len(c.signature))
						bad[bit/8] ^= 1 << (bit % 8)
						if c.verify(h, digest, bad) {
							t.Fatalf("%s %s: taken with bit %d flipped", name, h, bit)
						}
					}
					other := bytes.Clone(digest)
					other[r.IntN(len(other))] ^= 1
					for _, wrong := range [][]byte{other, nil, digest[:len(digest)-1], append(bytes.Clone(digest), 0)} {
						if c.verify(h, wrong, c.signature) {
							t.Fatalf("%s %s: taken for digest %x", name, h, wrong)
						}
					}
					for _, another := range []crypto.Hash{0, crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA512_256, crypto.SHA3_256, 99} {
						if another != h && c.verify(another, digest, c.signature) {
							t.Fatalf("%s %s: taken as %d", name, h, another)
						}
					}
				}
				if key.VerifyPSS(h, digest, pkcs1) || key.VerifyPKCS1v15(h, digest, pss) {
					t.Fatalf("%s: taken under the other scheme", h)
				}
			}
		})
	}
}

func TestVerifyConcurrently(t *testing.T) {
	for _, c := range keys(t) {
		t.Run(c.name, func(t *testing.T) {
			private, key := c.private, c.key
			digest := digestOf(crypto.SHA256, "message")
			signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 10 {
						if !key.VerifyPKCS1v15(crypto.SHA256, digest, signature) {
							t.Error("a good signature is refused")
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestAllocations(t *testing.T) {
	for _, c := range keys(t) {
		t.Run(c.name, func(t *testing.T) {
			private, key := c.private, c.key
			for _, h := range hashes {
				digest := digestOf(h, "message")
				signature, err := rsa.SignPSS(rand.Reader, private, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
				if err != nil {
					t.Fatal(err)
				}
				allocations := testing.AllocsPerRun(10, func() {
					if !key.VerifyPSS(h, digest, signature) || key.VerifyPKCS1v15(h, digest, signature) {
						t.Error("verified wrong")
					}
				})
				if allocations != 0 {
					t.Errorf("%s: %v allocations", h, allocations)
				}
			}
		})
	}
}

// BenchmarkVerify has crypto/rsa in the same run, to compare with.
func BenchmarkVerify(b *testing.B) {
	for _, e := range []int{65537, 3} {
		for _, size := range sizes {
			private := privateKey(b, size, e)
			digest := sha256.Sum256([]byte("message"))
			signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("e=%d/%d/crypto", e, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digest[:], signature) != nil {
						b.Fatal("refused")
					}
				}
			})
			for _, u := range available() {
				b.Run(fmt.Sprintf("e=%d/%d/%s", e, size, u), func(b *testing.B) {
					key, _ := newKey(&private.PublicKey, u)
					b.ReportAllocs()
					for b.Loop() {
						if !key.VerifyPKCS1v15(crypto.SHA256, digest[:], signature) {
							b.Fatal("refused")
						}
					}
				})
			}
		}
	}
}

func BenchmarkNew(b *testing.B) {
	public := &privateKey(b, 2048, 65537).PublicKey
	b.ReportAllocs()
	for b.Loop() {
		New(public)
	}
}
