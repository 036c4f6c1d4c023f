package jose

import (
	"crypto/ed25519"
	"fmt"
)

// ed25519Name is the name of the curve in a JWK (RFC 8037 section 2).
const ed25519Name = "Ed25519"

type okpMaterial struct{ public ed25519.PublicKey }

func newOKP(public ed25519.PublicKey) (*okpMaterial, error) {
	if len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: Ed25519 key is not %d bytes", ErrKeyInvalid, ed25519.PublicKeySize)
	}
	if err := checkEdwards([32]byte(public)); err != nil {
		return nil, err
	}
	return &okpMaterial{public}, nil
}

// okpFromJWK reads crv and x. Ed448, X25519 and X448 are unsupported.
func okpFromJWK(j *jwk) (*okpMaterial, error) {
	crv, err := j.text("crv")
	if err != nil {
		return nil, err
	}
	if crv != ed25519Name {
		return nil, fmt.Errorf("%w: curve %s", ErrKeyUnsupported, quote(crv))
	}
	x, err := j.bytes("x")
	if err != nil {
		return nil, err
	}
	return newOKP(x)
}

func (m *okpMaterial) algorithms() Algorithms { return NewAlgorithms(EdDSA, Ed25519) }

// verify needs 64 bytes and S below the order: crypto/ed25519 refuses the rest.
func (m *okpMaterial) verify(_ Algorithm, message, signature []byte) bool {
	return ed25519.Verify(m.public, message, signature)
}

func (m *okpMaterial) required() []member {
	return []member{{"crv", ed25519Name}, {"kty", "OKP"}, {"x", encode(m.public)}}
}

func (m *okpMaterial) equal(other material) bool {
	o, ok := other.(*okpMaterial)
	return ok && m.public.Equal(o.public)
}
