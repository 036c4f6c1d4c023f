package jose

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseAlgorithm(t *testing.T) {
	names := []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
	}
	for i, name := range names {
		alg, err := ParseAlgorithm(name)
		if err != nil || alg != Algorithm(i+1) || alg.String() != name {
			t.Errorf("ParseAlgorithm(%q) = %d (%s), %v", name, alg, alg, err)
		}
		if alg.Symmetric() != strings.HasPrefix(name, "HS") {
			t.Errorf("%s: Symmetric = %t", name, alg.Symmetric())
		}
	}
	if len(names) != int(algorithmEnd)-1 {
		t.Errorf("%d algorithms, %d names", algorithmEnd-1, len(names))
	}
	for _, name := range []string{
		"", "none", "None", "NONE", "nOnE", "noNE", "rs256", "Rs256", "RS256 ", " RS256", "RS256\x00", "RS-256",
		"ES521", "ES224", "eddsa", "ED25519", "Ed448", "MLDSA44", "ml-dsa-44", "RSA1_5", "RSA-OAEP", "A128GCM", "dir", "invalid",
	} {
		if alg, err := ParseAlgorithm(name); !errors.Is(err, ErrUnsupportedAlgorithm) || alg != 0 {
			t.Errorf("ParseAlgorithm(%q) = %s, %v", name, alg, err)
		}
	}
	_, err := ParseAlgorithm(strings.Repeat("x", 1<<20) + "\n")
	if len(err.Error()) > 100 {
		t.Errorf("the error quotes %d bytes", len(err.Error()))
	}
	if got := Algorithm(0).String() + Algorithm(255).String(); got != "invalidinvalid" {
		t.Errorf("names of no algorithms: %s", got)
	}
}

func TestAlgorithms(t *testing.T) {
	s := NewAlgorithms(ES256, RS256, ES256, 0, algorithmEnd, 255)
	if s.Len() != 2 || s.String() != "RS256,ES256" || !s.Has(RS256) || s.Has(HS256) || s.Has(0) || s.Has(200) {
		t.Errorf("set = %s, %d", s, s.Len())
	}
	if got := slices.Collect(s.All()); !slices.Equal(got, []Algorithm{RS256, ES256}) {
		t.Errorf("All = %v", got)
	}
	if s != NewAlgorithms(RS256, ES256) || s.Empty() || !NewAlgorithms().Empty() {
		t.Error("sets do not compare")
	}
	if u := s.Union(NewAlgorithms(HS256)); u.Len() != 3 || u.Intersect(AsymmetricAlgorithms()) != s {
		t.Errorf("union = %s", u)
	}
	if all := AsymmetricAlgorithms(); all.Len() != 15 || !all.Intersect(NewAlgorithms(HS256, HS384, HS512)).Empty() {
		t.Errorf("asymmetric = %s", all)
	}
	if p, err := ParseAlgorithms("RS256", "ES256"); err != nil || p != s {
		t.Errorf("ParseAlgorithms = %s, %v", p, err)
	}
	if p, err := ParseAlgorithms("RS256", "none"); !errors.Is(err, ErrUnsupportedAlgorithm) || !p.Empty() {
		t.Errorf("ParseAlgorithms with none = %s, %v", p, err)
	}
}
