package observe

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStamp: a stamp that is used again writes what package time does.
func TestStamp(t *testing.T) {
	locations := []*time.Location{time.UTC, time.FixedZone("", 3600), time.FixedZone("", -12600), time.FixedZone("", 7)}
	rapid.Check(t, func(t *rapid.T) {
		var s stamp
		start := rapid.Int64Range(-1<<37, 1<<39).Draw(t, "start") // from before the year 0 to after 9999
		for range 10 {
			at := time.Unix(start+rapid.Int64Range(0, 1).Draw(t, "second"), rapid.OneOf(rapid.Just[int64](0), rapid.Just[int64](120_000_000), rapid.Int64Range(0, 999_999_999)).Draw(t, "nanoseconds")).
				In(rapid.SampledFrom(locations).Draw(t, "location"))
			if got, want := string(s.append(nil, at)), at.Format(time.RFC3339Nano); got != want {
				t.Fatalf("%q instead of %q", got, want)
			}
		}
	})
}

// TestPlain: a text is plain only if every byte of it goes through appendEscaped as it is.
func TestPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.OneOf(rapid.ByteRange(' ', '~'), rapid.Byte()), 8, 8).Draw(t, "text"))
		needed := false
		for i := range text {
			c := text[i]
			needed = needed || c < ' ' || c >= 0x80 || c == '"' || c == '\\'
		}
		if needed && plain(text) {
			t.Fatalf("%q is plain", text)
		}
	})
	if !plain("/tickets") {
		t.Error("nothing is plain")
	}
}
