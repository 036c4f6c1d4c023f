// Package limits is the step that takes every request from the limits that it falls under: those of the identity, which other steps have collected, and those of the API. It refuses what is too much, holds
// what may be held, and tells clients how much is left.
package limits

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// Requests is a compiled set of requests. Implementations are read-only.
type Requests interface {
	// Has reports whether a request with a method and a canonical path is in the set. A path that can be read in two ways is asked for in both.
	Has(method, path string) bool
}

// Options are what the steps of all APIs share.
type Options struct {
	// Counters are where everything is counted.
	Counters limit.Counters
	// Settings are the style of headers.
	Settings gate.LimitSettings
	// Holds bounds how many requests are held; nil holds none.
	Holds *Holds
	// Operations compiles the operations of a limit; at is their place, for the problems that are reported.
	Operations func(operations []gate.Operation, at string, report func(path, hint, format string, args ...any)) Requests
}

// Step counts the requests of one API. It is read-only and safe for concurrent use.
type Step struct {
	counters limit.Counters
	style    string
	holds    *Holds
	own      []ownLimit
}

var (
	_ gate.Step      = (*Step)(nil)
	_ gate.Responder = (*Step)(nil)
)

// New makes the step of an API with its own limits. The step is nil if the problems hold more than warnings.
func New(api *gate.API, own []gate.APILimit, o Options) (*Step, gate.Problems) {
	c := compiler{api: api, options: o}
	s := &Step{counters: o.Counters, style: o.Settings.Headers, holds: o.Holds, own: c.limits(own)}
	if c.problems.Err() != nil {
		return nil, c.problems
	}
	return s, c.problems
}

// Handle takes the request from x.Uses and from the API's own limits, which it adds to x.Uses, and puts the outcome in x.Taken. The error is always a *gate.Denial. An explanation (x.Trace) takes nothing. It
// allocates nothing for a request that passes, if the counters do not, and once x has room.
func (s *Step) Handle(x *gate.Exchange) error {
	s.collect(x)
	if len(x.Uses) == 0 {
		return nil
	}
	x.Taken.Out = slices.Grow(x.Taken.Out[:0], len(x.Uses))[:len(x.Uses)]
	x.Taken.Refused = -1
	if x.Trace != nil {
		return s.explain(x)
	}
	refused, err := s.counters.Take(x.Context, x.Start, x.Uses, x.Taken.Out)
	if err == nil && refused >= 0 {
		refused, err = s.hold(x, refused)
	}
	if err != nil {
		return s.failed(x, err)
	}
	return s.judge(x, refused)
}

// failed is the answer if nothing could be counted.
func (s *Step) failed(x *gate.Exchange, err error) error {
	x.Taken.Clear()
	var denial *gate.Denial
	switch {
	case errors.As(err, &denial):
		return denial
	case x.Context.Err() != nil:
		return gate.Deny(gate.ReasonClientGone, err)
	}
	return gate.Deny(gate.ReasonStoreUnavailable, err)
}

// judge is the answer to a request of which the outcomes are known.
func (s *Step) judge(x *gate.Exchange, refused int) error {
	if x.DryRun == "" {
		for i := range x.Uses {
			if x.Uses[i].DryRun && !x.Taken.Out[i].Allowed {
				x.DryRun = reason(&x.Uses[i])
				break
			}
		}
	}
	if refused < 0 {
		return nil
	}
	x.Taken.Refused = refused
	u := &x.Uses[refused]
	d := &gate.Denial{Reason: reason(u), Expected: describe(u), RetryAfter: retryAfter(x)}
	d.Got = left(&x.Taken.Out[refused])
	return d
}

func reason(u *limit.Use) gate.Reason {
	if u.Quota {
		return gate.ReasonQuotaExhausted
	}
	return gate.ReasonRateLimited
}

// retryAfter is when all that refuse would let the request pass; 0 if one never will.
func retryAfter(x *gate.Exchange) time.Duration {
	var longest time.Duration
	for i := range x.Uses {
		switch o := &x.Taken.Out[i]; {
		case o.Allowed || x.Uses[i].DryRun:
		case o.RetryAfter < 0:
			return 0
		default:
			longest = max(longest, o.RetryAfter)
		}
	}
	return longest
}

// explain says what every limit would do, and takes nothing.
func (s *Step) explain(x *gate.Exchange) error {
	ctx := x.Context
	if ctx == nil {
		ctx = context.Background()
	}
	if err := s.counters.Peek(ctx, x.Start, x.Uses, x.Taken.Out); err != nil {
		x.Taken.Clear()
		x.Trace.Record(gate.Check{Name: "limits", Reason: gate.ReasonStoreUnavailable, Expected: "an answer of the store"})
		return gate.Deny(gate.ReasonStoreUnavailable, err)
	}
	refused := -1
	for i := range x.Uses {
		u, o := &x.Uses[i], &x.Taken.Out[i]
		c := gate.Check{Name: "rate", Expected: describe(u), Got: left(o)}
		if u.Quota {
			c.Name = "quota"
		}
		switch {
		case o.Allowed:
		case u.DryRun:
			c.Got += "; dry run: would be refused"
		default:
			c.Reason = reason(u)
			if refused < 0 {
				refused = i
			}
		}
		x.Trace.Record(c)
	}
	return s.judge(x, refused)
}

// describe says what a use allows.
func describe(u *limit.Use) string {
	text := fmt.Sprintf("%s: at most %d", u.Name, u.Rule.Limit)
	if u.Rule.Period > 0 {
		text += fmt.Sprintf(" each %v", u.Rule.Period)
	}
	if u.Rule.Burst > 0 {
		text += fmt.Sprintf(", %d at once", u.Rule.Burst)
	}
	return text
}

// left says what is left, and when more will be.
func left(o *limit.Outcome) string {
	text := fmt.Sprintf("%d of %d left", o.Remaining, o.Limit)
	switch {
	case o.RetryAfter < 0:
		return text + "; it will never pass"
	case o.RetryAfter > 0:
		return text + fmt.Sprintf("; it will pass in %v", o.RetryAfter)
	case o.Reset > 0:
		return text + fmt.Sprintf("; all of it in %v", o.Reset)
	}
	return text
}
