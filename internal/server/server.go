// Package server is the clients' side of the gateway: it listens, speaks TLS and HTTP, and hands each request to a gate.Handler as a gate.Exchange.
// HTTP/1.1 is served by an engine of its own, one goroutine for each connection, or by net/http, which serves HTTP/2 in any case.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sort"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

const (
	// lingerOnStop is how long connections may still send a request after they were told to end: answers sent in this time carry
	// Connection: close (or GOAWAY), so that a client's next request takes another connection instead of meeting a closed one.
	lingerOnStop = 500 * time.Millisecond
	// cutOffWait bounds the wait for handlers whose connection was cut off.
	cutOffWait = 2 * time.Second
)

var errCutOff = errors.New("the request took longer than the gateway waits when it stops")

// Options are what a Set needs.
type Options struct {
	// Handler serves the exchanges.
	Handler gate.Handler
	// Log takes what goes wrong; nil discards it. Nothing of a request but the peer's address is logged.
	Log *slog.Logger
	// Refused, if not nil, is called when a request is refused before it reaches Handler, because the message itself is at fault: x.Denial says why, and
	// x.Status what is to be answered. It may answer, through x.WriteHead; otherwise the answer is the status alone. It must not keep x.
	Refused func(x *gate.Exchange)
}

// Set owns all listeners of the process. Its methods may be called at any time; Prepare and the Commit or Discard of its Plan belong together and
// must not overlap with another pair.
type Set struct {
	options Options
	log     *slog.Logger
	ctx     context.Context // ends when connections are cut off, with a gate.Denial as its cause; the parent of every exchange's context
	cutOff  func()
	clock   h1.Clock
	tasks   sync.WaitGroup // accept loops, drains, connections that are being opened

	mu          sync.Mutex
	sockets     map[string]*socket       // by socketKey
	generations map[*generation]struct{} // current and draining
	stopping    bool
}

// New makes a Set without listeners. Shutdown ends it.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cutOff := func() { cancel(gate.Deny(gate.ReasonNotReady, errCutOff)) } // so that nobody takes it for a client that has gone
	return &Set{
		options: o, log: o.Log, ctx: ctx, cutOff: cutOff,
		sockets: make(map[string]*socket), generations: make(map[*generation]struct{}),
	}
}

// Addrs returns the address that each listener is bound to, by the listener's name.
func (s *Set) Addrs() map[string]net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make(map[string]net.Addr, len(s.sockets))
	for _, sock := range s.sockets {
		addrs[sock.current.Load().cfg.Name] = sock.listener.Addr()
	}
	return addrs
}

// Status describes a listener.
type Status struct {
	Listener     string              `json:"listener"`
	Address      string              `json:"address"`
	Connections  int                 `json:"connections"`
	Certificates []CertificateStatus `json:"certificates,omitempty"`
}

// Status returns the state of every listener, sorted by name. Connections of earlier settings of an address that are still open are counted.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make(map[*socket]int)
	for g := range s.generations {
		open[g.socket] += g.connections()
	}
	all := make([]Status, 0, len(s.sockets))
	for _, sock := range s.sockets {
		g := sock.current.Load()
		st := Status{Listener: g.cfg.Name, Address: sock.listener.Addr().String(), Connections: open[sock]}
		if g.certs != nil {
			st.Certificates = g.certs.status()
		}
		all = append(all, st)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Listener < all[j].Listener })
	return all
}

// Shutdown stops gracefully: it stops accepting, asks clients to take their next request elsewhere (Connection: close, GOAWAY), closes connections that are idle, and
// waits for requests and upgraded connections to end. When ctx ends, it cuts off what is left and returns ctx's error; nil means that nothing
// was cut off. The Set cannot be used any more. Further calls wait as well.
func (s *Set) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	for _, sock := range s.sockets {
		sock.stop()
	}
	for g := range s.generations {
		if g.leaving.Load() {
			g.retire(lingerOnStop)
		}
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.cutOff()
		return nil
	case <-ctx.Done():
	}
	s.cutOff()
	select {
	case <-done:
	case <-time.After(cutOffWait):
	}
	return ctx.Err()
}
