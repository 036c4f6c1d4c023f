package limits

import (
	"strconv"
	"time"
	"unsafe"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// Respond tells the client how much is left, in the style of the settings, in place of what the upstream says about its own limits. Limits in dry-run are not told.
func (s *Step) Respond(x *gate.Exchange) {
	switch s.style {
	case gate.LimitHeadersIETF:
		ietf(x)
	case gate.LimitHeadersRate:
		rateFields(x)
	case gate.LimitHeadersQuota:
		quotaFields(x)
	}
}

// writer writes values of fields into the memory of the exchange.
type writer struct {
	x    *gate.Exchange
	text []byte
	from int
}

func newWriter(x *gate.Exchange) writer {
	return writer{x: x, text: x.Taken.Text, from: len(x.Taken.Text)}
}

// set makes what was written since the last call the value of a field. It is a view of the exchange's memory, which is good as long as the exchange is.
func (w *writer) set(name string) {
	value := w.text[w.from:]
	w.x.Reply.Set(name, unsafe.String(unsafe.SliceData(value), len(value))) //nolint:gosec // what was written is not written again while the exchange lasts
	w.from = len(w.text)
	w.x.Taken.Text = w.text
}

func (w *writer) number(n int64) {
	const largest = 999_999_999_999_999 // of a structured field (RFC 9651 section 3.3.1)
	w.text = strconv.AppendInt(w.text, min(n, largest), 10)
}

func (w *writer) string(s string) { w.text = append(w.text, s...) }

// seconds are whole, rounded up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// ietf writes RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): lists of structured fields with an item for each limit.
func ietf(x *gate.Exchange) {
	if !told(x) {
		return
	}
	w := newWriter(x)
	for i := range x.Taken.Out {
		u := &x.Uses[i]
		if u.DryRun {
			continue
		}
		w.item(i)
		w.string(";q=")
		w.number(max(u.Rule.Limit, 0))
		if period := u.Rule.Period; period > 0 && period%time.Second == 0 {
			w.string(";w=")
			w.number(int64(period / time.Second))
		}
	}
	w.set("RateLimit-Policy")
	for i := range x.Taken.Out {
		o := &x.Taken.Out[i]
		if x.Uses[i].DryRun {
			continue
		}
		w.item(i)
		w.string(";r=")
		w.number(o.Remaining)
		if o.Reset >= 0 {
			w.string(";t=")
			w.number(seconds(o.Reset))
		}
	}
	w.set("RateLimit")
}

// told reports whether there is a limit to tell about.
func told(x *gate.Exchange) bool {
	for i := range x.Taken.Out {
		if !x.Uses[i].DryRun {
			return true
		}
	}
	return false
}

// item begins the item of limit number i: its name as a string (RFC 9651 section 3.3.3), with a number if others before have the same.
func (w *writer) item(i int) {
	if len(w.text) > w.from {
		w.string(", ")
	}
	name, same := w.x.Uses[i].Name, int64(1)
	for k := range i {
		if other := &w.x.Uses[k]; !other.DryRun && other.Name == name {
			same++
		}
	}
	w.string(`"`)
	for k := range len(name) {
		switch c := name[k]; {
		case c == '"' || c == '\\':
			w.text = append(w.text, '\\', c)
		case c < ' ' || c > '~':
			w.text = append(w.text, '?')
		default:
			w.text = append(w.text, c)
		}
	}
	if same > 1 {
		w.string("-")
		w.number(same)
	}
	w.string(`"`)
}

// pick is the rate or the quota that fields with room for one tell: the one that refuses, or else the one of which the least is left.
func pick(x *gate.Exchange, quota bool) (*limit.Use, *limit.Outcome) {
	best := -1
	for i := range x.Taken.Out {
		switch u := &x.Uses[i]; {
		case u.DryRun || u.Quota != quota:
		case i == x.Taken.Refused:
			return u, &x.Taken.Out[i]
		case best < 0 || x.Taken.Out[i].Remaining < x.Taken.Out[best].Remaining:
			best = i
		}
	}
	if best < 0 {
		return nil, nil
	}
	return &x.Uses[best], &x.Taken.Out[best]
}

// rateFields writes the rate: what it allows at once, its period, what is left, and the seconds until all of it is.
func rateFields(x *gate.Exchange) {
	u, o := pick(x, false)
	if u == nil {
		return
	}
	w := newWriter(x)
	w.number(o.Limit)
	w.set("X-RateLimit-Limit")
	w.number(seconds(u.Rule.Period))
	w.set("X-RateLimit-Period")
	w.number(o.Remaining)
	w.set("X-RateLimit-Remaining")
	w.number(max(seconds(o.Reset), 0))
	w.set("X-RateLimit-Reset")
}

// quotaFields writes the quota, with the moment in seconds since 1970 at which it is renewed: -1, 0 and 0 for an identity without a quota, 0, 0 and 0 for a request without an identity.
func quotaFields(x *gate.Exchange) {
	var size, remaining, renewed int64
	switch u, o := pick(x, true); {
	case u != nil:
		size, remaining = o.Limit, o.Remaining
		if o.Reset > 0 {
			renewed = seconds(time.Duration(x.Start.Nanosecond())+o.Reset) + x.Start.Unix()
		}
	case x.Identity != nil:
		size = -1
	}
	w := newWriter(x)
	w.number(size)
	w.set("X-RateLimit-Limit")
	w.number(remaining)
	w.set("X-RateLimit-Remaining")
	w.number(renewed)
	w.set("X-RateLimit-Reset")
}
