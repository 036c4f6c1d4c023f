// Package bearer is the step that finds the token of a request, has it admitted, and takes it out of what is forwarded.
package bearer

import (
	"errors"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
)

// Step asks for exactly one token in the configured places. It is read-only and safe for concurrent use.
type Step struct {
	admission *jwt.Admission
	places    []place
	strip     bool
	text      string // the places, for explanations
}

// place is somewhere a token may be. Places do not change a request; strip does.
type place interface {
	// find returns the token in the request, "" if there is none. The error is errOtherScheme, or a *gate.Denial where there is more than one token, or
	// something that readers may disagree about.
	find(x *gate.Exchange) (token string, err error)
	// strip removes the token from what is forwarded.
	strip(x *gate.Exchange)
	String() string
}

// New makes the step of an API that asks for tokens. The step is nil if the problems hold more than warnings.
func New(api *gate.API, admission *jwt.Admission) (*Step, gate.Problems) {
	places, problems := compile(api)
	if problems.Err() != nil {
		return nil, problems
	}
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = p.String()
	}
	return &Step{admission: admission, places: places, strip: api.Auth.JWT.StripAuthorization, text: strings.Join(names, ", ")}, problems
}

// Check returns what is wrong with the places where an API's tokens are looked for.
func Check(api *gate.API) gate.Problems {
	_, problems := compile(api)
	return problems
}

// Handle sets x.Identity and x.ClaimFields. The error is always a *gate.Denial.
//
// All places are looked at, always: a request with tokens in two of them would be judged by one and might be served by the other (RFC 6750 section 2).
func (s *Step) Handle(x *gate.Exchange) error {
	token, at, err := s.find(x)
	if err != nil {
		d := gate.AsDenial(err)
		x.Trace.Record(gate.Check{Name: "token", Reason: d.Reason, Expected: s.text, Got: d.Got})
		return err
	}
	if x.Trace != nil {
		x.Trace.Record(gate.Check{Name: "token", Expected: s.text, Got: at.String()})
	}
	identity, fields, err := s.admission.Admit(x.Context, token, x.Start, x.Trace)
	if err != nil {
		return err
	}
	x.Identity, x.ClaimFields = identity, fields
	if _, ok := at.(*query); ok {
		x.Observe(private{})
	}
	if s.strip {
		at.strip(x)
	}
	return nil
}

// find returns the one token of the request and where it was.
func (s *Step) find(x *gate.Exchange) (token string, at place, err error) {
	otherScheme := false
	for _, p := range s.places {
		found, err := p.find(x)
		if errors.Is(err, errOtherScheme) {
			otherScheme = true
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if found == "" {
			continue
		}
		if at != nil {
			return "", nil, ambiguous(at.String() + " and " + p.String())
		}
		token, at = found, p
	}
	switch {
	case at != nil && otherScheme:
		// Two credentials: the back end may serve the one that was not verified.
		return "", nil, ambiguous("other credentials in Authorization, and a token in " + at.String())
	case at != nil:
		return token, at, nil
	case otherScheme:
		return "", nil, &gate.Denial{Reason: gate.ReasonSchemeUnsupported, Expected: scheme, Got: "another scheme"}
	}
	return "", nil, &gate.Denial{Reason: gate.ReasonTokenMissing, Expected: s.text, Got: "no token"}
}

// ambiguous is the refusal of a request that may hold more than one token; where says where, not what.
func ambiguous(where string) error {
	return &gate.Denial{Reason: gate.ReasonTokenAmbiguous, Expected: "one token in one place", Got: where}
}
