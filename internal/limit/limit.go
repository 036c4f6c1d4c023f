// Package limit counts: rate limits and quotas as pure arithmetic over small states, kept in memory or in a store that several gateways share.
package limit

import (
	"context"
	"time"
)

// Algorithm is how a Rule counts.
type Algorithm uint8

const (
	// Bucket is a token bucket of Burst tokens that fills by Limit tokens each Period, written as GCRA (ITU-T I.371): its state is one moment.
	Bucket Algorithm = iota
	// FixedWindow counts from the first request on for one Period, then starts anew with the next request.
	FixedWindow
	// SlidingWindow counts the Period that ends now; the window before is taken to have been used evenly.
	SlidingWindow
)

// Rule says how much is allowed.
type Rule struct {
	Algorithm Algorithm
	// Limit is how many requests a Period has, at least 1 for a rule that allows anything; 0 allows nothing.
	Limit int64
	// Period is at least a millisecond. 0, for FixedWindow only, never ends.
	Period time.Duration
	// Burst is how many requests a Bucket lets pass at once; 0 means Limit.
	Burst int64
}

// Key names one counter: a hash of who is counted and by which rule. Two gateways that share a store make the same key of the same names.
type Key [16]byte

// Group joins the counters that are taken in one step of a shared store, because they are kept in the same place there.
type Group [8]byte

// Use is one counter that a request takes from.
type Use struct {
	Key   Key
	Group Group
	Rule  Rule
	// Name is the limit's name in answers, logs and explanations.
	Name string
	// Quota says that the limit is a quota and not a rate: answers and headers tell them apart.
	Quota bool
	// DryRun counts, and never refuses.
	DryRun bool
	// Throttle holds a request that the rule refuses for Wait, up to Retries times, and tries again.
	Throttle Throttle
}

// Throttle says how often and for how long a request is held before it is refused. The zero value never holds.
type Throttle struct {
	Wait    time.Duration
	Retries int
}

// Outcome is what became of a Use.
type Outcome struct {
	// Allowed says that the rule lets the request pass.
	Allowed bool
	// Limit is the most that the counter allows at once or in its period; Remaining is what is left of it after this request, never below 0.
	Limit, Remaining int64
	// Reset is how long it takes until all of Limit is there again (bucket) or the window ends; 0 if nothing is used. A window that never ends has -1.
	Reset time.Duration
	// RetryAfter is the shortest wait after which the rule would let one request pass; 0 if it does now, -1 if it never will.
	RetryAfter time.Duration
}

// Counters take from counters. Implementations are safe for concurrent use and exact: of any number of parallel calls no more pass than the rules allow.
type Counters interface {
	// Take takes one request from every use, or from none of them if any use that is not a DryRun refuses. out has the length of uses and is filled in either way.
	// refused is the index of the first use that refuses, -1 if all pass. After an error nothing is known, and out is not to be read.
	Take(ctx context.Context, now time.Time, uses []Use, out []Outcome) (refused int, err error)
	// Peek fills out with what Take would find, and takes nothing.
	Peek(ctx context.Context, now time.Time, uses []Use, out []Outcome) error
	// Reset makes counters as if they had never been used.
	Reset(ctx context.Context, uses []Use) error
}
