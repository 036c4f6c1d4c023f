package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// ParsePrivateJWK reads a private JWK, or one of kty "oct", as a signing key. Its alg
// decides the algorithm; without one it is the first that fits: RS256 for RSA, EdDSA
// for Ed25519, HS256 for secrets. The public and private parts must belong together,
// and use and key_ops, if present, must allow signing. The error is one of the
// ErrKey errors, ErrDuplicateMember or ErrTooLarge, and holds none of the text.
func ParsePrivateJWK(data []byte, limits Limits) (*SigningKey, error) {
	limits = limits.withDefaults()
	if len(data) > limits.SetBytes {
		return nil, fmt.Errorf("%w: key longer than %d bytes", ErrTooLarge, limits.SetBytes)
	}
	j, err := readJWK(string(data), limits)
	if err != nil {
		return nil, err
	}
	if err := j.checkUse("sign"); err != nil {
		return nil, err
	}
	m, err := j.material(SetOptions{Secrets: true})
	if err != nil {
		return nil, err
	}
	named, err := j.name(newKey(m))
	if err != nil {
		return nil, err
	}
	s, err := j.signer(m)
	if err != nil {
		return nil, err
	}
	own, err := s.public()
	if err != nil {
		return nil, err
	}
	if !own.equal(m) {
		return nil, fmt.Errorf("%w: the private part belongs to another public key", ErrKeyInvalid)
	}
	return newSigningKey(s, named.bound, named.id)
}

// signer reads the private members that go with m.
func (j *jwk) signer(m material) (signer, error) {
	switch m := m.(type) {
	case *secretMaterial:
		return &secretSigner{m}, nil
	case *rsaMaterial:
		return j.rsaSigner(m.public)
	case *akpMaterial:
		return j.akpSigner(m.alg)
	}
	d, err := j.bytes("d")
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *ecMaterial:
		key, err := ecdsa.ParseRawPrivateKey(m.public.Curve, d)
		if err != nil {
			return nil, fmt.Errorf("%w: d is not a scalar of the curve", ErrKeyInvalid)
		}
		return &ecSigner{key}, nil
	case *k1Material:
		return k1SignerFrom(d)
	default:
		if len(d) != ed25519.SeedSize {
			return nil, fmt.Errorf("%w: d is not %d bytes", ErrKeyInvalid, ed25519.SeedSize)
		}
		return &okpSigner{seal(ed25519.NewKeyFromSeed(d))}, nil
	}
}

// rsaSigner needs both primes; three and more (oth) are not supported. The CRT
// values are computed rather than read.
func (j *jwk) rsaSigner(public *rsa.PublicKey) (signer, error) {
	if j.has("oth") {
		return nil, fmt.Errorf("%w: RSA key of more than two primes", ErrKeyUnsupported)
	}
	var numbers [3]*big.Int
	for i, name := range [...]string{"d", "p", "q"} {
		b, err := j.bytes(name)
		if err != nil {
			return nil, err
		}
		if len(b) > maxRSABits/8 {
			return nil, fmt.Errorf("%w: %s is too long", ErrKeyInvalid, name)
		}
		numbers[i] = new(big.Int).SetBytes(b)
	}
	key := &rsa.PrivateKey{PublicKey: *public, D: numbers[0], Primes: numbers[1:]}
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("%w: the RSA numbers do not belong together", ErrKeyInvalid)
	}
	key.Precompute()
	return &rsaSigner{key}, nil
}

func (j *jwk) akpSigner(alg Algorithm) (signer, error) {
	seed, err := j.bytes("priv")
	if err != nil {
		return nil, err
	}
	params, _ := mldsaParameters(alg)
	key, err := mldsa.NewPrivateKey(params, seed)
	if err != nil {
		return nil, fmt.Errorf("%w: priv is not a seed of %d bytes", ErrKeyInvalid, mldsa.PrivateKeySize)
	}
	return &akpSigner{key}, nil
}

func k1SignerFrom(d []byte) (signer, error) {
	var scalar secp256k1.ModNScalar
	if len(d) != 32 || scalar.SetByteSlice(d) || scalar.IsZero() {
		return nil, fmt.Errorf("%w: d is not a scalar of the curve", ErrKeyInvalid)
	}
	return &k1Signer{secp256k1.NewPrivateKey(&scalar)}, nil
}

// pkcs8Key is a PrivateKeyInfo; attributes are read and forgotten.
type pkcs8Key struct {
	Version    int
	Algorithm  pkix.AlgorithmIdentifier
	PrivateKey []byte
}

// ParsePrivatePEM reads the one private key of a PEM text: PRIVATE KEY (PKCS #8), RSA
// PRIVATE KEY (PKCS #1) or EC PRIVATE KEY (SEC 1), not encrypted. alg is the algorithm
// to sign by; zero is the first that fits, as in [ParsePrivateJWK]. The key has no
// kid. The error is one of the ErrKey errors and holds none of the text.
func ParsePrivatePEM(text []byte, alg Algorithm) (*SigningKey, error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	var found signer
	for i, block := range blocks {
		if block.Type == "EC PARAMETERS" {
			continue // some tools write the curve before the key that names it again
		}
		if found != nil {
			return nil, fmt.Errorf("block %d: %w: more than one key", i+1, ErrKeyInvalid)
		}
		if found, err = signerFromBlock(block); err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no private key", ErrKeyInvalid)
	}
	return newSigningKey(found, alg, "")
}

func signerFromBlock(block *pem.Block) (signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		if k, ok := secp256k1PKCS8(block.Bytes); ok {
			return k1FromSEC1(k)
		}
		key, err = mldsax509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		if k, ok := secp256k1SEC1(block.Bytes); ok {
			return k1FromSEC1(k)
		}
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%w: PEM block %s", ErrKeyUnsupported, quote(block.Type))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: not a private key this package can read", ErrKeyInvalid)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if len(key.Primes) != 2 {
			return nil, fmt.Errorf("%w: RSA key of more than two primes", ErrKeyUnsupported)
		}
		return &rsaSigner{key}, nil
	case *ecdsa.PrivateKey:
		return &ecSigner{key}, nil
	case ed25519.PrivateKey:
		return &okpSigner{seal(key)}, nil
	case *mldsa.PrivateKey:
		return &akpSigner{key}, nil
	default:
		return nil, fmt.Errorf("%w: private key of type %T", ErrKeyUnsupported, key)
	}
}

// secp256k1PKCS8 reports ok if der is a key on secp256k1. What is wrong inside shows
// as a key without a scalar.
func secp256k1PKCS8(der []byte) (key sec1Key, ok bool) {
	var outer pkcs8Key
	if _, err := asn1.Unmarshal(der, &outer); err != nil || !isSecp256k1(outer.Algorithm) {
		return sec1Key{}, false
	}
	if _, err := asn1.Unmarshal(outer.PrivateKey, &key); err != nil {
		return sec1Key{}, true
	}
	return key, true
}

// secp256k1SEC1 is the same for a key that names its curve itself.
func secp256k1SEC1(der []byte) (key sec1Key, ok bool) {
	_, err := asn1.Unmarshal(der, &key)
	return key, err == nil && key.Curve.Equal(oidSecp256k1())
}

// k1FromSEC1 checks the public part, where there is one.
func k1FromSEC1(key sec1Key) (signer, error) {
	s, err := k1SignerFrom(key.PrivateKey)
	if err != nil {
		return nil, err
	}
	if len(key.PublicKey.Bytes) > 0 {
		stated, err := k1FromPoint(key.PublicKey.Bytes)
		if err != nil {
			return nil, err
		}
		if own, err := s.public(); err != nil || !own.equal(stated) {
			return nil, fmt.Errorf("%w: the private part belongs to another public key", ErrKeyInvalid)
		}
	}
	return s, nil
}

// PrivateJWK returns the private JWK, with kid and alg, or the JWK of a secret. What
// it returns is secret.
func (k *SigningKey) PrivateJWK() ([]byte, error) {
	members := append(k.signer.private(), k.public.material.required()...)
	return k.public.appendJWK(nil, members)
}

// PrivatePEM returns the key as a PRIVATE KEY block (PKCS #8, not encrypted), without
// kid and algorithm. What it returns is secret. The error is ErrKeySymmetric for a
// shared secret.
func (k *SigningKey) PrivatePEM() ([]byte, error) {
	der, err := k.signer.pkcs8()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return nil, fmt.Errorf("encoding PEM: %w", err)
	}
	return out.Bytes(), nil
}
