package predicate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/predicate"
)

// ignoreColumns compares trees by structure only.
var ignoreColumns = cmp.Options{
	cmpopts.IgnoreFields(predicate.Call{}, "Column"),
	cmpopts.IgnoreFields(predicate.Not{}, "Column"),
	cmpopts.IgnoreFields(predicate.Arg{}, "Column"),
	cmpopts.EquateEmpty(),
}

func call(name string, args ...string) *predicate.Call {
	c := &predicate.Call{Name: name}
	for _, a := range args {
		c.Args = append(c.Args, predicate.Arg{Value: a})
	}
	return c
}

func TestParse(t *testing.T) {
	a, b, c := call("A"), call("B"), call("C")
	tests := []struct {
		source string
		want   predicate.Node
		text   string // canonical source
	}{
		{"A()", a, "A()"},
		{"  A ( )\t\r\n", a, "A()"},
		{"A(`x`)", call("A", "x"), "A(`x`)"},
		{`A("x", "y",)`, call("A", "x", "y"), "A(`x`, `y`)"},
		{`A("a\tb\u00e9\"\\")`, call("A", "a\tbé\"\\"), "A(`a\tbé\"\\`)"},
		{"A(`\\.(\"`)", call("A", `\.("`), "A(`\\.(\"`)"},
		{`A("back` + "`" + `quote")`, call("A", "back`quote"), `A("back` + "`" + `quote")`},
		{"A(`two\nlines`)", call("A", "two\nlines"), `A("two\nlines")`},
		{"A() && B() && C()", &predicate.And{Operands: []predicate.Node{a, b, c}}, "A() && B() && C()"},
		{"A()||B()&&C()", &predicate.Or{Operands: []predicate.Node{a, &predicate.And{Operands: []predicate.Node{b, c}}}}, "A() || B() && C()"},
		{"A()&&B()||C()", &predicate.Or{Operands: []predicate.Node{&predicate.And{Operands: []predicate.Node{a, b}}, c}}, "A() && B() || C()"},
		{"(A()||B())&&C()", &predicate.And{Operands: []predicate.Node{&predicate.Or{Operands: []predicate.Node{a, b}}, c}}, "(A() || B()) && C()"},
		{"!A() && B()", &predicate.And{Operands: []predicate.Node{&predicate.Not{Operand: a}, b}}, "!A() && B()"},
		{"!(A() && B())", &predicate.Not{Operand: &predicate.And{Operands: []predicate.Node{a, b}}}, "!(A() && B())"},
		{"!!A()", &predicate.Not{Operand: &predicate.Not{Operand: a}}, "!!A()"},
		{"((A()))", a, "A()"},
		{"A() && (B() && C())", &predicate.And{Operands: []predicate.Node{a, &predicate.And{Operands: []predicate.Node{b, c}}}}, "A() && (B() && C())"},
		{"Größe_2(`ü`)", call("Größe_2", "ü"), "Größe_2(`ü`)"},
	}
	for _, tt := range tests {
		got, err := predicate.Parse(tt.source)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.source, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, ignoreColumns); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.source, diff)
		}
		if got.String() != tt.text {
			t.Errorf("Parse(%q).String() = %q, want %q", tt.source, got.String(), tt.text)
		}
	}
}

func TestColumns(t *testing.T) {
	got, err := predicate.Parse("Ä(`ö`) ||\n !B(`x`, `yy`)")
	if err != nil {
		t.Fatal(err)
	}
	want := &predicate.Or{Operands: []predicate.Node{
		&predicate.Call{Name: "Ä", Column: 1, Args: []predicate.Arg{{Value: "ö", Column: 3}}},
		&predicate.Not{Column: 12, Operand: &predicate.Call{
			Name: "B", Column: 13, Args: []predicate.Arg{{Value: "x", Column: 15}, {Value: "yy", Column: 20}},
		}},
	}}
	if diff := cmp.Diff(predicate.Node(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ source, want string }{
		{"", "column 1: the expression is empty"},
		{"  ", "column 3: the expression is empty"},
		{"A('x')", "column 3: a string in single quotes (write strings in backquotes or double quotes)"},
		{"A(‘x’)", "column 3: a string in typographic quotes (write strings in backquotes or double quotes)"},
		{"A(1)", "column 3: a number without quotes (numbers are compared as text: write strings in backquotes or double quotes)"},
		{"A(x)", `column 3: expected a string, found "x" (write strings in backquotes or double quotes)`},
		{"A(B(`x`))", `column 3: expected a string, found "B" (write strings in backquotes or double quotes)`},
		{"A(,)", "column 3: an argument is missing (write strings in backquotes or double quotes)"},
		{"A(`x`,,)", "column 7: an argument is missing (write strings in backquotes or double quotes)"},
		{"A(`x` `y`)", "column 7: expected ',' between the arguments"},
		{"A(`x`", "column 2: this parenthesis is never closed"},
		{"A(", "column 3: a string is missing, the expression ends here"},
		{"A(`x", "column 3: this string is never closed (it needs a second backquote)"},
		{`A("x`, "column 3: this string is never closed (it needs a second double quote)"},
		{`A("é\.com")`, "column 5: an escape sequence that is not one of Go (in backquotes a backslash stands for itself)"},
		{"A(\"x\ny\")", "column 3: a line break inside double quotes (use backquotes, or write \\n)"},
		{"A", "column 2: expected '(' after the function name, found the end (a function is written name(`argument`))"},
		{"not A()", `column 5: expected '(' after the function name, found "A" (the operator is !)`},
		{"A() and B()", `column 5: expected && or || or the end, found "and" (the operator is &&)`},
		{"A() & B()", "column 5: expected && or || or the end, found '&' (the operator is &&)"},
		{"A() | B()", "column 5: expected && or || or the end, found '|' (the operator is ||)"},
		{"A() B()", `column 5: expected && or || or the end, found "B" (join calls with && or ||)`},
		{"A())", "column 4: this parenthesis closes nothing"},
		{"(A()", "column 1: this parenthesis is never closed"},
		{"(A() or B())", `column 6: expected ')', found "or" (the operator is ||)`},
		{"A() &&", "column 7: a function call is missing, the expression ends here"},
		{"&& A()", "column 1: expected a function call, found '&' (an operator needs a call on both sides)"},
		{"`x`", "column 1: expected a function call, found '`' (a string can only be an argument of a function)"},
		{"!", "column 2: a function call is missing, the expression ends here"},
		{"a.b(`x`)", "column 2: expected '(' after the function name, found '.' (a function is written name(`argument`))"},
		{"A(`\xff`)", "column 4: the expression is not valid UTF-8"},
		{"A(`\uFFFD\xff`)", "column 5: the expression is not valid UTF-8"},
	}
	for _, tt := range tests {
		n, err := predicate.Parse(tt.source)
		var syntax *predicate.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%q) = %v, %v; want a *SyntaxError", tt.source, n, err)
			continue
		}
		if err.Error() != tt.want {
			t.Errorf("Parse(%q):\n got %s\nwant %s", tt.source, err, tt.want)
		}
	}
}

func TestLimits(t *testing.T) {
	within := []string{
		strings.Repeat("(", predicate.MaxDepth) + "A()" + strings.Repeat(")", predicate.MaxDepth),
		strings.Repeat("!", predicate.MaxDepth) + "A()",
		"A()" + strings.Repeat("||A()", predicate.MaxNodes/2-1),
		"A()" + strings.Repeat("&&(A())", 2*predicate.MaxDepth) + strings.Repeat("||!A()", 2*predicate.MaxDepth),
	}
	for _, source := range within {
		if _, err := predicate.Parse(source); err != nil {
			t.Errorf("Parse(%.20q...): %v", source, err)
		}
	}
	beyond := []struct{ source, want string }{
		{strings.Repeat("(", predicate.MaxDepth+1) + "A()", fmt.Sprintf("nested more than %d deep", predicate.MaxDepth)},
		{strings.Repeat("(", predicate.MaxSource), "nested more than"},
		{strings.Repeat("!", predicate.MaxSource), "nested more than"},
		{strings.Repeat("!(", 1000), "nested more than"},
		{strings.Repeat("(", 100_000), "longer than"},
		{"A()" + strings.Repeat("||A()", predicate.MaxNodes/2), "more than 4096 parts"},
		{"A(" + strings.Repeat("``,", predicate.MaxNodes) + ")", "more than 4096 parts"},
	}
	for _, tt := range beyond {
		if _, err := predicate.Parse(tt.source); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%.20q...) = %v, want %q", tt.source, err, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"Equals", "Prefix", "Contains", "SplitContains", "OneOf"}
	tests := []struct{ name, want string }{
		{"equals", "Equals"}, {"Equal", "Equals"}, {"contain", "Contains"}, {"Oneof", "OneOf"}, {"SplitContain", "SplitContains"},
		{"PREFIX", "Prefix"}, {"Regexp", ""}, {"", ""}, {strings.Repeat("Equals", 100), ""},
	}
	for _, tt := range tests {
		if got := predicate.Nearest(tt.name, known); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// drawNode makes any tree that a source text can describe.
func drawNode(t *rapid.T, depth int) predicate.Node {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 3).Draw(t, "kind")
	}
	switch kind {
	case 1, 2:
		operands := make([]predicate.Node, rapid.IntRange(2, 4).Draw(t, "operands"))
		for i := range operands {
			operands[i] = drawNode(t, depth-1)
		}
		if kind == 1 {
			return &predicate.And{Operands: operands}
		}
		return &predicate.Or{Operands: operands}
	case 3:
		return &predicate.Not{Operand: drawNode(t, depth-1)}
	}
	name := rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{0,8}`).Draw(t, "name")
	return call(name, rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "args")...)
}

func TestStringRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawNode(t, 4)
		got, err := predicate.Parse(want.String())
		if err != nil {
			t.Fatalf("Parse(%q): %v", want, err)
		}
		if diff := cmp.Diff(want, got, ignoreColumns); diff != "" {
			t.Fatalf("%q changed (-want +got):\n%s", want, diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"Equals(`grp`, `admin`)", "Host(`a`) && (PathPrefix(`/x`) || !Method(\"GET\"))", "!!(A())", "A('x')", "A(\"\\x\")", "((((", "A(`", "A() or B()", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		n, err := predicate.Parse(source)
		if err != nil {
			var syntax *predicate.SyntaxError
			if !errors.As(err, &syntax) || syntax.Column < 1 || syntax.Column > len(source)+1 || syntax.Message == "" {
				t.Fatalf("Parse(%q): bad error %#v", source, err)
			}
			return
		}
		text := n.String()
		again, err := predicate.Parse(text)
		if err != nil && len(text) <= predicate.MaxSource {
			t.Fatalf("Parse(%q) of %q: %v", text, source, err)
		}
		if err == nil && !cmp.Equal(n, again, ignoreColumns) {
			t.Fatalf("%q and its canonical form %q differ", source, text)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const source = "(Equals(`grp`, `admin`) || SplitContains(`scope`, ` `, `tickets:write`)) && !Contains(`areas`, `lab`)"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := predicate.Parse(source); err != nil {
			b.Fatal(err)
		}
	}
}
