package main

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRelative(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for offset, want := range map[time.Duration]string{
		0:                               "in 0s",
		59 * time.Second:                "in 59s",
		-time.Second:                    "1s ago",
		61 * time.Second:                "in 1m1s",
		-90 * time.Minute:               "1h30m ago",
		47 * time.Hour:                  "in 47h0m",
		49 * time.Hour:                  "in 2 days",
		-400 * 24 * time.Hour:           "400 days ago",
		1499 * time.Millisecond:         "in 1s",
		-(time.Minute + 15*time.Second): "1m15s ago",
	} {
		if got := relative(now.Add(offset), now); got != want {
			t.Errorf("%s: %q, want %q", offset, got, want)
		}
	}
}

// TestPrintable checks that no text, however made, reaches the terminal with a character that is more than itself.
func TestPrintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		for _, r := range printable(text) {
			if hostile(r) {
				t.Fatalf("%q holds %U", printable(text), r)
			}
		}
	})
	const plain = "plain text,\nwith Ümläuts and 漢字"
	if got := printable(plain); got != plain {
		t.Errorf("%q became %q", plain, got)
	}
}
