package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

const (
	maxHeadBytes    = 1 << 20          // of a response's status line and header
	continueTimeout = time.Second      // how long a request that expects 100 (RFC 9110 section 10.1.1) waits for it
	pingAfter       = 30 * time.Second // silence after which an HTTP/2 connection is asked whether it still lives
	pingTimeout     = 15 * time.Second
)

// serverKey says what makes two servers the same: everything that their connections and their health depend on.
type serverKey struct {
	upstream           string
	target             target
	connect, idle      time.Duration
	maxIdle, maxActive int
	checked            bool
	check              gate.HealthCheck
	tlsDigest          string
	serverName         string
	insecure           bool
	engine             string
}

func keyOf(u *gate.Upstream, t target, tlsDigest string) serverKey {
	k := serverKey{
		upstream: u.Name, target: t,
		connect: u.ConnectTimeout, idle: u.IdleTimeout, maxIdle: u.MaxIdleConnections, maxActive: u.MaxConnections, engine: u.Engine,
	}
	if u.HealthCheck != nil {
		k.checked, k.check = true, *u.HealthCheck
	}
	if u.TLS != nil {
		k.tlsDigest, k.serverName, k.insecure = tlsDigest, u.TLS.ServerName, u.TLS.InsecureSkipVerify
	}
	return k
}

// server is one server of an upstream: its connections, its health and its counters. The reference count belongs to the manager.
type server struct {
	key  serverKey
	refs int
	url  string

	transport *http.Transport
	upgrades  *http.Transport // HTTP/1.1 only, because HTTP/2 has no Upgrade; nil for h2c
	links     *pool           // of our own HTTP/1.1 client; nil if it is not used
	http2     atomic.Bool     // the server prefers HTTP/2, so that links cannot be used
	checks    *http.Transport // a connection of its own for each health check, so that a full pool does not look like bad health

	healthy   atomic.Bool // true until checks say otherwise
	retired   atomic.Bool
	stopWatch context.CancelFunc // nil without health checks

	requests, failures atomic.Uint64
	active             atomic.Int64
	lastError          atomic.Pointer[string] // of the last exchange or check; nil if it went well

	mu        sync.Mutex // guards lastCheck
	lastCheck time.Time
}

func newServer(key serverKey, t target, secure *tls.Config) *server {
	s := &server{key: key, url: t.String()}
	s.healthy.Store(true)
	s.transport = s.newTransport(secure, t.scheme == "https", false)
	s.checks = s.newTransport(secure, t.scheme == "https", true)
	if key.engine != gate.EngineNetHTTP && t.scheme != "h2c" {
		s.links = s.newPool(secure)
	}
	switch t.scheme {
	case "http":
		s.upgrades = s.transport
	case "https":
		s.upgrades = s.newTransport(secure, false, false)
	}
	return s
}

// newTransport makes a pool of connections. offerHTTP2 lets TLS servers choose HTTP/2.
func (s *server) newTransport(secure *tls.Config, offerHTTP2, single bool) *http.Transport {
	d := dialer{timeout: s.key.connect, stall: s.key.idle}
	protocols := new(http.Protocols)
	switch s.key.target.scheme {
	case "h2c":
		protocols.SetUnencryptedHTTP2(true)
	default:
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(offerHTTP2)
	}
	if secure != nil {
		d.tls = secure.Clone()
		d.tls.NextProtos = []string{"http/1.1"}
		if offerHTTP2 {
			d.tls.NextProtos = []string{"h2", "http/1.1"}
		}
	}
	maxIdle := s.key.maxIdle
	if maxIdle == 0 {
		maxIdle = -1 // the library takes 0 for its own default
	}
	t := &http.Transport{
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		Protocols:              protocols,
		DisableCompression:     true, // what the client accepts is what the server is asked for
		DisableKeepAlives:      single,
		MaxIdleConnsPerHost:    maxIdle,
		MaxConnsPerHost:        s.key.maxActive,
		IdleConnTimeout:        s.key.idle,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxHeadBytes,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	if single {
		t.MaxConnsPerHost = 0
	}
	return t
}

// newPool makes the pool of our own client. TLS servers may choose HTTP/2.
func (s *server) newPool(secure *tls.Config) *pool {
	d := dialer{timeout: s.key.connect}
	if s.key.target.scheme == "https" {
		d.tls = secure.Clone()
		d.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	addr := s.key.target.address()
	open := func(ctx context.Context) (*link, error) {
		l, err := d.link(ctx, addr)
		if errors.Is(err, errHTTP2) {
			s.http2.Store(true)
		}
		return l, err
	}
	return &pool{open: open, maxIdle: s.key.maxIdle, maxLinks: s.key.maxActive, idleTime: s.key.idle}
}

// scheme is that of requests to the server, as net/http knows it.
func (s *server) scheme() string {
	if s.key.target.scheme == "https" {
		return "https"
	}
	return "http"
}

// begin and end enclose a try.
func (s *server) begin() {
	s.requests.Add(1)
	s.active.Add(1)
}

func (s *server) end() {
	if s.active.Add(-1) == 0 && s.retired.Load() {
		s.closeIdle()
	}
}

// failed notes that the server was at fault, succeeded that it answered.
func (s *server) failed(err error) {
	s.failures.Add(1)
	s.noteError(err)
}

func (s *server) succeeded() {
	if s.lastError.Load() != nil {
		s.lastError.Store(nil)
	}
}

func (s *server) noteError(err error) {
	text := err.Error()
	s.lastError.Store(&text)
}

// retire ends the health checks and closes what is not in use.
func (s *server) retire() {
	s.retired.Store(true)
	if s.stopWatch != nil {
		s.stopWatch()
	}
	s.closeIdle()
}

// kill is retire that also ends what goes over links.
func (s *server) kill() {
	s.retire()
	if s.links != nil {
		s.links.kill()
	}
}

func (s *server) closeIdle() {
	if s.links != nil {
		s.links.retire()
	}
	s.transport.CloseIdleConnections()
	s.checks.CloseIdleConnections()
	if s.upgrades != nil {
		s.upgrades.CloseIdleConnections()
	}
}

func (s *server) status() gate.ServerStatus {
	st := gate.ServerStatus{
		URL: s.url, Healthy: s.healthy.Load(),
		Requests: s.requests.Load(), Failures: s.failures.Load(), Active: s.active.Load(),
	}
	if text := s.lastError.Load(); text != nil {
		st.LastError = *text
	}
	s.mu.Lock()
	st.LastCheck = s.lastCheck
	s.mu.Unlock()
	return st
}

// dialer opens connections.
type dialer struct {
	timeout time.Duration // of the connection and the TLS handshake together
	stall   time.Duration // how long one write may take
	tls     *tls.Config
}

// dialError marks a failure to open a connection: nothing of the request was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return "connecting: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("no connection within %v", d.timeout))
	defer cancel()
	c, err := d.open(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("no connection within %v", d.timeout))
	defer cancel()
	raw, err := d.open(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	config, err := d.config(addr)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &dialError{fmt.Errorf("TLS handshake: %w", err)}
	}
	return c, nil
}

// config is the TLS configuration for a connection to addr.
func (d *dialer) config(addr string) (*tls.Config, error) {
	if d.tls.ServerName != "" {
		return d.tls, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &dialError{err}
	}
	config := d.tls.Clone()
	config.ServerName = host
	return config, nil
}

func (d *dialer) open(ctx context.Context, network, addr string) (*conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &dialError{err}
	}
	return &conn{Conn: c, stall: d.stall}, nil
}

// conn is a connection that remembers what went over it, so that what may be sent again is known and not guessed.
type conn struct {
	net.Conn
	stall   time.Duration
	timed   atomic.Bool  // a caller set a write deadline of its own
	written atomic.Int64 // bytes
	read    atomic.Int64 // bytes
	waiting atomic.Bool  // a request is about to be written
	before  atomic.Int64 // read when the first byte of the last request was written
	ended   atomic.Bool  // the other end closed or reset the connection
	deaf    atomic.Bool  // the other end does not take bytes any more
}

// Read is net.Conn's.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
		c.ended.Store(true)
	}
	return n, err
}

// Write is net.Conn's, but once the other end does not take bytes any more they are dropped instead: a server that answers before it has read the whole request and then closes
// has an answer to be read, which a failed write would discard. If there is none, reading says so.
func (c *conn) Write(p []byte) (int, error) {
	if c.waiting.Load() { // requests on one HTTP/1.1 connection are written by one goroutine
		c.before.Store(c.read.Load())
		c.waiting.Store(false)
	}
	if c.deaf.Load() {
		return len(p), nil
	}
	if !c.timed.Load() {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		c.deaf.Store(true)
		return len(p), nil
	}
	return n, err
}

// await says that a request follows, for unasked.
func (c *conn) await() { c.waiting.Store(true) }

// unasked reports, when the first byte of a response is looked at, whether everything that was read from the connection came before the request was written.
func (c *conn) unasked() bool { return c.waiting.Load() || c.read.Load() == c.before.Load() }

// SetWriteDeadline is net.Conn's; the zero time brings back the limit on each write.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.timed.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite tells the other end that nothing more comes.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// connOf returns our connection under what the library reports, and whether HTTP/2 is spoken over it.
func connOf(c net.Conn) (own *conn, http2 bool) {
	switch c := c.(type) {
	case *conn:
		return c, false
	case *tls.Conn:
		own, _ = c.NetConn().(*conn)
		return own, c.ConnectionState().NegotiatedProtocol == "h2"
	}
	return nil, false
}
