package server

import (
	"crypto/x509"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// writePiece bounds what is written in one go, so that the time limit starts anew while a large write makes progress.
const writePiece = 64 << 10

// conn is a client's TCP connection, below TLS. It ends writes that make no progress, serves the bytes that were read past a PROXY protocol header, and
// is known to its generation until it is closed.
type conn struct {
	*net.TCPConn
	generation *generation
	peer       netip.AddrPort // after the PROXY protocol
	serverName string         // from TLS
	clientCert *x509.Certificate
	ahead      []byte      // read already; only the reading goroutine touches it
	used       atomic.Bool // HTTP has begun: something was read past the PROXY protocol and TLS
	closed     sync.Once
	framing    framing // of HTTP/1.1; the reading goroutine's, but for its atomic field

	writeEnd atomic.Int64 // deadline that was asked for by SetWriteDeadline, in Unix nanoseconds; 0 is none
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
	return c.TCPConn.Read(p)
}

// Write fails when the peer takes nothing for the listener's BodyTimeout.
func (c *conn) Write(p []byte) (int, error) {
	stall := c.generation.cfg.BodyTimeout
	if stall <= 0 {
		return c.TCPConn.Write(p)
	}
	total := 0
	for {
		end := time.Now().Add(stall)
		if asked := c.writeEnd.Load(); asked != 0 && asked < end.UnixNano() {
			end = time.Unix(0, asked)
		}
		if err := c.TCPConn.SetWriteDeadline(end); err != nil {
			return total, err
		}
		n, err := c.TCPConn.Write(p[:min(len(p), writePiece)])
		total += n
		p = p[n:]
		if err != nil || len(p) == 0 {
			return total, err
		}
	}
}

// SetWriteDeadline bounds writes; the listener's limit applies as well.
func (c *conn) SetWriteDeadline(t time.Time) error {
	var asked int64
	if !t.IsZero() {
		asked = t.UnixNano()
	}
	c.writeEnd.Store(asked)
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
