package jose

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// keyErrors are the kinds of faults of a single key.
func keyErrors() []error {
	return []error{
		ErrKeyInvalid, ErrKeyUnsupported, ErrKeyWeak, ErrKeyUse, ErrKeyPrivate, ErrKeySymmetric,
		ErrKeyDuplicate, ErrDuplicateMember, ErrTooLarge,
	}
}

// jwkOf returns the public JWK of a test key as a map to be changed.
func jwkOf(t *testing.T, alg Algorithm) map[string]any {
	t.Helper()
	text, err := json.Marshal(testKeys()[alg].Public())
	if err != nil {
		t.Fatal(err)
	}
	members := make(map[string]any)
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func encodeJWK(t *testing.T, members map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestParseKeyMembers changes one member of a good key at a time.
func TestParseKeyMembers(t *testing.T) {
	remove := new(int) // a mark for "not there"
	zeros := func(n int) string { return encode(make([]byte, n)) }
	modulus := func(bits uint) string {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return encode(n.Add(n, big.NewInt(1)).Bytes())
	}
	for _, test := range []struct {
		alg    Algorithm
		member string
		value  any
		want   error
	}{
		{RS256, "x", "ignored", nil},
		{RS256, "x5c", []string{"ignored"}, nil},
		{RS256, "x5t", 17, nil},
		{RS256, "kid", remove, nil},
		{RS256, "kid", 1, ErrKeyInvalid},
		{RS256, "alg", remove, nil},
		{RS256, "alg", "PS512", nil},
		{RS256, "alg", "RSA-OAEP", ErrKeyUnsupported},
		{RS256, "alg", "none", ErrKeyUnsupported},
		{RS256, "alg", "ES256", ErrKeyInvalid},
		{RS256, "alg", "HS256", ErrKeyInvalid},
		{RS256, "alg", nil, ErrKeyInvalid},
		{RS256, "use", remove, nil},
		{RS256, "use", "enc", ErrKeyUse},
		{RS256, "use", "SIG", ErrKeyUse},
		{RS256, "use", "", ErrKeyUse},
		{RS256, "use", 1, ErrKeyInvalid},
		{RS256, "key_ops", []string{"verify"}, nil},
		{RS256, "key_ops", []string{"sign", "verify"}, nil},
		{RS256, "key_ops", []string{"encrypt"}, ErrKeyUse},
		{RS256, "key_ops", []string{}, ErrKeyUse},
		{RS256, "key_ops", []string{"Verify"}, ErrKeyUse},
		{RS256, "key_ops", []string{"sign, verify"}, ErrKeyUse},
		{RS256, "key_ops", []string{"verify", "verify"}, ErrKeyInvalid},
		{RS256, "key_ops", "verify", ErrKeyInvalid},
		{RS256, "key_ops", []int{1}, ErrKeyInvalid},
		{RS256, "kty", remove, ErrKeyInvalid},
		{RS256, "kty", "rsa", ErrKeyUnsupported},
		{RS256, "kty", "EC", ErrKeyInvalid},
		{RS256, "kty", "oct", ErrKeySymmetric},
		{RS256, "n", remove, ErrKeyInvalid},
		{RS256, "n", 5, ErrKeyInvalid},
		{RS256, "n", "", ErrKeyWeak},
		{RS256, "n", "AA==", ErrKeyInvalid},
		{RS256, "n", "A\nA", ErrKeyInvalid},
		{RS256, "n", modulus(1024), ErrKeyWeak},
		{RS256, "n", modulus(2047), ErrKeyWeak},
		{RS256, "n", modulus(2048), nil},
		{RS256, "n", modulus(8192), nil},
		{RS256, "n", modulus(8193), ErrKeyUnsupported},
		{RS256, "n", modulus(65536), ErrKeyUnsupported},
		{RS256, "n", encode(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes()), ErrKeyInvalid},
		{RS256, "e", remove, ErrKeyInvalid},
		{RS256, "e", "", ErrKeyWeak},
		{RS256, "e", "AA", ErrKeyWeak},
		{RS256, "e", "AQ", ErrKeyWeak},
		{RS256, "e", "Ag", ErrKeyWeak},
		{RS256, "e", "AQAA", ErrKeyWeak},
		{RS256, "e", "Aw", nil},
		{RS256, "e", "AAEAAQ", nil},
		{RS256, "e", "f____w", nil},
		{RS256, "e", "gAAAAQ", ErrKeyUnsupported},
		{RS256, "e", "AQAAAAE", ErrKeyUnsupported},
		{RS256, "d", "AQ", ErrKeyPrivate},
		{RS256, "oth", []int{}, ErrKeyPrivate},
		{RS256, "p", nil, ErrKeyPrivate},
		{ES256, "crv", "P-384", ErrKeyInvalid},
		{ES256, "crv", "p-256", ErrKeyUnsupported},
		{ES256, "crv", "P-192", ErrKeyUnsupported},
		{ES256, "crv", "secp256k1", ErrKeyInvalid},
		{ES256, "crv", remove, ErrKeyInvalid},
		{ES256, "x", remove, ErrKeyInvalid},
		{ES256, "x", zeros(32), ErrKeyInvalid},
		{ES256, "y", zeros(32), ErrKeyInvalid},
		{ES256, "y", zeros(31), ErrKeyInvalid},
		{ES256, "y", zeros(33), ErrKeyInvalid},
		{ES256, "alg", "ES512", ErrKeyInvalid},
		{ES256, "alg", "ES521", ErrKeyUnsupported},
		{ES256, "d", zeros(32), ErrKeyPrivate},
		{ES384, "x", zeros(48), ErrKeyInvalid},
		{ES512, "x", zeros(65), ErrKeyInvalid},
		{ES256K, "crv", "P-256", ErrKeyInvalid},
		{ES256K, "x", zeros(32), ErrKeyInvalid},
		{ES256K, "alg", "ES256", ErrKeyInvalid},
		{EdDSA, "alg", "Ed25519", nil},
		{EdDSA, "alg", remove, nil},
		{EdDSA, "crv", "Ed448", ErrKeyUnsupported},
		{EdDSA, "crv", "X25519", ErrKeyUnsupported},
		{EdDSA, "x", zeros(31), ErrKeyInvalid},
		{EdDSA, "x", zeros(33), ErrKeyInvalid},
		{EdDSA, "x", zeros(32), ErrKeyWeak},
		{EdDSA, "x", encode([]byte(strings.Repeat("\xff", 32))), ErrKeyInvalid},
		{EdDSA, "d", zeros(32), ErrKeyPrivate},
		{MLDSA44, "alg", remove, ErrKeyInvalid},
		{MLDSA44, "alg", "ML-DSA-65", ErrKeyInvalid},
		{MLDSA44, "alg", "ES256", ErrKeyUnsupported},
		{MLDSA44, "alg", "ML-KEM-768", ErrKeyUnsupported},
		{MLDSA44, "pub", remove, ErrKeyInvalid},
		{MLDSA44, "pub", zeros(1311), ErrKeyInvalid},
		{MLDSA44, "pub", zeros(1313), ErrKeyInvalid},
		{MLDSA44, "priv", zeros(32), ErrKeyPrivate},
	} {
		members := jwkOf(t, test.alg)
		if members[test.member] = test.value; test.value == any(remove) {
			delete(members, test.member)
		}
		key, err := ParseKey(encodeJWK(t, members), SetOptions{})
		if !errors.Is(err, test.want) || (key == nil) != (test.want != nil) {
			t.Errorf("%s key with %s = %.40v: %v, want %v", test.alg, test.member, test.value, err, test.want)
		}
		if err != nil {
			onlyOne(t, err, keyErrors())
		}
	}
}

func TestParseKeyDocuments(t *testing.T) {
	for text, want := range map[string]error{
		``:                                   ErrKeyInvalid,
		`null`:                               ErrKeyInvalid,
		`[]`:                                 ErrKeyInvalid,
		`{}`:                                 ErrKeyInvalid,
		`{"kty":"RSA"} {}`:                   ErrKeyInvalid,
		`{"kty":"RSA","kty":"EC"}`:           ErrDuplicateMember,
		"{\"kty\":\"\xff\"}":                 ErrKeyInvalid,
		`{"kty":"oct","k":"AAAA"}`:           ErrKeySymmetric,
		`{"a":` + strings.Repeat("[", 99):    ErrTooLarge,
		strings.Repeat(" ", 1<<20+1):         ErrTooLarge,
		`{"kty":"` + strings.Repeat("x", 99): ErrKeyInvalid,
	} {
		if _, err := ParseKey([]byte(text), SetOptions{}); !errors.Is(err, want) {
			t.Errorf("%.40s: %v, want %v", text, err, want)
		}
	}
}

// A key without alg fits what its type and curve allow, a key with alg that one only.
func TestKeyFits(t *testing.T) {
	for alg, want := range map[Algorithm]Algorithms{
		RS256:  NewAlgorithms(RS256, RS384, RS512, PS256, PS384, PS512),
		ES256:  NewAlgorithms(ES256),
		ES384:  NewAlgorithms(ES384),
		ES512:  NewAlgorithms(ES512),
		ES256K: NewAlgorithms(ES256K),
		EdDSA:  NewAlgorithms(EdDSA, Ed25519),
	} {
		members := jwkOf(t, alg)
		bound, err := ParseKey(encodeJWK(t, members), SetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if bound.Algorithm() != alg || bound.Algorithms() != NewAlgorithms(alg) {
			t.Errorf("bound to %s: %s", alg, bound.Algorithms())
		}
		delete(members, "alg")
		free, err := ParseKey(encodeJWK(t, members), SetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if free.Algorithm() != 0 || free.Algorithms() != want {
			t.Errorf("without alg: %s, want %s", free.Algorithms(), want)
		}
		if again, err := free.WithAlgorithm(alg); err != nil || !again.Equal(bound) {
			t.Errorf("WithAlgorithm(%s): %v, %v", alg, again, err)
		}
		if _, err := free.WithAlgorithm(HS256); !errors.Is(err, ErrKeyMismatch) {
			t.Errorf("WithAlgorithm(HS256): %v", err)
		}
	}
}

// TestThumbprint has the keys of RFC 7638 section 3.1 and RFC 8037 appendix A.3.
func TestThumbprint(t *testing.T) {
	for text, want := range map[string]string{
		`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	} {
		key, err := ParseKey([]byte(text), SetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := key.Thumbprint(); got != want {
			t.Errorf("thumbprint = %s, want %s", got, want)
		}
	}
	if got := testKeys()[HS256].Public().Thumbprint() + new(Key).Thumbprint(); got != "" {
		t.Errorf("thumbprint of a secret or of nothing = %q", got)
	}
}

// TestPublishedTokens has the examples of RFC 7515 appendix A.1 and A.3 and RFC 8037
// appendix A.4.
func TestPublishedTokens(t *testing.T) {
	const claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for name, test := range map[string]struct{ key, token string }{
		"HS256": {
			`{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`,
			"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + claims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		},
		"ES256": {
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			"eyJhbGciOiJFUzI1NiJ9." + claims + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		},
		"EdDSA": {
			`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		},
	} {
		key, err := ParseKey([]byte(test.key), SetOptions{Secrets: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(test.token, key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A modulus is fingerprinted if and only if it is a power of 65537 modulo the primes.
func TestInfineonFingerprint(t *testing.T) {
	m := big.NewInt(2)
	for _, p := range infineonPrimes {
		m.Mul(m, big.NewInt(int64(p)))
	}
	// Numbers with the structure of the flawed primes; whether they are prime is no matter.
	flawed := func(a, k int64) *big.Int {
		n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(a), m)
		return n.Add(n, new(big.Int).Mul(m, new(big.Int).Lsh(big.NewInt(k), 800)))
	}
	for a := int64(0); a < 50; a++ {
		n := new(big.Int).Mul(flawed(a*a*7919, a+3), flawed(a+1_000_003, 2*a+1))
		if !madeByInfineon(n) {
			t.Errorf("a = %d: not found", a)
		}
		if madeByInfineon(n.Add(n, big.NewInt(2))) {
			t.Errorf("a = %d: two more is found, too", a)
		}
	}
	if madeByInfineon(testKeys()[RS256].public.material.(*rsaMaterial).public.N) {
		t.Error("an honest modulus is found")
	}
	if len(infineonPrimes) != 38 || !slices.IsSorted(infineonPrimes[:]) {
		t.Error("the primes below 168 are 38 odd ones")
	}
	for _, p := range infineonPrimes {
		if !big.NewInt(int64(p)).ProbablyPrime(0) {
			t.Errorf("%d is not prime", p)
		}
	}
}

// The points of small order are eight; each is refused, and so is every encoding that
// RFC 8032 section 5.1.3 does not decode.
func TestCheckEdwards(t *testing.T) {
	for i := range 20 {
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkEdwards([32]byte(public)); err != nil {
			t.Errorf("honest key %d: %v", i, err)
		}
	}
	f := newEdwardsField()
	little := func(y *big.Int, sign byte) (out [32]byte) {
		y.FillBytes(out[:])
		slices.Reverse(out[:])
		out[31] |= sign << 7
		return out
	}
	one := big.NewInt(1)
	minusOne := new(big.Int).Sub(f.p, one)
	// y of order 8: doubling gives y = 0, so y^2 = -x^2, and the curve gives
	// d*y^4 + 2*y^2 - 1 = 0, so y^2 = (-1 + sqrt(1+d)) / d for one of the two roots.
	small := [][32]byte{little(one, 0), little(minusOne, 0), little(new(big.Int), 0), little(new(big.Int), 1)}
	root := new(big.Int).ModSqrt(new(big.Int).Mod(new(big.Int).Add(one, f.d), f.p), f.p)
	for _, r := range []*big.Int{root, new(big.Int).Sub(f.p, root)} {
		yy := f.quotient(new(big.Int).Sub(r, one), f.d)
		y := new(big.Int).ModSqrt(yy, f.p)
		if y == nil {
			continue
		}
		for _, y := range []*big.Int{y, new(big.Int).Sub(f.p, y)} {
			small = append(small, little(y, 0), little(y, 1))
		}
	}
	if len(small) != 8 {
		t.Fatalf("%d points of small order", len(small))
	}
	for _, encoded := range small {
		if err := checkEdwards(encoded); !errors.Is(err, ErrKeyWeak) {
			t.Errorf("%x: %v, want weak", encoded, err)
		}
	}
	for _, encoded := range [][32]byte{
		little(one, 1), little(minusOne, 1), // x is 0, which has no sign
		little(f.p, 0), little(new(big.Int).Add(f.p, one), 0), // not reduced
		little(big.NewInt(2), 0), // no x
	} {
		if err := checkEdwards(encoded); !errors.Is(err, ErrKeyInvalid) {
			t.Errorf("%x: %v, want invalid", encoded, err)
		}
	}
}

func TestKeyMarshal(t *testing.T) {
	key := testKeys()[ES256].Public().WithKeyID("a\"<\u2028é")
	text, err := json.Marshal(struct{ K *Key }{key})
	if err != nil {
		t.Fatal(err)
	}
	var holder struct{ K json.RawMessage }
	if err := json.Unmarshal(text, &holder); err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(holder.K, SetOptions{})
	if err != nil || !again.Equal(key) {
		t.Errorf("%s became %v, %v", holder.K, again, err)
	}
	if got := fmt.Sprint(*key, key.WithKeyID("")); strings.Contains(got, "\u2028") || !strings.Contains(got, "ES256") {
		t.Errorf("printed as %s", got)
	}
}
