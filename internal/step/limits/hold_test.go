package limits_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/step/limits"
)

// held is a rate of one in a second that holds for half a second, three times.
func held() limit.Use {
	u := use("held", limit.Rule{Limit: 1, Period: time.Second})
	u.Throttle = limit.Throttle{Wait: 500 * time.Millisecond, Retries: 3}
	return u
}

// client is a connection that tells when its other end has gone.
type client struct {
	gate.Writer
	gone atomic.Bool
}

func (c *client) Gone() bool { return c.gone.Load() }

// bubble runs a test of a step that holds, with a first request that has taken what there is.
func bubble(t *testing.T, maxTotal, maxGroup int, u limit.Use, run func(s *limits.Step, h *limits.Holds, request func() *gate.Exchange)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := options("none")
		o.Holds = limits.NewHolds(maxTotal, maxGroup)
		s := step(t, o)
		request := func() *gate.Exchange {
			x := exchange(t)
			x.Start = time.Now()
			x.Uses = append(x.Uses, u)
			return x
		}
		if err := s.Handle(request()); err != nil {
			t.Fatal(err)
		}
		run(s, o.Holds, request)
		if n := o.Holds.Held(); n != 0 {
			t.Errorf("%d requests are held at the end", n)
		}
	})
}

// result is how a request ended, and after how long.
type result struct {
	reason gate.Reason
	after  time.Duration
}

func run(s *limits.Step, x *gate.Exchange) <-chan result {
	done := make(chan result, 1)
	begun := time.Now()
	go func() { done <- result{reasonOf(s.Handle(x)), time.Since(begun)} }()
	return done
}

func TestHold(t *testing.T) {
	bubble(t, 0, 0, held(), func(s *limits.Step, _ *limits.Holds, request func() *gate.Exchange) {
		if got := <-run(s, request()); got != (result{"", time.Second}) {
			t.Errorf("%+v, want to pass at the second try", got)
		}
	})
}

func TestHoldEnds(t *testing.T) {
	bubble(t, 0, 0, held(), func(s *limits.Step, _ *limits.Holds, request func() *gate.Exchange) {
		first, second, third := run(s, request()), run(s, request()), run(s, request())
		passed := 0
		for _, done := range []<-chan result{first, second, third} {
			switch got := <-done; got {
			case result{"", time.Second}:
				passed++
			case result{gate.ReasonRateLimited, 1500 * time.Millisecond}:
			default:
				t.Errorf("%+v", got)
			}
		}
		if passed != 1 {
			t.Errorf("%d passed", passed)
		}
	})
}

// TestHoldNot: what cannot pass in time is not held.
func TestHoldNot(t *testing.T) {
	short := held()
	short.Throttle.Retries = 1
	for name, u := range map[string]limit.Use{"too short": short, "no throttle": use("held", held().Rule), "never": quota(use("ever", limit.Rule{Algorithm: limit.FixedWindow, Limit: 1}))} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 0, 0, u, func(s *limits.Step, _ *limits.Holds, request func() *gate.Exchange) {
				if got := <-run(s, request()); got.after != 0 || got.reason == "" {
					t.Errorf("%+v", got)
				}
				x := request()
				x.Uses = append(x.Uses, held(), use("none", limit.Rule{Limit: 0, Period: time.Second}))
				if got := <-run(s, x); got.after != 0 || got.reason == "" {
					t.Errorf("with another that refuses: %+v", got)
				}
			})
		})
	}
}

func TestHoldIsBounded(t *testing.T) {
	for name, bounds := range map[string][2]int{"in total": {2, 100}, "of an identity": {100, 2}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, bounds[0], bounds[1], held(), func(s *limits.Step, h *limits.Holds, request func() *gate.Exchange) {
				first, second := run(s, request()), run(s, request())
				synctest.Wait()
				if h.Held() != 2 {
					t.Errorf("%d are held", h.Held())
				}
				if got := <-run(s, request()); got != (result{gate.ReasonRateLimited, 0}) {
					t.Errorf("the third: %+v", got)
				}
				<-first
				<-second
			})
		})
	}
}

func TestHoldEndsWithTheClient(t *testing.T) {
	bubble(t, 0, 0, held(), func(s *limits.Step, _ *limits.Holds, request func() *gate.Exchange) {
		byContext, byWriter := request(), request()
		ctx, cancel := context.WithCancel(byContext.Context)
		writer := new(client)
		byContext.Context, byWriter.Writer = ctx, writer
		first, second := run(s, byContext), run(s, byWriter)
		time.Sleep(300 * time.Millisecond)
		cancel()
		writer.gone.Store(true)
		if got := <-first; got != (result{gate.ReasonClientGone, 300 * time.Millisecond}) {
			t.Errorf("by its context: %+v", got)
		}
		if got := <-second; got.reason != gate.ReasonClientGone || got.after > 350*time.Millisecond {
			t.Errorf("by its writer: %+v", got)
		}
	})
}

func TestHoldEndsWithTheGateway(t *testing.T) {
	bubble(t, 0, 0, held(), func(s *limits.Step, h *limits.Holds, request func() *gate.Exchange) {
		done := run(s, request())
		time.Sleep(100 * time.Millisecond)
		h.Close()
		if got := <-done; got != (result{gate.ReasonRateLimited, 100 * time.Millisecond}) {
			t.Errorf("%+v", got)
		}
		if got := <-run(s, request()); got != (result{gate.ReasonRateLimited, 0}) {
			t.Errorf("afterwards: %+v", got)
		}
	})
}
