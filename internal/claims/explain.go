package claims

import (
	"fmt"
	"strings"
)

// Explanation is the result of an expression, or of a part of it, for one payload. Every part is evaluated, also those that could not change the result.
type Explanation struct {
	Text   string // the part's source in canonical form
	Column int    // of the call or "!", 1-based, in runes; of the first operand for && and ||
	Result bool

	// Parts are the operands of &&, || and !; empty for a call.
	Parts []Explanation

	// Of a call only: the path of the claim, and what was found there.
	Claim string
	Found Kind
	// Value is the found value as the payload writes it. It is personal data: show it only to who may see the token.
	Value string
}

// Explain evaluates the expression and says how each part of it came out.
func (e *Expr) Explain(s *Set) Explanation { return e.root.explain(s) }

func (t *conjunction) explain(s *Set) Explanation {
	return explainAll(t.text.String(), t.operands, t.eval(s), s)
}

func (t *disjunction) explain(s *Set) Explanation {
	return explainAll(t.text.String(), t.operands, t.eval(s), s)
}

func explainAll(text string, operands []term, result bool, s *Set) Explanation {
	x := Explanation{Text: text, Result: result}
	for _, operand := range operands {
		x.Parts = append(x.Parts, operand.explain(s))
	}
	x.Column = x.Parts[0].Column
	return x
}

func (t *negation) explain(s *Set) Explanation {
	return Explanation{Text: t.text.String(), Column: t.text.Column, Result: t.eval(s), Parts: []Explanation{t.operand.explain(s)}}
}

func (t *check) explain(s *Set) Explanation {
	v := s.Lookup(t.path)
	return Explanation{
		Text: t.text.String(), Column: t.text.Column, Result: t.test(v),
		Claim: t.path.String(), Found: v.Kind(), Value: v.JSON(),
	}
}

// Warning points at something that is allowed, but rarely meant.
type Warning struct {
	Column  int // 1-based, in runes
	Message string
}

// Warnings returns what in the expression looks unintended, in source order: above all negations, which let a token pass that has no such claim at all.
func (e *Expr) Warnings() []Warning { return e.root.warn(nil, false) }

func (t *conjunction) warn(warnings []Warning, negated bool) []Warning {
	return warnAll(t.operands, warnings, negated)
}

func (t *disjunction) warn(warnings []Warning, negated bool) []Warning {
	return warnAll(t.operands, warnings, negated)
}

func warnAll(operands []term, warnings []Warning, negated bool) []Warning {
	for _, operand := range operands {
		warnings = operand.warn(warnings, negated)
	}
	return warnings
}

func (t *negation) warn(warnings []Warning, negated bool) []Warning {
	return t.operand.warn(warnings, !negated)
}

func (t *check) warn(warnings []Warning, negated bool) []Warning {
	add := func(column int, format string, args ...any) {
		warnings = append(warnings, Warning{Column: column, Message: fmt.Sprintf(format, args...)})
	}
	if negated {
		add(t.text.Column, "the negation of %s is true when the claim is missing", t.text)
	}
	last := t.text.Args[len(t.text.Args)-1]
	switch t.text.Name {
	case "Prefix", "Contains":
		if last.Value == "" {
			add(last.Column, "every string has the empty text in it")
		}
	case "SplitContains":
		if trim(last.Value) != last.Value || strings.Contains(last.Value, t.text.Args[1].Value) {
			add(last.Column, "no piece can be this value: pieces have no separator in them and no space around them")
		}
	}
	return warnings
}
