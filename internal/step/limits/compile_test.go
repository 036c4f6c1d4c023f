package limits_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/step/limits"
)

func TestProblems(t *testing.T) {
	rate := &gate.Rate{Limit: 1, Period: time.Second}
	for _, tt := range []struct {
		name string
		own  []gate.APILimit
		want []string
	}{
		{"good", []gate.APILimit{hourly("a", 1, "identity", "claim:a.b", "header:X-A"), {Name: "b", Quota: &gate.Quota{Limit: -1}}, {Name: "c", Rate: rate, Throttle: &gate.Throttle{Interval: time.Second, Retries: 2}}}, nil},
		{"names", []gate.APILimit{hourly("a", 1), hourly("a", 1), hourly("", 1)}, []string{
			`apis[0].limits[1].name: another limit of the API is called "a"`, "apis[0].limits[2].name: a limit has a name",
		}},
		{"neither", []gate.APILimit{{Name: "a"}}, []string{"apis[0].limits[0]: a limit has either a rate or a quota (keep one of them, or make two limits)"}},
		{"both", []gate.APILimit{{Name: "a", Rate: rate, Quota: &gate.Quota{Limit: 1}}}, []string{"apis[0].limits[0]: a limit has either a rate or a quota (keep one of them, or make two limits)"}},
		{"rules", []gate.APILimit{hourly("a", -1), {Name: "b", Quota: &gate.Quota{Limit: 1, Algorithm: "leaky"}}}, []string{
			"apis[0].limits[0].rate: a limit is from 0 to 4503599627370496", "apis[0].limits[1].quota: the algorithm of a limit is bucket, fixedWindow or slidingWindow",
		}},
		{"periods", []gate.APILimit{{Name: "a", Rate: &gate.Rate{Limit: 1, Algorithm: "fixedWindow"}}, {Name: "b", Rate: &gate.Rate{Limit: 1, Period: 25 * time.Hour}}}, []string{
			"apis[0].limits[0].rate.period: the period of a rate is from 1ms to 24h, not 0s (a limit of a longer time is a quota)",
			"apis[0].limits[1].rate.period: the period of a rate is from 1ms to 24h, not 25h0m0s (a limit of a longer time is a quota)",
		}},
		{"per", []gate.APILimit{hourly("a", 1, "user", "claim:", "header:", "header:a b", "")}, []string{
			`apis[0].limits[0].per[0]: "user" has no counters (identity, identity-api, application, group, client, address, claim:PATH or header:NAME)`,
			`apis[0].limits[0].per[1]: "claim:" has no counters (identity, identity-api, application, group, client, address, claim:PATH or header:NAME)`,
			`apis[0].limits[0].per[2]: "header:" has no counters (identity, identity-api, application, group, client, address, claim:PATH or header:NAME)`,
			`apis[0].limits[0].per[3]: "header:a b" has no counters (identity, identity-api, application, group, client, address, claim:PATH or header:NAME)`,
			`apis[0].limits[0].per[4]: "" has no counters (identity, identity-api, application, group, client, address, claim:PATH or header:NAME)`,
		}},
		{"throttle", []gate.APILimit{{Name: "a", Rate: rate, Throttle: &gate.Throttle{}}, {Name: "b", Quota: &gate.Quota{Limit: 1}, Throttle: &gate.Throttle{Interval: time.Second, Retries: 1}}}, []string{
			"apis[0].limits[0].throttle: it holds nothing or too long (an interval from 1ms to 1m, and 1 to 100 retries)", "apis[0].limits[1].throttle: only a rate can hold requests",
		}},
		{"failure", []gate.APILimit{{Name: "a", Rate: rate, OnStoreFailure: "ignore"}}, []string{`apis[0].limits[0].onStoreFailure: "ignore" is not local, allow or deny`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, problems := limits.New(api("tickets"), tt.own, options("ietf"))
			var got []string
			for _, p := range problems {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (s == nil) != (problems.Err() != nil) {
				t.Error("a step with problems, or none without")
			}
		})
	}
}

func TestCheckSettings(t *testing.T) {
	var good gate.LimitSettings
	good.SetDefaults()
	if problems := limits.CheckSettings(&good); problems != nil {
		t.Error(problems)
	}
	if problems := limits.CheckSettings(&gate.LimitSettings{Headers: "all", OnStoreFailure: "never"}); len(problems) != 3 {
		t.Error(problems)
	}
}
