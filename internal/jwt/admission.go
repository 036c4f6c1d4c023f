package jwt

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// Rules say what follows, at one API, from an identity alone: whether it is enough, and which fields tell the upstream who is calling. They see neither
// the request nor the clock, so that what they say may be remembered with the token. The error is a *gate.Denial. The fields must not change later.
type Rules func(id *gate.Identity, trace *gate.Trace) (fields gate.Header, err error)

// Admission verifies the tokens of one compiled API and judges them by its rules. With a cache it does so once for a token, and from then on makes only
// the checks whose result may change: the times, and whether the keys are still those that the token was verified with. It is safe for concurrent use.
//
// Verdicts are remembered under the Admission itself. Every API of every configuration has its own, so a verdict cannot cross to another route or
// outlive the settings that it was made by.
type Admission struct {
	verifier *Verifier
	rules    Rules
	cache    *Cache
	revoked  Revocations
	// seed gives every API its own places in the cache, and makes them impossible to guess from outside.
	seed maphash.Seed
}

// Revocations say which tokens were taken back.
type Revocations interface {
	// Check refuses an identity whose token was taken back at the moment now, with a *gate.Denial. As long as Generation returns what Check did, an identity that passed need not be checked again.
	Check(id *gate.Identity, now time.Time) (generation uint64, err error)
	Generation() uint64
}

// NewAdmission makes the admission of an API. The cache may be nil: nothing is remembered then. So may the revocations: no token is taken back then.
func NewAdmission(v *Verifier, rules Rules, cache *Cache, revoked Revocations) *Admission {
	return &Admission{verifier: v, rules: rules, cache: cache, revoked: revoked, seed: maphash.MakeSeed()}
}

// Admit returns the identity that the token proves at the moment now, and the fields that tell the upstream about it; both are shared and read-only. The error
// is a *gate.Denial. With a trace nothing is looked up or remembered, for an explanation is of checks that are made.
//
// Only tokens that pass everything are remembered, so whoever has none cannot fill the cache, and no two requests ever wait for one verification.
func (a *Admission) Admit(ctx context.Context, token string, now time.Time, trace *gate.Trace) (*gate.Identity, gate.Header, error) {
	remember := a.cache != nil && trace == nil && len(token) <= maxStoredToken
	var hash uint64
	if remember {
		hash = maphash.String(a.seed, token)
		if e := a.cache.find(a, hash, token); e != nil {
			if e.usable(now) {
				if err := a.unrevoked(e, now, nil); err != nil {
					a.cache.forget(e)
					return nil, nil, err
				}
				a.cache.hit(e, now)
				e.accepted()
				return &e.identity, e.fields, nil
			}
			a.cache.forget(e)
		}
		a.cache.counters.misses.add(now)
	}
	p, err := a.verifier.prove(ctx, token, remember, trace)
	if err != nil {
		return nil, nil, err
	}
	e := &entry{owner: a, hash: hash, text: p.text}
	t := newToken(&p, &e.verified)
	id, err := t.Judge(now, trace)
	if err != nil {
		return nil, nil, err
	}
	denied := a.unrevoked(e, now, trace)
	if denied != nil && trace == nil {
		return nil, nil, denied
	}
	e.fields, err = a.rules(id, trace)
	if denied != nil { // an explanation goes on; the first refusal stays the answer
		err = denied
	}
	if err != nil {
		return nil, nil, err
	}
	e.accepted()
	if remember {
		e.window = t.window()
		a.cache.store(e, now)
	}
	return id, e.fields, nil
}

// unrevoked refuses a token that was taken back.
func (a *Admission) unrevoked(e *entry, now time.Time, trace *gate.Trace) error {
	if a.revoked == nil || trace == nil && e.clean.Load() == a.revoked.Generation() && e.clean.Load() != 0 {
		return nil
	}
	generation, err := a.revoked.Check(&e.identity, now)
	if trace != nil {
		check := gate.Check{Name: "revocation"}
		if err != nil {
			d := gate.AsDenial(err)
			check.Reason, check.Expected, check.Got = d.Reason, d.Expected, d.Got
		}
		trace.Record(check)
	}
	if err != nil {
		return err
	}
	e.clean.Store(generation)
	return nil
}

// entry is a token that has passed, with everything that a hit needs, in one piece. It is immutable once it is in the cache, but for clean.
type entry struct {
	// What a lookup and the search for memory need comes first, so that they touch little memory.
	hash   uint64
	owner  *Admission
	text   string
	place  uint8 // in the set, from before anybody else sees the entry
	window window
	verified
	fields gate.Header
	// clean is the generation of the revocations that the token was last found not to be among.
	clean atomic.Uint64
}

// usable reports whether the verdict holds at the moment now: everything else that it depends on is constant for its owner.
func (e *entry) usable(now time.Time) bool { return e.current() && e.window.has(now) }

// lost reports whether the entry will never be usable again.
func (e *entry) lost(now time.Time) bool { return e.window.over(now) || !e.current() }
