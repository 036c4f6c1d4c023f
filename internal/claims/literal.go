package claims

import (
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a string or member name. The next byte is its opening quote.
func (p *parser) string() (span, error) {
	p.at++
	start := p.at
	p.plain()
	switch p.peek() {
	case '"':
		text := p.since(start)
		p.at++
		return text, p.fits(text.len())
	case '\\':
		return p.escaped(start)
	}
	return span{}, p.broken()
}

// broken is the error of a string that has come to its end without a quote, or to a control character.
func (p *parser) broken() error {
	if p.at < len(p.text) {
		return p.fail(ErrMalformed, "a control character in a string")
	}
	return p.fail(ErrMalformed, "a string is not closed")
}

// plain moves on to the next quote, backslash or control character, or to the end. It looks at eight bytes at once: a byte of found has its highest bit set if
// it is one of them, and the lowest such byte is exact, since a borrow can only come from one below.
func (p *parser) plain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	text, at := p.text, p.at
	for ; len(text)-at >= 8; at += 8 {
		s := text[at : at+8]
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, backslash := w^('"'*ones), w^('\\'*ones)
		found := ((w - ' '*ones) &^ w) | ((quote - ones) &^ quote) | ((backslash - ones) &^ backslash)
		if found &= highs; found != 0 {
			p.at = at + bits.TrailingZeros64(found)/8
			return
		}
	}
	for ; at < len(text); at++ {
		if c := text[at]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	p.at = at
}

func (p *parser) fits(length int) error {
	if length > p.limits.String {
		return p.fail(ErrLimit, "a string or number is too long")
	}
	return nil
}

// escaped reads a string that started at start, from its first backslash on, which is next.
func (p *parser) escaped(start int) (span, error) {
	if p.resolved == nil {
		p.resolved = make([]byte, 0, len(p.text)-start) // resolving never makes text longer
	}
	from := len(p.resolved)
	p.resolved = append(p.resolved, p.text[start:p.at]...)
	for {
		switch p.peek() {
		case '"':
			err := p.fits(p.at - start)
			p.at++
			n := len(p.text)
			return span{uint32(n + from), uint32(n + len(p.resolved))}, err
		case '\\':
			if err := p.escape(); err != nil {
				return span{}, err
			}
		default:
			return span{}, p.broken()
		}
		more := p.at
		p.plain()
		p.resolved = append(p.resolved, p.text[more:p.at]...)
	}
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
	p.resolved = append(p.resolved, c)
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
	p.resolved = utf8.AppendRune(p.resolved, r)
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
