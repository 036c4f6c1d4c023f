package engine

import (
	"slices"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/policy"
	"github.com/jotgate/jotgate/internal/step/access"
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
	selector, more := c.selector(a)
	problems = append(problems, more...)
	if a.Auth.JWT == nil {
		return lists, problems
	}
	allow, more := authorize.New(a)
	problems = append(problems, more...)
	forward, more := claimheaders.New(a, claimheaders.Omit)
	problems = append(problems, more...)
	find, more := bearer.New(a, jwt.NewAdmission(verifier, rules(allow, selector, forward), c.tokens()))
	problems = append(problems, more...)
	lists.protected = append(lists.protected, find)
	if selector != nil {
		lists.protected = append(lists.protected, access.New(a))
	}
	lists.protected = append(lists.protected, forward)
	if a.Auth.JWT.StripAuthorization && len(a.Public) > 0 {
		strip, _ := bearer.NewStrip(a) // with the same problems as above
		lists.public = append(lists.public, strip)
	}
	return lists, problems
}

// rules are what an API concludes from an identity alone, in this order.
func rules(allow *authorize.Step, selector *policy.Selector, forward *claimheaders.Step) jwt.Rules {
	return func(id *gate.Identity, trace *gate.Trace) (gate.Header, error) {
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

// selector makes what decides about access to an API beside a valid token; nil if it asks for nothing, or if policies and rules are broken, which is reported elsewhere.
func (c *compiler) selector(a *gate.API) (*policy.Selector, gate.Problems) {
	if c.book == nil {
		return nil, nil
	}
	return c.book.Selector(a)
}

// makeBook compiles what there is of policies, access rules, plans, applications and subscriptions.
func (c *compiler) makeBook() {
	config := c.config
	book, problems := policy.NewBook(policy.Sources{
		Policies: config.Policies, Access: config.AccessRules, Plans: config.Plans, GroupRates: config.GroupRates,
		Applications: config.Applications, Subscriptions: config.Subscriptions, APIs: config.APIs,
	})
	c.book = book
	c.problems = append(c.problems, problems...)
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
