package gate_test

import (
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

func TestRules(t *testing.T) {
	defaults := gate.Rate{Limit: 5}
	defaults.SetDefaults()
	quota := gate.Quota{Limit: 100, Period: time.Hour}
	quota.SetDefaults()
	rule := func(q gate.Quota) limit.Rule { r, _ := q.Rule(); return r }
	for _, tt := range []struct {
		name      string
		got, want limit.Rule
		valid     bool
	}{
		{"defaults of a rate", defaults.Rule(), limit.Rule{Algorithm: limit.Bucket, Limit: 5, Period: time.Second}, true},
		{"all of a rate", (&gate.Rate{Limit: 5, Period: time.Minute, Burst: 9, Algorithm: "bucket"}).Rule(), limit.Rule{Algorithm: limit.Bucket, Limit: 5, Period: time.Minute, Burst: 9}, true},
		{"fixed window", (&gate.Rate{Limit: 5, Period: time.Minute, Algorithm: "fixedWindow"}).Rule(), limit.Rule{Algorithm: limit.FixedWindow, Limit: 5, Period: time.Minute}, true},
		{"unknown algorithm", (&gate.Rate{Limit: 5, Period: time.Minute, Algorithm: "Bucket"}).Rule(), limit.Rule{Algorithm: 255, Limit: 5, Period: time.Minute}, false},
		{"quota", rule(quota), limit.Rule{Algorithm: limit.FixedWindow, Limit: 100, Period: time.Hour}, true},
		{"quota for ever", rule(gate.Quota{Limit: 100}), limit.Rule{Algorithm: limit.FixedWindow, Limit: 100}, true},
		{"sliding quota", rule(gate.Quota{Limit: 100, Period: time.Hour, Algorithm: "slidingWindow"}), limit.Rule{Algorithm: limit.SlidingWindow, Limit: 100, Period: time.Hour}, true},
		{"negative quota", rule(gate.Quota{Limit: -2}), limit.Rule{Algorithm: limit.FixedWindow, Limit: -2}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("%+v, want %+v", tt.got, tt.want)
			}
			if err := tt.got.Valid(); (err == nil) != tt.valid {
				t.Errorf("Valid: %v", err)
			}
		})
	}
	if _, limited := (&gate.Quota{Limit: -1}).Rule(); limited {
		t.Error("a quota of -1 limits")
	}
}

func TestHold(t *testing.T) {
	var none *gate.Throttle
	if got := none.Hold(); got != (limit.Throttle{}) {
		t.Errorf("no throttle holds %+v", got)
	}
	if got := (&gate.Throttle{Interval: time.Second, Retries: 3}).Hold(); got != (limit.Throttle{Wait: time.Second, Retries: 3}) {
		t.Errorf("%+v", got)
	}
}

func TestParseFailure(t *testing.T) {
	for text, want := range map[string]limit.Failure{"": limit.FailureDefault, "local": limit.FailureLocal, "allow": limit.FailureAllow, "deny": limit.FailureDeny} {
		if got, err := gate.ParseFailure(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if got, err := gate.ParseFailure("Allow"); got != limit.FailureDeny || err == nil {
		t.Errorf("what nobody knows is %v, %v", got, err)
	}
}

// TestResetKeepsNoOutcome: what one request took is not told to the next.
func TestResetKeepsNoOutcome(t *testing.T) {
	x := &gate.Exchange{Uses: []limit.Use{{Name: "a"}}, Taken: limit.Taken{Out: []limit.Outcome{{Limit: 5}}, Text: []byte("a")}}
	x.Reset()
	if len(x.Uses)+len(x.Taken.Out)+len(x.Taken.Text) != 0 || x.Taken.Refused != -1 || cap(x.Taken.Out) == 0 {
		t.Errorf("%+v, %+v", x.Uses, x.Taken)
	}
	x.Taken.Out = make([]limit.Outcome, 0, 1000)
	if x.Reset(); cap(x.Taken.Out) != 0 {
		t.Error("the memory of an unusual request is kept")
	}
}
