package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
)

// testKeys are made once: RSA keys are slow to make.
var testKeys = sync.OnceValue(func() map[Algorithm]*SigningKey {
	keys := make(map[Algorithm]*SigningKey)
	var rsa *SigningKey
	for alg := HS256; alg < algorithmEnd; alg++ {
		var err error
		switch family := alg.family(); {
		case rsa != nil && (family == familyPKCS1 || family == familyPSS):
			keys[alg], err = newSigningKey(rsa.signer, alg, rsa.KeyID())
		default:
			keys[alg], err = GenerateKey(alg)
		}
		if err != nil {
			panic(err)
		}
		if alg == RS256 {
			rsa = keys[alg]
		}
	}
	return keys
})

func sign(tb testing.TB, key *SigningKey, payload string) string {
	tb.Helper()
	token, err := key.Sign([]byte(payload), SigningHeader{Type: "JWT"})
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// verify parses and verifies with the algorithm of the key allowed.
func verify(token string, key *Key) ([]byte, error) {
	m, err := Parse(token, Limits{})
	if err != nil {
		return nil, err
	}
	return Verify(m, key, key.Algorithms())
}

func TestSignAndVerify(t *testing.T) {
	for alg, key := range testKeys() {
		t.Run(alg.String(), func(t *testing.T) {
			const payload = `{"sub":"alice"}`
			token := sign(t, key, payload)
			m, err := Parse(token, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if h := m.Header(); h.Algorithm != alg || h.KeyID != key.KeyID() || h.Type != "JWT" {
				t.Errorf("header = %+v", h)
			}
			got, err := Verify(m, key.Public(), NewAlgorithms(alg))
			if err != nil || string(got) != payload {
				t.Fatalf("Verify = %q, %v", got, err)
			}
			if _, err := Verify(m, key.Public(), Algorithms{}); !errors.Is(err, ErrAlgorithmNotAllowed) {
				t.Errorf("with nothing allowed: %v", err)
			}
			for other, k := range testKeys() {
				if other == alg {
					continue
				}
				if _, err := Verify(m, k.Public(), AsymmetricAlgorithms().Union(NewAlgorithms(alg))); err == nil {
					t.Errorf("accepted with the key for %s", other)
				}
			}
		})
	}
}

// Every bit of the signature counts, and so does every bit of what is signed.
func TestVerifyRefusesChanges(t *testing.T) {
	for alg, key := range testKeys() {
		t.Run(alg.String(), func(t *testing.T) {
			message := []byte("header.payload")
			signature, err := key.SignBytes(message)
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Public().VerifyBytes(alg, message, signature); err != nil {
				t.Fatal(err)
			}
			step := max(1, len(signature)/64)
			for i := 0; i < len(signature); i += step {
				bad := bytes.Clone(signature)
				bad[i] ^= 1 << (i % 8)
				if err := key.Public().VerifyBytes(alg, message, bad); !errors.Is(err, ErrSignatureInvalid) {
					t.Errorf("bit of byte %d flipped: %v", i, err)
				}
			}
			for name, bad := range map[string][]byte{
				"empty": nil, "short": signature[1:], "cut": signature[:len(signature)-1],
				"long": append(bytes.Clone(signature), 0), "padded": append([]byte{0}, signature...),
				"zero": make([]byte, len(signature)), "ones": bytes.Repeat([]byte{0xff}, len(signature)),
			} {
				if err := key.Public().VerifyBytes(alg, message, bad); !errors.Is(err, ErrSignatureInvalid) {
					t.Errorf("%s signature: %v", name, err)
				}
			}
			if err := key.Public().VerifyBytes(alg, []byte("header.Payload"), signature); !errors.Is(err, ErrSignatureInvalid) {
				t.Errorf("other message: %v", err)
			}
		})
	}
}

func TestKeyFormats(t *testing.T) {
	for alg, key := range testKeys() {
		t.Run(alg.String(), func(t *testing.T) {
			token := sign(t, key, "{}")

			private, err := key.PrivateJWK()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParsePrivateJWK(private, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if again.Algorithm() != alg || !again.Public().Equal(key.Public()) {
				t.Error("the private JWK is another key")
			}
			if _, err := verify(sign(t, again, "{}"), key.Public()); err != nil {
				t.Error(err)
			}
			if alg.Symmetric() {
				return
			}

			public, err := json.Marshal(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			fromJWK, err := ParseKey(public, SetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if fromJWK.KeyID() != key.KeyID() || fromJWK.Algorithm() != alg || fromJWK.Thumbprint() != key.Public().Thumbprint() {
				t.Errorf("public JWK became %v", fromJWK)
			}
			if _, err := verify(token, fromJWK); err != nil {
				t.Error(err)
			}

			text, err := key.Public().MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			fromPEM, err := ParsePEM(text)
			if err != nil {
				t.Fatal(err)
			}
			if len(fromPEM) != 1 || !fromPEM[0].Fits(alg) {
				t.Fatalf("PEM became %v", fromPEM)
			}
			if _, err := verify(token, fromPEM[0]); err != nil {
				t.Error(err)
			}

			if text, err = key.PrivatePEM(); err != nil {
				t.Fatal(err)
			}
			fromPrivate, err := ParsePrivatePEM(text, alg)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify(sign(t, fromPrivate, "{}"), key.Public()); err != nil {
				t.Error(err)
			}
			if _, err := ParsePEM(text); !errors.Is(err, ErrKeyPrivate) {
				t.Errorf("ParsePEM of a private key: %v", err)
			}
			if _, err := ParseKey(private, SetOptions{}); !errors.Is(err, ErrKeyPrivate) {
				t.Errorf("ParseKey of a private key: %v", err)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	if _, err := Parse(strings.Repeat(".", 1<<20), Limits{}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	dots := strings.Repeat(".", 1<<20)
	var err error
	if allocs := testing.AllocsPerRun(10, func() { _, err = Parse(dots, Limits{TokenBytes: 2 << 20}) }); allocs > 5 {
		t.Errorf("%v allocations for a million dots", allocs)
	}
	if !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}
