package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// generate makes new private material for alg.
func generate(alg Algorithm) (signer, error) {
	switch alg.family() {
	case familyHMAC:
		secret := make([]byte, alg.hash().Size())
		rand.Read(secret) // never fails, by its contract
		m, err := newSecret(secret, false)
		return &secretSigner{m}, err
	case familyPKCS1, familyPSS:
		private, err := rsa.GenerateKey(rand.Reader, minRSABits)
		return &rsaSigner{private}, err
	case familyECDSA:
		return generateEC(alg)
	case familyEdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return &okpSigner{seal(private)}, err
	case familyMLDSA:
		params, _ := mldsaParameters(alg)
		private, err := mldsa.GenerateKey(params)
		return &akpSigner{private}, err
	default:
		return nil, ErrUnsupportedAlgorithm
	}
}

func generateEC(alg Algorithm) (signer, error) {
	if alg == ES256K {
		private, err := secp256k1.GeneratePrivateKey()
		return &k1Signer{private}, err
	}
	curve, _ := nistCurve(map[Algorithm]string{ES256: "P-256", ES384: "P-384", ES512: "P-521"}[alg])
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	return &ecSigner{private}, err
}

type secretSigner struct{ material *secretMaterial }

func (s *secretSigner) public() (material, error) { return s.material, nil }
func (s *secretSigner) private() []member {
	return []member{{"k", encode(s.material.secret())}, {"kty", "oct"}}
}

func (s *secretSigner) sign(alg Algorithm, message []byte) ([]byte, error) {
	return s.material.mac(alg, message), nil
}

func (s *secretSigner) pkcs8() ([]byte, error) {
	return nil, fmt.Errorf("%w: a secret has no PEM form", ErrKeySymmetric)
}

type rsaSigner struct{ key *rsa.PrivateKey }

func (s *rsaSigner) public() (material, error) { return asMaterial(newRSA(&s.key.PublicKey)) }
func (s *rsaSigner) pkcs8() ([]byte, error)    { return x509.MarshalPKCS8PrivateKey(s.key) }

func (s *rsaSigner) sign(alg Algorithm, message []byte) ([]byte, error) {
	if alg.family() == familyPSS {
		return rsa.SignPSS(rand.Reader, s.key, alg.hash(), alg.digest(nil, message), pssOptions(alg))
	}
	return rsa.SignPKCS1v15(nil, s.key, alg.hash(), alg.digest(nil, message))
}

// private writes the CRT values, which are recommended (RFC 7518 section 6.3.2).
func (s *rsaSigner) private() []member {
	return []member{
		{"d", encode(s.key.D.Bytes())},
		{"dp", encode(s.key.Precomputed.Dp.Bytes())},
		{"dq", encode(s.key.Precomputed.Dq.Bytes())},
		{"p", encode(s.key.Primes[0].Bytes())},
		{"q", encode(s.key.Primes[1].Bytes())},
		{"qi", encode(s.key.Precomputed.Qinv.Bytes())},
	}
}

type ecSigner struct{ key *ecdsa.PrivateKey }

func (s *ecSigner) public() (material, error) { return asMaterial(newEC(&s.key.PublicKey)) }
func (s *ecSigner) pkcs8() ([]byte, error)    { return x509.MarshalPKCS8PrivateKey(s.key) }

func (s *ecSigner) sign(alg Algorithm, message []byte) ([]byte, error) {
	r, v, err := ecdsa.Sign(rand.Reader, s.key, alg.digest(nil, message))
	if err != nil {
		return nil, err
	}
	size := fieldBytes(s.key.Curve)
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	v.FillBytes(out[size:])
	return out, nil
}

func (s *ecSigner) private() []member {
	d, err := s.key.Bytes()
	if err != nil {
		return nil
	}
	return []member{{"d", encode(d)}}
}

type k1Signer struct{ key *secp256k1.PrivateKey }

func (s *k1Signer) public() (material, error) { return &k1Material{s.key.PubKey()}, nil }
func (s *k1Signer) private() []member         { return []member{{"d", encode(s.key.Serialize())}} }

func (s *k1Signer) sign(alg Algorithm, message []byte) ([]byte, error) {
	signature := k1ecdsa.Sign(s.key, alg.digest(nil, message))
	r, v := signature.R(), signature.S()
	rb, vb := r.Bytes(), v.Bytes()
	return append(rb[:], vb[:]...), nil
}

// sec1Key is an ECPrivateKey (RFC 5915 section 3); the curve is named outside of it
// in PKCS #8, and inside on its own.
type sec1Key struct {
	Version    int
	PrivateKey []byte
	Curve      asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
	PublicKey  asn1.BitString        `asn1:"optional,explicit,tag:1"`
}

func (s *k1Signer) pkcs8() ([]byte, error) {
	point := s.key.PubKey().SerializeUncompressed()
	inner, err := asn1.Marshal(sec1Key{
		Version:    1,
		PrivateKey: s.key.Serialize(),
		PublicKey:  asn1.BitString{Bytes: point, BitLength: 8 * len(point)},
	})
	if err != nil {
		return nil, err
	}
	id, err := secp256k1Identifier()
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(pkcs8Key{Algorithm: id, PrivateKey: inner})
}

type okpSigner struct{ secret sealed }

func (s *okpSigner) key() ed25519.PrivateKey { return s.secret() }

func (s *okpSigner) public() (material, error) {
	return asMaterial(newOKP(s.key().Public().(ed25519.PublicKey)))
}
func (s *okpSigner) private() []member      { return []member{{"d", encode(s.key().Seed())}} }
func (s *okpSigner) pkcs8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(s.key()) }

func (s *okpSigner) sign(_ Algorithm, message []byte) ([]byte, error) {
	return ed25519.Sign(s.key(), message), nil
}

type akpSigner struct{ key *mldsa.PrivateKey }

func (s *akpSigner) public() (material, error) { return asMaterial(newAKP(s.key.PublicKey())) }
func (s *akpSigner) private() []member         { return []member{{"priv", encode(s.key.Bytes())}} }
func (s *akpSigner) pkcs8() ([]byte, error)    { return mldsax509.MarshalPKCS8PrivateKey(s.key) }

func (s *akpSigner) sign(_ Algorithm, message []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, message, nil)
}
