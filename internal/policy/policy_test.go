package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// session makes a session that must be granted.
func session(tb testing.TB, w *world, api, token string) *gate.Session {
	tb.Helper()
	s, err := w.selectors[api].Session(identity(tb, token), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

const world1 = `
apis:
  - {name: tickets, match: "PathPrefix(` + "`/`" + `)", upstream: u, auth: &auth {access: [policies, groups, subscriptions], jwt: {providers: [p], policies: {claims: [pol]}}}, operations: [{name: read, operations: [{methods: [GET]}]}]}
  - {name: orders, match: "PathPrefix(` + "`/`" + `)", upstream: u, auth: *auth}
policies:
  - name: gold
    access:
      - api: "*"
        operations:
          - {methods: [GET], path: /exact}
          - {pathPrefix: /prefix}
          - {methods: [GET], pathPattern: "/users/{id}/*"}
          - {methods: [GET, PURGE], pathRegex: "^/v[0-9]+/[a-z]+$"}
        endpoints: [{operation: {pathPrefix: /prefix}, rate: {limit: 3}}]
    rate: {limit: 10}
    quota: {limit: 100, period: 1h}
plans: [{name: small, rate: {limit: 5}, quota: {limit: 9, period: 1h}}]
access: [{name: rule, groups: [staff], apis: ["*"], plan: small}]
applications: [{name: web, id: app-1}, {name: tv, id: app-2}]
subscriptions: [{name: sub, applications: [web, tv], apis: ["*"], plan: small}]
groupRates: [{name: rate, everyone: true, apis: ["*"], rate: {limit: 7}}]
`

// A request costs no allocation, whichever way it is found to be granted or not.
func TestGrantsDoNotAllocate(t *testing.T) {
	s := session(t, newWorld(t, world1), "tickets", `{"sub":"a","pol":"gold","groups":["staff"],"azp":"app-1"}`)
	uses := make([]limit.Use, 0, 16)
	for _, request := range []string{"GET /exact", "POST /prefix/a/b/c", "GET /users/7/a", "GET /v1/x", "PURGE /v1/x", "DELETE /v1/x", "GET /none/of/it"} {
		method, path, _ := strings.Cut(request, " ")
		if n := testing.AllocsPerRun(100, func() {
			uses, _, _ = s.At(issued).Grant.Allows(method, path, "", append(uses[:0], s.Limits...))
		}); n != 0 {
			t.Errorf("%s: %v allocations", request, n)
		}
	}
}

// keysOf are the counters that a request takes from, by name and kind.
func keysOf(t *testing.T, w *world, api, token, method, path string) map[string]limit.Key {
	t.Helper()
	s := session(t, w, api, token)
	uses, ok, _ := s.Grant.Allows(method, path, "", slices.Clone(s.Limits))
	if !ok {
		t.Fatalf("%s %s is not granted", method, path)
	}
	keys := make(map[string]limit.Key)
	for i, use := range uses {
		name := fmt.Sprint(use.Name, " ", use.Quota)
		if _, twice := keys[name]; twice {
			name = fmt.Sprint(name, " ", i)
		}
		keys[name] = use.Key
	}
	return keys
}

// shared are the names of the counters that two requests have in common.
func shared(a, b map[string]limit.Key) []string {
	var names []string
	for name, key := range a {
		if b[name] == key {
			names = append(names, name)
		}
	}
	return sorted(names)
}

func TestCounters(t *testing.T) {
	w := newWorld(t, world1)
	const alice = `{"sub":"alice","pol":"gold","groups":["staff"],"azp":"app-1"}`
	base := keysOf(t, w, "tickets", alice, "GET", "/prefix")
	distinct := make(map[limit.Key]bool)
	for _, key := range base {
		distinct[key] = true
	}
	if len(distinct) != 8 {
		t.Fatalf("%d counters, want 8: %v", len(distinct), base)
	}
	check := func(what string, other map[string]limit.Key, want ...string) {
		t.Helper()
		if diff := cmp.Diff(sorted(want), shared(base, other)); diff != "" {
			t.Errorf("%s: counters in common (-want +got)\n%s", what, diff)
		}
	}
	everything := make([]string, 0, len(base))
	for name := range base {
		everything = append(everything, name)
	}
	subscription := []string{"small false 6", "small true 7"}
	check("another token of the user", keysOf(t, w, "tickets", `{"sub":"alice","pol":"gold","groups":["staff"],"azp":"app-1","jti":"2"}`, "GET", "/prefix"), everything...)
	check("another user", keysOf(t, w, "tickets", `{"sub":"bob","pol":"gold","groups":["staff"],"azp":"app-1"}`, "GET", "/prefix"), subscription...)
	check("another application", keysOf(t, w, "tickets", `{"sub":"alice","pol":"gold","groups":["staff"],"azp":"app-2"}`, "GET", "/prefix"), everything...)
	check("another api", keysOf(t, w, "orders", alice, "GET", "/prefix"), "gold false", "gold true", "small false", "small true", "small false 6", "small true 7")

	// Who gets other numbers, or another plan, has used what he has used.
	changed := strings.NewReplacer("limit: 5", "limit: 50", "limit: 9", "limit: 90", "limit: 100,", "limit: 1000,", "limit: 10}", "limit: 20, period: 1m}", "limit: 3", "limit: 30", "limit: 7", "limit: 70")
	check("other limits", keysOf(t, newWorld(t, changed.Replace(world1)), "tickets", alice, "GET", "/prefix"), everything...)
	replanned := keysOf(t, newWorld(t, strings.ReplaceAll(world1, "small", "tiny")), "tickets", alice, "GET", "/prefix")
	for _, name := range []string{" false", " true", " false 6", " true 7"} {
		if base["small"+name] != replanned["tiny"+name] {
			t.Errorf("a plan of another name has other counters:%s", name)
		}
	}

	application := newWorld(t, strings.ReplaceAll(world1, "{name: small,", "{name: small, bucket: application,"))
	base = keysOf(t, application, "tickets", alice, "GET", "/prefix")
	check("bucket application: another application", keysOf(t, application, "tickets", `{"sub":"alice","pol":"gold","groups":["staff"],"azp":"app-2"}`, "GET", "/prefix"), "gold false", "gold true", "gold false 3", "rate false")
	check("bucket application: another user", keysOf(t, application, "tickets", `{"sub":"bob","pol":"gold","groups":["staff"],"azp":"app-1"}`, "GET", "/prefix"), "small false", "small true", "small false 6", "small true 7")
	check("bucket application: another api", keysOf(t, application, "orders", alice, "GET", "/prefix"), "gold false", "gold true", "small false", "small true", "small false 6", "small true 7")
	each := newWorld(t, strings.ReplaceAll(world1, "{name: small,", "{name: small, bucket: application-api,"))
	base = keysOf(t, each, "tickets", alice, "GET", "/prefix")
	check("bucket application-api: another api", keysOf(t, each, "orders", alice, "GET", "/prefix"), "gold false", "gold true")
}

// Two issuers with one sub are two people, unless they are joined.
func TestUserKey(t *testing.T) {
	alice := gate.NewUserKey("https://a.example.com", "alice", false)
	for _, test := range []struct {
		what         string
		issuer, user string
		joined, same bool
	}{
		{"the same", "https://a.example.com", "alice", false, true},
		{"another issuer", "https://b.example.com", "alice", false, false},
		{"another user", "https://a.example.com", "alic", false, false},
		{"a text that is the same as a whole", "https://a.example.co", "malice", false, false},
		{"joined", "https://a.example.com", "alice", true, false},
	} {
		if got := gate.NewUserKey(test.issuer, test.user, test.joined) == alice; got != test.same {
			t.Errorf("%s: the same %v", test.what, got)
		}
	}
	if gate.NewUserKey("https://a.example.com", "alice", true) != gate.NewUserKey("https://b.example.com", "alice", true) {
		t.Error("a user of joined issuers is two")
	}
	if gate.NewUserKey("", "alice", false) == gate.NewUserKey("", "alice", true) {
		t.Error("a user without an issuer is one of joined issuers")
	}
	if gate.NewUserKey("https://a.example.com", "", false) != (limit.Key{}) {
		t.Error("nobody has a key")
	}
}

// The keys are a promise to other gateways that share the store, and to the next version: they must never change.
func TestKeysAreStable(t *testing.T) {
	keys := keysOf(t, newWorld(t, world1), "tickets", `{"sub":"alice","pol":"gold","groups":["staff"],"azp":"app-1"}`, "GET", "/prefix")
	got := make(map[string]string)
	for name, key := range keys {
		got[name] = fmt.Sprintf("%x", key)
	}
	want := map[string]string{
		"gold false":    "324a91ad075c6ce48828a2b4b3ccff39",
		"gold false 3":  "2b259b92c9b40c0d03f1a237c2981a17",
		"gold true":     "8763a267563ce38f7de5cca0fcdf4d97",
		"rate false":    "ca7049149f3f1b7bc6cf8299a771dd20",
		"small false":   "2f9704b62b5f03033cd4d9150fec3612",
		"small false 6": "75a934fd3127248e3e05393f39e3339d",
		"small true":    "8bd3ba3c4a73a0c04337426ae3342f39",
		"small true 7":  "1e240ede630de8955466e40a7b455dff",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestExplanations(t *testing.T) {
	w := newWorld(t, world1)
	for _, test := range []struct{ name, token, want string }{
		{"granted", `{"sub":"a","pol":["gold","gone"],"groups":["staff"],"azp":"app-1"}`, `
ok user a (expected a claim that says who is calling)
ok policies gold; unknown: gone (expected a policy in pol)
ok groups staff (expected one of staff)
ok application app-1 (expected the ID of an application)
ok subscription sub (expected a subscription of the application web to the API)
ok group_rate rate (expected )
ok policy_access policy gold: GET /exact, any method /prefix..., GET pattern /users/{id}/*, GET|PURGE regex ^/v[0-9]+/[a-z]+$ (expected )
`},
		{"nothing", `{}`, `
identity_missing user none (expected a claim that says who is calling)
policy_missing policies none (expected a policy in pol)
group_missing groups no groups (expected one of staff)
application_unknown application none (expected the ID of an application)
ok group_rate rate (expected )
`},
		{"unknown", `{"sub":"a","pol":[7,"gone"],"groups":["x"],"azp":"app-9"}`, `
ok user a (expected a claim that says who is calling)
policy_unknown policies unknown: gone; a claim that is neither text nor a list of texts (expected a policy in pol)
group_missing groups x (expected one of staff)
application_unknown application app-9 (expected the ID of an application)
ok group_rate rate (expected )
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var trace gate.Trace
			_, err := w.selectors["tickets"].Session(identity(t, test.token), &trace)
			var b strings.Builder
			first := gate.Reason("")
			for _, c := range trace.Checks {
				verdict := "ok"
				if c.Reason != "" {
					verdict = string(c.Reason)
					if first == "" {
						first = c.Reason
					}
				}
				fmt.Fprintf(&b, "%s %s %s (expected %s)\n", verdict, c.Name, c.Got, c.Expected)
			}
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), b.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if (err != nil) != (first != "") || err != nil && gate.AsDenial(err).Reason != first {
				t.Errorf("the refusal is %v, the first in the explanation %s", err, first)
			}
		})
	}
}

// many is a configuration with n policies, access rules, applications and subscriptions.
func many(n int) string {
	var b strings.Builder
	b.WriteString(strings.Split(world1, "policies:\n")[0])
	for _, list := range []struct{ head, item string }{
		{"policies", "  - {name: p%d, access: [{api: tickets}], rate: {limit: 10}}\n"},
		{"access", "  - {name: r%d, groups: [g%[1]d], apis: [tickets]}\n"},
		{"applications", "  - {name: a%d, id: app-%[1]d}\n"},
		{"subscriptions", "  - {name: s%d, applications: [a%[1]d], apis: [\"*\"]}\n"},
	} {
		b.WriteString(list.head + ":\n")
		for i := range n {
			fmt.Fprintf(&b, list.item, i)
		}
	}
	return b.String()
}

// Of 10,000 policies, rules, applications and subscriptions only those that are somebody's are looked at: all others are broken here.
func TestSelectionLooksUp(t *testing.T) {
	w := newWorld(t, many(10_000))
	w.book.Poison(func(name string) bool { return name[1:] == "9999" }) // p9999, r9999, a9999, s9999
	s, err := w.selectors["tickets"].Session(identity(t, `{"sub":"a","pol":"p9999","groups":["g9999"],"azp":"app-9999"}`), nil)
	if err != nil || !slices.Equal(s.Policies, []string{"p9999"}) || s.Subscription != "s9999" || s.Application != "a9999" {
		t.Fatalf("%+v, %v", s, err)
	}
}

func BenchmarkSession(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, many(n))
			id := identity(b, fmt.Sprintf(`{"sub":"a","pol":"p%[1]d","groups":["g%[1]d"],"azp":"app-%[1]d"}`, n-1))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.selectors["tickets"].Session(id, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAllows(b *testing.B) {
	s := session(b, newWorld(b, world1), "tickets", `{"sub":"a","pol":"gold","groups":["staff"],"azp":"app-1"}`)
	uses := make([]limit.Use, 0, 16)
	for _, request := range []string{"GET /exact", "POST /prefix/a/b", "GET /users/7/a", "GET /v1/x", "GET /none"} {
		method, path, _ := strings.Cut(request, " ")
		b.Run(strings.ReplaceAll(request, "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				uses, _, _ = s.Grant.Allows(method, path, "", append(uses[:0], s.Limits...))
			}
		})
	}
}
