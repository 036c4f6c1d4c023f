package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, dir, name, contents string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a", "from a\n")
	crlf := write(t, dir, "crlf", "line\r\n")
	two := write(t, dir, "two", "line\n\n")
	bare := write(t, dir, "bare", "no newline\r")
	nested := write(t, dir, "nested", "${env:NAME}")
	env := map[string]string{"NAME": "value", "EMPTY": "", "DOLLAR": "$${x}${env:NAME}"}
	r := &Resolver{Dir: dir, LookupEnv: func(n string) (string, bool) { v, ok := env[n]; return v, ok }, ReadFile: os.ReadFile}

	for _, tc := range []struct {
		name, text, want string
		files            []string
	}{
		{name: "nothing", text: "", want: ""},
		{name: "plain", text: "a $ b $$ c {} $x", want: "a $ b $$ c {} $x"},
		{name: "variable", text: "${env:NAME}", want: "value"},
		{name: "inside text", text: "<${env:NAME}|${env:NAME}>", want: "<value|value>"},
		{name: "empty variable", text: "[${env:EMPTY}]", want: "[]"},
		{name: "escape", text: "$${env:NAME}", want: "${env:NAME}"},
		{name: "escape and reference", text: "$${${env:NAME}}", want: "${value}"},
		{name: "dollar before an escape", text: "$$${env:NAME}", want: "$${env:NAME}"},
		{name: "values are not expanded", text: "${env:DOLLAR}", want: "$${x}${env:NAME}"},
		{name: "dollar of a value before a brace", text: "${env:DOLLAR}{", want: "$${x}${env:NAME}{"},
		{name: "absolute file", text: "${file:" + a + "}", want: "from a", files: []string{a}},
		{name: "relative file", text: "${file:a}", want: "from a", files: []string{a}},
		{name: "CRLF", text: "${file:crlf}", want: "line", files: []string{crlf}},
		{name: "one newline only", text: "${file:two}", want: "line\n", files: []string{two}},
		{name: "lone CR stays", text: "${file:bare}", want: "no newline\r", files: []string{bare}},
		{name: "file is not expanded", text: "${file:nested}", want: "${env:NAME}", files: []string{nested}},
		{name: "two files", text: "${file:a}-${file:two}", want: "from a-line\n", files: []string{a, two}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, files, err := r.Expand(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("expanded to %q, want %q", got, tc.want)
			}
			if diff := cmp.Diff(tc.files, files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExpandErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "hunter2")
	r := &Resolver{Dir: dir, LookupEnv: func(n string) (string, bool) { return "hunter2", n == "SET" }, ReadFile: os.ReadFile}

	for _, tc := range []struct {
		name, text, want string
		files            []string
	}{
		{"line break in a name", "${env:UN\nSET}", "the reference at byte 1 has control characters in it, or bytes that are no UTF-8", nil},
		{"line break in a path", "a${file:x\n}", "the reference at byte 2 has control characters in it, or bytes that are no UTF-8", nil},
		{"unset variable", "hunter2${env:UNSET}", "${env:UNSET}: the environment variable is not set", nil},
		{"after a value", "${env:SET}${env:UNSET}", "${env:UNSET}: the environment variable is not set", nil},
		{"no variable", "${env:}", "${env:} names no variable", nil},
		{"missing file", "${file:gone}", "${file:gone}: no such file or directory", []string{filepath.Join(dir, "gone")}},
		{"file before missing", "${file:a}${env:UNSET}", "${env:UNSET}: the environment variable is not set", []string{filepath.Join(dir, "a")}},
		{"no file", "${file:}", "${file:} names no file", nil},
		{"directory", "${file:/}", "${file:/}: is a directory", []string{"/"}},
		{"unknown scheme", "x${vault:hunter2}", `the reference at byte 2 has the unknown scheme "vault"; known are env and file`, nil},
		{"no scheme", "${hunter2}", "the reference at byte 1 has no scheme; write ${env:NAME} or ${file:PATH}, or $${ for a literal ${", nil},
		{"scheme like a password", "${Hunter2:x}", "the reference at byte 1 has no scheme; write ${env:NAME} or ${file:PATH}, or $${ for a literal ${", nil},
		{"not closed", "ab${hunter2", "the reference at byte 3 has no closing brace; write $${ for a literal ${", nil},
		{"empty", "${}", "the reference at byte 1 has no scheme; write ${env:NAME} or ${file:PATH}, or $${ for a literal ${", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, files, err := r.Expand(tc.text)
			if err == nil {
				t.Fatalf("expanded to %q", got)
			}
			if got != "" {
				t.Error("a text beside an error")
			}
			if err.Error() != tc.want {
				t.Errorf("error %q, want %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "unter2") {
				t.Error("the error holds a value")
			}
			if diff := cmp.Diff(tc.files, files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "${env:A}", "$${", "${", "${file:x}", "$$${env:A}}", "${:}", "${env:A"} {
		f.Add(s)
	}
	r := &Resolver{
		LookupEnv: func(string) (string, bool) { return "<v>", true },
		ReadFile:  func(string) ([]byte, error) { return []byte("<f>\n"), nil },
	}
	f.Fuzz(func(t *testing.T, s string) {
		if escaped, files, err := r.Expand(strings.ReplaceAll(s, "${", "$${")); err != nil || escaped != s || files != nil {
			t.Errorf("%q escaped became %q, %v, %v", s, escaped, files, err)
		}
		got, _, err := r.Expand(s)
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("control characters in %q", err)
		}
		if err == nil && !strings.Contains(s, "${") && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
