package proxy

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jotgate/jotgate/internal/gate"
)

// Forward sends the request to a server and streams its response back; it implements gate.Forwarder. A try that failed is repeated with the next server, at most Retries times, if nothing of the
// request was sent, or if its method is idempotent and it has no body. x.Attempts counts the tries, those that found no connection included. The error is always a *gate.Denial; after the
// head was sent it says why the response was broken off.
//
// Forward calls x.Body.Close only to end a read that is under way; Close must make it return.
func (u *Upstream) Forward(x *gate.Exchange) error {
	if d := checkRequest(x); d != nil {
		return d
	}
	var space [4]*server
	tried := space[:0]
	var last *gate.Denial
	var again *server // may be tried once more if there is no other
	for left := u.config.Retries; ; left-- {
		s := u.balance.pick(tried)
		if s == nil {
			s = again
		}
		if s == nil && last != nil {
			return last
		}
		if s == nil {
			return gate.Deny(gate.ReasonNoServer, errors.New("upstream "+u.name+": no healthy server"))
		}
		d, next := u.try(x, s)
		if d == nil {
			return nil
		}
		if next == final || left == 0 {
			return d
		}
		u.manager.log.LogAttrs(x.Context, slog.LevelDebug, "upstream try failed, next one follows",
			slog.String("upstream", u.name), slog.String("server", s.url), slog.String("reason", string(d.Reason)))
		last, again, tried = d, nil, append(tried, s)
		if next == sameAgain {
			again = s
		}
	}
}

// verdict says what may follow a failed try.
type verdict int

const (
	final     verdict = iota // nothing
	elsewhere                // a try with another server
	sameAgain                // also one with the same server: only an old connection has failed
)

// try sends the request to s. The denial is nil if the response was forwarded completely.
func (u *Upstream) try(x *gate.Exchange, s *server) (*gate.Denial, verdict) {
	x.Attempts++
	s.begin()
	defer s.end()
	if s.links != nil && !s.http2.Load() {
		if d, next, over := u.call(x, s); over {
			return d, next
		}
	}
	return u.roundTrip(x, s)
}

// roundTrip is try by net/http.
func (u *Upstream) roundTrip(x *gate.Exchange, s *server) (*gate.Denial, verdict) {
	a := newAttempt(u, s, x)
	defer a.end()
	req, err := a.request()
	if err != nil {
		return gate.Deny(gate.ReasonBadForwarding, err), final
	}
	resp, err := a.transport.RoundTrip(req) //nolint:bodyclose // the end of the attempt closes it
	a.patience.end()
	if err == nil {
		a.response = resp.Body
		if context.Cause(a.ctx) != nil {
			err = context.Cause(a.ctx) // it came too late, or is not for this request
		}
	}
	if err != nil {
		d := a.refusal(err)
		if blames(d.Reason) {
			s.failed(d)
		}
		return d, a.verdict(d)
	}
	d := a.respond(resp)
	if d != nil && blames(d.Reason) {
		s.failed(d)
	} else {
		s.succeeded()
	}
	return d, final
}

// blames reports whether the reason is a fault of the server.
func blames(r gate.Reason) bool {
	switch r {
	case gate.ReasonConnect, gate.ReasonUpstreamProtocol, gate.ReasonUpstreamTimeout, gate.ReasonUpstreamAborted:
		return true
	}
	return false
}
