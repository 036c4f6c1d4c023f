package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// maxInformational is the number of interim responses that one request may get: more is no server's honest wish.
const maxInformational = 32

var (
	errEnded   = errors.New("the exchange has ended")
	errForeign = errors.New("the server sent a response before it got the request")
	errResent  = errors.New("the connection was closed by the server before the request reached it")
	errQueued  = errors.New("no connection to the server was free in time")
	errNoHead  = errors.New("the server did not send the header of its response in time")
	errStalled = errors.New("the server stopped in the middle of its response")
	errFlood   = fmt.Errorf("the server sent more than %d interim responses", maxInformational)
)

// attempt is one try to have a request answered by one server.
type attempt struct {
	u         *Upstream
	s         *server
	x         *gate.Exchange
	ctx       context.Context
	cancel    context.CancelCauseFunc
	transport *http.Transport
	upgrade   string          // the protocol asked for, "" if none
	body      *body           // nil without a request body
	trailer   *requestTrailer // nil if the request cannot have one
	patience  *patience
	queue     *patience                // for a free connection; nil if their number has no limit
	stall     atomic.Pointer[patience] // with the body of the response, once that is streamed
	response  io.Closer                // the body of the response; nil until the head is there
	unwatch   func() bool              // stops looking after the exchange's context
	watching  sync.WaitGroup           // looks after a client that cannot make itself felt
	sent      atomic.Bool              // all of the client's body was read
	broken    atomic.Bool              // reading the client's body was broken off by the attempt itself

	// Known once a connection was found; written and read in the exchange's goroutine.
	conn  *conn
	mark  int64 // conn.written at that time
	http2 bool  // the connection is shared with other requests
	used  bool  // the connection has served a request before

	mu         sync.Mutex // guards what follows: interim responses arrive in a goroutine of the library
	over       bool
	interim    int
	forwarded  bool  // the client has got an interim response
	clientGone error // writing to the client failed
}

func newAttempt(u *Upstream, s *server, x *gate.Exchange) *attempt {
	a := &attempt{u: u, s: s, x: x, transport: s.transport}
	a.ctx, a.cancel = context.WithCancelCause(context.WithoutCancel(x.Context))
	a.unwatch = context.AfterFunc(x.Context, a.exchangeEnded)
	if client, ok := x.Writer.(direct); ok {
		a.sent.Store(x.Length == 0)
		a.watching.Go(func() { a.watch(client) })
	}
	a.patience = newPatience(u.config.ResponseTimeout, a.cancel, errNoHead)
	if u.config.MaxConnections > 0 {
		// Dialling has a limit of its own, within this one.
		a.queue = newPatience(u.config.ConnectTimeout+u.config.ResponseTimeout, a.cancel, errQueued)
		a.queue.wait()
	}
	if x.Upgrade != "" && x.Length == 0 && s.upgrades != nil && tunnelable(x.Upgrade) {
		a.upgrade, a.transport = x.Upgrade, s.upgrades
	}
	return a
}

// watch ends the attempt when the client is gone. While the client's body is read, it is the reading that notices.
func (a *attempt) watch(client direct) {
	ticker := time.NewTicker(gonePoll)
	defer ticker.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-ticker.C:
			if a.sent.Load() && client.Gone() {
				a.cancel(errGone)
				return
			}
		}
	}
}

// exchangeEnded ends the attempt with its exchange. To a server engine, a read that was broken off may look like a client that is gone: that does not count.
func (a *attempt) exchangeEnded() {
	if !a.broken.Load() {
		a.cancel(errEnded)
	}
}

// closeSource breaks reading the client's body off.
func (a *attempt) closeSource() error {
	if a.x.Context.Err() == nil {
		a.broken.Store(true)
	}
	return a.x.Body.Close()
}

func (a *attempt) hold() { a.patience.hold() }

func (a *attempt) wait(n int) {
	a.patience.wait()
	if p := a.stall.Load(); p != nil && n > 0 {
		p.again() // a server that takes what the client sends is at work, and may have nothing to say yet
	}
}

func (a *attempt) ended() {
	a.sent.Store(true)
	if a.trailer != nil {
		a.trailer.fill()
	}
}

// end stops everything that the attempt has started. Nothing touches the exchange after it.
func (a *attempt) end() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.unwatch()
	a.cancel(nil)
	a.watching.Wait()
	a.patience.end()
	a.queue.end()
	if a.response != nil {
		_ = a.response.Close()
	}
	if a.body != nil {
		a.x.Received += a.body.detach()
	}
}

// checkRequest refuses what cannot be sent exactly as it was decided upon.
func checkRequest(x *gate.Exchange) *gate.Denial {
	if x.Method == http.MethodConnect {
		return gate.Deny(gate.ReasonBadMessage, errors.New("CONNECT cannot be forwarded"))
	}
	if x.OutPath == "" || x.OutPath[0] != '/' && x.OutPath != "*" || strings.Contains(x.OutPath, "?") || !cleanTarget(x.OutPath) || !cleanTarget(x.OutQuery) {
		return gate.Deny(gate.ReasonBadTarget, errors.New("the target cannot be forwarded as it is"))
	}
	return nil
}

// request makes the request of the library.
func (a *attempt) request() (*http.Request, error) {
	x := a.x
	// The library's goroutines may still read what they were given when the attempt has ended, and the strings of the exchange are in buffers that are used again.
	out := slices.Clone(x.Out)
	detach(out)
	header, err := outgoing(out)
	if err != nil {
		return nil, err
	}
	path := strings.Clone(x.OutPath)
	target := &url.URL{Scheme: a.s.scheme(), Host: a.s.key.target.host, Opaque: path, RawQuery: strings.Clone(x.OutQuery)}
	if strings.HasPrefix(path, "//") {
		// The library takes an opaque part with two slashes for a host, so that such a path has to go another way, which does not keep every spelling.
		target.Opaque, target.RawPath = "", path
		if target.Path, err = url.PathUnescape(path); err != nil || target.EscapedPath() != path {
			return nil, errors.New("the path cannot be forwarded as it is")
		}
	}
	req := &http.Request{
		Method: strings.Clone(x.Method), URL: target, Host: a.s.key.target.host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if a.u.config.PassHost && x.OutHost != "" {
		req.Host = strings.Clone(x.OutHost)
	}
	plain := a.s.key.target.scheme == "http"
	switch {
	case a.upgrade != "":
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{strings.Clone(a.upgrade)}
	case hasToken(x.In, "TE", "trailers"):
		header["Te"] = []string{"trailers"}
		if plain {
			header["Connection"] = []string{"TE"} // RFC 9110 section 10.1.4; HTTP/2 has no such field
		}
	}
	if x.Length != 0 {
		a.attachBody(req)
	}
	return req.WithContext(httptrace.WithClientTrace(a.ctx, &httptrace.ClientTrace{GotConn: a.gotConn, GotFirstResponseByte: a.gotFirstByte, Got1xxResponse: a.gotInterim})), nil
}

func (a *attempt) attachBody(req *http.Request) {
	if a.trailer = newRequestTrailer(a.x); a.trailer != nil {
		req.Trailer = a.trailer.fields
	}
	a.body = new(body)
	a.body.begin(a.x.Body, a)
	req.Body, req.ContentLength = a.body, a.x.Length
}

// gotConn notes which connection the request goes over. The library by itself sends a request again when an old connection fails; it is stopped here, because only Forward decides on that.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	c, http2 := connOf(info.Conn)
	http2 = http2 || a.s.key.target.scheme == "h2c"
	if c == nil {
		c, http2 = &conn{}, true // nothing is known about it
	}
	if a.conn != nil && !http2 {
		a.cancel(errResent)
		_ = info.Conn.Close() // so that nothing can be written to it before the end of the context is noticed
		return
	}
	a.conn, a.http2, a.used = c, http2, info.Reused
	a.mark = c.written.Load()
	c.await()
	a.queue.end()
	a.patience.wait()
}

// gotFirstByte refuses a response that was there before the request: it is what a server sent beyond the response to somebody else's.
func (a *attempt) gotFirstByte() {
	if !a.http2 && a.conn.unasked() {
		a.cancel(errForeign)
		_ = a.conn.Close()
	}
}

// gotInterim forwards an interim response (RFC 9110 section 15.2). The server engine itself answers 100 when the body is read.
func (a *attempt) gotInterim(status int, header textproto.MIMEHeader) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.interim++
	switch {
	case a.over:
		return errDetached
	case a.interim > maxInformational:
		return errFlood
	case status == http.StatusContinue || status == http.StatusSwitchingProtocols || a.x.Proto < 11:
		return nil
	}
	var fields gate.Header
	if err := incoming(&fields, http.Header(header)); err != nil {
		return err
	}
	a.forwarded = true
	if err := a.x.Writer.Informational(status, fields); err != nil {
		a.clientGone = err
		return err
	}
	return nil
}

// unsent reports whether certainly no byte of the request was sent.
func (a *attempt) unsent() bool {
	return a.conn == nil || !a.http2 && a.conn.written.Load() == a.mark
}

// verdict says what may follow the failure d, which came before the head of a response.
func (a *attempt) verdict(d *gate.Denial) verdict {
	a.mu.Lock()
	forwarded := a.forwarded
	a.mu.Unlock()
	if forwarded || !blames(d.Reason) || d.Reason == gate.ReasonUpstreamTimeout {
		return final
	}
	if a.body != nil {
		if touched, _ := a.body.state(); touched {
			return final
		}
	}
	if !a.unsent() && (!idempotent(a.x.Method) || a.body != nil) {
		return final
	}
	if a.used {
		return sameAgain
	}
	return elsewhere
}

// idempotent is RFC 9110 section 9.2.2.
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// refusal says why there is no response, or no more of it.
func (a *attempt) refusal(err error) *gate.Denial {
	reason := a.reason(err)
	if cause := context.Cause(a.ctx); cause != nil {
		err = cause
	}
	return gate.Deny(reason, fmt.Errorf("server %s: %w", a.s.url, err))
}

func (a *attempt) reason(err error) gate.Reason {
	if a.body != nil {
		if _, broken := a.body.state(); broken != nil {
			return bodyReason(a.x, broken)
		}
	}
	a.mu.Lock()
	gone, flood := a.clientGone, a.interim > maxInformational
	a.mu.Unlock()
	var dial *dialError
	cause := context.Cause(a.ctx)
	switch {
	case errors.Is(cause, errEnded):
		return contextReason(a.x)
	case gone != nil, errors.Is(cause, errGone):
		return gate.ReasonClientGone
	case errors.Is(cause, errForeign):
		return gate.ReasonUpstreamProtocol
	case errors.Is(cause, errQueued):
		return gate.ReasonNoServer
	case errors.Is(cause, errNoHead), errors.Is(cause, errStalled):
		return gate.ReasonUpstreamTimeout
	case errors.Is(cause, errResent):
		return gate.ReasonUpstreamAborted
	case errors.As(err, &dial):
		return gate.ReasonConnect
	case flood:
		return gate.ReasonUpstreamProtocol
	case a.conn == nil:
		return gate.ReasonConnect
	case errors.Is(err, os.ErrDeadlineExceeded): // of a write: the server takes nothing any more
		return gate.ReasonUpstreamTimeout
	case a.brokenOff(err):
		return gate.ReasonUpstreamAborted
	}
	return gate.ReasonUpstreamProtocol
}

// reset has the shape of the library's error for a reset HTTP/2 stream, which it converts to any type of this shape.
type reset struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (r reset) Error() string { return fmt.Sprintf("stream reset with code %d", r.Code) }

// brokenOff reports whether the server ended the connection or the stream, as opposed to sending something invalid.
func (a *attempt) brokenOff(err error) bool {
	if a.conn.ended.Load() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	var r reset
	if errors.As(err, &r) {
		return r.Cause != nil && strings.Contains(r.Cause.Error(), "peer")
	}
	// A TLS server that says goodbye while its connection is idle ends no read of ours; the library has no name for this error.
	return strings.Contains(err.Error(), "server closed idle connection")
}

// bodyReason is the reason for which the client's body could not be read to its end.
func bodyReason(x *gate.Exchange, err error) gate.Reason {
	var d *gate.Denial
	switch {
	case errors.As(err, &d):
		return d.Reason
	case errors.Is(err, gate.ErrBodyTooLarge):
		return gate.ReasonBodyLarge
	case x.Context.Err() != nil:
		return contextReason(x)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return gate.ReasonSlowRequest
	}
	return gate.ReasonClientGone
}

// contextReason is the reason for which the exchange's context has ended.
func contextReason(x *gate.Exchange) gate.Reason {
	if errors.Is(x.Context.Err(), context.DeadlineExceeded) {
		return gate.ReasonDeadline
	}
	return gate.ReasonClientGone
}

// patience cancels an attempt whose server keeps it waiting: for the head of its response, and then for each part of the body. It starts anew with each part of the request's body, and is
// suspended while the client is waited for.
type patience struct {
	limit time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	waiting bool
	over    bool
}

func newPatience(limit time.Duration, cancel context.CancelCauseFunc, cause error) *patience {
	p := &patience{limit: limit, timer: time.AfterFunc(limit, func() { cancel(cause) })}
	p.timer.Stop()
	return p
}

func (p *patience) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.waiting = true
		p.timer.Reset(p.limit)
	}
}

// again starts the time of a wait under way anew.
func (p *patience) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting && !p.over {
		p.timer.Reset(p.limit)
	}
}

func (p *patience) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.waiting = false
		p.timer.Stop()
	}
}

// end may be called of nil.
func (p *patience) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.timer.Stop()
}
