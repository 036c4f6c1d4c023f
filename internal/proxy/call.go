package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	codec "github.com/jotgate/jotgate/internal/h1"
	"github.com/jotgate/jotgate/internal/rawconn"
)

const (
	headBytes   = 16 << 10  // a head fits, usually with a small body
	streamBytes = 128 << 10 // for large bodies: fewer system calls
)

var errGone = errors.New("the client is gone")

// responseLimits are what a server's head may be.
var responseLimits = codec.Limits{Head: maxHeadBytes, Fields: 1024, Trailer: 64 << 10}.WithDefaults()

// direct is what a writer of our own server engine can do beyond gate.Writer. Such a writer also writes or copies every header before it returns, where others may keep its strings until the
// exchange ends.
type direct interface {
	// Gone reports whether the client has closed its connection. It is not called while the request's body is read.
	Gone() bool
}

// timed is a context that can do without being watched.
type timed interface {
	// OnlyDeadline reports that nothing but its deadline ends the context.
	OnlyDeadline() bool
}

// ready is what a request's body can know.
type ready interface {
	// Ready reports that the next Read does not wait for the client.
	Ready() bool
}

// call is one try of our own HTTP/1.1 client to have a request answered by one server. It runs in the exchange's goroutine; only a body that is not there yet has another one to send it. Calls are pooled with
// their buffers: nothing of a call is used after end.
type call struct {
	u       *Upstream
	s       *server
	x       *gate.Exchange
	link    *link       // nil until there is one
	client  direct      // nil if the writer is not one
	unwatch func() bool // stops looking after the exchange's context; nil if it cannot end, or ends at until only
	until   time.Time   // when the exchange ends; zero if never, or if it is looked after
	broken  atomic.Bool // reading the client's body was broken off by the call itself
	now     time.Time   // recently
	upgrade string      // the protocol asked for, "" if none

	fields  gate.Header // of the request, where not all of x.Out goes on
	target  []byte      // of the request, where no string has it
	out     []byte      // the head, and what is there of the body
	trailer *requestTrailer
	body    body
	hasBody bool
	asks    bool // the request is whole, and is written when its answer is waited for
	wrote   bool // a byte of the request was written

	// The sending half, where it has a goroutine of its own.
	sending bool // it was started
	sender  sync.WaitGroup
	sent    atomic.Bool  // everything is written
	last    atomic.Bool  // only a write is missing
	holding atomic.Bool  // the client is waited for
	fed     atomic.Int64 // when it was waited for last, in nanoseconds since now at the start
	started time.Time
	sendErr error // why it ended early; set before the link is interrupted

	resp      codec.Response
	payload   codec.Body
	in        [headBytes]byte
	buf       []byte             // what the head was read into: in, or a larger one
	large     *[streamBytes]byte // for a large body; nil without
	at, have  int                // buf[at:have] was read and is not used yet
	interim   int
	forwarded bool  // the client has got an interim response
	writeErr  error // of writing to the client
	complete  bool  // the response has ended, and nothing came after it
	closes    bool  // the link cannot be used again
}

// callPool keeps calls, and buffers for large bodies.
type callPool struct {
	calls, streams sync.Pool
}

func (p *callPool) stream() *[streamBytes]byte {
	if b, ok := p.streams.Get().(*[streamBytes]byte); ok {
		return b
	}
	return new([streamBytes]byte)
}

func (u *Upstream) newCall(s *server, x *gate.Exchange) *call {
	c, ok := u.manager.calls.calls.Get().(*call)
	if !ok {
		c = &call{out: make([]byte, 0, headBytes/4)}
	}
	c.u, c.s, c.x, c.now = u, s, x, after(x.Start)
	c.started = c.now
	c.client, _ = x.Writer.(direct)
	if x.Upgrade != "" && x.Length == 0 && tunnelable(x.Upgrade) {
		c.upgrade = x.Upgrade
	}
	return c
}

// call sends the request to s. The denial is nil if the response was forwarded completely. over is false if nothing was done, because the server wants HTTP/2.
func (u *Upstream) call(x *gate.Exchange, s *server) (d *gate.Denial, next verdict, over bool) {
	c := u.newCall(s, x)
	defer c.end()
	if err := c.compose(); err != nil {
		return gate.Deny(gate.ReasonBadForwarding, err), final, true
	}
	err := c.connect()
	if err == errHTTP2 { //nolint:errorlint // it is a sentinel that is returned as it is
		return nil, final, false
	}
	if err == nil {
		err = c.exchange()
	}
	if err != nil {
		d = c.refusal(err)
		if blames(d.Reason) {
			s.failed(d)
		}
		return d, c.verdict(d), true
	}
	d = c.respond()
	if d != nil && blames(d.Reason) {
		s.failed(d)
	} else {
		s.succeeded()
	}
	return d, final, true
}

// connect gets a link, and sees to it that it ends with the exchange.
func (c *call) connect() (err error) {
	if c.link, err = c.s.links.get(c.x.Context, c.now, c.u.config.ConnectTimeout+c.u.config.ResponseTimeout, c.client); err != nil {
		return err
	}
	switch {
	case !c.link.used:
		c.now = time.Now()
	case c.link.since.After(c.now): // it was waited for
		c.now = c.link.since
	}
	if t, ok := c.x.Context.(timed); ok && t.OnlyDeadline() {
		c.until, _ = c.x.Context.Deadline()
	} else if c.x.Context.Done() != nil {
		c.unwatch = context.AfterFunc(c.x.Context, c.exchangeEnded)
	}
	return nil
}

// exchangeEnded ends the call with its exchange. To a server engine, a read that was broken off may look like a client that is gone: that does not count.
func (c *call) exchangeEnded() {
	if !c.broken.Load() {
		c.link.interrupt()
	}
}

// exchange sends the request and reads the head of the response.
func (c *call) exchange() error {
	if err := c.send(); err != nil {
		return err
	}
	return c.head()
}

// end gives everything back. Nothing of the call touches the exchange after it.
func (c *call) end() {
	x := c.x
	c.endSending()
	if c.hasBody {
		x.Received += c.body.detach()
	}
	idle := c.unwatch == nil || c.unwatch() // otherwise, exchangeEnded may still run
	if c.link != nil {
		if idle && c.complete && !c.closes && !c.link.stopped.Load() && (!c.sending || c.sent.Load()) {
			c.s.links.put(c.link, after(c.now))
		} else {
			c.s.links.drop(c.link)
		}
	}
	if x.HeadSent {
		clear(x.Reply) // its strings were in the buffer
		x.Reply = x.Reply[:0]
	}
	if idle {
		c.recycle()
	}
}

// recycle makes the call ready for another one.
func (c *call) recycle() {
	c.resp.Reset()
	clear(c.fields)
	m := c.u.manager
	if c.large != nil {
		m.calls.streams.Put(c.large)
		c.large = nil
	}
	c.u, c.s, c.x, c.link, c.client, c.unwatch, c.until, c.upgrade = nil, nil, nil, nil, nil, nil, time.Time{}, ""
	c.fields, c.target, c.out, c.buf = c.fields[:0], c.target[:0], c.out[:0], nil
	if c.hasBody || c.trailer != nil {
		c.body.src, c.body.sender = nil, nil
		c.broken.Store(false)
		c.trailer, c.hasBody = nil, false
	}
	if c.sending {
		c.sent.Store(false)
		c.last.Store(false)
		c.holding.Store(false)
		c.fed.Store(0)
		c.sending, c.sendErr = false, nil
	}
	c.asks, c.wrote, c.at, c.have, c.interim, c.forwarded, c.writeErr, c.complete, c.closes = false, false, 0, 0, 0, false, nil, false, false
	if cap(c.out) <= 4*headBytes && cap(c.resp.Header) <= 256 && cap(c.fields) <= 256 {
		m.calls.calls.Put(c)
	}
}

// verdict says what may follow the failure d, which came before the head of a response.
func (c *call) verdict(d *gate.Denial) verdict {
	if c.forwarded || !blames(d.Reason) || d.Reason == gate.ReasonUpstreamTimeout {
		return final
	}
	if c.hasBody {
		if touched, _ := c.body.state(); touched {
			return final
		}
	}
	if c.wrote && (!idempotent(c.x.Method) || c.hasBody) {
		return final
	}
	if c.link != nil && c.link.used {
		return sameAgain
	}
	return elsewhere
}

// refusal says why there is no response, or no more of it.
func (c *call) refusal(err error) *gate.Denial {
	reason := c.reason(err)
	if reason == gate.ReasonDeadline || reason == gate.ReasonClientGone && c.x.Context.Err() != nil {
		err = errEnded
	}
	return gate.Deny(reason, fmt.Errorf("server %s: %w", c.s.url, err))
}

func (c *call) reason(err error) gate.Reason {
	if c.hasBody {
		if _, broken := c.body.state(); broken != nil {
			return bodyReason(c.x, broken)
		}
	}
	stopped := c.link != nil && (c.link.stopped.Load() || !c.until.IsZero() && c.x.Context.Err() != nil)
	var dial *dialError
	var syntax codec.Error
	switch {
	case c.writeErr != nil, errors.Is(err, errGone):
		return gate.ReasonClientGone
	case stopped && c.sending && c.x.Context.Err() == nil && timedOut(c.sendFailure()):
		return gate.ReasonUpstreamTimeout
	case stopped, c.x.Context.Err() != nil && c.link == nil, errors.Is(err, errClosing), errors.Is(err, errEnded):
		return contextReason(c.x)
	case errors.Is(err, errQueued):
		return gate.ReasonNoServer
	case errors.As(err, &dial):
		return gate.ReasonConnect
	case errors.Is(err, errNoHead), errors.Is(err, errStalled), timedOut(err):
		return gate.ReasonUpstreamTimeout
	case errors.Is(err, codec.ErrTruncated), brokenOff(err):
		return gate.ReasonUpstreamAborted
	case errors.As(err, &syntax):
		return gate.ReasonUpstreamProtocol
	}
	return gate.ReasonUpstreamProtocol
}

// brokenOff reports whether err says that the server has ended the connection.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// left is how long the server may still take, which has been waited for since then: limit from the time when it had all of the request that the client has sent.
func (c *call) left(since time.Time, limit time.Duration, forHead bool) time.Duration {
	if c.sending {
		if forHead && c.holding.Load() {
			return limit
		}
		if fed := c.started.Add(time.Duration(c.fed.Load())); fed.After(since) {
			since = fed
		}
	}
	return since.Add(limit).Sub(c.now)
}

// read reads from the server. When that takes longer than limit, the error is errNoHead or errStalled. There are bytes, or an error.
func (c *call) read(p []byte, limit time.Duration, forHead bool) (int, error) {
	since := c.now
	for {
		wait := c.left(since, limit, forHead)
		if !c.until.IsZero() {
			rest := c.until.Sub(c.now)
			if rest <= 0 {
				return 0, errEnded
			}
			wait = min(wait, rest)
		}
		switch {
		case wait > 0:
		case forHead:
			return 0, errNoHead
		default:
			return 0, errStalled
		}
		if c.client != nil || c.asks { // a server's close between the last look at the link and the write that Ask waits after is seen by the next read only
			wait = min(wait, gonePoll)
		}
		if err := c.link.limitRead(c.now, wait); err != nil {
			return 0, err
		}
		n, failed, err := c.receive(p)
		switch {
		case n > 0:
			return n, nil // an error comes again
		case err == nil:
			return 0, io.ErrNoProgress
		case c.link.stopped.Load():
			return 0, errStopped
		case failed, !timedOut(err):
			return 0, err
		case c.client != nil && (!c.sending || c.sent.Load()) && c.client.Gone() && rawconn.Probe(c.link.raw) != rawconn.Readable: // an answer that is there by now is not too late
			return 0, errGone
		}
		c.now = after(c.now)
	}
}

// after is time.Now at half the price, once there is a time of this process.
func after(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t.Add(time.Since(t))
}
