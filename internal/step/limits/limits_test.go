package limits_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/step/limits"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// below is a set of requests: all whose path starts with it.
type below string

func (b below) Has(_, path string) bool { return strings.HasPrefix(path, string(b)) }

func options(headers string) limits.Options {
	return limits.Options{
		Counters: limit.NewMemory(0), Settings: gate.LimitSettings{Headers: headers},
		Operations: func(operations []gate.Operation, _ string, _ func(path, hint, format string, args ...any)) limits.Requests {
			return below(operations[0].PathPrefix)
		},
	}
}

func api(name string) *gate.API { return &gate.API{Name: name, Origin: gate.Origin{Object: "apis[0]"}} }

func step(tb testing.TB, o limits.Options, own ...gate.APILimit) *limits.Step {
	tb.Helper()
	s, problems := limits.New(api("tickets"), own, o)
	if problems.Err() != nil {
		tb.Fatal(problems)
	}
	return s
}

// hourly is a limit of n in an hour.
func hourly(name string, n int64, per ...string) gate.APILimit {
	return gate.APILimit{Name: name, Per: per, Rate: &gate.Rate{Limit: n, Period: time.Hour}}
}

func exchange(tb testing.TB) *gate.Exchange {
	tb.Helper()
	return &gate.Exchange{Context: tb.Context(), Start: noon, Method: "GET", OutPath: "/tickets/1", Client: netip.MustParseAddrPort("192.0.2.1:1")}
}

func identity(tb testing.TB, user, payload string) *gate.Identity {
	tb.Helper()
	set, err := claims.Parse([]byte(payload), claims.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return &gate.Identity{Issuer: "https://id.example.com", User: user, Claims: set}
}

func reasonOf(err error) gate.Reason {
	if err == nil {
		return ""
	}
	return gate.AsDenial(err).Reason
}

// TestPer: what has a counter of its own, and what shares one.
func TestPer(t *testing.T) {
	type change = func(x *gate.Exchange)
	id := func(user, payload string, more ...func(*gate.Identity)) change {
		return func(x *gate.Exchange) {
			x.Identity = identity(t, user, payload)
			for _, m := range more {
				m(x.Identity)
			}
		}
	}
	application := func(name string) func(*gate.Identity) { return func(id *gate.Identity) { id.Application = name } }
	client := func(name string) func(*gate.Identity) { return func(id *gate.Identity) { id.ClientID = name } }
	groups := func(names ...string) func(*gate.Identity) { return func(id *gate.Identity) { id.Groups = names } }
	address := func(a string) change {
		return func(x *gate.Exchange) { x.Client = netip.AddrPortFrom(netip.MustParseAddr(a), 1) }
	}
	header := func(fields ...gate.Field) change { return func(x *gate.Exchange) { x.In = fields } }
	nothing := func(*gate.Exchange) {}
	for _, tt := range []struct {
		name        string
		per         []string
		first, then change
		shared      bool
	}{
		{"all callers", nil, id("alice", `{}`), id("bob", `{}`), true},
		{"identity", []string{"identity"}, id("alice", `{}`), id("bob", `{}`), false},
		{"the same identity", []string{"identity"}, id("alice", `{"a":1}`), id("alice", `{"a":2}`), true},
		{"nobody is one", []string{"identity"}, nothing, nothing, true},
		{"nobody is nobody else", []string{"identity"}, nothing, id("alice", `{}`), false},
		{"identity-api", []string{"identity-api"}, id("alice", `{}`), id("bob", `{}`), false},
		{"application", []string{"application"}, id("alice", `{}`, application("a")), id("alice", `{}`, application("b")), false},
		{"of one application", []string{"application"}, id("alice", `{}`, application("a")), id("bob", `{}`, application("a")), true},
		{"without application", []string{"application"}, id("alice", `{}`), id("bob", `{}`), true},
		{"client", []string{"client"}, id("alice", `{}`, client("a")), id("alice", `{}`, client("b")), false},
		{"group", []string{"group"}, id("alice", `{}`, groups("a")), id("bob", `{}`, groups("b")), false},
		{"groups, one shared", []string{"group"}, id("alice", `{}`, groups("a", "c", "c")), id("bob", `{}`, groups("b", "c")), true},
		{"without groups", []string{"group"}, id("alice", `{}`), id("bob", `{}`), true},
		{"address", []string{"address"}, address("192.0.2.1"), address("192.0.2.2"), false},
		{"address in another form", []string{"address"}, address("192.0.2.1"), address("::ffff:192.0.2.1"), true},
		{"attack: another address of the same network", []string{"address"}, address("2001:db8::1"), address("2001:db8::ffff:1"), true},
		{"IPv6 network", []string{"address"}, address("2001:db8::1"), address("2001:db8:0:1::1"), false},
		{"claim", []string{"claim:tenant.id"}, id("alice", `{"tenant":{"id":"a"}}`), id("alice", `{"tenant":{"id":"b"}}`), false},
		{"the same claim", []string{"claim:tenant.id"}, id("alice", `{"tenant":{"id":"a"}}`), id("bob", `{"tenant":{"id":"a"}}`), true},
		{"number and text", []string{"claim:tenant"}, id("alice", `{"tenant":1}`), id("bob", `{"tenant":"1"}`), false},
		{"without the claim", []string{"claim:tenant"}, id("alice", `{}`), id("bob", `{}`), true},
		{"empty claim", []string{"claim:tenant"}, id("alice", `{}`), id("alice", `{"tenant":""}`), false},
		{"header", []string{"header:X-Tenant"}, header(gate.Field{Name: "x-tenant", Value: "a"}), header(gate.Field{Name: "X-Tenant", Value: "b"}), false},
		{"header in another case", []string{"header:X-Tenant"}, header(gate.Field{Name: "x-tenant", Value: "a"}), header(gate.Field{Name: "X-Tenant", Value: "a"}), true},
		{"without header", []string{"header:X-Tenant"}, header(), header(gate.Field{Name: "other", Value: "a"}), true},
		{"lines are cut where they are", []string{"header:a"}, header(gate.Field{Name: "a", Value: "1"}, gate.Field{Name: "a", Value: "2"}), header(gate.Field{Name: "a", Value: "12"}), false},
		{"Host", []string{"header:host"}, func(x *gate.Exchange) { x.RoutingHost = "a.example.com" }, func(x *gate.Exchange) { x.RoutingHost = "b.example.com" }, false},
		{"the same Host", []string{"header:host"}, func(x *gate.Exchange) { x.RoutingHost = "a.example.com" }, func(x *gate.Exchange) { x.RoutingHost = "a.example.com" }, true},
		{"both", []string{"address", "identity"}, id("alice", `{}`), id("bob", `{}`), false},
		{"both the same", []string{"address", "identity"}, id("alice", `{}`), id("alice", `{}`), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := step(t, options("none"), hourly("limit", 1, tt.per...))
			for i, change := range []change{tt.first, tt.then} {
				x := exchange(t)
				change(x)
				want := gate.Reason("")
				if i == 1 && tt.shared {
					want = gate.ReasonRateLimited
				}
				if got := reasonOf(s.Handle(x)); got != want {
					t.Errorf("request %d: %q, want %q", i, got, want)
				}
			}
		})
	}
}

// TestAcrossAPIs: identity is counted at all APIs with a limit of the name, everything else at each.
func TestAcrossAPIs(t *testing.T) {
	for per, want := range map[string]gate.Reason{"identity": gate.ReasonRateLimited, "identity-api": "", "address": "", "": ""} {
		o := options("none")
		own := hourly("limit", 1, per)
		if per == "" {
			own.Per = nil
		}
		var err error
		for _, name := range []string{"tickets", "invoices"} {
			s, problems := limits.New(api(name), []gate.APILimit{own}, o)
			if problems.Err() != nil {
				t.Fatal(problems)
			}
			x := exchange(t)
			x.Identity = identity(t, "alice", `{}`)
			err = s.Handle(x)
		}
		if got := reasonOf(err); got != want {
			t.Errorf("per %q: %q, want %q", per, got, want)
		}
	}
}

// TestManyGroups: a token with any number of groups costs no more than some counters.
func TestManyGroups(t *testing.T) {
	s := step(t, options("none"), hourly("limit", 1, "group"))
	x := exchange(t)
	x.Identity = &gate.Identity{Groups: strings.Split(strings.Repeat("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,", 100), ",")}
	if err := s.Handle(x); err != nil || len(x.Uses) > 17 {
		t.Errorf("%v, %d uses", err, len(x.Uses))
	}
}

func TestOperations(t *testing.T) {
	own := hourly("limit", 0)
	own.Operations = []gate.Operation{{PathPrefix: "/tickets/admin"}}
	s := step(t, options("none"), own)
	for path, want := range map[string]gate.Reason{
		"/tickets/1": "", "/tickets/admin/x": gate.ReasonRateLimited, "/tickets%2Fadmin": gate.ReasonRateLimited, // as some back ends read it
	} {
		x := exchange(t)
		x.OutPath = path
		if got := reasonOf(s.Handle(x)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func use(name string, rule limit.Rule) limit.Use {
	k := limit.NewKey("test", name)
	return limit.Use{Key: k, Group: k.Group(), Rule: rule, Name: name}
}

func quota(u limit.Use) limit.Use { u.Quota = true; return u }

// TestDenials: what refuses, and when it would pass.
func TestDenials(t *testing.T) {
	none := use("none", limit.Rule{Limit: 0, Period: time.Second})
	never := quota(use("ever", limit.Rule{Algorithm: limit.FixedWindow, Limit: 1}))
	rate := use("rate", limit.Rule{Limit: 1, Period: 1500 * time.Millisecond})
	daily := quota(use("daily", limit.Rule{Algorithm: limit.FixedWindow, Limit: 1, Period: 24 * time.Hour}))
	dry := use("dry", limit.Rule{Limit: 0, Period: time.Second})
	dry.DryRun = true
	for _, tt := range []struct {
		name    string
		uses    []limit.Use
		want    *gate.Denial
		dry     gate.Reason
		refused int
	}{
		{"rate", []limit.Use{rate}, &gate.Denial{Reason: gate.ReasonRateLimited, Expected: "rate: at most 1 each 1.5s", Got: "0 of 1 left; it will pass in 1.5s", RetryAfter: 1500 * time.Millisecond}, "", 0},
		{"quota", []limit.Use{dry, daily}, &gate.Denial{Reason: gate.ReasonQuotaExhausted, Expected: "daily: at most 1 each 24h0m0s", Got: "0 of 1 left; it will pass in 24h0m0s", RetryAfter: 24 * time.Hour}, gate.ReasonRateLimited, 1},
		{"both: the longer wait", []limit.Use{rate, daily}, &gate.Denial{Reason: gate.ReasonRateLimited, Expected: "rate: at most 1 each 1.5s", Got: "0 of 1 left; it will pass in 1.5s", RetryAfter: 24 * time.Hour}, "", 0},
		{"never", []limit.Use{rate, never}, &gate.Denial{Reason: gate.ReasonRateLimited, Expected: "rate: at most 1 each 1.5s", Got: "0 of 1 left; it will pass in 1.5s"}, "", 0},
		{"nothing", []limit.Use{none}, &gate.Denial{Reason: gate.ReasonRateLimited, Expected: "none: at most 0 each 1s", Got: "0 of 0 left; it will never pass"}, "", 0},
		{"dry run", []limit.Use{dry}, nil, gate.ReasonRateLimited, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := step(t, options("none"))
			var err error
			var x *gate.Exchange
			for range 2 {
				x = exchange(t)
				x.Uses = append(x.Uses, tt.uses...)
				err = s.Handle(x)
			}
			var got *gate.Denial
			if err != nil {
				got = gate.AsDenial(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if x.DryRun != tt.dry || x.Taken.Refused != tt.refused || len(x.Taken.Out) != len(tt.uses) {
				t.Errorf("dry run %q, refused by %d, outcomes %+v", x.DryRun, x.Taken.Refused, x.Taken.Out)
			}
		})
	}
}

// TestFailure: what cannot be counted is refused; a client that has gone is not blamed on the store.
func TestFailure(t *testing.T) {
	o := options("ietf")
	memory := limit.NewMemory(1)
	out := make([]limit.Outcome, 1)
	for i := range 1000 { // no shard has room any more
		_, _ = memory.Take(t.Context(), noon, []limit.Use{use(string(rune(i)), limit.Rule{Algorithm: limit.FixedWindow, Limit: 1})}, out)
	}
	o.Counters = memory
	s := step(t, o, hourly("limit", 1))
	x := exchange(t)
	if got := reasonOf(s.Handle(x)); got != gate.ReasonStoreUnavailable || len(x.Taken.Out) != 0 {
		t.Errorf("%q, outcomes %v", got, x.Taken.Out)
	}
	s.Respond(x)
	if len(x.Reply) != 0 {
		t.Errorf("told of what is not known: %v", x.Reply)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x = exchange(t)
	x.Context = ctx
	if got := reasonOf(s.Handle(x)); got != gate.ReasonClientGone {
		t.Errorf("a client that has gone: %q", got)
	}
}

func TestExplain(t *testing.T) {
	rate := use("gold", limit.Rule{Limit: 10, Period: time.Second, Burst: 20})
	spent := quota(use("spent", limit.Rule{Algorithm: limit.FixedWindow, Limit: 1, Period: time.Hour}))
	dry := use("try", limit.Rule{Period: time.Second})
	dry.DryRun = true
	s := step(t, options("ietf"), hourly("own", 5))
	x := exchange(t)
	x.Uses = []limit.Use{spent}
	if err := s.Handle(x); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it takes nothing
		x = exchange(t)
		x.Trace = new(gate.Trace)
		x.Uses = []limit.Use{rate, dry, spent}
		if got := reasonOf(s.Handle(x)); got != gate.ReasonQuotaExhausted {
			t.Errorf("reason %q", got)
		}
		want := []gate.Check{
			{Name: "rate", Expected: "gold: at most 10 each 1s, 20 at once", Got: "20 of 20 left"},
			{Name: "rate", Expected: "try: at most 0 each 1s", Got: "0 of 0 left; it will never pass; dry run: would be refused"},
			{Name: "quota", Reason: gate.ReasonQuotaExhausted, Expected: "spent: at most 1 each 1h0m0s", Got: "0 of 1 left; it will pass in 1h0m0s"},
			{Name: "rate", Expected: "own: at most 5 each 1h0m0s", Got: "4 of 5 left; all of it in 12m0s"},
		}
		if diff := cmp.Diff(want, x.Trace.Checks); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestView: a user sees what is left, and uses nothing up by looking.
func TestView(t *testing.T) {
	gold := use("gold", limit.Rule{Limit: 10, Period: time.Second, Burst: 20})
	month := quota(use("month", limit.Rule{Algorithm: limit.FixedWindow, Limit: 100}))
	dry := use("try", limit.Rule{Limit: 5, Period: time.Second})
	dry.DryRun = true
	s := step(t, options("none"), hourly("own", 5))
	x := exchange(t)
	x.Uses = []limit.Use{gold, month, dry}
	if err := s.Handle(x); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		x = exchange(t)
		x.Uses = []limit.Use{gold, month, dry}
		got, err := s.View(x)
		if err != nil {
			t.Fatal(err)
		}
		want := []limits.View{
			{Name: "gold", Limit: 10, Burst: 20, Period: time.Second, Remaining: 19, Reset: 100 * time.Millisecond},
			{Name: "month", Quota: true, Limit: 100, Burst: 100, Remaining: 99, Reset: -1},
			{Name: "own", Limit: 5, Burst: 5, Period: time.Hour, Remaining: 4, Reset: 12 * time.Minute},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestAllocations(t *testing.T) {
	s := step(t, options("ietf"), hourly("a", 1_000_000), hourly("b", 1_000_000, "identity", "claim:tenant"), hourly("c", 1_000_000, "address", "header:X-Tenant"))
	x := exchange(t)
	id := identity(t, "alice", `{"tenant":"a"}`)
	gold, month := use("gold", limit.Rule{Limit: 1000, Period: time.Second}), quota(use("gold", limit.Rule{Algorithm: limit.FixedWindow, Limit: 1_000_000, Period: 24 * time.Hour}))
	now := noon
	if n := testing.AllocsPerRun(100, func() {
		x.Reset()
		now = now.Add(time.Second)
		x.Context, x.Start, x.Method, x.OutPath, x.Client, x.Identity = t.Context(), now, "GET", "/tickets/1", netip.AddrPort{}, id
		x.In.Add("X-Tenant", "a")
		x.Uses = append(x.Uses, gold, month)
		if err := s.Handle(x); err != nil {
			t.Fatal(err)
		}
		s.Respond(x)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHandle(b *testing.B) {
	s := step(b, options("ietf"))
	x := exchange(b)
	uses := []limit.Use{use("gold", limit.Rule{Limit: 1_000_000_000, Period: time.Second}), quota(use("gold", limit.Rule{Algorithm: limit.FixedWindow, Limit: 1 << 50, Period: 24 * time.Hour}))}
	b.ReportAllocs()
	for b.Loop() {
		x.Taken.Clear()
		x.Uses, x.Reply = append(x.Uses[:0], uses...), x.Reply[:0]
		if err := s.Handle(x); err != nil {
			b.Fatal(err)
		}
		s.Respond(x)
	}
}
