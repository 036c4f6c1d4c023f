package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
	"github.com/jotgate/jotgate/internal/rawconn"
)

const (
	// h1Buffer is the size of the buffers that requests are read into and responses are written from. A head that needs more gets a buffer of its own.
	h1Buffer = 16 << 10
	// h1Spare is what a response buffer has beyond that, so that a head and a piece of a body that filled a buffer leave in one write.
	h1Spare = 4 << 10
	// deadlineSlack is how much later than asked a time limit may strike, or a quarter of it if that is less. In return it is set anew only that often, not for every request.
	deadlineSlack = time.Second
	// restTime is how long a connection waits for a request where it has served the last one. Then it rests.
	restTime = 2 * time.Second
	// lingerTime bounds the wait for a client to read the last response of a connection on which it may still send.
	lingerTime = 500 * time.Millisecond
)

// preface is how an HTTP/2 connection begins (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// h1conn is a connection that speaks HTTP/1.1, served by this package's own engine: one goroutine reads a request, serves it, writes the response and goes on. While
// the connection is idle it holds no buffer.
type h1conn struct {
	g    *generation
	base *conn
	nc   net.Conn // what HTTP is spoken on: base, or TLS over it

	hop *gate.Hop // of the last exchange; nil while it rests

	in         *[]byte // nil while idle
	start, end int     // what is in it and not used yet: (*in)[start:end]

	lazy *[]byte       // what readLazy reads into
	get  func() []byte // takes it
	put  func([]byte)  // gives it back

	readEnd  time.Time // the time limit of reads that is set; zero: none, or not known
	served   bool      // the head of a request was read
	lingers  bool      // the client may still send when the connection ends, and is to get the last response all the same
	rests    bool      // it has waited for restTime
	aborted  bool      // the last response was broken off
	hijacked bool      // the connection belongs to somebody else, or is served by net/http
}

var (
	h1Buffers = sync.Pool{New: func() any { b := make([]byte, h1Buffer); return &b }}
	h1Outputs = sync.Pool{New: func() any { b := make([]byte, 0, h1Buffer+h1Spare); return &b }}
	h1Pool    = sync.Pool{New: func() any { return new(h1session) }}
)

func takeBuffer() *[]byte { return h1Buffers.Get().(*[]byte) }

// giveBuffer puts a buffer back, unless it was made for a large head. Strings of requests alias it: none of them may be in use any more.
func giveBuffer(b *[]byte) {
	if poison {
		for i := range *b {
			(*b)[i] = 0xdb
		}
	}
	if len(*b) == h1Buffer {
		h1Buffers.Put(b)
	}
}

// serveH1 serves the connection until it ends. nc is base or a TLS connection over it.
func (g *generation) serveH1(base *conn, nc net.Conn) {
	c := &h1conn{g: g, base: base, nc: nc}
	c.get, c.put = c.takeLazy, c.giveLazy
	c.serve()
}

// serve serves requests until the connection ends or rests.
func (c *h1conn) serve() {
	defer c.finish()
	for c.next() {
	}
}

// rest lets the connection wait for a request on a goroutine of its own, whose stack is small: stacks that have grown hardly shrink. What needs more stack is done before. Over TLS no buffer is held
// from here on either.
func (c *h1conn) rest() {
	raw, err := c.base.SyscallConn()
	if err != nil {
		c.rests = false
		c.finish()
		return
	}
	c.hop = nil
	c.limitReads(max(c.g.cfg.IdleTimeout-restTime, time.Millisecond))
	c.base.setIdle()
	if c.g.over.Load() {
		c.limitReads(lingerOnStop)
	}
	readable := func(uintptr) bool { return rawconn.Probe(c.base.raw) != rawconn.Quiet }
	c.g.set.tasks.Go(func() {
		err := raw.Read(readable)
		c.wake(err)
	})
}

// wake ends the rest of a connection on which there is something to read, or nothing if there is an error.
func (c *h1conn) wake(err error) {
	c.rests = false
	if c.base.setBusy(); err != nil && rawconn.Probe(c.base.raw) != rawconn.Readable {
		c.finish()
		return
	}
	c.readEnd = time.Time{}
	_ = c.base.SetReadDeadline(time.Time{})
	c.serve()
}

// finish ends the connection.
func (c *h1conn) finish() {
	switch {
	case c.hijacked:
		return
	case c.rests:
		c.rest()
		return
	}
	c.releaseInput()
	switch {
	case c.aborted:
		// Over TLS, closing nc would tell the client that all is well.
	case c.lingers:
		c.linger()
	default:
		_ = c.nc.Close()
	}
	_ = c.base.Close()
}

// secure reports whether the connection has TLS.
func (c *h1conn) secure() bool { return c.nc != net.Conn(c.base) }

// next serves one request and reports whether another may follow.
func (c *h1conn) next() bool {
	if !c.await() {
		return false
	}
	s := h1Pool.Get().(*h1session)
	s.begin(c)
	ok := s.head() && s.exchange()
	s.end()
	if c.start == c.end {
		c.releaseInput()
	}
	h1Pool.Put(s)
	return ok
}

// await waits for the first bytes of a request and reports whether there are any.
func (c *h1conn) await() bool {
	if c.start < c.end {
		return true
	}
	limit := c.g.cfg.IdleTimeout
	switch {
	case !c.served: // what a client connects for is a request
		limit = c.g.cfg.HeaderTimeout
	case canRest && limit > restTime:
		limit = restTime
	}
	c.limitReads(limit)
	c.base.setIdle()
	if c.g.over.Load() { // clients were told to go, or would be by the next response
		limit = lingerOnStop
		c.limitReads(limit)
	}
	buf, n, err := c.readLazy()
	cut := c.base.setBusy()
	if cut || n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		c.readEnd = time.Time{}
		_ = c.base.SetReadDeadline(time.Time{})
		switch {
		case n > 0:
		case rawconn.Probe(c.base.raw) == rawconn.Readable: // it came in the last instant
			c.limitReads(c.g.cfg.HeaderTimeout)
			buf, n, _ = c.readLazy()
		case !cut && c.served && limit == restTime:
			c.rests = true
		}
	}
	if n == 0 {
		return false
	}
	c.in, c.start, c.end = buf, 0, n
	if c.served {
		return true
	}
	c.base.used.Store(true)
	return !c.mayBeHTTP2() || c.handOver()
}

// readLazy waits for bytes, without a buffer where that is possible. The caller gives the buffer back; there is one unless n is 0.
func (c *h1conn) readLazy() (buf *[]byte, n int, err error) {
	if len(c.base.ahead) > 0 { // after a PROXY protocol header
		buf = takeBuffer()
		n = copy(*buf, c.base.ahead)
		if c.base.ahead = c.base.ahead[n:]; len(c.base.ahead) == 0 {
			c.base.ahead = nil
		}
		return buf, n, nil
	}
	_, n, err = rawconn.ReadLazy(c.reader(), c.get, c.put)
	buf, c.lazy = c.lazy, nil
	return buf, n, err
}

func (c *h1conn) takeLazy() []byte {
	c.lazy = takeBuffer()
	return *c.lazy
}

func (c *h1conn) giveLazy([]byte) {
	h1Buffers.Put(c.lazy) // nothing was ever in it
	c.lazy = nil
}

// reader is what to read from: without TLS the raw connection, so that an idle connection holds no buffer.
func (c *h1conn) reader() net.Conn {
	if c.secure() {
		return c.nc
	}
	return c.base.raw
}

// mayBeHTTP2 reports whether a plain connection begins like HTTP/2.
func (c *h1conn) mayBeHTTP2() bool {
	if !c.g.cfg.HTTP2 || c.secure() {
		return false
	}
	for {
		got := (*c.in)[:min(c.end, len(preface))]
		switch {
		case !strings.HasPrefix(preface, string(got)):
			return false
		case len(got) >= len("PRI"):
			return true
		}
		if c.more(h1Buffer) != nil { // the error comes again
			return false
		}
	}
}

// handOver gives a connection that speaks HTTP/2 to net/http, with what was read of it. It reports false: there is nothing left to serve here.
func (c *h1conn) handOver() bool {
	c.base.ahead = append(append([]byte(nil), (*c.in)[:c.end]...), c.base.ahead...)
	c.releaseInput()
	_ = c.base.SetReadDeadline(time.Time{})
	c.hijacked = true
	c.g.hand(&plainConn{c.base, c.base})
	return false
}

func (c *h1conn) releaseInput() {
	if c.in != nil {
		giveBuffer(c.in)
	}
	c.in, c.start, c.end = nil, 0, 0
}

// more reads more of a head behind what is there. A buffer that is full makes place, or grows up to limit: then what was parsed of it is invalid.
func (c *h1conn) more(limit int) error {
	if c.end == len(*c.in) {
		switch {
		case c.start > 0:
			c.end = copy(*c.in, (*c.in)[c.start:c.end])
			c.start = 0
		case len(*c.in) > limit:
			return h1.ErrHeadTooLarge
		default:
			grown := make([]byte, min(2*len(*c.in), limit+1))
			end := copy(grown, *c.in)
			c.releaseInput()
			c.in, c.end = &grown, end
		}
	}
	n, err := c.reader().Read((*c.in)[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// limitReads ends reads that wait for longer than d; 0 means no limit.
func (c *h1conn) limitReads(d time.Duration) {
	if d <= 0 {
		if !c.readEnd.IsZero() {
			c.readEnd = time.Time{}
			_ = c.base.SetReadDeadline(time.Time{})
		}
		return
	}
	slack := min(d/4, deadlineSlack)
	if !c.readEnd.IsZero() {
		if left := time.Until(c.readEnd) - d; left >= 0 && left <= slack {
			return
		}
	}
	c.readEnd = time.Now().Add(d + slack)
	_ = c.base.SetReadDeadline(c.readEnd)
}

// linger ends the connection in two steps (RFC 9112 section 9.6): closing it while the client still sends would reset it, and the client might lose the last response.
func (c *h1conn) linger() {
	_ = c.base.SetDeadline(time.Now().Add(lingerTime))
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok && c.secure() {
		_ = w.CloseWrite()
	}
	if c.base.CloseWrite() != nil {
		return
	}
	scratch := takeBuffer()
	defer giveBuffer(scratch)
	for {
		if _, err := c.base.raw.Read(*scratch); err != nil {
			return
		}
	}
}

// h1context is the context of exchanges of this engine. It is never done, which spares all that waits with it the price of being woken: the writer can be asked whether the client has Gone. Once the
// gateway has cut off what it serves, which closes the connections, Err and context.Cause say so.
type h1context struct {
	context.Context
}

// Done returns nil.
func (h1context) Done() <-chan struct{} { return nil }
