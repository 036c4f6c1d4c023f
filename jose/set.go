package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Set is an immutable collection of verification keys, indexed for lookup by the
// kid and alg of a token.
type Set struct {
	keys  []*Key
	ids   map[string]struct{}
	named map[candidate][]*Key
	fit   [algorithmEnd][]*Key // every key, by algorithm
	plain [algorithmEnd][]*Key // those without a kid
}

type candidate struct {
	id  string
	alg Algorithm
}

// SetOptions say how a JWK Set or JWK is read. The zero value is right for what is
// fetched from elsewhere.
type SetOptions struct {
	Limits Limits
	// Secrets takes keys of kty "oct". Never set it for a document that was fetched
	// from a URL or that others can read.
	Secrets bool
	// ShortSecrets takes secrets shorter than the hash; see [SecretOptions].
	ShortSecrets bool
}

// ParseSet reads a JWK Set (RFC 7517 section 5). A key that cannot be used is left
// out and reported, in the order of the document; the rest is used:
//
//   - kty, crv or alg unknown; a member missing, mistyped or out of range; a member twice;
//   - RSA outside 2048 to 8192 bits, e even or outside 3 to 2^31-1, a modulus of the
//     generator of CVE-2017-15361; a point that is not on its curve or of small order;
//   - use other than sig, key_ops without verify;
//   - private members: what is published is no secret, so the key proves nothing;
//   - kty oct, unless opts.Secrets is set and the set holds nothing but secrets;
//   - two different keys with one kid for one algorithm, or of one kty where one is
//     broken: both, since it cannot be known which is meant. A key that is there twice
//     counts once.
//
// x5c, x5u and x5t are not read. The error is ErrSetInvalid or ErrTooLarge, for the
// document as a whole; a set without a usable key is no error.
func ParseSet(data []byte, opts SetOptions) (*Set, []*KeyProblem, error) {
	opts.Limits = opts.Limits.withDefaults()
	texts, err := splitSet(data, opts.Limits)
	if err != nil {
		return nil, nil, err
	}
	type name struct{ kid, kty string }
	keys, names := make([]*Key, len(texts)), make([]name, len(texts))
	broken := make(map[name]bool)
	var problems []*KeyProblem
	for i, text := range texts {
		j, err := readJWK(text, opts.Limits)
		names[i] = name{j.texts["kid"], j.texts["kty"]}
		if err == nil {
			keys[i], err = j.key(opts)
		}
		if err != nil {
			broken[names[i]] = broken[names[i]] || errors.Is(err, ErrKeyInvalid)
			problems = append(problems, &KeyProblem{i, names[i].kid, err})
		}
	}
	for i, k := range keys {
		if k != nil && k.id != "" && broken[names[i]] {
			keys[i] = nil
			problems = append(problems, &KeyProblem{i, k.id, errOneKeyID})
		}
	}
	set, more := NewSet(keys...)
	problems = append(problems, more...)
	slices.SortStableFunc(problems, func(a, b *KeyProblem) int { return a.Index - b.Index })
	return set, problems, nil
}

// errOneKeyID is what two keys have that cannot be told apart.
var errOneKeyID = fmt.Errorf("%w: different keys of one kid", ErrKeyDuplicate)

// splitSet checks the document and returns the JSON text of each key.
func splitSet(data []byte, limits Limits) ([]string, error) {
	if len(data) > limits.SetBytes {
		return nil, fmt.Errorf("%w: key set longer than %d bytes", ErrTooLarge, limits.SetBytes)
	}
	s, err := newScanner(string(data), limits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetInvalid, err)
	}
	var texts []string
	found := false
	err = s.object(func(name string) error {
		if name != "keys" {
			return s.skip()
		}
		found = true
		// A bad key must not spoil the set, so only its syntax is checked here.
		s.loose = true
		defer func() { s.loose = false }()
		return s.array(func() error {
			if len(texts) == limits.Keys {
				return fmt.Errorf("%w: more than %d keys", ErrTooLarge, limits.Keys)
			}
			start := s.pos
			if err := s.skip(); err != nil {
				return err
			}
			texts = append(texts, s.src[start:s.pos])
			return nil
		})
	})
	if err == nil {
		err = s.end()
	}
	switch {
	case errors.Is(err, ErrTooLarge):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSetInvalid, err)
	case !found:
		return nil, fmt.Errorf(`%w: no "keys"`, ErrSetInvalid)
	}
	return texts, nil
}

// NewSet makes a set of keys from several sources, leaving out and reporting, by
// position, keys of one kid for one algorithm and secrets beside public keys, as
// [ParseSet] does. Nil keys are ignored.
func NewSet(keys ...*Key) (*Set, []*KeyProblem) {
	faults := make([]error, len(keys))
	public := slices.ContainsFunc(keys, func(k *Key) bool { return k != nil && !k.Symmetric() })
	byID := make(map[string][]int)
	for i, k := range keys {
		if k == nil {
			continue
		}
		if public && k.Symmetric() {
			faults[i] = fmt.Errorf("%w: a secret among public keys", ErrKeySymmetric)
			continue
		}
		byID[k.id] = append(byID[k.id], i)
	}
	for id, same := range byID {
		findDuplicates(id, keys, same, faults)
	}
	s := &Set{ids: make(map[string]struct{}), named: make(map[candidate][]*Key)}
	var problems []*KeyProblem
	for i, k := range keys {
		switch {
		case k == nil:
		case faults[i] != nil:
			problems = append(problems, &KeyProblem{i, k.id, faults[i]})
		default:
			s.add(k)
		}
	}
	return s, problems
}

// findDuplicates judges the keys at the positions same, which have one kid. Keys
// without a kid are alternatives, and only repetitions are left out.
func findDuplicates(id string, keys []*Key, same []int, faults []error) {
	for n, i := range same {
		for _, j := range same[:n] {
			a, b := keys[i], keys[j]
			switch {
			case a.fits.Intersect(b.fits).Empty():
			case a.Equal(b):
				faults[i] = fmt.Errorf("%w: the key is listed twice", ErrKeyDuplicate)
			case id != "" && !a.material.equal(b.material):
				faults[i], faults[j] = errOneKeyID, errOneKeyID
			}
		}
	}
}

func (s *Set) add(k *Key) {
	s.keys = append(s.keys, k)
	if k.id != "" {
		s.ids[k.id] = struct{}{}
	}
	for alg := range k.fits.All() {
		s.fit[alg] = append(s.fit[alg], k)
		if k.id == "" {
			s.plain[alg] = append(s.plain[alg], k)
			continue
		}
		c := candidate{k.id, alg}
		s.named[c] = append(s.named[c], k)
	}
}

// Candidates returns the keys that may have signed a token with this kid and alg,
// in the order of the set. With a kid: the keys of exactly that kid, or, if the set
// does not know it, those without one. Without a kid ("") : every key that fits.
// The slice must not be modified. Candidates does not allocate.
func (s *Set) Candidates(kid string, alg Algorithm) []*Key {
	switch {
	case alg >= algorithmEnd:
		return nil
	case kid == "":
		return s.fit[alg]
	case s.Knows(kid):
		return s.named[candidate{kid, alg}]
	default:
		return s.plain[alg]
	}
}

// Knows reports whether a key has exactly this kid, for whatever algorithm.
func (s *Set) Knows(kid string) bool {
	_, ok := s.ids[kid]
	return ok
}

// Len returns the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// Keys returns the keys in the order of the set.
func (s *Set) Keys() []*Key { return slices.Clone(s.keys) }

// MarshalJSON returns the JWK Set of the public keys; secrets are left out.
func (s *Set) MarshalJSON() ([]byte, error) {
	public := make([]*Key, 0, len(s.keys))
	for _, k := range s.keys {
		if !k.Symmetric() {
			public = append(public, k)
		}
	}
	return json.Marshal(struct {
		Keys []*Key `json:"keys"`
	}{public})
}
