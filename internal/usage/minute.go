package usage

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	// prefix is where the sums are kept in a store: prefix, the Unix minute with leading zeros, "/", the gateway's name, "/", and the number of a part.
	prefix = "usage/"
	// maxCallers is how many callers a minute tells apart; the requests of others are summed up under a Caller that has only the API.
	maxCallers = 20_000
	// partBytes is about how large an item of the store becomes.
	partBytes = store.MaxValue / 4
	// latencyBounds is how many bounds the histogram of latencies has: 1 ms, 2 ms, 4 ms and so on up to about half a minute.
	latencyBounds = 16
)

// Sum is what callers did in a minute, or in any other time.
type Sum struct {
	Requests int64 `json:"requests"`
	// Refused are the requests that the gateway refused, by reason.
	Refused map[string]int64 `json:"refused,omitempty"`
	// Statuses are the requests by the first digit of the status; the first element counts those without an answer.
	Statuses [6]int64 `json:"statuses"`
	// Received and Sent are bytes of bodies.
	Received int64 `json:"received"`
	Sent     int64 `json:"sent"`
	// Duration is the sum of the durations, in nanoseconds. Latencies are the numbers of requests that took up to 1 ms, 2 ms, 4 ms, ... and, in the last element, longer than all bounds.
	Duration  int64                    `json:"duration_ns"`
	Latencies [latencyBounds + 1]int64 `json:"latencies"`
}

func (s *Sum) add(r *Record) {
	s.Requests++
	if r.Reason != "" {
		if s.Refused == nil {
			s.Refused = make(map[string]int64)
		}
		s.Refused[r.Reason]++
	}
	class := r.Status / 100
	if class < 0 || class >= len(s.Statuses) {
		class = 0
	}
	s.Statuses[class]++
	s.Received += r.Received
	s.Sent += r.Sent
	s.Duration += int64(r.Duration)
	s.Latencies[latencyClass(r.Duration)]++
}

// latencyClass is the first class whose bound, 1 ms times a power of two, is not below d.
func latencyClass(d time.Duration) int {
	if d <= time.Millisecond {
		return 0
	}
	return min(bits.Len64(uint64((d-1)/time.Millisecond)), latencyBounds)
}

// Merge adds other to s.
func (s *Sum) Merge(other *Sum) {
	s.Requests += other.Requests
	for reason, n := range other.Refused {
		if s.Refused == nil {
			s.Refused = make(map[string]int64, len(other.Refused))
		}
		s.Refused[reason] += n
	}
	for i, n := range other.Statuses {
		s.Statuses[i] += n
	}
	s.Received += other.Received
	s.Sent += other.Sent
	s.Duration += other.Duration
	for i, n := range other.Latencies {
		s.Latencies[i] += n
	}
}

// Entry is the sum of a caller.
type Entry struct {
	Caller
	Sum
}

// minute sums up the records of one minute at this gateway.
type minute struct {
	number  int64 // Unix time / 60
	keep    time.Duration
	callers map[Caller]*Sum
	dirty   bool
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func (m *minute) add(r *Record) {
	caller := r.Caller
	sum := m.callers[caller]
	if sum == nil && len(m.callers) >= maxCallers {
		caller = Caller{API: r.API}
		sum = m.callers[caller]
	}
	if sum == nil {
		sum = new(Sum)
		m.callers[caller] = sum
	}
	sum.add(r)
	m.dirty = true
}

// save writes the minute into a store, in place of what was written of it before.
func (m *minute) save(ctx context.Context, s store.Store, node string) error {
	var part []byte
	number := 0
	flush := func() error {
		_, err := s.Put(ctx, itemKey(m.number, node, number), append(part, ']'), m.keep, store.Always())
		number++
		part = part[:0]
		if err != nil {
			return fmt.Errorf("storing usage: %w", err)
		}
		return nil
	}
	for caller, sum := range m.callers {
		text, err := json.Marshal(Entry{caller, *sum})
		if err != nil {
			return fmt.Errorf("storing usage: %w", err)
		}
		if len(part) > 0 && len(part)+len(text) > partBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		separator := byte(',')
		if len(part) == 0 {
			separator = '['
		}
		part = append(append(part, separator), text...)
	}
	if len(part) > 0 {
		return flush()
	}
	return nil
}

func itemKey(number int64, node string, part int) string {
	return fmt.Sprintf("%s%012d/%s/%03d", prefix, number, node, part)
}

// parseItemKey returns the minute of an item.
func parseItemKey(key string) (number int64, ok bool) {
	text, _, cut := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	number, err := strconv.ParseInt(text, 10, 64)
	return number, cut && err == nil
}

// Filter chooses callers: a field that is not "" must be equal.
type Filter Caller

func (f *Filter) fits(c *Caller) bool {
	for _, pair := range [...][2]string{
		{f.API, c.API}, {f.Issuer, c.Issuer}, {f.User, c.User}, {f.Application, c.Application}, {f.ClientID, c.ClientID},
		{f.Credential, c.Credential}, {f.Subscription, c.Subscription}, {f.Plan, c.Plan},
	} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return f.Policies == "" || containsPolicy(c.Policies, f.Policies)
}

func containsPolicy(list, name string) bool {
	for policy := range strings.SplitSeq(list, ",") {
		if policy == name {
			return true
		}
	}
	return false
}

// Bucket is what callers did from Start on, for the step that was asked for.
type Bucket struct {
	Start time.Time `json:"start"`
	Sum
}

// MaxBuckets is how many buckets [Read] makes at most.
const MaxBuckets = 10_000

// Read sums up what all gateways that share the store wrote of the time from a moment until before another, rounded to whole minutes, in buckets of step (whole minutes, at least one), for the
// callers that fit; group adds the sums of each caller over all of the time. The last minutes may be incomplete: they are written every few seconds.
func Read(ctx context.Context, s store.Store, from, until time.Time, step time.Duration, f Filter) ([]Bucket, []Entry, error) {
	first, last := minuteOf(from), minuteOf(until.Add(time.Minute-1))
	width := max(int64(step/time.Minute), 1)
	if last <= first || (last-first+width-1)/width > MaxBuckets {
		return nil, nil, fmt.Errorf("reading usage: from %s until %s in steps of %s is not 1 to %d buckets", from.Format(time.RFC3339), until.Format(time.RFC3339), step, MaxBuckets)
	}
	buckets := make([]Bucket, (last-first+width-1)/width)
	for i := range buckets {
		buckets[i].Start = time.Unix((first+int64(i)*width)*60, 0).UTC()
	}
	callers := make(map[Caller]*Sum)
	after := fmt.Sprintf("%s%012d", prefix, first)
	for {
		items, err := s.List(ctx, prefix, after, 100)
		if err != nil {
			return nil, nil, fmt.Errorf("reading usage: %w", err)
		}
		for _, item := range items {
			number, ok := parseItemKey(item.Key)
			if ok && number >= last {
				return buckets, entries(callers), nil
			}
			if !ok || number < first {
				continue
			}
			var part []Entry
			if err := json.Unmarshal(item.Value, &part); err != nil {
				return nil, nil, fmt.Errorf("reading usage: %s: %w", item.Key, err)
			}
			for i := range part {
				if !f.fits(&part[i].Caller) {
					continue
				}
				buckets[(number-first)/width].Merge(&part[i].Sum)
				sum := callers[part[i].Caller]
				if sum == nil {
					sum = new(Sum)
					callers[part[i].Caller] = sum
				}
				sum.Merge(&part[i].Sum)
			}
		}
		if len(items) < 100 {
			return buckets, entries(callers), nil
		}
		after = items[len(items)-1].Key
	}
}

func entries(callers map[Caller]*Sum) []Entry {
	out := make([]Entry, 0, len(callers))
	for caller, sum := range callers {
		out = append(out, Entry{caller, *sum})
	}
	return out
}
