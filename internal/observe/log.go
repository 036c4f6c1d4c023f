package observe

import (
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// tokenLike is anything that looks like the beginning of a compact JWS or JWE: a base64url JSON object and a dot. It is the last line of defence, for texts
// of other libraries that quote what they were given.
var tokenLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_.-]*`)

const redacted = "[token]"

// NewLogger returns a logger that writes JSON lines to w at level and above, and replaces everything that looks like a token.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact}))
}

func redact(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		if s := a.Value.String(); mayHoldToken(s) {
			a.Value = slog.StringValue(hideTokens(s))
		}
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(hideTokens(err.Error()))
		}
	}
	return a
}

// mayHoldToken spares most texts the expression.
func mayHoldToken(s string) bool { return strings.Contains(s, tokenStart) }

// tokenStart is what every JWT begins with: the base64url form of {" that opens its header.
const tokenStart = "eyJ"

// hideTokens replaces everything in s that looks like a token.
func hideTokens(s string) string {
	if !mayHoldToken(s) {
		return s
	}
	return tokenLike.ReplaceAllString(s, redacted)
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(name string) (slog.Level, bool) {
	switch name {
	case "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warn":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	}
	return 0, false
}
