package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/match"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/policy"
	"github.com/jotgate/jotgate/internal/proxy"
	"github.com/jotgate/jotgate/internal/step/credentials"
	"github.com/jotgate/jotgate/internal/step/limits"
)

// Snapshot is a compiled configuration. It is immutable; the resources that it holds are released when it was retired and its last request is done.
type Snapshot struct {
	tables     map[string]*match.Table[*api] // by listener, and anyListener
	status     []APIStatus
	byName     map[string]*api
	providers  map[string]*jwt.Provider
	sources    []*keys.Source
	upstreams  []*proxy.Upstream
	tokens     *jwt.Cache // nil if no token is remembered
	apiKeys    *credentials.KeyCache
	requests   sync.Pool    // of *match.Request: rules are calls through pointers, so a request of the stack would not stay there
	references atomic.Int64 // 1 for being in force (or about to be), and 1 for each request
	once       sync.Once
}

// anyListener is the place of the table of those APIs that are served on every listener. It is no listener's name, for names are required.
const anyListener = ""

// APIStatus is the state of an API, for /status.
type APIStatus struct {
	Name string `json:"name"`
	// State is "serving" or "quarantined".
	State string `json:"state"`
	// Error is why the API is quarantined.
	Error     string   `json:"error,omitempty"`
	Match     string   `json:"match"`
	Listeners []string `json:"listeners"`
	Upstream  string   `json:"upstream"`
	Providers []string `json:"providers,omitempty"`
}

// api is a compiled API: the protected route and the public ones beside it.
type api struct {
	name      string
	rule      string
	broken    bool
	protected *route
	public    *route
	limited   *route // answers callers what their limits are; nil if limitsPath is not set
	open      []publicPath
	limitsAt  string           // where
	selector  *policy.Selector // nil if valid credentials are enough
	limits    *limits.Step     // nil if nothing is counted
}

// route is a flat list of steps and the upstream behind them.
type route struct {
	api      *api
	steps    []step
	upstream gate.Forwarder
	metrics  *observe.APIMetrics
	bare     bool
	named    string // realm
	scheme   string // of the challenge
	timeout  time.Duration
	maxBody  int64
}

// step is a gate.Step, and itself again if it has something to do with responses too.
type step struct {
	gate.Step
	responder gate.Responder
}

// compiled resolves what steps are, so that requests do not have to ask.
func compiled(list []gate.Step) []step {
	steps := make([]step, len(list))
	for i, s := range list {
		steps[i].Step = s
		steps[i].responder, _ = s.(gate.Responder)
	}
	return steps
}

func (s *Snapshot) release() {
	if s.references.Add(-1) == 0 {
		s.once.Do(s.free)
	}
}

// retire ends the time in which s is in force. Requests under way go on with it.
func (s *Snapshot) retire() {
	if s.tokens != nil {
		s.tokens.Close() // its memory does not wait for them
	}
	s.release()
}

// Discard gives up a snapshot that was never put in force.
func (s *Snapshot) Discard() { s.release() }

func (s *Snapshot) free() {
	for _, source := range s.sources {
		source.Release()
	}
	for _, upstream := range s.upstreams {
		upstream.Release()
	}
}

// WaitReady waits until every key source of the snapshot has its first keys, or has waited for as long as its provider allows, or ctx is over.
// It reports whether all have keys.
func (s *Snapshot) WaitReady(ctx context.Context) bool {
	ready := make(chan bool)
	for _, source := range s.sources {
		go func() { ready <- source.WaitReady(ctx) == nil }()
	}
	all := true
	for range s.sources {
		all = <-ready && all
	}
	return all
}

// Ready reports whether every key source has keys now.
func (e *Engine) Ready() bool {
	s := e.acquire()
	if s == nil {
		return false
	}
	defer s.release()
	for _, source := range s.sources {
		if !source.Status().Ready {
			return false
		}
	}
	return true
}

// route finds the route of x and writes the routing view of x. The route is nil if there is none, and may be there with an error.
func (s *Snapshot) route(x *gate.Exchange) (*route, error) {
	if s == nil {
		return nil, gate.Deny(gate.ReasonNotReady, nil)
	}
	path, err := canonicalize(x)
	if err != nil {
		x.Trace.Record(gate.Check{Name: "request", Reason: gate.AsDenial(err).Reason})
		return nil, err
	}
	if x.Method == "TRACE" { // it would show the client what the gateway adds (RFC 9110 section 9.3.8)
		x.Trace.Record(gate.Check{Name: "request", Reason: gate.ReasonMethod, Got: x.Method})
		return nil, gate.Deny(gate.ReasonMethod, nil)
	}
	found := s.lookup(x, path.Routing)
	if path.Ambiguous() && s.lookup(x, path.Folded) != found {
		// A back end that decodes more than we do would serve a path that was judged by other rules.
		x.Trace.Record(gate.Check{Name: "request", Reason: gate.ReasonBadTarget, Expected: "a path that every back end reads alike"})
		return nil, gate.Deny(gate.ReasonBadTarget, nil)
	}
	if found == nil {
		x.Trace.Record(gate.Check{Name: "route", Reason: gate.ReasonNoRoute})
		return nil, gate.Deny(gate.ReasonNoRoute, nil)
	}
	x.API = found.api.name
	if x.Trace != nil {
		found.trace(x.Trace)
	}
	if found.api.broken {
		return found, gate.Deny(gate.ReasonQuarantined, nil)
	}
	return found, nil
}

// lookup returns the route for a path, nil if there is none.
func (s *Snapshot) lookup(x *gate.Exchange, path string) *route {
	table := s.tables[x.Listener]
	if table == nil {
		table = s.tables[anyListener] // the connection is older than the configuration, which knows no such listener any more
	}
	r, _ := s.requests.Get().(*match.Request)
	if r == nil {
		r = new(match.Request)
	}
	*r = match.Request{Method: x.Method, Host: x.RoutingHost, Path: path, Query: x.OutQuery, Header: x.In, Client: x.Peer.Addr()}
	found, _, ok := table.Lookup(r)
	*r = match.Request{}
	s.requests.Put(r)
	if !ok {
		return nil
	}
	return found.route(x.Method, path)
}

func (r *route) trace(t *gate.Trace) {
	c := gate.Check{Name: "route", Expected: r.api.rule, Got: "API " + r.api.name}
	switch r {
	case r.api.public:
		c.Got += ", public path"
	case r.api.limited:
		c.Got += ", the caller's limits"
	}
	if r.api.broken {
		c.Reason = gate.ReasonQuarantined
	}
	t.Record(c)
}

// run takes x through the steps.
func (r *route) run(x *gate.Exchange) error {
	if err := r.limitBody(x); err != nil {
		return err
	}
	for i := range r.steps {
		if responder := r.steps[i].responder; responder != nil {
			x.Observe(responder)
		}
		if err := r.steps[i].Handle(x); err != nil {
			return err
		}
	}
	return nil
}

func (r *route) realm() string {
	if r == nil {
		return "jotgate"
	}
	return r.named
}
