package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"os"
	"os/exec"
	"testing"

	"github.com/jotgate/jotgate/jose/internal/p256verify"
)

// manyUses is more than a key takes to be quick.
const manyUses = 20

// TestECWays verifies both ways, from the first use on: each takes what is signed, and neither what
// is changed.
func TestECWays(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		material, err := newEC(&private.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		quick := newKey(material)
		standard := quick.WithKeyID("other").WithStandardECDSA()
		_, able := p256verify.New(&private.PublicKey)
		able = able && !fips140.Enabled()
		if (material.prepared != nil) != able || able && curve != elliptic.P256() || standard.material.(*ecMaterial).prepared != nil {
			t.Fatalf("%s: prepared is %v, and %v of the standard key", curve.Params().Name, material.prepared, standard.material.(*ecMaterial).prepared)
		}
		if standard.KeyID() != "other" || !standard.WithKeyID("").Equal(quick) {
			t.Errorf("%s: the standard key is another", curve.Params().Name)
		}
		alg, size := material.alg, fieldBytes(curve)
		message := []byte("message")
		r, s, err := ecdsa.Sign(rand.Reader, private, alg.digest(nil, message))
		if err != nil {
			t.Fatal(err)
		}
		signature := append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		bad := bytes.Clone(signature)
		bad[len(bad)/2] ^= 4
		for use := range manyUses {
			for _, k := range []*Key{quick, standard} {
				if err := k.VerifyBytes(alg, message, signature); err != nil {
					t.Errorf("%s, use %d: %v", alg, use, err)
				}
				for _, wrong := range [][]byte{bad, nil, signature[1:], append([]byte{0}, signature...), make([]byte, len(signature))} {
					if err := k.VerifyBytes(alg, message, wrong); err != ErrSignatureInvalid { //nolint:errorlint // the contract is this very error
						t.Errorf("%s, use %d: %x gives %v", alg, use, wrong, err)
					}
				}
			}
		}
	}
	other := testKeys()[RS256].Public()
	if !other.WithStandardECDSA().Equal(other) {
		t.Error("a key of another type has changed")
	}
}

func TestECAllocations(t *testing.T) {
	key := testKeys()[ES256]
	public := key.Public()
	if public.material.(*ecMaterial).prepared == nil {
		t.Skip("not on this processor")
	}
	message := []byte("message")
	signature, err := key.signer.sign(ES256, message)
	if err != nil {
		t.Fatal(err)
	}
	verify := func() {
		if public.VerifyBytes(ES256, message, signature) != nil {
			t.Error("refused")
		}
	}
	for range manyUses {
		verify()
	}
	if n := testing.AllocsPerRun(20, verify); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// In FIPS 140-3 mode only crypto/ecdsa verifies. The mode is for a whole process, so there is another one.
func TestECInFIPSMode(t *testing.T) {
	if fips140.Enabled() {
		if testKeys()[ES256].Public().material.(*ecMaterial).prepared != nil {
			t.Error("a key does not verify with crypto/ecdsa")
		}
		if _, err := verify(sign(t, testKeys()[ES256], `{}`), testKeys()[ES256].Public()); err != nil {
			t.Error(err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestECInFIPSMode$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=on")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestECInFIPSMode")) {
		t.Errorf("%v\n%s", err, out)
	}
}
