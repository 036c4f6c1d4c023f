package gate

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Secret is text that must not be seen: every way of printing it gives "[secret]".
type Secret struct{ text string }

const hidden = "[secret]"

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text. It is the only way to get it.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.text == "" }

// String hides the text.
func (s Secret) String() string { return hidden }

// GoString hides the text from %#v.
func (s Secret) GoString() string { return hidden }

// Format hides the text from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue hides the text from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the text from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText takes the text as it is.
func (s *Secret) UnmarshalText(text []byte) error { s.text = string(text); return nil }

// Bytes is a number of bytes.
type Bytes int64

// UnmarshalText reads a whole number with an optional unit: B, KiB, MiB, GiB, kB, MB, GB.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits := strings.TrimLeft(s, "0123456789")
	n, err := strconv.ParseInt(s[:len(s)-len(digits)], 10, 64)
	if err != nil {
		return fmt.Errorf("a size such as 512KiB or 10MiB was expected, not %q", s)
	}
	unit, ok := byteUnits[strings.TrimSpace(digits)]
	if !ok {
		return fmt.Errorf("unknown unit %q; use B, KiB, MiB, GiB, kB, MB or GB", strings.TrimSpace(digits))
	}
	if n > (1<<62)/unit {
		return fmt.Errorf("size %s is too large", s)
	}
	*b = Bytes(n * unit)
	return nil
}

// String is the shortest exact form.
func (b Bytes) String() string {
	for _, u := range []string{"GiB", "MiB", "KiB"} {
		if n := int64(b); n != 0 && n%byteUnits[u] == 0 {
			return strconv.FormatInt(n/byteUnits[u], 10) + u
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText is String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

var byteUnits = map[string]int64{
	"": 1, "B": 1,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	"kB": 1e3, "MB": 1e6, "GB": 1e9,
}
