package h1

import (
	"io"

	"github.com/jotgate/jotgate/internal/gate"
)

// Body finds the data of a message body, and its end, in the bytes that follow a head. It is a state machine over buffers of any size: it holds no data, starts no goroutine and allocates only
// to keep a trailer section. The zero value is the body of a message without one.
type Body struct {
	framing Framing
	state   chunkState
	left    int64 // bytes of data until the end of the body or chunk
	limits  Limits

	digits    int   // of the chunk size so far
	extension int   // bytes of extensions in this chunk
	overhead  int64 // bytes of extensions in all chunks
	data      int64 // bytes of data that were returned
	err       Error // with chunkFailed

	section []byte // the trailer section so far
	line    int    // where its current line starts
	trailer gate.Header
}

// chunkState is where in the chunked coding (RFC 9112 section 7.1) the next byte belongs.
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone
	chunkFailed
)

// extensionAllowance is how many bytes of chunk extensions a body may have more than data.
const extensionAllowance = 16 << 10

// Reset starts a body with the framing and length of its message. It keeps the memory of a former trailer section, unless that was large.
func (b *Body) Reset(framing Framing, length int64, limits Limits) {
	section, trailer := b.section, b.trailer
	clear(trailer[:cap(trailer)])
	const kept = 4 << 10
	if cap(section) > kept {
		section, trailer = nil, nil
	}
	*b = Body{framing: framing, limits: limits.WithDefaults(), section: section[:0], trailer: trailer[:0]}
	if framing == Sized {
		b.left = max(length, 0)
	}
}

// Next takes a piece of the body from the start of src: n bytes of src are consumed, and data, which is a part of src[:n] and may be empty, is what they hold. err is nil if the body goes on, io.EOF if it
// ended with these n bytes (src[n:] is not of it), and otherwise an Error that all later calls return as well. It is called again with the rest of src until that is empty or there is an error.
func (b *Body) Next(src []byte) (data []byte, n int, err error) {
	switch b.framing {
	case NoBody:
		return nil, 0, io.EOF
	case UntilClose:
		return src, len(src), nil
	case Chunked:
		return b.chunked(src)
	}
	n = int(min(int64(len(src)), b.left))
	b.left -= int64(n)
	if b.left == 0 {
		err = io.EOF
	}
	return src[:n], n, err
}

// Done reports whether the end of the body was seen. A body without bytes is done from the start.
func (b *Body) Done() bool {
	switch b.framing {
	case Sized:
		return b.left == 0
	case Chunked:
		return b.state == chunkDone
	case UntilClose:
		return false
	}
	return true
}

// Close judges the end of the connection: nil if the body may end here, ErrTruncated if bytes of it are missing.
func (b *Body) Close() error {
	if b.framing == UntilClose || b.Done() {
		return nil
	}
	return ErrTruncated
}

// Left is how many bytes of data are certain to follow: all that are left with Sized, those of the current chunk with Chunked. With UntilClose it is 0.
func (b *Body) Left() int64 { return b.left }

// Trailer returns the trailer fields once the end of the body was seen, without those that must not be in a trailer section. Its strings are valid until Reset.
func (b *Body) Trailer() gate.Header {
	if b.state != chunkDone {
		return nil
	}
	return b.trailer
}

// chunked is Next with the chunked coding. It returns at the end of each piece of data.
func (b *Body) chunked(src []byte) ([]byte, int, error) {
	for i := 0; i < len(src) || b.state >= chunkDone; {
		switch b.state {
		case chunkData:
			n := int(min(int64(len(src)-i), b.left))
			b.left -= int64(n)
			b.data += int64(n)
			if b.left == 0 {
				b.state = chunkDataCR
			}
			return src[i : i+n], i + n, nil
		case chunkTrailer:
			n, err := b.trailers(src[i:])
			i += n
			if err != nil {
				return nil, i, err
			}
		case chunkDone:
			return nil, i, io.EOF
		case chunkFailed:
			return nil, i, b.err
		default:
			if err := b.step(src[i]); err != nil {
				return nil, i, err
			}
			i++
		}
	}
	return nil, len(src), nil
}

// step takes in a byte of a chunk's first line or of the CRLF after its data.
func (b *Body) step(c byte) error {
	switch b.state {
	case chunkSize:
		return b.sizeByte(c)
	case chunkExtension:
		switch {
		case c == '\r':
			b.state = chunkSizeLF
		case c < ' ' && c != '\t' || c == 0x7f:
			return b.failed(ErrChunkExtension)
		default:
			b.extension++
			b.overhead++
			if b.extension > b.limits.ChunkExtension || b.overhead > extensionAllowance+b.data {
				return b.failed(ErrChunkExtension)
			}
		}
	case chunkSizeLF:
		switch {
		case c != '\n':
			return b.failed(ErrBareCR)
		case b.left == 0:
			b.state = chunkTrailer
		default:
			b.state = chunkData
		}
		b.digits, b.extension = 0, 0
	case chunkDataCR:
		if c != '\r' {
			return b.failed(ErrChunkEnd)
		}
		b.state = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return b.failed(ErrChunkEnd)
		}
		b.state = chunkSize
	}
	return nil
}

// sizeByte takes in a byte at the start of a chunk's first line: after the digits only an extension or the end of the line may follow, and no white space.
func (b *Body) sizeByte(c byte) error {
	digit := -1
	switch {
	case '0' <= c && c <= '9':
		digit = int(c - '0')
	case 'a' <= c && c <= 'f':
		digit = int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		digit = int(c-'A') + 10
	}
	const maxDigits = 15 // more might overflow in some recipient
	switch {
	case digit >= 0 && b.digits < maxDigits:
		b.digits++
		b.left = b.left<<4 | int64(digit)
	case b.digits > 0 && c == '\r':
		b.state = chunkSizeLF
	case b.digits > 0 && c == ';':
		b.state = chunkExtension
		b.extension++
		b.overhead++
	case b.digits > 0 && c == '\n':
		return b.failed(ErrBareLF)
	default:
		return b.failed(ErrChunkSize)
	}
	return nil
}

// failed makes err the end of the body, and returns it.
func (b *Body) failed(err Error) error {
	b.state, b.left, b.err = chunkFailed, 0, err
	return err
}
