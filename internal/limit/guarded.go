package limit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// GuardOptions say what a Guarded does. The zero value waits 100 ms, and then counts in this process alone.
type GuardOptions struct {
	// Timeout bounds every call.
	Timeout time.Duration
	// OnFailure is what happens to uses that do not say it themselves; FailureDefault stands for FailureLocal.
	OnFailure Failure
	// Local counts while the shared counters cannot be asked; nil makes one.
	Local *Memory
	// Log is told when shared counters fail and when they answer again; nil for nobody.
	Log *slog.Logger
}

// Guarded asks shared counters, and does for each use what it says where they fail. After a few failures in a row they are only tried now and then, by one request at a time: an outage costs
// few requests the timeout, and ends by itself. It has no goroutines.
type Guarded struct {
	remote  Counters
	options GuardOptions

	mu       sync.Mutex
	failures int           // in a row
	until    time.Time     // nobody asks before; zero if everybody may
	pause    time.Duration // of the next failure
	probing  bool          // one request tries
	changed  time.Time     // when it was last opened or closed
	state    GuardState
}

// GuardState is what a Guarded tells about itself.
type GuardState struct {
	// Open says that the shared counters are taken to be out of reach.
	Open bool
	// Failures is how many calls have failed, Fallbacks how many were answered without the shared counters.
	Failures, Fallbacks uint64
}

const (
	// patience is how many calls in a row may fail before the shared counters are left alone.
	patience = 3
	minPause = 50 * time.Millisecond
	maxPause = time.Second
)

// NewGuarded guards remote, which must return when a call's context is over.
func NewGuarded(remote Counters, o GuardOptions) *Guarded {
	if o.Timeout <= 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.OnFailure == FailureDefault {
		o.OnFailure = FailureLocal
	}
	if o.Local == nil {
		o.Local = NewMemory(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Guarded{remote: remote, options: o, pause: minPause}
}

// State is how it stands now.
func (g *Guarded) State() GuardState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// Take implements Counters. The error is ErrUnavailable if a use is to refuse where the shared counters fail, or that of ctx if the caller has given up.
func (g *Guarded) Take(ctx context.Context, now time.Time, uses []Use, out []Outcome) (refused int, err error) {
	if ahead, ok := g.remote.(*Leased); ok && ahead.takeHeld(uses, out) {
		return -1, nil
	}
	err = g.call(ctx, func(ctx context.Context) (err error) {
		refused, err = g.remote.Take(ctx, now, uses, out)
		return err
	})
	if err == nil || ctx.Err() != nil {
		return refused, err
	}
	return g.fallback(ctx, now, uses, out, err, g.options.Local.Take)
}

// Peek implements Counters.
func (g *Guarded) Peek(ctx context.Context, now time.Time, uses []Use, out []Outcome) error {
	err := g.call(ctx, func(ctx context.Context) error { return g.remote.Peek(ctx, now, uses, out) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	_, err = g.fallback(ctx, now, uses, out, err, func(ctx context.Context, now time.Time, uses []Use, out []Outcome) (int, error) {
		return -1, g.options.Local.Peek(ctx, now, uses, out)
	})
	return err
}

// Return implements Counters. What was taken elsewhere than it would be now is not given back.
func (g *Guarded) Return(ctx context.Context, now time.Time, held time.Duration, uses []Use) error {
	g.mu.Lock()
	open, same := g.state.Open, time.Since(g.changed) > held
	g.mu.Unlock()
	switch {
	case !same:
		return nil
	case open:
		return g.options.Local.Return(ctx, now, held, uses)
	}
	return g.call(ctx, func(ctx context.Context) error { return g.remote.Return(ctx, now, held, uses) })
}

// Reset implements Counters. The error says that shared counters were not reset.
func (g *Guarded) Reset(ctx context.Context, uses []Use) error {
	if err := g.options.Local.Reset(ctx, uses); err != nil {
		return err
	}
	return g.call(ctx, func(ctx context.Context) error { return g.remote.Reset(ctx, uses) })
}

// call asks the shared counters, if that makes sense now.
func (g *Guarded) call(ctx context.Context, ask func(context.Context) error) error {
	if !g.admit() {
		return errOpen
	}
	bounded, cancel := context.WithTimeout(ctx, g.options.Timeout)
	defer cancel()
	err := ask(bounded)
	g.note(err, err != nil && ctx.Err() != nil)
	return err
}

var errOpen = fmt.Errorf("%w: they have failed just now", ErrUnavailable)

// admit reports whether to ask the shared counters.
func (g *Guarded) admit() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.state.Open {
		return true
	}
	if g.probing || time.Now().Before(g.until) {
		g.state.Fallbacks++
		return false
	}
	g.probing = true
	return true
}

// note learns from the end of a call. One that the caller gave up says nothing.
func (g *Guarded) note(err error, givenUp bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	probe := g.probing
	switch {
	case givenUp:
		g.probing = false
	case err == nil:
		g.probing, g.failures, g.pause = false, 0, minPause
		if g.state.Open {
			g.state.Open, g.changed = false, time.Now()
			g.options.Log.Info("the shared counters answer again")
		}
	default:
		g.state.Failures++
		g.state.Fallbacks++
		g.failures++
		if !g.state.Open && g.failures < patience {
			return
		}
		if !g.state.Open {
			g.state.Open, g.changed = true, time.Now()
			g.options.Log.Warn("the shared counters cannot be asked", "error", err)
		} else if !probe {
			return // it was under way when others failed
		}
		g.probing = false
		g.until = time.Now().Add(g.pause)
		g.pause = min(2*g.pause, maxPause)
	}
}

// fallback answers without the shared counters, where counting in this process is done by local.
func (g *Guarded) fallback(ctx context.Context, now time.Time, uses []Use, out []Outcome, cause error, local func(context.Context, time.Time, []Use, []Outcome) (int, error)) (int, error) {
	var few [8]Use
	var places [8]int
	counted, at := few[:0], places[:0]
	for i := range uses {
		u := &uses[i]
		switch mode := g.mode(u); {
		case mode == FailureLocal:
			counted, at = append(counted, *u), append(at, i)
		case mode == FailureAllow || u.DryRun:
			out[i] = Outcome{Allowed: true, Limit: u.Rule.size(), Remaining: u.Rule.size()}
		default:
			return -1, fmt.Errorf("%w: %w", ErrUnavailable, cause)
		}
	}
	var fewOut [8]Outcome
	outcomes := fewOut[:]
	if len(counted) > len(fewOut) {
		outcomes = make([]Outcome, len(counted))
	}
	refused, err := local(ctx, now, counted, outcomes[:len(counted)])
	if err != nil {
		return -1, err
	}
	for n, i := range at {
		out[i] = outcomes[n]
	}
	if refused >= 0 {
		refused = at[refused]
	}
	return refused, nil
}

func (g *Guarded) mode(u *Use) Failure {
	if u.OnFailure == FailureDefault {
		return g.options.OnFailure
	}
	return u.OnFailure
}
