package docs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What runs the examples must notice when they are wrong.
func TestExpectedOutput(t *testing.T) {
	for _, c := range []struct {
		expected, output string
		want             bool
	}{
		{"", "", true},
		{"", "something\n", false},
		{"a\n", "a\n", true},
		{"a\n", "a\nb\n", false},
		{"a\n", "", false},
		{"a\nb\n", "a\n", false},
		{"a.b\n", "axb\n", false},
		{"a...\n", "a and more\n", true},
		{"a...\n", "a\nmore\n", false},
		{"...\nb\n", "b\n", true},
		{"...\nb\n", "a\na\nb\n", true},
		{"...\nb\n", "a\nb\nc\n", false},
		{"a\n...\nc\n", "a\nb\nc\n", true},
		{"a\n...\nc\n", "a\nb\n", false},
		{"a\n...\n", "a\nb\nc\n", true},
	} {
		if got := expression(c.expected, false).MatchString(c.output); got != c.want {
			t.Errorf("%q for %q: got %v", c.expected, c.output, got)
		}
	}
	if !expression("a\n", true).MatchString("a\nb\n") {
		t.Error("the beginning of an output is not enough where it must be")
	}
}

func TestSteps(t *testing.T) {
	f := fence{line: 10, text: "$ first \\\n  goes on\nprints\n\nthis\n$ second\n$ third\n...\n"}
	want := []step{
		{10, "first \\\n  goes on", "prints\n\nthis\n"},
		{15, "second", ""},
		{16, "third", "...\n"},
	}
	if diff := cmp.Diff(want, steps(f), cmp.AllowUnexported(step{})); diff != "" {
		t.Error(diff)
	}
}

func TestFences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	text := "# Page\nWrite `a.yaml`:\n\n```yaml fragment warned\nx: 1\n```\nThen `b.yaml` and\n\n```console\n$ true\n```\n```\nplain\n```\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []fence{
		{kind: "yaml", words: []string{"fragment", "warned"}, line: 5, text: "x: 1\n", file: "a.yaml"},
		{kind: "console", line: 10, text: "$ true\n"},
		{line: 13, text: "plain\n"},
	}
	if diff := cmp.Diff(want, fences(t, path), cmp.AllowUnexported(fence{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestAnchors(t *testing.T) {
	for heading, want := range map[string]string{"jotgate keys": "jotgate-keys", "Alerts worth having": "alerts-worth-having", "1. Build it": "1-build-it", "`exp` & more": "exp--more"} {
		if got := anchor(heading); got != want {
			t.Errorf("%s: got %s", heading, got)
		}
	}
}
