package keys

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLifetime(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	const least, most = 30 * time.Second, 10 * time.Minute
	for _, tc := range []struct {
		name   string
		header http.Header
		known  time.Duration
		want   time.Duration
	}{
		{"silent", nil, 0, most},
		{"silent, stated before", nil, time.Minute, time.Minute},
		{"max-age", http.Header{"Cache-Control": {"public, max-age=120"}}, time.Hour, 2 * time.Minute},
		{"any case", http.Header{"Cache-Control": {"Public", "Max-Age=120"}}, 0, 2 * time.Minute},
		{"quoted", http.Header{"Cache-Control": {`max-age="120"`}}, 0, 2 * time.Minute},
		{"less than allowed", http.Header{"Cache-Control": {"max-age=1"}}, 0, least},
		{"zero", http.Header{"Cache-Control": {"max-age=0"}}, 0, least},
		{"more than allowed", http.Header{"Cache-Control": {"max-age=86400"}}, 0, most},
		{"enormous", http.Header{"Cache-Control": {"max-age=99999999999999999999999"}}, 0, most},
		{"negative", http.Header{"Cache-Control": {"max-age=-5"}}, 0, least},
		{"not a number", http.Header{"Cache-Control": {"max-age=soon"}}, 0, least},
		{"age", http.Header{"Cache-Control": {"max-age=300"}, "Age": {"100"}}, 0, 200 * time.Second},
		{"older than allowed", http.Header{"Cache-Control": {"max-age=300"}, "Age": {"400"}}, 0, least},
		{"bad age", http.Header{"Cache-Control": {"max-age=300"}, "Age": {"-100"}}, 0, 300 * time.Second},
		{"no-store wins", http.Header{"Cache-Control": {"max-age=300, no-store"}}, 0, least},
		{"no-cache wins", http.Header{"Cache-Control": {"no-cache"}, "Expires": {date(time.Hour)}}, 0, least},
		{"expires", http.Header{"Expires": {date(5 * time.Minute)}}, 0, 5 * time.Minute},
		{"expires by the server's clock", http.Header{"Expires": {date(65 * time.Minute)}, "Date": {date(time.Hour)}}, 0, 5 * time.Minute},
		{"max-age before expires", http.Header{"Cache-Control": {"max-age=60"}, "Expires": {date(time.Hour)}}, 0, time.Minute},
		{"expired", http.Header{"Expires": {date(-time.Hour)}}, 0, least},
		{"expires 0", http.Header{"Expires": {"0"}}, 0, least},
		{"s-maxage is not for us", http.Header{"Cache-Control": {"s-maxage=60"}}, 0, most},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := lifetime(tc.header, now, tc.known, least, most); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestLifetimeStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "least"))
		most := least + time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "more"))
		h := http.Header{
			"Cache-Control": rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.StringMatching(`max-age=\d{0,30}`))).Draw(t, "cache-control"),
			"Expires":       rapid.SliceOf(rapid.String()).Draw(t, "expires"),
			"Age":           rapid.SliceOf(rapid.StringMatching(`-?\d{0,30}`)).Draw(t, "age"),
		}
		if got := lifetime(h, time.Now(), 0, least, most); got < least || got > most {
			t.Fatalf("%s is not within %s and %s", got, least, most)
		}
	})
}

func TestRefreshAfter(t *testing.T) {
	for _, tc := range []struct {
		lifetime, least time.Duration
		random          float64
		want            time.Duration
	}{
		{100 * time.Second, time.Second, 0, 75 * time.Second},
		{100 * time.Second, time.Second, 0.5, 80 * time.Second},
		{100 * time.Second, 90 * time.Second, 0.5, 90 * time.Second},
		{30 * time.Second, 30 * time.Second, 0, 30 * time.Second},
	} {
		if got := refreshAfter(tc.lifetime, tc.least, tc.random); got != tc.want {
			t.Errorf("refreshAfter(%s, %s, %v) = %s, want %s", tc.lifetime, tc.least, tc.random, got, tc.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		failures int
		random   float64
		want     time.Duration
	}{
		{1, 0.5, 500 * time.Millisecond},
		{2, 0.5, time.Second},
		{3, 0.5, 2 * time.Second},
		{7, 0.5, 32 * time.Second},
		{8, 0.5, time.Minute},
		{1_000_000, 0.5, time.Minute},
		{1, 0, 250 * time.Millisecond},
		{8, 0, 30 * time.Second},
	} {
		if got := retryAfter(tc.failures, time.Minute, tc.random); got != tc.want {
			t.Errorf("after %d failures %s, want %s", tc.failures, got, tc.want)
		}
	}
}
