package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/jose"
)

// sharedSecret is a source with one key, as a provider with a secret has.
type sharedSecret struct{ key *jose.Key }

func (s sharedSecret) Keys(context.Context, string, jose.Algorithm) ([]*jose.Key, error) {
	return []*jose.Key{s.key}, nil
}

func (sharedSecret) Verified(*jose.Key) {}

func (sharedSecret) Generation() uint64 { return 1 }

func Example() {
	signer, err := jose.NewSecretSigningKey([]byte("a shared secret of at least 32 bytes"), jose.SecretOptions{})
	if err != nil {
		panic(err)
	}
	config := &gate.Provider{Name: "id", Issuer: "https://id.example.com", Algorithms: []string{"HS256"}, Audiences: []string{"tickets"}}
	config.SetDefaults()
	provider, problems := jwt.NewProvider(config, sharedSecret{signer.Public()})
	if problems.Err() != nil {
		panic(problems)
	}
	verifier, err := jwt.New([]*jwt.Provider{provider})
	if err != nil {
		panic(err)
	}

	token, err := signer.Sign([]byte(`{"iss":"https://id.example.com","aud":"tickets","sub":"alice","exp":1700000000}`), jose.SigningHeader{})
	if err != nil {
		panic(err)
	}
	identity, err := verifier.Verify(context.Background(), token, time.Unix(1699999999, 0), nil)
	fmt.Println(identity.Subject, err)

	_, err = verifier.Verify(context.Background(), token, time.Unix(1700000037, 0), nil)
	var denial *gate.Denial
	if errors.As(err, &denial) {
		fmt.Println(denial.Reason, denial.Got)
	}
	// Output:
	// alice <nil>
	// token_expired 2023-11-14T22:13:20Z, 37s ago
}
