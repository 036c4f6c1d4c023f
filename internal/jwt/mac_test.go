package jwt_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/jotgate/jotgate/jose"
)

// mac signs as an attacker does: jose refuses to use the text of a public key as a secret.
func mac(alg jose.Algorithm, secret []byte, input string) []byte {
	size := map[jose.Algorithm]func() hash.Hash{jose.HS256: sha256.New, jose.HS384: sha512.New384, jose.HS512: sha512.New}
	m := hmac.New(size[alg], secret)
	m.Write([]byte(input))
	return m.Sum(nil)
}
