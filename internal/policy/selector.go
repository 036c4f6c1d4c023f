package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// Selector makes the sessions of one API. It is immutable and safe for concurrent use. The nil Selector is of an API that asks for nothing: its sessions are nil.
type Selector struct {
	book                            *Book
	api, version                    string
	policies, groups, subscriptions bool // what the API asks for
	rates                           bool // there are group rates for the API
	selection                       selection
	sets                            map[string]*requests
}

// Selector compiles what an API asks for. It is nil if that is nothing, or if the problems, which are at the API's origin, hold errors.
func (b *Book) Selector(api *gate.API) (*Selector, gate.Problems) {
	var problems gate.Problems
	report := func(path, hint, format string, args ...any) {
		problems = append(problems, api.Origin.Problem(path, hint, format, args...))
	}
	s := &Selector{book: b, api: api.Name, version: api.Version, sets: make(map[string]*requests, len(api.Operations))}
	for i := range api.Operations {
		set, at := &api.Operations[i], fmt.Sprintf("operations[%d]", i)
		if checkName(set.Name, at+".name", report) && s.sets[set.Name] != nil {
			report(at+".name", "", "another operation set is already called %q", set.Name)
		}
		s.sets[set.Name] = compileOperations(set.Operations, at+".operations", report)
	}
	s.asks(&api.Auth, report)
	jwt := api.Auth.JWT
	if jwt != nil {
		s.selection = b.compileSelection(jwt.Policies, report)
		switch {
		case jwt.Policies != nil && !s.policies:
			report("auth.jwt.policies", "add access: [policies]", "policies are selected, but the API does not ask for them")
		case jwt.Policies == nil && s.policies:
			report("auth.jwt", "say in auth.jwt.policies how tokens select them", "the API asks for policies, and no token has any")
		}
	}
	if api.Auth.APIKey != nil {
		s.selection.text = strings.TrimSuffix("a policy that the API key names, "+s.selection.text, ", ")
	}
	s.rates = !api.Auth.Anonymous && (b.rated[api.Name] || b.rated[allAPIs])
	if problems.Err() != nil || !s.policies && !s.groups && !s.subscriptions && !s.rates {
		return nil, problems
	}
	return s, problems
}

// asks reads what the API asks for beside a valid token.
func (s *Selector) asks(auth *gate.Auth, report reporter) {
	for i, name := range auth.Access {
		at := fmt.Sprintf("auth.access[%d]", i)
		if slices.Contains(auth.Access[:i], name) {
			report(at, "", "%s is there twice", name)
		}
		switch name {
		case gate.AccessPolicies:
			s.policies = true
		case gate.AccessGroups:
			s.groups = true
		case gate.AccessSubscriptions:
			s.subscriptions = true
		default:
			report(at, "there are policies, groups, subscriptions", "unknown kind of access %q", name)
		}
	}
	if auth.Anonymous && len(auth.Access) > 0 {
		report("auth.access", "remove one of them", "nobody is known where everybody is let in")
	}
}

// Session returns what follows for an identity. It depends on nothing but the Selector and the identity, so it may be remembered with the identity. The error is a *gate.Denial. With a trace everything is
// looked at and recorded.
func (s *Selector) Session(id *gate.Identity, trace *gate.Trace) (*gate.Session, error) {
	if s == nil {
		return nil, nil
	}
	m := &maker{Selector: s, id: id, trace: trace}
	if s.policies || s.groups || s.rates {
		m.user()
	}
	if s.policies && m.goesOn() {
		m.selectPolicies()
	}
	if s.groups && m.goesOn() {
		m.groupLevels()
	}
	if s.subscriptions && m.goesOn() {
		m.subscriptionLevels()
	}
	if s.rates && m.goesOn() {
		m.groupRate()
	}
	var session *gate.Session
	if m.goesOn() {
		session = m.sessions()
	}
	if m.denied != nil {
		return nil, m.denied
	}
	return session, nil
}

// setsOf are the requests that a rule lets through at the API: all of them, or those of its operation sets, of which the API may have none.
func (s *Selector) setsOf(names *[]string) []*requests {
	if names == nil {
		return []*requests{nil}
	}
	var sets []*requests
	for _, name := range *names {
		if set := s.sets[name]; set != nil {
			sets = append(sets, set)
		}
	}
	return sets
}

// everything reports whether the sets hold every request.
func everything(sets []*requests) bool { return slices.Contains(sets, nil) }

func listed(names []string) string { return strings.Join(names, ", ") }
