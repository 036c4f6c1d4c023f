package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"fmt"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/jotgate/jotgate/jose/internal/p256verify"
)

// secp256k1Name is the name of the curve in a JWK (RFC 8812 section 3.1).
const secp256k1Name = "secp256k1"

// ecMaterial is a point on a NIST curve.
type ecMaterial struct {
	public *ecdsa.PublicKey
	alg    Algorithm
	// prepared verifies instead of crypto/ecdsa, where it is not nil.
	prepared *p256verify.Key
}

// nistCurve returns the curve of a JWK's crv, and the one algorithm for it.
func nistCurve(name string) (elliptic.Curve, Algorithm) {
	switch name {
	case "P-256":
		return elliptic.P256(), ES256
	case "P-384":
		return elliptic.P384(), ES384
	case "P-521":
		return elliptic.P521(), ES512
	default:
		return nil, 0
	}
}

func newEC(public *ecdsa.PublicKey) (*ecMaterial, error) {
	curve, alg := nistCurve(public.Curve.Params().Name)
	if curve == nil {
		return nil, fmt.Errorf("%w: curve %s", ErrKeyUnsupported, quote(public.Curve.Params().Name))
	}
	return &ecMaterial{public, alg, prepareEC(public)}, nil
}

// prepareEC returns nil for a key that is for crypto/ecdsa. In FIPS 140-3 mode every key is:
// only the validated module may verify then.
func prepareEC(public *ecdsa.PublicKey) *p256verify.Key {
	if fips140.Enabled() {
		return nil
	}
	prepared, ok := p256verify.New(public)
	if !ok {
		return nil
	}
	return prepared
}

// ecFromJWK reads crv, x and y. The coordinates must be as long as the field
// (RFC 7518 section 6.2.1.2) and the point on the curve.
func ecFromJWK(j *jwk) (material, error) {
	crv, err := j.text("crv")
	if err != nil {
		return nil, err
	}
	curve, _ := nistCurve(crv)
	size := 32
	switch {
	case curve != nil:
		size = fieldBytes(curve)
	case crv != secp256k1Name:
		return nil, fmt.Errorf("%w: curve %s", ErrKeyUnsupported, quote(crv))
	}
	point := []byte{4} // SEC 1, uncompressed
	for _, name := range [...]string{"x", "y"} {
		coordinate, err := j.bytes(name)
		if err != nil {
			return nil, err
		}
		if len(coordinate) != size {
			return nil, fmt.Errorf("%w: %s is not %d bytes", ErrKeyInvalid, name, size)
		}
		point = append(point, coordinate...)
	}
	if curve == nil {
		return k1FromPoint(point)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, fmt.Errorf("%w: the point is not on %s", ErrKeyInvalid, crv)
	}
	return newEC(public)
}

func fieldBytes(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

func (m *ecMaterial) algorithms() Algorithms { return NewAlgorithms(m.alg) }

// verify takes r and s of exactly the field's length; what is not between 0 and the order is
// refused.
func (m *ecMaterial) verify(alg Algorithm, message, signature []byte) bool {
	if m.prepared != nil {
		var buffer [maxDigest]byte
		return m.prepared.Verify(alg.digest(buffer[:0], message), signature)
	}
	size := fieldBytes(m.public.Curve)
	if len(signature) != 2*size {
		return false
	}
	r := new(big.Int).SetBytes(signature[:size])
	s := new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(m.public, alg.digest(nil, message), r, s)
}

func (m *ecMaterial) required() []member {
	// The key was checked to be on its curve, which is all that Bytes can refuse.
	point, err := m.public.Bytes()
	if err != nil {
		return nil
	}
	return ecMembers(m.public.Params().Name, point)
}

// ecMembers describes an uncompressed point.
func ecMembers(crv string, point []byte) []member {
	size := len(point) / 2
	return []member{
		{"crv", crv},
		{"kty", "EC"},
		{"x", encode(point[1 : 1+size])},
		{"y", encode(point[1+size:])},
	}
}

func (m *ecMaterial) equal(other material) bool {
	o, ok := other.(*ecMaterial)
	return ok && m.public.Equal(o.public)
}

// k1Material is a point on secp256k1 (RFC 8812 section 3).
type k1Material struct{ public *secp256k1.PublicKey }

// k1FromPoint takes compressed and uncompressed points; the hybrid form is refused.
func k1FromPoint(point []byte) (*k1Material, error) {
	if len(point) == 0 || point[0] < 2 || point[0] > 4 {
		return nil, fmt.Errorf("%w: not a point of secp256k1", ErrKeyInvalid)
	}
	public, err := secp256k1.ParsePubKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: the point is not on secp256k1", ErrKeyInvalid)
	}
	return &k1Material{public}, nil
}

func (m *k1Material) algorithms() Algorithms { return NewAlgorithms(ES256K) }

// verify takes either of the two values of s: JOSE does not ask for the lower one.
func (m *k1Material) verify(alg Algorithm, message, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
		return false // not below the order
	}
	return k1ecdsa.NewSignature(&r, &s).Verify(alg.digest(nil, message), m.public)
}

func (m *k1Material) required() []member {
	return ecMembers(secp256k1Name, m.public.SerializeUncompressed())
}

func (m *k1Material) equal(other material) bool {
	o, ok := other.(*k1Material)
	return ok && m.public.IsEqual(o.public)
}
