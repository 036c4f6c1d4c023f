package limits

import (
	"context"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// View is a limit as its user may see it.
type View struct {
	// Name is the limit's name; Quota tells quotas from rates.
	Name  string
	Quota bool
	// Limit is what passes in a Period, which is 0 for ever; Burst is what passes at once.
	Limit, Burst int64
	Period       time.Duration
	// Remaining is what is left; Reset is how long it takes until all of it is, -1 if it never will be.
	Remaining int64
	Reset     time.Duration
}

// View is what x would be taken from, and what is left of that, without the limits in dry-run. It takes nothing. x.Uses are those of its identity, as for Handle; the view belongs to the caller.
func (s *Step) View(x *gate.Exchange) ([]View, error) {
	s.collect(x)
	out := make([]limit.Outcome, len(x.Uses))
	ctx := x.Context
	if ctx == nil {
		ctx = context.Background()
	}
	if err := s.counters.Peek(ctx, x.Start, x.Uses, out); err != nil {
		return nil, gate.Deny(gate.ReasonStoreUnavailable, err)
	}
	all := make([]View, 0, len(x.Uses))
	for i := range x.Uses {
		u, o := &x.Uses[i], &out[i]
		if u.DryRun {
			continue
		}
		all = append(all, View{Name: u.Name, Quota: u.Quota, Limit: u.Rule.Limit, Burst: o.Limit, Period: u.Rule.Period, Remaining: o.Remaining, Reset: o.Reset})
	}
	return all, nil
}
