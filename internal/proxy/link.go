package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/rawconn"
)

var (
	// errHTTP2 is not a failure: the server prefers HTTP/2, which is spoken by net/http.
	errHTTP2   = errors.New("the server has chosen HTTP/2")
	errStopped = errors.New("the connection was interrupted")
)

// link is a connection of our own HTTP/1.1 client. It belongs to one call at a time; only interrupt may come from anywhere.
type link struct {
	net.Conn           // TCP, or TLS over it
	raw      net.Conn  // without TLS: what can be probed
	below    *counter  // with TLS: what TLS reads from; nil without
	mark     int64     // bytes read below TLS when the last request was written
	used     bool      // it has served a request
	since    time.Time // when it became idle
	stopped  atomic.Bool

	// The time limits that are set. Setting one costs as much as parsing a head, so that it is done only when the last one is too near or too far.
	readUntil, writeUntil time.Time

	prev, next *link // among the pool's links in use; guarded by its mutex
}

// counter counts what is read.
type counter struct {
	net.Conn
	read int64
}

// Read is net.Conn's.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read += int64(n)
	return n, err
}

// link opens a connection to addr. The error is errHTTP2 or a *dialError.
func (d *dialer) link(ctx context.Context, addr string) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("no connection within %v", d.timeout))
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, &dialError{err}
	}
	raw := rawconn.Wrap(c, rawconn.Raw)
	if d.tls == nil {
		return &link{Conn: raw, raw: raw}, nil
	}
	config, err := d.config(addr)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	below := &counter{Conn: raw}
	secure := tls.Client(below, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &dialError{fmt.Errorf("TLS handshake: %w", err)}
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		_ = secure.Close()
		return nil, errHTTP2
	}
	return &link{Conn: secure, raw: raw, below: below}, nil
}

// address is where the target's connections go.
func (t target) address() string {
	u := url.URL{Host: t.host}
	port := u.Port()
	if port == "" {
		port = "80"
		if t.scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// fit reports whether an idle link can carry another request. Bytes that nobody has asked for are no answer to the next request.
func (l *link) fit() bool { return rawconn.Probe(l.raw) == rawconn.Quiet }

// interrupt ends what is under way on the link for good.
func (l *link) interrupt() {
	l.stopped.Store(true) // before the limits, so that a call that sets others sees it
	_ = l.SetDeadline(time.Unix(1, 0))
}

// stale reports whether the limit that is set lets a wait from now on take less than seven eighths of limit, or more than limit.
func stale(set, now time.Time, limit time.Duration) bool {
	left := set.Sub(now)
	return left > limit || left < limit-limit/8
}

// limitRead lets reads wait for limit, or a little less.
func (l *link) limitRead(now time.Time, limit time.Duration) error {
	if stale(l.readUntil, now, limit) {
		l.readUntil = now.Add(limit)
		if err := l.SetReadDeadline(l.readUntil); err != nil {
			return err
		}
	}
	if l.stopped.Load() {
		return errStopped
	}
	return nil
}

// limitWrite lets writes wait for limit, or a little less.
func (l *link) limitWrite(now time.Time, limit time.Duration) error {
	if stale(l.writeUntil, now, limit) {
		l.writeUntil = now.Add(limit)
		if err := l.SetWriteDeadline(l.writeUntil); err != nil {
			return err
		}
	}
	if l.stopped.Load() {
		return errStopped
	}
	return nil
}

// asked notes that a request follows.
func (l *link) asked() {
	if l.below != nil {
		l.mark = l.below.read
	}
}

// unasked reports, when the first bytes of a response are there, whether they came before the request: TLS may hold records that Probe does not see.
func (l *link) unasked() bool { return l.below != nil && l.used && l.below.read == l.mark }

// switched is a link that speaks another protocol. Its first bytes may have come with the head of the response.
type switched struct {
	link  *link
	early []byte
	stall time.Duration // how long one write may take
}

// Read is io.Reader's.
func (s *switched) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	return s.link.Read(p)
}

// Write is io.Writer's.
func (s *switched) Write(p []byte) (int, error) {
	if err := s.link.limitWrite(time.Now(), s.stall); err != nil {
		return 0, err
	}
	return s.link.Write(p)
}

// CloseWrite tells the server that nothing more comes.
func (s *switched) CloseWrite() error {
	if half, ok := s.link.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection.
func (s *switched) Close() error { return s.link.Close() }

// timedOut reports whether err is the end of a time limit.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
