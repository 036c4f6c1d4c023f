// Package engine compiles a configuration into an immutable snapshot, swaps snapshots, and serves exchanges with the one in force.
//
// Two lifetimes meet here. Long-lived are the key sources and upstreams: they are made once, keyed by their content and shared by the snapshots that
// use them. Snapshot-scoped is everything that a request only reads: the routing table, the steps, the compiled expressions.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/proxy"
	"github.com/jotgate/jotgate/internal/step/credentials"
	"github.com/jotgate/jotgate/internal/step/limits"
)

// Options are what an engine needs. All fields must be set but for those that say otherwise.
type Options struct {
	Log     *slog.Logger
	Metrics *observe.Metrics
	Access  *observe.AccessLog
	Keys    *keys.Manager
	Proxy   *proxy.Manager
	// Counters are where limits are counted.
	Counters limit.Counters
	// Holds bounds how many requests throttles hold; nil holds none.
	Holds *limits.Holds
	// Revocations say which tokens were taken back; nil: none.
	Revocations jwt.Revocations
	// APIKeys know the API keys; nil: they are never known, and every API key is answered 503.
	APIKeys credentials.Directory
	// Credentials know the individual keys of callers; nil: they are never known, and every token of their providers is answered 503.
	Credentials jwt.Credentials
	// Usage takes the record of every exchange; nil: nobody.
	Usage Recorder
}

// Recorder takes records of exchanges.
type Recorder interface {
	// Record takes the record of x, which took d. It keeps nothing of x and does not wait.
	Record(x *gate.Exchange, d time.Duration)
}

// Engine serves exchanges with the snapshot in force. It is safe for concurrent use.
type Engine struct {
	options   Options
	unmatched *observe.APIMetrics
	tokens    jwt.CacheCounters // of all snapshots
	current   atomic.Pointer[Snapshot]
	swap      sync.Mutex // held while the snapshot changes
}

// New returns an engine that answers every request 503 until the first snapshot is in force.
func New(o Options) *Engine {
	return &Engine{options: o, unmatched: o.Metrics.API("")}
}

// Swap puts s in force and retires the snapshot before it once its last request is done. It cannot fail.
func (e *Engine) Swap(s *Snapshot) {
	e.swap.Lock()
	defer e.swap.Unlock()
	if old := e.current.Swap(s); old != nil {
		old.retire()
	}
}

// TokenCache is the state of the cache of verified tokens.
func (e *Engine) TokenCache() gate.TokenCacheStatus {
	s := e.acquire()
	if s == nil {
		return e.tokens.Status(nil)
	}
	defer s.release()
	return e.tokens.Status(s.tokens)
}

// Close retires the snapshot in force.
func (e *Engine) Close() { e.Swap(nil) }

// Current describes the snapshot in force; nil before the first.
func (e *Engine) Current() []APIStatus {
	s := e.acquire()
	if s == nil {
		return nil
	}
	defer s.release()
	return s.status
}

// acquire returns the snapshot in force with a reference to it, which the caller releases.
func (e *Engine) acquire() *Snapshot {
	for {
		s := e.current.Load()
		if s == nil {
			return nil
		}
		s.references.Add(1)
		if e.current.Load() == s {
			return s
		}
		s.release() // it was retired between the two loads: its resources may be going
	}
}

// Serve takes x through the gate: route, steps, upstream; then counts and logs it. It implements gate.Handler.
func (e *Engine) Serve(x *gate.Exchange) {
	s := e.acquire()
	if s != nil {
		defer s.release()
	}
	metrics := e.unmatched
	route, err := s.route(x)
	if route != nil {
		metrics = route.metrics
	}
	metrics.Begin()
	returned := false
	defer func() {
		switch {
		case returned:
		case !x.HeadSent: // of a panic the server makes a refusal, which is counted as such
			metrics.Abandon()
			return
		default: // it breaks the response off
			x.Denial = gate.Deny(gate.ReasonInternal, nil)
		}
		e.record(x, metrics)
	}()
	if err == nil {
		err = e.forward(x, route)
	}
	if err != nil {
		e.refuse(x, route, err)
	}
	returned = true
}

// record counts and logs the finished exchange x.
func (e *Engine) record(x *gate.Exchange, metrics *observe.APIMetrics) {
	d := time.Since(x.Start)
	metrics.Record(x, d)
	e.options.Access.Record(x, d)
	if e.options.Usage != nil {
		e.options.Usage.Record(x, d)
	}
}

// Refused answers, counts and logs an exchange that a server refuses: before it could be served, or because serving it has failed.
func (e *Engine) Refused(x *gate.Exchange) {
	metrics := e.unmatched
	if x.API != "" {
		metrics = e.options.Metrics.API(x.API)
	}
	metrics.Begin()
	answer(x, nil, x.Denial)
	e.record(x, metrics)
}

// forward runs the steps of route and sends x to its upstream.
func (e *Engine) forward(x *gate.Exchange, route *route) error {
	served := x.Context // as the server has made it: those of its contexts that are never done do not tell limitTime's why they have ended
	if route.timeout > 0 {
		limit := limitTime(x, route.timeout)
		defer limit.stop(x)
	}
	err := route.run(x)
	if err == nil {
		err = route.upstream.Forward(x)
	}
	if err == nil {
		return nil
	}
	// To those that were interrupted it looked as if the client was gone.
	var stopped *gate.Denial
	switch {
	case errors.Is(context.Cause(x.Context), errTimeLimit):
		return gate.Deny(gate.ReasonDeadline, err)
	case errors.As(context.Cause(served), &stopped): // the server has cut the exchange off
		return gate.Deny(stopped.Reason, err)
	}
	return err
}

// refuse answers x with what err says, if nothing was answered yet.
func (e *Engine) refuse(x *gate.Exchange, route *route, err error) {
	if err == gate.ErrAnswered { //nolint:errorlint // it is a sentinel that steps return as it is
		if err := x.WriteHead(x.Status, 0); err != nil {
			x.Denial = gate.Deny(gate.ReasonClientGone, err)
		}
		return
	}
	d := gate.AsDenial(err)
	x.Denial = d
	e.logDenial(x, d)
	if x.HeadSent {
		return // the forwarder has broken the response off
	}
	answer(x, route, d)
}

// logDenial logs what operators cannot see from a reason code: the causes of failures that are ours or the upstream's.
func (e *Engine) logDenial(x *gate.Exchange, d *gate.Denial) {
	level := slog.LevelDebug
	switch d.Kind() {
	case gate.KindInternal:
		level = slog.LevelError
	case gate.KindBadGateway, gate.KindGatewayTimeout, gate.KindUnavailable:
		level = slog.LevelWarn
	}
	if !e.options.Log.Enabled(x.Context, level) {
		return
	}
	attrs := []slog.Attr{slog.String("api", x.API), slog.String("reason", string(d.Reason))}
	if x.Server != "" {
		attrs = append(attrs, slog.String("server", x.Server))
	}
	if d.Err != nil {
		attrs = append(attrs, slog.Any("error", d.Err))
	}
	e.options.Log.LogAttrs(context.Background(), level, "request refused", attrs...)
}

// Explain takes x through route and steps, without an upstream and without an answer, and returns the refusal, or nil if the request would be forwarded.
// The checks are in x.Trace, which Explain makes if it is nil.
func (e *Engine) Explain(x *gate.Exchange) *gate.Denial {
	if x.Trace == nil {
		x.Trace = new(gate.Trace)
	}
	s := e.acquire()
	if s != nil {
		defer s.release()
	}
	route, err := s.route(x)
	if err == nil {
		err = route.run(x)
	}
	if err == nil || err == gate.ErrAnswered { //nolint:errorlint // it is a sentinel that steps return as it is
		return nil
	}
	x.Denial = gate.AsDenial(err)
	return x.Denial
}
