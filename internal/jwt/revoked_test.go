package jwt_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/jose"
)

// revocations take subjects back.
type revocations struct {
	mu         sync.Mutex
	generation uint64
	subjects   map[string]bool
	asked      int
}

func (r *revocations) Generation() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.generation
}

func (r *revocations) Check(id *gate.Identity, _ time.Time) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.generation == 0 {
		return 0, gate.Deny(gate.ReasonRevocationsUnknown, errors.New("not loaded"))
	}
	if r.subjects[id.Subject] {
		return r.generation, gate.Deny(gate.ReasonRevoked, nil)
	}
	return r.generation, nil
}

func (r *revocations) revoke(subject string, revoked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation++
	r.subjects = map[string]bool{subject: revoked}
}

// TestRevocations: what was taken back is refused from the next request on, remembered or not; the list is asked again only when it has changed.
func TestRevocations(t *testing.T) {
	c := newCached(t, jose.ES256)
	r := new(revocations)
	v := verifier(t, compile(t, provider(func(p *gate.Provider) { p.Algorithms = []string{"ES256"} }), c.keys))
	a := jwt.NewAdmission(v, subjectHeader, c.cache, r)
	token := c.token(nil)

	c.admit(a, token, now, gate.ReasonRevocationsUnknown, true)
	r.revoke("bob", true)
	c.admit(a, token, now, "", true)
	asked := r.asked
	for range 10 {
		c.admit(a, token, now, "", false)
	}
	if r.asked != asked {
		t.Errorf("the list was asked %d times without a change", r.asked-asked)
	}
	r.revoke("bob", true)
	c.admit(a, token, now, "", false)
	r.revoke("alice", true)
	c.admit(a, token, now, gate.ReasonRevoked, false)
	c.admit(a, token, now, gate.ReasonRevoked, true) // it is not remembered any more
	r.revoke("alice", false)
	c.admit(a, token, now, "", true)

	r.revoke("alice", true)
	var trace gate.Trace
	if _, _, err := a.Admit(t.Context(), token, now, &trace); reasonOf(t, err) != gate.ReasonRevoked {
		t.Error(err)
	}
	found := false
	for _, check := range trace.Checks {
		found = found || check.Name == "revocation" && check.Reason == gate.ReasonRevoked
	}
	if !found {
		t.Errorf("the explanation is silent: %+v", trace.Checks)
	}
}
