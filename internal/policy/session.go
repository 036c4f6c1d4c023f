package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// maker carries one identity on its way to a session.
type maker struct {
	*Selector
	id     *gate.Identity
	trace  *gate.Trace
	denied *gate.Denial // the first refusal

	policies []*policy
	groups   *ruleGrant
	subs     *ruleGrant
	app      *gate.Application
	limits   []limit.Use // that do not come from policies
}

// goesOn reports whether to look further: an explanation sees everything.
func (m *maker) goesOn() bool { return m.denied == nil || m.trace != nil }

// note records a check; the first that has a reason refuses.
func (m *maker) note(c gate.Check) {
	m.trace.Record(c)
	if c.Reason != "" && m.denied == nil {
		m.denied = &gate.Denial{Reason: c.Reason, Expected: c.Expected}
	}
}

// user refuses who cannot be told apart: groups, policies and limits are of users.
func (m *maker) user() {
	c := gate.Check{Name: "user", Expected: "a claim that says who is calling", Got: m.id.User, Claim: true}
	if m.id.User == "" {
		c.Reason, c.Got, c.Claim = gate.ReasonIdentityMissing, "none", false
	}
	m.note(c)
}

func (m *maker) selectPolicies() {
	found := m.selection.choose(m.book, m.id)
	m.policies = found.policies
	c := gate.Check{Name: "policies", Reason: found.reason(), Expected: m.selection.text}
	if m.trace != nil {
		var parts []string
		if len(found.policies) > 0 {
			names := make([]string, len(found.policies))
			for i, p := range found.policies {
				names[i] = p.Name
			}
			parts = append(parts, listed(names))
		}
		if found.isDefault {
			parts = append(parts, "by default")
		}
		if len(found.unknown) > 0 {
			parts = append(parts, "unknown: "+listed(found.unknown))
			c.Claim = true
		}
		if found.malformed {
			parts = append(parts, "a claim that is neither text nor a list of texts")
		}
		if c.Got = strings.Join(parts, "; "); c.Got == "" {
			c.Got = "none"
		}
	}
	m.note(c)
}

// groupLevels finds the access rules of everyone and of the user's groups.
func (m *maker) groupLevels() {
	var rules []*accessRule
	add := func(at place) {
		named, all := both(m.book.access, at)
		rules = append(append(rules, named...), all...)
	}
	add(place{everyone: true, api: m.api})
	for _, group := range m.id.Groups {
		add(place{who: group, api: m.api})
	}
	slices.SortFunc(rules, func(a, b *accessRule) int { return byWeight(a.Weight, a.Name, b.Weight, b.Name) })
	rules = slices.Compact(rules)
	m.groups = &ruleGrant{noun: "access rule"}
	for _, rule := range rules {
		sets := m.setsOf(rule.Operations)
		if len(sets) == 0 {
			continue
		}
		m.groups.levels = append(m.groups.levels, level{name: rule.Name, plan: rule.Plan, sets: sets, uses: m.rulePlan(rule)})
		if everything(sets) {
			break // the lighter ones never decide
		}
	}
	c := gate.Check{Name: "groups"}
	if len(m.groups.levels) == 0 {
		c.Reason = gate.ReasonGroupMissing
	}
	if m.trace != nil {
		c.Expected = m.groupsWanted()
		if c.Got, c.Claim = listed(m.id.Groups), true; c.Got == "" {
			c.Got = "no groups"
		}
	}
	m.note(c)
}

// groupsWanted says in which groups somebody may call the API.
func (m *maker) groupsWanted() string {
	const most = 20
	var names []string
	for at := range m.book.access {
		if at.api != m.api && at.api != allAPIs {
			continue
		}
		if at.everyone {
			return "everyone"
		}
		names = append(names, at.who)
	}
	names = sortedSet(names)
	switch {
	case len(names) == 0:
		return "a group with an access rule for the API, and there is none"
	case len(names) > most:
		return "one of " + listed(names[:most]) + " and others"
	}
	return "one of " + listed(names)
}

// subscriptionLevels finds the application's subscriptions.
func (m *maker) subscriptionLevels() {
	m.app = m.book.apps[m.id.Application]
	c := gate.Check{Name: "application", Expected: "the ID of an application", Got: m.id.Application, Claim: true}
	if c.Got == "" {
		c.Got, c.Claim = "none", false
	}
	if m.app == nil {
		c.Reason = gate.ReasonApplicationUnknown
		m.note(c)
		return
	}
	m.note(c)
	named, all := both(m.book.subscriptions, place{who: m.app.Name, api: m.api})
	list := slices.Concat(named, all)
	slices.SortFunc(list, func(a, b *subscription) int { return byWeight(a.Weight, a.Name, b.Weight, b.Name) })
	list = slices.Compact(list)
	m.subs = &ruleGrant{noun: "subscription"}
	var refused []string
	for _, s := range list {
		if s.expr != nil && !m.claimsAllow(s.expr) {
			refused = append(refused, s.Name+" asks for "+s.expr.String())
			continue
		}
		sets := m.setsOf(s.Operations)
		if len(sets) == 0 {
			continue
		}
		m.subs.levels = append(m.subs.levels, level{name: s.Name, plan: s.Plan, sets: sets, uses: m.subscriptionPlan(s)})
		if everything(sets) {
			break
		}
	}
	c = gate.Check{Name: "subscription", Expected: "a subscription of the application " + m.app.Name + " to the API"}
	if len(m.subs.levels) == 0 {
		c.Reason, c.Got = gate.ReasonSubscriptionMissing, "none"
		if len(refused) > 0 {
			c.Got = "none: " + strings.Join(refused, "; ")
		}
	} else {
		c.Got = m.subs.levels[0].name
	}
	m.note(c)
}

// claimsAllow evaluates an expression over the claims. An identity without a token has none, and those of a token that the caller signed himself are his own word.
func (m *maker) claimsAllow(expr *claims.Expr) bool {
	return m.id.Claims != nil && m.id.Credential == "" && expr.Eval(m.id.Claims)
}

// sessions makes the session, and those that follow when policies end. It is nil after a refusal.
func (m *maker) sessions() *gate.Session {
	if m.subscriptions && m.subs == nil || m.groups == nil && m.Selector.groups || len(m.policies) == 0 && m.Selector.policies {
		return nil // refused, and there is nothing to be said of it
	}
	ends := m.ends()
	first := m.phase(time.Time{})
	last := first
	for _, end := range ends {
		if last == nil {
			break
		}
		later := *m
		later.trace, later.denied = nil, nil // what comes then is no refusal now
		last.Expires, last.Next = end, later.phase(end)
		last = last.Next
	}
	return first
}

// ends are the moments at which policies end, in order.
func (m *maker) ends() []time.Time {
	var ends []time.Time
	for _, p := range m.policies {
		if p.GrantFor > 0 && !m.id.Issued.IsZero() {
			ends = append(ends, m.id.Issued.Add(p.GrantFor))
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	return slices.CompactFunc(ends, time.Time.Equal)
}

// ended reports whether p grants nothing from now on.
func (m *maker) ended(p *policy, now time.Time) bool {
	return p.GrantFor > 0 && (m.id.Issued.IsZero() || !m.id.Issued.Add(p.GrantFor).After(now))
}

// phase makes the session that begins at the moment from. It is nil after a refusal.
func (m *maker) phase(from time.Time) *gate.Session {
	session := &gate.Session{Limits: slices.Clone(m.limits)}
	g := &grant{groups: m.groups, subscriptions: m.subs}
	if m.Selector.policies {
		g.policies = m.policyGrant(from, session)
	}
	if m.denied != nil {
		return nil
	}
	if m.groups != nil && len(m.groups.levels) > 0 {
		session.Plan = m.groups.levels[0].plan
	}
	if m.app != nil {
		session.Application = m.app.Name
		session.Subscription = m.subs.levels[0].name
		session.Plan = m.subs.levels[0].plan
	}
	if g.policies != nil || g.groups != nil || g.subscriptions != nil {
		session.Grant = g
	}
	return session
}
