package limittest

import (
	"time"

	"github.com/jotgate/jotgate/internal/limit"
)

// model is what a rule says, told by the moments of all requests that have passed.
type model struct {
	rule limit.Rule
	log  []passed
}

type passed struct{ at, n int64 } // microseconds since 1970

// size is the most that passes at once.
func (m *model) size() int64 {
	if m.rule.Algorithm == limit.Bucket && m.rule.Burst > 0 {
		return m.rule.Burst
	}
	return m.rule.Limit
}

// free is how many requests would pass at a moment.
func (m *model) free(at int64) int64 {
	switch m.rule.Algorithm {
	case limit.Bucket:
		return m.bucket(at)
	case limit.FixedWindow:
		return m.fixed(at)
	}
	return m.sliding(at)
}

// bucket fills a bucket of time as it goes on, and takes from it for each request.
func (m *model) bucket(at int64) int64 {
	each := (int64(m.rule.Period) + m.rule.Limit - 1) / m.rule.Limit
	full := m.size() * each
	credit, last := full, int64(0)
	fill := func(now int64) {
		if gone := now - last; gone > full/1000 {
			credit = full
		} else {
			credit = min(full, credit+gone*1000)
		}
		last = now
	}
	for _, p := range m.log {
		fill(p.at)
		credit -= p.n * each
	}
	fill(at)
	return credit / each
}

func (m *model) period() int64 { return int64(m.rule.Period / time.Microsecond) }

// fixed counts in the window that is open.
func (m *model) fixed(at int64) int64 {
	start, used := int64(-1), int64(0)
	for _, p := range m.log {
		if start < 0 || m.period() > 0 && p.at >= start+m.period() {
			start, used = p.at, 0
		}
		used += p.n
	}
	if m.period() > 0 && at >= start+m.period() {
		used = 0
	}
	return m.rule.Limit - used
}

// sliding counts the window that is open and weighs the one before.
func (m *model) sliding(at int64) int64 {
	period := m.period()
	start := int64(-1)
	for _, p := range m.log {
		start = m.window(start, p.at)
	}
	start = m.window(start, at)
	used, before := m.within(start, start+period), m.within(start-period, start)
	unit := (period + 1<<20 - 1) / (1 << 20)
	parts := (period + unit - 1) / unit
	left := (start + period - at + unit - 1) / unit
	return m.rule.Limit - used - (before*left+parts-1)/parts
}

// window is the start of the window that a moment is in, given that of a window before.
func (m *model) window(start, at int64) int64 {
	period := m.period()
	switch {
	case start < 0 || at >= start+2*period:
		return at
	case at >= start+period:
		return start + period
	}
	return start
}

func (m *model) within(from, to int64) (n int64) {
	for _, p := range m.log {
		if p.at >= from && p.at < to {
			n += p.n
		}
	}
	return n
}

// passes reports whether n requests would pass at a moment.
func (m *model) passes(at, n int64) bool { return n <= m.size() && n <= m.free(at) }
