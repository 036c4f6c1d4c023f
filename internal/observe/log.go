package observe

import (
	"io"
	"log/slog"
	"regexp"
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
		if s := a.Value.String(); tokenLike.MatchString(s) {
			a.Value = slog.StringValue(tokenLike.ReplaceAllString(s, redacted))
		}
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(tokenLike.ReplaceAllString(err.Error(), redacted))
		}
	}
	return a
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
