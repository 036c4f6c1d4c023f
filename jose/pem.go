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
	"strings"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
)

// Names of the PEM blocks that hold keys.
const (
	blockPKIX        = "PUBLIC KEY"
	blockPKCS1       = "RSA PUBLIC KEY"
	blockCertificate = "CERTIFICATE"
)

// ParsePEM reads every public key of a PEM text: PUBLIC KEY (PKIX), RSA PUBLIC KEY
// (PKCS #1) and CERTIFICATE (X.509) blocks, of RSA, the NIST curves, Ed25519 and
// ML-DSA; secp256k1 in PUBLIC KEY blocks. The keys have no kid and are not bound to
// an algorithm.
//
// A certificate that signed another one of the text is taken as part of its chain,
// not as a key of its own. Dates, names and chains of certificates are not judged:
// the text itself is what is trusted.
//
// One block that cannot be used fails the whole: the text was written for this. The
// error is one of the ErrKey errors and names the block by position, from 1.
func ParsePEM(text []byte) ([]*Key, error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	var certificates []*x509.Certificate
	for _, block := range blocks {
		if block.Type == blockCertificate {
			if c, err := x509.ParseCertificate(block.Bytes); err == nil {
				certificates = append(certificates, c)
			}
		}
	}
	var keys []*Key
	for i, block := range blocks {
		m, err := publicFromBlock(block, certificates)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
		if m != nil {
			keys = append(keys, newKey(m))
		}
	}
	return keys, nil
}

// pemBlocks returns the blocks of text, at least one. Text between blocks is the
// comment it is by RFC 7468 section 2; a block that does not decode is an error.
func pemBlocks(text []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		// Decode passes over a broken block in search of the next one.
		if bytes.Count(text[:len(text)-len(rest)], []byte("-----BEGIN ")) != 1 {
			return nil, fmt.Errorf("block %d: %w: broken PEM", len(blocks)+1, ErrKeyInvalid)
		}
		blocks = append(blocks, block)
		text = rest
	}
	if len(blocks) == 0 || bytes.Contains(text, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("block %d: %w: no PEM block, or a broken one", len(blocks)+1, ErrKeyInvalid)
	}
	return blocks, nil
}

// publicFromBlock returns nil for a certificate that only completes a chain.
func publicFromBlock(block *pem.Block, certificates []*x509.Certificate) (material, error) {
	switch {
	case block.Type == blockPKIX:
		return parsePKIX(block.Bytes)
	case block.Type == blockPKCS1:
		public, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: not a PKCS #1 public key", ErrKeyInvalid)
		}
		return asMaterial(newRSA(public))
	case block.Type == blockCertificate:
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: not an X.509 certificate this package can read", ErrKeyInvalid)
		}
		if issuedAnother(certificate, certificates) {
			return nil, nil
		}
		return parsePKIX(certificate.RawSubjectPublicKeyInfo)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, ErrKeyPrivate
	default:
		return nil, fmt.Errorf("%w: PEM block %s", ErrKeyUnsupported, quote(block.Type))
	}
}

// issuedAnother reports whether c signed a certificate of the list with another key.
func issuedAnother(c *x509.Certificate, list []*x509.Certificate) bool {
	for _, other := range list {
		if bytes.Equal(other.RawIssuer, c.RawSubject) &&
			!bytes.Equal(other.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) &&
			c.CheckSignature(other.SignatureAlgorithm, other.RawTBSCertificate, other.Signature) == nil {
			return true
		}
	}
	return false
}

// parsePKIX reads a SubjectPublicKeyInfo (RFC 5280 section 4.1).
func parsePKIX(der []byte) (material, error) {
	if public, ok := parseSecp256k1PKIX(der); ok {
		return asMaterial(k1FromPoint(public))
	}
	public, err := mldsax509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: not a PKIX public key this package can read", ErrKeyInvalid)
	}
	return newMaterial(public)
}

// newMaterial judges a key of the Go libraries.
func newMaterial(public any) (material, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return asMaterial(newRSA(public))
	case *ecdsa.PublicKey:
		return asMaterial(newEC(public))
	case ed25519.PublicKey:
		return asMaterial(newOKP(public))
	case *mldsa.PublicKey:
		return asMaterial(newAKP(public))
	default:
		return nil, fmt.Errorf("%w: key of type %T", ErrKeyUnsupported, public)
	}
}

// Object identifiers of RFC 5480 section 2.1 and SEC 2 section A.2.1.
func oidECPublicKey() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1} }
func oidSecp256k1() asn1.ObjectIdentifier   { return asn1.ObjectIdentifier{1, 3, 132, 0, 10} }

// spki is a SubjectPublicKeyInfo.
type spki struct {
	Algorithm pkix.AlgorithmIdentifier
	PublicKey asn1.BitString
}

// isSecp256k1 reports whether an algorithm identifier names an elliptic curve key on
// secp256k1, which crypto/x509 does not know.
func isSecp256k1(id pkix.AlgorithmIdentifier) bool {
	var curve asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(id.Parameters.FullBytes, &curve)
	return err == nil && len(rest) == 0 && id.Algorithm.Equal(oidECPublicKey()) && curve.Equal(oidSecp256k1())
}

// parseSecp256k1PKIX returns the encoded point.
func parseSecp256k1PKIX(der []byte) (point []byte, ok bool) {
	var info spki
	rest, err := asn1.Unmarshal(der, &info)
	if err != nil || len(rest) > 0 || !isSecp256k1(info.Algorithm) || info.PublicKey.BitLength%8 != 0 {
		return nil, false
	}
	return info.PublicKey.Bytes, true
}

// MarshalPEM returns the key as a PUBLIC KEY block (PKIX), without kid and algorithm.
// The error is ErrKeySymmetric for a shared secret.
func (k *Key) MarshalPEM() ([]byte, error) {
	der, err := k.marshalPKIX()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockPKIX, Bytes: der}), nil
}

func (k *Key) marshalPKIX() ([]byte, error) {
	switch m := k.material.(type) {
	case *rsaMaterial:
		return x509.MarshalPKIXPublicKey(m.public)
	case *ecMaterial:
		return x509.MarshalPKIXPublicKey(m.public)
	case *okpMaterial:
		return x509.MarshalPKIXPublicKey(m.public)
	case *akpMaterial:
		return mldsax509.MarshalPKIXPublicKey(m.public)
	case *k1Material:
		id, err := secp256k1Identifier()
		if err != nil {
			return nil, err
		}
		point := m.public.SerializeUncompressed()
		return asn1.Marshal(spki{id, asn1.BitString{Bytes: point, BitLength: 8 * len(point)}})
	default:
		return nil, fmt.Errorf("%w: a secret has no public part", ErrKeySymmetric)
	}
}

func secp256k1Identifier() (pkix.AlgorithmIdentifier, error) {
	curve, err := asn1.Marshal(oidSecp256k1())
	if err != nil {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("encoding the curve: %w", err)
	}
	return pkix.AlgorithmIdentifier{
		Algorithm:  oidECPublicKey(),
		Parameters: asn1.RawValue{FullBytes: curve},
	}, nil
}
