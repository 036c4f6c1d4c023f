package server

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

// h1body is the body of a request of the own engine. Its errors, other than io.EOF, are denials. It may be read from another goroutine than the one that
// serves the exchange, and be closed while it is; it may also outlive its exchange in a forgotten goroutine, and is therefore not used for another: after
// end it touches nothing.
type h1body struct {
	s     *h1session // nil after end
	codec h1.Body
	limit int64         // 0: none
	stall time.Duration // how long a Read may wait

	mu      sync.Mutex
	idle    sync.Cond // no Read is under way
	own     *[]byte   // where bytes go that do not fit behind the head, which must stay as it is; nil if there are none
	a, b    int       // what is in it and not used yet: (*own)[a:b]
	reading bool
	closed  bool
	started bool
	waits   bool // the client waits to be told to go on
	read    int64
	err     error // how it ended: io.EOF, or a denial
}

// attach makes the body of the request whose head was read.
func (s *h1session) attach() {
	x, r := &s.x, &s.req
	if r.Framing == h1.NoBody || r.Framing == h1.Sized && r.Length == 0 {
		x.Body, x.Length = noBody{}, 0
		return
	}
	b := &h1body{s: s, limit: int64(s.c.g.cfg.MaxBodyBytes), stall: s.c.g.cfg.BodyTimeout, waits: r.Expect}
	b.idle.L = &b.mu
	b.codec.Reset(r.Framing, r.Length, s.c.g.h1limits)
	s.body = b
	x.Body, x.Length, x.Trailer = b, r.Length, b.trailer
}

// end cuts the body off from the connection. Bytes that came behind it become the connection's. No string of the request is in use any more.
func (b *h1body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.s.c
	switch {
	case b.own == nil:
	case b.a < b.b:
		c.releaseInput()
		c.in, c.start, c.end = b.own, b.a, b.b
	default:
		giveBuffer(b.own)
	}
	b.s, b.own, b.closed = nil, nil, true
}

// Read reads. The listener's BodyTimeout starts anew with each call.
func (b *h1body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed, b.reading:
		return 0, errBodyClosed
	case b.err != nil:
		return 0, b.err
	case b.limit > 0 && b.s.req.Length > b.limit:
		b.err = gate.Deny(gate.ReasonBodyLarge, gate.ErrBodyTooLarge)
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	if b.waits && !b.started && b.pending() == 0 {
		b.started, b.reading = true, true
		w := &b.s.w
		b.mu.Unlock() // the writer's lock is taken before the body's
		w.goOn()
		b.mu.Lock()
		b.reading = false
		b.idle.Broadcast()
	}
	b.started = true
	for {
		n, err := b.take(p)
		if n > 0 || err != nil {
			return b.judge(n, err)
		}
		if n, err = b.fill(p); err != nil || n > 0 {
			return b.judge(n, err)
		}
	}
}

// Ready reports that the next Read does not wait for the client.
func (b *h1body) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed || b.reading || b.err != nil || b.codec.Left() > 0 && b.pending() > 0
}

// pending is how many bytes are there already.
func (b *h1body) pending() int { return b.s.c.end - b.s.c.start + b.b - b.a }

// take moves data that is there already to p.
func (b *h1body) take(p []byte) (int, error) {
	c := b.s.c
	for b.pending() > 0 {
		src, at := []byte(nil), &c.start
		if c.start < c.end {
			src = (*c.in)[c.start:c.end]
		} else {
			src, at = (*b.own)[b.a:b.b], &b.a
		}
		data, n, err := b.codec.Next(src[:min(len(src), len(p))])
		*at += n
		if len(data) > 0 || err != nil {
			return copy(p, data), err
		}
	}
	return 0, nil
}

// fill waits for more bytes. Data of a body whose size is known goes to p at once. b.mu is held, but not while it waits.
func (b *h1body) fill(p []byte) (n int, err error) {
	c := b.s.c
	direct := b.s.req.Framing == h1.Sized
	if direct {
		p = p[:min(int64(len(p)), b.codec.Left())]
	} else if b.own != nil {
		giveBuffer(b.own)
		b.own = nil
	}
	c.limitReads(b.stall)
	b.reading = true
	b.mu.Unlock()
	var own *[]byte
	if direct {
		n, err = c.reader().Read(p)
	} else {
		own, n, err = c.readLazy()
	}
	b.mu.Lock()
	b.reading = false
	b.idle.Broadcast()
	switch {
	case n > 0 && direct:
		data, _, err := b.codec.Next(p[:n])
		return len(data), err
	case n > 0:
		b.own, b.a, b.b = own, 0, n
		return 0, nil
	case err == nil:
		err = io.ErrNoProgress
	case errors.Is(err, io.EOF):
		err = b.codec.Close()
	}
	return 0, err
}

// judge applies the limit and turns an error into a denial.
func (b *h1body) judge(n int, err error) (int, error) {
	b.read += int64(n)
	if b.limit > 0 && b.read > b.limit {
		n -= int(b.read - b.limit)
		b.read = b.limit
		err = gate.Deny(gate.ReasonBodyLarge, gate.ErrBodyTooLarge)
	} else if err != nil && !errors.Is(err, io.EOF) {
		err = gate.Deny(h1bodyReason(err), err)
	}
	b.err = err
	return n, err
}

func h1bodyReason(err error) gate.Reason {
	var malformed h1.Error
	if errors.As(err, &malformed) && malformed != h1.ErrTruncated {
		return gate.ReasonBadMessage
	}
	if errors.Is(err, h1.ErrTruncated) {
		return gate.ReasonClientGone
	}
	return bodyReason(err, false)
}

// Close ends reading; a Read under way fails.
func (b *h1body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.interrupt()
	return nil
}

// renew starts the time limit of a Read under way anew, because the response moves: in an exchange that goes both ways the client may well listen for long before
// it says more.
func (b *h1body) renew() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reading && !b.closed {
		b.s.c.limitReads(b.stall)
	}
}

// interrupt wakes a Read. b.mu is held.
func (b *h1body) interrupt() {
	if b.reading {
		b.s.c.readEnd = time.Time{}
		_ = b.s.c.base.SetReadDeadline(time.Unix(1, 0))
	}
}

func (b *h1body) trailer() gate.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.s == nil || !errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.codec.Trailer()
}

// endsConnection reports whether the connection cannot go on after this body: it broke off, or nobody began to read it and it is better left alone than drained, because it is large or the client waits
// to be asked for it.
func (b *h1body) endsConnection() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil && !errors.Is(b.err, io.EOF) || !b.started && (b.s.req.Length < 0 || b.s.req.Length > drainBytes || b.waits)
}

// unread reports whether the client may still be sending the body.
func (b *h1body) unread() bool { return b != nil && !errors.Is(b.err, io.EOF) }

// finish ends the body with its exchange: nobody reads any more. If its end was not seen, the rest is read if it is small; otherwise the connection ends, for what follows on it cannot be told from
// a request.
func (b *h1body) finish() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	interrupted := b.reading
	b.interrupt()
	for b.reading {
		b.idle.Wait()
	}
	b.closed = true
	w := &b.s.w
	if !errors.Is(b.err, io.EOF) && (b.err != nil || interrupted || w.close || !b.drain()) {
		w.close = true
	}
}

// drain reads what is left of the body and reports whether its end was reached. b.mu is held.
func (b *h1body) drain() bool {
	scratch := takeBuffer()
	defer giveBuffer(scratch)
	end := time.Now().Add(drainTime)
	for left := drainBytes; left > 0; {
		n, err := b.take(*scratch)
		if n == 0 && err == nil {
			if b.stall = time.Until(end); b.stall <= 0 {
				return false
			}
			n, err = b.fill(*scratch)
		}
		if err != nil {
			b.err = err
			return errors.Is(err, io.EOF)
		}
		left -= n
	}
	return false
}
