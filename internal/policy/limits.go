package policy

import (
	"cmp"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// policyGrant merges the policies that have not ended at the moment from, and adds their names and limits to the session. It is nil after a refusal.
func (m *maker) policyGrant(from time.Time, session *gate.Session) *policyGrant {
	var enforced, all terms
	some, onlyDry := false, true
	for _, p := range m.policies {
		onlyDry = onlyDry && p.DryRun
		if m.ended(p, from) {
			continue
		}
		t := p.at(m.api)
		all = merge(all, t)
		if !p.DryRun {
			some = true
			enforced = merge(enforced, t)
		}
	}
	m.checkEnd(some || onlyDry)
	g := &policyGrant{dryRun: onlyDry, entries: enforced.grants}
	wouldRefuse := m.verdict(&all)
	if onlyDry {
		g.entries = all.grants
		m.noteDryRun(wouldRefuse)
	} else if some {
		m.notePolicies(&enforced)
	}
	if m.denied != nil {
		return nil
	}
	g.refused = wouldRefuse != ""
	shown := &enforced
	if onlyDry {
		shown = &all
	}
	session.Policies, session.Tags = all.policies, shown.tags
	for name, value := range shown.metadata {
		if session.Metadata == nil {
			session.Metadata = make(map[string]string, len(shown.metadata))
		}
		session.Metadata[name] = value.value
	}
	m.policyLimits(&enforced, false, g, session)
	m.policyLimits(&all, true, g, session)
	return g
}

// checkEnd refuses when all policies that decide have ended. Those in dry-run do not take their place.
func (m *maker) checkEnd(left bool) {
	if !left {
		m.note(gate.Check{Name: "policy_end", Reason: gate.ReasonGrantExpired, Expected: "a token that says when it was issued (iat), for a policy with grantFor", Got: "no time of issue"})
	}
}

// verdict is the reason for which terms refuse every request to the API, "" if they do not.
func (m *maker) verdict(t *terms) gate.Reason {
	switch {
	case t.inactive != "":
		return gate.ReasonPolicyInactive
	case t.perAPI != "" && t.partitioned != "":
		return gate.ReasonPolicyConflict
	}
	for _, e := range t.grants {
		if m.version == "" || e.allowsVersion(m.version) {
			return ""
		}
	}
	return gate.ReasonAPINotGranted
}

// notePolicies records what the merged policies say of the API.
func (m *maker) notePolicies(t *terms) {
	c := gate.Check{Name: "policy_access", Reason: m.verdict(t)}
	switch c.Reason {
	case gate.ReasonPolicyInactive:
		c.Expected, c.Got = "policies that are active", t.inactive+" is inactive"
	case gate.ReasonPolicyConflict:
		c.Expected, c.Got = "policies that all say perAPI, or none that decides other parts only", t.perAPI+" says perAPI, "+t.partitioned+" does not"
	case gate.ReasonAPINotGranted:
		c.Expected, c.Got = "a policy that grants the API "+m.api, listed(t.policies)
		if m.version != "" {
			c.Expected += ", version " + m.version
		}
	default:
		if m.trace != nil {
			c.Got = (&grant{policies: &policyGrant{entries: t.grants}}).Describe()
		}
	}
	m.note(c)
}

func (m *maker) noteDryRun(would gate.Reason) {
	c := gate.Check{Name: "policy_access", Got: "all policies are in dry-run"}
	if would != "" {
		c.Got += "; they would refuse: " + string(would)
	}
	m.note(c)
}

// policyLimits adds the limits of merged policies: as they are, or, with dry, those that only policies in dry-run bring in, which are counted and never refuse.
func (m *maker) policyLimits(t *terms, dry bool, g *policyGrant, session *gate.Session) {
	counts := func(o owner) bool { return m.book.policies[o.policy].DryRun == dry }
	if t.rate != nil && counts(t.rate.owner) {
		use := m.ownUse("policy rate", t.rate.owner, t.rate.rate.Rule())
		use.DryRun = dry
		use.Throttle = (&t.throttle).Hold()
		if use.Throttle.Valid() != nil || dry { // half a throttle holds nothing, and what never refuses need not be held
			use.Throttle = limit.Throttle{}
		}
		session.Limits = append(session.Limits, use)
	}
	if q := t.merged(); q != nil && counts(t.quota.owner) {
		rule, _ := q.Rule()
		use := m.ownUse("policy quota", t.quota.owner, rule)
		use.Quota, use.DryRun = true, dry
		session.Limits = append(session.Limits, use)
	}
	for _, text := range sortedKeys(t.endpoints) {
		e := t.endpoints[text]
		if !counts(e.owner) {
			continue
		}
		use := m.use("policy endpoint", e.rate.Rule(), e.policy, m.api, text, m.userPart())
		use.Name, use.DryRun = e.policy, dry
		g.endpoints = append(g.endpoints, endpointUse{e.requests, use})
	}
}

// ownUse is a user's allowance of a policy, for all APIs together or for this one.
func (m *maker) ownUse(kind string, o owner, rule limit.Rule) limit.Use {
	api := ""
	if o.perAPI {
		api = m.api
	}
	use := m.use(kind, rule, o.policy, api, m.userPart())
	use.Name = o.policy
	return use
}

// use is a counter in the user's group. The algorithm is part of the key, because counters of different ones hold different states.
func (m *maker) use(kind string, rule limit.Rule, parts ...string) limit.Use {
	return limit.Use{Key: limit.NewKey(kind, append(parts, algorithms[rule.Algorithm])...), Group: m.id.UserKey().Group(), Rule: rule}
}

// algorithms are parts of keys and must not change.
var algorithms = [...]string{limit.Bucket: "bucket", limit.FixedWindow: "fixed", limit.SlidingWindow: "sliding"}

func (m *maker) userPart() string {
	key := m.id.UserKey()
	return string(key[:])
}

// rulePlan is what a request takes from that an access rule lets through.
func (m *maker) rulePlan(rule *accessRule) []limit.Use {
	if rule.plan == nil {
		return nil
	}
	parts, group := []string{rule.Name, "user", m.userPart()}, m.id.UserKey().Group()
	if rule.plan.Bucket != gate.BucketSubscription && m.id.Application != "" {
		parts = []string{rule.Name, "application", m.id.Application}
		group = limit.NewKey("application", m.id.Application).Group()
	}
	return m.planUses("access rule", rule.plan, group, parts)
}

// subscriptionPlan is what a request takes from that a subscription lets through.
func (m *maker) subscriptionPlan(s *subscription) []limit.Use {
	if s.plan == nil {
		return nil
	}
	parts, group := []string{s.Name, "subscription", ""}, limit.NewKey("subscription", s.Name).Group()
	if s.plan.Bucket != gate.BucketSubscription {
		parts = []string{s.Name, "application", m.app.ID}
		group = limit.NewKey("application", m.app.ID).Group()
	}
	return m.planUses("subscription", s.plan, group, parts)
}

// planUses are a plan's counters. The plan's name is no part of their keys: whoever gets another plan has used what he has used.
func (m *maker) planUses(kind string, plan *gate.Plan, group limit.Group, parts []string) []limit.Use {
	if plan.Bucket == gate.BucketApplicationAPI {
		parts = append(parts, m.api)
	}
	var uses []limit.Use
	if plan.Rate != nil {
		use := m.use(kind+" rate", plan.Rate.Rule(), parts...)
		use.Group, use.Name = group, plan.Name
		uses = append(uses, use)
	}
	if plan.Quota == nil {
		return uses
	}
	if rule, limited := plan.Quota.Rule(); limited {
		use := m.use(kind+" quota", rule, parts...)
		use.Group, use.Name, use.Quota = group, plan.Name, true
		uses = append(uses, use)
	}
	return uses
}

// groupRate finds the rate of the user's groups: for each group the most restrictive of those that name it, or else of those for everyone; of all groups the least restrictive.
func (m *maker) groupRate() {
	everyone := m.strictest(place{everyone: true, api: m.api})
	best := everyone
	for i, group := range m.id.Groups {
		rate := m.strictest(place{who: group, api: m.api})
		if rate == nil {
			rate = everyone
		}
		if rate != nil && (i == 0 || best == nil || compareGroupRates(rate, best) > 0) {
			best = rate
		}
	}
	c := gate.Check{Name: "group_rate", Got: "none"}
	if best != nil {
		use := m.use("group rate", best.Rate.Rule(), m.api, m.userPart())
		use.Name = best.Name
		m.limits = append(m.limits, use)
		c.Got = best.Name
	}
	m.note(c)
}

// strictest is the most restrictive rate of those concerned, nil if there is none.
func (m *maker) strictest(at place) *gate.GroupRate {
	named, all := both(m.book.rates, at)
	var least *gate.GroupRate
	for _, list := range [][]*gate.GroupRate{named, all} {
		for _, r := range list {
			if least == nil || compareGroupRates(r, least) < 0 {
				least = r
			}
		}
	}
	return least
}

func compareGroupRates(a, b *gate.GroupRate) int {
	return cmp.Or(compareRates(a.Rate, b.Rate), cmp.Compare(a.Name, b.Name))
}
