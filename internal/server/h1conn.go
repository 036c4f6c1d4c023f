package server

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/h1"
	"github.com/jotgate/jotgate/internal/rawconn"
)

const (
	// h1Buffer is the size of the buffers that requests are read into and responses are written from. A head that needs more gets a buffer of its own.
	h1Buffer = 16 << 10
	// h1Spare is what a response buffer has beyond that, so that a head and a piece of a body that filled a buffer leave in one write.
	h1Spare = 4 << 10
	// deadlineSlack is how much later than asked a time limit may strike. In return it is set anew only that often, not for every request.
	deadlineSlack = time.Second
	// lingerTime bounds the wait for a client to read the last response of a connection on which it still sends.
	lingerTime = 500 * time.Millisecond
	// lingerBytes bounds what is read and thrown away meanwhile.
	lingerBytes = 256 << 10
)

// preface is how an HTTP/2 connection begins (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// h1conn is a connection that speaks HTTP/1.1, served by this package's own engine: one goroutine reads a request, serves it, writes the response and goes on. While
// the connection is idle it holds no buffer.
type h1conn struct {
	g    *generation
	base *conn
	nc   net.Conn // what HTTP is spoken on: base, or TLS over it

	in         *[]byte // nil while idle
	start, end int     // what is in it and not used yet: (*in)[start:end]

	readEnd  time.Time // the time limit of reads that is set, and when it was
	closing  bool      // no further request is read
	hijacked bool
}

var (
	h1Buffers = sync.Pool{New: func() any { b := make([]byte, h1Buffer); return &b }}
	h1Outputs = sync.Pool{New: func() any { b := make([]byte, 0, h1Buffer+h1Spare); return &b }}
	h1Pool    = sync.Pool{New: func() any { return new(h1session) }}
)

// serveH1 serves the connection until it ends. nc is base or a TLS connection over it.
func (g *generation) serveH1(base *conn, nc net.Conn) {
	c := &h1conn{g: g, base: base, nc: nc}
	base.h1.Store(true)
	for !c.closing && !c.hijacked && c.next() {
	}
	if c.hijacked {
		return // the connection belongs to somebody else, or is served by net/http
	}
	c.releaseInput()
	_ = c.nc.Close()
	_ = base.Close()
}

// next serves one request and reports whether another may follow.
func (c *h1conn) next() bool {
	if !c.await() {
		return false
	}
	s := h1Pool.Get().(*h1session)
	s.begin(c)
	ok := s.head()
	if ok {
		ok = s.exchange()
	}
	s.end()
	if c.start == c.end && !c.hijacked {
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
	c.base.idle.Store(true)
	if c.g.leaving.Load() && c.base.used.Load() {
		return false // an answer has told the client to go
	}
	c.limitReads(c.g.cfg.IdleTimeout)
	if len(c.base.ahead) > 0 {
		c.takeInput()
		c.end = copy(*c.in, c.base.ahead)
		c.base.ahead = c.base.ahead[c.end:]
	} else {
		var pooled *[]byte
		_, n, err := rawconn.ReadLazy(c.reader(), func() []byte {
			pooled = h1Buffers.Get().(*[]byte)
			return *pooled
		}, func([]byte) {
			h1Buffers.Put(pooled)
			pooled = nil
		})
		if n == 0 || err != nil && n == 0 {
			return false
		}
		c.in, c.start, c.end = pooled, 0, n
	}
	c.base.idle.Store(false)
	if !c.base.used.Swap(true) && c.mayBeHTTP2() {
		return c.handOver()
	}
	return true
}

// reader is what to read from: below TLS-less connections the raw one, so that an idle connection holds no buffer.
func (c *h1conn) reader() net.Conn {
	if c.nc == net.Conn(c.base) {
		return c.base.raw
	}
	return c.nc
}

// mayBeHTTP2 reports whether a plain connection begins like HTTP/2.
func (c *h1conn) mayBeHTTP2() bool {
	if !c.g.cfg.HTTP2 || c.nc != net.Conn(c.base) {
		return false
	}
	got := (*c.in)[:min(c.end, len(preface))]
	return len(got) >= 3 && bytes.HasPrefix([]byte(preface), got)
}

// handOver gives a connection that speaks HTTP/2 to net/http, with what was read of it.
func (c *h1conn) handOver() bool {
	c.base.ahead = append(bytes.Clone((*c.in)[:c.end]), c.base.ahead...)
	c.start, c.end = 0, 0
	c.releaseInput()
	_ = c.base.SetReadDeadline(time.Time{})
	c.hijacked = true
	c.base.h1.Store(false)
	c.g.hand(&plainConn{c.base, c.base})
	return false
}

func (c *h1conn) takeInput() {
	if c.in == nil {
		c.in = h1Buffers.Get().(*[]byte)
		c.start, c.end = 0, 0
	}
}

func (c *h1conn) releaseInput() {
	if c.in == nil {
		return
	}
	if len(*c.in) == h1Buffer {
		h1Buffers.Put(c.in)
	}
	c.in, c.start, c.end = nil, 0, 0
}

// more reads more of a request behind what is there. A buffer that is full grows, up to limit.
func (c *h1conn) more(limit int) error {
	if c.end == len(*c.in) {
		if c.start > 0 {
			c.end = copy(*c.in, (*c.in)[c.start:c.end])
			c.start = 0
		} else {
			if len(*c.in) >= limit {
				return h1.ErrHeadTooLarge
			}
			grown := make([]byte, min(2*len(*c.in), limit+1))
			copy(grown, *c.in)
			c.releaseInputKeeping(&grown)
		}
	}
	n, err := c.read((*c.in)[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (c *h1conn) releaseInputKeeping(grown *[]byte) {
	end := c.end
	c.releaseInput()
	c.in, c.end = grown, end
}

// read reads what was read ahead first.
func (c *h1conn) read(p []byte) (int, error) {
	if c.nc == net.Conn(c.base) && len(c.base.ahead) == 0 {
		return c.base.raw.Read(p)
	}
	return c.nc.Read(p)
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
	end := time.Now().Add(d)
	if left := c.readEnd.Sub(end); left >= 0 && left <= deadlineSlack {
		return
	}
	c.readEnd = end.Add(deadlineSlack)
	_ = c.base.SetReadDeadline(c.readEnd)
}

// linger lets the client read the last response before the connection is closed: closing it while the client still sends would reset it.
func (c *h1conn) linger() {
	if w, ok := c.nc.(interface{ CloseWrite() error }); !ok || w.CloseWrite() != nil {
		return
	}
	_ = c.base.SetReadDeadline(time.Now().Add(lingerTime))
	c.takeInput()
	for left := lingerBytes; left > 0; {
		n, err := c.read(*c.in)
		if err != nil {
			return
		}
		left -= n
	}
}

// h1context is the context of exchanges of this engine. It never ends: the engine notices by itself that a client is gone, and the end of the gateway closes the
// connections on both sides.
func h1context() context.Context { return context.Background() }
