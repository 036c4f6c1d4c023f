package credentials

import (
	"errors"

	"github.com/jotgate/jotgate/internal/gate"
)

// Strip takes tokens and API keys out of requests that need none. Nobody has verified them there, and an upstream that reads them without a doubt would believe what they say. It is read-only and
// safe for concurrent use.
type Strip struct{ spots []spot }

// NewStrip makes the step of the public paths of an API, nil if the API removes neither tokens nor API keys. It is nil too if the problems hold more than warnings.
func NewStrip(api *gate.API) (*Strip, gate.Problems) {
	all, problems := compile(api)
	if problems.Err() != nil {
		return nil, problems
	}
	var spots []spot
	for _, p := range all {
		if p.stripToken || p.stripKey {
			spots = append(spots, p)
		}
	}
	if spots == nil {
		return nil, problems
	}
	return &Strip{spots}, problems
}

// Handle removes whatever may be credentials from all places where they are removed. The error is a *gate.Denial: a place cannot be read, so something may stay in it.
func (s *Strip) Handle(x *gate.Exchange) error {
	for i := range s.spots {
		p := &s.spots[i]
		credentials, err := p.find(x)
		switch {
		case errors.Is(err, errOtherScheme):
			continue // credentials of another kind are not ours
		case err != nil && gate.AsDenial(err).Reason != gate.ReasonTokenAmbiguous:
			return err
		case err != nil || credentials != "" && p.strips(credentials):
			p.strip(x)
		}
	}
	return nil
}
