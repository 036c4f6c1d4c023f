package attack_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/jose"
)

// ecdsaSignatures are signatures that a careless verifier of r and s takes.
func (s *suite) ecdsaSignatures(t *testing.T) {
	for alg, order := range map[jose.Algorithm]string{
		jose.ES256:  "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
		jose.ES384:  "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
		jose.ES512:  "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
		jose.ES256K: "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	} {
		n, _ := new(big.Int).SetString(order, 16)
		size := (n.BitLen() + 7) / 8
		header, payload, signature := split(s.token(s.alpha, alg, nil, nil))
		good, _ := base64.RawURLEncoding.DecodeString(signature)
		r, sig := new(big.Int).SetBytes(good[:size]), new(big.Int).SetBytes(good[size:])
		zero, one := new(big.Int), big.NewInt(1)
		all := new(big.Int).Sub(new(big.Int).Lsh(one, uint(8*size)), one)
		pair := func(r, sig *big.Int) string {
			return header + "." + payload + "." + b64(string(r.FillBytes(make([]byte, size)))+string(sig.FillBytes(make([]byte, size))))
		}
		bytes := func(signature string) string { return header + "." + payload + "." + b64(signature) }
		forgeries := []forgery{
			{"psychic r=s=0", pair(zero, zero), ""}, {"r=0", pair(zero, sig), ""}, {"s=0", pair(r, zero), ""}, {"r=n, s=n", pair(n, n), ""},
			{"r=n", pair(n, sig), ""}, {"s=n", pair(r, n), ""}, {"r=1, s=1", pair(one, one), ""}, {"r=n, s=1", pair(n, one), ""}, {"r=0, s=1", pair(zero, one), ""},
			{"all ones", pair(all, all), ""}, {"r and s changed over", pair(sig, r), ""}, {"r=n-r", pair(new(big.Int).Sub(n, r), sig), ""},
			{"DER", bytes(derSignature(r, sig)), ""}, {"DER of zeros", bytes("\x30\x06\x02\x01\x00\x02\x01\x00"), ""},
			{"a byte less", bytes(string(good[:2*size-1])), ""}, {"a byte more", bytes(string(good) + "\x00"), ""}, {"a byte before", bytes("\x00" + string(good)), ""},
			{"a zero before each half", bytes("\x00" + string(good[:size]) + "\x00" + string(good[size:])), ""}, {"r alone", bytes(string(good[:size])), ""},
			{"one byte", bytes("\x00"), ""}, {"twice", bytes(string(good) + string(good)), ""},
		}
		if wrapped := new(big.Int).Add(sig, n); wrapped.Cmp(all) <= 0 {
			forgeries = append(forgeries, forgery{"s+n", pair(r, wrapped), ""})
		}
		for i := range forgeries {
			forgeries[i].name, forgeries[i].reason = alg.String()+" "+forgeries[i].name, "signature_invalid"
		}
		s.refuseAll(t, forgeries)
	}
}

// derSignature is a signature as most other formats have it.
func derSignature(r, sig *big.Int) string {
	integer := func(n *big.Int) string {
		b := n.Bytes()
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return "\x02" + string([]byte{byte(len(b))}) + string(b)
	}
	body := integer(r) + integer(sig)
	if len(body) >= 0x80 {
		return "\x30\x81" + string([]byte{byte(len(body))}) + body
	}
	return "\x30" + string([]byte{byte(len(body))}) + body
}

// rsaSignatures uses the issuer's own key in ways that its algorithm forbids.
func (s *suite) rsaSignatures(t *testing.T) {
	sign := func(alg jose.Algorithm, hash crypto.Hash, options crypto.SignerOpts) string {
		key := s.alpha.keys[alg]
		text, err := key.PrivatePEM()
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		input := b64(goodHeader(key).text()) + "." + b64(s.alpha.goodClaims().text())
		h := hash.New()
		h.Write([]byte(input))
		signature, err := private.(*rsa.PrivateKey).Sign(rand.Reader, h.Sum(nil), options)
		if err != nil {
			t.Fatal(err)
		}
		return s.leaks.remember(input + "." + b64(string(signature)))
	}
	pss := func(salt int) string {
		return sign(jose.PS256, crypto.SHA256, &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
	}
	t.Run("PS256 with the right salt passes", func(t *testing.T) { s.forwarded(t, s.get("/tickets", bearer(pss(sha256.Size)))) })
	header, payload, signature := split(s.good())
	good, _ := base64.RawURLEncoding.DecodeString(signature)
	bytes := func(signature string) string { return header + "." + payload + "." + b64(signature) }
	s.refuseAll(t, []forgery{
		{"PS256 with a salt of 1", pss(1), "signature_invalid"},
		{"PS256 with a salt of 20", pss(20), "signature_invalid"},
		{"PS256 with a salt of 31", pss(31), "signature_invalid"},
		{"PS256 with a salt of 33", pss(33), "signature_invalid"},
		{"PS256 with the longest salt", pss(rsa.PSSSaltLengthAuto), "signature_invalid"},
		{"PS256 with SHA-512", sign(jose.PS256, crypto.SHA512, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA512}), "signature_invalid"},
		{"RS256 with SHA-512", sign(jose.RS256, crypto.SHA512, crypto.SHA512), "signature_invalid"},
		{"RS256 with SHA-384", sign(jose.RS256, crypto.SHA384, crypto.SHA384), "signature_invalid"},
		{"RS256 with padding of PSS", sign(jose.RS256, crypto.SHA256, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}), "signature_invalid"},
		{"PS256 with padding of PKCS #1", sign(jose.PS256, crypto.SHA256, crypto.SHA256), "signature_invalid"},
		{"a zero before", bytes("\x00" + string(good)), "signature_invalid"},
		{"a zero after", bytes(string(good) + "\x00"), "signature_invalid"},
		{"a byte less", bytes(string(good[1:])), "signature_invalid"},
		{"zeros", bytes(strings.Repeat("\x00", len(good))), "signature_invalid"},
		{"one", bytes(strings.Repeat("\x00", len(good)-1) + "\x01"), "signature_invalid"},
		{"ones", bytes(strings.Repeat("\xff", len(good))), "signature_invalid"},
		{"one byte", bytes("\x01"), "signature_invalid"},
		{"64 KiB", bytes(strings.Repeat("\xff", 8<<10)), "signature_invalid"},
	})
}

// otherSignatures are those of curves and lattices with one form.
func (s *suite) otherSignatures(t *testing.T) {
	order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	for _, alg := range []jose.Algorithm{jose.Ed25519, jose.EdDSA} {
		header, payload, signature := split(s.token(s.alpha, alg, nil, nil))
		good, _ := base64.RawURLEncoding.DecodeString(signature)
		bytes := func(signature string) string { return header + "." + payload + "." + b64(signature) }
		scalar := new(big.Int).SetBytes(reversed(good[32:]))
		more := string(reversed(new(big.Int).Add(scalar, order).FillBytes(make([]byte, 32))))
		s.refuseAll(t, []forgery{
			{alg.String() + " S+L", bytes(string(good[:32]) + more), "signature_invalid"},
			{alg.String() + " zeros", bytes(strings.Repeat("\x00", 64)), "signature_invalid"},
			{alg.String() + " small order", bytes("\x01" + strings.Repeat("\x00", 63)), "signature_invalid"},
			{alg.String() + " half", bytes(string(good[:32])), "signature_invalid"},
			{alg.String() + " a byte more", bytes(string(good) + "\x00"), "signature_invalid"},
		})
	}
	header, payload, signature := split(s.token(s.alpha, jose.MLDSA44, nil, nil))
	good, _ := base64.RawURLEncoding.DecodeString(signature)
	bytes := func(signature string) string { return header + "." + payload + "." + b64(signature) }
	s.refuseAll(t, []forgery{
		{"ML-DSA-44 zeros", bytes(strings.Repeat("\x00", len(good))), "signature_invalid"},
		{"ML-DSA-44 cut", bytes(string(good[:len(good)-1])), "signature_invalid"},
		{"ML-DSA-44 a byte more", bytes(string(good) + "\x00"), "signature_invalid"},
		{"ML-DSA-44 of another token", header + "." + b64(s.alpha.goodClaims().with(object{"sub": "root"}).text()) + "." + signature, "signature_invalid"},
	})
}

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i := range b {
		r[len(b)-1-i] = b[i]
	}
	return r
}
