package observe

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jotgate/jotgate/internal/gate"
)

// line is memory for one access line at a time.
type line struct {
	text  []byte
	hide  bool // what looks like a token
	stamp stamp
}

// stamp is a second as RFC 3339 writes it: formatting it costs more than all the rest of a line.
type stamp struct {
	second   int64
	location *time.Location
	text     []byte // with the zone behind it
}

// lengthOfSecond is that of 2006-01-02T15:04:05.
const lengthOfSecond = 19

// append appends t as time.RFC3339Nano does.
func (s *stamp) append(b []byte, t time.Time) []byte {
	if second := t.Unix(); second != s.second || t.Location() != s.location || len(s.text) <= lengthOfSecond {
		s.second, s.location = second, t.Location()
		s.text = t.AppendFormat(s.text[:0], time.RFC3339)
	}
	if s.text[4] != '-' || s.text[10] != 'T' { // the year has not four digits
		return t.AppendFormat(b, time.RFC3339Nano)
	}
	b = append(b, s.text[:lengthOfSecond]...)
	if n := t.Nanosecond(); n != 0 {
		end := len(b) + len(".000000000")
		b = append(b, ".000000000"...)
		for at := end - 1; n > 0; at-- {
			b[at] += byte(n % 10)
			n /= 10
		}
		for b[end-1] == '0' {
			end--
		}
		b = b[:end]
	}
	return append(b, s.text[lengthOfSecond:]...)
}

// access makes l the access line of x, which took d. It is what the gateway's own log writes for the same fields, made without allocating. The whole line is looked through for tokens: escaping leaves alone what they begin with.
func (l *line) access(x *gate.Exchange, d time.Duration, subject bool) {
	l.hide = false
	l.write(x, d, subject)
	if bytes.Contains(l.text, []byte(tokenStart)) {
		l.hide = true
		l.write(x, d, subject)
	}
}

func (l *line) write(x *gate.Exchange, d time.Duration, subject bool) {
	b := append(l.text[:0], `{"time":"`...)
	b = l.stamp.append(b, x.Start.Add(d))
	b = append(b, `","level":"INFO","msg":"request"`...)
	b = l.appendText(b, "api", x.API)
	b = l.appendText(b, "listener", x.Listener)
	b = l.appendClient(b, x)
	b = l.appendText(b, "method", x.Method)
	b = l.appendText(b, "host", x.Host)
	path, _, _ := strings.Cut(x.Target, "?")
	b = l.appendText(b, "path", path)
	b = appendNumber(b, "proto", int64(x.Proto))
	b = appendNumber(b, "status", int64(x.Status))
	b = appendNumber(b, "sent", x.Sent)
	b = appendNumber(b, "received", x.Received)
	b = appendNumber(b, "duration_ns", int64(d))
	if x.Server != "" {
		b = l.appendText(b, "server", x.Server)
		b = appendNumber(b, "attempts", int64(x.Attempts))
	}
	if id := x.Identity; id != nil {
		b = l.appendText(b, "provider", id.Provider)
		b = l.appendText(b, "kid", id.KeyID)
		if subject {
			b = l.appendText(b, "subject", id.Subject)
		}
	}
	if x.Denial != nil {
		b = l.appendText(b, "reason", string(x.Denial.Reason))
	}
	if x.DryRun != "" {
		b = l.appendText(b, "dry_run", string(x.DryRun))
	}
	l.text = append(b, "}\n"...)
}

// appendClient appends the client's address. Only a zone can hold anything that must be escaped.
func (l *line) appendClient(b []byte, x *gate.Exchange) []byte {
	client := x.Client.Addr()
	if !client.IsValid() || client.Zone() != "" {
		return l.appendText(b, "client", client.String())
	}
	b = append(b, `,"client":"`...)
	return append(client.AppendTo(b), '"')
}

// appendNumber appends a member; name needs no escaping.
func appendNumber(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(appendName(b, name), value, 10)
}

// appendText appends a member; name needs no escaping.
func (l *line) appendText(b []byte, name, value string) []byte {
	if l.hide {
		value = hideTokens(value)
	}
	b = append(appendName(b, name), '"')
	b = appendEscaped(b, value)
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
	start, i := 0, 0
	for i+8 <= len(s) && plain(s[i:i+8]) {
		i += 8
	}
	for i < len(s) {
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

// plain reports that none of eight bytes needs escaping. All are looked at at once: what is below ' ' borrows into the highest bit when that is subtracted, and so does a zero, which quotes and backslashes become, when one is. A borrow may
// pass on, so that a byte beside one that needs escaping counts too.
func plain(s string) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	quote, backslash := v^'"'*ones, v^'\\'*ones
	return (v|(v-' '*ones)|(quote-ones)&^quote|(backslash-ones)&^backslash)&high == 0
}
