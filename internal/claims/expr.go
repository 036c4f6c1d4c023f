package claims

import (
	"fmt"

	"github.com/jotgate/jotgate/internal/predicate"
)

// Expr is a compiled claims expression: a condition on a payload. It is read-only and safe for concurrent use.
//
//	expression                    is true when
//	Equals(`claim`, `value`)      the claim is a string, number or boolean whose text is the value
//	Prefix(`claim`, `value`)      it is a string that starts with the value
//	Contains(`claim`, `value`)    it is an array with an element whose text is the value, or a string that contains the value
//	SplitContains(`claim`, `separator`, `value`)
//	                              it is a string of which one piece, without the white space around it, is the value
//	OneOf(`claim`, `value`...)    its text, or that of an element if it is an array, is one of the values
//
// The claim is a Path. Texts compare byte by byte; a number's text is how the payload writes it, so 1.0 does not equal 1. A function is false for a
// claim that is missing or of another kind. Calls are joined by &&, || and !, where ! binds strongest and || weakest, and grouped by parentheses.
type Expr struct {
	source string
	root   term
}

// term is a node of a compiled expression.
type term interface {
	eval(*Set) bool
	explain(*Set) Explanation
	// warn appends what looks unintended; negated says that the term is under an odd number of negations.
	warn(warnings []Warning, negated bool) []Warning
}

// Compile reads an expression. The error is a *predicate.SyntaxError.
func Compile(source string) (*Expr, error) {
	tree, err := predicate.Parse(source)
	if err != nil {
		return nil, err
	}
	root, err := compile(tree)
	if err != nil {
		return nil, err
	}
	return &Expr{source: source, root: root}, nil
}

// Eval reports whether the payload meets the condition. It allocates nothing.
func (e *Expr) Eval(s *Set) bool { return e.root.eval(s) }

// String returns the source.
func (e *Expr) String() string { return e.source }

func compile(n predicate.Node) (term, error) {
	switch n := n.(type) {
	case *predicate.And:
		operands, err := compileAll(n.Operands)
		return &conjunction{text: n, operands: operands}, err
	case *predicate.Or:
		operands, err := compileAll(n.Operands)
		return &disjunction{text: n, operands: operands}, err
	case *predicate.Not:
		operand, err := compile(n.Operand)
		return &negation{text: n, operand: operand}, err
	case *predicate.Call:
		return compileCall(n)
	}
	return nil, &predicate.SyntaxError{Column: 1, Message: fmt.Sprintf("unknown syntax %T", n)}
}

func compileAll(nodes []predicate.Node) ([]term, error) {
	terms := make([]term, len(nodes))
	for i, n := range nodes {
		var err error
		if terms[i], err = compile(n); err != nil {
			return nil, err
		}
	}
	return terms, nil
}

type conjunction struct {
	text     *predicate.And
	operands []term
}

func (t *conjunction) eval(s *Set) bool {
	for _, operand := range t.operands {
		if !operand.eval(s) {
			return false
		}
	}
	return true
}

type disjunction struct {
	text     *predicate.Or
	operands []term
}

func (t *disjunction) eval(s *Set) bool {
	for _, operand := range t.operands {
		if operand.eval(s) {
			return true
		}
	}
	return false
}

type negation struct {
	text    *predicate.Not
	operand term
}

func (t *negation) eval(s *Set) bool { return !t.operand.eval(s) }

// check is one call: a test of one claim.
type check struct {
	text *predicate.Call
	path Path
	test func(Value) bool
}

func (t *check) eval(s *Set) bool { return t.test(s.Lookup(t.path)) }
