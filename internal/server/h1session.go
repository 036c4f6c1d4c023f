package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

// h1session is the reusable memory of one exchange of the own engine.
type h1session struct {
	c    *h1conn
	x    gate.Exchange
	req  h1.Request
	body *h1body // nil if the request has none
	w    h1writer
}

func (s *h1session) begin(c *h1conn) {
	s.c, s.w.s = c, s
	if c.hop != nil {
		s.x.Hop = *c.hop
	}
}

// end lets go of everything that belongs to the exchange. What follows it on the connection stays: it may be in the body's buffer.
func (s *h1session) end() {
	s.w.end()
	s.keepHop()
	s.x.Reset()
	s.req.Reset()
	if s.body != nil {
		s.body.end()
	}
	s.c, s.body = nil, nil
}

// keepHop leaves with the connection what is known of the place that its requests come from.
func (s *h1session) keepHop() {
	c, hop := s.c, &s.x.Hop
	if hop.Element != "" {
		if c.hop == nil {
			c.hop = new(gate.Hop)
		}
		*c.hop = *hop
	}
	*hop = gate.Hop{}
}

// head reads the head of a request and reports whether it is to be served.
func (s *h1session) head() bool {
	c := s.c
	limits := c.g.h1limits
	n, err := h1.ParseRequest((*c.in)[c.start:c.end], &s.req, limits)
	if errors.Is(err, h1.ErrIncomplete) && c.served {
		// The limit is for the whole head: it is not renewed by every byte that a slow client sends. For the first head it began with the connection.
		c.limitReads(c.g.cfg.HeaderTimeout)
	}
	for errors.Is(err, h1.ErrIncomplete) {
		if failed := c.more(limits.Head); failed != nil {
			err = failed
			break
		}
		n, err = s.req.Resume((*c.in)[c.start:c.end], limits)
	}
	c.served = true
	if err == nil {
		c.start += n
		return true
	}
	s.req.Reset() // of a head that is not whole nothing counts
	s.x.Writer, s.x.Body = &s.w, noBody{}
	s.describe()
	var malformed h1.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.refuse(gate.Deny(gate.ReasonSlowRequest, nil), http.StatusRequestTimeout)
		s.w.finish()
	case errors.As(err, &malformed):
		s.refuse(gate.Deny(malformed.Reason(), malformed), malformed.Status())
		s.w.finish()
	} // otherwise the client is gone, and nobody is there to tell
	return false
}

// describe fills in what is known of the connection.
func (s *h1session) describe() {
	c, x := s.c, &s.x
	x.Context, x.Start = c.g.context, time.Now()
	x.Listener = c.g.name()
	x.Scheme = "http"
	if c.g.certs != nil {
		x.Scheme = "https"
	}
	x.Peer, x.Client = c.base.peer, c.base.peer
	x.ServerName, x.ClientCertificate = c.base.serverName, c.base.clientCert
}

// exchange serves the request whose head was read and reports whether the connection can go on.
func (s *h1session) exchange() bool {
	c, x, r := s.c, &s.x, &s.req
	s.describe()
	x.Writer = &s.w
	x.Method, x.Proto, x.Host, x.Target, x.In = r.Method, r.Proto, r.Host, r.Target, r.Header
	believe(x, c.g.cfg.TrustedProxies)
	s.attach()
	if s.body == nil && x.Proto == 11 && x.In.Has("Upgrade") {
		x.Upgrade = upgradeOf(x.In)
		s.w.close = true // if it is declined: what follows may be of the other protocol already
	}
	reason, detail := c.g.admissible(x)
	switch {
	case reason != "":
		s.refuse(&gate.Denial{Reason: reason, Got: detail}, reason.Kind().Status())
	case s.body != nil && s.body.limit > 0 && x.Length > s.body.limit:
		s.refuse(gate.Deny(gate.ReasonBodyLarge, nil), gate.ReasonBodyLarge.Kind().Status())
	case x.Target == "*":
		// OPTIONS * asks about the gateway itself (RFC 9110 section 9.3.7): no API can answer it.
		x.Status, x.HeadSent = http.StatusNoContent, true
		_ = s.w.Head(http.StatusNoContent, nil, 0)
	default:
		s.run()
	}
	if s.w.state == stateHijacked {
		c.hijacked = true
		return false
	}
	s.w.finish()
	s.body.finish()
	c.aborted = s.w.aborted
	c.lingers = s.w.failed == nil && (s.body.unread() || !r.Close)
	return !s.w.close
}

// run has the exchange served. A panic is answered 500 if nothing was sent, and otherwise breaks the response off.
func (s *h1session) run() {
	panicked, aborted := serveSafely(s.c.g.set.options.Handler, &s.x, s.c.g.log)
	switch {
	case s.w.state == stateHijacked:
		if panicked { // and has forgotten the connection
			_ = s.c.base.Close()
		}
	case aborted, panicked && s.w.state != stateNew:
		s.w.Abort()
	case s.w.state == stateNew && !s.w.aborted:
		s.refuse(gate.Deny(gate.ReasonInternal, nil), http.StatusInternalServerError)
	}
}

// refuse has a message that is at fault answered, and ends the connection: who sends such messages may mean something else by what follows.
func (s *h1session) refuse(d *gate.Denial, status int) {
	x := &s.x
	x.Denial = d
	x.Status = status
	x.Reply = x.Reply[:0]
	s.w.close, s.c.lingers = true, true
	s.c.g.refuse(x)
}

// h1stream is a connection that was taken over; what the client had sent already comes first.
type h1stream struct {
	io.ReadWriteCloser
	early []byte
}

// Read serves what came early first.
func (s *h1stream) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	return s.ReadWriteCloser.Read(p)
}

// CloseWrite ends the writing side.
func (s *h1stream) CloseWrite() error {
	if w, ok := s.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}
