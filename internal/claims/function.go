package claims

import (
	"fmt"
	"strings"

	"github.com/jotgate/jotgate/internal/predicate"
)

// function is a function of the expression language. The first argument is the path; build gets the others.
type function struct {
	name  string
	usage string
	least int // arguments, the path included
	most  int // 0: no upper bound
	build func(args []string) func(Value) bool
}

func functions() []function {
	return []function{
		{"Equals", "Equals(`claim`, `value`)", 2, 2, equals},
		{"Prefix", "Prefix(`claim`, `value`)", 2, 2, prefix},
		{"Contains", "Contains(`claim`, `value`)", 2, 2, contains},
		{"SplitContains", "SplitContains(`claim`, `separator`, `value`)", 3, 3, splitContains},
		{"OneOf", "OneOf(`claim`, `value`, ...)", 2, 0, oneOf},
	}
}

func equals(args []string) func(Value) bool {
	want := args[0]
	return func(v Value) bool { return isText(v, want) }
}

func isText(v Value, want string) bool {
	text, ok := v.Scalar()
	return ok && text == want
}

func prefix(args []string) func(Value) bool {
	want := args[0]
	return func(v Value) bool {
		text, ok := v.AsString()
		return ok && strings.HasPrefix(text, want)
	}
}

func contains(args []string) func(Value) bool {
	want := args[0]
	return func(v Value) bool {
		for e := range v.Elements() {
			if isText(e, want) {
				return true
			}
		}
		text, ok := v.AsString()
		return ok && strings.Contains(text, want)
	}
}

func splitContains(args []string) func(Value) bool {
	separator, want := args[0], args[1]
	return func(v Value) bool {
		rest, more := v.AsString()
		for more {
			var piece string
			piece, rest, more = strings.Cut(rest, separator)
			if trim(piece) == want {
				return true
			}
		}
		return false
	}
}

// trim removes ASCII white space only: a scope behind a no-break space is not the scope.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }

func oneOf(args []string) func(Value) bool {
	wanted := make(map[string]struct{}, len(args))
	for _, a := range args {
		wanted[a] = struct{}{}
	}
	matches := func(v Value) bool {
		text, ok := v.Scalar()
		if !ok {
			return false
		}
		_, found := wanted[text]
		return found
	}
	return func(v Value) bool {
		for e := range v.Elements() {
			if matches(e) {
				return true
			}
		}
		return matches(v)
	}
}

func compileCall(c *predicate.Call) (term, error) {
	var names []string
	for _, f := range functions() {
		if f.name == c.Name {
			return f.compile(c)
		}
		names = append(names, f.name)
	}
	hint := "there are " + strings.Join(names, ", ")
	if near := predicate.Nearest(c.Name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, &predicate.SyntaxError{Column: c.Column, Message: fmt.Sprintf("unknown function %q", c.Name), Hint: hint}
}

func (f function) compile(c *predicate.Call) (term, error) {
	if len(c.Args) < f.least || f.most > 0 && len(c.Args) > f.most {
		return nil, &predicate.SyntaxError{
			Column:  c.Column,
			Message: fmt.Sprintf("%s has %s, %d given", f.name, f.arity(), len(c.Args)),
			Hint:    "write " + f.usage,
		}
	}
	if f.name == "SplitContains" && c.Args[1].Value == "" {
		return nil, &predicate.SyntaxError{Column: c.Args[1].Column, Message: "the separator is empty", Hint: "write " + f.usage}
	}
	path, err := ParsePath(c.Args[0].Value)
	if err != nil {
		return nil, &predicate.SyntaxError{Column: c.Args[0].Column, Message: err.Error()}
	}
	var rest []string
	for _, a := range c.Args[1:] {
		rest = append(rest, a.Value)
	}
	return &check{text: c, path: path, test: f.build(rest)}, nil
}

func (f function) arity() string {
	if f.most == 0 {
		return fmt.Sprintf("at least %d arguments", f.least)
	}
	return fmt.Sprintf("%d arguments", f.least)
}
