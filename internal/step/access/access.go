// Package access is the step that asks what was granted to an identity whether a request may be made, and collects what it takes from.
package access

import (
	"errors"
	"slices"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/match"
)

// Step judges the requests of one API. It is read-only and safe for concurrent use.
type Step struct{ version string }

// New makes the step of an API.
func New(api *gate.API) *Step { return &Step{version: api.Version} }

// Handle sets x.Session and x.Uses, and x.DryRun if it would refuse were it not for a dry-run. The error is always a *gate.Denial. It allocates nothing for a request that may be made, once x.Uses has room.
//
// A path that back ends may read in two ways must be granted in both, and takes from the limits of both: otherwise /users/1%2Fkeys would pass as a user, and be served as his keys.
func (s *Step) Handle(x *gate.Exchange) error {
	if x.Identity == nil {
		return gate.Deny(gate.ReasonInternal, errors.New("asking for access without an identity"))
	}
	if x.Identity.Session == nil {
		return nil // the API asks for nothing
	}
	session := x.Identity.Session.At(x.Start)
	if session == nil {
		x.Trace.Record(gate.Check{Name: "policy_end", Reason: gate.ReasonGrantExpired, Expected: "a policy that still grants something"})
		return gate.Deny(gate.ReasonGrantExpired, nil)
	}
	x.Session = session
	x.Uses = append(x.Uses, session.Limits...)
	if session.Grant == nil {
		return nil
	}
	path, err := match.CanonicalPath(x.OutPath)
	if err != nil {
		return gate.Deny(gate.ReasonBadTarget, err)
	}
	ok := s.allows(x, path.Routing)
	if ok && path.Ambiguous() {
		ok = s.allows(x, path.Folded)
	}
	if x.Trace != nil {
		s.trace(x, path, ok)
	}
	if !ok {
		return gate.Deny(gate.ReasonOperationNotGranted, nil)
	}
	return nil
}

// allows asks the grant about one reading of the path.
func (s *Step) allows(x *gate.Exchange, path string) bool {
	before := len(x.Uses)
	uses, ok, dry := x.Session.Grant.Allows(x.Method, path, s.version, x.Uses)
	if dry {
		x.DryRun = gate.ReasonOperationNotGranted
	}
	x.Uses = uses[:before]
	for _, use := range uses[before:] { // each once: another reading of the path may have the same
		if !slices.ContainsFunc(x.Uses, func(have limit.Use) bool { return have.Key == use.Key }) {
			x.Uses = append(x.Uses, use)
		}
	}
	return ok
}

func (s *Step) trace(x *gate.Exchange, path match.Path, ok bool) {
	grant := x.Session.Grant
	c := gate.Check{Name: "operation", Expected: grant.Describe(), Got: x.Method + " " + path.Routing + ": " + grant.By(x.Method, path.Routing, s.version)}
	if path.Ambiguous() {
		c.Got += "; as some back ends read it, " + path.Folded + ": " + grant.By(x.Method, path.Folded, s.version)
	}
	if !ok {
		c.Reason = gate.ReasonOperationNotGranted
	}
	x.Trace.Record(c)
	if x.DryRun != "" {
		x.Trace.Record(gate.Check{Name: "dry_run", Got: "would be refused: " + string(x.DryRun)})
	}
}
