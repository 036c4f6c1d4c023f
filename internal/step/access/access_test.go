package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/match"
	"github.com/jotgate/jotgate/internal/policy"
	"github.com/jotgate/jotgate/internal/step/access"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func rate(limit int64) gate.Rate { return gate.Rate{Limit: limit, Period: time.Second} }

var api = gate.API{Name: "users", Version: "v1", Auth: gate.Auth{
	Access: []string{gate.AccessPolicies}, JWT: &gate.JWT{Policies: &gate.PolicySelection{Claims: []string{"pol"}}},
}}

// identity is one whose token names policies, issued at the moment now.
func identity(t *testing.T, names string) *gate.Identity {
	t.Helper()
	book, problems := policy.NewBook(policy.Sources{
		APIs: []gate.API{api},
		Policies: []gate.Policy{
			{Name: "users", Access: []gate.Access{{
				API: "users", Versions: []string{"v1"}, Operations: []gate.Operation{{Methods: []string{"GET"}, PathPattern: "/users/{id}"}, {PathPrefix: "/login"}},
				Endpoints: []gate.EndpointLimit{{Operation: gate.Operation{Path: "/login"}, Rate: rate(5)}, {Operation: gate.Operation{PathPrefix: "/login"}, Rate: rate(50)}},
			}}},
			{Name: "hour", Access: []gate.Access{{API: "users"}}, GrantFor: time.Hour, Rate: new(rate(9))},
			{Name: "later", Access: []gate.Access{{API: "users", Operations: []gate.Operation{{Methods: []string{"GET"}}}}}},
			{Name: "dry", DryRun: true, Access: []gate.Access{{API: "users", Operations: []gate.Operation{{Methods: []string{"GET"}}}}}},
		},
	})
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	selector, problems := book.Selector(&api)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	set, err := claims.Parse([]byte(`{"pol":["`+strings.ReplaceAll(names, ",", `","`)+`"]}`), claims.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	id := &gate.Identity{User: "alice", Issued: now, Claims: set}
	if id.Session, err = selector.Session(id, nil); err != nil {
		t.Fatal(err)
	}
	return id
}

func exchange(t *testing.T, id *gate.Identity, method, target string) *gate.Exchange {
	t.Helper()
	path, err := match.CanonicalPath(target)
	if err != nil {
		t.Fatal(err)
	}
	return &gate.Exchange{Method: method, RoutingPath: path.Routing, OutPath: path.Forward, Identity: id, Start: now}
}

func TestHandle(t *testing.T) {
	for _, test := range []struct {
		name, policies, method, path string
		age                          time.Duration
		reason                       gate.Reason
		uses                         []int64 // the limits
		dry                          bool
	}{
		{name: "granted", policies: "users", method: "GET", path: "/users/7"},
		{name: "another method", policies: "users", method: "POST", path: "/users/7", reason: gate.ReasonOperationNotGranted},
		{name: "another path", policies: "users", method: "GET", path: "/users/7/keys", reason: gate.ReasonOperationNotGranted},
		{name: "what some back ends read as another path", policies: "users", method: "GET", path: "/users/7%2fkeys", reason: gate.ReasonOperationNotGranted},
		{name: "what some back ends read as another path, encoded twice", policies: "users", method: "GET", path: "/users/7%252fkeys", reason: gate.ReasonOperationNotGranted},
		{name: "a parameter that some back ends cut off", policies: "users", method: "GET", path: "/users/7;x"},
		{name: "an encoded letter", policies: "users", method: "GET", path: "/%75sers/7"},
		{name: "limits of endpoints", policies: "users", method: "POST", path: "/login", uses: []int64{5, 50}},
		{name: "below", policies: "users", method: "POST", path: "/login/x", uses: []int64{50}},
		{name: "a parameter is no way around a limit", policies: "users", method: "POST", path: "/login/;x", uses: []int64{50}},
		{name: "before the end", policies: "hour", method: "POST", path: "/x", age: time.Hour - 1, uses: []int64{9}},
		{name: "at the end", policies: "hour", method: "POST", path: "/x", age: time.Hour, reason: gate.ReasonGrantExpired},
		{name: "after the end others decide", policies: "hour,later", method: "GET", path: "/x", age: time.Hour},
		{name: "and grant less", policies: "hour,later", method: "POST", path: "/x", age: time.Hour, reason: gate.ReasonOperationNotGranted},
		{name: "dry-run", policies: "dry", method: "POST", path: "/x", dry: true},
		{name: "what passes in dry-run", policies: "dry", method: "GET", path: "/x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, trace := range []*gate.Trace{nil, {}} {
				x := exchange(t, identity(t, test.policies), test.method, test.path)
				x.Start, x.Trace = now.Add(test.age), trace
				err := access.New(&api).Handle(x)
				reason := gate.Reason("")
				if err != nil {
					reason = gate.AsDenial(err).Reason
				}
				if reason != test.reason {
					t.Fatalf("refused with %q, want %q", reason, test.reason)
				}
				if trace != nil && reason != "" && !slices.ContainsFunc(trace.Checks, func(c gate.Check) bool { return c.Reason == reason && c.Expected != "" }) {
					t.Errorf("the explanation does not say what would pass: %+v", trace.Checks)
				}
				if (x.DryRun != "") != test.dry {
					t.Errorf("dry-run %q", x.DryRun)
				}
				if err != nil {
					continue
				}
				var uses []int64
				for _, use := range x.Uses {
					uses = append(uses, use.Rule.Limit)
				}
				slices.Sort(uses)
				if diff := cmp.Diff(test.uses, uses); diff != "" {
					t.Errorf("uses (-want +got)\n%s", diff)
				}
				if x.Session == nil {
					t.Error("there is no session")
				}
			}
		})
	}
}

// A path that a lenient back end reads as a limited one takes from its limit, too, and once.
func TestFoldedPathsAreLimited(t *testing.T) {
	x := exchange(t, identity(t, "users"), "POST", "/login%3Bx")
	x.Identity = identity(t, "later,users")
	x.Method = "GET"
	if err := access.New(&api).Handle(x); err != nil {
		t.Fatal(err)
	}
	if len(x.Uses) != 2 {
		t.Errorf("%d limits, want 2: %+v", len(x.Uses), x.Uses)
	}
}

func TestNobody(t *testing.T) {
	x := exchange(t, nil, "GET", "/x")
	if err := access.New(&api).Handle(x); gate.AsDenial(err).Reason != gate.ReasonInternal {
		t.Errorf("a request without an identity: %v", err)
	}
	x.Identity = &gate.Identity{}
	if err := access.New(&api).Handle(x); err != nil || x.Session != nil {
		t.Errorf("an identity of which nothing is asked: %v", err)
	}
}

func TestHandleDoesNotAllocate(t *testing.T) {
	step, id := access.New(&api), identity(t, "users,hour")
	x := exchange(t, id, "POST", "/login")
	if n := testing.AllocsPerRun(100, func() {
		x.Uses = x.Uses[:0]
		if err := step.Handle(x); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
