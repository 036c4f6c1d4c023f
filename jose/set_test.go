package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// setOf makes the text of a set of JWK texts.
func setOf(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }

// public returns the public JWK of a test key under another kid.
func public(t *testing.T, alg Algorithm, kid string) string {
	t.Helper()
	text, err := json.Marshal(testKeys()[alg].Public().WithKeyID(kid))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// report writes what was left out in short form.
func report(problems []*KeyProblem) []string {
	var out []string
	for _, p := range problems {
		for _, kind := range keyErrors() {
			if errors.Is(p, kind) {
				out = append(out, fmt.Sprintf("%d %s: %v", p.Index, p.KeyID, kind))
			}
		}
	}
	return out
}

// TestParseSetSkips: one key of every fault among good ones. None is fatal.
func TestParseSetSkips(t *testing.T) {
	private, err := testKeys()[ES384].PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	set, problems, err := ParseSet(setOf(
		public(t, RS256, "good-1"),
		`{"kty":"future","kid":"unknown-type"}`,
		`{"kty":"OKP","crv":"Ed448","kid":"unknown-curve","x":"AAAA"}`,
		`{"kty":"AKP","alg":"SLH-DSA-SHA2-128s","kid":"unknown-akp","pub":"AAAA"}`,
		public(t, ES256, "good-2"),
		`{"kty":"RSA","kid":"incomplete","n":"AQAB"}`,
		`{"kty":"RSA","kid":"tiny","n":"AQAB","e":"AQAB"}`,
		`{"kty":"EC","kid":"twice","kty":"EC"}`,
		`{"kty":"EC","use":"enc","kid":"for-encryption"}`,
		`7`, `null`, `[{}]`, `"text"`, `{}`,
		string(private),
		`{"kty":"oct","kid":"secret","k":"`+encode(make([]byte, 32))+`"}`,
		`{"kty":"RSA","kid":"long","x":"`+strings.Repeat("x", 40<<10)+`"}`,
		`{"kty":"RSA","kid":"wide",`+numbered(100)+`}`,
		public(t, MLDSA87, "good-3"),
	), SetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1 unknown-type: unsupported key", "2 unknown-curve: unsupported key", "3 unknown-akp: unsupported key",
		"5 incomplete: invalid key", "6 tiny: weak key", "7 twice: duplicate member", "8 for-encryption: key not meant for this use",
		"9 : invalid key", "10 : invalid key", "11 : invalid key", "12 : invalid key", "13 : invalid key",
		"14 " + testKeys()[ES384].KeyID() + ": private key where a public key belongs",
		"15 secret: symmetric key mixed up with public key", "16 long: too large", "17 wide: too large",
	}
	if diff := cmp.Diff(want, report(problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	var kept []string
	for _, k := range set.Keys() {
		kept = append(kept, k.KeyID())
	}
	if diff := cmp.Diff([]string{"good-1", "good-2", "good-3"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for _, p := range problems {
		if strings.Contains(p.Error(), "\n") || len(p.Error()) > 200 {
			t.Errorf("not one short line: %s", p)
		}
	}
}

func TestParseSetDocument(t *testing.T) {
	for _, test := range []struct {
		text string
		want error
	}{
		{`{"keys":[]}`, nil},
		{`{"keys":[],"other":{"a":[1]}}`, nil},
		{` {"keys":[ ]} `, nil},
		{``, ErrSetInvalid},
		{`null`, ErrSetInvalid},
		{`[]`, ErrSetInvalid},
		{`{}`, ErrSetInvalid},
		{`{"Keys":[]}`, ErrSetInvalid},
		{`{"keys":{}}`, ErrSetInvalid},
		{`{"keys":null}`, ErrSetInvalid},
		{`{"keys":[],"keys":[]}`, ErrSetInvalid},
		{`{"keys":[]}{}`, ErrSetInvalid},
		{`{"keys":[{]}`, ErrSetInvalid},
		{`{"keys":[{"a":}]}`, ErrSetInvalid},
		{"{\"keys\":[\"\xff\"]}", ErrSetInvalid},
		{`<html>503 Service Unavailable</html>`, ErrSetInvalid},
		{`{"kty":"RSA"}`, ErrSetInvalid},
		{`{"keys":[` + strings.Repeat("{},", 256) + `{}]}`, ErrTooLarge},
		{`{"keys":[` + strings.Repeat("[", 100), ErrTooLarge},
		{`{"keys":[]}` + strings.Repeat(" ", 1<<20), ErrTooLarge},
	} {
		set, _, err := ParseSet([]byte(test.text), SetOptions{})
		if !errors.Is(err, test.want) || (set == nil) != (test.want != nil) {
			t.Errorf("%.40q: %v, want %v", test.text, err, test.want)
		}
	}
}

func TestSetDuplicateKeyIDs(t *testing.T) {
	other, err := GenerateKey(ES256)
	if err != nil {
		t.Fatal(err)
	}
	rival, err := json.Marshal(other.Public().WithKeyID("a"))
	if err != nil {
		t.Fatal(err)
	}
	unbound := strings.Replace(public(t, RS256, "a"), `"alg":"RS256",`, "", 1)
	broken := `{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}`
	for _, test := range []struct {
		name string
		keys []string
		want []string
		left int
	}{
		{"different keys", []string{public(t, ES256, "a"), public(t, RS256, "b"), string(rival)}, []string{"0 a: duplicate key id", "2 a: duplicate key id"}, 1},
		{"three of one kid", []string{public(t, ES256, "a"), public(t, ES256, "a"), string(rival)}, []string{"0 a: duplicate key id", "1 a: duplicate key id", "2 a: duplicate key id"}, 0},
		{"the same key twice", []string{public(t, ES256, "a"), public(t, ES256, "a")}, []string{"1 a: duplicate key id"}, 1},
		{"the same key with and without alg", []string{public(t, RS256, "a"), unbound}, nil, 2},
		{"one kid, two algorithms", []string{public(t, ES256, "a"), public(t, RS256, "a")}, nil, 2},
		{"one broken", []string{public(t, ES256, "a"), broken, public(t, RS256, "a")}, []string{"0 a: duplicate key id", "1 a: invalid key"}, 1},
		{"one for encryption", []string{public(t, ES256, "a"), `{"kty":"EC","kid":"a","use":"enc"}`}, []string{"1 a: key not meant for this use"}, 1},
		{"none has a kid", []string{public(t, ES256, ""), public(t, RS256, ""), public(t, ES256, "")}, []string{"2 : duplicate key id"}, 2},
		{"case counts", []string{public(t, ES256, "a"), strings.Replace(string(rival), `"a"`, `"A"`, 1)}, nil, 2},
	} {
		set, problems, err := ParseSet(setOf(test.keys...), SetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, report(problems)); diff != "" || set.Len() != test.left {
			t.Errorf("%s: %d keys left, want %d; problems (-want +got):\n%s", test.name, set.Len(), test.left, diff)
		}
	}
}

// Secrets are taken on request only, and never beside public keys: a token could then
// be signed with what the set publishes.
func TestSetSecrets(t *testing.T) {
	secret := `{"kty":"oct","kid":"s","k":"` + encode(make([]byte, 48)) + `"}`
	short := `{"kty":"oct","kid":"t","alg":"HS512","k":"` + encode(make([]byte, 16)) + `"}`
	for _, test := range []struct {
		name string
		keys []string
		opts SetOptions
		left int
	}{
		{"from elsewhere", []string{secret}, SetOptions{}, 0},
		{"only secrets", []string{secret, short}, SetOptions{Secrets: true}, 1},
		{"only secrets, short ones", []string{secret, short}, SetOptions{Secrets: true, ShortSecrets: true}, 2},
		{"beside a public key", []string{secret, public(t, RS256, "r")}, SetOptions{Secrets: true}, 1},
	} {
		set, problems, err := ParseSet(setOf(test.keys...), test.opts)
		if err != nil {
			t.Fatal(err)
		}
		if set.Len() != test.left || len(problems) != len(test.keys)-test.left {
			t.Errorf("%s: %d keys left, want %d; %v", test.name, set.Len(), test.left, problems)
		}
		for _, k := range set.Keys() {
			if k.Symmetric() != (k.KeyID() != "r") {
				t.Errorf("%s: kept %v", test.name, k)
			}
		}
	}
	set, _, err := ParseSet(setOf(secret), SetOptions{Secrets: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Keys()[0].Algorithms(); got != NewAlgorithms(HS256, HS384) {
		t.Errorf("a secret of 48 bytes fits %s", got)
	}
	if text, err := json.Marshal(set); err != nil || string(text) != `{"keys":[]}` {
		t.Errorf("marshalled as %s, %v", text, err)
	}
}

func TestCandidates(t *testing.T) {
	set, problems, err := ParseSet(setOf(
		public(t, RS256, "r"), public(t, PS256, "r"), public(t, ES256, "e"), public(t, ES256K, ""), public(t, EdDSA, ""),
	), SetOptions{})
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	for _, test := range []struct {
		kid  string
		alg  Algorithm
		want int
	}{
		{"r", RS256, 1},
		{"r", PS256, 1},
		{"r", RS384, 0},
		{"r", ES256K, 0}, // the kid is known, so no other key will do
		{"e", ES256, 1},
		{"E", ES256, 0},
		{"unknown", ES256, 0},
		{"unknown", ES256K, 1}, // a key without a kid may be meant
		{"", ES256K, 1},
		{"", RS256, 1},
		{"", EdDSA, 1},
		{"", Ed25519, 0},
		{"", HS256, 0},
		{"", 0, 0},
		{"", 255, 0},
		{"unknown", 255, 0},
	} {
		keys := set.Candidates(test.kid, test.alg)
		if len(keys) != test.want {
			t.Errorf("Candidates(%q, %s) = %v", test.kid, test.alg, keys)
		}
		for _, k := range keys {
			if !k.Fits(test.alg) {
				t.Errorf("Candidates(%q, %s) has %v", test.kid, test.alg, k)
			}
		}
	}
	if !set.Knows("r") || set.Knows("") || set.Knows("R") || set.Len() != 5 {
		t.Error("Knows")
	}
	if allocs := testing.AllocsPerRun(100, func() { set.Candidates("r", RS256); set.Candidates("x", ES256); set.Candidates("", ES256) }); allocs != 0 {
		t.Errorf("%v allocations for a lookup", allocs)
	}
}

// A set survives being published and read again.
func TestSetRoundTrip(t *testing.T) {
	var keys []*Key
	for alg := range AsymmetricAlgorithms().All() {
		keys = append(keys, testKeys()[alg].Public().WithKeyID("k-"+alg.String()))
	}
	set, problems := NewSet(append(keys, nil)...)
	if problems != nil {
		t.Fatal(problems)
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	again, problems, err := ParseSet(text, SetOptions{})
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	for i, k := range again.Keys() {
		if !k.Equal(keys[i]) {
			t.Errorf("key %d became %v", i, k)
		}
		alg := k.Algorithm()
		m, err := Parse(sign(t, testKeys()[alg], "{}"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(m, again.Candidates(k.KeyID(), alg)[0], NewAlgorithms(alg)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// A document that was cut off, anywhere, is refused: in an escape, the scanner once read beyond its end.
func TestParseSetCutOff(t *testing.T) {
	document := `{"a":[-1.5e+3,true,null,"\u00e9\ud83d\ude00\n"],"keys":[{"kty":"oct","k":"AA\u0041A","x":{"y":["\"\\"]}},"\/"]} `
	if _, _, err := ParseSet([]byte(document), SetOptions{}); err != nil {
		t.Fatalf("the whole document: %v", err)
	}
	for end := range len(document) - 1 {
		if _, _, err := ParseSet([]byte(document[:end]), SetOptions{}); !errors.Is(err, ErrSetInvalid) {
			t.Errorf("%q: %v, want %v", document[:end], err, ErrSetInvalid)
		}
	}
}
