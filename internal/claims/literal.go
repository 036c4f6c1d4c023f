package claims

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a string or member name. The next byte is its opening quote.
func (p *parser) string() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			s := p.text[start:p.at]
			p.at++
			return s, p.fits(len(s))
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", p.fail(ErrMalformed, "a control character in a string")
		}
		p.at++
	}
	return "", p.fail(ErrMalformed, "a string is not closed")
}

func (p *parser) fits(length int) error {
	if length > p.limits.String {
		return p.fail(ErrLimit, "a string or number is too long")
	}
	return nil
}

// escaped reads a string that started at start, from its first backslash on, which is next.
func (p *parser) escaped(start int) (string, error) {
	if p.resolved.Cap() == 0 {
		p.resolved.Grow(len(p.text) - start) // resolving never makes text longer
	}
	from := p.resolved.Len()
	p.resolved.WriteString(p.text[start:p.at])
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			err := p.fits(p.at - start)
			p.at++
			return p.resolved.String()[from:], err
		case c == '\\':
			if err := p.escape(); err != nil {
				return "", err
			}
		case c < ' ':
			return "", p.fail(ErrMalformed, "a control character in a string")
		default:
			p.resolved.WriteByte(c)
			p.at++
		}
	}
	return "", p.fail(ErrMalformed, "a string is not closed")
}

// escape resolves the escape sequence that is next.
func (p *parser) escape() error {
	if p.at+1 >= len(p.text) {
		return p.fail(ErrMalformed, "a string is not closed")
	}
	c := p.text[p.at+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return p.codePoint()
	default:
		return p.fail(ErrMalformed, "an unknown escape sequence")
	}
	p.resolved.WriteByte(c)
	p.at += 2
	return nil
}

// codePoint resolves a \u escape, or a pair of them that forms one character. Half a pair stands for no character and is an error: readers replace it
// in different ways.
func (p *parser) codePoint() error {
	r, ok := p.hex(p.at)
	if !ok {
		return p.fail(ErrMalformed, "a bad \\u escape")
	}
	width := len(`\u0000`)
	if utf16.IsSurrogate(r) {
		low, ok := p.hex(p.at + width)
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return p.fail(ErrMalformed, "a lone surrogate")
		}
		width *= 2
	}
	p.resolved.WriteRune(r)
	p.at += width
	return nil
}

// hex reads the \u escape at offset.
func (p *parser) hex(offset int) (rune, bool) {
	if offset+6 > len(p.text) || p.text[offset] != '\\' || p.text[offset+1] != 'u' {
		return 0, false
	}
	r, err := strconv.ParseUint(p.text[offset+2:offset+6], 16, 16)
	return rune(r), err == nil
}

// number reads a number (RFC 8259 section 6). The next byte is a digit or a minus sign.
func (p *parser) number() error {
	start := p.at
	p.word("-")
	if !p.word("0") && p.digits() == 0 {
		return p.fail(ErrMalformed, "a digit is missing")
	}
	if p.word(".") && p.digits() == 0 {
		return p.fail(ErrMalformed, "a digit is missing")
	}
	if p.word("e") || p.word("E") {
		if !p.word("+") {
			p.word("-")
		}
		if p.digits() == 0 {
			return p.fail(ErrMalformed, "a digit is missing")
		}
	}
	return p.fits(p.at - start)
}

// digits consumes decimal digits and returns how many.
func (p *parser) digits() int {
	start := p.at
	for '0' <= p.peek() && p.peek() <= '9' {
		p.at++
	}
	return p.at - start
}
