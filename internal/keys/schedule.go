package keys

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lifetime is how long an answer received at now may be used, by its Cache-Control, Age and Expires (RFC 9111 section 4.2), within least and most. An answer that
// does not say is used for most, or for the known time if that is not 0; one that must not be stored or used unasked, for least.
func lifetime(h http.Header, now time.Time, known, least, most time.Duration) time.Duration {
	d, ok := statedLifetime(h, now)
	switch {
	case ok:
	case known > 0:
		d = known
	default:
		d = most
	}
	return min(max(d, least), most)
}

func statedLifetime(h http.Header, now time.Time) (d time.Duration, ok bool) {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0, true
		case "max-age":
			d, ok = seconds(strings.Trim(value, `"`)), true
		}
	}
	if ok {
		return d - seconds(h.Get("Age")), true
	}
	if len(h.Values("Expires")) == 0 {
		return 0, false
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0, true // "0" and other invalid dates mean the past
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return expires.Sub(now) - seconds(h.Get("Age")), true
}

// seconds reads delta-seconds (RFC 9111 section 1.2.2); what is none is 0, what is too large is a year.
func seconds(s string) time.Duration {
	const most = 365 * 24 * 3600
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > most {
		n = most
	}
	return time.Duration(n) * time.Second
}

// refreshAfter is when to renew what is good for the lifetime: at 75 to 85 percent of it, so that many gateways do not come at once, and not before least. random
// is in [0, 1).
func refreshAfter(lifetime, least time.Duration, random float64) time.Duration {
	return max(least, time.Duration(float64(lifetime)*(0.75+0.1*random)))
}

// retryAfter is when to try again after that many failures in a row: 0.5 s doubled each time up to the ceiling, give or take half. random is in [0, 1).
func retryAfter(failures int, ceiling time.Duration, random float64) time.Duration {
	const first = 500 * time.Millisecond
	d := ceiling
	if shift := failures - 1; shift < 20 {
		d = min(first<<max(shift, 0), ceiling)
	}
	return time.Duration(float64(d) * (0.5 + random))
}
