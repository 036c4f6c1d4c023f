// Package revoke takes tokens back before their end: single ones, and all of a subject, a session, a client or a key. It never needs the tokens themselves: what is
// taken back is named by claims.
package revoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
)

// Kind is what a revocation names.
type Kind string

const (
	// Token is one token: the claim jti (RFC 7519 section 4.1.7).
	Token Kind = "token"
	// Subject is everything of a subject: the claim sub.
	Subject Kind = "subject"
	// Session is everything of a session at the provider: the claim sid (OpenID Connect Back-Channel Logout 1.0 section 2.1).
	Session Kind = "session"
	// Client is everything that a client got: one of the claims that the provider's identity settings name, usually client_id (RFC 8693 section 4.3).
	Client Kind = "client"
	// Key is everything that a key has signed: the header parameter kid (RFC 7515 section 4.1.4). It is also an API key or the credential of an individual key, by the ID that the gateway knows it by; these have no
	// issuer, whatever their tokens claim.
	Key Kind = "key"
)

// kinds are all kinds, in the order in which they are asked for.
var kinds = [...]Kind{Token, Subject, Session, Client, Key}

// AnyIssuer as the issuer of a revocation stands for all issuers.
const AnyIssuer = "*"

// Revocation takes tokens back.
type Revocation struct {
	// Kind and Value say which tokens; Value is compared exactly.
	Kind  Kind   `json:"kind"`
	Value string `json:"value"`
	// Issuer is the iss claim of the tokens, "" for API keys, credentials and tokens without one, or AnyIssuer: names mean something only together with their issuer (RFC 7519 section 4.1.2).
	Issuer string `json:"issuer"`
	// IssuedBefore, if set, takes back only what was issued before that moment. Both are compared as whole seconds, in which iat is usually written, and a token of the same second counts as issued before, as does one without iat.
	// An API key is issued when it is made. Who signs his tokens himself writes their iat as he likes.
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	// Expires is when the revocation may be forgotten, because no token that it names is valid any more; zero: never.
	Expires time.Time `json:"expires,omitzero"`
	// Reason and By are for people: why, and the admin token that was used.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
	// Created is when it was made.
	Created time.Time `json:"created"`
}

// The limits of a revocation's texts, in bytes.
const (
	maxText   = 1024
	maxReason = 256
)

// Check says what is wrong with r at the moment now, nil if nothing is. The error is fit for whoever made it.
func (r *Revocation) Check(now time.Time) error {
	if !r.Kind.known() {
		return fmt.Errorf("kind: %q is none of token, subject, session, client and key", shorten(string(r.Kind)))
	}
	for _, text := range []struct {
		name, value string
		limit       int
	}{{"value", r.Value, maxText}, {"issuer", r.Issuer, maxText}, {"reason", r.Reason, maxReason}} {
		if err := gate.CheckText(text.value, text.limit); err != nil {
			return fmt.Errorf("%s: %w", text.name, err)
		}
	}
	switch {
	case r.Value == "":
		return errors.New("value: is missing")
	case !r.Expires.IsZero() && !r.Expires.After(now):
		return errors.New("expires: is in the past")
	case r.IssuedBefore.After(now.Add(24 * time.Hour)):
		return errors.New("issued_before: is more than a day in the future")
	}
	return nil
}

func (k Kind) known() bool {
	for _, kind := range kinds {
		if k == kind {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	if len(s) > 32 {
		return strings.ToValidUTF8(s[:32], "") + "..."
	}
	return s
}

// encode is the form in which r is stored.
func (r *Revocation) encode() ([]byte, error) { return json.Marshal(r) }

// decode reads what encode wrote.
func decode(text []byte) (Revocation, error) {
	var r Revocation
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("reading a revocation: %w", err)
	}
	if !r.Kind.known() || r.Value == "" {
		return r, fmt.Errorf("reading a revocation: unknown kind %q or no value", shorten(string(r.Kind)))
	}
	return r, nil
}

// value is what an identity has of a kind, "" if nothing.
func (k Kind) value(id *gate.Identity) string {
	switch k {
	case Token:
		return text(id.Claims, "jti")
	case Subject:
		return id.Subject
	case Session:
		return text(id.Claims, "sid")
	case Client:
		return id.ClientID
	case Key:
		return id.KeyID
	}
	return ""
}

func text(set *claims.Set, name string) string {
	if set == nil {
		return ""
	}
	s, _ := set.Get(name).AsString()
	return s
}
