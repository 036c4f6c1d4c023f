package jose

import (
	"fmt"

	"filippo.io/mldsa"
)

// akpMaterial is an ML-DSA public key (RFC 9964, FIPS 204).
type akpMaterial struct {
	public *mldsa.PublicKey
	alg    Algorithm
}

// mldsaParameters returns the parameter set of an ML-DSA algorithm.
func mldsaParameters(alg Algorithm) (params mldsa.Parameters, ok bool) {
	switch alg {
	case MLDSA44:
		return mldsa.MLDSA44(), true
	case MLDSA65:
		return mldsa.MLDSA65(), true
	case MLDSA87:
		return mldsa.MLDSA87(), true
	default:
		return mldsa.Parameters{}, false
	}
}

func newAKP(public *mldsa.PublicKey) (*akpMaterial, error) {
	for _, alg := range [...]Algorithm{MLDSA44, MLDSA65, MLDSA87} {
		if params, _ := mldsaParameters(alg); params == public.Parameters() {
			return &akpMaterial{public, alg}, nil
		}
	}
	return nil, fmt.Errorf("%w: ML-DSA parameter set", ErrKeyUnsupported)
}

// akpFromJWK reads alg and pub, both required (RFC 9964 section 3).
func akpFromJWK(j *jwk) (*akpMaterial, error) {
	name, err := j.text("alg")
	if err != nil {
		return nil, err
	}
	alg, err := ParseAlgorithm(name)
	params, ok := mldsaParameters(alg)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: alg %s for kty AKP", ErrKeyUnsupported, quote(name))
	}
	pub, err := j.bytes("pub")
	if err != nil {
		return nil, err
	}
	public, err := mldsa.NewPublicKey(params, pub)
	if err != nil {
		return nil, fmt.Errorf("%w: pub is not a key of %s", ErrKeyInvalid, alg)
	}
	return &akpMaterial{public, alg}, nil
}

func (m *akpMaterial) algorithms() Algorithms { return NewAlgorithms(m.alg) }

// verify uses the empty context.
func (m *akpMaterial) verify(_ Algorithm, message, signature []byte) bool {
	return mldsa.Verify(m.public, message, signature, nil) == nil
}

func (m *akpMaterial) required() []member {
	return []member{{"alg", m.alg.String()}, {"kty", "AKP"}, {"pub", encode(m.public.Bytes())}}
}

func (m *akpMaterial) equal(other material) bool {
	o, ok := other.(*akpMaterial)
	return ok && m.public.Equal(o.public)
}
