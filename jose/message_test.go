package jose

import (
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// unsigned makes a token of a header, with a signature that is well formed only.
func unsigned(header string) string { return b64(header) + "." + b64("{}") + ".AAAA" }

func TestParseHeader(t *testing.T) {
	m, err := Parse(unsigned("{\"typ\":\"at+jwt\",\r\n \"alg\":\"\\u0052S256\",\"kid\":\"a\\/b\",\"cty\":\"x\",\"jwk\":{\"kty\":\"RSA\"}}"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Header()
	if h.Algorithm != RS256 || h.KeyID != "a/b" || h.Type != "at+jwt" || h.ContentType != "x" {
		t.Errorf("header = %+v", h)
	}
	if diff := cmp.Diff([]string{"typ", "alg", "kid", "cty", "jwk"}, h.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if !h.Has("jwk") || h.Has("JWK") || h.Has("kty") {
		t.Error("Has")
	}
	if got := string(m.UnverifiedPayload()); got != "{}" {
		t.Errorf("payload = %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	good := unsigned(`{"alg":"ES256"}`)
	if _, err := Parse(good, Limits{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, token string
		want        error
	}{
		// J1: three segments of canonical base64url, nothing else.
		{"empty", "", ErrMalformed},
		{"one segment", "abc", ErrMalformed},
		{"two segments", "a.b", ErrMalformed},
		{"four segments", good + ".AAAA", ErrMalformed},
		{"five segments", "a.b.c.d.e", ErrEncrypted},
		{"six segments", "a.b.c.d.e.f", ErrMalformed},
		{"trailing dot", good + ".", ErrMalformed},
		{"only dots", "..", ErrHeaderInvalid},
		{"no signature", strings.TrimSuffix(good, "AAAA"), ErrMalformed},
		{"padding", good + "=", ErrMalformed},
		{"double padding", good[:len(good)-1] + "==", ErrMalformed},
		{"leading space", " " + good, ErrMalformed},
		{"trailing newline", good + "\n", ErrMalformed},
		{"inner carriage return", good[:8] + "\r" + good[8:], ErrMalformed},
		{"standard alphabet plus", good[:len(good)-1] + "+", ErrMalformed},
		{"standard alphabet slash", good[:len(good)-1] + "/", ErrMalformed},
		{"unused bits of 2", good[:len(good)-2] + "B", ErrMalformed},
		{"unused bits of 1", good[:len(good)-2], nil},
		{"one character over", good + "A", ErrMalformed},
		{"not ASCII", good[:len(good)-1] + "é", ErrMalformed},
		{"NUL", good[:len(good)-1] + "\x00", ErrMalformed},
		{"JSON serialization", `{"payload":"e30","signatures":[{"protected":"e30","signature":"AAAA"}]}`, ErrMalformed},
		{"polyglot", `{"a":".e30.AAAA"}`, ErrMalformed},
		// J2: a strict JSON object.
		{"header not JSON", unsigned("alg"), ErrHeaderInvalid},
		{"header array", unsigned(`["ES256"]`), ErrHeaderInvalid},
		{"header null", unsigned(`null`), ErrHeaderInvalid},
		{"two headers", unsigned(`{"alg":"ES256"}{}`), ErrHeaderInvalid},
		{"invalid UTF-8", unsigned("{\"alg\":\"ES256\",\"x\":\"\xff\"}"), ErrHeaderInvalid},
		{"byte order mark", unsigned("\ufeff{\"alg\":\"ES256\"}"), ErrHeaderInvalid},
		{"duplicate alg", unsigned(`{"alg":"ES256","alg":"ES256"}`), ErrDuplicateMember},
		{"duplicate by escape", unsigned(`{"alg":"ES256","\u0061lg":"none"}`), ErrDuplicateMember},
		{"duplicate inside", unsigned(`{"alg":"ES256","x":{"a":1,"a":2}}`), ErrDuplicateMember},
		{"kid a number", unsigned(`{"alg":"ES256","kid":1}`), ErrHeaderInvalid},
		{"kid null", unsigned(`{"alg":"ES256","kid":null}`), ErrHeaderInvalid},
		{"typ an array", unsigned(`{"alg":"ES256","typ":["JWT"]}`), ErrHeaderInvalid},
		{"cty an object", unsigned(`{"alg":"ES256","cty":{}}`), ErrHeaderInvalid},
		// B1, B3: the algorithm.
		{"no alg", unsigned(`{}`), ErrHeaderInvalid},
		{"Alg", unsigned(`{"Alg":"ES256"}`), ErrHeaderInvalid},
		{"alg a number", unsigned(`{"alg":256}`), ErrHeaderInvalid},
		{"alg null", unsigned(`{"alg":null}`), ErrHeaderInvalid},
		{"alg none", unsigned(`{"alg":"none"}`), ErrUnsupportedAlgorithm},
		{"alg nOnE", unsigned(`{"alg":"nOnE"}`), ErrUnsupportedAlgorithm},
		{"alg none without signature", b64(`{"alg":"none"}`) + "." + b64("{}") + ".", ErrUnsupportedAlgorithm},
		{"alg of encryption", unsigned(`{"alg":"RSA-OAEP"}`), ErrUnsupportedAlgorithm},
		{"alg es256", unsigned(`{"alg":"es256"}`), ErrUnsupportedAlgorithm},
		// J3: no extension is understood, so crit never passes.
		{"crit unknown", unsigned(`{"alg":"ES256","crit":["x"],"x":1}`), ErrCritical},
		{"crit empty", unsigned(`{"alg":"ES256","crit":[]}`), ErrCritical},
		{"crit standard name", unsigned(`{"alg":"ES256","crit":["alg"]}`), ErrCritical},
		{"crit no array", unsigned(`{"alg":"ES256","crit":true}`), ErrCritical},
		{"crit null", unsigned(`{"alg":"ES256","crit":null}`), ErrCritical},
		{"crit b64", unsigned(`{"alg":"ES256","crit":["b64"],"b64":false}`), ErrCritical},
		// J15 and B5.
		{"b64 false", unsigned(`{"alg":"ES256","b64":false}`), ErrHeaderInvalid},
		{"b64 true", unsigned(`{"alg":"ES256","b64":true}`), ErrHeaderInvalid},
		{"enc", unsigned(`{"alg":"ES256","enc":"A128GCM"}`), ErrHeaderInvalid},
		// J20.
		{"token too long", strings.Repeat("A", 32<<10+1), ErrTooLarge},
		{"header too long", unsigned(`{"alg":"ES256","x":"` + strings.Repeat("x", 8<<10) + `"}`), ErrTooLarge},
		{"too deep", unsigned(`{"alg":"ES256","x":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`), ErrTooLarge},
		{"too many members", unsigned(`{"alg":"ES256",` + numbered(64) + `}`), ErrTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := Parse(test.token, Limits{})
			if !errors.Is(err, test.want) || (m == nil) != (test.want != nil) {
				t.Fatalf("Parse = %v, %v; want %v", m, err, test.want)
			}
			if test.want != nil {
				onlyOne(t, err, tokenErrors())
			}
		})
	}
}

func tokenErrors() []error {
	return []error{
		ErrMalformed, ErrTooLarge, ErrEncrypted, ErrHeaderInvalid, ErrDuplicateMember,
		ErrUnsupportedAlgorithm, ErrCritical, ErrAlgorithmNotAllowed, ErrKeyMismatch, ErrSignatureInvalid,
	}
}

// onlyOne checks that err is exactly one of the kinds, so that a switch over them does
// not depend on its order.
func onlyOne(t *testing.T, err error, kinds []error) {
	t.Helper()
	found := 0
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%v is of %d kinds", err, found)
	}
}

// The errors never hold a part of the token but the name of its algorithm.
func TestErrorsHoldNoTokenMaterial(t *testing.T) {
	const marker = "SECRETMARKER"
	for _, token := range []string{
		marker, marker + ".", marker + "." + marker + "." + marker, unsigned(`{"alg":"ES256","` + marker + `":1,"` + marker + `":2}`),
		unsigned(`{"alg":"ES256","kid":"` + marker), unsigned(`{"alg":"ES256","crit":["` + marker + `"]}`), unsigned(marker),
		unsigned(`{"alg":"ES256"}`) + marker + "=", unsigned(`{"alg":"` + strings.Repeat("x", 40) + marker + `"}`),
		unsigned(`{"alg":"ES256","kid":{"` + marker + `":1}}`),
	} {
		_, err := Parse(token, Limits{})
		if err == nil || strings.Contains(err.Error(), marker) {
			t.Errorf("%s: %v", token, err)
		}
	}
}

// TestMalleability is the table of variations that verifiers disagree about: section 2.2
// of the security requirements, as far as it concerns the token and not its claims.
func TestMalleability(t *testing.T) {
	key := testKeys()[ES256]
	token := sign(t, key, `{"sub":"alice"}`)
	message, signature := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
	signed := func(header string) string {
		t.Helper()
		token, err := key.SignRaw([]byte(header), []byte(`{"sub":"alice"}`))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	// A P-256 signature is 64 bytes, so its last character has four unused bits.
	last := strings.IndexByte(base64URL, signature[len(signature)-1])
	for _, test := range []struct {
		name, token string
		want        error
	}{
		{"as signed", token, nil},
		{"s replaced by n-s", message + "." + negated(t, signature), nil},
		{"unused bits set", message + "." + signature[:len(signature)-1] + string(base64URL[last|1]), ErrMalformed},
		{"padding", token + "==", ErrMalformed},
		{"newline in the signature", message + "." + signature[:10] + "\n" + signature[10:], ErrMalformed},
		{"CRLF at the end", token + "\r\n", ErrMalformed},
		{"leading space", " " + token, ErrMalformed},
		{"duplicate alg", signed(`{"alg":"ES256","alg":"ES256"}`), ErrDuplicateMember},
		{"unknown crit", signed(`{"alg":"ES256","crit":["x"],"x":true}`), ErrCritical},
		{"empty crit", signed(`{"alg":"ES256","crit":[]}`), ErrCritical},
		{"b64 false without crit", signed(`{"alg":"ES256","b64":false}`), ErrHeaderInvalid},
		{"byte order mark", signed("\ufeff" + `{"alg":"ES256"}`), ErrHeaderInvalid},
		{"embedded key", signed(`{"alg":"ES256","jwk":{"kty":"oct","k":"AA"},"jku":"https://evil.example/","x5u":"x","x5c":[]}`), nil},
		{"DER signature", message + "." + b64("\x30\x06\x02\x01\x01\x02\x01\x01"), ErrSignatureInvalid},
		{"r = s = 0", message + "." + b64(strings.Repeat("\x00", 64)), ErrSignatureInvalid},
		{"other payload", token[:strings.IndexByte(token, '.')+1] + b64(`{"sub":"admin"}`) + "." + signature, ErrSignatureInvalid},
	} {
		if _, err := verify(test.token, key.Public()); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// negated replaces s of a P-256 signature by the other value that verifies.
func negated(t *testing.T, signature string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	curve, _ := nistCurve("P-256")
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(curve.Params().N, s).FillBytes(raw[32:])
	return base64.RawURLEncoding.EncodeToString(raw)
}

// The order of refusals: nothing is verified with an algorithm that is not allowed, and
// no key is used for an algorithm that it does not fit.
func TestVerifyRefusals(t *testing.T) {
	keys := testKeys()
	m, err := Parse(sign(t, keys[RS256], "{}"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rs := keys[RS256].Public()
	everything := AsymmetricAlgorithms()
	for _, test := range []struct {
		name    string
		m       *Message
		key     *Key
		allowed Algorithms
		want    error
	}{
		{"as it should be", m, rs, everything, nil},
		{"zero set", m, rs, Algorithms{}, ErrAlgorithmNotAllowed},
		{"other algorithms", m, rs, NewAlgorithms(RS384, PS256, HS256), ErrAlgorithmNotAllowed},
		{"key bound to another algorithm", m, keys[PS256].Public(), everything, ErrKeyMismatch},
		{"key of another kind", m, keys[ES256].Public(), everything, ErrKeyMismatch},
		{"secret", m, keys[HS256].Public(), everything, ErrKeyMismatch},
		{"zero key", m, new(Key), everything, ErrKeyMismatch},
		{"no key", m, nil, everything, ErrKeyMismatch},
		{"no message", nil, rs, everything, ErrKeyMismatch},
		{"zero message", new(Message), rs, everything, ErrAlgorithmNotAllowed},
	} {
		payload, err := Verify(test.m, test.key, test.allowed)
		if !errors.Is(err, test.want) || (payload == nil) != (test.want != nil) {
			t.Errorf("%s: %q, %v; want %v", test.name, payload, err, test.want)
		}
		if err != nil {
			onlyOne(t, err, tokenErrors())
		}
	}
}

// Keys, sets and messages are shared by all requests: this is for the race detector.
func TestConcurrentUse(t *testing.T) {
	var keys []*Key
	for _, key := range testKeys() {
		keys = append(keys, key.Public().WithKeyID(key.Algorithm().String()))
	}
	public, problems := NewSet(slices.DeleteFunc(keys, (*Key).Symmetric)...)
	if problems != nil {
		t.Fatal(problems)
	}
	var group sync.WaitGroup
	for alg := range AsymmetricAlgorithms().All() {
		key := testKeys()[alg].WithKeyID(alg.String())
		m, err := Parse(sign(t, key, "{}"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			group.Go(func() {
				candidates := public.Candidates(m.Header().KeyID, m.Header().Algorithm)
				if len(candidates) != 1 {
					t.Errorf("%s: %d candidates", alg, len(candidates))
					return
				}
				if _, err := Verify(m, candidates[0], NewAlgorithms(alg)); err != nil {
					t.Errorf("%s: %v", alg, err)
				}
				if _, err := key.Sign([]byte("{}"), SigningHeader{}); err != nil {
					t.Errorf("%s: %v", alg, err)
				}
			})
		}
	}
	group.Wait()
}

func TestAllocations(t *testing.T) {
	for _, test := range []struct {
		alg  Algorithm
		most float64
	}{{HS256, 16}, {RS256, 20}, {PS256, 24}, {ES256, 32}, {EdDSA, 10}, {MLDSA44, 10}} {
		key := testKeys()[test.alg]
		token, public, allowed := sign(t, key, `{"sub":"alice"}`), key.Public(), NewAlgorithms(test.alg)
		got := testing.AllocsPerRun(20, func() {
			m, err := Parse(token, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(m, public, allowed); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%s: %v allocations", test.alg, got)
		if got > test.most {
			t.Errorf("%s: %v allocations to parse and verify, at most %v", test.alg, got, test.most)
		}
	}
}
