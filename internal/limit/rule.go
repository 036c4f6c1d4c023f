package limit

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Algorithm is how a Rule counts.
type Algorithm uint8

const (
	// Bucket is a token bucket of Burst tokens that fills by Limit tokens each Period, written as GCRA (ITU-T I.371): its state is one moment. One token comes back
	// in each Period/Limit, rounded up to nanoseconds.
	Bucket Algorithm = iota
	// FixedWindow counts from the first request on for one Period, then starts anew with the next request.
	FixedWindow
	// SlidingWindow counts in windows of one Period, the first of which starts with the first request. What was counted in the window before is taken to have been spread evenly, so that what is left of
	// it goes down, in about a million steps, while the window goes on.
	SlidingWindow
	algorithms
)

// Rule says how much is allowed.
type Rule struct {
	Algorithm Algorithm
	// Limit is how many requests a Period has, at least 1 for a rule that allows anything; 0 allows nothing.
	Limit int64
	// Period is from a millisecond to ten years, in whole microseconds. 0, for FixedWindow only, never ends.
	Period time.Duration
	// Burst is how many requests a Bucket lets pass at once; 0 means Limit.
	Burst int64
}

// The bounds of rules. Within them, all that is computed from a rule is below 2^53: counters of a shared store compute with doubles.
const (
	MinPeriod = time.Millisecond
	MaxPeriod = 10 * 366 * 24 * time.Hour
	// MaxLimit is the largest Limit and Burst.
	MaxLimit = 1 << 52
	// MaxSlidingLimit is the largest Limit of a SlidingWindow.
	MaxSlidingLimit = math.MaxUint32
	// MaxFill is the longest time in which a Bucket fills from empty.
	MaxFill = time.Duration(1 << 52)
)

// Valid returns what is wrong with r. A rule that is not valid allows nothing.
func (r Rule) Valid() error {
	if err := r.bounds(); err != nil {
		return err
	}
	if _, ok := r.terms(); !ok && r.Limit > 0 {
		return fmt.Errorf("a bucket of %d that gets %d each %v takes longer than %v to fill", r.size(), r.Limit, r.Period, MaxFill)
	}
	return nil
}

// The bounds of a rule that are not kept.
var (
	errAlgorithm = errors.New("the algorithm of a limit is bucket, fixedWindow or slidingWindow")
	errLimit     = fmt.Errorf("a limit is from 0 to %d", int64(MaxLimit))
	errSliding   = fmt.Errorf("the limit of a sliding window is at most %d", int64(MaxSlidingLimit))
	errNoPeriod  = errors.New("only a fixed window may have no period")
	errPeriod    = errors.New("a period is from 1ms to ten years")
	errFraction  = errors.New("a period is in whole microseconds")
	errNoBurst   = errors.New("only a bucket has a burst")
	errBurst     = fmt.Errorf("a burst is from 0 to %d", int64(MaxLimit))
)

func (r *Rule) bounds() error {
	switch {
	case r.Algorithm >= algorithms:
		return errAlgorithm
	case r.Limit < 0 || r.Limit > MaxLimit:
		return errLimit
	case r.Algorithm == SlidingWindow && r.Limit > MaxSlidingLimit:
		return errSliding
	case r.Period == 0 && r.Algorithm != FixedWindow:
		return errNoPeriod
	case r.Period != 0 && (r.Period < MinPeriod || r.Period > MaxPeriod):
		return errPeriod
	case r.Period%time.Microsecond != 0:
		return errFraction
	case r.Burst != 0 && r.Algorithm != Bucket:
		return errNoBurst
	case r.Burst < 0 || r.Burst > MaxLimit:
		return errBurst
	}
	return nil
}

// size is the most that the rule allows at once.
func (r *Rule) size() int64 {
	if r.Algorithm == Bucket && r.Burst > 0 && r.Limit > 0 {
		return r.Burst
	}
	return r.Limit
}

// interval is the time in nanoseconds in which a bucket gets a token. Rounding up makes it no faster than the rule says.
func (r *Rule) interval() int64 { return (int64(r.Period)-1)/r.Limit + 1 }
