package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
)

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// certificate signs public with the key of issuer, or with itself if issuer is nil.
func certificate(t *testing.T, name string, key *ecdsa.PrivateKey, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), // long over: dates are not judged
		IsCA: true, BasicConstraintsValid: true,
	}
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkixBlock(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return block("PUBLIC KEY", der)
}

// rsaBlock makes a PKCS #1 block of an odd modulus.
func rsaBlock(size uint, e int) string {
	n := new(big.Int).Lsh(big.NewInt(1), size-1)
	return block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: e}))
}

func TestParsePEM(t *testing.T) {
	rsaPublic := testKeys()[RS256].Public().material.(*rsaMaterial).public
	a, b, c := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	root := certificate(t, "root", a, nil, nil)
	leaf := certificate(t, "leaf", b, root, a)
	renewed := certificate(t, "root", c, nil, nil) // the same name, another key
	cert := func(c *x509.Certificate) string { return block("CERTIFICATE", c.Raw) }
	good := pkixBlock(t, &a.PublicKey)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, text string
		want       int
		err        error
	}{
		{"PKIX", good, 1, nil},
		{"PKCS #1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rsaPublic)), 1, nil},
		{"certificate", cert(root), 1, nil},
		{"several", good + pkixBlock(t, rsaPublic) + cert(leaf), 3, nil},
		{"chain", cert(leaf) + cert(root), 1, nil},
		{"chain, root first", cert(root) + cert(leaf), 1, nil},
		{"two of one name", cert(root) + cert(renewed), 2, nil},
		{"comments", "subject=x\n" + good + "\nmore\n", 1, nil},
		{"CRLF", strings.ReplaceAll(good, "\n", "\r\n"), 1, nil},
		{"empty", "", 0, ErrKeyInvalid},
		{"no PEM", "hello", 0, ErrKeyInvalid},
		{"cut", good[:len(good)-10], 0, ErrKeyInvalid},
		{"second cut", good + good[:len(good)-10], 0, ErrKeyInvalid},
		{"first cut", good[:60] + "\n" + good, 0, ErrKeyInvalid},
		{"bad base64", strings.Replace(good, "M", "*", 1), 0, ErrKeyInvalid},
		{"not DER", block("PUBLIC KEY", []byte("x")), 0, ErrKeyInvalid},
		{"PKIX in an RSA block", strings.ReplaceAll(pkixBlock(t, rsaPublic), " PUBLIC", " RSA PUBLIC"), 0, ErrKeyInvalid},
		{"not a certificate", block("CERTIFICATE", []byte("x")), 0, ErrKeyInvalid},
		{"private", block("PRIVATE KEY", []byte("x")), 0, ErrKeyPrivate},
		{"private RSA", good + block("RSA PRIVATE KEY", []byte("x")), 0, ErrKeyPrivate},
		{"encrypted", block("ENCRYPTED PRIVATE KEY", []byte("x")), 0, ErrKeyPrivate},
		{"request", block("CERTIFICATE REQUEST", []byte("x")), 0, ErrKeyUnsupported},
		{"P-224", pkixBlock(t, &ecKey(t, elliptic.P224()).PublicKey), 0, ErrKeyUnsupported},
		{"RSA of 1024 bits", pkixBlock(t, &small.PublicKey), 0, ErrKeyWeak},
		{"RSA of 9000 bits", rsaBlock(9000, 65537), 0, ErrKeyUnsupported},
		{"RSA with e = 1", rsaBlock(2048, 1), 0, ErrKeyWeak},
		{"RSA with an even modulus", pkixBlock(t, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}), 0, ErrKeyInvalid},
		{"good and weak", good + pkixBlock(t, &small.PublicKey), 0, ErrKeyWeak},
	} {
		keys, err := ParsePEM([]byte(test.text))
		if !errors.Is(err, test.err) || len(keys) != test.want {
			t.Errorf("%s: %v, %v; want %d keys, %v", test.name, keys, err, test.want, test.err)
		}
		if err != nil {
			onlyOne(t, err, keyErrors())
		}
		for _, k := range keys {
			if k.KeyID() != "" || k.Algorithm() != 0 || k.Algorithms().Empty() {
				t.Errorf("%s: %v", test.name, k)
			}
		}
	}
}

// The files are written by OpenSSL: one key on secp256k1 in all its forms, and a
// signature by it.
func TestSecp256k1Files(t *testing.T) {
	read := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	keys, err := ParsePEM(read("secp256k1_public.pem"))
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := ParsePEM(read("secp256k1_public_compressed.pem"))
	if err != nil || !compressed[0].Equal(keys[0]) {
		t.Errorf("compressed: %v, %v", compressed, err)
	}
	text, err := keys[0].MarshalPEM()
	if err != nil || !bytes.Equal(text, read("secp256k1_public.pem")) {
		t.Errorf("written as %s, %v", text, err)
	}
	for _, name := range []string{"secp256k1_sec1.pem", "secp256k1_pkcs8.pem"} {
		private, err := ParsePrivatePEM(read(name), 0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if private.Algorithm() != ES256K || !private.Public().material.equal(keys[0].material) {
			t.Errorf("%s is another key", name)
		}
		if text, err = private.PrivatePEM(); err != nil || !bytes.Equal(text, read("secp256k1_pkcs8.pem")) {
			t.Errorf("%s is written differently, %v", name, err)
		}
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(read("secp256k1_signature.der"), &signature); err != nil {
		t.Fatal(err)
	}
	raw := append(signature.R.FillBytes(make([]byte, 32)), signature.S.FillBytes(make([]byte, 32))...)
	if err := keys[0].VerifyBytes(ES256K, []byte("header.payload"), raw); err != nil {
		t.Errorf("with s in the upper half: %v", err)
	}

	pub := read("secp256k1_public.pem")
	decoded, _ := pem.Decode(pub)
	for name, change := range map[string]func(der []byte) []byte{
		"not on the curve": func(der []byte) []byte { der[len(der)-1] ^= 1; return der },
		"hybrid form":      func(der []byte) []byte { der[len(der)-65] = 6 + der[len(der)-1]&1; return der },
		"infinity":         func(der []byte) []byte { der[len(der)-65] = 0; return der },
		"data after it":    func(der []byte) []byte { return append(der, 0) },
	} {
		if _, err := ParsePEM([]byte(block("PUBLIC KEY", change(bytes.Clone(decoded.Bytes))))); !errors.Is(err, ErrKeyInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePrivatePEM(t *testing.T) {
	ec := ecKey(t, elliptic.P384())
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := testKeys()[RS256].signer.(*rsaSigner).key
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	ml, err := mldsa.GenerateKey(mldsa.MLDSA65())
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := (&akpSigner{ml}).pkcs8()
	if err != nil {
		t.Fatal(err)
	}
	good := block("EC PRIVATE KEY", sec1)
	for _, test := range []struct {
		name, text string
		alg, want  Algorithm
		err        error
	}{
		{"SEC 1", good, 0, ES384, nil},
		{"SEC 1 after its parameters", block("EC PARAMETERS", []byte("x")) + good, 0, ES384, nil},
		{"PKCS #1", pkcs1, 0, RS256, nil},
		{"PKCS #1 for PSS", pkcs1, PS512, PS512, nil},
		{"PKCS #8 of ML-DSA", block("PRIVATE KEY", pkcs8), 0, MLDSA65, nil},
		{"wrong algorithm", good, ES256, 0, ErrKeyMismatch},
		{"two keys", good + good, 0, 0, ErrKeyInvalid},
		{"only parameters", block("EC PARAMETERS", []byte("x")), 0, 0, ErrKeyInvalid},
		{"public", pkixBlock(t, &ec.PublicKey), 0, 0, ErrKeyUnsupported},
		{"encrypted", block("ENCRYPTED PRIVATE KEY", pkcs8), 0, 0, ErrKeyUnsupported},
		{"broken", block("PRIVATE KEY", pkcs8[:len(pkcs8)-1]), 0, 0, ErrKeyInvalid},
		{"empty", "", 0, 0, ErrKeyInvalid},
	} {
		key, err := ParsePrivatePEM([]byte(test.text), test.alg)
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", test.name, err, test.err)
			continue
		}
		if err == nil && key.Algorithm() != test.want {
			t.Errorf("%s: %s, want %s", test.name, key.Algorithm(), test.want)
		}
	}
}
