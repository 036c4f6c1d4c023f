// Package proxy is the upstream side of the gateway: pools of connections to the servers of an upstream, the choice of a server, health checks,
// sending a request and streaming the response back, retries and protocol upgrades.
package proxy

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/jotgate/jotgate/internal/gate"
)

// Options are what a Manager needs from outside.
type Options struct {
	// Log receives changes of health, and failed tries at debug level. nil: nothing is logged.
	Log *slog.Logger
}

// Manager owns the connections to every upstream. It lives as long as the gateway: configurations acquire upstreams from it and release them, and an upstream
// that two configurations describe alike is the same one, with its connections and its health. Servers are shared in the same way, so that an upstream that gets another
// server or other weights keeps what is known about the rest.
type Manager struct {
	log     *slog.Logger
	buffers bufferPool
	calls   callPool
	tasks   sync.WaitGroup // health checks

	mu        sync.Mutex // guards what follows and every reference count
	closed    bool
	upstreams map[string]*Upstream
	servers   map[serverKey]*server
	leaving   []*server // released, but perhaps still in use
}

// NewManager makes a manager without upstreams.
func NewManager(o Options) *Manager {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Manager{log: log, upstreams: map[string]*Upstream{}, servers: map[serverKey]*server{}}
}

// Upstream is a group of servers in use. It is safe for concurrent use.
type Upstream struct {
	manager *Manager
	name    string
	key     string
	refs    int
	config  gate.Upstream // read-only
	balance *balancer
}

var _ gate.Forwarder = (*Upstream)(nil)

// Acquire returns the upstream that u describes and takes a reference on it; every Acquire needs one Release. The problems are those of Check; if one of them is more than a
// warning, the upstream is nil. u is copied.
func (m *Manager) Acquire(u *gate.Upstream) (*Upstream, gate.Problems) {
	c, problems := compile(u)
	if len(problems.Errors()) > 0 {
		return nil, problems
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, append(problems, u.Origin.Problem("", "", "the gateway is stopping"))
	}
	key := contentKey(u, c.tlsDigest)
	up := m.upstreams[key]
	if up == nil {
		up = &Upstream{manager: m, name: u.Name, key: key, config: detached(u), balance: &balancer{}}
		for i, target := range c.targets {
			up.balance.add(m.acquireServer(u, target, c), u.Servers[i].Weight)
		}
		m.upstreams[key] = up
	}
	up.refs++
	return up, problems
}

// Release gives the reference back. When it was the last one, health checks that nobody else needs end and idle connections are closed; exchanges under way finish undisturbed.
func (u *Upstream) Release() {
	m := u.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	u.refs--
	if u.refs > 0 || m.closed {
		return
	}
	delete(m.upstreams, u.key)
	for _, e := range u.balance.entries {
		m.releaseServer(e.server)
	}
}

// Close ends all health checks and closes idle connections, and those in use as well, unless net/http has them: exchanges over these end with their contexts. It returns when no goroutine of the manager runs any more.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	for key, s := range m.servers {
		s.kill()
		delete(m.servers, key)
	}
	for _, s := range m.leaving {
		s.kill()
	}
	m.leaving = nil
	clear(m.upstreams)
	m.mu.Unlock()
	m.tasks.Wait()
}

// Status is the state of every acquired upstream, by name.
func (m *Manager) Status() []gate.UpstreamStatus {
	m.mu.Lock()
	all := make([]gate.UpstreamStatus, 0, len(m.upstreams))
	for _, u := range m.upstreams {
		all = append(all, u.Status())
	}
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b gate.UpstreamStatus) int { return strings.Compare(a.Upstream, b.Upstream) })
	return all
}

// Status is the state of the upstream and its servers, in the order of the configuration.
func (u *Upstream) Status() gate.UpstreamStatus {
	st := gate.UpstreamStatus{Upstream: u.name}
	for _, e := range u.balance.entries {
		st.Servers = append(st.Servers, e.server.status())
	}
	return st
}

// acquireServer is called with m.mu held.
func (m *Manager) acquireServer(u *gate.Upstream, t target, c compiled) *server {
	key := keyOf(u, t, c.tlsDigest)
	s := m.servers[key]
	if s == nil {
		s = newServer(key, t, c.tls)
		m.servers[key] = s
		if u.HealthCheck != nil {
			s.watch(&m.tasks, *u.HealthCheck, m.log)
		}
	}
	s.refs++
	return s
}

// releaseServer is called with m.mu held.
func (m *Manager) releaseServer(s *server) {
	s.refs--
	if s.refs == 0 {
		delete(m.servers, s.key)
		s.retire()
		m.leaving = append(slices.DeleteFunc(m.leaving, func(s *server) bool { return s.active.Load() == 0 }), s)
	}
}

// detached is a copy of u without the place where it was written.
func detached(u *gate.Upstream) gate.Upstream {
	c := *u
	c.Origin = gate.Origin{}
	c.Servers = slices.Clone(u.Servers)
	if u.HealthCheck != nil {
		h := *u.HealthCheck
		c.HealthCheck = &h
	}
	if u.TLS != nil {
		t := *u.TLS
		c.TLS = &t
	}
	return c
}

// contentKey is the same for two upstreams exactly if they say the same, files included.
func contentKey(u *gate.Upstream, tlsDigest string) string {
	c := detached(u)
	var check gate.HealthCheck
	var secure gate.ClientTLS
	if c.HealthCheck != nil {
		check = *c.HealthCheck
	}
	if c.TLS != nil {
		secure = *c.TLS
	}
	checked := c.HealthCheck != nil
	c.HealthCheck, c.TLS = nil, nil // %#v would print addresses
	return fmt.Sprintf("%#v %v %#v %#v %s", c, checked, check, secure, tlsDigest)
}
