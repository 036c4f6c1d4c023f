// Package cors is the step that answers browsers' cross-origin questions (WHATWG Fetch, section 3.3): it answers preflights itself, before a token is asked
// for, and says on every other response, refusals included, which origins may read it.
package cors

import (
	"strconv"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// Step is read-only and safe for concurrent use. It is a gate.Responder: what the upstream says about origins is replaced.
type Step struct {
	origins     []string // canonical; empty if any
	any         bool
	methods     string // the values of the answers' fields
	headers     string
	expose      string
	credentials bool
	maxAge      string
}

// New makes the step of an API. The step is nil if the API has no CORS settings, or if the problems hold more than warnings.
func New(api *gate.API) (*Step, gate.Problems) {
	s, problems := compile(api)
	if problems.Err() != nil {
		return nil, problems
	}
	return s, problems
}

// Check returns what is wrong with an API's CORS settings; nothing if it has none.
func Check(api *gate.API) gate.Problems {
	_, problems := compile(api)
	return problems
}

// Handle answers a preflight with 204 and gate.ErrAnswered, whatever the origin: it never reaches the upstream, which might do something at OPTIONS. Without
// the fields that allow it, the browser refuses on its own. All other requests pass.
func (s *Step) Handle(x *gate.Exchange) error {
	if !isPreflight(x) {
		return nil
	}
	x.Status = 204
	x.Reply = x.Reply[:0]
	if _, ok := s.allowed(x); !ok {
		trace(x, "origin refused")
		return gate.ErrAnswered // the rest is for Respond
	}
	trace(x, "origin allowed")
	add(&x.Reply, "Access-Control-Allow-Methods", s.methods)
	add(&x.Reply, "Access-Control-Allow-Headers", s.headers)
	x.Reply.Add("Access-Control-Max-Age", s.maxAge)
	return gate.ErrAnswered
}

func trace(x *gate.Exchange, got string) {
	if x.Trace != nil {
		x.Trace.Record(gate.Check{Name: "preflight", Expected: "answered without the upstream", Got: got})
	}
}

// isPreflight reports whether x is a CORS-preflight request. One with several origins is none: no browser sends it.
func isPreflight(x *gate.Exchange) bool {
	const method = "OPTIONS"
	return x.Method == method && x.In.Count("Origin") == 1 && x.In.Count("Access-Control-Request-Method") == 1
}

// allowed returns the value of Access-Control-Allow-Origin for x, and whether there is one.
func (s *Step) allowed(x *gate.Exchange) (string, bool) {
	if s.any {
		return "*", true
	}
	origin := x.In.Get("Origin")
	if origin == "" || x.In.Count("Origin") > 1 {
		return "", false
	}
	for _, known := range s.origins {
		if known == origin {
			return known, true
		}
	}
	return "", false
}

// Respond replaces what the upstream has said about origins. What depends on the origin says so to caches, also where there is none in the request.
func (s *Step) Respond(x *gate.Exchange) {
	preflight := isPreflight(x) // answered by Handle, always
	if !preflight {
		x.Reply.DelFunc(isAccessControl)
	}
	if !s.any {
		varyByOrigin(&x.Reply)
	}
	origin, ok := s.allowed(x)
	if !ok {
		return
	}
	x.Reply.Add("Access-Control-Allow-Origin", origin)
	if s.credentials {
		x.Reply.Add("Access-Control-Allow-Credentials", "true")
	}
	if !preflight {
		add(&x.Reply, "Access-Control-Expose-Headers", s.expose)
	}
}

func add(h *gate.Header, name, value string) {
	if value != "" {
		h.Add(name, value)
	}
}

func isAccessControl(name string) bool {
	const prefix = "Access-Control-"
	return len(name) > len(prefix) && gate.EqualName(name[:len(prefix)], prefix)
}

// varyByOrigin adds Origin to Vary (RFC 9110 section 12.5.5) unless it is there.
func varyByOrigin(h *gate.Header) {
	for value := range h.Values("Vary") {
		for member := range strings.SplitSeq(value, ",") {
			member = strings.Trim(member, " \t")
			if member == "*" || gate.EqualName(member, "Origin") {
				return
			}
		}
	}
	h.Add("Vary", "Origin")
}

// seconds is a duration as Access-Control-Max-Age has it.
func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
