package engine

import (
	"encoding/json"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/step/limits"
)

// ownLimits answers a caller what his limits at an API are, in place of an upstream.
type ownLimits struct {
	step *limits.Step // nil if nothing is counted
}

// ownLimit is a limit as the answer has it; times are in seconds.
type ownLimit struct {
	Name string `json:"name"`
	// Kind is rate or quota.
	Kind string `json:"kind"`
	// Limit is what passes in a period, Burst what passes at once. Without a period the limit is for ever.
	Limit  int64   `json:"limit"`
	Burst  int64   `json:"burst,omitempty"`
	Period float64 `json:"period,omitempty"`
	// Remaining is what is left, and Reset how long it takes until all of it is; nil if it never will be.
	Remaining int64    `json:"remaining"`
	Reset     *float64 `json:"reset,omitempty"`
}

// Forward answers x, whose caller is known. It takes from no limit.
func (o ownLimits) Forward(x *gate.Exchange) error {
	if session := x.Identity.Session; session != nil {
		if x.Session = session.At(x.Start); x.Session == nil {
			return gate.Deny(gate.ReasonGrantExpired, nil)
		}
		x.Uses = append(x.Uses, x.Session.Limits...)
	}
	answer := struct {
		Limits []ownLimit `json:"limits"`
	}{[]ownLimit{}}
	if o.step != nil {
		views, err := o.step.View(x)
		if err != nil {
			return err
		}
		for i := range views {
			answer.Limits = append(answer.Limits, told(&views[i]))
		}
	}
	x.Uses = x.Uses[:0] // nothing was taken, and nothing is recorded as if it were
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	x.Reply.Add("Content-Type", "application/json")
	x.Reply.Add("Cache-Control", "no-store")
	if err := x.WriteHead(200, int64(len(body))); err != nil {
		return gate.Deny(gate.ReasonClientGone, err)
	}
	if x.Method == "HEAD" {
		return nil
	}
	n, err := x.Writer.Write(body)
	x.Sent += int64(n)
	if err != nil {
		return gate.Deny(gate.ReasonClientGone, err)
	}
	return nil
}

func told(v *limits.View) ownLimit {
	o := ownLimit{Name: v.Name, Kind: "rate", Limit: v.Limit, Period: v.Period.Seconds(), Remaining: v.Remaining}
	if v.Quota {
		o.Kind = "quota"
	} else {
		o.Burst = v.Burst
	}
	if v.Reset >= 0 {
		seconds := v.Reset.Round(time.Millisecond).Seconds()
		o.Reset = &seconds
	}
	return o
}
