package h1

import (
	"sync/atomic"
	"time"
)

// dateLayout is IMF-fixdate (RFC 9110 section 5.6.7).
const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

// Clock formats the value of Date fields, once a second for all goroutines together. The zero value is ready.
type Clock struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   [len(dateLayout)]byte
}

// Date is the value of a Date field at now. It is shared: callers only read it.
func (c *Clock) Date(now time.Time) []byte {
	second := now.Unix()
	d := c.last.Load()
	if d == nil || d.second != second {
		d = &date{second: second}
		now.UTC().AppendFormat(d.text[:0], dateLayout)
		c.last.Store(d) // whichever of two goroutines comes last: each has the right text for its own second
	}
	return d.text[:]
}
