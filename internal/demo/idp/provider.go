// Package idp is the identity provider of the demonstration: discovery document, JWK Set and a token endpoint for client credentials, with keys that rotate on
// request. It is a real provider with a careless owner: its client secret is public, and it signs what a client asks for, expired tokens included, so that refusals can be seen.
package idp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// The only client.
const (
	ClientID     = "demo"
	ClientSecret = "demo-secret" // everybody may know it: it opens the demonstration on the loopback address
)

// keysMaxAge is how long the JWK Set may be cached.
const keysMaxAge = 5 * time.Minute

// Provider is an http.Handler. It is safe for concurrent use.
type Provider struct {
	issuer   string
	audience string
	now      func() time.Time
	mux      http.ServeMux

	rotating sync.Mutex // one rotation at a time
	keys     atomic.Pointer[keyring]
}

// keyring is what is signed with and what is published; it is read-only.
type keyring struct {
	signing, previous []*jose.SigningKey // one for each algorithm; previous is empty before the first rotation
	document          []byte             // the JWK Set of both
	tag               string             // its ETag
}

// algorithms are those that the provider signs with; the first is the default.
func algorithms() []jose.Algorithm { return []jose.Algorithm{jose.RS256, jose.ES256} }

// New makes a provider with fresh keys. issuer is the URL that it is reachable at, without a slash at the end; audience is the audience of tokens whose
// request names none; now is the clock.
func New(issuer, audience string, now func() time.Time) (*Provider, error) {
	p := &Provider{issuer: issuer, audience: audience, now: now}
	if _, err := p.Rotate(); err != nil {
		return nil, err
	}
	p.mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	p.mux.HandleFunc("GET /jwks", p.jwks)
	p.mux.HandleFunc("POST /token", p.token)
	p.mux.HandleFunc("POST /rotate", p.rotate)
	return p, nil
}

// ServeHTTP answers the four endpoints.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// Rotation says which keys there are after a rotation.
type Rotation struct {
	// Signing are the kids of the new keys, Published those of all keys in the JWK Set.
	Signing   []string `json:"signing"`
	Published []string `json:"published"`
}

// Rotate makes new signing keys. Those that signed until now stay published, so that their tokens remain good; the keys before them are gone.
func (p *Provider) Rotate() (Rotation, error) {
	p.rotating.Lock()
	defer p.rotating.Unlock()

	next := &keyring{}
	for _, alg := range algorithms() {
		key, err := jose.GenerateKey(alg)
		if err != nil {
			return Rotation{}, fmt.Errorf("rotating the keys: %w", err)
		}
		next.signing = append(next.signing, key)
	}
	if current := p.keys.Load(); current != nil {
		next.previous = current.signing
	}
	var public []*jose.Key
	result := Rotation{}
	for _, key := range slices.Concat(next.signing, next.previous) {
		public = append(public, key.Public())
		result.Published = append(result.Published, key.KeyID())
	}
	result.Signing = slices.Clone(result.Published[:len(next.signing)])

	set, problems := jose.NewSet(public...)
	if len(problems) > 0 {
		return Rotation{}, fmt.Errorf("rotating the keys: %w", problems[0])
	}
	var err error
	if next.document, err = json.Marshal(set); err != nil {
		return Rotation{}, fmt.Errorf("rotating the keys: %w", err)
	}
	sum := sha256.Sum256(next.document)
	next.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	p.keys.Store(next)
	return result, nil
}

// discovery is the document of OpenID Connect Discovery 1.0 section 3.
func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	names := make([]string, 0, len(algorithms()))
	for _, alg := range algorithms() {
		names = append(names, alg.String())
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	reply(w, http.StatusOK, map[string]any{
		"issuer":                                p.issuer,
		"jwks_uri":                              p.issuer + "/jwks",
		"token_endpoint":                        p.issuer + "/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"grant_types_supported":                 []string{"client_credentials"},
		"response_types_supported":              []string{},
		"scopes_supported":                      scopes(),
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": names,
	})
}

func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) {
	keys := p.keys.Load()
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(keysMaxAge.Seconds())))
	w.Header().Set("ETag", keys.tag)
	if r.Header.Get("If-None-Match") == keys.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	// An error here means that the client is gone; there is nobody left to tell.
	_, _ = w.Write(keys.document)
}

func (p *Provider) rotate(w http.ResponseWriter, _ *http.Request) {
	result, err := p.Rotate()
	if err != nil {
		fail(w, http.StatusInternalServerError, "server_error", "the keys could not be rotated")
		return
	}
	reply(w, http.StatusOK, result)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the client is gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// fail is the error answer of RFC 6749 section 5.2.
func fail(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Cache-Control", "no-store")
	reply(w, status, map[string]string{"error": code, "error_description": description})
}
