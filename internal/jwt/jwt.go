// Package jwt turns a token into an identity: it picks the provider that the token's issuer names, checks the signature with that provider's keys and
// no others, and then the claims that every token is judged by: times, audience, subject, required claims.
//
// Verifying has two halves. [Verifier.Authenticate] is all that depends on the token and the keys alone: form, issuer, algorithm, type and signature.
// [Token.Judge] is what depends on the moment and on the provider's settings; an identity cannot be had without it.
//
// [Admission] joins both with the rules of an API and may remember the result in a [Cache]; the checks that depend on the moment are made for every request
// all the same.
package jwt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/jose"
)

// Keys are one provider's verification keys; *keys.Source is the real thing.
type Keys interface {
	// Keys returns the keys that may have signed a token with this kid ("" if it names none) and algorithm. The list is never long: kid and alg are
	// chosen by whoever made the token. The errors are those of the keys package.
	Keys(ctx context.Context, kid string, alg jose.Algorithm) ([]*jose.Key, error)
	// Generation changes whenever the keys do. It is asked for at every request.
	Generation() uint64
	// Verified is told, for every token that is accepted, which key verified it.
	Verified(key *jose.Key)
}

// Verifier verifies the tokens of one API's providers. It is read-only and safe for concurrent use.
type Verifier struct {
	issuers   map[string][]*Provider // of one issuer no two share an algorithm
	anyIssuer *Provider              // nil if every token must name a known issuer
	form      *jose.Parser
	maxBytes  int // of a token of any provider
	payload   claims.Limits
	known     string // the issuers, for explanations
}

// New makes a verifier of at least one provider. The issuer of a token picks the provider by exact comparison; a token whose issuer is nobody's, or that
// names none, goes to the provider that takes any issuer, if there is one.
//
// Several providers may have the same issuer, say while its tokens move from a shared secret to published keys, if no algorithm is accepted by two of
// them: the token's algorithm then picks the one. Otherwise which keys are tried would be a guess, and the error says so. Two providers that take any
// issuer are an error too.
func New(providers []*Provider) (*Verifier, error) {
	if len(providers) == 0 {
		return nil, errors.New("making a verifier: no providers")
	}
	v := &Verifier{issuers: make(map[string][]*Provider, len(providers))}
	var known []string
	for _, p := range providers {
		v.maxBytes = max(v.maxBytes, p.maxBytes)
		if p.anyIssuer {
			if v.anyIssuer != nil {
				return nil, fmt.Errorf("making a verifier: providers %s and %s both take any issuer", v.anyIssuer.name, p.name)
			}
			v.anyIssuer = p
			known = append(known, "any issuer")
			continue
		}
		for _, other := range v.issuers[p.issuer] {
			if shared := p.algorithms.Intersect(other.algorithms); !shared.Empty() {
				return nil, fmt.Errorf("making a verifier: providers %s and %s have the same issuer and both accept %s", other.name, p.name, shared)
			}
		}
		if len(v.issuers[p.issuer]) == 0 {
			known = append(known, p.issuer)
		}
		v.issuers[p.issuer] = append(v.issuers[p.issuer], p)
	}
	v.form = jose.NewParser(jose.Limits{TokenBytes: v.maxBytes})
	v.payload = payloadLimits(v.maxBytes)
	slices.Sort(known)
	v.known = strings.Join(known, ", ")
	return v, nil
}

// Verify turns a token into the identity it proves at the moment now. The error is always a *gate.Denial, with the reason of the first check that
// failed. No claim but iss is looked at before the signature is found good, so a forged token is never told more than that it is forged.
//
// With a trace, every check is recorded in order; the checks after the signature are then all made, also when one of them has failed already.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time, trace *gate.Trace) (*gate.Identity, error) {
	t, err := v.Authenticate(ctx, token, trace)
	if err != nil {
		return nil, err
	}
	id, err := t.Judge(now, trace)
	if err != nil {
		return nil, err
	}
	t.accepted()
	return id, nil
}

// Authenticate checks all that does not depend on time: the form of the token, its issuer, algorithm and type, and the signature. The result may be
// remembered for this very token for as long as the verifier and the keys of its provider stay the same. The error is always a *gate.Denial.
func (v *Verifier) Authenticate(ctx context.Context, token string, trace *gate.Trace) (*Token, error) {
	p, err := v.prove(ctx, token, false, trace)
	if err != nil {
		return nil, err
	}
	t := newToken(&p, new(verified))
	return &t, nil
}

// proof is what a good signature says.
type proof struct {
	provider   *Provider
	key        *jose.Key
	generation uint64
	credential *credential.Credential
	algorithm  jose.Algorithm
	claims     claims.Set
	// The token and its decoded payload, in one piece of memory.
	text, payload string
}

// keep copies the payload, and the token in front of it if that is to be kept.
func (p *proof) keep(token string, payload []byte, keep bool) {
	if !keep {
		token = ""
	}
	var b strings.Builder
	b.Grow(len(token) + len(payload))
	b.WriteString(token)
	b.Write(payload)
	p.text, p.payload = b.String()[:len(token)], b.String()[len(token):]
}

// messages are used again: nothing of a message is kept but its header, which has memory of its own.
var messages = sync.Pool{New: func() any { return new(jose.Message) }}

// prove is Authenticate. The text is a copy in the memory of the claims if it is to be kept, and "" otherwise: the token may be a view of a buffer that the
// server uses again.
func (v *Verifier) prove(ctx context.Context, token string, keep bool, trace *gate.Trace) (proof, error) {
	m := messages.Get().(*jose.Message)
	defer messages.Put(m)
	if err := v.parse(token, m, trace); err != nil {
		return proof{}, err
	}
	var p proof
	p.keep(token, m.UnverifiedPayload(), keep)
	if err := v.parsePayload(p.payload, &p.claims, trace); err != nil {
		return proof{}, err
	}
	header := m.Header()
	var err error
	if p.provider, err = v.pick(p.claims.Get("iss"), header.Algorithm, trace); err != nil {
		return proof{}, err
	}
	if err := p.provider.admit(len(token), header, trace); err != nil {
		return proof{}, err
	}
	p.generation = p.provider.keys.Generation() // before the keys are asked for: a token is never taken for newer than its key
	if p.provider.individual != nil {
		err = p.provider.verifyIndividual(m, &p, trace)
	} else {
		p.key, err = p.provider.verify(ctx, m, trace)
	}
	if err != nil {
		return proof{}, err
	}
	p.algorithm = header.Algorithm
	return p, nil
}

// settle records a check and turns it, if it failed, into the refusal. The value of a claim stays in the trace; a refusal is logged.
func settle(trace *gate.Trace, c gate.Check, cause error) error {
	trace.Record(c)
	if c.Reason == "" {
		return nil
	}
	return refusal(c, cause)
}

func refusal(c gate.Check, cause error) *gate.Denial {
	d := &gate.Denial{Reason: c.Reason, Expected: c.Expected, Got: c.Got, Err: cause}
	if c.Claim {
		d.Got = ""
	}
	return d
}

// clip bounds foreign text that goes into explanations and logs.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// parse reads the token's form and header.
func (v *Verifier) parse(token string, m *jose.Message, trace *gate.Trace) error {
	if err := v.form.Parse(token, m); err != nil {
		name, reason := formFailure(err)
		for _, passed := range formChecks() {
			if passed == name {
				break
			}
			trace.Record(gate.Check{Name: passed})
		}
		// The error's text holds nothing of the token but the name of its algorithm.
		return settle(trace, gate.Check{Name: name, Reason: reason, Got: err.Error()}, err)
	}
	if trace != nil {
		for _, passed := range formChecks() {
			trace.Record(gate.Check{Name: passed})
		}
	}
	return nil
}

// The checks that reading the form consists of, in order.
const (
	checkSize      = "size"
	checkFormat    = "format"
	checkHeader    = "header"
	checkAlgorithm = "algorithm"
)

func formChecks() [4]string {
	return [...]string{checkSize, checkFormat, checkHeader, checkAlgorithm}
}

// formFailure maps an error of jose.Parse.
func formFailure(err error) (check string, reason gate.Reason) {
	switch {
	case errors.Is(err, jose.ErrTooLarge):
		return checkSize, gate.ReasonTokenTooLarge
	case errors.Is(err, jose.ErrEncrypted):
		return checkFormat, gate.ReasonTokenEncrypted
	case errors.Is(err, jose.ErrCritical):
		return checkHeader, gate.ReasonCritical
	case errors.Is(err, jose.ErrHeaderInvalid), errors.Is(err, jose.ErrDuplicateMember):
		return checkHeader, gate.ReasonHeaderInvalid
	case errors.Is(err, jose.ErrUnsupportedAlgorithm):
		return checkAlgorithm, gate.ReasonAlgUnsupported
	}
	return checkFormat, gate.ReasonTokenMalformed
}

// payloadLimits bounds what a payload may cost before its signature was checked: real tokens spend far more than eight bytes on a value.
func payloadLimits(tokenBytes int) claims.Limits {
	limits := claims.DefaultLimits()
	limits.Bytes, limits.Values, limits.Members = tokenBytes, max(1024, tokenBytes/8), 512
	return limits
}

// parsePayload reads the payload of an unverified message. It is bounded by the size of the token, and cheap next to a signature; before the signature is
// verified nothing but iss is used, and that only to find the provider.
func (v *Verifier) parsePayload(payload string, set *claims.Set, trace *gate.Trace) error {
	if err := set.Parse(payload, v.payload); err != nil {
		return settle(trace, gate.Check{Name: "payload", Reason: gate.ReasonPayloadInvalid, Got: err.Error()}, err)
	}
	if trace != nil {
		trace.Record(gate.Check{Name: "payload"})
	}
	return nil
}

// pick finds the provider that answers for tokens of this issuer and algorithm.
func (v *Verifier) pick(iss claims.Value, alg jose.Algorithm, trace *gate.Trace) (*Provider, error) {
	c := gate.Check{Name: "issuer"}
	issuer, ok := iss.AsString()
	candidates := v.issuers[issuer]
	switch {
	case !ok && iss.Kind() != claims.Absent:
		c.Reason, c.Expected, c.Got = gate.ReasonClaimInvalid, "iss as a string", iss.Kind().String()
		return nil, settle(trace, c, nil)
	case len(candidates) > 0:
	case v.anyIssuer != nil:
		candidates = []*Provider{v.anyIssuer}
	case !ok:
		c.Reason, c.Expected, c.Got = gate.ReasonIssuerMissing, v.known, iss.Kind().String()
		return nil, settle(trace, c, nil)
	default:
		c.Reason, c.Expected, c.Got = gate.ReasonIssuerUnknown, v.known, clip(issuer)
		return nil, settle(trace, c, nil)
	}
	if trace != nil {
		c.Expected, c.Got = v.known, clip(issuer)
		trace.Record(c)
	}
	for _, p := range candidates {
		if p.algorithms.Has(alg) {
			if trace != nil {
				trace.Record(gate.Check{Name: checkAllowed, Expected: p.algorithms.String(), Got: alg.String()})
			}
			return p, nil
		}
	}
	var accepted jose.Algorithms
	for _, p := range candidates {
		accepted = accepted.Union(p.algorithms)
	}
	return nil, settle(trace, gate.Check{Name: checkAllowed, Reason: gate.ReasonAlgNotAllowed, Expected: accepted.String(), Got: alg.String()}, nil)
}

const checkAllowed = "algorithm_allowed"

// keyFailure maps an error of a key source. What cannot be told apart is the source's fault, never a pass. A request that has ended says so itself: errors
// of a context inside err may be those of a fetch.
func keyFailure(ctx context.Context, err error) gate.Reason {
	switch {
	case errors.Is(err, keys.ErrUnknownKey):
		return gate.ReasonKeyUnknown
	case errors.Is(err, keys.ErrAmbiguous):
		return gate.ReasonKeyAmbiguous
	case ctx.Err() == nil:
		return gate.ReasonKeysUnavailable
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return gate.ReasonDeadline
	}
	return gate.ReasonClientGone
}
