package claims_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/predicate"
)

func compile(tb testing.TB, source string) *claims.Expr {
	tb.Helper()
	e, err := claims.Compile(source)
	if err != nil {
		tb.Fatalf("Compile(%q): %v", source, err)
	}
	return e
}

const example = `{"active":true,"grp":"admin","scope":"reader writer deploy","referrer":"http://example.com/foo/bar","areas":["office","home"],
	"n":1512435789,"f":1.512435789,"one":1.0,"none":null,"mixed":[1,true,null,"x",["y"],{"z":"z"}],"empty":"","":"nameless",
	"realm_access":{"roles":["dev","ops"],"deep":{"er":"yes"}},"https://example.com/roles":["boss"],"a\\b":"slash","csv":"a, b ,c,,d\t","wide":"x::y:: z",
	"nbsp":"\u00a0admin user","dots":{"a.b":"dotted"},"no":{"":{"x":"inside"}},"grö\\":"umlaut"}`

func TestEval(t *testing.T) {
	tests := []struct {
		source string
		want   bool
	}{
		{"Equals(`grp`, `admin`)", true},
		{"Prefix(`referrer`, `http://example.com`)", true},
		{"Contains(`referrer`, `/foo/`)", true},
		{"Contains(`areas`, `home`)", true},
		{"SplitContains(`scope`, ` `, `writer`)", true},
		{"OneOf(`areas`, `office`, `lab`)", true},
		{"Equals(`active`, `true`)", true},
		{"!Equals(`grp`, `testers`)", true},

		{"Equals(`grp`, `Admin`)", false},
		{"Equals(`grp`, `admi`)", false},
		{"Equals(`n`, `1512435789`)", true},
		{"Equals(`f`, `1.512435789`)", true},
		{"Equals(`one`, `1`)", false},
		{"Equals(`one`, `1.0`)", true},
		{"Equals(`active`, `false`)", false},
		{"Equals(`none`, `null`)", false},
		{"Equals(`none`, ``)", false},
		{"Equals(`empty`, ``)", true},
		{"Equals(`missing`, ``)", false},
		{"Equals(`areas`, `office`)", false},
		{"Equals(`realm_access`, ``)", false},

		{"Prefix(`areas`, `off`)", false},
		{"Prefix(`n`, `15`)", false},
		{"Prefix(`missing`, ``)", false},
		{"Prefix(`empty`, ``)", true},

		{"Contains(`areas`, `hom`)", false},
		{"Contains(`mixed`, `1`)", true},
		{"Contains(`mixed`, `true`)", true},
		{"Contains(`mixed`, `x`)", true},
		{"Contains(`mixed`, `y`)", false},
		{"Contains(`mixed`, `z`)", false},
		{"Contains(`mixed`, ``)", false},
		{"Contains(`mixed`, `null`)", false},
		{"Contains(`n`, `1`)", false},
		{"Contains(`realm_access`, `roles`)", false},

		{"SplitContains(`scope`, ` `, `write`)", false},
		{"SplitContains(`csv`, `,`, `b`)", true},
		{"SplitContains(`csv`, `,`, `d`)", true},
		{"SplitContains(`csv`, `,`, ``)", true},
		{"SplitContains(`wide`, `::`, `z`)", true},
		{"SplitContains(`wide`, `::`, `y`)", true},
		{"SplitContains(`wide`, `:`, `y`)", true},
		{"SplitContains(`areas`, ` `, `home`)", false},
		{"SplitContains(`grp`, `,`, `admin`)", true},
		{"SplitContains(`nbsp`, ` `, `admin`)", false},
		{"SplitContains(`missing`, ` `, ``)", false},

		{"OneOf(`grp`, `x`, `admin`)", true},
		{"OneOf(`grp`, `x`)", false},
		{"OneOf(`n`, `1512435789`)", true},
		{"OneOf(`active`, `true`)", true},
		{"OneOf(`mixed`, `y`, `z`)", false},
		{"OneOf(`mixed`, `true`)", true},
		{"OneOf(`none`, `null`)", false},
		{"OneOf(`missing`, ``)", false},

		{"Contains(`realm_access.roles`, `ops`)", true},
		{"Equals(`realm_access.deep.er`, `yes`)", true},
		{"Equals(`realm_access.deep.er.x`, `yes`)", false},
		{"Equals(`areas.0`, `office`)", false},
		{"Contains(`https://example\\.com/roles`, `boss`)", true},
		{"Contains(`https://example.com/roles`, `boss`)", false},
		{"Equals(`a\\b`, `slash`)", true},
		{"Equals(`a\\\\b`, `slash`)", true},
		{"Equals(`dots.a\\.b`, `dotted`)", true},
		{"Equals(``, `nameless`)", true},
		{"Equals(`no..x`, `inside`)", true},
		{"Equals(`grö\\`, `umlaut`)", true},
		{"Equals(\"\\u0067rp\", `admin`)", true},

		{"Equals(`grp`,`x`) || Equals(`grp`,`admin`) && Equals(`n`,`0`)", false},
		{"(Equals(`grp`,`x`) || Equals(`grp`,`admin`)) && !Equals(`n`,`0`)", true},
		{"Equals(`grp`,`admin`) || Equals(`grp`,`admin`) && Equals(`n`,`0`)", true},
		{"!Equals(`missing`, `x`) && !!Equals(`grp`, `admin`)", true},
		{"!(Equals(`grp`, `admin`) || Equals(`n`, `0`))", false},
	}
	s := parse(t, example)
	for _, tt := range tests {
		e := compile(t, tt.source)
		if got := e.Eval(s); got != tt.want {
			t.Errorf("%s = %v, want %v", tt.source, got, tt.want)
		}
		if got := e.Explain(s).Result; got != tt.want {
			t.Errorf("Explain(%s).Result = %v, want %v", tt.source, got, tt.want)
		}
		if n := testing.AllocsPerRun(20, func() { e.Eval(s) }); n != 0 {
			t.Errorf("Eval(%s) allocates %v times", tt.source, n)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	tests := []struct{ source, want string }{
		{"", "column 1: the expression is empty"},
		{"Equals('grp', 'admin')", "column 8: a string in single quotes (write strings in backquotes or double quotes)"},
		{"equals(`grp`, `admin`)", `column 1: unknown function "equals" (did you mean Equals?)`},
		{"  Contain(`grp`, `admin`)", `column 3: unknown function "Contain" (did you mean Contains?)`},
		{"Equals(`a`,`b`) && Regexp(`grp`, `admin`)", `column 20: unknown function "Regexp" (there are Equals, Prefix, Contains, SplitContains, OneOf)`},
		{"Equals(`grp`)", "column 1: Equals has 2 arguments, 1 given (write Equals(`claim`, `value`))"},
		{"!Prefix(`a`,`b`,`c`)", "column 2: Prefix has 2 arguments, 3 given (write Prefix(`claim`, `value`))"},
		{"Contains()", "column 1: Contains has 2 arguments, 0 given (write Contains(`claim`, `value`))"},
		{"SplitContains(`scope`, `x`)", "column 1: SplitContains has 3 arguments, 2 given (write SplitContains(`claim`, `separator`, `value`))"},
		{"SplitContains(`scope`, ``, `x`)", "column 24: the separator is empty (write SplitContains(`claim`, `separator`, `value`))"},
		{"OneOf(`grp`)", "column 1: OneOf has at least 2 arguments, 1 given (write OneOf(`claim`, `value`, ...))"},
		{"Equals(`" + strings.Repeat("x", claims.MaxPath+1) + "`, `y`)", "column 8: claim path too long: 1025 bytes, at most 1024 are allowed"},
		{"Equals(`n`, 5)", "column 13: a number without quotes (numbers are compared as text: write strings in backquotes or double quotes)"},
	}
	for _, tt := range tests {
		e, err := claims.Compile(tt.source)
		var syntax *predicate.SyntaxError
		if !errors.As(err, &syntax) || e != nil {
			t.Errorf("Compile(%q) = %v, %v; want a *predicate.SyntaxError", tt.source, e, err)
			continue
		}
		if err.Error() != tt.want {
			t.Errorf("Compile(%q):\n got %s\nwant %s", tt.source, err, tt.want)
		}
	}
}

func TestExplain(t *testing.T) {
	e := compile(t, `Equals("grp","admin") || !(Contains("areas","lab") && Prefix("x.y","z"))`)
	got := e.Explain(parse(t, `{"grp":"guest","areas":["office", "lab"]}`))
	contains := claims.Explanation{
		Text: "Contains(`areas`, `lab`)", Column: 28, Result: true, Claim: "areas", Found: claims.Array, Value: `["office", "lab"]`,
	}
	prefix := claims.Explanation{Text: "Prefix(`x.y`, `z`)", Column: 55, Claim: "x.y", Found: claims.Absent}
	both := claims.Explanation{
		Text: "Contains(`areas`, `lab`) && Prefix(`x.y`, `z`)", Column: 28, Parts: []claims.Explanation{contains, prefix},
	}
	want := claims.Explanation{
		Text: "Equals(`grp`, `admin`) || !(Contains(`areas`, `lab`) && Prefix(`x.y`, `z`))", Column: 1, Result: true,
		Parts: []claims.Explanation{
			{Text: "Equals(`grp`, `admin`)", Column: 1, Claim: "grp", Found: claims.String, Value: `"guest"`},
			{Text: "!(Contains(`areas`, `lab`) && Prefix(`x.y`, `z`))", Column: 26, Result: true, Parts: []claims.Explanation{both}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		source string
		want   []claims.Warning
	}{
		{"Equals(`grp`, `a`) && !!Equals(`grp`, `b`)", nil},
		{"!Equals(`grp`, `a`)", []claims.Warning{{2, "the negation of Equals(`grp`, `a`) is true when the claim is missing"}}},
		{"!(Prefix(`a`, `b`) || !Equals(`c`, `d`))", []claims.Warning{{3, "the negation of Prefix(`a`, `b`) is true when the claim is missing"}}},
		{"Contains(`a`, ``)", []claims.Warning{{15, "every string has the empty text in it"}}},
		{"SplitContains(`a`, ` `, `b c`)", []claims.Warning{{25, "no piece can be this value: pieces have no separator in them and no space around them"}}},
		{"SplitContains(`a`, `,`, ` b`)", []claims.Warning{{25, "no piece can be this value: pieces have no separator in them and no space around them"}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, compile(t, tt.source).Warnings()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.source, diff)
		}
	}
}

// naive is the expression language written down a second time, as directly as possible, over the output of encoding/json.
func naive(n predicate.Node, payload map[string]any) bool {
	switch n := n.(type) {
	case *predicate.And:
		return !slices.ContainsFunc(n.Operands, func(o predicate.Node) bool { return !naive(o, payload) })
	case *predicate.Or:
		return slices.ContainsFunc(n.Operands, func(o predicate.Node) bool { return naive(o, payload) })
	case *predicate.Not:
		return !naive(n.Operand, payload)
	}
	c := n.(*predicate.Call)
	var found any = payload
	for _, key := range naivePath(c.Args[0].Value) {
		object, _ := found.(map[string]any)
		found = object[key]
	}
	text, isString := found.(string)
	array, _ := found.([]any)
	value := c.Args[len(c.Args)-1].Value
	equal := func(v any) bool { return naiveText(v) == "="+value }
	switch c.Name {
	case "Equals":
		return equal(found)
	case "Prefix":
		return isString && strings.HasPrefix(text, value)
	case "Contains":
		return slices.ContainsFunc(array, equal) || isString && strings.Contains(text, value)
	case "SplitContains":
		return isString && slices.ContainsFunc(strings.Split(text, c.Args[1].Value), func(piece string) bool { return strings.Trim(piece, " \t\r\n") == value })
	}
	for _, a := range c.Args[1:] {
		value = a.Value
		if equal(found) || slices.ContainsFunc(array, equal) {
			return true
		}
	}
	return false
}

func naiveText(v any) string {
	switch v := v.(type) {
	case string:
		return "=" + v
	case json.Number:
		return "=" + v.String()
	case bool:
		if v {
			return "=true"
		}
		return "=false"
	}
	return ""
}

func naivePath(text string) []string {
	text = strings.NewReplacer(`\\`, "\x01", `\.`, "\x02").Replace(text)
	keys := strings.Split(text, ".")
	for i := range keys {
		keys[i] = strings.NewReplacer("\x01", `\`, "\x02", ".").Replace(keys[i])
	}
	return keys
}

func TestEvalAgainstReference(t *testing.T) {
	short := rapid.SampledFrom([]string{"", "a", "b", "ab", "a b", " a", "1", "1.0", "true", "é"})
	paths := rapid.SampledFrom([]string{"", "a", "b", "a.b", "a.a", "a.", `a\.b`, `a\`, `a\\b`, "b.a.b", "é"})
	names := rapid.SampledFrom([]string{"", "a", "b", "a.b", `a\`, `a\b`, "é"})
	var value func(depth int) *rapid.Generator[any]
	object := func(depth int) *rapid.Generator[map[string]any] {
		return rapid.MapOfN(names, value(depth), 0, 5)
	}
	value = func(depth int) *rapid.Generator[any] {
		scalars := []*rapid.Generator[any]{
			short.AsAny(), rapid.SampledFrom([]any{json.Number("1"), json.Number("1.0"), true, false, nil}),
		}
		if depth == 0 {
			return rapid.OneOf(scalars...)
		}
		return rapid.OneOf(append(scalars, rapid.Deferred(func() *rapid.Generator[any] {
			return rapid.OneOf(rapid.SliceOfN(value(depth-1), 0, 3).AsAny(), object(depth-1).AsAny())
		}))...)
	}
	quote := func(s string) string { return (&predicate.Call{Args: []predicate.Arg{{Value: s}}}).String() }
	var expression func(t *rapid.T, depth int) string
	expression = func(t *rapid.T, depth int) string {
		kind := rapid.IntRange(0, 3+depth).Draw(t, "kind")
		if kind > 3 {
			x, y := expression(t, depth-1), expression(t, depth-1)
			return rapid.SampledFrom([]string{"!(" + x + ")", x + "&&" + y, x + "||" + y, "(" + x + "||" + y + ")"}).Draw(t, "operator")
		}
		name := rapid.SampledFrom([]string{"Equals", "Prefix", "Contains", "SplitContains", "OneOf"}).Draw(t, "name")
		args := quote(paths.Draw(t, "path"))
		if name == "SplitContains" {
			args += "," + rapid.SampledFrom([]string{"` `", "`,`", "`a`", "`ab`"}).Draw(t, "separator")
		}
		args += "," + quote(short.Draw(t, "value"))
		if name == "OneOf" {
			args += "," + quote(short.Draw(t, "value"))
		}
		return name + "(" + strings.NewReplacer("(", "", ")", "").Replace(args) + ")"
	}
	rapid.Check(t, func(t *rapid.T) {
		payload := object(3).Draw(t, "payload")
		text, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		s, err := claims.Parse(text, claims.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		source := expression(t, 3)
		e, err := claims.Compile(source)
		if err != nil {
			t.Fatalf("Compile(%q): %v", source, err)
		}
		tree, err := predicate.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := e.Eval(s), naive(tree, payload); got != want {
			t.Fatalf("%s for %s = %v, want %v", source, text, got, want)
		}
		if got, want := e.Explain(s).Result, e.Eval(s); got != want {
			t.Fatalf("%s for %s: Explain says %v, Eval %v", source, text, got, want)
		}
	})
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"Equals(`grp`, `admin`)", "!OneOf(`a.b`, `x`, \"y\") && (Prefix(`a`,``) || SplitContains(`s`, ` `, `w`))", "Contains(`é\\`, `x`)", "Equals(`a`)", "x(",
	} {
		f.Add(seed, example)
	}
	f.Fuzz(func(t *testing.T, source, payload string) {
		e, err := claims.Compile(source)
		if err != nil {
			var syntax *predicate.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("Compile(%q): bad error %#v", source, err)
			}
			return
		}
		e.Warnings()
		s, err := claims.Parse([]byte(payload), claims.Limits{})
		if err != nil {
			return
		}
		result, x := e.Eval(s), e.Explain(s)
		again, err := claims.Compile(x.Text)
		if err != nil || again.Eval(s) != result || x.Result != result {
			t.Fatalf("%q and its canonical form %q differ for %q: %v", source, x.Text, payload, err)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	s := parse(b, typicalPayload)
	e := compile(b, "Equals(`grp`, `staff`) || SplitContains(`scope`, ` `, `tickets:write`) && Contains(`realm_access.roles`, `offline_access`)")
	b.ReportAllocs()
	for b.Loop() {
		if !e.Eval(s) {
			b.Fatal("false")
		}
	}
}
