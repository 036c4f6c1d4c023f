package server

import (
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/rawconn"
)

// writePiece bounds what is written in one go, so that the time limit starts anew while a large write makes progress.
const writePiece = 128 << 10

// conn is a client's TCP connection, below TLS. It ends writes that make no progress, serves the bytes that were read past a PROXY protocol header, and
// is known to its generation until it is closed.
type conn struct {
	*net.TCPConn
	raw        net.Conn // what TCPConn is read and written by
	generation *generation
	peer       netip.AddrPort // after the PROXY protocol
	serverName string         // from TLS
	clientCert *x509.Certificate
	ahead      []byte      // read already; only the reading goroutine touches it
	used       atomic.Bool // HTTP has begun: something was read past the PROXY protocol and TLS
	closed     sync.Once
	framing    framing // of HTTP/1.1; the reading goroutine's, but for its atomic field

	writeEnd atomic.Int64 // deadline that was asked for by SetWriteDeadline, in nanoseconds since epoch; 0 is none
	writeSet atomic.Int64 // deadline that Write has set, likewise

	mu   sync.Mutex
	idle bool // this package's own engine waits for a request
	cut  bool // endIdle has ended that wait
}

func newConn(tcp *net.TCPConn, g *generation) *conn {
	return &conn{TCPConn: tcp, raw: rawconn.Wrap(tcp, rawconn.Raw), generation: g}
}

// setIdle says that the connection waits for a request.
func (c *conn) setIdle() {
	c.mu.Lock()
	c.idle = true
	c.mu.Unlock()
}

// setBusy says that it waits no more, and reports whether endIdle has ended it: then the time limit of reads is past.
func (c *conn) setBusy() (cut bool) {
	c.mu.Lock()
	cut, c.idle, c.cut = c.cut, false, false
	c.mu.Unlock()
	return cut
}

// endIdle makes the engine stop to wait for a request. One that arrives in this instant is served.
func (c *conn) endIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle {
		c.cut = true
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// isIdle reports whether the engine waits for a request.
func (c *conn) isIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle
}

// RemoteAddr is the peer after the PROXY protocol.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// Read serves what was read ahead first.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.raw.Read(p)
}

// Write fails when the peer takes nothing for the listener's BodyTimeout, or a little longer (deadlineSlack): the limit is not set anew for every write. Then closing the connection will reset it: the
// kernel would go on to keep what the peer does not take, which may be megabytes.
func (c *conn) Write(p []byte) (int, error) {
	stall := c.generation.cfg.BodyTimeout
	if stall <= 0 {
		return c.raw.Write(p)
	}
	total := 0
	for {
		if err := c.limitWrites(stall); err != nil {
			return total, err
		}
		n, err := c.raw.Write(p[:min(len(p), writePiece)])
		total += n
		p = p[n:]
		if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			c.reset()
		}
		if err != nil || len(p) == 0 {
			return total, err
		}
	}
}

func (c *conn) limitWrites(stall time.Duration) error {
	end := time.Since(epoch) + stall
	asked := time.Duration(c.writeEnd.Load())
	if asked != 0 && asked < end {
		c.writeSet.Store(0)
		return c.TCPConn.SetWriteDeadline(epoch.Add(asked))
	}
	if c.writeSet.Load() >= int64(end) {
		return nil
	}
	end += min(stall/4, deadlineSlack)
	c.writeSet.Store(int64(end))
	return c.TCPConn.SetWriteDeadline(epoch.Add(end))
}

// epoch is where times that are kept as numbers begin. time.Since it costs half of what time.Now does.
var epoch = time.Now()

// SetWriteDeadline bounds writes; the listener's limit applies as well.
func (c *conn) SetWriteDeadline(t time.Time) error {
	var asked int64
	if !t.IsZero() {
		asked = int64(t.Sub(epoch))
	}
	c.writeEnd.Store(asked)
	c.writeSet.Store(0)
	return c.TCPConn.SetWriteDeadline(t)
}

// SetDeadline bounds reads and writes.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// Close closes the connection at once.
func (c *conn) Close() error {
	err := c.TCPConn.Close()
	c.closed.Do(func() { c.generation.forget(c) })
	return err
}

// reset makes Close break the connection off, so that the peer cannot take what it has for complete.
func (c *conn) reset() { _ = c.SetLinger(0) }
