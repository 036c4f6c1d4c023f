package policy

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// terms are what one policy, or several together, give at one API. They are values: merging makes new ones.
type terms struct {
	// policies are the names, sorted.
	policies []string
	// inactive is the first inactive policy by name, "" if there is none.
	inactive string
	// perAPI and partitioned are the first policies by name that say perAPI, and that decide other parts only; both together contradict each other.
	perAPI, partitioned string
	// grants are the entries that let requests through, ordered by policy and place.
	grants []*access
	// rate is the most permissive.
	rate *rateTerm
	// quota is the largest limit; period and fixed are the most permissive ones, of whichever policy.
	quota  *quotaTerm
	period time.Duration
	fixed  bool
	// throttle has the largest interval and the largest number of retries.
	throttle gate.Throttle
	// endpoints are by operationText.
	endpoints map[string]endpointTerm
	tags      []string
	metadata  map[string]metadatum
}

// owner is whose allowance a limit is: the policy's, for all APIs where it counts together or for each by itself.
type owner struct {
	policy string
	perAPI bool
}

type rateTerm struct {
	owner
	rate gate.Rate
}

type quotaTerm struct {
	owner
	quota gate.Quota
}

type endpointTerm struct {
	owner
	requests *requests
	rate     gate.Rate
}

// metadatum is a value and the policy that it is of.
type metadatum struct{ policy, value string }

// merge joins terms: whatever either gives is given. It is commutative, associative and idempotent, so neither order nor repetition of policies matters.
func merge(a, b terms) terms {
	m := terms{
		policies:    union(a.policies, b.policies, cmp.Compare[string]),
		inactive:    first(a.inactive, b.inactive),
		perAPI:      first(a.perAPI, b.perAPI),
		partitioned: first(a.partitioned, b.partitioned),
		grants:      union(a.grants, b.grants, compareAccess),
		rate:        better(a.rate, b.rate, compareRateTerms),
		quota:       better(a.quota, b.quota, compareQuotaTerms),
		period:      max(a.period, b.period),
		fixed:       a.fixed || b.fixed,
		throttle:    gate.Throttle{Interval: max(a.throttle.Interval, b.throttle.Interval), Retries: max(a.throttle.Retries, b.throttle.Retries)},
		tags:        union(a.tags, b.tags, cmp.Compare[string]),
		endpoints:   maps.Clone(a.endpoints),
		metadata:    maps.Clone(a.metadata),
	}
	if m.endpoints == nil {
		m.endpoints = b.endpoints
	} else {
		for text, other := range b.endpoints {
			if have, ok := m.endpoints[text]; !ok || compareLimits(other.rate, other.owner, have.rate, have.owner) > 0 {
				m.endpoints[text] = other
			}
		}
	}
	if m.metadata == nil {
		m.metadata = b.metadata
	} else {
		for name, other := range b.metadata {
			if have, ok := m.metadata[name]; !ok || other.policy > have.policy { // the later by name wins
				m.metadata[name] = other
			}
		}
	}
	return m
}

// merged is the quota that holds: the owner's, with the period of whoever has the longest. nil: none.
func (t *terms) merged() *gate.Quota {
	if t.quota == nil || t.quota.quota.Limit < 0 {
		return nil
	}
	q := t.quota.quota
	q.Period = t.period
	q.Algorithm = gate.AlgorithmSlidingWindow
	if t.fixed {
		q.Algorithm = gate.AlgorithmFixedWindow
	}
	return &q
}

// union joins two lists that are sorted and without repetition into one.
func union[T any](a, b []T, compare func(a, b T) int) []T {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, compare)
	return slices.CompactFunc(all, func(a, b T) bool { return compare(a, b) == 0 })
}

// first is the first text in alphabetical order that is not empty.
func first(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

// better is the larger of two, where nil is less than everything.
func better[T any](a, b *T, compare func(a, b *T) int) *T {
	if a == nil || b != nil && compare(b, a) > 0 {
		return b
	}
	return a
}

func compareRateTerms(a, b *rateTerm) int { return compareLimits(a.rate, a.owner, b.rate, b.owner) }

// compareLimits orders by what the rate allows, then so that each policy has one place.
func compareLimits(a gate.Rate, ownerA owner, b gate.Rate, ownerB owner) int {
	return cmp.Or(compareRates(a, b), compareOwners(ownerA, ownerB))
}

// compareRates is positive if a allows more than b: if the time for one request is shorter, or, if it is equal, if more come at once. Rates that differ are never equal.
func compareRates(a, b gate.Rate) int {
	return cmp.Or(
		compareProducts(b.Period, a.Limit, a.Period, b.Limit), // a.Period/a.Limit < b.Period/b.Limit
		cmp.Compare(a.Limit, b.Limit),
		cmp.Compare(burst(a), burst(b)),
		cmp.Compare(b.Period, a.Period), // limits of 0 only
		cmp.Compare(algorithmRank(a.Algorithm), algorithmRank(b.Algorithm)),
		cmp.Compare(a.Burst, b.Burst),
	)
}

// compareProducts compares p*q with r*s.
func compareProducts(p time.Duration, q int64, r time.Duration, s int64) int {
	high, low := bits.Mul64(uint64(max(p, 0)), uint64(max(q, 0)))
	high2, low2 := bits.Mul64(uint64(max(r, 0)), uint64(max(s, 0)))
	return cmp.Or(cmp.Compare(high, high2), cmp.Compare(low, low2))
}

func burst(r gate.Rate) int64 {
	if r.Burst == 0 {
		return r.Limit
	}
	return r.Burst
}

// algorithmRank is higher for what allows more at worst: two windows that meet allow twice the limit at once.
func algorithmRank(name string) int {
	switch name {
	case gate.AlgorithmFixedWindow:
		return 2
	case gate.AlgorithmSlidingWindow:
		return 0
	}
	return 1
}

// compareOwners is positive if a goes first by name.
func compareOwners(a, b owner) int {
	perAPI := func(o owner) int {
		if o.perAPI {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(b.policy, a.policy), cmp.Compare(perAPI(a), perAPI(b)))
}

func compareQuotaTerms(a, b *quotaTerm) int {
	limit := func(q gate.Quota) uint64 { return uint64(q.Limit) } // -1, no limit, is the largest
	return cmp.Or(
		cmp.Compare(limit(a.quota), limit(b.quota)),
		cmp.Compare(a.quota.Period, b.quota.Period),
		compareOwners(a.owner, b.owner),
		cmp.Compare(algorithmRank(a.quota.Algorithm), algorithmRank(b.quota.Algorithm)),
	)
}

func compareAccess(a, b *access) int {
	return cmp.Or(cmp.Compare(a.policy.Name, b.policy.Name), cmp.Compare(a.index, b.index))
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
