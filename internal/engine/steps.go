package engine

import (
	"slices"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/step/authorize"
	"github.com/jotgate/jotgate/internal/step/bearer"
	"github.com/jotgate/jotgate/internal/step/claimheaders"
	"github.com/jotgate/jotgate/internal/step/cors"
	"github.com/jotgate/jotgate/internal/step/sanitize"
)

// stepLists are the steps of an API's two routes.
type stepLists struct{ protected, public []gate.Step }

// steps makes the steps of an API. This is the one place where their order is written. The lists are fit for use only
// if there are no problems beyond warnings. The verifier may be nil when the lists are only made for their problems.
func (c *compiler) steps(a *gate.API, verifier *jwt.Verifier) (stepLists, gate.Problems) {
	var problems gate.Problems
	if c.sanitizer == nil {
		c.sanitizer = sanitize.New(c.protected)
	}
	lists := stepLists{public: []gate.Step{c.sanitizer}}
	if a.CORS != nil {
		answer, more := cors.New(a)
		problems = append(problems, more...)
		lists.public = append(lists.public, answer)
	}
	lists.protected = slices.Clone(lists.public)
	if a.Auth.JWT == nil {
		return lists, problems
	}
	allow, more := authorize.New(a)
	problems = append(problems, more...)
	forward, more := claimheaders.New(a, claimheaders.Omit)
	problems = append(problems, more...)
	find, more := bearer.New(a, jwt.NewAdmission(verifier, rules(allow, forward), c.tokens()))
	problems = append(problems, more...)
	lists.protected = append(lists.protected, find, forward)
	if a.Auth.JWT.StripAuthorization && len(a.Public) > 0 {
		strip, _ := bearer.NewStrip(a) // with the same problems as above
		lists.public = append(lists.public, strip)
	}
	return lists, problems
}

// rules are what an API concludes from an identity alone, in this order.
func rules(allow *authorize.Step, forward *claimheaders.Step) jwt.Rules {
	return func(id *gate.Identity, trace *gate.Trace) (gate.Header, error) {
		if err := allow.Judge(id, trace); err != nil {
			return nil, err
		}
		return forward.Fields(id, trace)
	}
}

// tokens is the cache of verified tokens, which is made when the first API asks for tokens; nil if there is to be none, and for a mere check.
func (c *compiler) tokens() *jwt.Cache {
	if c.snapshot == nil || c.config.TokenCache.Disabled {
		return nil
	}
	if c.snapshot.tokens == nil {
		c.snapshot.tokens = jwt.NewCache(int64(c.config.TokenCache.MaxBytes), c.tokenCounters)
	}
	return c.snapshot.tokens
}
