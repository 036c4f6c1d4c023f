package limit

import (
	"math"
	"math/bits"
	"time"
)

// state is what a counter remembers. The zero state has never been used, and so has one whose until is over.
type state struct {
	// until is the moment, in microseconds since 1970, from which on the state says nothing any more: when the bucket is full, or the last window that counts has ended.
	until int64
	// used is the number of requests in the window. For a bucket it is how many nanoseconds before until it is full, 0 to 999.
	used int64
	// before is the number of requests in the window before, of a SlidingWindow.
	before uint32
	// algorithm tells states apart when a rule has got another algorithm.
	algorithm Algorithm
}

// forever is the until of a window without an end. It is not after the last whole number of a double.
const forever = 1<<53 - 1

// steps is into how many parts at most a sliding window is cut to weigh the window before.
const steps = 1 << 20

// micros is now in microseconds since 1970, kept within bounds in which nothing overflows.
func micros(now time.Time) int64 {
	const last = 1 << 52 // in the year 2112
	switch s := now.Unix(); {
	case s < 0:
		return 0
	case s > last/1_000_000:
		return last
	}
	return now.UnixMicro()
}

// ceil divides and rounds up; a is not negative.
func ceil(a, b int64) int64 { return (a + b - 1) / b }

// span is a number of microseconds as a duration.
func span(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// wholeMicros is a time that has passed, rounded up.
func wholeMicros(d time.Duration) int64 {
	us := int64(max(d, 0) / time.Microsecond)
	if d > span(us) {
		us++
	}
	return us
}

// terms are what counting by a rule needs, computed once.
type terms struct {
	algorithm Algorithm
	size      int64 // the most that is allowed at once
	interval  int64 // nanoseconds in which a bucket gets a token
	full      int64 // nanoseconds in which a bucket fills from empty
	period    int64 // microseconds
}

// terms are those of r; ok is false for a rule that allows nothing.
func (r *Rule) terms() (t terms, ok bool) {
	if r.Limit <= 0 || r.bounds() != nil {
		return terms{}, false
	}
	t = terms{algorithm: r.Algorithm, size: r.size(), period: int64(r.Period / time.Microsecond)}
	if r.Algorithm == Bucket {
		t.interval = r.interval()
		hi, full := bits.Mul64(uint64(t.size), uint64(t.interval))
		if hi != 0 || full > uint64(MaxFill) {
			return terms{}, false
		}
		t.full = int64(full)
	}
	return t, true
}

// slack is how many microseconds a state may lie beyond what a request now could have made of it: requests overtake each other on their way here, and would otherwise take back what others have used.
const slack = 10_000_000

// settle is s at the moment now. What lies further in the future than the rule and the slack allow is as if it had been made now: a clock that was set back, or a period that was made shorter, holds nobody up for longer.
func (t *terms) settle(s state, now int64) state {
	if now >= s.until || s.algorithm != t.algorithm {
		return state{}
	}
	switch t.algorithm {
	case Bucket:
		if s.until-now > t.full/1000+slack {
			return fill(now, t.full)
		}
	case FixedWindow:
		if t.period == 0 {
			s.until = forever
		} else if s.until-now > t.period+slack {
			s.until = now + t.period
		}
	case SlidingWindow:
		if s.until-now > 2*t.period+slack {
			s.until = now + 2*t.period
		}
		if now >= s.until-t.period { // the window has ended
			s.before, s.used, s.until = uint32(min(s.used, math.MaxUint32)), 0, s.until+t.period
		}
		if s.before == 0 && s.used == 0 {
			return state{}
		}
	}
	return s
}

// fill is a bucket that is full in backlog nanoseconds.
func fill(now, backlog int64) state {
	if backlog <= 0 {
		return state{}
	}
	until := ceil(backlog, 1000)
	return state{until: now + until, used: until*1000 - backlog, algorithm: Bucket}
}

// backlog is in how many nanoseconds a settled bucket is full.
func (s *state) backlog(now int64) int64 {
	if s.until == 0 {
		return 0
	}
	return (s.until-now)*1000 - s.used
}

// end is when a window that starts now ends.
func (t *terms) end(now int64) int64 {
	if t.period == 0 {
		return forever
	}
	return now + t.period
}

// carried is what counts of the window before of a settled sliding window: rounded up, so that it is never too little.
func (t *terms) carried(s *state, now int64) int64 {
	if s.before == 0 {
		return 0
	}
	unit, parts := t.parts()
	left := min(ceil(s.until-t.period-now, unit), parts)
	return ceil(int64(s.before)*left, parts)
}

// parts cuts the period of a sliding window in parts of unit microseconds.
func (t *terms) parts() (unit, parts int64) {
	unit = ceil(t.period, steps)
	return unit, ceil(t.period, unit)
}

// take is the settled state s after n requests more, if the rule lets them pass.
func (t *terms) take(s state, now, n int64) (state, bool) {
	if n > t.size {
		return s, false
	}
	switch t.algorithm {
	case Bucket:
		backlog := s.backlog(now) + n*t.interval
		if backlog > t.full {
			return s, false
		}
		return fill(now, backlog), true
	case FixedWindow:
		if s.used > t.size-n {
			return s, false
		}
		if s.until == 0 {
			s = state{until: t.end(now), algorithm: FixedWindow}
		}
	case SlidingWindow:
		if s.used+t.carried(&s, now) > t.size-n {
			return s, false
		}
		if s.until == 0 {
			s = state{until: now + 2*t.period, algorithm: SlidingWindow}
		}
	}
	s.used += n
	return s, true
}

// giveBack is the settled state s without n requests that were taken held microseconds ago, as far as they still count.
func (t *terms) giveBack(s state, now, held, n int64) state {
	if s.until == 0 || n > t.size {
		return s
	}
	switch t.algorithm {
	case Bucket:
		if back := n*t.interval - min(max(held, 0), int64(MaxFill)/1000)*1000; back > 0 {
			return fill(now, s.backlog(now)-back)
		}
		return s
	case FixedWindow:
		if t.period != 0 && now-held < s.until-t.period {
			return s // it was taken in a window before
		}
	case SlidingWindow:
		if now-held < s.until-2*t.period {
			return s
		}
	}
	s.used = max(s.used-n, 0)
	if s.used == 0 && s.before == 0 {
		return state{}
	}
	return s
}

// left is the outcome of a request that has passed, and left s behind.
func (t *terms) left(s *state, now int64) Outcome {
	o := Outcome{Allowed: true, Limit: t.size}
	switch t.algorithm {
	case Bucket:
		backlog := s.backlog(now)
		o.Remaining = max(t.size-ceil(backlog, t.interval), 0)
		o.Reset = span(ceil(backlog, 1000))
	case FixedWindow:
		o.Remaining = max(t.size-s.used, 0)
		switch {
		case s.used == 0:
		case s.until == forever:
			o.Reset = -1
		default:
			o.Reset = span(s.until - now)
		}
	case SlidingWindow:
		o.Remaining = max(t.size-s.used-t.carried(s, now), 0)
		o.Reset = t.slidingReset(s, now)
	}
	return o
}

// outcome describes the settled state s to one that asks for n more, which are not taken.
func (t *terms) outcome(s *state, now, n int64) Outcome {
	o := t.left(s, now)
	switch wait := t.wait(s, now, n); {
	case wait < 0:
		o.Allowed, o.RetryAfter = false, -1
	case wait > 0:
		o.Allowed, o.RetryAfter = false, span(wait)
	}
	return o
}

// wait is in how many microseconds n more would pass, -1 if never.
func (t *terms) wait(s *state, now, n int64) int64 {
	if n > t.size {
		return -1
	}
	switch t.algorithm {
	case Bucket:
		return ceil(max(s.backlog(now)-(t.size-n)*t.interval, 0), 1000)
	case FixedWindow:
		switch {
		case s.used <= t.size-n:
			return 0
		case s.until == forever:
			return -1
		}
		return s.until - now
	case SlidingWindow:
		return t.slidingWait(s, now, t.size-n)
	}
	return -1
}

func (t *terms) slidingReset(s *state, now int64) time.Duration {
	switch {
	case s.used > 0:
		return span(s.until - now)
	case s.before > 0:
		return span(s.until - t.period - now)
	}
	return 0
}

// slidingWait is how many microseconds it takes until no more than free requests count.
func (t *terms) slidingWait(s *state, now, free int64) int64 {
	if s.used+t.carried(s, now) <= free {
		return 0
	}
	unit, parts := t.parts()
	end := s.until - t.period // of the window
	if free >= s.used {
		return end - (free-s.used)*parts/int64(s.before)*unit - now
	}
	return end + t.period - free*parts/s.used*unit - now // in the next window, in which what is used now is what was before
}

// never is the outcome of a rule that allows nothing.
func never() Outcome { return Outcome{RetryAfter: -1} }
