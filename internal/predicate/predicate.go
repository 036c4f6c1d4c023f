// Package predicate is the grammar shared by claims expressions and routing rules: calls with string arguments joined by &&, || and !.
//
// The syntax is the matching part of a Go expression:
//
//	expression = term { "||" term }
//	term       = factor { "&&" factor }
//	factor     = "!" factor | "(" expression ")" | call
//	call       = name "(" [ string { "," string } [ "," ] ] ")"
//
// A string is a Go literal, backquoted or double-quoted. The package knows no function: what a name means, and how many arguments it takes, is
// decided by the package that compiles the tree.
package predicate

import (
	"strconv"
	"strings"
)

// Limits of Parse. They keep the cost of any source, however hostile, small and its tree shallow enough to walk by recursion.
const (
	MaxSource = 1 << 16 // bytes of source
	MaxDepth  = 64      // parentheses and negations open at one point
	MaxNodes  = 4096    // calls, operators and arguments in one tree
)

// Node is one part of a parsed expression: *And, *Or, *Not or *Call, and nothing else. A tree from Parse is never nil anywhere and at most
// 3*(MaxDepth+1) deep.
type Node interface {
	// String returns source text that parses to an equal tree (columns apart).
	String() string
	appendTo(b *strings.Builder, binding int)
}

// And is true when all of its operands are; there are at least two.
type And struct{ Operands []Node }

// Or is true when one of its operands is; there are at least two.
type Or struct{ Operands []Node }

// Not is true when its operand is false.
type Not struct {
	Operand Node
	Column  int // of the "!", 1-based, in runes
}

// Call is the use of a named function.
type Call struct {
	Name   string
	Args   []Arg
	Column int // of the name's first character, 1-based, in runes
}

// Arg is a string argument of a call, its quotes and escapes resolved.
type Arg struct {
	Value  string
	Column int // of the opening quote, 1-based, in runes
}

// How strongly an operator binds: an operand that binds no more strongly than its operator is printed in parentheses.
const (
	bindsNone = iota
	bindsOr
	bindsAnd
	bindsNot
)

func (n *And) String() string  { return text(n) }
func (n *Or) String() string   { return text(n) }
func (n *Not) String() string  { return text(n) }
func (n *Call) String() string { return text(n) }

func text(n Node) string {
	var b strings.Builder
	n.appendTo(&b, bindsNone)
	return b.String()
}

func (n *And) appendTo(b *strings.Builder, binding int) {
	appendOperands(b, n.Operands, " && ", bindsAnd, binding)
}

func (n *Or) appendTo(b *strings.Builder, binding int) {
	appendOperands(b, n.Operands, " || ", bindsOr, binding)
}

func (n *Not) appendTo(b *strings.Builder, _ int) {
	b.WriteByte('!')
	n.Operand.appendTo(b, bindsNot)
}

func (n *Call) appendTo(b *strings.Builder, _ int) {
	b.WriteString(n.Name)
	b.WriteByte('(')
	for i, arg := range n.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(arg.Value))
	}
	b.WriteByte(')')
}

func appendOperands(b *strings.Builder, operands []Node, operator string, own, outer int) {
	if own <= outer {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	for i, operand := range operands {
		if i > 0 {
			b.WriteString(operator)
		}
		operand.appendTo(b, own)
	}
}

// quote prefers the backquoted form, in which regular expressions and escaped claim paths stay readable.
func quote(s string) string {
	if strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}
