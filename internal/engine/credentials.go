package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/policy"
	"github.com/jotgate/jotgate/internal/step/authorize"
	"github.com/jotgate/jotgate/internal/step/claimheaders"
	"github.com/jotgate/jotgate/internal/step/credentials"
)

// The authentication schemes of challenges. ApiKey is registered nowhere: a challenge must be sent all the same (RFC 9110 section 15.5.2), and Bearer would send clients for tokens that open nothing.
const (
	schemeBearer = "Bearer"
	schemeAPIKey = "ApiKey"
)

// schemeOf is the scheme of an API's challenges: Bearer wherever a token opens it, or a key after that scheme.
func schemeOf(a *gate.API) string {
	if a.Auth.JWT != nil || a.Auth.APIKey == nil {
		return schemeBearer
	}
	for _, from := range a.Auth.APIKey.From {
		if gate.EqualName(from.Header, "Authorization") {
			return schemeBearer
		}
	}
	return schemeAPIKey
}

// checkIndividual refuses rules on what callers say of themselves: with a provider of individual keys, every claim but sub is the caller's own word.
func (c *compiler) checkIndividual(a *gate.API) {
	own := ""
	for i := range c.config.Providers {
		if p := &c.config.Providers[i]; p.Individual != nil && slices.Contains(a.Auth.JWT.Providers, p.Name) {
			own = p.Name
		}
	}
	if own == "" {
		return
	}
	refuse := func(path string) {
		c.problem(&a.Origin, path, "use the groups and policies of the credentials, or make two APIs", "callers with a key of provider %s sign their tokens themselves, so what this asks for they could say of themselves", own)
	}
	if len(a.Auth.JWT.Scopes) > 0 {
		refuse("auth.jwt.scopes")
	}
	if a.Auth.JWT.Claims != "" {
		refuse("auth.jwt.claims")
	}
	for name, claim := range a.Auth.JWT.ForwardHeaders {
		if claim != "sub" {
			refuse("auth.jwt.forwardHeaders." + name)
		}
	}
	for i := range a.Limits {
		for k, per := range a.Limits[i].Per {
			if strings.HasPrefix(per, "claim:") && per != "claim:sub" {
				refuse(fmt.Sprintf("limits[%d].per[%d]", i, k))
			}
		}
	}
}

// credentials makes the steps of an API that find out who is calling, and that tell the upstream. The verifier may be nil when the steps are only made for their problems.
func (c *compiler) credentials(a *gate.API, verifier *jwt.Verifier, selector *policy.Selector) (*credentials.Step, *claimheaders.Step, gate.Problems) {
	forward, problems := claimheaders.New(a, claimheaders.Omit)
	var tokens *jwt.Admission
	if a.Auth.JWT != nil {
		allow, more := authorize.New(a)
		problems = append(problems, more...)
		tokens = jwt.NewAdmission(verifier, rules(allow, selector, forward, len(a.Limits) > 0), c.tokens(), c.options.Revocations)
	}
	var apiKeys *credentials.Keys
	if a.Auth.APIKey != nil {
		apiKeys = credentials.NewKeys(credentials.KeyOptions{
			API: a.Name, Directory: c.options.APIKeys, Revocations: c.options.Revocations, Rules: keyRules(selector, forward), Cache: c.keyCache(),
		})
	}
	find, more := credentials.New(a, tokens, apiKeys)
	return find, forward, append(problems, more...)
}

// rules are what an API concludes from the identity of a token alone, in this order. Where users may be counted, their key is kept with the token.
func rules(allow *authorize.Step, selector *policy.Selector, forward *claimheaders.Step, counts bool) jwt.Rules {
	return func(id *gate.Identity, trace *gate.Trace) (gate.Header, error) {
		if counts || selector != nil {
			id.KeepUserKey()
		}
		denied := allow.Judge(id, trace)
		if denied == nil || trace != nil { // an explanation goes on; the first refusal stays the answer
			session, err := selector.Session(id, trace)
			if denied == nil {
				denied = err
			}
			id.Session = session // the identity is not shared before the rules are through
		}
		if denied != nil {
			return nil, denied
		}
		return forward.Fields(id, trace)
	}
}

// keyRules are what an API concludes from the identity of an API key alone.
func keyRules(selector *policy.Selector, forward *claimheaders.Step) jwt.Rules {
	return func(id *gate.Identity, trace *gate.Trace) (gate.Header, error) {
		session, err := selector.Session(id, trace)
		if err != nil {
			return nil, err
		}
		id.Session = session
		return forward.KeyFields(id, trace)
	}
}

// keyCache remembers what follows from API keys. It is made when the first API asks for keys; nil for a mere check.
func (c *compiler) keyCache() *credentials.KeyCache {
	if c.snapshot == nil {
		return nil
	}
	if c.snapshot.apiKeys == nil {
		c.snapshot.apiKeys = new(credentials.KeyCache)
	}
	return c.snapshot.apiKeys
}
