package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

// defaultHandshake bounds the start of a connection where the listener sets no header timeout.
const defaultHandshake = 10 * time.Second

// generation is one state of a listener's settings, with the connections that were opened under it.
type generation struct {
	set    *Set
	socket *socket
	cfg    gate.Listener
	certs  *certificates // nil without TLS
	log    *slog.Logger
	http   *http.Server

	context  context.Context // of the own engine's exchanges
	h1limits h1.Limits

	ready   chan net.Conn // opened connections on their way to http
	closing chan struct{} // closed when http takes no more connections
	close1  sync.Once
	leaving atomic.Bool   // connections are to end after the request under way
	over    atomic.Bool   // the time for that is over: connections do not wait for a request any more
	retired chan struct{} // closed by the first retire
	soon    chan struct{} // a shorter linger, from retire

	serving atomic.Int64 // handlers that run

	mu    sync.Mutex
	open  map[*conn]struct{}
	empty chan struct{} // has a value after open or serving became empty
}

func newGeneration(s *Set, sock *socket, cfg gate.Listener, certs *certificates) *generation {
	g := &generation{
		set: s, socket: sock, cfg: cfg, certs: certs, log: s.log.With("listener", cfg.Name),
		ready: make(chan net.Conn), closing: make(chan struct{}),
		retired: make(chan struct{}), soon: make(chan struct{}, 1),
		open: make(map[*conn]struct{}), empty: make(chan struct{}, 1),
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(cfg.HTTP2 && certs != nil)
	protocols.SetUnencryptedHTTP2(cfg.HTTP2 && certs == nil)
	g.http = &http.Server{
		Handler:                      http.HandlerFunc(g.serve),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            cfg.HeaderTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		MaxHeaderBytes:               int(cfg.MaxHeaderBytes),
		Protocols:                    protocols,
		// A peer of HTTP/2 that died without a word is noticed even while its streams are quiet.
		HTTP2:       &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		ErrorLog:    log.New(logWriter{g.log}, "", 0),
		BaseContext: func(net.Listener) context.Context { return s.ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, connOf(c))
		},
	}
	g.context = h1context{s.ctx}
	g.h1limits = h1.Limits{Head: int(g.maxHeader()), HTTP10: true}.WithDefaults()
	if cfg.HeaderTimeout <= 0 {
		g.http.ReadHeaderTimeout = -1 // 0 would mean another setting
	}
	if cfg.IdleTimeout <= 0 {
		g.http.IdleTimeout = -1
	}
	return g
}

// connKey is the context key of a request's conn.
type connKey struct{}

// connOf finds the conn below c.
func connOf(c net.Conn) *conn {
	for {
		switch v := c.(type) {
		case *conn:
			return v
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return nil
		}
	}
}

// start begins to serve. The set's lock is held.
func (g *generation) start() {
	g.set.tasks.Go(func() { _ = g.http.Serve((*source)(g)) })
	g.set.tasks.Go(g.drain)
	if g.certs != nil {
		g.set.tasks.Go(func() { g.certs.watch(g.retired) })
	}
}

// refresh reads the certificates again.
func (g *generation) refresh() {
	if g.certs != nil {
		g.certs.refresh()
	}
}

// source is where http accepts its connections from.
type source generation

// Accept waits for an opened connection.
func (s *source) Accept() (net.Conn, error) {
	select {
	case c := <-s.ready:
		return c, nil
	case <-s.closing:
		return nil, net.ErrClosed
	}
}

// Close makes Accept fail; the socket stays open.
func (s *source) Close() error {
	s.close1.Do(func() { close(s.closing) })
	return nil
}

// Addr is the socket's address.
func (s *source) Addr() net.Addr { return s.socket.listener.Addr() }

// admit takes a new connection.
func (g *generation) admit(raw *net.TCPConn) {
	c := newConn(raw, g)
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		c.peer = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	g.mu.Lock()
	g.open[c] = struct{}{}
	g.mu.Unlock()
	proxied := contains(g.cfg.ProxyProtocol, c.peer.Addr())
	g.set.tasks.Go(func() {
		if nc := g.prepare(c, proxied); nc != nil {
			g.dispatch(c, nc)
		}
	})
}

// dispatch gives an opened connection to the engine that serves it.
func (g *generation) dispatch(c *conn, nc net.Conn) {
	t, _ := nc.(*tls.Conn)
	switch {
	case t != nil && t.ConnectionState().NegotiatedProtocol == "h2":
		c.used.Store(true) // it ends by GOAWAY
		g.hand(t)
	case g.cfg.Engine != gate.EngineNetHTTP:
		g.serveH1(c, nc)
	case t != nil:
		g.hand(&tlsConn{plainConn{t, c}, t})
	default:
		g.hand(&plainConn{c, c})
	}
}

// prepare reads what comes before HTTP: the PROXY protocol header and the TLS handshake. It returns what HTTP is spoken on, or nil if the connection is refused.
func (g *generation) prepare(c *conn, proxied bool) net.Conn {
	if !proxied && g.certs == nil {
		return c
	}
	limit := g.cfg.HeaderTimeout
	if limit <= 0 {
		limit = defaultHandshake
	}
	stop := context.AfterFunc(g.set.ctx, func() { _ = c.Close() })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(limit))
	if proxied {
		if err := c.readProxyHeader(); err != nil {
			g.log.Info("connection without a valid PROXY protocol header refused", "peer", c.peer, "error", err)
			_ = c.Close()
			return nil
		}
	}
	if g.certs == nil {
		_ = c.SetDeadline(time.Time{})
		return c
	}
	t := tls.Server(c, g.certs.config())
	if err := t.HandshakeContext(g.set.ctx); err != nil {
		answerPlaintext(err)
		g.log.Debug("tls handshake failed", "peer", c.peer, "error", err)
		_ = c.Close()
		return nil
	}
	_ = c.SetDeadline(time.Time{})
	state := t.ConnectionState()
	c.serverName = state.ServerName
	if len(state.PeerCertificates) > 0 {
		c.clientCert = state.PeerCertificates[0]
	}
	return t
}

// answerPlaintext tells a client that speaks HTTP to a TLS listener what is wrong.
func answerPlaintext(err error) {
	var re tls.RecordHeaderError
	if !errors.As(err, &re) || re.Conn == nil {
		return
	}
	switch string(re.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		_, _ = fmt.Fprint(re.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis address speaks HTTPS, not HTTP.\n")
	}
}

// hand gives an opened connection to http.
func (g *generation) hand(c net.Conn) {
	select {
	case g.ready <- c:
	case <-g.closing:
		_ = c.Close()
	}
}

// forget is called once by each conn when it is closed.
func (g *generation) forget(c *conn) {
	g.mu.Lock()
	delete(g.open, c)
	last := len(g.open) == 0
	g.mu.Unlock()
	if last {
		g.wake()
	}
}

func (g *generation) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// idleLinger is how long a connection may be idle: after it, those of a retired generation have ended by themselves, so that none is
// closed in a client's face.
func (g *generation) idleLinger() time.Duration {
	if g.cfg.IdleTimeout > 0 {
		return g.cfg.IdleTimeout
	}
	return time.Minute
}

// retire lets the generation's connections end: those with a request under way after it, the others after linger. It returns at once; a later call
// can only shorten the time to lingerOnStop. The set's lock is held.
func (g *generation) retire(linger time.Duration) {
	g.leaving.Store(true)
	select {
	case <-g.retired:
	default:
		close(g.retired)
	}
	if linger <= lingerOnStop {
		select {
		case g.soon <- struct{}{}:
		default:
		}
	}
}

// drain waits for retire, then for the end of the connections, helps those that are idle, and cuts off the rest when the set does.
func (g *generation) drain() {
	select {
	case <-g.retired:
	case <-g.set.ctx.Done():
	}
	g.linger()
	g.closeSilent()
	g.endIdle()
	_ = g.http.Shutdown(g.set.ctx)
	cut := g.set.ctx.Done()
	for g.connections() > 0 || g.serving.Load() > 0 {
		select {
		case <-g.empty:
		case <-cut:
			cut = nil
			_ = g.http.Close()
			g.closeIf(func(*conn) bool { return true })
		}
	}
	g.set.mu.Lock()
	delete(g.set.generations, g)
	g.set.mu.Unlock()
}

// linger returns when the time to leave is over, or no connection is left.
func (g *generation) linger() {
	timer := time.NewTimer(g.idleLinger())
	defer timer.Stop()
	// The accept loop may hold one connection of this generation that is not counted yet: do not end before it arrives.
	settle := time.After(2 * backlogDrain)
	for {
		select {
		case <-settle:
			settle = nil
		case <-g.empty:
		case <-g.soon:
			timer.Reset(lingerOnStop)
		case <-timer.C:
			return
		case <-g.set.ctx.Done():
			return
		}
		if settle == nil && g.connections() == 0 {
			return
		}
	}
}

// closeSilent closes connections on which no request was ever begun.
func (g *generation) closeSilent() {
	g.closeIf(func(c *conn) bool { return !c.used.Load() && !c.isIdle() })
}

// endIdle ends the connections of the own engine that wait for a request. Those that will wait later see that the time is over.
func (g *generation) endIdle() {
	g.over.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		c.endIdle()
	}
}

// closeIf closes the connections that which chooses.
func (g *generation) closeIf(which func(*conn) bool) {
	var chosen []*conn
	g.mu.Lock()
	for c := range g.open {
		if which(c) {
			chosen = append(chosen, c)
		}
	}
	g.mu.Unlock()
	for _, c := range chosen {
		_ = c.Close()
	}
}

// served is called when a handler has ended.
func (g *generation) served() {
	if g.serving.Add(-1) == 0 {
		g.wake()
	}
}

// wake lets drain look again.
func (g *generation) wake() {
	select {
	case g.empty <- struct{}{}:
	default:
	}
}

// plainConn is a connection without TLS as HTTP/1.1 and h2c see it. What net/http reads through it is checked on the way.
type plainConn struct {
	net.Conn
	base *conn
}

// Read returns what passes the check. What follows a malformed message is never seen.
func (c *plainConn) Read(p []byte) (int, error) {
	f := &c.base.framing
	if f.err != nil {
		return 0, f.err
	}
	n, err := c.Conn.Read(p)
	if n > 0 && !c.base.used.Load() {
		c.base.used.Store(true)
	}
	if good := f.check(p[:n]); good < n {
		if good == 0 {
			return 0, f.err
		}
		return good, nil
	}
	return n, err
}

// NetConn returns what is below.
func (c *plainConn) NetConn() net.Conn { return c.Conn }

// tlsConn is a connection with TLS as HTTP/1.1 sees it.
type tlsConn struct {
	plainConn
	tls *tls.Conn
}

// ConnectionState tells net/http that the connection has TLS.
func (c *tlsConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// CloseWrite ends the writing side.
func (c *tlsConn) CloseWrite() error { return c.tls.CloseWrite() }

// CloseWrite ends the writing side.
func (c *plainConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// logWriter takes what net/http has to say about connections.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.log.Debug("connection error", "error", string(p))
	return len(p), nil
}
