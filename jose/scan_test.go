package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// check reads one value and nothing after it.
func check(text string, limits Limits) error {
	s, err := newScanner(text, limits.withDefaults())
	if err != nil {
		return err
	}
	if err := s.skip(); err != nil {
		return err
	}
	return s.end()
}

func TestScanner(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `""`, `0`, `-0`, `1`, `-1.5e+10`, `1E-2`, `0.0`, `true`, `false`, `null`, ` [ 1 , 2 ] `, "\t{\r\n\"a\" : 1 }",
		`{"a":{"a":1},"A":2}`, `"\"\\\/\b\f\n\r\t\u0041"`, `"\ud83d\ude00"`, `"é"`, `{"":1}`, "\"\u2028\"", `[[[[[[[1]]]]]]]`, `1e308`,
	} {
		if err := check(text, Limits{}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		``, ` `, `{`, `}`, `[`, `]`, `{]`, `[}`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{'a':1}`,
		`{"a":1 "b":2}`, `{1:2}`, `{null:1}`, `{"a"=1}`, `01`, `-`, `+1`, `.5`, `5.`, `1e`, `1e+`, `0x1`, `NaN`, `Infinity`, `-Infinity`, `1e400`, `-1e999`,
		`tru`, `True`, `nul`, `nulll`, `truefalse`, `"`, `"a`, `"\`, `"\"`, `"\x41"`, `"\u12"`, `"\u12g4"`, `"\U0041"`, "\"\n\"", "\"\x00\"", "\"\\n\x1f\"",
		`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\ud800x"`, `"\ud800\n"`, `"\ud800\u"`, "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\ufeff{}",
		`{} {}`, `{}x`, `1 2`, `/**/1`, "1//", "\x0b1", "\u00a01", "[1]\x00",
	} {
		if err := check(text, Limits{}); !errors.Is(err, errSyntax) {
			t.Errorf("%q: %v, want a syntax error", text, err)
		}
	}
	for _, text := range []string{
		`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `[{"x":{"b":1,"c":2,"b":3}}]`, `{"":1,"":2}`, `{"é":1,"\u00e9":2}`,
		"{" + numbered(40) + `,"m39":0}`,
	} {
		if err := check(text, Limits{}); !errors.Is(err, ErrDuplicateMember) {
			t.Errorf("%q: %v, want a duplicate", text, err)
		}
	}
}

// numbered returns n members.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return strings.TrimPrefix(b.String(), ",")
}

func TestScannerLimits(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	limits := Limits{JSONDepth: 3, JSONMembers: 20, StringBytes: 5}
	for _, test := range []struct {
		text string
		ok   bool
	}{
		{deep(3), true},
		{deep(4), false},
		{deep(1 << 20), false},
		{`{"a":{"b":{}}}`, true},
		{`{"a":{"b":{"c":{}}}}`, false},
		{`{"a":[[]],"b":[[]]}`, true},
		{"{" + numbered(20) + "}", true},
		{"{" + numbered(21) + "}", false},
		{`"12345"`, true},
		{`"123456"`, false},
		{`"\u0031\u0032345"`, true},
		{`"\u0031\u00323456"`, false},
		{`{"123456":1}`, false},
	} {
		err := check(test.text, limits)
		if test.ok && err != nil || !test.ok && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%.40s: %v, want accepted = %t", test.text, err, test.ok)
		}
	}
}

// The scanner accepts no text that encoding/json refuses, and every string it reads is
// the one encoding/json reads.
func TestScannerAgainstEncodingJSON(t *testing.T) {
	alphabet := rapid.SampledFrom([]string{
		"{", "}", "[", "]", ",", ":", `"`, `"a"`, `"b"`, `"\u00e9"`, `\`, `\u`, `\ud83d`, `\ude00`, "0", "1", "-", ".", "e", "+",
		"true", "null", " ", "\n", "é", "\x00", "\x80",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(alphabet, 0, 12).Draw(t, "parts"), "")
		if check(text, Limits{}) == nil && !json.Valid([]byte(text)) {
			t.Fatalf("accepted %q", text)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		encoded, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newScanner(string(encoded), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.text(); err != nil || got != want {
			t.Fatalf("%s became %q, %v", encoded, got, err)
		}
	})
}

// Honest JSON of any shape is accepted.
func TestScannerAcceptsEncoded(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		leaf := []*rapid.Generator[any]{
			rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Int64().AsAny(),
			rapid.Float64Range(-1e300, 1e300).AsAny(),
		}
		if depth == 0 {
			return rapid.OneOf(leaf...)
		}
		inner := value(depth - 1)
		return rapid.OneOf(append(leaf, rapid.SliceOfN(inner, 0, 5).AsAny(), rapid.MapOfN(rapid.String(), inner, 0, 20).AsAny())...)
	}
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(value(3).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		if err := check(string(text), Limits{}); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}
