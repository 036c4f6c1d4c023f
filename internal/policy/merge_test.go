package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
)

// aRate draws rates that often are equal in one respect and differ in another.
func aRate(t *rapid.T, label string) *gate.Rate {
	if rapid.Bool().Draw(t, label+" absent") {
		return nil
	}
	r := &gate.Rate{
		Limit:     rapid.SampledFrom([]int64{0, 1, 10, 60, 100, 600}).Draw(t, label+" limit"),
		Period:    rapid.SampledFrom([]time.Duration{time.Second, 6 * time.Second, time.Minute}).Draw(t, label+" period"),
		Algorithm: rapid.SampledFrom([]string{gate.AlgorithmBucket, gate.AlgorithmFixedWindow, gate.AlgorithmSlidingWindow}).Draw(t, label+" algorithm"),
	}
	if r.Algorithm == gate.AlgorithmBucket {
		r.Burst = rapid.SampledFrom([]int64{0, 10, 20}).Draw(t, label+" burst")
	}
	return r
}

func aQuota(t *rapid.T, label string) *gate.Quota {
	if rapid.Bool().Draw(t, label+" absent") {
		return nil
	}
	q := &gate.Quota{
		Limit:     rapid.SampledFrom([]int64{-1, 0, 10, 100}).Draw(t, label+" limit"),
		Period:    rapid.SampledFrom([]time.Duration{0, time.Hour, 24 * time.Hour}).Draw(t, label+" period"),
		Algorithm: gate.AlgorithmFixedWindow,
	}
	if q.Period > 0 && rapid.Bool().Draw(t, label+" sliding") {
		q.Algorithm = gate.AlgorithmSlidingWindow
	}
	return q
}

// aPolicy draws a policy of at most a few APIs and operations, so that policies meet.
func aPolicy(t *rapid.T, name string) gate.Policy {
	p := gate.Policy{
		Name: name, Inactive: rapid.IntRange(0, 9).Draw(t, "inactive") == 0,
		Partitions: rapid.SampledFrom([][]string{nil, nil, {"perAPI"}, {"access"}, {"rate"}, {"quota"}, {"access", "rate"}}).Draw(t, "partitions"),
		Tags:       rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "tags"),
		Metadata:   map[string]string{rapid.SampledFrom([]string{"x", "y"}).Draw(t, "metadata"): name},
	}
	decides := func(part string) bool {
		return len(p.Partitions) == 0 || p.Partitions[0] == gate.PartitionPerAPI || slices.Contains(p.Partitions, part)
	}
	if decides(gate.PartitionRate) {
		p.Rate = aRate(t, "rate")
		if rapid.Bool().Draw(t, "throttled") {
			p.Throttle = &gate.Throttle{Interval: rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Second}).Draw(t, "hold"), Retries: rapid.IntRange(1, 3).Draw(t, "retries")}
		}
	}
	if decides(gate.PartitionQuota) {
		p.Quota = aQuota(t, "quota")
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "entries") {
		label := fmt.Sprint("entry ", i)
		a := gate.Access{API: rapid.SampledFrom([]string{"tickets", "orders", "*"}).Draw(t, label)}
		a.Versions = rapid.SampledFrom([][]string{nil, {"v1"}, {"v2"}}).Draw(t, label+" versions")
		for k := range rapid.IntRange(0, 2).Draw(t, label+" operations") {
			a.Operations = append(a.Operations, anOperation(t, fmt.Sprint(label, " operation ", k)))
		}
		if decides(gate.PartitionRate) {
			a.Rate = aRate(t, label+" rate")
			if r := aRate(t, label+" endpoint"); r != nil {
				a.Endpoints = append(a.Endpoints, gate.EndpointLimit{Operation: anOperation(t, label+" endpoint"), Rate: *r})
			}
		}
		if decides(gate.PartitionQuota) {
			a.Quota = aQuota(t, label+" quota")
		}
		p.Access = append(p.Access, a)
	}
	return p
}

func anOperation(t *rapid.T, label string) gate.Operation {
	o := gate.Operation{Methods: rapid.SliceOfN(rapid.SampledFrom([]string{"GET", "POST", "PURGE"}), 0, 2).Draw(t, label+" methods")}
	switch rapid.IntRange(0, 4).Draw(t, label) {
	case 0:
		o.Path = "/a"
	case 1:
		o.PathPrefix = "/a"
	case 2:
		o.PathPattern = "/{x}/b"
	case 3:
		o.PathRegex = "^/b"
	}
	return o
}

// policies draws a Book and returns what each of its policies gives at tickets.
func policies(t *rapid.T) ([]*policy, []terms) {
	var from Sources
	from.APIs = []gate.API{{Name: "tickets"}, {Name: "orders"}}
	n := rapid.IntRange(1, 5).Draw(t, "policies")
	for i := range n {
		from.Policies = append(from.Policies, aPolicy(t, fmt.Sprint("p", i)))
	}
	book, problems := NewBook(from)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	list, at := make([]*policy, n), make([]terms, n)
	for i := range n {
		list[i] = book.policies[fmt.Sprint("p", i)]
		at[i] = list[i].at("tickets")
	}
	return list, at
}

func all(list []terms) (sum terms) {
	for _, t := range list {
		sum = merge(sum, t)
	}
	return sum
}

// shown compares terms without looking into what is compiled.
var shown = cmp.Options{
	cmp.AllowUnexported(terms{}, rateTerm{}, quotaTerm{}, endpointTerm{}, owner{}, metadatum{}),
	cmp.Comparer(func(a, b *access) bool { return a == b }),
	cmp.Comparer(func(a, b *requests) bool { return a == b }),
}

func TestMergingIsASemilattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, list := policies(t)
		want := all(list)
		same := func(what string, got terms) {
			t.Helper()
			if diff := cmp.Diff(want, got, shown); diff != "" {
				t.Fatalf("%s (-want +got)\n%s", what, diff)
			}
		}
		same("in another order", all(rapid.Permutation(list).Draw(t, "order")))
		same("with themselves", merge(want, want))
		same("with one of them again", merge(want, list[rapid.IntRange(0, len(list)-1).Draw(t, "again")]))
		cut := rapid.IntRange(0, len(list)).Draw(t, "cut")
		same("in two heaps", merge(all(list[:cut]), all(list[cut:])))
	})
}

// Whatever a policy lets through alone, it lets through with others, and nothing else passes.
func TestMergedGrantIsTheUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, list := policies(t)
		together := policyGrant{entries: all(list).grants}
		method := rapid.SampledFrom([]string{"GET", "POST", "PURGE", "HEAD"}).Draw(t, "method")
		path := rapid.SampledFrom([]string{"/", "/a", "/a/b", "/b", "/c/b", "/ab", "/c"}).Draw(t, "path")
		version := rapid.SampledFrom([]string{"", "v1", "v2"}).Draw(t, "version")
		want := false
		for i := range list {
			alone := policyGrant{entries: list[i].grants}
			want = want || alone.find(method, path, version) != nil
		}
		if got := together.find(method, path, version) != nil; got != want {
			t.Fatalf("%s %s %s: together %v, one by one %v", method, path, version, got, want)
		}
	})
}

// The merged limits are no stricter than those of any policy.
func TestMergedLimitsAreTheMostPermissive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, list := policies(t)
		together := all(list)
		for _, one := range list {
			if one.rate != nil && compareRates(one.rate.rate, together.rate.rate) > 0 {
				t.Fatalf("the rate %+v of one is more than %+v of all", one.rate.rate, together.rate.rate)
			}
			if q := one.merged(); one.quota != nil {
				if sum := together.merged(); sum != nil && (q == nil || q.Limit > sum.Limit || q.Period > sum.Period) {
					t.Fatalf("the quota %+v of one is more than %+v of all", one.quota.quota, sum)
				}
			}
			if one.throttle.Interval > together.throttle.Interval || one.throttle.Retries > together.throttle.Retries {
				t.Fatalf("the throttle %+v of one is more than %+v of all", one.throttle, together.throttle)
			}
			if one.inactive != "" && together.inactive == "" {
				t.Fatal("merged with others, an inactive policy is active")
			}
		}
	})
}

func TestCompareRatesIsATotalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) gate.Rate {
			r := gate.Rate{Limit: rapid.Int64Range(0, 1<<53).Draw(t, label+" limit"), Period: time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(24*time.Hour)).Draw(t, label+" period"))}
			if rapid.Bool().Draw(t, label+" small") {
				r.Limit, r.Period = r.Limit%3, (1+r.Period%3)*time.Second
			}
			return r
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		if compareRates(a, b) != -compareRates(b, a) {
			t.Fatalf("%+v and %+v have no order", a, b)
		}
		if compareRates(a, b) == 0 && a != b {
			t.Fatalf("%+v and %+v are taken for equal", a, b)
		}
		if compareRates(a, b) >= 0 && compareRates(b, c) >= 0 && compareRates(a, c) < 0 {
			t.Fatalf("the order of %+v, %+v and %+v is a circle", a, b, c)
		}
	})
}
