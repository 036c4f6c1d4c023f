// Package policy decides what a verified identity may do at an API, and how much: from the policies that its token names, the groups that its user is in, and the application
// that calls. All of it is pure: a [Book] is what the configuration says, a [Selector] is the Book as seen by one API, and a session is what follows for one identity.
//
// Where several rules apply, the most permissive wins: a request passes if one of them lets it through, and of two limits of a kind the larger holds. What is not granted is refused.
package policy

import (
	"cmp"
	"slices"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
)

// Sources are the nouns that a Book is made of.
type Sources struct {
	Policies      []gate.Policy
	Access        []gate.AccessRule
	Plans         []gate.Plan
	GroupRates    []gate.GroupRate
	Applications  []gate.Application
	Subscriptions []gate.Subscription
	// APIs are those that the others may name.
	APIs []gate.API
	// Generation is the Book's Generation.
	Generation uint64
}

// Book is everything that policies, access rules, plans, group rates, applications and subscriptions say, compiled and indexed. It is immutable and safe for concurrent use.
type Book struct {
	generation uint64
	policies   map[string]*policy
	plans      map[string]*gate.Plan
	// apps are by ID.
	apps map[string]*gate.Application
	// Rules are found by who is concerned, and where.
	access        map[place][]*accessRule
	rates         map[place][]*gate.GroupRate
	subscriptions map[place][]*subscription
	apis          map[string]*gate.API
	rated         map[string]bool // the APIs that group rates name
}

// place is who calls which API: a group or an application by name, or everyone; the API "*" stands for all.
type place struct {
	everyone bool
	who, api string
}

const allAPIs = "*"

// policy is a compiled gate.Policy.
type policy struct {
	gate.Policy
	perAPI, decidesAccess, decidesRate, decidesQuota bool
	// byAPI are the entries of Access by the name of the API.
	byAPI map[string][]*access
}

// access is a compiled gate.Access.
type access struct {
	*gate.Access
	policy   *policy
	index    int
	requests *requests
	// endpoints are compiled from Endpoints.
	endpoints []*requests
}

// accessRule is a gate.AccessRule with its plan.
type accessRule struct {
	*gate.AccessRule
	plan *gate.Plan
}

// subscription is a gate.Subscription with its plan and its expression.
type subscription struct {
	*gate.Subscription
	plan *gate.Plan
	expr *claims.Expr // nil: all claims will do
}

// NewBook compiles the sources, which must not be changed any more. The Book is nil if the problems hold errors. The problems are at the origins of the nouns.
func NewBook(from Sources) (*Book, gate.Problems) {
	c := &compiler{book: &Book{
		generation: from.Generation,
		policies:   make(map[string]*policy, len(from.Policies)), plans: make(map[string]*gate.Plan, len(from.Plans)),
		apps: make(map[string]*gate.Application, len(from.Applications)), apis: make(map[string]*gate.API, len(from.APIs)),
		access: make(map[place][]*accessRule), rates: make(map[place][]*gate.GroupRate), subscriptions: make(map[place][]*subscription),
		rated: make(map[string]bool),
	}, sets: make(map[string]bool)}
	for i := range from.APIs {
		c.book.apis[from.APIs[i].Name] = &from.APIs[i]
		for _, set := range from.APIs[i].Operations {
			c.sets[set.Name] = true
		}
	}
	for i := range from.Plans {
		c.plan(&from.Plans[i])
	}
	for i := range from.Policies {
		c.policy(&from.Policies[i])
	}
	c.accessRules(from.Access)
	c.groupRates(from.GroupRates)
	c.applications(from.Applications)
	c.subscriptionRules(from.Subscriptions)
	c.problems = c.problems.Sort()
	if c.problems.Err() != nil {
		return nil, c.problems
	}
	return c.book, c.problems
}

// Generation is the number that the Book was made with: sessions of another one are out of date.
func (b *Book) Generation() uint64 { return b.generation }

// at returns what the policy gives at an API.
func (p *policy) at(api string) terms {
	t := terms{policies: []string{p.Name}, tags: sortedSet(p.Tags)}
	if p.Inactive {
		t.inactive = p.Name
	}
	switch {
	case p.perAPI:
		t.perAPI = p.Name
	case len(p.Partitions) > 0:
		t.partitioned = p.Name
	}
	if len(p.Metadata) > 0 {
		t.metadata = make(map[string]metadatum, len(p.Metadata))
		for name, value := range p.Metadata {
			t.metadata[name] = metadatum{p.Name, value}
		}
	}
	named, all := p.byAPI[api], p.byAPI[allAPIs]
	if len(named)+len(all) == 0 && (p.decidesAccess || len(p.Access) > 0) {
		return t // the policy has nothing to do with the API
	}
	entries := union(named, all, compareAccess)
	if p.decidesAccess {
		t.grants = entries
	}
	own := owner{policy: p.Name, perAPI: true}
	shared := owner{policy: p.Name, perAPI: p.perAPI}
	if p.decidesRate {
		t.rate = p.rateAt(named, all, own, shared)
		t.throttle = p.throttleAt(named, all)
		t.endpoints = endpointsOf(entries, own)
	}
	if p.decidesQuota {
		t.quota = p.quotaAt(named, all, own, shared)
		if t.quota != nil {
			t.period, t.fixed = t.quota.quota.Period, t.quota.quota.Algorithm != gate.AlgorithmSlidingWindow
		}
	}
	return t
}

// rateAt is the rate of the entries that name the API, or else of those for all APIs, or else of the policy.
func (p *policy) rateAt(named, all []*access, own, shared owner) *rateTerm {
	for _, entries := range [][]*access{named, all} {
		var best *rateTerm
		for _, e := range entries {
			if e.Rate != nil {
				best = better(best, &rateTerm{own, *e.Rate}, compareRateTerms)
			}
		}
		if best != nil {
			return best
		}
	}
	if p.Rate == nil {
		return nil
	}
	return &rateTerm{shared, *p.Rate}
}

func (p *policy) quotaAt(named, all []*access, own, shared owner) *quotaTerm {
	for _, entries := range [][]*access{named, all} {
		var best *quotaTerm
		for _, e := range entries {
			if e.Quota != nil {
				best = better(best, &quotaTerm{own, *e.Quota}, compareQuotaTerms)
			}
		}
		if best != nil {
			return best
		}
	}
	if p.Quota == nil {
		return nil
	}
	return &quotaTerm{shared, *p.Quota}
}

func (p *policy) throttleAt(named, all []*access) gate.Throttle {
	for _, entries := range [][]*access{named, all} {
		var best gate.Throttle
		for _, e := range entries {
			if e.Throttle != nil {
				best = gate.Throttle{Interval: max(best.Interval, e.Throttle.Interval), Retries: max(best.Retries, e.Throttle.Retries)}
			}
		}
		if best != (gate.Throttle{}) {
			return best
		}
	}
	if p.Throttle == nil {
		return gate.Throttle{}
	}
	return *p.Throttle
}

// endpointsOf are the limits of operations that the entries have. Of two for the same operation the more permissive holds.
func endpointsOf(entries []*access, own owner) map[string]endpointTerm {
	var all map[string]endpointTerm
	for _, e := range entries {
		for i := range e.Endpoints {
			if all == nil {
				all = make(map[string]endpointTerm)
			}
			text := operationText(&e.Endpoints[i].Operation)
			limit := endpointTerm{own, e.endpoints[i], e.Endpoints[i].Rate}
			if have, ok := all[text]; !ok || compareRates(limit.rate, have.rate) > 0 {
				all[text] = limit
			}
		}
	}
	return all
}

func sortedSet(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// byWeight orders the heavier before the lighter, and equal ones by name.
func byWeight(weightA int, nameA string, weightB int, nameB string) int {
	return cmp.Or(cmp.Compare(weightB, weightA), cmp.Compare(nameA, nameB))
}
