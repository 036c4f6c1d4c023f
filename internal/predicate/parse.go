package predicate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse reads one expression. The error is always a *SyntaxError. The tree shares memory with source.
func Parse(source string) (Node, error) {
	if len(source) > MaxSource {
		return nil, &SyntaxError{Column: 1, Message: fmt.Sprintf("the expression is longer than %d bytes", MaxSource)}
	}
	p := parser{source: source}
	if !utf8.ValidString(source) {
		p.at = invalidByte(source)
		return nil, p.fail("the expression is not valid UTF-8", "")
	}
	n, err := p.expression()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(source) {
		return nil, p.trailing()
	}
	return n, nil
}

func invalidByte(s string) int {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return len(s)
}

type parser struct {
	source string
	at     int // offset of the next byte
	depth  int
	nodes  int
	// The column of an offset is counted on from the last one asked for, so that a long source costs linear time.
	countedAt, counted int
}

func (p *parser) column(offset int) int {
	if offset < p.countedAt {
		p.countedAt, p.counted = 0, 0
	}
	p.counted += utf8.RuneCountInString(p.source[p.countedAt:offset])
	p.countedAt = offset
	return p.counted + 1
}

// fail makes an error at the next byte.
func (p *parser) fail(message, hint string) *SyntaxError {
	return &SyntaxError{Column: p.column(p.at), Message: message, Hint: hint}
}

func (p *parser) space() {
	for p.at < len(p.source) {
		switch p.source[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

// accept consumes token, and the space before it, if it is next.
func (p *parser) accept(token string) bool {
	p.space()
	if strings.HasPrefix(p.source[p.at:], token) {
		p.at += len(token)
		return true
	}
	return false
}

func (p *parser) count() *SyntaxError {
	if p.nodes++; p.nodes > MaxNodes {
		return p.fail(fmt.Sprintf("the expression has more than %d parts", MaxNodes), "")
	}
	return nil
}

func (p *parser) expression() (Node, error) {
	operands, err := p.chain("||", func() (Node, error) {
		operands, err := p.chain("&&", p.factor)
		if err != nil || len(operands) == 1 {
			return first(operands), err
		}
		return &And{Operands: operands}, nil
	})
	if err != nil || len(operands) == 1 {
		return first(operands), err
	}
	return &Or{Operands: operands}, nil
}

func first(nodes []Node) Node {
	if len(nodes) == 0 {
		return nil
	}
	return nodes[0]
}

func (p *parser) chain(operator string, operand func() (Node, error)) ([]Node, error) {
	var operands []Node
	for {
		n, err := operand()
		if err != nil {
			return nil, err
		}
		operands = append(operands, n)
		if !p.accept(operator) {
			return operands, nil
		}
		if err := p.count(); err != nil {
			return nil, err
		}
	}
}

func (p *parser) factor() (Node, error) {
	p.space()
	start := p.at
	switch {
	case p.accept("!"):
		column := p.column(start)
		if err := p.open(start); err != nil {
			return nil, err
		}
		operand, err := p.factor()
		if err != nil {
			return nil, err
		}
		p.depth--
		return &Not{Operand: operand, Column: column}, nil
	case p.accept("("):
		if err := p.open(start); err != nil {
			return nil, err
		}
		inner, err := p.expression()
		if err != nil {
			return nil, err
		}
		if !p.accept(")") {
			return nil, p.unclosed(start)
		}
		p.depth--
		return inner, nil
	}
	return p.call()
}

// open enters a parenthesis or a negation that starts at offset.
func (p *parser) open(offset int) error {
	if err := p.count(); err != nil {
		return err
	}
	if p.depth++; p.depth > MaxDepth {
		p.at = offset
		return p.fail(fmt.Sprintf("parentheses and negations are nested more than %d deep", MaxDepth), "")
	}
	return nil
}

func (p *parser) call() (Node, error) {
	name := p.name()
	if name == "" {
		return nil, p.noCall()
	}
	c := &Call{Name: name, Column: p.column(p.at)}
	p.at += len(name)
	if err := p.count(); err != nil {
		return nil, err
	}
	open := p.at
	if !p.accept("(") {
		return nil, p.noParenthesis(c)
	}
	for !p.accept(")") {
		if len(c.Args) > 0 && !p.accept(",") {
			return nil, p.unclosed(open)
		}
		if len(c.Args) > 0 && p.accept(")") {
			break // a comma may follow the last argument, as in Go
		}
		arg, err := p.argument()
		if err != nil {
			return nil, err
		}
		c.Args = append(c.Args, arg)
		if err := p.count(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// name returns the identifier that is next, without consuming it.
func (p *parser) name() string {
	rest := p.source[p.at:]
	for i, r := range rest {
		if r == '_' || unicode.IsLetter(r) || i > 0 && unicode.IsDigit(r) {
			continue
		}
		return rest[:i]
	}
	return rest
}

func (p *parser) argument() (Arg, error) {
	p.space()
	arg := Arg{Column: p.column(p.at)}
	rest := p.source[p.at:]
	if rest == "" {
		return arg, p.fail("a string is missing, the expression ends here", "")
	}
	if rest[0] != '`' && rest[0] != '"' {
		return arg, p.noString()
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return arg, p.badString(rest)
	}
	if arg.Value, err = strconv.Unquote(quoted); err != nil {
		return arg, p.badString(rest)
	}
	p.at += len(quoted)
	return arg, nil
}
