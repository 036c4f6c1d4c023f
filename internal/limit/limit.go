// Package limit counts: rate limits and quotas as pure arithmetic over small states, kept in memory or in a store that several gateways share. Its clock is that of
// shared stores: whole microseconds, to which moments are rounded down and durations up.
package limit

import (
	"context"
	"errors"
	"time"
)

// The errors of Counters. Anything else says that the counters could not be asked.
var (
	// ErrUnavailable says that shared counters could not be asked, and that a limit is to refuse then.
	ErrUnavailable = errors.New("the shared counters cannot be asked")
	// ErrFull says that there is no room for another counter: all that there are hold something that must not be forgotten.
	ErrFull = errors.New("there are too many counters")
)

// Group joins the counters that are taken in one step of a shared store, because they are kept in the same place there.
type Group [8]byte

// Use is one counter that a request takes from. The uses of one call have different Keys; of uses with the same Key, some may not be counted.
type Use struct {
	Key   Key
	Group Group
	Rule  Rule
	// Count is how many requests are taken at once; less than 1 is 1.
	Count int64
	// Name is the limit's name in answers, logs and explanations.
	Name string
	// Quota says that the limit is a quota and not a rate: answers and headers tell them apart.
	Quota bool
	// DryRun counts, and never refuses.
	DryRun bool
	// Throttle holds a request that the rule refuses for Wait, up to Retries times, and tries again.
	Throttle Throttle
	// OnFailure is what happens while shared counters cannot be asked.
	OnFailure Failure
}

// count is how many requests u takes.
func (u *Use) count() int64 { return max(u.Count, 1) }

// Failure says what happens to a use while shared counters cannot be asked.
type Failure uint8

const (
	// FailureDefault is what the Counters do that were asked.
	FailureDefault Failure = iota
	// FailureLocal counts in this process alone.
	FailureLocal
	// FailureAllow lets the request pass and counts nothing.
	FailureAllow
	// FailureDeny refuses the request.
	FailureDeny
)

// Throttle says how often and for how long a request is held before it is refused. The zero value never holds.
type Throttle struct {
	Wait    time.Duration
	Retries int
}

// The limits of a Throttle.
const (
	MinWait    = time.Millisecond
	MaxWait    = time.Minute
	MaxRetries = 100
)

// Valid returns what is wrong with t; the zero value is valid.
func (t Throttle) Valid() error {
	switch {
	case t == Throttle{}:
		return nil
	case t.Wait < MinWait || t.Wait > MaxWait:
		return errors.New("the interval of a throttle is from 1ms to 1m")
	case t.Retries < 1 || t.Retries > MaxRetries:
		return errors.New("the retries of a throttle are from 1 to 100")
	}
	return nil
}

// Outcome is what became of a Use.
type Outcome struct {
	// Allowed says that the rule lets the request pass.
	Allowed bool
	// Limit is the most that the counter allows at once or in its period; Remaining is what is left of it: after this request if it was taken, never below 0.
	Limit, Remaining int64
	// Reset is how long it takes until all of Limit is there again; 0 if nothing is used, -1 if it never will be.
	Reset time.Duration
	// RetryAfter is the shortest wait after which the rule would let the request pass; 0 if it is Allowed, -1 if it never will.
	RetryAfter time.Duration
}

// Counters take from counters. Implementations are safe for concurrent use and exact, unless they say otherwise: of any number of parallel calls no more pass than the
// rules allow. Those that ask a server return when ctx is over.
type Counters interface {
	// Take takes from every use, or from none of them if any use that is not a DryRun refuses. A DryRun that refuses takes nothing itself. out has the length of uses and is filled in either way.
	// refused is the index of the first use that refuses, -1 if all pass. After an error nothing is known, and out is not to be read.
	// Counters with a clock of their own use that, and not now.
	Take(ctx context.Context, now time.Time, uses []Use, out []Outcome) (refused int, err error)
	// Peek fills out with what is left and with what Take would say, and takes nothing.
	Peek(ctx context.Context, now time.Time, uses []Use, out []Outcome) error
	// Return gives back what Take took from uses, at most held ago, and what was not needed. What has come back by itself since, because time has passed or a window has ended, is not given twice.
	Return(ctx context.Context, now time.Time, held time.Duration, uses []Use) error
	// Reset makes counters as if they had never been used.
	Reset(ctx context.Context, uses []Use) error
}

// Taken is what became of the uses of a request. Its memory is used again.
type Taken struct {
	// Out has an outcome for each use; it is empty if nothing was taken from.
	Out []Outcome
	// Refused is the index of the use that has refused the request, -1 if none has. It says nothing if Out is empty.
	Refused int
	// Text is memory for what is written about it.
	Text []byte
}

// Clear forgets what was taken and keeps the memory, unless that is unusually large.
func (t *Taken) Clear() {
	const maxOut, maxText = 64, 8192
	if cap(t.Out) > maxOut || cap(t.Text) > maxText {
		*t = Taken{}
	}
	*t = Taken{Out: t.Out[:0], Refused: -1, Text: t.Text[:0]}
}
