package redis

import (
	"strconv"
	"sync/atomic"
	"time"
)

// SetClock has c go by a clock of the test's, which is returned.
func (c *Counters) SetClock() func(time.Time) {
	var now atomic.Int64
	c.clock = func() string { return strconv.FormatInt(now.Load(), 10) }
	return func(t time.Time) { now.Store(t.UnixMicro()) }
}
