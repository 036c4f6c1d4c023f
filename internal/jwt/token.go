package jwt

import (
	"slices"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// Token is a token with a good signature of its issuer. It proves nothing yet: it may have expired, or be meant for somebody else. [Token.Judge] says
// whether it is good now. It is read-only and safe for concurrent use.
type Token struct {
	*verified
	exp, nbf, iat date
	bound         bool // to a key of the client
	// credential is what the token was verified with; nil if that was a key of the provider.
	credential *credential.Credential
}

// verified is the part of a token that stays when it has been judged. The identity holds a pointer to the claims, so it must not move.
type verified struct {
	provider   *Provider
	generation uint64    // of the keys that the token was verified with
	key        *jose.Key // that verified it
	claims     claims.Set
	identity   gate.Identity // of these claims
}

// date is a time claim, read once.
type date struct {
	at   time.Time
	kind claims.Kind
	err  error // set if there is a value that is no date
}

func newDate(v claims.Value) date {
	if v.Kind() == claims.Absent {
		return date{}
	}
	at, err := v.NumericDate()
	return date{at: at, kind: v.Kind(), err: err}
}

// given reports whether there is a date; a claim that is there but no date is refused before this matters.
func (d date) given() bool { return d.kind != claims.Absent && d.err == nil }

// newToken returns the token that p proves; what stays of it is put into v.
func newToken(p *proof, v *verified) (t Token) {
	t.verified = v
	t.provider, t.key, t.credential, t.generation, t.claims = p.provider, p.key, p.credential, p.generation, p.claims
	t.identity = gate.Identity{Provider: p.provider.name, KeyID: p.key.KeyID(), Algorithm: p.algorithm.String(), Claims: &t.claims}
	for name, v := range t.claims.Root().Members() { // once, instead of a search for each
		switch name {
		case "exp":
			t.exp = newDate(v)
		case "nbf":
			t.nbf = newDate(v)
		case "iat":
			t.iat = newDate(v)
		case "iss":
			t.identity.Issuer, _ = v.AsString()
		case "sub":
			t.identity.Subject, _ = v.AsString()
		case "cnf":
			t.bound = true
		}
	}
	if t.exp.given() {
		t.identity.Expires = t.exp.at
	}
	if t.iat.given() {
		t.identity.Issued = t.iat.at
	}
	t.provider.identity.fill(&t.identity)
	if t.credential != nil {
		t.own()
	}
	return t
}

// Judge checks the claims at the moment now and returns the identity, or the *gate.Denial of the first check that failed. With a trace every check is
// made and recorded. The identity is shared and read-only.
func (t *Token) Judge(now time.Time, trace *gate.Trace) (*gate.Identity, error) {
	explain := trace != nil
	var denial *gate.Denial
	note := func(c gate.Check) (stop bool) {
		if c.Name != "" { // a check that is not asked for has none
			trace.Record(c)
		}
		if c.Reason != "" && denial == nil {
			denial = refusal(c, nil)
		}
		return denial != nil && !explain
	}
	// Called by their names and not through a list, so that a token need not be on the heap to be judged.
	if note(t.expiry(now, explain)) || note(t.notBefore(now, explain)) || note(t.issuedAt(now, explain)) || note(t.age(now, explain)) ||
		note(t.lifetime(explain)) || note(t.audience(explain)) || note(t.subject(explain)) || note(t.individual(now, explain)) || note(t.binding(explain)) {
		return nil, denial
	}
	for _, path := range t.provider.required {
		if note(t.requiredClaim(path)) {
			return nil, denial
		}
	}
	if denial != nil {
		return nil, denial
	}
	return &t.identity, nil
}

// accepted counts the token for its key.
func (v *verified) accepted() {
	if v.key != nil {
		v.provider.keys.Verified(v.key)
	}
}

// binding refuses a token that is bound to a key of its client (cnf, RFC 7800 section 3.1): a thief of the token does not have that key, and what proves it (RFC 9449
// section 7.1, RFC 8705 section 3) is not looked at here.
func (t *Token) binding(explain bool) gate.Check {
	if t.provider.allowBound {
		return gate.Check{}
	}
	c := gate.Check{Name: "binding"}
	if !t.bound {
		c.Got = "not bound"
		return c
	}
	c.Reason = gate.ReasonTokenBound
	if explain {
		c.Expected, c.Got = "a token without cnf", "bound to a key"
	}
	return c
}

// expiry refuses when now is not before exp plus the skew (RFC 7519 section 4.1.4).
func (t *Token) expiry(now time.Time, explain bool) gate.Check {
	c := gate.Check{Name: "expiry"}
	limit := t.exp.at.Add(t.provider.skew.Exp)
	switch {
	case t.exp.err != nil:
		return invalidDate(c, "exp", t.exp)
	case !t.exp.given() && t.provider.allowMissingExpiry:
		c.Got = absent
		return c
	case !t.exp.given():
		c.Reason, c.Expected, c.Got = gate.ReasonExpiryMissing, "exp", absent
		return c
	case !now.Before(limit):
		c.Reason = gate.ReasonExpired
		c.Got = show(t.exp.at) + ", " + now.Sub(t.exp.at).String() + " ago"
	case explain:
		c.Got = show(t.exp.at)
	default:
		return c
	}
	c.Expected = "exp after " + show(now.Add(-t.provider.skew.Exp))
	return c
}

// notBefore refuses when now is before nbf less the skew (RFC 7519 section 4.1.5).
func (t *Token) notBefore(now time.Time, explain bool) gate.Check {
	return begun(gate.Check{Name: "not_before"}, "nbf", t.nbf, now.Add(t.provider.skew.Nbf), gate.ReasonNotYetValid, explain)
}

// issuedAt refuses when iat is after now plus the skew: the issuer's clock is wrong, or ours (RFC 7519 section 4.1.6).
func (t *Token) issuedAt(now time.Time, explain bool) gate.Check {
	return begun(gate.Check{Name: "issued_at"}, "iat", t.iat, now.Add(t.provider.skew.Iat), gate.ReasonIssuedInFuture, explain)
}

// begun refuses a date after limit.
func begun(c gate.Check, claim string, d date, limit time.Time, reason gate.Reason, explain bool) gate.Check {
	switch {
	case d.err != nil:
		return invalidDate(c, claim, d)
	case !d.given():
		c.Got = absent
		return c
	case d.at.After(limit):
		c.Reason = reason
		c.Got = show(d.at) + ", " + d.at.Sub(limit).String() + " too early"
	case explain:
		c.Got = show(d.at)
	default:
		return c
	}
	c.Expected = claim + " not after " + show(limit)
	return c
}

// age refuses what was issued longer ago than the provider's maximum. The clock skew does not extend it.
func (t *Token) age(now time.Time, explain bool) gate.Check {
	c, most := gate.Check{Name: "age"}, t.provider.maxAge
	switch {
	case most == 0 || t.iat.err != nil: // a bad iat was refused by issuedAt
		return gate.Check{}
	case !t.iat.given():
		c.Reason, c.Expected, c.Got = gate.ReasonClaimMissing, "iat", absent
		return c
	case now.After(t.iat.at.Add(most)):
		c.Reason = gate.ReasonTooOld
	case !explain:
		return c
	}
	c.Expected, c.Got = "issued at most "+most.String()+" ago", now.Sub(t.iat.at).String()+" ago"
	return c
}

// lifetime refuses what was issued for longer than the provider's maximum.
func (t *Token) lifetime(explain bool) gate.Check {
	c, most := gate.Check{Name: "lifetime"}, t.provider.maxLifetime
	switch {
	case most == 0 || t.iat.err != nil || t.exp.err != nil:
		return gate.Check{}
	case !t.iat.given():
		c.Reason, c.Expected, c.Got = gate.ReasonClaimMissing, "iat", absent
		return c
	case !t.exp.given():
		c.Reason, c.Expected, c.Got = gate.ReasonExpiryMissing, "exp", absent
		return c
	case t.exp.at.After(t.iat.at.Add(most)):
		c.Reason = gate.ReasonLifetimeTooLong
	case !explain:
		return c
	}
	c.Expected, c.Got = "at most "+most.String(), t.exp.at.Sub(t.iat.at).String()
	return c
}

// audience refuses what is not meant for the gateway (RFC 7519 section 4.1.3). An aud that is no string or array of strings is refused always: readers
// would disagree about it.
func (t *Token) audience(explain bool) gate.Check {
	c := gate.Check{Name: "audience"}
	aud := t.identity.Claims.Get("aud")
	match, valid, count := t.provider.anyAudience, true, 0
	consider := func(v claims.Value) {
		text, ok := v.AsString()
		valid = valid && ok
		match = match || slices.Contains(t.provider.audiences, text)
		count++
	}
	if aud.Kind() == claims.Array {
		for v := range aud.Elements() {
			consider(v)
		}
	} else if aud.Kind() != claims.Absent {
		consider(aud)
	}
	switch {
	case !valid:
		c.Reason, c.Expected, c.Got = gate.ReasonClaimInvalid, "aud as a string or an array of strings", aud.Kind().String()
		return c
	case !match && count == 0:
		c.Reason = gate.ReasonAudienceMissing
	case !match:
		c.Reason = gate.ReasonAudienceMismatch
	case !explain:
		return c
	}
	c.Expected, c.Got = t.provider.audienceText, clip(aud.JSON())
	if count == 0 {
		c.Got = absent
	}
	return c
}

// subject refuses a sub that is not one of the provider's, and one that is no string.
func (t *Token) subject(explain bool) gate.Check {
	c := gate.Check{Name: "subject"}
	sub := t.identity.Claims.Get("sub")
	text, ok := sub.AsString()
	switch {
	case !ok && sub.Kind() != claims.Absent:
		c.Reason, c.Expected, c.Got = gate.ReasonClaimInvalid, "sub as a string", sub.Kind().String()
		return c
	case len(t.provider.subjects) > 0 && (!ok || !slices.Contains(t.provider.subjects, text)):
		c.Reason = gate.ReasonSubjectMismatch
	case !explain:
		return c
	}
	if len(t.provider.subjects) > 0 {
		c.Expected = "one of the provider's subjects"
	}
	c.Got, c.Claim = clip(text), ok
	if !ok {
		c.Got = absent
	}
	return c
}

// requiredClaim refuses a token without the claim. A claim that is null says nothing and counts as missing.
func (t *Token) requiredClaim(path claims.Path) gate.Check {
	kind := t.identity.Claims.Lookup(path).Kind()
	c := gate.Check{Name: "required_claim", Expected: path.String(), Got: kind.String()}
	if kind == claims.Absent || kind == claims.Null {
		c.Reason = gate.ReasonClaimMissing
	}
	return c
}

func invalidDate(c gate.Check, claim string, d date) gate.Check {
	c.Reason, c.Expected = gate.ReasonTimeInvalid, claim+" as seconds since 1970"
	c.Got = d.kind.String()
	return c
}

// absent is what explanations call a claim that is not there.
const absent = "absent"

func show(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
