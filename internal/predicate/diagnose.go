package predicate

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const quotesHint = "write strings in backquotes or double quotes"

// next describes what stands at the next byte, for messages.
func (p *parser) next() string {
	if p.at >= len(p.source) {
		return "the end"
	}
	if name := p.name(); name != "" {
		const longest = 40
		if len(name) > longest {
			return "a very long word"
		}
		return strconv.Quote(name)
	}
	r, _ := utf8.DecodeRuneInString(p.source[p.at:])
	return strconv.QuoteRune(r)
}

// trailing explains what follows a complete expression.
func (p *parser) trailing() *SyntaxError {
	hint := ""
	switch word := p.name(); {
	case p.source[p.at] == ')':
		return p.fail("this parenthesis closes nothing", "")
	case p.source[p.at] == '&' || strings.EqualFold(word, "and"):
		hint = "the operator is &&"
	case p.source[p.at] == '|' || strings.EqualFold(word, "or"):
		hint = "the operator is ||"
	case word != "" || p.source[p.at] == '!' || p.source[p.at] == '(':
		hint = "join calls with && or ||"
	}
	return p.fail("expected && or || or the end, found "+p.next(), hint)
}

// noCall explains why no call can start at the next byte.
func (p *parser) noCall() *SyntaxError {
	if p.at >= len(p.source) {
		if p.at == 0 || strings.TrimSpace(p.source) == "" {
			return p.fail("the expression is empty", "")
		}
		return p.fail("a function call is missing, the expression ends here", "")
	}
	hint := ""
	switch p.source[p.at] {
	case '&', '|':
		hint = "an operator needs a call on both sides"
	case '`', '"', '\'':
		hint = "a string can only be an argument of a function"
	case '{', '[', '<':
		hint = "group with parentheses"
	}
	return p.fail("expected a function call, found "+p.next(), hint)
}

// noParenthesis explains a name that is not followed by its arguments.
func (p *parser) noParenthesis(c *Call) *SyntaxError {
	hint := "a function is written name(`argument`)"
	switch strings.ToLower(c.Name) {
	case "not":
		hint = "the operator is !"
	case "and":
		hint = "the operator is &&"
	case "or":
		hint = "the operator is ||"
	}
	return p.fail("expected '(' after the function name, found "+p.next(), hint)
}

// unclosed explains a parenthesis, opened at the given offset, that does not close where it should.
func (p *parser) unclosed(opened int) *SyntaxError {
	if p.at >= len(p.source) {
		p.at = opened
		p.space()
		return p.fail("this parenthesis is never closed", "")
	}
	if found := p.source[p.at]; found == '`' || found == '"' {
		return p.fail("expected ',' between the arguments", "")
	}
	e := p.trailing()
	e.Message = "expected ')', found " + p.next()
	return e
}

// noString explains an argument that is not a string literal.
func (p *parser) noString() *SyntaxError {
	switch r, _ := utf8.DecodeRuneInString(p.source[p.at:]); {
	case r == '\'':
		return p.fail("a string in single quotes", quotesHint)
	case strings.ContainsRune("‘’‚“”„«»´", r):
		return p.fail("a string in typographic quotes", quotesHint)
	case '0' <= r && r <= '9' || r == '-' || r == '+' || r == '.':
		return p.fail("a number without quotes", "numbers are compared as text: "+quotesHint)
	case r == ',' || r == ')':
		return p.fail("an argument is missing", quotesHint)
	}
	return p.fail("expected a string, found "+p.next(), quotesHint)
}

// badString explains a literal that starts well but is not one of Go.
func (p *parser) badString(rest string) *SyntaxError {
	if rest[0] == '`' {
		return p.fail("this string is never closed", "it needs a second backquote")
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			if _, _, _, err := strconv.UnquoteChar(rest[i:], '"'); err != nil {
				p.at += i
				return p.fail("an escape sequence that is not one of Go", "in backquotes a backslash stands for itself")
			}
			i++
		case '\n':
			return p.fail("a line break inside double quotes", "use backquotes, or write \\n")
		case '"':
			return p.fail("this string is not a Go literal", "in backquotes every character stands for itself")
		}
	}
	return p.fail("this string is never closed", "it needs a second double quote")
}
