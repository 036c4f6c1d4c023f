package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

const (
	// drainBytes is how much of a request body that nobody wants is read so that the connection can be kept.
	drainBytes = 64 << 10
	// drainTime bounds that.
	drainTime = 2 * time.Second
)

// errBodyClosed is what reading a body after it was closed, or after its exchange ended, gives.
var errBodyClosed = errors.New("read of a request body after it was closed")

// body is a request body. Its errors, other than io.EOF, are denials: too large, too slow, malformed, or the client is gone. It may outlive its exchange in a
// forgotten goroutine: after finish it touches nothing of it.
type body struct {
	rc    io.ReadCloser
	rw    deadliner
	r     *http.Request
	limit int64 // 0: none
	stall time.Duration
	h2    bool

	mu      sync.Mutex
	done    sync.Cond // a Read has ended
	reading bool
	closed  bool
	started bool // a Read happened
	read    int64
	renewed time.Time // when renew last set the time limit of the Read under way
	err     error     // how it ended: io.EOF, or a denial
}

// deadliner is what both response writers of net/http can do.
type deadliner interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	FlushError() error
}

// noBody is the body of a request without one.
type noBody struct{}

// Read is at the end.
func (noBody) Read([]byte) (int, error) { return 0, io.EOF }

// Close does nothing.
func (noBody) Close() error { return nil }

// attach fills in the body's side of the exchange. It returns nil if there is none.
func (s *session) attach(rw http.ResponseWriter, r *http.Request) *body {
	x := &s.x
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		x.Body = noBody{}
		return nil
	}
	x.Upgrade = "" // a protocol cannot begin in the middle of a body
	x.Length = r.ContentLength
	cfg := &s.w.generation.cfg
	b := &body{rc: r.Body, rw: s.w.deadlines(), r: r, limit: int64(cfg.MaxBodyBytes), stall: cfg.BodyTimeout, h2: s.w.h2}
	b.done.L = &b.mu
	x.Body, x.Trailer, s.w.body = b, b.trailer, b
	if !s.w.h2 {
		// Without this, net/http reads the rest of the body before it sends a response.
		_ = http.NewResponseController(rw).EnableFullDuplex()
	}
	return b
}

// Read reads. The time limit of the listener starts anew with each call, and whenever a part of the response was sent.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case b.closed, b.reading:
		return 0, errBodyClosed
	case b.limit > 0 && b.r.ContentLength > b.limit:
		b.err = gate.Deny(gate.ReasonBodyLarge, gate.ErrBodyTooLarge)
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	if b.limit > 0 {
		p = p[:min(int64(len(p)), b.limit-b.read+1)] // one more than allowed shows that there is more
	}
	b.reading, b.started, b.renewed = true, true, time.Time{}
	if b.stall > 0 {
		_ = b.rw.SetReadDeadline(time.Now().Add(b.stall)) // before interrupt can set another
	}
	b.mu.Unlock()
	n, err := b.rc.Read(p)
	b.mu.Lock()
	b.reading = false
	b.done.Broadcast()
	return b.judge(n, err)
}

// judge applies the limit and turns an error into a denial. b.mu is held.
func (b *body) judge(n int, err error) (int, error) {
	b.read += int64(n)
	if b.limit > 0 && b.read > b.limit {
		n -= int(b.read - b.limit)
		b.read = b.limit
		b.err = gate.Deny(gate.ReasonBodyLarge, gate.ErrBodyTooLarge)
		err = b.err
	}
	switch {
	case err == nil || b.err != nil:
	case errors.Is(err, io.EOF):
		b.err = io.EOF
		if b.stall > 0 && !b.h2 {
			// From here on net/http reads ahead, to see the client leave; that has no time limit.
			_ = b.rw.SetReadDeadline(time.Time{})
		}
	default:
		b.err = gate.Deny(bodyReason(err, b.h2), err)
	}
	if b.err != nil {
		err = b.err
	}
	return n, err
}

func bodyReason(err error, h2 bool) gate.Reason {
	var netErr net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return gate.ReasonSlowRequest
	case h2, errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &netErr):
		return gate.ReasonClientGone
	}
	return gate.ReasonBadMessage
}

// Close ends reading; a Read under way fails. It does not wait for the client.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.interrupt()
	return nil
}

// renew starts the time limit of a Read under way anew, because the response moves: in an exchange that goes both ways, such as a gRPC stream, the client may well
// listen for long before it says more. It is not done for every piece: the limit is longer by an eighth instead.
func (b *body) renew() {
	if b.stall <= 0 {
		return
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.reading || b.closed || now.Sub(b.renewed) < b.stall/8 {
		return
	}
	b.renewed = now
	_ = b.rw.SetReadDeadline(now.Add(b.stall + b.stall/8))
}

// interrupt wakes a Read. b.mu is held.
func (b *body) interrupt() {
	if b.reading {
		_ = b.rw.SetReadDeadline(time.Unix(1, 0))
	}
}

// trailer returns the trailer fields, without those that must not be among them (RFC 9110 section 6.5.1); they are there once Read returned io.EOF.
func (b *body) trailer() gate.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !errors.Is(b.err, io.EOF) || b.r == nil {
		return nil
	}
	var h gate.Header
	for name, values := range b.r.Trailer {
		if h1.BarredTrailer(name) {
			continue
		}
		for _, v := range values {
			h.Add(name, v)
		}
	}
	slices.SortStableFunc(h, func(a, c gate.Field) int { return strings.Compare(a.Name, c.Name) })
	return h
}

// unwanted reports whether a body that nobody began to read is better left alone than drained: it is large, or the client waits to be asked for it.
func (b *body) unwanted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.started && (b.r.ContentLength < 0 || b.r.ContentLength > drainBytes || b.r.Header.Get("Expect") != "")
}

// finish ends the body with its exchange: nobody reads any more, and if its end was not seen, an HTTP/1.1 connection is not used again, for what follows on it
// cannot be told from a request.
func (b *body) finish(w *writer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasReading := b.reading
	b.interrupt()
	for b.reading {
		b.done.Wait()
	}
	b.closed = true
	defer func() { b.r, b.rw, b.rc = nil, nil, closedBody{} }()
	if b.h2 || errors.Is(b.err, io.EOF) || w.aborted || w.state == stateHijacked {
		return
	}
	if b.err == nil && !wasReading && !w.close {
		_ = b.rw.FlushError() // the client need not wait for this
		if b.drain() {
			return
		}
	}
	_ = b.rw.SetReadDeadline(time.Unix(1, 0)) // net/http would try to drain it
	w.endConnection()
}

// drain reads what is left of a body and reports whether its end was reached. b.mu is held.
func (b *body) drain() bool {
	_ = b.rw.SetReadDeadline(time.Now().Add(drainTime))
	_, err := io.CopyN(io.Discard, b.rc, drainBytes+1)
	if !errors.Is(err, io.EOF) {
		return false
	}
	_ = b.rw.SetReadDeadline(time.Time{})
	return true
}

// closedBody stands for a body that is gone.
type closedBody struct{}

// Read fails.
func (closedBody) Read([]byte) (int, error) { return 0, errBodyClosed }

// Close does nothing.
func (closedBody) Close() error { return nil }
