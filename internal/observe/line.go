package observe

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jotgate/jotgate/internal/gate"
)

// appendAccess appends the access line of x, which took d. It is what the gateway's own log writes for the same fields, made without allocating.
func appendAccess(b []byte, x *gate.Exchange, d time.Duration, subject bool) []byte {
	b = append(b, `{"time":"`...)
	b = x.Start.Add(d).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"INFO","msg":"request"`...)
	b = appendText(b, "api", x.API)
	b = appendText(b, "listener", x.Listener)
	b = appendClient(b, x)
	b = appendText(b, "method", x.Method)
	b = appendText(b, "host", x.Host)
	path, _, _ := strings.Cut(x.Target, "?")
	b = appendText(b, "path", path)
	b = appendNumber(b, "proto", int64(x.Proto))
	b = appendNumber(b, "status", int64(x.Status))
	b = appendNumber(b, "sent", x.Sent)
	b = appendNumber(b, "received", x.Received)
	b = appendNumber(b, "duration_ns", int64(d))
	if x.Server != "" {
		b = appendText(b, "server", x.Server)
		b = appendNumber(b, "attempts", int64(x.Attempts))
	}
	if id := x.Identity; id != nil {
		b = appendText(b, "provider", id.Provider)
		b = appendText(b, "kid", id.KeyID)
		if subject {
			b = appendText(b, "subject", id.Subject)
		}
	}
	if x.Denial != nil {
		b = appendText(b, "reason", string(x.Denial.Reason))
	}
	return append(b, "}\n"...)
}

// appendClient appends the client's address. Only a zone can hold anything that must be escaped.
func appendClient(b []byte, x *gate.Exchange) []byte {
	client := x.Client.Addr()
	if !client.IsValid() || client.Zone() != "" {
		return appendText(b, "client", client.String())
	}
	b = append(b, `,"client":"`...)
	return append(client.AppendTo(b), '"')
}

// appendNumber appends a member; name needs no escaping.
func appendNumber(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(appendName(b, name), value, 10)
}

// appendText appends a member without what looks like a token; name needs no escaping.
func appendText(b []byte, name, value string) []byte {
	b = append(appendName(b, name), '"')
	b = appendEscaped(b, hideTokens(value))
	return append(b, '"')
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// appendEscaped appends s as the inside of a JSON string (RFC 8259 section 7), in which every byte of s that is not valid UTF-8 becomes U+FFFD. The line
// separators of JavaScript are escaped too.
func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028', r == '\u2029':
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, digits[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}
