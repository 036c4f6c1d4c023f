package limits_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

func TestHeaders(t *testing.T) {
	plan := use("plan", limit.Rule{Limit: 2000, Period: 65 * time.Second})
	second := use("plan", limit.Rule{Limit: 10, Period: time.Second, Burst: 20})
	odd := use("a\"b\\c\n\x80é", limit.Rule{Limit: 5, Period: 1500 * time.Millisecond})
	monthly := quota(use("month", limit.Rule{Algorithm: limit.FixedWindow, Limit: 100, Period: 30 * 24 * time.Hour}))
	ever := quota(use("ever", limit.Rule{Algorithm: limit.FixedWindow, Limit: 100}))
	huge := quota(use("huge", limit.Rule{Algorithm: limit.FixedWindow, Limit: limit.MaxLimit, Period: time.Hour}))
	none := use("none", limit.Rule{Period: time.Second})
	dry := use("dry", limit.Rule{Limit: 1, Period: time.Second})
	dry.DryRun = true
	second.Key[0]++
	for _, tt := range []struct {
		name, style string
		uses        []limit.Use
		identity    bool
		upstream    gate.Header
		want        gate.Header
	}{
		{"ietf", "ietf", []limit.Use{plan, dry, monthly, second, ever}, true, gate.Header{{Name: "ratelimit", Value: `"upstream";r=1`}}, gate.Header{
			{Name: "RateLimit", Value: `"plan";r=1999;t=1, "month";r=99;t=2592000, "plan-2";r=19;t=1, "ever";r=99`},
			{Name: "RateLimit-Policy", Value: `"plan";q=2000;w=65, "month";q=100;w=2592000, "plan-2";q=10;w=1, "ever";q=100`},
		}},
		{"ietf: text that is none", "ietf", []limit.Use{odd, huge}, true, nil, gate.Header{
			{Name: "RateLimit-Policy", Value: `"a\"b\\c????";q=5, "huge";q=999999999999999;w=3600`},
			{Name: "RateLimit", Value: `"a\"b\\c????";r=4;t=1, "huge";r=999999999999999;t=3600`},
		}},
		{"ietf: refused", "ietf", []limit.Use{none}, true, nil, gate.Header{{Name: "RateLimit-Policy", Value: `"none";q=0;w=1`}, {Name: "RateLimit", Value: `"none";r=0;t=0`}}},
		{"ietf: dry run only", "ietf", []limit.Use{dry}, true, nil, nil},
		{"ietf: no limit", "ietf", nil, true, nil, nil},
		{"x-ratelimit", "x-ratelimit", []limit.Use{monthly, plan}, true, nil, gate.Header{
			{Name: "X-RateLimit-Limit", Value: "2000"}, {Name: "X-RateLimit-Period", Value: "65"}, {Name: "X-RateLimit-Remaining", Value: "1999"}, {Name: "X-RateLimit-Reset", Value: "1"},
		}},
		{"x-ratelimit: the least", "x-ratelimit", []limit.Use{plan, second, dry}, true, nil, gate.Header{
			{Name: "X-RateLimit-Limit", Value: "20"}, {Name: "X-RateLimit-Period", Value: "1"}, {Name: "X-RateLimit-Remaining", Value: "19"}, {Name: "X-RateLimit-Reset", Value: "1"},
		}},
		{"x-ratelimit: no rate", "x-ratelimit", []limit.Use{monthly}, true, nil, nil},
		{"quota", "quota", []limit.Use{plan, monthly}, true, nil, gate.Header{
			{Name: "X-RateLimit-Limit", Value: "100"}, {Name: "X-RateLimit-Remaining", Value: "99"}, {Name: "X-RateLimit-Reset", Value: "1798027200"},
		}},
		{"quota for ever", "quota", []limit.Use{ever}, true, nil, gate.Header{{Name: "X-RateLimit-Limit", Value: "100"}, {Name: "X-RateLimit-Remaining", Value: "99"}, {Name: "X-RateLimit-Reset", Value: "0"}}},
		{"no quota", "quota", nil, true, nil, gate.Header{{Name: "X-RateLimit-Limit", Value: "-1"}, {Name: "X-RateLimit-Remaining", Value: "0"}, {Name: "X-RateLimit-Reset", Value: "0"}}},
		{"no identity", "quota", nil, false, nil, gate.Header{{Name: "X-RateLimit-Limit", Value: "0"}, {Name: "X-RateLimit-Remaining", Value: "0"}, {Name: "X-RateLimit-Reset", Value: "0"}}},
		{"none", "none", []limit.Use{plan, monthly}, true, gate.Header{{Name: "X-RateLimit-Limit", Value: "7"}}, gate.Header{{Name: "X-RateLimit-Limit", Value: "7"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := step(t, options(tt.style))
			x := exchange(t)
			if tt.identity {
				x.Identity = identity(t, "alice", `{}`)
			}
			x.Uses = tt.uses
			_ = s.Handle(x) // a refusal tells as much
			x.Reply = tt.upstream
			s.Respond(x)
			if diff := cmp.Diff(tt.want, x.Reply); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			s.Respond(x) // as after a failure that is answered instead
			if diff := cmp.Diff(tt.want, x.Reply); diff != "" {
				t.Errorf("again (-want +got):\n%s", diff)
			}
			for _, f := range x.Reply {
				if strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%s: %q", f.Name, f.Value)
				}
			}
		})
	}
}
