package native_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
)

// TestNoun: what is written is JSON, and is read back.
func TestNoun(t *testing.T) {
	none := []string{}
	for _, noun := range []any{
		&gate.Policy{
			Name: "gold \"1\"", DryRun: true, Access: []gate.Access{{API: "*", Operations: []gate.Operation{{Methods: []string{"GET"}, PathRegex: `^/a\\b$`}}}},
			Rate: &gate.Rate{Limit: 5_000_000_000, Period: time.Minute, Algorithm: gate.AlgorithmBucket}, Metadata: map[string]string{"a": "b", "é": "ü"},
		},
		&gate.AccessRule{Name: "none", Everyone: true, APIs: []string{"a"}, Operations: &none},
		&gate.AccessRule{Name: "all", Groups: []string{"g"}, APIs: []string{"a"}},
	} {
		text, err := native.EncodeNoun(noun)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) {
			t.Errorf("%s is no JSON", text)
		}
		back := newNoun(noun)
		if problems := native.DecodeNoun("test", text, back); len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
		}
		if diff := cmp.Diff(noun, back, cmpopts.IgnoreTypes(gate.Origin{})); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func newNoun(like any) any {
	if _, ok := like.(*gate.Policy); ok {
		return new(gate.Policy)
	}
	return new(gate.AccessRule)
}

func TestNounProblems(t *testing.T) {
	for text, want := range map[string]string{
		``:                                "body:1:1: the document is empty",
		`[]`:                              "body:1:1: a mapping of keys to values was expected, not a list",
		`{"name": "a", "nane": "b"}`:      "body:1:15: nane: unknown key (did you mean name?)",
		`{"name": "${env:HOME}"}`:         "body:1:10: name: references are not allowed here",
		`{"name": "a", "name": "b"}`:      `body:1:15: name: the key is there twice, first in line 1`,
		`{"name": "a", "dryRun": "true"}`: `body:1:25: dryRun: true or false was expected, not "true" (remove the quotes)`,
	} {
		problems := native.DecodeNoun("body", []byte(text), new(gate.Policy))
		if len(problems) == 0 {
			t.Errorf("%s was read", text)
			continue
		}
		if got := problems[0].Error(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}
