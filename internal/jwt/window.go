package jwt

import "time"

// window is when a token that passed [Token.Judge] once passes it again: from its beginning until before its end. Of all that Judge looks at only the
// moment changes, so this is all that is left to check of a token that is remembered.
type window struct {
	begin, end time.Time
}

// forever is the end of a window that has none. It is later than every date of a token that is ever compared with it.
func forever() time.Time { return time.Unix(1<<61, 0) }

// window returns when the token is good, which says something only if Judge has passed it at some moment. It is the time checks, solved for now.
func (t *Token) window() window {
	w := window{end: forever()}
	if t.nbf.given() {
		w.start(t.nbf.at.Add(-t.provider.skew.Nbf))
	}
	if t.iat.given() {
		w.start(t.iat.at.Add(-t.provider.skew.Iat))
		if most := t.provider.maxAge; most > 0 {
			w.stop(t.iat.at.Add(most + 1)) // the maximum itself is allowed
		}
	}
	if t.credential != nil && !t.credential.Expires.IsZero() {
		w.stop(t.credential.Expires)
	}
	if t.exp.given() {
		w.stop(t.exp.at.Add(t.provider.skew.Exp))
	}
	return w
}

func (w *window) start(at time.Time) {
	if at.After(w.begin) {
		w.begin = at
	}
}

func (w *window) stop(at time.Time) {
	if at.Before(w.end) {
		w.end = at
	}
}

// has reports whether now is in the window.
func (w *window) has(now time.Time) bool { return !now.Before(w.begin) && !w.over(now) }

// over reports whether the window has ended for good.
func (w *window) over(now time.Time) bool { return !now.Before(w.end) }

// second returns the first whole second since 1970 in which the window is over, or endless: a bound that may be too early for what is beyond the year 2106.
func (w *window) second() uint32 {
	if w.end.Equal(forever()) {
		return endless
	}
	return uint32(min(max(w.end.Unix()+1, 0), endless-1))
}

// current reports whether the provider's keys are still those that the token was verified with.
func (v *verified) current() bool { return v.generation == v.provider.keys.Generation() }
