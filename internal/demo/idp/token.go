package idp

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jotgate/jotgate/jose"
)

const (
	maxForm    = 16 << 10
	defaultTTL = 5 * time.Minute
	maxTTL     = 24 * time.Hour
)

// scopes are those that the client may ask for; the first is granted if it asks for none.
func scopes() []string { return []string{"tickets:read", "tickets:write"} }

// payload is the claims of an access token (RFC 9068 section 2.2), and grp.
type payload struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expires  int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	ID       string   `json:"jti"`
	Client   string   `json:"client_id"`
	Scope    string   `json:"scope,omitempty"`
	Group    string   `json:"grp,omitempty"`
}

// audience is a string if there is only one (RFC 7519 section 4.1.3).
type audience []string

// MarshalJSON writes the string, or the list.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// token is the token endpoint (RFC 6749 section 4.4). Besides the standard parameters it knows audience and resource (RFC 8707), and what only a demonstration would offer:
// grp, a claim; ttl, the lifetime in seconds, which may be negative; alg, RS256 or ES256. With "Accept: text/plain" the answer is the token alone.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		fail(w, http.StatusBadRequest, "invalid_request", "the body is not a form")
		return
	}
	if code, description := authenticate(r); code != "" {
		status := http.StatusBadRequest
		if code == "invalid_client" {
			status = http.StatusUnauthorized
			w.Header().Set("WWW-Authenticate", `Basic realm="demo"`)
		}
		fail(w, status, code, description)
		return
	}
	if grant := r.PostForm.Get("grant_type"); grant != "client_credentials" {
		fail(w, http.StatusBadRequest, "unsupported_grant_type", "grant_type must be client_credentials")
		return
	}
	scope, ok := grantScope(r.PostForm.Get("scope"))
	if !ok {
		fail(w, http.StatusBadRequest, "invalid_scope", "the scopes are "+strings.Join(scopes(), " "))
		return
	}
	ttl, err := lifetime(r.PostForm.Get("ttl"))
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	key := p.signingKey(r.PostForm.Get("alg"))
	if key == nil {
		fail(w, http.StatusBadRequest, "invalid_request", "alg must be RS256 or ES256")
		return
	}
	token, err := p.sign(key, r.PostForm, scope, ttl)
	if err != nil {
		fail(w, http.StatusInternalServerError, "server_error", "the token could not be signed")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("Accept") == "text/plain" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, token) //nolint:gosec // a token is base64url and dots, and no browser asks for text/plain
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"access_token": token,
		"token_type":   "Bearer",
		"expires_in":   int64(ttl.Seconds()),
		"scope":        scope,
	})
}

// authenticate checks the client's id and secret, from the Authorization header or from the form (RFC 6749 section 2.3.1). It returns the error code of
// section 5.2, "" if all is well.
func authenticate(r *http.Request) (code, description string) {
	id, secret, basic := r.BasicAuth()
	if basic {
		if r.PostForm.Has("client_secret") {
			return "invalid_request", "use one way of authentication"
		}
		var errID, errSecret error
		id, errID = url.QueryUnescape(id)
		secret, errSecret = url.QueryUnescape(secret)
		if errID != nil || errSecret != nil {
			return "invalid_client", "the credentials are not form-encoded"
		}
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	// Hashes are compared, so that the time does not depend on the length either.
	got, want := sha256.Sum256([]byte(id+"\x00"+secret)), sha256.Sum256([]byte(ClientID+"\x00"+ClientSecret))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return "invalid_client", "unknown client or wrong secret"
	}
	return "", ""
}

func grantScope(asked string) (granted string, ok bool) {
	if asked == "" {
		return scopes()[0], true
	}
	for scope := range strings.SplitSeq(asked, " ") {
		if !slices.Contains(scopes(), scope) {
			return "", false
		}
	}
	return asked, true
}

func lifetime(text string) (time.Duration, error) {
	if text == "" {
		return defaultTTL, nil
	}
	limit := int64(maxTTL.Seconds())
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < -limit || seconds > limit {
		return 0, fmt.Errorf("ttl must be a number of seconds between -%d and %d", limit, limit)
	}
	return time.Duration(seconds) * time.Second, nil
}

// signingKey returns the current key for the algorithm called name, the default one for "", nil if there is none.
func (p *Provider) signingKey(name string) *jose.SigningKey {
	keys := p.keys.Load().signing
	if name == "" {
		return keys[0]
	}
	for _, key := range keys {
		if key.Algorithm().String() == name {
			return key
		}
	}
	return nil
}

// sign makes the token. One that has already expired was issued a default lifetime before its end.
func (p *Provider) sign(key *jose.SigningKey, form url.Values, scope string, ttl time.Duration) (string, error) {
	now := p.now()
	expires, issued := now.Add(ttl), now
	if ttl <= 0 {
		issued = expires.Add(-defaultTTL)
	}
	targets := slices.Concat(form["audience"], form["resource"])
	if len(targets) == 0 {
		targets = []string{p.audience}
	}
	body, err := json.Marshal(payload{
		Issuer: p.issuer, Subject: ClientID, Client: ClientID, Audience: targets,
		Expires: expires.Unix(), IssuedAt: issued.Unix(), ID: rand.Text(),
		Scope: scope, Group: form.Get("grp"),
	})
	if err != nil {
		return "", fmt.Errorf("encoding the claims: %w", err)
	}
	return key.Sign(body, jose.SigningHeader{Type: "at+jwt"})
}
