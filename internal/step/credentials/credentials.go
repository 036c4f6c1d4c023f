// Package credentials is the step that finds the token or API key of a request, has it admitted, and takes it out of what is forwarded.
package credentials

import (
	"errors"
	"strings"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
)

// Step asks for exactly one token or API key in the configured places. It is read-only and safe for concurrent use.
type Step struct {
	tokens *jwt.Admission // nil: tokens open nothing
	keys   *Keys          // nil: API keys open nothing
	spots  []spot
	text   string // the places, for explanations
}

// place is somewhere credentials may be. Places do not change a request; strip does.
type place interface {
	// find returns the credentials in the request, "" if there are none. The error is errOtherScheme, or a *gate.Denial where there are more than one, or
	// something that readers may disagree about.
	find(x *gate.Exchange) (credentials string, err error)
	// strip removes the credentials from what is forwarded.
	strip(x *gate.Exchange)
	String() string
}

// spot is a place with what is looked for in it, and what is removed from it.
type spot struct {
	place
	token, key           bool
	stripToken, stripKey bool
}

// holdsKey reports whether credentials in the spot are an API key rather than a token. Where both may be their form tells: a token has dots, and a key has none.
func (s *spot) holdsKey(credentials string) bool {
	return s.key && (!s.token || apikey.Possible(credentials))
}

// strips reports whether credentials are removed from the spot.
func (s *spot) strips(credentials string) bool {
	if s.holdsKey(credentials) {
		return s.stripKey
	}
	return s.stripToken
}

// New makes the step of an API that asks for tokens, API keys, or either; tokens is nil if it does not for tokens, keys if it does not for keys. The step is nil if the problems hold more than warnings.
func New(api *gate.API, tokens *jwt.Admission, keys *Keys) (*Step, gate.Problems) {
	spots, problems := compile(api)
	if problems.Err() != nil {
		return nil, problems
	}
	names := make([]string, len(spots))
	for i := range spots {
		names[i] = spots[i].String()
	}
	return &Step{tokens: tokens, keys: keys, spots: spots, text: strings.Join(names, ", ")}, problems
}

// Check returns what is wrong with the places where an API's tokens and API keys are looked for.
func Check(api *gate.API) gate.Problems {
	_, problems := compile(api)
	return problems
}

// Handle sets x.Identity and x.ClaimFields. The error is always a *gate.Denial.
//
// All places are looked at, always: a request with credentials in two of them would be judged by one and might be served by the other (RFC 6750 section 2).
func (s *Step) Handle(x *gate.Exchange) error {
	credentials, at, err := s.find(x)
	if err != nil {
		d := gate.AsDenial(err)
		x.Trace.Record(gate.Check{Name: checked(s.tokens == nil), Reason: d.Reason, Expected: s.text, Got: d.Got})
		return err
	}
	isKey := at.holdsKey(credentials)
	if x.Trace != nil {
		x.Trace.Record(gate.Check{Name: checked(isKey), Expected: s.text, Got: at.String()})
	}
	if isKey {
		x.Identity, x.ClaimFields, err = s.keys.admit(credentials, x.Start, x.Trace)
	} else {
		x.Identity, x.ClaimFields, err = s.tokens.Admit(x.Context, credentials, x.Start, x.Trace)
	}
	if err != nil {
		return err
	}
	if _, ok := at.place.(*query); ok {
		x.Observe(private{})
	}
	if at.strips(credentials) {
		at.strip(x)
	}
	return nil
}

// checked is the name of the check that finds credentials.
func checked(key bool) string {
	if key {
		return "api_key"
	}
	return "token"
}

// find returns the only credentials of the request and where they are.
func (s *Step) find(x *gate.Exchange) (credentials string, at *spot, err error) {
	otherScheme := false
	for i := range s.spots {
		p := &s.spots[i]
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
		credentials, at = found, p
	}
	switch {
	case at != nil && otherScheme:
		// Two credentials: the back end may serve the one that was not verified.
		return "", nil, ambiguous("other credentials in Authorization, and some in " + at.String())
	case at != nil:
		return credentials, at, nil
	case otherScheme:
		return "", nil, &gate.Denial{Reason: gate.ReasonSchemeUnsupported, Expected: scheme, Got: "another scheme"}
	case s.tokens == nil:
		return "", nil, &gate.Denial{Reason: gate.ReasonAPIKeyMissing, Expected: s.text, Got: "no API key"}
	}
	return "", nil, &gate.Denial{Reason: gate.ReasonTokenMissing, Expected: s.text, Got: "no token"}
}

// ambiguous is the refusal of a request that may hold more than one token or API key; where says where, not what.
func ambiguous(where string) error {
	return &gate.Denial{Reason: gate.ReasonTokenAmbiguous, Expected: "one token in one place", Got: where}
}
