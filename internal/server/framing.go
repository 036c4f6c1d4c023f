package server

import (
	"bytes"
	"errors"
	"sync/atomic"

	"github.com/jotgate/jotgate/internal/gate"
)

// framing watches the bytes that a client sends over HTTP/1.1 and stops at the first message whose end two readers might see at different places (RFC 9112 section
// 11.2). net/http repairs some of these and hides that it did: it drops Content-Length beside Transfer-Encoding, takes a bare LF for a line's end, joins folded
// lines, and ignores Transfer-Encoding in HTTP/1.0.
type framing struct {
	state   framingState
	err     error  // sticky
	line    []byte // the start of a line of which the rest has not arrived
	left    uint64 // bytes of a body or chunk to come
	old     bool   // HTTP/1.0
	lengths int    // Content-Length fields
	codings int    // Transfer-Encoding fields
	upgrade bool   // there is an Upgrade field
	length  uint64
	// released is set when the bytes that follow may be no HTTP/1.1: nothing is watched any more, and the connection must not serve another request.
	released atomic.Bool
}

type framingState uint8

const (
	requestLine framingState = iota
	fieldLine
	sizedBody
	chunkSize
	chunkData
	chunkEnd
	trailerLine
	unwatched
)

// maxFramingLine bounds a line that arrives in parts. net/http's own limit is lower for every listener that Check accepts.
const maxFramingLine = maxHeaderBytes + 8<<10

var errFraming = errors.New("malformed or ambiguous message framing")

// check takes the next bytes and returns how many of them may be read: all, or those before the message that is at fault. Then err is set.
func (f *framing) check(p []byte) int {
	message := 0 // where in p the current message begins
	for at := 0; at < len(p); {
		switch f.state {
		case unwatched:
			return len(p)
		case sizedBody, chunkData:
			n := min(f.left, uint64(len(p)-at))
			at += int(n)
			if f.left -= n; f.left > 0 {
				continue
			}
			if f.state == chunkData {
				f.state = chunkEnd
			} else {
				f.state, message = requestLine, at
			}
		default:
			end := bytes.IndexByte(p[at:], '\n')
			if end < 0 {
				f.line = append(f.line, p[at:]...)
				if len(f.line) > maxFramingLine {
					f.err = errFraming
					return message
				}
				return len(p)
			}
			line := p[at : at+end+1]
			if len(f.line) > 0 {
				f.line = append(f.line, line...)
				line = f.line
			}
			at += end + 1
			ok := f.take(line)
			if f.line = f.line[:0]; cap(f.line) > 4<<10 {
				f.line = nil // idle connections hold no large buffers
			}
			if !ok {
				f.err = errFraming
				return message
			}
			if f.state == requestLine {
				message = at
			}
		}
	}
	return len(p)
}

// take judges a whole line, which ends with LF.
func (f *framing) take(line []byte) bool {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || bytes.IndexByte(text, '\r') >= 0 {
		return false
	}
	switch f.state {
	case requestLine:
		return f.takeRequestLine(text)
	case fieldLine:
		if len(text) == 0 {
			return f.takeHeaderEnd()
		}
		return f.takeField(text)
	case chunkSize:
		return f.takeChunkSize(text)
	case chunkEnd:
		f.state = chunkSize
		return len(text) == 0
	case trailerLine:
		if len(text) == 0 {
			f.state = requestLine
			return true
		}
		return isField(text)
	}
	return false
}

// isField reports whether a line is a field with a name that is a token and a value without control characters (RFC 9112 section 5). net/http judges those of headers, but
// finds bad ones of trailers only when the request has been forwarded.
func isField(text []byte) bool {
	name, value, ok := bytes.Cut(text, []byte(":"))
	if !ok || !isToken(string(name)) {
		return false
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func (f *framing) takeRequestLine(text []byte) bool {
	if len(text) == 0 { // an empty line before a request is tolerated (RFC 9112 section 2.2)
		return true
	}
	f.lengths, f.codings, f.length, f.upgrade = 0, 0, 0, false
	f.old = bytes.HasSuffix(text, []byte(" HTTP/1.0"))
	f.state = fieldLine
	if string(text) == "PRI * HTTP/2.0" { // with prior knowledge; net/http knows that framing
		f.release()
	}
	return true
}

func (f *framing) takeField(text []byte) bool {
	if folded(text) {
		return false
	}
	name, value, ok := bytes.Cut(text, []byte(":"))
	if !ok {
		return false
	}
	value = bytes.Trim(value, " \t")
	switch {
	case len(name) == len("Upgrade") && gate.EqualName(string(name), "Upgrade"):
		f.upgrade = true
	case len(name) == len("Content-Length") && gate.EqualName(string(name), "Content-Length"):
		f.lengths++
		f.length, ok = parseDigits(value, 10, 18)
		return ok && f.lengths == 1
	case len(name) == len("Transfer-Encoding") && gate.EqualName(string(name), "Transfer-Encoding"):
		f.codings++ // net/http takes only one, and only chunked
	}
	return true
}

func (f *framing) takeHeaderEnd() bool {
	switch {
	case f.codings > 0 && (f.lengths > 0 || f.old):
		return false
	case f.codings > 0:
		f.state = chunkSize
	case f.length > 0:
		f.state, f.left = sizedBody, f.length
	default:
		f.state = requestLine
		if f.upgrade {
			f.release()
		}
	}
	return true
}

// takeChunkSize reads the size; an extension is skipped (RFC 9112 section 7.1.1).
func (f *framing) takeChunkSize(text []byte) bool {
	size, _, extended := bytes.Cut(text, []byte(";"))
	if extended {
		size = bytes.TrimRight(size, " \t")
	}
	n, ok := parseDigits(size, 16, 15)
	if f.left = n; n == 0 {
		f.state = trailerLine
	} else {
		f.state = chunkData
	}
	return ok
}

func (f *framing) release() {
	f.state = unwatched
	f.released.Store(true)
}

func folded(text []byte) bool { return len(text) > 0 && (text[0] == ' ' || text[0] == '\t') }

// parseDigits reads a number of at most most digits, and nothing else.
func parseDigits(text []byte, base uint64, most int) (n uint64, ok bool) {
	if len(text) == 0 || len(text) > most {
		return 0, false
	}
	for _, b := range text {
		d := uint64(99)
		switch {
		case '0' <= b && b <= '9':
			d = uint64(b - '0')
		case 'a' <= b && b <= 'f':
			d = uint64(b-'a') + 10
		case 'A' <= b && b <= 'F':
			d = uint64(b-'A') + 10
		}
		if d >= base {
			return 0, false
		}
		n = n*base + d
	}
	return n, true
}
