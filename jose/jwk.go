package jose

import (
	"errors"
	"fmt"
	"slices"
)

// jwk is the members of one JWK object, not judged yet.
type jwk struct {
	texts map[string]string   // members that are strings
	names map[string]struct{} // all members
	ops   []string            // key_ops
}

// privateMembers are those of RFC 7518 section 6 and RFC 9964 that only the owner
// of a key may know. For kty "oct" the secret is k.
var privateMembers = [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "priv"}

// readJWK reads the JSON of one key. It always returns what could be read.
func readJWK(text string, limits Limits) (*jwk, error) {
	j := &jwk{texts: make(map[string]string), names: make(map[string]struct{})}
	s, err := newScanner(text, limits)
	if err != nil {
		return j, fmt.Errorf("%w: %w", ErrKeyInvalid, err)
	}
	err = s.object(func(name string) (err error) {
		j.names[name] = struct{}{}
		s.space()
		switch {
		case name == "key_ops":
			return s.array(func() error {
				op, err := s.text()
				j.ops = append(j.ops, op)
				return err
			})
		case s.peek() == '"':
			j.texts[name], err = s.text()
			return err
		default:
			return s.skip()
		}
	})
	if err == nil {
		err = s.end()
	}
	switch {
	case errors.Is(err, ErrDuplicateMember), errors.Is(err, ErrTooLarge):
		return j, err
	case err != nil:
		return j, fmt.Errorf("%w: %w", ErrKeyInvalid, err)
	}
	return j, nil
}

func (j *jwk) has(name string) bool {
	_, ok := j.names[name]
	return ok
}

// text returns a required string member.
func (j *jwk) text(name string) (string, error) {
	if value, ok := j.texts[name]; ok {
		return value, nil
	}
	return "", fmt.Errorf("%w: no string %s", ErrKeyInvalid, name)
}

// optional returns a string member, "" if it is absent; another type is an error.
func (j *jwk) optional(name string) (string, error) {
	if !j.has(name) {
		return "", nil
	}
	return j.text(name)
}

// bytes returns a required member that holds base64url.
func (j *jwk) bytes(name string) ([]byte, error) {
	value, err := j.text(name)
	if err != nil {
		return nil, err
	}
	decoded, err := appendBase64URL(nil, []byte(value))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is %w", ErrKeyInvalid, name, err)
	}
	return decoded, nil
}

// private reports whether the owner's part is in the object.
func (j *jwk) private() bool {
	return slices.ContainsFunc(privateMembers[:], j.has)
}

// checkUse applies use and key_ops (RFC 7517 sections 4.2 and 4.3); op is "verify"
// or "sign".
func (j *jwk) checkUse(op string) error {
	use, err := j.optional("use")
	if err != nil {
		return err
	}
	if j.has("use") && use != "sig" {
		return fmt.Errorf("%w: use is %s", ErrKeyUse, quote(use))
	}
	if !j.has("key_ops") {
		return nil
	}
	if slices.Sort(j.ops); len(slices.Compact(slices.Clone(j.ops))) != len(j.ops) {
		return fmt.Errorf("%w: key_ops holds a value twice", ErrKeyInvalid)
	}
	if !slices.Contains(j.ops, op) {
		return fmt.Errorf("%w: key_ops lacks %s", ErrKeyUse, op)
	}
	return nil
}

// name gives k the kid and the alg of the JWK.
func (j *jwk) name(k *Key) (*Key, error) {
	id, err := j.optional("kid")
	if err != nil {
		return nil, err
	}
	k.id = id
	if !j.has("alg") {
		return k, nil
	}
	name, err := j.text("alg")
	if err != nil {
		return nil, err
	}
	alg, err := ParseAlgorithm(name)
	if err != nil {
		return nil, fmt.Errorf("%w: alg %s", ErrKeyUnsupported, quote(name))
	}
	bound, err := k.WithAlgorithm(alg)
	switch {
	case err == nil:
		return bound, nil
	case k.Symmetric() && alg.Symmetric():
		return nil, shortSecret(len(k.material.(*secretMaterial).secret()), alg)
	default:
		return nil, fmt.Errorf("%w: alg %s is not one for this kty and crv", ErrKeyInvalid, alg)
	}
}

// material makes the key of the object's kty.
func (j *jwk) material(opts SetOptions) (material, error) {
	kty, err := j.text("kty")
	if err != nil {
		return nil, err
	}
	switch kty {
	case "RSA":
		return asMaterial(rsaFromJWK(j))
	case "EC":
		return ecFromJWK(j)
	case "OKP":
		return asMaterial(okpFromJWK(j))
	case "AKP":
		return asMaterial(akpFromJWK(j))
	case "oct":
		if !opts.Secrets {
			return nil, fmt.Errorf("%w: kty oct", ErrKeySymmetric)
		}
		return asMaterial(secretFromJWK(j, opts.ShortSecrets))
	default:
		return nil, fmt.Errorf("%w: kty %s", ErrKeyUnsupported, quote(kty))
	}
}

// asMaterial keeps a nil pointer from becoming an interface that is not nil.
func asMaterial[M material](m M, err error) (material, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// key judges the object as a verification key.
func (j *jwk) key(opts SetOptions) (*Key, error) {
	if err := j.checkUse("verify"); err != nil {
		return nil, err
	}
	m, err := j.material(opts)
	if err != nil {
		return nil, err
	}
	if j.private() {
		return nil, ErrKeyPrivate
	}
	return j.name(newKey(m))
}

// ParseKey reads one JWK as a verification key (RFC 7517 section 4), by the rules
// of [ParseSet]. The error is one of the ErrKey errors, ErrDuplicateMember or
// ErrTooLarge.
func ParseKey(data []byte, opts SetOptions) (*Key, error) {
	opts.Limits = opts.Limits.withDefaults()
	if len(data) > opts.Limits.SetBytes {
		return nil, fmt.Errorf("%w: key longer than %d bytes", ErrTooLarge, opts.Limits.SetBytes)
	}
	j, err := readJWK(string(data), opts.Limits)
	if err != nil {
		return nil, err
	}
	return j.key(opts)
}
