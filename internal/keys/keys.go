// Package keys knows where a provider's verification keys come from and keeps them current: shared secrets, PEM, JWK Set files and addresses, and discovery.
//
// A [Source] is long-lived: providers with the same content share one, over all APIs and over reloads of the configuration. Its hot path, [Source.Keys], reads one
// atomic pointer. Everything else happens in the background, and never takes good keys away because a provider is in trouble:
//
//   - What is fetched counts only if it is a JWK Set with at least one usable key. Anything else keeps the former keys, up to a bounded age.
//   - A key that a good set no longer holds stops being trusted at once.
//   - A token with an unknown kid causes at most one fetch in an interval, whatever the number of tokens and kids, and waits for it.
package keys

import "errors"

// What [Source.Keys] answers when it has no keys to try. They are returned as they are or wrapped.
var (
	// ErrUnknownKey: the source has no key that fits the kid and the algorithm.
	ErrUnknownKey = errors.New("unknown key")
	// ErrUnavailable: the source has no keys at all, or cannot find out now whether it should have this one.
	ErrUnavailable = errors.New("keys unavailable")
	// ErrAmbiguous: more keys fit than one token may try, and no kid chooses among them.
	ErrAmbiguous = errors.New("too many keys fit")
)

// The kinds of source, as gate.KeySourceStatus names them.
const (
	kindSecret    = "secret"
	kindPublicKey = "publicKey"
	kindFile      = "jwksFile"
	kindURLs      = "jwksURLs"
	kindDiscovery = "discovery"
	// kindIndividual has no source here: its keys are those of single callers.
	kindIndividual = "individual"
)
