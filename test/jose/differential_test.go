package jose_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/jotgate/jotgate/jose"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// pair is a key of ours and the same key as the other libraries take it.
type pair struct {
	own     *jose.SigningKey
	foreign any
}

// pairs holds a key for each algorithm that at least one other library can verify.
var pairs = sync.OnceValues(func() ([]pair, error) {
	var all []pair
	for alg := range everything().All() {
		if !peers.knows(alg) {
			continue
		}
		key, err := jose.GenerateKey(alg)
		if err != nil {
			return nil, err
		}
		foreign, err := foreignKey(key)
		if err != nil {
			return nil, err
		}
		all = append(all, pair{key.WithKeyID(""), foreign})
	}
	return all, nil
})

func foreignKey(key *jose.SigningKey) (any, error) {
	if key.Algorithm().Symmetric() {
		text, err := key.PrivateJWK()
		if err != nil {
			return nil, err
		}
		var jwk gojose.JSONWebKey
		err = json.Unmarshal(text, &jwk)
		return jwk.Key, err
	}
	text, err := key.Public().MarshalPEM()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// peer is another implementation: it returns the payload of a token it accepts.
type peer struct {
	name   string
	verify func(token string, alg jose.Algorithm, key any) ([]byte, error)
	// lacks are the algorithms it does not have on this version of Go.
	lacks jose.Algorithms
}

type peerList []peer

// peers are the three libraries that Go programs use most.
var peers = peerList{
	{"go-jose", goJose, jose.NewAlgorithms(jose.ES256K, jose.Ed25519, jose.MLDSA44, jose.MLDSA65, jose.MLDSA87)},
	{"golang-jwt", golangJWT, jose.NewAlgorithms(jose.ES256K, jose.Ed25519, jose.MLDSA44, jose.MLDSA65, jose.MLDSA87)},
	{"jwx", jwx, jose.NewAlgorithms(jose.ES256K, jose.MLDSA44, jose.MLDSA65, jose.MLDSA87)},
}

func (l peerList) knows(alg jose.Algorithm) bool {
	return slices.ContainsFunc(l, func(p peer) bool { return !p.lacks.Has(alg) })
}

func goJose(token string, alg jose.Algorithm, key any) ([]byte, error) {
	parsed, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg.String())})
	if err != nil {
		return nil, err
	}
	return parsed.Verify(key)
}

// anyClaims takes every payload that is JSON: the library reads no other.
type anyClaims struct {
	jwt.RegisteredClaims
	payload []byte
}

func (c *anyClaims) UnmarshalJSON(data []byte) error {
	c.payload = bytes.Clone(data)
	return nil
}

func golangJWT(token string, alg jose.Algorithm, key any) ([]byte, error) {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{alg.String()}), jwt.WithoutClaimsValidation())
	claims := new(anyClaims)
	if _, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
		return nil, err
	}
	return claims.payload, nil
}

func jwx(token string, alg jose.Algorithm, key any) ([]byte, error) {
	known, ok := jwa.LookupSignatureAlgorithm(alg.String())
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return jws.Verify([]byte(token), jws.WithKey(known, key), jws.WithCompact())
}

// unreadMembers are header members that the others read, for keys and for the replay protection of ACME (RFC 8555), so that they refuse
// tokens for what is in them. Package jose never reads them.
var unreadMembers = []string{"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "nonce"}

// FuzzDifferential signs a hostile header and payload, edits the token, and demands that
// what is accepted here is accepted by the others, with the same payload. That a signed
// header is arbitrary matters: most confusions need a token that verifies.
//
// In header, $alg stands for the algorithm of the key.
func FuzzDifferential(f *testing.F) {
	all, err := pairs()
	if err != nil {
		f.Fatal(err)
	}
	for i := range all {
		f.Add(uint8(i), `{"alg":"$alg"}`, `{"sub":"a"}`, uint8(0), uint16(0), "")
		f.Add(uint8(i), `{"alg":"$alg","kid":"k","typ":"JWT"}`, `{"aud":["a","b"],"exp":1.5}`, uint8(1), uint16(60), "=")
	}
	f.Fuzz(func(t *testing.T, which uint8, header, payload string, edit uint8, at uint16, with string) {
		p := all[int(which)%len(all)]
		alg := p.own.Algorithm()
		token, err := p.own.SignRaw([]byte(strings.ReplaceAll(header, "$alg", alg.String())), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		token = edited(token, edit, int(at), with)
		m, err := jose.Parse(token, jose.Limits{})
		if err != nil {
			return
		}
		verified, err := jose.Verify(m, p.own.Public(), everything())
		if err != nil {
			return
		}
		if string(verified) != payload {
			t.Fatalf("payload %q became %q", payload, verified)
		}
		for _, other := range peers {
			agree(t, other, token, m.Header(), p, payload)
		}
	})
}

// agree fails the test if other refuses the token or reads another payload.
func agree(t *testing.T, other peer, token string, header jose.Header, p pair, payload string) {
	t.Helper()
	if other.lacks.Has(header.Algorithm) || slices.ContainsFunc(unreadMembers, header.Has) {
		return
	}
	switch other.name {
	case "golang-jwt": // it reads claims only
		if !json.Valid([]byte(payload)) || strings.TrimSpace(payload) == "null" {
			return
		}
	case "jwx": // 3.3.0 forgets space around the header object, and signs something else
		first, _, _ := strings.Cut(token, ".")
		if text, err := base64.RawURLEncoding.DecodeString(first); err != nil || len(bytes.TrimSpace(text)) != len(text) {
			return
		}
	}
	got, err := other.verify(token, header.Algorithm, p.foreign)
	if err != nil {
		t.Fatalf("%s refuses what is accepted here: %v\ntoken: %s", other.name, err, token)
	}
	if other.name == "golang-jwt" {
		payload = strings.TrimSpace(payload) // it hands the JSON value on, not the bytes
	}
	if string(got) != payload {
		t.Fatalf("%s reads payload %q, here it is %q", other.name, got, payload)
	}
}

// edited inserts, replaces or removes at a position, or swaps a segment.
func edited(token string, edit uint8, at int, with string) string {
	at %= len(token) + 1
	end := min(len(token), at+max(1, len(with)))
	switch edit % 5 {
	case 1:
		return token[:at] + with + token[at:]
	case 2:
		return token[:at] + with + token[end:]
	case 3:
		return token[:at] + token[end:]
	case 4:
		segments := strings.Split(token, ".")
		segments[at%len(segments)] = with
		return strings.Join(segments, ".")
	default:
		return token
	}
}

// TestPeersAgree makes sure that the oracles work: each accepts a plain token of every
// algorithm it claims, and refuses one that was changed.
func TestPeersAgree(t *testing.T) {
	all, err := pairs()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 14 {
		t.Errorf("%d algorithms have a peer, want 14", len(all))
	}
	for _, p := range all {
		alg := p.own.Algorithm()
		token, err := p.own.Sign([]byte(`{"sub":"a"}`), jose.SigningHeader{})
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(token, ".", ".e", 1)
		for _, other := range peers {
			if other.lacks.Has(alg) {
				continue
			}
			if got, err := other.verify(token, alg, p.foreign); err != nil || string(got) != `{"sub":"a"}` {
				t.Errorf("%s, %s: %q, %v", other.name, alg, got, err)
			}
			if _, err := other.verify(changed, alg, p.foreign); err == nil {
				t.Errorf("%s, %s: accepts a changed token", other.name, alg)
			}
		}
	}
}
