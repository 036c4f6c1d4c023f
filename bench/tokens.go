package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// Claims that the tokens carry and the subjects check.
const (
	issuer   = "https://id.example.com/realms/bench"
	audience = "bench"
	group    = "admin"
)

// issuerKey signs the tokens of one algorithm.
type issuerKey struct {
	algorithm jose.Algorithm
	key       *jose.SigningKey
	pemFile   string // the public key; "" for a shared secret
	pem       string
	secret    string
	now       time.Time
	seen      []string // tokens that may be sent again and again, minted when they are first asked for
	unseen    []string // tokens that one process is sent at most once
}

// newIssuerKey makes a key and leaves its public part in folder, where HAProxy reads it.
func newIssuerKey(algorithm jose.Algorithm, folder string, now time.Time) (*issuerKey, error) {
	k := &issuerKey{algorithm: algorithm, now: now}
	if algorithm.Symmetric() {
		k.secret = strings.Repeat("benchmark-secret-", 3) // longer than the hash, and worth nothing
		key, err := jose.NewSecretSigningKey([]byte(k.secret), jose.SecretOptions{Algorithm: algorithm})
		k.key = key
		return k, err
	}
	key, err := jose.GenerateKey(algorithm)
	if err != nil {
		return nil, fmt.Errorf("making a key for %s: %w", algorithm, err)
	}
	k.key = key.WithKeyID("")
	public, err := k.key.Public().MarshalPEM()
	if err != nil {
		return nil, fmt.Errorf("writing the public key for %s: %w", algorithm, err)
	}
	k.pem = string(public)
	k.pemFile = filepath.Join(folder, algorithm.String()+".pem")
	return k, os.WriteFile(k.pemFile, public, 0o644)
}

// payload is the claims of the n-th token.
func (k *issuerKey) payload(n int, expiry time.Time, grp string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"iss": issuer, "sub": fmt.Sprintf("7c9e6679-7425-40de-944b-%012d", n), "aud": audience, "azp": "bench-client", "jti": fmt.Sprintf("f81d4fae-7dec-11d0-a765-%012d", n),
		"scope": "openid profile email tickets:read tickets:write", "grp": grp, "pol": "5f1b2c3d4e5f6a7b8c9d0e1f", "iat": k.now.Unix(), "exp": expiry.Unix(),
	})
}

func (k *issuerKey) mint(n int) (string, error) {
	payload, err := k.payload(n, k.now.Add(24*time.Hour), group)
	if err != nil {
		return "", err
	}
	return k.key.Sign(payload, jose.SigningHeader{Type: "JWT"})
}

// mintAll makes the tokens from up to to, on all processors.
func (k *issuerKey) mintAll(from, to int) ([]string, error) {
	tokens := make([]string, to-from)
	workers := runtime.GOMAXPROCS(0)
	failures := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(tokens) && failures[w] == nil; i += workers {
				tokens[i], failures[w] = k.mint(from + i)
			}
		})
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, fmt.Errorf("minting tokens with %s: %w", k.algorithm, err)
		}
	}
	return tokens, nil
}

// unseenFrom is where the numbers of the tokens begin that are sent at most once.
const unseenFrom = 1_000_000

// pool returns the first n tokens that may be sent again.
func (k *issuerKey) pool(n int) ([]string, error) {
	more, err := k.mintAll(len(k.seen), max(n, len(k.seen)))
	if err != nil {
		return nil, err
	}
	k.seen = append(k.seen, more...)
	return k.seen[:n], nil
}

// fresh returns n tokens that are in no pool. A process must be sent each of them at most once.
func (k *issuerKey) fresh(n int) ([]string, error) {
	have := len(k.unseen)
	more, err := k.mintAll(unseenFrom+have, unseenFrom+max(n, have))
	if err != nil {
		return nil, err
	}
	k.unseen = append(k.unseen, more...)
	return k.unseen[:n], nil
}

// badToken is one that every subject must refuse.
type badToken struct {
	name   string
	token  string
	status []int // the statuses that refuse it properly
}

// bad returns the tokens that must be refused and never reach the upstream. The statuses are those of RFC 6750 section 3.1; where a token is good but not
// sufficient, 401 is taken for 403.
func (k *issuerKey) bad() ([]badToken, error) {
	good, err := k.mint(0)
	if err != nil {
		return nil, err
	}
	expiredPayload, err := k.payload(1, k.now.Add(-time.Hour), group)
	if err != nil {
		return nil, err
	}
	expired, err := k.key.Sign(expiredPayload, jose.SigningHeader{Type: "JWT"})
	if err != nil {
		return nil, err
	}
	otherPayload, err := k.payload(2, k.now.Add(24*time.Hour), "guest")
	if err != nil {
		return nil, err
	}
	other, err := k.key.Sign(otherPayload, jose.SigningHeader{Type: "JWT"})
	if err != nil {
		return nil, err
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	otherParts := strings.Split(other, ".")
	return []badToken{
		{"a bad signature", parts[0] + "." + parts[1] + "." + otherParts[2], []int{401}},
		{"an expired token", expired, []int{401}},
		{"alg none", none, []int{401}},
		{"no token", "", []int{401}},
		{"an insufficient claim", other, []int{401, 403}},
	}, nil
}
