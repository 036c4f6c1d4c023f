package jose

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNewSecretKey(t *testing.T) {
	secret := func(n int) []byte { return bytes.Repeat([]byte{'s'}, n) }
	for _, test := range []struct {
		size int
		opts SecretOptions
		want Algorithms
		err  error
	}{
		{0, SecretOptions{}, Algorithms{}, ErrKeyWeak},
		{0, SecretOptions{AllowShort: true}, Algorithms{}, ErrKeyWeak},
		{31, SecretOptions{}, Algorithms{}, ErrKeyWeak},
		{32, SecretOptions{}, NewAlgorithms(HS256), nil},
		{47, SecretOptions{}, NewAlgorithms(HS256), nil},
		{48, SecretOptions{}, NewAlgorithms(HS256, HS384), nil},
		{64, SecretOptions{}, NewAlgorithms(HS256, HS384, HS512), nil},
		{64, SecretOptions{Algorithm: HS384}, NewAlgorithms(HS384), nil},
		{63, SecretOptions{Algorithm: HS512}, Algorithms{}, ErrKeyWeak},
		{47, SecretOptions{Algorithm: HS384}, Algorithms{}, ErrKeyWeak},
		{1, SecretOptions{AllowShort: true}, NewAlgorithms(HS256, HS384, HS512), nil},
		{1, SecretOptions{AllowShort: true, Algorithm: HS512}, NewAlgorithms(HS512), nil},
		{64, SecretOptions{Algorithm: RS256}, Algorithms{}, ErrKeyMismatch},
		{64, SecretOptions{Algorithm: 99}, Algorithms{}, ErrKeyMismatch},
	} {
		key, err := NewSecretKey(secret(test.size), test.opts)
		if !errors.Is(err, test.err) {
			t.Errorf("%d bytes, %+v: %v, want %v", test.size, test.opts, err, test.err)
			continue
		}
		if err == nil && (key.Algorithms() != test.want || !key.Symmetric()) {
			t.Errorf("%d bytes, %+v: %s", test.size, test.opts, key.Algorithms())
		}
	}
}

// The bytes are copied: what the caller does with them later changes no verdict.
func TestSecretIsCopied(t *testing.T) {
	secret := bytes.Repeat([]byte{1}, 32)
	key, err := NewSecretSigningKey(secret, SecretOptions{KeyID: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if key.Algorithm() != HS256 || key.KeyID() != "s" {
		t.Errorf("signs with %s as %s", key.Algorithm(), key.KeyID())
	}
	token := sign(t, key, "{}")
	clear(secret)
	if _, err := verify(token, key.Public()); err != nil {
		t.Error(err)
	}
	if again := sign(t, key, "{}"); again != token {
		t.Error("another signature after the caller cleared its secret")
	}
}

// TestKeyConfusion: whatever a public key is written as is no secret, and a token that
// is signed with it is refused.
func TestKeyConfusion(t *testing.T) {
	for _, alg := range []Algorithm{RS256, ES256, ES256K, EdDSA, MLDSA44} {
		key := testKeys()[alg].Public()
		text, err := key.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		decoded, _ := pem.Decode(text)
		jwk, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		set, _ := NewSet(key)
		jwks, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		forms := map[string][]byte{
			"PEM": text, "PEM without the last line break": bytes.TrimSpace(text), "PEM with more": append(text, "\n\n"...),
			"PEM with CRLF": bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
			"DER":           decoded.Bytes, "DER and a line break": append(bytes.Clone(decoded.Bytes), '\n'),
			"base64 of DER": []byte(base64.StdEncoding.EncodeToString(decoded.Bytes)),
			"body of PEM":   []byte(strings.Join(lines[1:len(lines)-1], "\n")),
			"JWK":           jwk, "JWK with space": append([]byte("\n "), jwk...), "JWKS": jwks,
		}
		if alg == RS256 {
			forms["PKCS #1"] = x509.MarshalPKCS1PublicKey(key.material.(*rsaMaterial).public)
		}
		for name, form := range forms {
			if !LooksLikePublicKey(form) {
				t.Errorf("%s, %s: not recognised", alg, name)
			}
			if _, err := NewSecretKey(form, SecretOptions{AllowShort: true}); !errors.Is(err, ErrKeySymmetric) {
				t.Errorf("%s, %s as a secret: %v", alg, name, err)
			}
			// An attacker is not bound by NewSecretKey.
			m, err := newSecret(form, true)
			if err != nil {
				t.Fatal(err)
			}
			forger, err := newSigningKey(&secretSigner{m}, HS256, "")
			if err != nil {
				t.Fatal(err)
			}
			forged, err := Parse(sign(t, forger, "{}"), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			all := AsymmetricAlgorithms().Union(NewAlgorithms(HS256))
			if _, err := Verify(forged, key, all); !errors.Is(err, ErrKeyMismatch) {
				t.Errorf("%s, HS256 with %s: %v", alg, name, err)
			}
		}
	}
	for _, secret := range []string{
		"", "secret", "{", "{}", `{"a":1}`, "correct horse battery staple", strings.Repeat("A", 64), strings.Repeat("0", 64),
		"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "\x30\x03\x02\x01\x01", "-----", "kty",
	} {
		if LooksLikePublicKey([]byte(secret)) {
			t.Errorf("%q is taken for a key", secret)
		}
	}
}

// TestSecretsDoNotPrint goes through every way in which a value reaches a log by
// accident: verbs, encoders, slog, and structs that hold the value.
func TestSecretsDoNotPrint(t *testing.T) {
	for alg, key := range testKeys() {
		var secrets []string
		for _, m := range key.signer.private() {
			if m.name == "kty" {
				continue
			}
			raw, err := base64.RawURLEncoding.DecodeString(m.value)
			if err != nil {
				t.Fatal(err)
			}
			secrets = append(secrets, m.value[:12], base64.StdEncoding.EncodeToString(raw)[:12],
				fmt.Sprintf("%x", raw)[:12], fmt.Sprintf("%X", raw)[:12], strings.Trim(fmt.Sprintf("%d", raw[:6]), "[]"), fmt.Sprintf("%#v", raw)[7:30])
		}
		type holder struct {
			Key      *SigningKey
			Value    SigningKey
			inner    *SigningKey
			hidden   SigningKey
			public   Key
			Public   *Key
			material material
		}
		var out strings.Builder
		for _, v := range []any{
			key, *key, key.Public(), *key.Public(), holder{key, *key, key, *key, *key.Public(), key.Public(), key.Public().material},
			[]*SigningKey{key}, map[string]SigningKey{"k": *key},
		} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%T"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(text)
			slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", v)
		}
		for _, secret := range secrets {
			if i := strings.Index(out.String(), secret); i >= 0 {
				t.Errorf("%s: printed %s: ...%s", alg, secret, out.String()[max(0, i-60):i+30])
			}
		}
		if got := fmt.Sprintf("%v %+v %#v %d", key, *key, key, *key); got != "[secret] [secret] [secret] [secret]" {
			t.Errorf("%s: printed as %s", alg, got)
		}
		text, err := key.MarshalText()
		if got := key.String() + string(text); err != nil || got != "[secret][secret]" {
			t.Errorf("%s: as text %s, %v", alg, got, err)
		}
		if text, err := json.Marshal(key); err != nil || string(text) != `"[secret]"` {
			t.Errorf("%s: marshalled as %s, %v", alg, text, err)
		}
	}
	if text, err := json.Marshal(testKeys()[HS256].Public()); err != nil || string(text) != `"[secret]"` {
		t.Errorf("a shared secret is marshalled as %s, %v", text, err)
	}
	if _, err := testKeys()[HS256].PrivatePEM(); !errors.Is(err, ErrKeySymmetric) {
		t.Errorf("PEM of a secret: %v", err)
	}
	if _, err := testKeys()[HS256].Public().MarshalPEM(); !errors.Is(err, ErrKeySymmetric) {
		t.Errorf("public PEM of a secret: %v", err)
	}
}
