package jwt

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// Provider is a gate.Provider made ready for verifying, with its keys. It is read-only and safe for concurrent use.
type Provider struct {
	name               string
	issuer             string
	anyIssuer          bool
	keys               Keys
	individual         *Individual // the keys, if they are of single callers
	algorithms         jose.Algorithms
	types              []string // without "application/"; nil: the default
	typeText           string   // for explanations, as are the others of the name
	audiences          []string
	audienceText       string
	anyAudience        bool
	subjects           []string
	required           []claims.Path
	allowMissingExpiry bool
	allowBound         bool
	skew               gate.ClockSkew
	maxAge             time.Duration
	maxLifetime        time.Duration
	maxBytes           int
	identity           identity
}

// NewProvider makes a provider of its configuration and keys. It is nil if the problems hold more than warnings. What concerns the key source alone is
// not looked at.
func NewProvider(p *gate.Provider, source Keys) (*Provider, gate.Problems) {
	made, problems := compile(p)
	if problems.Err() != nil {
		return nil, problems
	}
	made.keys = source
	made.individual, _ = source.(*Individual)
	return made, problems
}

// Check returns everything that is wrong with a provider, apart from its key source.
func Check(p *gate.Provider) gate.Problems {
	_, problems := compile(p)
	return problems
}

// admit makes the checks that need only the header and the provider.
func (p *Provider) admit(size int, header jose.Header, trace *gate.Trace) error {
	if size > p.maxBytes {
		c := gate.Check{Name: checkSize, Reason: gate.ReasonTokenTooLarge}
		c.Expected, c.Got = gate.Bytes(p.maxBytes).String()+" at most", gate.Bytes(size).String()
		return settle(trace, c, nil)
	}
	c := gate.Check{Name: "type"}
	if !p.accepts(header) {
		c.Reason = gate.ReasonTypeMismatch
	} else if trace == nil {
		return nil
	}
	c.Expected, c.Got = p.typeText, clip(header.Type)
	if !header.Has("typ") {
		c.Got = absent
	}
	return settle(trace, c, nil)
}

// accepts judges the typ (RFC 8725 section 3.11). Without types in the configuration it may be left out or be JWT or at+jwt: never that of a token for
// another purpose, such as logout+jwt, dpop+jwt or secevent+jwt.
func (p *Provider) accepts(header jose.Header) bool {
	if !header.Has("typ") {
		return len(p.types) == 0
	}
	typ := mediaType(header.Type)
	if len(p.types) == 0 {
		return gate.EqualName(typ, "JWT") || gate.EqualName(typ, "at+jwt")
	}
	for _, accepted := range p.types {
		if gate.EqualName(typ, accepted) {
			return true
		}
	}
	return false
}

// mediaType drops the "application/" that a typ may leave out where no other slash follows (RFC 7515 section 4.1.9).
func mediaType(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && gate.EqualName(typ[:len(prefix)], prefix) && !strings.Contains(typ[len(prefix):], "/") {
		return typ[len(prefix):]
	}
	return typ
}

// verify finds the key that made the signature, among the provider's own.
func (p *Provider) verify(ctx context.Context, m *jose.Message, trace *gate.Trace) (*jose.Key, error) {
	header := m.Header()
	candidates, err := p.keys.Keys(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return nil, settle(trace, gate.Check{Name: checkKey, Reason: keyFailure(ctx, err), Expected: "a key of " + p.name, Got: clip(header.KeyID)}, err)
	}
	fitting := 0
	var failure error
	for _, key := range candidates {
		_, err := jose.Verify(m, key, p.algorithms)
		if err == nil {
			if trace != nil {
				trace.Record(gate.Check{Name: checkKey, Expected: "a key of " + p.name, Got: clip(key.KeyID())})
				trace.Record(gate.Check{Name: checkSignature, Expected: header.Algorithm.String(), Got: "valid"})
			}
			return key, nil
		}
		if !errors.Is(err, jose.ErrKeyMismatch) {
			fitting++
			failure = err
		}
	}
	if fitting == 0 {
		c := gate.Check{Name: checkKey, Reason: gate.ReasonKeyUnknown, Expected: "a key of " + p.name, Got: clip(header.KeyID)}
		return nil, settle(trace, c, nil)
	}
	if trace != nil {
		trace.Record(gate.Check{Name: checkKey, Expected: "a key of " + p.name, Got: clip(header.KeyID)})
	}
	return nil, settle(trace, gate.Check{Name: checkSignature, Reason: gate.ReasonSignature, Expected: header.Algorithm.String(), Got: "invalid"}, failure)
}

const (
	checkKey       = "key"
	checkSignature = "signature"
)
