package native_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEveryMessageHasAFile looks for every sentence in the decoder's source, in the golden files and the outcomes of the limit cases.
func TestEveryMessageHasAFile(t *testing.T) {
	var outcomes strings.Builder
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, expected, _ := strings.Cut(string(golden), separator)
		outcomes.WriteString(expected)
	}
	for _, c := range limitCases() {
		outcomes.WriteString(c.want + "\n")
	}
	elsewhere := map[string]bool{"references are not allowed here": true} // TestFiles
	seen := 0
	for _, file := range []string{"native.go", "document.go", "decode.go", "scalar.go"} {
		for text, position := range sentences(t, file) {
			seen++
			if elsewhere[text] {
				continue
			}
			for part := range strings.SplitSeq(regexp.MustCompile(`%\S*[dsqX]`).ReplaceAllString(text, "\x00"), "\x00") {
				if !strings.Contains(outcomes.String(), part) {
					t.Errorf("%s: no golden file shows %q", position, text)
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d messages found", seen)
	}
}

// sentences returns the string literals of a file that have a space in them, apart from the parser's messages, which are the first of each row of syntaxTexts.
func sentences(t *testing.T, file string) map[string]token.Position {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]token.Position{}
	foreign := map[ast.Node]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if row, ok := n.(*ast.CompositeLit); ok && row.Type == nil && len(row.Elts) == 3 {
			foreign[row.Elts[0]] = true
		}
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || foreign[n] {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		if err == nil && strings.Contains(strings.TrimSpace(text), " ") {
			found[text] = set.Position(lit.Pos())
		}
		return true
	})
	return found
}
