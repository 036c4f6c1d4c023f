package jose

import (
	"bytes"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"testing"

	"github.com/jotgate/jotgate/jose/internal/rsaverify"
)

// rsaKey makes a signing key of the given size.
func rsaKey(t *testing.T, bits int) *SigningKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	key, err := ParsePrivatePEM(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func prepared(k *Key) bool { return k.material.(*rsaMaterial).prepared != nil }

// TestRSAWays verifies both ways: each takes what is signed, and neither what is changed.
func TestRSAWays(t *testing.T) {
	for _, bits := range []int{2048, 2056, 3072} {
		key := rsaKey(t, bits)
		quick := key.Public()
		standard := quick.WithKeyID("other").WithStandardRSA()
		_, able := rsaverify.New(quick.material.(*rsaMaterial).public)
		able = able && !fips140.Enabled()
		if prepared(quick) != able || able && bits == 2056 || prepared(standard) {
			t.Fatalf("%d bits: prepared is %v, and %v of the standard key", bits, prepared(quick), prepared(standard))
		}
		if standard.KeyID() != "other" || !standard.WithKeyID(quick.KeyID()).Equal(quick) {
			t.Errorf("%d bits: the standard key is another", bits)
		}
		message := []byte("message")
		for alg := range quick.Algorithms().All() {
			signature, err := key.signer.sign(alg, message)
			if err != nil {
				t.Fatal(err)
			}
			bad := bytes.Clone(signature)
			bad[len(bad)/2] ^= 4
			for _, k := range []*Key{quick, standard} {
				if err := k.VerifyBytes(alg, message, signature); err != nil {
					t.Errorf("%d bits, %s: %v", bits, alg, err)
				}
				for _, s := range [][]byte{bad, nil, signature[1:], append([]byte{0}, signature...), make([]byte, len(signature))} {
					if err := k.VerifyBytes(alg, message, s); err != ErrSignatureInvalid { //nolint:errorlint // the contract is this very error
						t.Errorf("%d bits, %s: %x gives %v", bits, alg, s, err)
					}
				}
			}
		}
	}
	other := testKeys()[ES256].Public()
	if !other.WithStandardRSA().Equal(other) {
		t.Error("a key of another type has changed")
	}
}

func TestRSAAllocations(t *testing.T) {
	key := testKeys()[RS256]
	public := newKey(key.Public().material) // not bound to one algorithm
	if !prepared(public) {
		t.Skip("not on this processor")
	}
	message := []byte("message")
	for alg := range public.Algorithms().All() {
		signature, err := key.signer.sign(alg, message)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(20, func() {
			if public.VerifyBytes(alg, message, signature) != nil {
				t.Error("refused")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", alg, n)
		}
	}
}

// In FIPS 140-3 mode only crypto/rsa verifies. The mode is for a whole process, so there is another one.
func TestRSAInFIPSMode(t *testing.T) {
	if fips140.Enabled() {
		if prepared(testKeys()[RS256].Public()) {
			t.Error("a key does not verify with crypto/rsa")
		}
		if _, err := verify(sign(t, testKeys()[RS256], `{}`), testKeys()[RS256].Public()); err != nil {
			t.Error(err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRSAInFIPSMode$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=on")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestRSAInFIPSMode")) {
		t.Errorf("%v\n%s", err, out)
	}
}
