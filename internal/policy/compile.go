package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/predicate"
)

// compiler carries sources on their way into a Book.
type compiler struct {
	book     *Book
	sets     map[string]bool // the names of all operation sets
	problems gate.Problems
}

// at returns a reporter of problems with a noun.
func (c *compiler) at(origin *gate.Origin) reporter {
	return func(path, hint, format string, args ...any) {
		c.problems = append(c.problems, origin.Problem(path, hint, format, args...))
	}
}

// warn makes warnings of what the reporter is told.
func (c *compiler) warn(origin *gate.Origin) reporter {
	return func(path, hint, format string, args ...any) {
		p := origin.Problem(path, hint, format, args...)
		p.Warning = true
		c.problems = append(c.problems, p)
	}
}

func (c *compiler) policy(from *gate.Policy) {
	report := c.at(&from.Origin)
	if !checkName(from.Name, "name", report) {
		return
	}
	if c.book.policies[from.Name] != nil {
		report("name", "", "another policy is already called %q", from.Name)
		return
	}
	p := &policy{Policy: *from, byAPI: make(map[string][]*access)}
	c.book.policies[from.Name] = p
	p.partitions(report)
	for i := range from.Access {
		c.accessEntry(p, i, report)
	}
	checkLimits(from.Rate, from.Quota, from.Throttle, "", report)
	if from.GrantFor < 0 {
		report("grantFor", "0 means no end of its own", "must not be negative")
	}
	warn := c.warn(&from.Origin)
	if p.decidesAccess && len(from.Access) == 0 {
		warn("access", "for example: access: [{api: \"*\"}]", "the policy decides about access, and grants none")
	}
	if !p.decidesRate && (from.Rate != nil || from.Throttle != nil) {
		report("rate", "add rate to partitions", "the policy has a rate or a throttle, and does not decide about rates")
	}
	if !p.decidesQuota && from.Quota != nil {
		report("quota", "add quota to partitions", "the policy has a quota, and does not decide about quotas")
	}
}

// partitions reads which parts the policy decides.
func (p *policy) partitions(report reporter) {
	known := []string{gate.PartitionAccess, gate.PartitionRate, gate.PartitionQuota, gate.PartitionPerAPI}
	for i, name := range p.Partitions {
		at := fmt.Sprintf("partitions[%d]", i)
		if !slices.Contains(known, name) {
			report(at, "there are "+strings.Join(known, ", "), "unknown partition %q", name)
		}
		if slices.Contains(p.Partitions[:i], name) {
			report(at, "", "%s is there twice", name)
		}
	}
	has := func(name string) bool { return slices.Contains(p.Partitions, name) }
	p.perAPI = has(gate.PartitionPerAPI)
	if p.perAPI && len(p.Partitions) > 1 {
		report("partitions", "perAPI stands alone: it decides everything, for each API by itself", "perAPI contradicts every other partition")
	}
	all := p.perAPI || len(p.Partitions) == 0
	p.decidesAccess, p.decidesRate, p.decidesQuota = all || has(gate.PartitionAccess), all || has(gate.PartitionRate), all || has(gate.PartitionQuota)
}

func (c *compiler) accessEntry(p *policy, i int, report reporter) {
	from := &p.Access[i]
	at := fmt.Sprintf("access[%d]", i)
	c.checkAPI(from.API, at+".api", report)
	for k, version := range from.Versions {
		if version == "" {
			report(fmt.Sprintf("%s.versions[%d]", at, k), "", "must not be empty")
		}
	}
	e := &access{Access: from, policy: p, index: i}
	if len(from.Operations) > 0 {
		e.requests = compileOperations(from.Operations, at+".operations", report)
	}
	checkLimits(from.Rate, from.Quota, from.Throttle, at, report)
	if !p.decidesRate && (from.Rate != nil || from.Throttle != nil || len(from.Endpoints) > 0) {
		report(at, "add rate to partitions", "there are rates, and the policy does not decide about rates")
	}
	if !p.decidesQuota && from.Quota != nil {
		report(at+".quota", "add quota to partitions", "there is a quota, and the policy does not decide about quotas")
	}
	for k := range from.Endpoints {
		where := fmt.Sprintf("%s.endpoints[%d]", at, k)
		inner := func(path, hint, format string, args ...any) {
			report(strings.Replace(path, where+".operation[0]", where+".operation", 1), hint, format, args...)
		}
		e.endpoints = append(e.endpoints, compileOperations([]gate.Operation{from.Endpoints[k].Operation}, where+".operation", inner))
		checkRate(&from.Endpoints[k].Rate, where+".rate", report)
	}
	p.byAPI[from.API] = append(p.byAPI[from.API], e)
}

func (c *compiler) plan(from *gate.Plan) {
	report := c.at(&from.Origin)
	if !checkName(from.Name, "name", report) {
		return
	}
	if c.book.plans[from.Name] != nil {
		report("name", "", "another plan is already called %q", from.Name)
	}
	c.book.plans[from.Name] = from
	checkLimits(from.Rate, from.Quota, nil, "", report)
	switch from.Bucket {
	case gate.BucketSubscription, gate.BucketApplication, gate.BucketApplicationAPI:
	default:
		report("bucket", "use subscription, application or application-api", "unknown bucket %q", from.Bucket)
	}
}

func (c *compiler) accessRules(rules []gate.AccessRule) {
	names := make(map[string]bool, len(rules))
	for i := range rules {
		from := &rules[i]
		report := c.at(&from.Origin)
		c.ruleName("access rule", from.Name, names, report)
		plan := c.planOf(from.Plan, report)
		c.checkAPIs(from.APIs, report)
		c.checkOperationSets(from.Operations, from.APIs, report)
		c.checkGroups(from.Groups, from.Everyone, report)
		rule := &accessRule{AccessRule: from, plan: plan}
		for _, at := range places(from.Groups, from.Everyone, from.APIs) {
			c.book.access[at] = append(c.book.access[at], rule)
		}
	}
}

func (c *compiler) groupRates(rates []gate.GroupRate) {
	names := make(map[string]bool, len(rates))
	for i := range rates {
		from := &rates[i]
		report := c.at(&from.Origin)
		c.ruleName("group rate", from.Name, names, report)
		c.checkAPIs(from.APIs, report)
		c.checkGroups(from.Groups, from.Everyone, report)
		checkRate(&from.Rate, "rate", report)
		for _, at := range places(from.Groups, from.Everyone, from.APIs) {
			c.book.rates[at] = append(c.book.rates[at], from)
			c.book.rated[at.api] = true
		}
	}
}

func (c *compiler) applications(applications []gate.Application) {
	names := make(map[string]bool, len(applications))
	for i := range applications {
		from := &applications[i]
		report := c.at(&from.Origin)
		c.ruleName("application", from.Name, names, report)
		switch {
		case from.ID == "": // the dialect has reported what is required
		case c.book.apps[from.ID] != nil:
			report("id", "", "the application %q already has this ID", c.book.apps[from.ID].Name)
		default:
			c.book.apps[from.ID] = from
		}
	}
}

func (c *compiler) subscriptionRules(subscriptions []gate.Subscription) {
	applications := make(map[string]bool, len(c.book.apps))
	for _, a := range c.book.apps {
		applications[a.Name] = true
	}
	names := make(map[string]bool, len(subscriptions))
	for i := range subscriptions {
		from := &subscriptions[i]
		report := c.at(&from.Origin)
		c.ruleName("subscription", from.Name, names, report)
		s := &subscription{Subscription: from, plan: c.planOf(from.Plan, report)}
		for k, name := range from.Applications {
			if !applications[name] {
				report(fmt.Sprintf("applications[%d]", k), "", "there is no application called %q", name)
			}
		}
		c.checkAPIs(from.APIs, report)
		c.checkOperationSets(from.Operations, from.APIs, report)
		if from.Claims != "" {
			s.expr = c.expression(from, report)
		}
		for _, at := range places(from.Applications, false, from.APIs) {
			c.book.subscriptions[at] = append(c.book.subscriptions[at], s)
		}
	}
}

func (c *compiler) expression(from *gate.Subscription, report reporter) *claims.Expr {
	expr, err := claims.Compile(from.Claims)
	if err != nil {
		var syntax *predicate.SyntaxError
		if errors.As(err, &syntax) {
			report("claims", syntax.Hint, "column %d of the expression: %s", syntax.Column, syntax.Message)
		} else {
			report("claims", "", "%v", err)
		}
		return nil
	}
	for _, w := range expr.Warnings() {
		c.warn(&from.Origin)("claims", "", "column %d of the expression: %s", w.Column, w.Message)
	}
	return expr
}

// places are all pairs of those concerned and APIs, each once.
func places(who []string, everyone bool, apis []string) []place {
	all := make([]place, 0, max(1, len(who))*len(apis))
	for _, api := range sortedSet(apis) {
		if everyone {
			all = append(all, place{everyone: true, api: api})
		}
		for _, name := range sortedSet(who) {
			all = append(all, place{who: name, api: api})
		}
	}
	return all
}

// both joins what an index has for an API by name and for all APIs.
func both[T any](index map[place][]T, at place) (named, all []T) {
	named = index[at]
	at.api = allAPIs
	return named, index[at]
}
