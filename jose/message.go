package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Header is the protected header of a token (RFC 7515 section 4.1). None of it is
// verified before [Verify] has returned.
type Header struct {
	// Algorithm is the alg; it is never zero in a parsed header.
	Algorithm Algorithm
	// KeyID is the kid, "" if there is none. It is chosen by whoever made the token.
	KeyID string
	// Type is the typ as written, "" if there is none.
	Type string
	// ContentType is the cty as written, "" if there is none.
	ContentType string

	names []string
}

// Has reports whether the header has a member of exactly this name, understood or not.
func (h Header) Has(name string) bool { return slices.Contains(h.names, name) }

// Names returns the names of all members in their order.
func (h Header) Names() []string { return slices.Clone(h.names) }

// Message is a compact JWS which is well formed, and nothing more: not a word of
// it is to be believed before [Verify].
type Message struct {
	header    Header
	input     []byte // the signing input as it was received
	payload   []byte
	signature []byte

	buffer []byte // that all of the above but the header are in
	// parser is who remembers the header once the message has been verified, nil for
	// nobody; encoded is the header's part of input.
	parser  *Parser
	encoded []byte
}

// Header returns the unverified header.
func (m *Message) Header() Header { return m.header }

// UnverifiedPayload returns the decoded payload, which nobody has vouched for:
// use it to find out whose keys to ask, or to explain a refusal, and use the
// result of [Verify] for everything else. It must not be modified.
func (m *Message) UnverifiedPayload() []byte { return m.payload }

// Signature returns the decoded signature or MAC. It must not be modified. It is
// no identity of the token: some algorithms allow several signatures for one input.
func (m *Message) Signature() []byte { return m.signature }

// Parse reads a compact JWS without verifying it (RFC 7515 section 5.2, steps 1
// to 7). It accepts exactly three segments of canonical unpadded base64url and
// nothing around them, and a header that is a strict JSON object with a supported
// alg, without crit (no extension is understood), without b64 (RFC 7797 section 7)
// and without enc (a JWE). kid, typ and cty must be strings.
//
// The error is exactly one of ErrMalformed, ErrTooLarge, ErrEncrypted,
// ErrHeaderInvalid, ErrDuplicateMember, ErrUnsupportedAlgorithm and ErrCritical.
// A [Parser] does the same for many tokens with less work.
func Parse(token string, limits Limits) (*Message, error) {
	m := new(Message)
	if err := m.parse(token, limits.withDefaults(), nil); err != nil {
		return nil, err
	}
	return m, nil
}

// parse makes m the message of token. On an error nothing is left in it.
func (m *Message) parse(token string, limits Limits, p *Parser) (err error) {
	*m = Message{buffer: m.buffer}
	defer func() {
		if err != nil {
			*m = Message{buffer: m.buffer}
		}
	}()
	if len(token) > limits.TokenBytes {
		return fmt.Errorf("%w: token longer than %d bytes", ErrTooLarge, limits.TokenBytes)
	}
	first, second, err := split(token)
	if err != nil {
		return err
	}
	if base64.RawURLEncoding.DecodedLen(first) > limits.HeaderBytes {
		return fmt.Errorf("%w: header longer than %d bytes", ErrTooLarge, limits.HeaderBytes)
	}
	// One buffer takes the token and all three decoded segments.
	m.buffer = slices.Grow(m.buffer[:0], len(token)+base64.RawURLEncoding.DecodedLen(len(token)))
	raw := append(m.buffer, token...)
	free := raw[len(raw):]
	raw = raw[:len(raw):len(raw)]
	m.input = raw[:second:second]
	if known := p.find(token[:first]); known != nil {
		m.header = known.header
	} else if free, err = m.parseHeader(free, raw[:first:first], limits, p); err != nil {
		return err
	}
	if m.payload, free, err = decodeSegment(free, raw[first+1:second], "payload"); err != nil {
		return err
	}
	if m.signature, _, err = decodeSegment(free, raw[second+1:], "signature"); err != nil {
		return err
	}
	if len(m.signature) == 0 {
		return fmt.Errorf("%w: no signature", ErrMalformed)
	}
	return nil
}

// parseHeader reads a header that is not remembered.
func (m *Message) parseHeader(free, encoded []byte, limits Limits, p *Parser) ([]byte, error) {
	text, free, err := decodeSegment(free, encoded, "header")
	if err != nil {
		return nil, err
	}
	// The header keeps its text: it may outlive the buffer.
	if err := m.header.parse(string(text), limits); err != nil {
		return nil, err
	}
	m.parser, m.encoded = p, encoded
	return free, nil
}

// split finds the two dots of a JWS, in constant memory however many there are.
func split(token string) (first, second int, err error) {
	first = strings.IndexByte(token, '.')
	if first < 0 {
		return 0, 0, fmt.Errorf("%w: one segment instead of three", ErrMalformed)
	}
	second = strings.IndexByte(token[first+1:], '.')
	if second < 0 {
		return 0, 0, fmt.Errorf("%w: two segments instead of three", ErrMalformed)
	}
	second += first + 1
	switch strings.Count(token[second+1:], ".") {
	case 0:
		return first, second, nil
	case 2:
		return 0, 0, ErrEncrypted
	default:
		return 0, 0, fmt.Errorf("%w: more than three segments", ErrMalformed)
	}
}

// decodeSegment decodes one segment into the free part of buf and returns it and
// what remains free.
func decodeSegment(buf, segment []byte, name string) (decoded, rest []byte, err error) {
	start := len(buf)
	buf, err = appendBase64URL(buf, segment)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s is not canonical base64url", ErrMalformed, name)
	}
	return buf[start:len(buf):len(buf)], buf, nil
}

var errBase64 = errors.New("not canonical base64url")

// strictBase64 refuses non-zero trailing bits. It is kept since making it copies its tables.
var strictBase64 = base64.RawURLEncoding.Strict()

// appendBase64URL decodes unpadded base64url and refuses what is not the one
// encoding of its bytes: the decoder's Strict mode refuses non-zero trailing bits
// but still skips line breaks, and what it skipped is missing in the result.
func appendBase64URL(dst, src []byte) ([]byte, error) {
	// One character over four is never right, and would be as long as none.
	if len(src)%4 == 1 {
		return nil, errBase64
	}
	start := len(dst)
	dst, err := strictBase64.AppendDecode(dst, src)
	if err != nil || len(dst)-start != strictBase64.DecodedLen(len(src)) {
		return nil, errBase64
	}
	return dst, nil
}

// parse reads the header's JSON.
func (h *Header) parse(text string, limits Limits) error {
	s, err := newScanner(text, limits)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHeaderInvalid, err)
	}
	var alg string
	h.names = make([]string, 0, 4)
	err = s.object(func(name string) error {
		h.names = append(h.names, name)
		var err error
		switch name {
		case "alg":
			alg, err = s.text()
		case "kid":
			h.KeyID, err = s.text()
		case "typ":
			h.Type, err = s.text()
		case "cty":
			h.ContentType, err = s.text()
		default:
			return s.skip()
		}
		if errors.Is(err, errSyntax) {
			return fmt.Errorf("%s is not a string: %w", name, err)
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	switch {
	case errors.Is(err, ErrDuplicateMember), errors.Is(err, ErrTooLarge):
		return fmt.Errorf("header: %w", err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrHeaderInvalid, err)
	}
	return h.check(alg)
}

// check applies the rules on members that say how the token is to be read.
func (h *Header) check(alg string) (err error) {
	switch {
	case h.Has("crit"):
		return ErrCritical
	case h.Has("b64"):
		return fmt.Errorf("%w: b64 in a token", ErrHeaderInvalid)
	case h.Has("enc"):
		return fmt.Errorf("%w: enc in a token that is not encrypted", ErrHeaderInvalid)
	case !h.Has("alg"):
		return fmt.Errorf("%w: no alg", ErrHeaderInvalid)
	}
	h.Algorithm, err = ParseAlgorithm(alg)
	return err
}

// Verify checks the signature of m with key and returns the payload it covers,
// which must not be modified. The algorithm of m must be in allowed and must fit
// the key; the empty set allows nothing. The signature is checked over the bytes
// that were received (RFC 7515 section 5.2 step 8).
//
// The error is exactly one of ErrAlgorithmNotAllowed, ErrKeyMismatch and
// ErrSignatureInvalid. A nil message or key is ErrKeyMismatch.
func Verify(m *Message, key *Key, allowed Algorithms) (payload []byte, err error) {
	if m == nil || key == nil {
		return nil, fmt.Errorf("%w: no message or no key", ErrKeyMismatch)
	}
	alg := m.header.Algorithm
	if !allowed.Has(alg) {
		return nil, fmt.Errorf("%w: %s", ErrAlgorithmNotAllowed, alg)
	}
	if err := key.VerifyBytes(alg, m.input, m.signature); err != nil {
		return nil, err
	}
	m.parser.remember(m)
	return m.payload, nil
}
