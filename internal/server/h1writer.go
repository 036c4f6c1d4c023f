package server

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

var (
	errTooLong = errors.New("the body is longer than its head says")
	errAborted = errors.New("the response is broken off")
)

// h1writer is the gate.Writer of an exchange of the own engine. What is written is gathered, so that an ordinary response is one system call. A request body that asks the client
// to go on writes too, perhaps from another goroutine: hence the lock.
type h1writer struct {
	s  *h1session
	mu sync.Mutex

	out     *[]byte // what is not sent yet; nil if there is nothing
	state   writerState
	framing h1.Framing
	left    int64 // of a body with a length
	noBody  bool
	ended   bool // the end of the body is written
	close   bool // the connection ends after this response
	aborted bool
	failed  error // of the connection
}

// end gives the memory back.
func (w *h1writer) end() {
	w.release()
	w.s, w.state, w.framing, w.left = nil, stateNew, 0, 0
	w.noBody, w.ended, w.close, w.aborted, w.failed = false, false, false, false, nil
}

func (w *h1writer) release() {
	if w.out != nil {
		*w.out = (*w.out)[:0]
		if cap(*w.out) == h1Buffer+h1Spare {
			h1Outputs.Put(w.out)
		}
		w.out = nil
	}
}

func (w *h1writer) buffer() *[]byte {
	if w.out == nil {
		w.out = h1Outputs.Get().(*[]byte)
	}
	return w.out
}

// Informational sends an interim response. 100 is sent when the body is first read.
func (w *h1writer) Informational(status int, header gate.Header) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.state != stateNew:
		return errHeadSent
	case status < 102 || status > 199 || w.s.x.Proto == 10:
		return nil
	}
	if err := w.appendHead(status, header, h1.Frame{}, nil); err != nil {
		return err
	}
	return w.flush()
}

// goOn tells a client that waits for it to send the body (RFC 9110 section 10.1.1), unless it has its answer already.
func (w *h1writer) goOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == stateNew {
		out := w.buffer()
		*out = append(*out, "HTTP/1.1 100 Continue\r\n\r\n"...)
		_ = w.flush()
	}
}

// Head writes the status line and header.
func (w *h1writer) Head(status int, header gate.Header, length int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != stateNew {
		return errHeadSent
	}
	x := &w.s.x
	w.noBody = x.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	frame := w.frame(status, header, length)
	if !w.close {
		g := w.s.c.g
		w.close = g.leaving.Load() || x.Proto == 10 || w.s.req.Close || w.s.body.endsConnection() || frame.Framing == h1.UntilClose
	}
	frame.Close = w.close
	if err := w.appendHead(status, header, frame, w.s.c.g.set.clock.Date(x.Start)); err != nil {
		return err
	}
	w.state, w.framing, w.left = stateHead, frame.Framing, frame.Length
	if w.noBody {
		w.framing, w.left = h1.NoBody, 0
	}
	return nil
}

// frame chooses how the body ends.
func (w *h1writer) frame(status int, header gate.Header, length int64) h1.Frame {
	switch {
	case status == http.StatusNoContent, status == http.StatusNotModified:
		return h1.Frame{}
	case w.noBody: // HEAD tells the length of what GET would have got (RFC 9110 section 8.6)
		if header.Has("Content-Length") {
			n, err := strconv.ParseUint(header.Get("Content-Length"), 10, 63)
			if err != nil || header.Count("Content-Length") != 1 {
				return h1.Frame{Head: true}
			}
			length = int64(n)
		} else if length <= 0 {
			return h1.Frame{Head: true}
		}
		return h1.Frame{Framing: h1.Sized, Length: length, Head: true}
	case length >= 0:
		return h1.Frame{Framing: h1.Sized, Length: length}
	case w.s.x.Proto == 10:
		return h1.Frame{Framing: h1.UntilClose}
	}
	return h1.Frame{Framing: h1.Chunked}
}

// appendHead leaves out fields that cannot be sent, as net/http does.
func (w *h1writer) appendHead(status int, header gate.Header, frame h1.Frame, date []byte) error {
	out := w.buffer()
	grown, err := h1.AppendResponseHead(*out, status, header, frame, date)
	if err != nil {
		header = slices.DeleteFunc(slices.Clone(header), func(f gate.Field) bool {
			_, err := h1.AppendResponseHead(nil, http.StatusEarlyHints, gate.Header{f}, h1.Frame{}, nil)
			return err != nil
		})
		grown, err = h1.AppendResponseHead(*out, status, header, frame, date)
	}
	*out = grown
	return err
}

// Write writes a part of the body.
func (w *h1writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.state != stateHead || w.ended:
		return 0, errNoHead
	case w.failed != nil:
		return 0, w.failed
	case w.aborted:
		return 0, errAborted
	case w.noBody || len(p) == 0:
		return len(p), nil
	case w.framing == h1.Sized && int64(len(p)) > w.left:
		return 0, errTooLong
	}
	var err error
	switch w.framing {
	case h1.Sized:
		w.left -= int64(len(p))
		err = w.emit(p)
	case h1.Chunked:
		out := w.buffer()
		*out = h1.AppendChunkSize(*out, len(p))
		if err = w.emit(p); err == nil {
			out = w.buffer()
			*out = append(*out, "\r\n"...)
		}
	default:
		err = w.emit(p)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// emit gathers p, or sends it if it is too much for that.
func (w *h1writer) emit(p []byte) error {
	out := w.buffer()
	if room := cap(*out) - len(*out); len(p) > room {
		if len(*out) > 0 { // fill it up: the fewer pieces, the better
			*out = append(*out, p[:max(room, 0)]...)
			p = p[max(room, 0):]
			if err := w.flush(); err != nil {
				return err
			}
			out = w.buffer()
		}
		if len(p) >= cap(*out) {
			return w.send(p)
		}
	}
	*out = append(*out, p...)
	return nil
}

// Flush sends what is gathered. Until more is written, no buffer is held: it may take long.
func (w *h1writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != stateHead {
		return errNoHead
	}
	err := w.flush()
	w.release()
	return err
}

func (w *h1writer) flush() error {
	if w.failed != nil || w.out == nil || len(*w.out) == 0 {
		return w.failed
	}
	err := w.send(*w.out)
	*w.out = (*w.out)[:0]
	return err
}

func (w *h1writer) send(p []byte) error {
	_, err := w.s.c.nc.Write(p)
	if err != nil {
		w.failed, w.close = err, true
		return err
	}
	w.s.body.renew()
	return nil
}

// Trailer ends the body with trailer fields. They are dropped where the body has no place for them.
func (w *h1writer) Trailer(header gate.Header) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != stateHead {
		return errNoHead
	}
	if w.framing != h1.Chunked || w.ended || len(header) == 0 {
		return nil
	}
	out := w.buffer()
	grown, err := h1.AppendChunkEnd(*out, header)
	if err != nil {
		return err
	}
	*out, w.ended = grown, true
	return nil
}

// finish ends the response and sends what is left of it.
func (w *h1writer) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.aborted:
	case w.framing == h1.Sized && w.left > 0:
		w.abort()
	case w.framing == h1.Chunked && !w.ended:
		out := w.buffer()
		*out, _ = h1.AppendChunkEnd(*out, nil) // without fields it cannot fail
		w.ended = true
	}
	_ = w.flush()
	w.release()
}

// Abort breaks the response off.
func (w *h1writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abort()
}

func (w *h1writer) abort() {
	w.aborted, w.close = true, true
	if w.framing == h1.UntilClose {
		w.s.c.base.reset() // the end of the connection would be taken for the end of the body
	}
}

// Gone reports whether the client has closed the connection, as far as can be told without reading from it, or the gateway has. One that has only ended its own side counts as gone, as with net/http.
func (w *h1writer) Gone() bool { return gone(w.s.c.base.TCPConn) }

// Upgrade answers 101 with header and hands the connection over. The listener's BodyTimeout still applies to writes; there is none on reads.
func (w *h1writer) Upgrade(header gate.Header) (io.ReadWriteCloser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != stateNew {
		return nil, errHeadSent
	}
	c := w.s.c
	protocol := header.Get("Upgrade")
	if w.s.x.Upgrade == "" || protocol == "" || header.Count("Upgrade") != 1 {
		return nil, errNoUpgrade
	}
	if err := w.appendHead(http.StatusSwitchingProtocols, header, h1.Frame{Upgrade: protocol}, nil); err != nil {
		return nil, err
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	w.state = stateHijacked
	w.release()
	_ = c.base.SetReadDeadline(time.Time{})
	stream := &h1stream{ReadWriteCloser: c.nc, early: append([]byte(nil), (*c.in)[c.start:c.end]...)}
	c.start = c.end
	return stream, nil
}
