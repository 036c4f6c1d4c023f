package engine

import (
	"context"
	"slices"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/step/credentials"
)

// Caller is somebody whose session is asked for: by the claims of a provider's token, or by an API key.
type Caller struct {
	// Provider and Claims are a provider's name and the payload of a token of it, which need not be valid otherwise.
	Provider string
	Claims   []byte
	// Key is the API key, in place of both.
	Key *apikey.Key
}

// Session returns what a caller may do at an API at the moment now, nil if valid credentials are all that the API asks for, and what each of his requests takes from: first the counters that are his own, then those that he shares with whoever
// else calls the API. Limits of single operations are left out. The error is a *gate.Denial with what refuses him, or gate.Problems if there is no such API or provider or if the claims cannot be read.
func (e *Engine) Session(name string, c Caller, now time.Time) (_ *gate.Session, own, shared []limit.Use, err error) {
	s := e.acquire()
	if s == nil {
		return nil, nil, nil, gate.Deny(gate.ReasonNotReady, nil)
	}
	defer s.release()
	api := s.byName[name]
	if api == nil {
		return nil, nil, nil, gate.Problems{{Path: "api", Message: "there is no API called " + name}}
	}
	id, err := s.identity(c)
	if err != nil {
		return nil, nil, nil, err
	}
	granted, err := api.selector.Session(id, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	x := &gate.Exchange{Context: context.Background(), Start: now, Identity: id}
	if granted != nil {
		if x.Session = granted.At(now); x.Session == nil {
			return nil, nil, nil, gate.Deny(gate.ReasonGrantExpired, nil)
		}
		x.Uses = slices.Clone(x.Session.Limits)
	}
	granting := len(x.Uses)
	if api.limits != nil {
		if _, err := api.limits.View(x); err != nil {
			return nil, nil, nil, err
		}
	}
	for i, use := range x.Uses {
		if i < granting || use.Group == id.UserKey().Group() {
			own = append(own, use)
		} else {
			shared = append(shared, use)
		}
	}
	return x.Session, own, shared, nil
}

// identity is who a caller is.
func (s *Snapshot) identity(c Caller) (*gate.Identity, error) {
	if c.Key != nil {
		id := credentials.NewKeys(credentials.KeyOptions{}).Identity(c.Key)
		return &id, nil
	}
	provider := s.providers[c.Provider]
	if provider == nil {
		return nil, gate.Problems{{Path: "provider", Message: "there is no provider called " + c.Provider}}
	}
	id, err := provider.Identity(string(c.Claims))
	if err != nil {
		return nil, gate.Problems{{Path: "claims", Message: err.Error()}}
	}
	return id, nil
}
