package engine

import (
	"slices"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/policy"
	"github.com/jotgate/jotgate/internal/step/access"
	"github.com/jotgate/jotgate/internal/step/cors"
	"github.com/jotgate/jotgate/internal/step/credentials"
	"github.com/jotgate/jotgate/internal/step/limits"
	"github.com/jotgate/jotgate/internal/step/sanitize"
)

// stepLists are the steps of an API's two routes.
type stepLists struct {
	protected, public []gate.Step
	known             []gate.Step      // up to who is calling
	selector          *policy.Selector // nil if valid credentials are enough
	limits            *limits.Step     // nil if nothing is counted
}

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
	var count []gate.Step // none or one
	if selector != nil || len(a.Limits) > 0 {
		step, more := limits.New(a, a.Limits, c.limitOptions())
		problems = append(problems, more...)
		count = append(count, step)
		lists.limits = step
	}
	lists.selector = selector
	if len(a.Limits) > 0 {
		lists.public = append(lists.public, count...)
	}
	if a.Auth.JWT == nil && a.Auth.APIKey == nil {
		lists.protected = append(lists.protected, count...)
		return lists, problems
	}
	find, forward, more := c.credentials(a, verifier, selector)
	problems = append(problems, more...)
	lists.protected = append(lists.protected, find)
	lists.known = slices.Clone(lists.protected)
	if selector != nil {
		lists.protected = append(lists.protected, access.New(a))
	}
	lists.protected = append(append(lists.protected, count...), forward)
	if strip, _ := credentials.NewStrip(a); strip != nil { // with the same problems as above
		lists.public = append(lists.public, strip)
	}
	return lists, problems
}

// selector makes what decides about access to an API beside a valid token; nil if it asks for nothing, or if policies and rules are broken, which is reported elsewhere.
func (c *compiler) selector(a *gate.API) (*policy.Selector, gate.Problems) {
	if c.book == nil {
		return nil, nil
	}
	return c.book.Selector(a)
}

func (c *compiler) limitOptions() limits.Options {
	return limits.Options{
		Counters: c.options.Counters, Settings: c.config.Limits, Holds: c.options.Holds,
		Operations: func(operations []gate.Operation, at string, report func(path, hint, format string, args ...any)) limits.Requests {
			return policy.CompileRequests(operations, at, report)
		},
	}
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
