package credentials

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
)

// Directory knows API keys; *apikey.Directory is the real thing.
type Directory interface {
	// Find returns the key with a secret, if it may be used at an API at the moment now. A key that was changed is another one: it is at another address. The error is a *gate.Denial.
	Find(secret, api string, now time.Time) (*apikey.Key, error)
}

// Keys turns the API keys of one compiled API into identities, and judges these by its rules. It is safe for concurrent use.
type Keys struct {
	api       string
	directory Directory
	revoked   jwt.Revocations
	rules     jwt.Rules
	cache     *KeyCache
	seed      maphash.Seed
	none      claims.Set // what keys claim
}

// KeyOptions are what Keys are made of.
type KeyOptions struct {
	// API is the name of the API.
	API string
	// Directory knows the keys; nil: they are never known, which is answered 503.
	Directory Directory
	// Revocations name owners whose keys are no good; nil: there are none.
	Revocations jwt.Revocations
	// Rules say what follows from an identity.
	Rules jwt.Rules
	// Cache remembers what followed; nil: nothing is remembered.
	Cache *KeyCache
}

// NewKeys makes the admission of an API's keys.
func NewKeys(o KeyOptions) *Keys {
	k := &Keys{api: o.API, directory: o.Directory, revoked: o.Revocations, rules: o.Rules, cache: o.Cache, seed: maphash.MakeSeed()}
	_ = k.none.Parse("{}", claims.DefaultLimits()) // it cannot fail
	return k
}

// Identity is who calls with a key. His claims are an empty set, never nil.
func (k *Keys) Identity(key *apikey.Key) gate.Identity {
	user := key.Owner
	if user == "" {
		user = "key:" + key.ID
	}
	id := gate.Identity{
		Subject: key.Owner, Expires: key.Expires, Claims: &k.none, User: user, Issued: key.Created,
		Groups: key.Groups, TokenName: key.Name, Application: key.Application, Policies: key.Policies, Credential: key.ID,
	}
	id.SetUserKey(gate.NewOwnerKey(key.Owner, key.ID))
	return id
}

// admit returns the identity of a key at the moment now, and the fields that tell the upstream about it; both are shared and read-only. The error is a *gate.Denial. The key itself is looked up for every
// request, so that one which was suspended or has come to its end opens nothing; what follows from it is remembered.
func (k *Keys) admit(secret string, now time.Time, trace *gate.Trace) (*gate.Identity, gate.Header, error) {
	if k.directory == nil {
		return nil, nil, k.settle(trace, "", gate.Deny(gate.ReasonKeysUnknown, nil))
	}
	key, err := k.directory.Find(secret, k.api, now)
	if err != nil {
		return nil, nil, k.settle(trace, "", gate.AsDenial(err))
	}
	if trace != nil {
		_ = k.settle(trace, key.ID, nil)
		return k.judge(&knownKey{owner: k, key: key, identity: k.Identity(key)}, now, trace)
	}
	if k.cache == nil {
		return k.judge(&knownKey{owner: k, key: key, identity: k.Identity(key)}, now, nil)
	}
	hash := maphash.String(k.seed, key.ID)
	if e := k.cache.find(k, key, hash); e != nil {
		if err := k.unrevoked(e, now); err != nil {
			return nil, nil, err
		}
		return &e.identity, e.fields, nil
	}
	e := &knownKey{owner: k, key: key, identity: k.Identity(key)}
	identity, fields, err := k.judge(e, now, nil)
	if err == nil {
		k.cache.store(e, hash)
	}
	return identity, fields, err
}

// settle records what was found of a key, and returns the refusal.
func (k *Keys) settle(trace *gate.Trace, id string, d *gate.Denial) error {
	if trace != nil {
		c := gate.Check{Name: "api_key_state", Expected: "an API key for " + k.api, Got: "key " + id}
		if d != nil {
			c.Reason, c.Got = d.Reason, d.Got
			if d.Expected != "" {
				c.Expected = d.Expected
			}
		}
		trace.Record(c)
	}
	if d == nil {
		return nil
	}
	return d
}

func (k *Keys) judge(e *knownKey, now time.Time, trace *gate.Trace) (*gate.Identity, gate.Header, error) {
	denied := k.unrevoked(e, now)
	if trace != nil && k.revoked != nil {
		c := gate.Check{Name: "revocation"}
		if denied != nil {
			d := gate.AsDenial(denied)
			c.Reason, c.Expected, c.Got = d.Reason, d.Expected, d.Got
		}
		trace.Record(c)
	}
	if denied != nil && trace == nil {
		return nil, nil, denied
	}
	fields, err := k.rules(&e.identity, trace)
	if denied != nil { // an explanation goes on; the first refusal stays the answer
		err = denied
	}
	if err != nil {
		return nil, nil, err
	}
	e.fields = fields
	return &e.identity, fields, nil
}

// unrevoked refuses a key whose owner was refused everything.
func (k *Keys) unrevoked(e *knownKey, now time.Time) error {
	if k.revoked == nil {
		return nil
	}
	if clean := e.clean.Load(); clean != 0 && clean == k.revoked.Generation() {
		return nil
	}
	generation, err := k.revoked.Check(&e.identity, now)
	if err != nil {
		return err
	}
	e.clean.Store(generation)
	return nil
}

const (
	// keyWays is how many places a key may be in.
	keyWays = 4
	// keySets is the number of sets of places: 16384 keys are remembered at most.
	keySets = 4096
	// maxKnownKey is the largest entry that is remembered, so that all of them together have at most 64 MiB.
	maxKnownKey = 4 << 10
)

// KeyCache remembers what follows from the API keys that are in use, for the Keys of one configuration. Its memory is bounded; a key that finds no place is judged anew by every request. It is safe for
// concurrent use; lookups do not allocate.
type KeyCache struct {
	sets [keySets][keyWays]atomic.Pointer[knownKey]
	hand atomic.Uint32 // the place that the next one gets in a full set
}

// knownKey is a key that has passed at one API. It is immutable once it is in the cache, but for clean.
type knownKey struct {
	owner    *Keys
	key      *apikey.Key // as it was judged
	identity gate.Identity
	fields   gate.Header
	clean    atomic.Uint64 // the generation of the revocations that the key was last found not to be among
}

// size is about the memory of an entry.
func (e *knownKey) size() int {
	const fixed, field = 1 << 10, 32 // with the key that it keeps from being forgotten
	n := fixed + e.identity.Session.Size()
	for _, list := range [][]string{e.key.Groups, e.key.Policies, e.key.APIs} {
		for _, text := range list {
			n += 16 + len(text)
		}
	}
	return n + cap(e.fields)*field
}

// find returns what is known of this very key at this API, nil if nothing is.
func (c *KeyCache) find(owner *Keys, key *apikey.Key, hash uint64) *knownKey {
	set := &c.sets[hash%keySets]
	for i := range set {
		if e := set[i].Load(); e != nil && e.key == key && e.owner == owner {
			return e
		}
	}
	return nil
}

// store puts e into a place: that of the key before it was changed, a free one, or one that another had.
func (c *KeyCache) store(e *knownKey, hash uint64) {
	if e.size() > maxKnownKey {
		return
	}
	set := &c.sets[hash%keySets]
	at := -1
	for i := range set {
		old := set[i].Load()
		if old == nil {
			at = i
		} else if old.owner == e.owner && old.key.ID == e.key.ID {
			at = i
			break
		}
	}
	if at < 0 {
		at = int(c.hand.Add(1) % keyWays)
	}
	set[at].Store(e)
}
