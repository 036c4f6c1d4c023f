package jose_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jotgate/jotgate/jose"
)

// The way of a token through a verifier: parse, find candidates, verify.
func Example() {
	// Somewhere else, an issuer signs a token and publishes its key.
	issuer, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		panic(err)
	}
	token, err := issuer.Sign([]byte(`{"sub":"alice"}`), jose.SigningHeader{Type: "at+jwt"})
	if err != nil {
		panic(err)
	}
	published, err := json.Marshal(map[string]any{"keys": []any{issuer.Public()}})
	if err != nil {
		panic(err)
	}

	// Here, its key set is read once.
	set, problems, err := jose.ParseSet(published, jose.SetOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Println("keys:", set.Len(), "left out:", len(problems))

	// And its tokens are verified with it.
	allowed := jose.NewAlgorithms(jose.RS256, jose.ES256)
	m, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		panic(err)
	}
	for _, key := range set.Candidates(m.Header().KeyID, m.Header().Algorithm) {
		if payload, err := jose.Verify(m, key, allowed); err == nil {
			fmt.Println("verified:", string(payload))
		}
	}
	// Output:
	// keys: 1 left out: 0
	// verified: {"sub":"alice"}
}

// A token never chooses its algorithm: what is not allowed is not even tried.
func ExampleVerify() {
	key, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		panic(err)
	}
	token, err := key.Sign([]byte("{}"), jose.SigningHeader{})
	if err != nil {
		panic(err)
	}
	m, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		panic(err)
	}
	_, err = jose.Verify(m, key.Public(), jose.NewAlgorithms(jose.RS256))
	fmt.Println(err)
	_, err = jose.Verify(m, key.Public(), jose.Algorithms{})
	fmt.Println(errors.Is(err, jose.ErrAlgorithmNotAllowed))
	_, err = jose.Verify(m, key.Public(), jose.NewAlgorithms(jose.EdDSA))
	fmt.Println(err)
	// Output:
	// algorithm not allowed: EdDSA
	// true
	// <nil>
}

// The kinds of errors are a closed list.
func ExampleParse() {
	for _, token := range []string{
		"eyJhbGciOiJub25lIn0.e30.",
		"eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA\n",
	} {
		_, err := jose.Parse(token, jose.Limits{})
		switch {
		case errors.Is(err, jose.ErrUnsupportedAlgorithm):
			fmt.Println("algorithm_unsupported:", err)
		case errors.Is(err, jose.ErrMalformed):
			fmt.Println("token_malformed:", err)
		default:
			fmt.Println("other:", err)
		}
	}
	// Output:
	// algorithm_unsupported: unsupported algorithm: "none"
	// other: critical header extension
	// token_malformed: malformed token: signature is not canonical base64url
}

// One key that cannot be used is reported; the others are.
func ExampleParseSet() {
	set, problems, err := jose.ParseSet([]byte(`{"keys":[
		{"kty":"OKP","crv":"Ed25519","kid":"good","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
		{"kty":"RSA","kid":"small","n":"AQAB","e":"AQAB"},
		{"kty":"lattice","kid":"future"},
		{"kty":"oct","kid":"leaked","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	]}`), jose.SetOptions{})
	if err != nil {
		panic(err)
	}
	for _, key := range set.Keys() {
		fmt.Println("usable:", key)
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	// Output:
	// usable: jose.Key(kid="good", EdDSA,Ed25519)
	// key 1 (kid "small"): weak key: RSA modulus of 17 bits, at least 2048 are needed
	// key 2 (kid "future"): unsupported key: kty "lattice"
	// key 3 (kid "leaked"): symmetric key mixed up with public key: kty oct
}

// A configuration that takes a public key for a secret would accept everyone's tokens.
func ExampleNewSecretKey() {
	_, err := jose.NewSecretKey([]byte("short"), jose.SecretOptions{Algorithm: jose.HS256})
	fmt.Println(err)
	_, err = jose.NewSecretKey([]byte("-----BEGIN PUBLIC KEY-----\n..."), jose.SecretOptions{})
	fmt.Println(err)
	key, err := jose.NewSecretKey([]byte("0123456789abcdef0123456789abcdef"), jose.SecretOptions{KeyID: "a"})
	fmt.Println(key, err)
	// Output:
	// weak key: secret of 5 bytes, HS256 needs 32
	// symmetric key mixed up with public key: the secret is an encoded key
	// jose.Key(kid="a", HS256) <nil>
}

// Whatever prints a signing key prints nothing of it.
func ExampleSigningKey() {
	key, err := jose.GenerateKey(jose.RS256)
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(key)
	fmt.Printf("%v %+v %#v %s %v\n", key, key, key, text, err)
	// Output:
	// [secret] [secret] [secret] "[secret]" <nil>
}
