package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/jotgate/jotgate/internal/gate"
)

// session is the reusable memory of one exchange.
type session struct {
	x     gate.Exchange
	w     writer
	names []string // scratch for sorting
}

// serve is the http.Handler: it turns a request into an exchange, has it served, and leaves the connection in a known state.
func (g *generation) serve(rw http.ResponseWriter, r *http.Request) {
	g.serving.Add(1)
	defer g.served()
	s := sessions.Get().(*session)
	if g.exchange(s, rw, r) {
		s.release()
		return
	}
	// The only panic of this package: how a net/http handler breaks a response off.
	panic(http.ErrAbortHandler)
}

// sessions holds no state, only memory.
var sessions = sync.Pool{New: func() any { return new(session) }}

// release puts s back. Whoever still held on to the exchange sees an empty one.
func (s *session) release() {
	s.x.Reset()
	s.w = writer{}
	clear(s.names)
	s.names = s.names[:0]
	sessions.Put(s)
}

// exchange reports whether the response is complete; if not, it must be broken off and s must not be used again.
func (g *generation) exchange(s *session, rw http.ResponseWriter, r *http.Request) bool {
	c, _ := r.Context().Value(connKey{}).(*conn)
	if c == nil {
		return false
	}
	s.w = writer{session: s, generation: g, conn: c, rw: rw, h2: r.ProtoMajor == 2}
	x := &s.x
	x.Writer = &s.w
	reason, detail := s.fill(g, c, r)
	b := s.attach(rw, r)
	switch {
	case reason != "":
		s.refuse(reason, detail)
	case b != nil && b.limit > 0 && x.Length > b.limit:
		s.refuse(gate.ReasonBodyLarge, "")
	case x.Target == "*":
		// OPTIONS * asks about the gateway itself (RFC 9110 section 9.3.7): no API can answer it.
		x.Status, x.HeadSent = http.StatusNoContent, true
		_ = s.w.Head(http.StatusNoContent, nil, 0)
	default:
		s.run(g.set.options.Handler)
	}
	if b != nil {
		b.finish(&s.w)
	}
	if s.w.h2 {
		s.w.renew() // for what net/http has still to send
	}
	return !s.w.aborted
}

// run has the exchange served. A panic is answered 500 if nothing was sent, and otherwise breaks the response off.
func (s *session) run(h gate.Handler) {
	panicked, aborted := serveSafely(h, &s.x, s.w.generation.log)
	switch {
	case s.w.state == stateHijacked:
	case aborted, panicked && s.w.state != stateNew:
		s.w.Abort()
	case s.w.state == stateNew && !s.w.aborted:
		// A panic, or a handler that answered nothing.
		s.refuse(gate.ReasonInternal, "")
	}
}

// serveSafely has an exchange served and reports whether the handler panicked, and whether it did so to break the response off.
func serveSafely(h gate.Handler, x *gate.Exchange, log *slog.Logger) (panicked, aborted bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err, _ := v.(error)
		panicked, aborted = true, errors.Is(err, http.ErrAbortHandler)
		if aborted {
			return
		}
		// The value may hold parts of the request; its type and the stack do not.
		text := fmt.Sprintf("%T", v)
		if e, ok := v.(runtime.Error); ok {
			text = e.Error()
		}
		log.Error("handler panicked", "panic", text, "stack", string(debug.Stack()))
	}()
	h.Serve(x)
	return false, false
}

// refuse has a message that is at fault answered.
func (s *session) refuse(reason gate.Reason, detail string) {
	x := &s.x
	x.Denial = &gate.Denial{Reason: reason, Got: detail}
	x.Status = reason.Kind().Status()
	x.Reply = x.Reply[:0]
	s.w.close = true // over HTTP/1.1: who sends such messages may mean something else by what follows
	s.w.generation.refuse(x)
}

// refuse lets Options.Refused answer x, or answers it with the status alone.
func (g *generation) refuse(x *gate.Exchange) {
	if g.set.options.Refused != nil {
		g.set.options.Refused(x)
	}
	if !x.HeadSent {
		x.HeadSent = true
		_ = x.Writer.Head(x.Status, nil, 0)
	}
}

// name is what the listener is called now: a reload may have renamed it since the connection was opened.
func (g *generation) name() string { return g.socket.current.Load().cfg.Name }
