package jwt

import (
	"context"
	"errors"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/jose"
)

// Credentials are those of callers who sign their tokens themselves; *credential.Directory is the real thing.
type Credentials interface {
	// Find returns the credential with an ID, also one that is not good any more; nil if there is none. It is asked with what unverified tokens say, so it must be cheap.
	Find(id string) *credential.Credential
	// Generation changes whenever a credential does; it is 0 until they are known.
	Generation() uint64
}

// Individual are the Keys of a provider whose tokens are signed by the callers, each with a key of his own.
//
// An unverified token picks the one key that it is judged by: its kid names a credential, or else its sub. That says nothing about it yet. It must then be signed with that key, by an algorithm of the key's own
// kind, and its sub must be the credential's: whoever names the credential of another needs that one's key.
type Individual struct {
	credentials        Credentials
	byKeyID, bySubject bool
}

// NewIndividual makes the Keys of such a provider. The credentials may be nil: none are known then, and its tokens are answered 503.
func NewIndividual(config *gate.Individual, credentials Credentials) *Individual {
	return &Individual{credentials: credentials, byKeyID: config.ByKeyID, bySubject: config.BySubject}
}

// Keys never returns keys: a key of a single caller is never tried on a token that has not named him.
func (*Individual) Keys(context.Context, string, jose.Algorithm) ([]*jose.Key, error) {
	return nil, keys.ErrUnknownKey
}

// Generation is that of the credentials.
func (i *Individual) Generation() uint64 {
	if i.credentials == nil {
		return 0
	}
	return i.credentials.Generation()
}

// Verified does nothing: keys of single callers are not listed.
func (*Individual) Verified(*jose.Key) {}

// find returns the credential that an unverified token names, nil if there is none.
func (i *Individual) find(kid, sub string) *credential.Credential {
	if i.byKeyID && kid != "" {
		if c := i.credentials.Find(kid); c != nil {
			return c
		}
	}
	if i.bySubject && sub != "" {
		return i.credentials.Find(sub)
	}
	return nil
}

// named returns the credential that is called like the sub of a payload, or says that there is none.
func (i *Individual) named(set *claims.Set) (*credential.Credential, error) {
	sub, _ := set.Get("sub").AsString()
	if i.credentials != nil && sub != "" {
		if c := i.credentials.Find(sub); c != nil {
			return c, nil
		}
	}
	return nil, errNoCredential
}

var errNoCredential = errors.New("there is no credential that is called like sub")

// verifyIndividual checks the signature of m with the key of the credential that it names. The key's kind binds the algorithm: no text of a public key is ever a secret.
func (p *Provider) verifyIndividual(m *jose.Message, proved *proof, trace *gate.Trace) error {
	header := m.Header()
	c := gate.Check{Name: checkKey, Expected: "an individual key of " + p.name, Got: clip(header.KeyID)}
	if proved.generation == 0 {
		c.Reason = gate.ReasonKeysUnavailable
		return settle(trace, c, keys.ErrUnavailable)
	}
	sub, _ := proved.claims.Get("sub").AsString()
	found := p.individual.find(header.KeyID, sub)
	if found == nil || found.Key() == nil || !found.Key().Fits(header.Algorithm) {
		c.Reason = gate.ReasonKeyUnknown
		return settle(trace, c, nil)
	}
	if trace != nil {
		trace.Record(c)
	}
	if _, err := jose.Verify(m, found.Key(), p.algorithms); err != nil {
		return settle(trace, gate.Check{Name: checkSignature, Reason: gate.ReasonSignature, Expected: header.Algorithm.String(), Got: "invalid"}, err)
	}
	if trace != nil {
		trace.Record(gate.Check{Name: checkSignature, Expected: header.Algorithm.String(), Got: "valid"})
	}
	proved.key, proved.credential = found.Key(), found
	return nil
}

// own makes the identity that of the credential: what the token claims beside its sub is the caller's own word.
func (t *Token) own() {
	c, id := t.credential, &t.identity
	id.User = c.Subject
	if t.provider.anyIssuer && !t.provider.identity.joined {
		id.SetUserKey(gate.NewIndividualKey(t.provider.name, c.Subject))
	} else {
		id.SetUserKey(gate.NewUserKey(t.provider.issuer, c.Subject, t.provider.identity.joined))
	}
	id.Groups, id.Policies, id.Application, id.TokenName, id.Credential = c.Groups, c.Policies, c.Application, c.Name, c.ID
	id.Email, id.ClientID = "", ""
}

// individual refuses a token that is not of the credential's subject, or whose credential is no good any more.
func (t *Token) individual(now time.Time, explain bool) gate.Check {
	own := t.credential
	if own == nil {
		return gate.Check{}
	}
	c := gate.Check{Name: "credential"}
	switch {
	case t.identity.Subject != own.Subject:
		c.Reason, c.Expected = gate.ReasonSubjectMismatch, "the subject of the credential"
	case own.Suspended:
		c.Reason, c.Got = gate.ReasonCredentialSuspended, "credential "+own.ID
	case !own.Expires.IsZero() && !now.Before(own.Expires):
		c.Reason, c.Expected, c.Got = gate.ReasonCredentialExpired, "a time before "+show(own.Expires), "credential "+own.ID
	case explain:
		c.Got = "credential " + own.ID
	}
	return c
}
