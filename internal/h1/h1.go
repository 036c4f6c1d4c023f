// Package h1 is the HTTP/1.1 message codec (RFC 9112): heads are parsed in place, bodies are told apart from what follows them, heads and chunks are written
// in one canonical form. It is pure: it knows buffers, no sockets, no goroutines and no time.
//
// It is strict. A message that two recipients could read differently is an error: bare CR or LF, obs-fold, white space before a colon, control characters, more than one way to find
// the end of the body, more than one host. What passes is therefore safe to write again from its parsed form, and nothing of the received bytes but method, target, names and values
// of fields and the body's data ever reaches the other side.
//
// # Lifetime
//
// The strings of a parsed head alias the buffer that it was parsed from. They are valid until a byte of that part of the buffer is changed, and must not be used afterwards: a buffer
// goes back to a pool, is compacted or is read into again only after the last use of Request, Response and every Header made from them. Whoever keeps a string longer (in a map, a label
// of a metric, a log line of another goroutine) clones it. Well-known methods are the exception: they are constants.
package h1

import (
	"unsafe"

	"github.com/jotgate/jotgate/internal/gate"
)

// Framing says how the end of a body is found (RFC 9112 section 6.3).
type Framing uint8

// The framings.
const (
	// NoBody: the head is all there is, and it has no framing field that counts.
	NoBody Framing = iota
	// Sized: the body has Length bytes, which may be 0.
	Sized
	// Chunked: the body is in the chunked coding (RFC 9112 section 7.1).
	Chunked
	// UntilClose: the body ends with the connection. Only responses have it.
	UntilClose
)

// Limits bound what a peer may send. A zero member stands for its default.
type Limits struct {
	// Head is the largest size of a head in bytes, from its first byte to the end of its empty line.
	Head int
	// Fields is the largest number of field lines in a head, Host included.
	Fields int
	// Trailer is the largest size of a trailer section in bytes, its empty line included; it has at most Fields lines.
	Trailer int
	// ChunkExtension is the largest size of the extensions of one chunk in bytes. All extensions of a body together may have 16 KiB more than the data so far.
	ChunkExtension int
	// HTTP10 lets requests of HTTP/1.0 pass. They need a Host field all the same.
	HTTP10 bool
}

// The defaults of Limits.
const (
	DefaultHead           = 64 << 10
	DefaultFields         = 128
	DefaultTrailer        = 8 << 10
	DefaultChunkExtension = 256
)

// WithDefaults returns l with the defaults filled in. Parsers do it on every call; who has limits for longer does it once.
func (l Limits) WithDefaults() Limits {
	if l.Head <= 0 {
		l.Head = DefaultHead
	}
	if l.Fields <= 0 {
		l.Fields = DefaultFields
	}
	if l.Trailer <= 0 {
		l.Trailer = DefaultTrailer
	}
	if l.ChunkExtension <= 0 {
		l.ChunkExtension = DefaultChunkExtension
	}
	return l
}

// Request is a parsed request head. Its strings alias the buffer: see the package comment. The zero value is ready; reuse keeps the memory of Header.
type Request struct {
	// Method is a token, and never CONNECT.
	Method string
	// URI is the request-target as sent. Target is its origin form (RFC 9112 section 3.2.1): path and query, or "*" with OPTIONS.
	URI, Target string
	// Scheme is http or https as spelled in an absolute-form target, and empty otherwise. It says nothing about the connection.
	Scheme string
	// Proto is 11, or 10 if Limits allow it.
	Proto int
	// Host is the value of the one Host field: a name or an address and an optional port. An absolute-form target names the same host.
	Host string
	// Header has every field line in the order in which it came, but for Host. Content-Length, Transfer-Encoding and Connection are among them: their meaning is in the members below,
	// and the Append functions leave them out.
	Header gate.Header
	// Framing is NoBody, Sized or Chunked; Length is the size of the body in bytes, 0 with NoBody, -1 with Chunked.
	Framing Framing
	Length  int64
	// Close says that the client sends no further request: it said so, or it speaks HTTP/1.0.
	Close bool
	// Upgrade is the value of the one Upgrade field of a client that asks to switch protocols (RFC 9110 section 7.8); empty otherwise. Which protocols are fit to be switched to is not judged here.
	Upgrade string
	// Expect says that the client may wait for a 100 response before it sends the body (RFC 9110 section 10.1.1).
	Expect bool

	parse head
}

// Response is a parsed response head. Its strings alias the buffer: see the package comment. The zero value is ready; reuse keeps the memory of Header.
type Response struct {
	// Proto is 11 or 10, Status 100 to 999. The reason phrase is not kept.
	Proto, Status int
	// Header has every field line in the order in which it came, Content-Length, Transfer-Encoding and Connection included.
	Header gate.Header
	// Framing is how the body ends. NoBody with interim responses, 204, 304 and responses to HEAD, whatever the fields say.
	Framing Framing
	// Length is what Content-Length says, -1 without it. With NoBody it is what a GET would have got (RFC 9110 section 8.6), not a size of what follows.
	Length int64
	// Close says that the connection must not be used for another request.
	Close bool
	// Upgrade is the value of the one Upgrade field of a 101 response whose Connection field names it; empty otherwise.
	Upgrade string

	parse head
}

// text is b as a string that aliases it.
func text(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // aliasing is the point; the package comment says how long it is valid
}
