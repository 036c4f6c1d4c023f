package h1

import (
	"bytes"
	"io"

	"github.com/jotgate/jotgate/internal/gate"
)

// trailers takes in bytes of the trailer section (RFC 9112 section 7.1.2) up to its empty line. It keeps them until they are complete: their lines are few, and their strings need a place.
func (b *Body) trailers(src []byte) (int, error) {
	for i := 0; i < len(src); {
		end := bytes.IndexByte(src[i:], '\n')
		piece := src[i:]
		if end >= 0 {
			piece = src[i : i+end+1]
		}
		if room := b.limits.Trailer - len(b.section); len(piece) > room {
			return i, b.failed(ErrTrailerTooLarge)
		}
		b.section = append(b.section, piece...)
		i += len(piece)
		if end < 0 {
			break
		}
		line := b.section[b.line:]
		b.line = len(b.section)
		if len(line) == 1 || line[len(line)-2] != '\r' {
			return i, b.failed(ErrBareLF)
		}
		if len(line) == 2 {
			return i, b.endTrailers()
		}
	}
	return len(src), nil
}

// endTrailers parses the complete section.
func (b *Body) endTrailers() error {
	var h head
	h.reset(b.section, false)
	if _, err := h.trailer(b.section, &b.trailer, b.limits.Fields); err != nil {
		e, _ := err.(Error) //nolint:errorlint // the codec's own, never wrapped
		return b.failed(e)
	}
	b.trailer.DelFunc(BarredTrailer)
	b.state = chunkDone
	return io.EOF
}

// BarredTrailer reports whether the field called name must not come in a trailer section, because it frames, routes, authenticates or describes the message, or belongs to the
// connection (RFC 9110 section 6.5.1).
func BarredTrailer(name string) bool {
	for _, barred := range [...]string{
		"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
		"Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Authorization", "Cookie", "Set-Cookie", "WWW-Authenticate",
		"Expect", "Range", "Max-Forwards", "Cache-Control", "Age", "Date", "Expires", "Location", "Retry-After", "Vary", "Warning",
	} {
		if gate.EqualName(name, barred) {
			return true
		}
	}
	return false
}
