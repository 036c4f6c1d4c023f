package bearer

import (
	"errors"

	"github.com/jotgate/jotgate/internal/gate"
)

// Strip takes tokens out of requests that need none. Nobody has verified them there, and an upstream that reads them without a doubt would believe what they say. It is read-only and
// safe for concurrent use.
type Strip struct{ places []place }

// NewStrip makes the step of the public paths of an API whose tokens are stripped. The step is nil if the problems hold more than warnings.
func NewStrip(api *gate.API) (*Strip, gate.Problems) {
	places, problems := compile(api)
	if problems.Err() != nil {
		return nil, problems
	}
	return &Strip{places}, problems
}

// Handle removes whatever may be a token from all configured places. The error is a *gate.Denial: a place cannot be read, so a token may stay in it.
func (s *Strip) Handle(x *gate.Exchange) error {
	for _, p := range s.places {
		token, err := p.find(x)
		switch {
		case errors.Is(err, errOtherScheme):
			continue // credentials of another kind are not ours
		case err != nil && gate.AsDenial(err).Reason != gate.ReasonTokenAmbiguous:
			return err
		case err != nil || token != "":
			p.strip(x)
		}
	}
	return nil
}
