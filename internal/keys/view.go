package keys

import (
	"slices"
	"sync/atomic"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// maxCandidates is how many keys may be tried for one token.
const maxCandidates = 4

// candidate is what a token says about its key.
type candidate struct {
	kid string
	alg jose.Algorithm
}

// view is an immutable index of the keys in use. A source replaces it as a whole.
type view struct {
	generation uint64
	// anyKid: the keys are of a kind that has no kids, so those of tokens do not matter.
	anyKid bool
	// kids: at least one key has a kid.
	kids bool
	// complete says that every part has keys.
	complete bool
	keys     []*jose.Key
	named    map[candidate][]*jose.Key
	fitting  map[jose.Algorithm][]*jose.Key
	// tokens counts what each key verified. The counters live as long as the key is in use, over views.
	tokens map[*jose.Key]*atomic.Uint64
}

// next returns the view of these keys. Keys that were in use before stay the same pointers and keep their counters; if nothing changed, the view is v itself.
func (v *view) next(keys []*jose.Key, complete bool) *view {
	n := &view{
		generation: v.generation + 1,
		anyKid:     v.anyKid,
		complete:   complete,
		named:      make(map[candidate][]*jose.Key, len(keys)),
		fitting:    make(map[jose.Algorithm][]*jose.Key),
		tokens:     make(map[*jose.Key]*atomic.Uint64, len(keys)),
	}
	former := byKid(v.keys)
	added := make(map[string][]*jose.Key, len(keys))
	for _, key := range keys {
		if i := slices.IndexFunc(former[key.KeyID()], key.Equal); i >= 0 {
			key = former[key.KeyID()][i]
		}
		if slices.ContainsFunc(added[key.KeyID()], key.Equal) {
			continue
		}
		added[key.KeyID()] = append(added[key.KeyID()], key)
		n.add(key, v.tokens[key])
	}
	if complete == v.complete && slices.Equal(n.keys, v.keys) {
		return v
	}
	return n
}

func byKid(keys []*jose.Key) map[string][]*jose.Key {
	m := make(map[string][]*jose.Key, len(keys))
	for _, key := range keys {
		m[key.KeyID()] = append(m[key.KeyID()], key)
	}
	return m
}

func (v *view) add(key *jose.Key, tokens *atomic.Uint64) {
	if tokens == nil {
		tokens = new(atomic.Uint64)
	}
	v.keys = append(v.keys, key)
	v.tokens[key] = tokens
	v.kids = v.kids || key.KeyID() != ""
	for alg := range key.Algorithms().All() {
		v.fitting[alg] = append(v.fitting[alg], key)
		if kid := key.KeyID(); kid != "" {
			c := candidate{kid, alg}
			v.named[c] = append(v.named[c], key)
		}
	}
}

// find returns the keys that may have signed a token, or ErrUnavailable, ErrUnknownKey or ErrAmbiguous. It does not allocate.
//
// A kid is a hint (RFC 7515 section 4.1.4) that chooses among keys. Where no key has one it cannot choose, and every key that is for the algorithm may be tried, as for a
// token without kid. As soon as one key has a kid, a token with another is not for the keys without: its own may be about to be published.
func (v *view) find(c candidate) ([]*jose.Key, error) {
	var keys []*jose.Key
	if c.kid == "" || v.anyKid || !v.kids {
		keys = v.fitting[c.alg]
	} else {
		keys = v.named[c]
	}
	switch {
	case len(v.keys) == 0:
		return nil, ErrUnavailable
	case len(keys) == 0:
		return nil, ErrUnknownKey
	case len(keys) > maxCandidates:
		return nil, ErrAmbiguous
	}
	return keys, nil
}

func (v *view) status() []gate.KeyStatus {
	status := make([]gate.KeyStatus, 0, len(v.keys))
	for _, key := range v.keys {
		k := gate.KeyStatus{KeyID: key.KeyID(), Type: keyType(key), Tokens: v.tokens[key].Load()}
		if key.Algorithm() != 0 {
			k.Algorithm = key.Algorithm().String()
		}
		status = append(status, k)
	}
	return status
}

// keyType returns the kty of the key (RFC 7517 section 4.1).
func keyType(key *jose.Key) string {
	for _, t := range [...]struct {
		kty string
		alg []jose.Algorithm
	}{
		{"oct", []jose.Algorithm{jose.HS256, jose.HS384, jose.HS512}},
		{"RSA", []jose.Algorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}},
		{"EC", []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512, jose.ES256K}},
		{"OKP", []jose.Algorithm{jose.EdDSA, jose.Ed25519}},
		{"AKP", []jose.Algorithm{jose.MLDSA44, jose.MLDSA65, jose.MLDSA87}},
	} {
		if slices.ContainsFunc(t.alg, key.Fits) {
			return t.kty
		}
	}
	return ""
}
