package jose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse: no input panics, and what is accepted is the one encoding of its parts,
// with a header that encoding/json reads the same way.
func FuzzParse(f *testing.F) {
	f.Add(unsigned(`{"alg":"ES256","kid":"a","typ":"JWT"}`))
	f.Add("..")
	p, again := NewParser(Limits{}), new(Message)
	f.Fuzz(func(t *testing.T, token string) {
		m, err := Parse(token, Limits{})
		if other := p.Parse(token, again); fmt.Sprint(other) != fmt.Sprint(err) {
			t.Fatalf("%q: Parse says %v, a parser %v", token, err, other)
		}
		if err != nil {
			onlyOne(t, err, tokenErrors())
			return
		}
		p.remember(again) // as if it had been verified
		if err := p.Parse(token, again); err != nil || !reflect.DeepEqual([]any{m.header, m.input, m.payload, m.signature}, []any{again.header, again.input, again.payload, again.signature}) {
			t.Fatalf("%q with a remembered header: %v, %+v, want %+v", token, err, again, m)
		}
		encoded := base64.RawURLEncoding.EncodeToString
		first, _, _ := strings.Cut(token, ".")
		text, err := base64.RawURLEncoding.DecodeString(first)
		if err != nil {
			t.Fatal(err)
		}
		if again := encoded(text) + "." + encoded(m.UnverifiedPayload()) + "." + encoded(m.Signature()); again != token {
			t.Fatalf("%q is also written %q", token, again)
		}
		var header map[string]any
		if err := json.Unmarshal(text, &header); err != nil {
			t.Fatalf("encoding/json refuses header %q: %v", text, err)
		}
		h := m.Header()
		if len(header) != len(h.Names()) || header["alg"] != h.Algorithm.String() {
			t.Fatalf("header %q is read as %+v", text, h)
		}
		for name, value := range map[string]string{"kid": h.KeyID, "typ": h.Type, "cty": h.ContentType} {
			if got, _ := header[name].(string); got != value || h.Has(name) != (header[name] != nil) {
				t.Fatalf("%s of %q is read as %q", name, text, value)
			}
		}
	})
}

// FuzzVerify: a token verifies only if it is, byte for byte, the one that was signed. The
// one exception of the algorithms here, n-s for s in ECDSA, is not found by editing.
func FuzzVerify(f *testing.F) {
	const payload = `{"sub":"alice"}`
	algs := []Algorithm{HS256, RS256, PS256, ES256, ES256K, EdDSA, MLDSA44}
	tokens := make([]string, len(algs))
	for i, alg := range algs {
		token, err := testKeys()[alg].Sign([]byte(payload), SigningHeader{})
		if err != nil {
			f.Fatal(err)
		}
		tokens[i] = token
		f.Add(uint8(i), uint16(0), []byte(nil), false)
		f.Add(uint8(i), uint16(len(token)-10), []byte{1}, false)
		f.Add(uint8(i), uint16(len(token)), []byte("="), true)
	}
	p, m := NewParser(Limits{}), new(Message)
	f.Fuzz(func(t *testing.T, which uint8, at uint16, edit []byte, insert bool) {
		i := int(which) % len(algs)
		token := []byte(tokens[i])
		pos := int(at) % (len(token) + 1)
		if insert {
			token = append(token[:pos:pos], append(bytes.Clone(edit), token[pos:]...)...)
		} else {
			for n := range min(len(edit), len(token)-pos) {
				token[pos+n] ^= edit[n]
			}
		}
		got, err := verify(string(token), testKeys()[algs[i]].Public())
		if other := parseAndVerify(p, string(token), m, testKeys()[algs[i]].Public()); fmt.Sprint(other) != fmt.Sprint(err) || err == nil && !bytes.Equal(m.payload, got) {
			t.Fatalf("%s: %q: Parse says %v, a parser with headers that it remembers %v", algs[i], token, err, other)
		}
		if err != nil {
			onlyOne(t, err, tokenErrors())
			return
		}
		if string(token) != tokens[i] || string(got) != payload {
			t.Fatalf("%s: accepted %q, signed was %q", algs[i], token, tokens[i])
		}
	})
}

// FuzzParseSet: no document panics; every key is used or reported; what is used can be
// written and read again.
func FuzzParseSet(f *testing.F) {
	for alg := HS256; alg < algorithmEnd; alg++ {
		key, err := json.Marshal(testKeys()[alg].Public())
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"keys":[`+string(key)+`]}`), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, secrets bool) {
		set, problems, err := ParseSet(text, SetOptions{Secrets: secrets})
		if err != nil {
			onlyOne(t, err, []error{ErrSetInvalid, ErrTooLarge})
			return
		}
		var document map[string]json.RawMessage // encoding/json would take "KEYS" for a struct
		var elements []json.RawMessage
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatalf("encoding/json refuses the document: %v", err)
		}
		if err := json.Unmarshal(document["keys"], &elements); err != nil {
			t.Fatalf("encoding/json refuses the array: %v", err)
		}
		if n := set.Len() + len(problems); n != len(elements) {
			t.Fatalf("%d keys used or reported, the document has %d", n, len(elements))
		}
		for _, p := range problems {
			onlyOne(t, p, keyErrors())
		}
		for _, k := range set.Keys() {
			if k.Symmetric() {
				if !secrets {
					t.Fatal("a secret was taken")
				}
				continue
			}
			if k.Algorithms().Empty() || !k.Algorithms().Intersect(NewAlgorithms(HS256, HS384, HS512)).Empty() {
				t.Fatalf("%v fits %s", k, k.Algorithms())
			}
		}
		written, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		again, problems, err := ParseSet(written, SetOptions{Limits: Limits{SetBytes: 16 << 20}})
		if err != nil || len(problems) > 0 {
			t.Fatalf("%s is not read again: %v, %v", written, err, problems)
		}
		for i, k := range again.Keys() {
			if !k.Equal(set.keys[i]) {
				t.Fatalf("key %d became %v", i, k)
			}
		}
	})
}
