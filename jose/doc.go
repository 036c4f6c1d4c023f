// Package jose reads, verifies and signs compact JSON Web Signatures (RFC 7515)
// and the keys for them: JWK and JWK Set (RFC 7517), PEM and shared secrets.
//
// It is small on purpose. It knows the compact serialization, signatures and
// MACs; it does not know encryption (RFC 7516), the JSON serializations,
// detached or unencoded payloads (RFC 7797), or any header extension. What it
// does not know it refuses.
//
// Two properties hold by the shape of the functions, not by discipline:
//
//   - Nothing is verified without a set of allowed algorithms. [Verify] takes
//     it as an argument, and the zero set allows nothing. The token never
//     chooses: its algorithm must be in the set and must fit the key.
//   - Nothing in a token chooses a key. The members jwk, jku, x5u, x5c, x5t and
//     x5t#S256 of a header are read by nobody.
//
// Input is judged strictly, because two readers who disagree about a token are
// how tokens are forged: base64url must be canonical, JSON must be valid UTF-8
// without duplicate names, and every limit is checked before the work it bounds.
//
// A [JWK Set] is the exception to "refuse everything": one key that is unknown,
// weak or broken is left out and reported, and the others are used.
//
// All types are safe for concurrent use once made. Key material that is secret
// prints as [secret] and leaves the package through explicitly named methods only.
//
// [JWK Set]: https://www.rfc-editor.org/rfc/rfc7517#section-5
package jose
