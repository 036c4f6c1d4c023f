package sanitize

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestValidValue compares the check of eight bytes at once with the rule, read byte by byte.
func TestValidValue(t *testing.T) {
	rule := func(value string) bool {
		for _, c := range []byte(value) {
			if c < ' ' && c != '\t' || c == 0x7f {
				return false
			}
		}
		return strings.Trim(value, " \t") == value
	}
	for c := range 256 { // every byte at every place, among the neighbours that could hide it
		for _, fill := range []string{"a", "\x80", "\xff", "~", "!", "\t", "\x7e"} {
			for at := range 20 {
				value := "x" + strings.Repeat(fill, at) + string([]byte{byte(c)}) + strings.Repeat(fill, 19-at) + "x"
				if got, want := validValue(value), rule(value); got != want {
					t.Fatalf("validValue(%q) = %v", value, got)
				}
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		value := string(rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte(" \t\x1f\x7f\x80\xffa")))).Draw(rt, "value"))
		if got, want := validValue(value), rule(value); got != want {
			rt.Fatalf("validValue(%q) = %v", value, got)
		}
	})
}

func BenchmarkValidValue(b *testing.B) {
	value := "Bearer " + strings.Repeat("eyJhbGciOiJ", 68)
	for b.Loop() {
		if !validValue(value) {
			b.Fatal("refused")
		}
	}
}
