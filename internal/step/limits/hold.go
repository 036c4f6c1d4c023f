package limits

import (
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// The number of requests that may be held, of all and of one identity, unless it is said otherwise.
const (
	DefaultMaxHeld  = 10_000
	DefaultMaxGroup = 50
)

// Holds bounds how many requests are held until they pass. It is safe for concurrent use.
type Holds struct {
	mu              sync.Mutex
	total, maxTotal int
	maxGroup        int
	groups          map[limit.Group]int
	closed          chan struct{}
	once            sync.Once
}

// NewHolds makes room for so many requests, of all and of one group, which is an identity or whatever else shares the limit; 0 stands for the defaults.
func NewHolds(maxTotal, maxGroup int) *Holds {
	if maxTotal <= 0 {
		maxTotal = DefaultMaxHeld
	}
	if maxGroup <= 0 {
		maxGroup = DefaultMaxGroup
	}
	return &Holds{maxTotal: maxTotal, maxGroup: maxGroup, groups: make(map[limit.Group]int), closed: make(chan struct{})}
}

// Close lets go of all requests: they are refused, as are those that would be held from now on.
func (h *Holds) Close() { h.once.Do(func() { close(h.closed) }) }

// Held is the number of requests that are held now.
func (h *Holds) Held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}

func (h *Holds) enter(g limit.Group) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= h.maxTotal || h.groups[g] >= h.maxGroup {
		return false
	}
	h.total++
	h.groups[g]++
	return true
}

func (h *Holds) leave(g limit.Group) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total--
	if h.groups[g]--; h.groups[g] == 0 {
		delete(h.groups, g)
	}
}

// hold holds a refused request and tries again, as its limits say. Nothing is held that cannot pass in that time anyway. It runs in the goroutine of the request, and ends when the client goes or Holds is closed.
func (s *Step) hold(x *gate.Exchange, refused int) (int, error) {
	t := patience(x)
	if s.holds == nil || t.Retries == 0 {
		return refused, nil
	}
	group := x.Uses[refused].Group
	if !s.holds.enter(group) {
		return refused, nil
	}
	defer s.holds.leave(group)
	begun := time.Now()
	timer := time.NewTimer(t.Wait)
	defer timer.Stop()
	for range t.Retries {
		ok, err := s.wait(x, timer, t.Wait)
		if err != nil || !ok {
			return refused, err
		}
		now := x.Start.Add(time.Since(begun))
		if refused, err = s.counters.Take(x.Context, now, x.Uses, x.Taken.Out); err != nil || refused < 0 {
			return refused, err
		}
	}
	return refused, nil
}

// patience is how the request is held: as the most patient of the limits that refuse says, if all of them hold and would let it pass in time.
func patience(x *gate.Exchange) limit.Throttle {
	var most limit.Throttle
	for i := range x.Uses {
		u := &x.Uses[i]
		if x.Taken.Out[i].Allowed || u.DryRun {
			continue
		}
		if u.Throttle.Retries <= 0 || u.Throttle.Wait <= 0 {
			return limit.Throttle{}
		}
		if total(u.Throttle) > total(most) {
			most = u.Throttle
		}
	}
	if need := retryAfter(x); need == 0 || need > total(most) {
		return limit.Throttle{}
	}
	return most
}

func total(t limit.Throttle) time.Duration { return t.Wait * time.Duration(t.Retries) }

// lookout is how often a client is looked after whose context does not tell that it has gone.
const lookout = 50 * time.Millisecond

// wait waits for d; ok is false if Holds was closed. The error is a *gate.Denial if the client has gone.
func (s *Step) wait(x *gate.Exchange, timer *time.Timer, d time.Duration) (ok bool, err error) {
	client, looks := x.Writer.(interface{ Gone() bool })
	for d > 0 {
		part := d
		if looks {
			part = min(d, lookout)
		}
		timer.Reset(part)
		select {
		case <-timer.C:
		case <-x.Context.Done():
			return false, gate.Deny(gate.ReasonClientGone, x.Context.Err())
		case <-s.holds.closed:
			return false, nil
		}
		if looks && client.Gone() {
			return false, gate.Deny(gate.ReasonClientGone, nil)
		}
		d -= part
	}
	return true, nil
}
