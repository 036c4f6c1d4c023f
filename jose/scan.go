package jose

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// errSyntax is any breach of RFC 8259; callers name the document it was found in.
var errSyntax = errors.New("not valid JSON")

// scanner reads one JSON text strictly: RFC 8259 grammar, one value, valid UTF-8,
// no unpaired surrogates, no duplicate names, bounded depth, members and strings.
// Member names are matched exactly. encoding/json does none of the last four.
type scanner struct {
	src    string
	pos    int
	depth  int
	limits Limits // filled in
	// loose skips the checks that belong to a single object, so that one bad
	// element of an array can be told from a bad document.
	loose bool
}

// newScanner refuses text that is not UTF-8 before anything else is read.
func newScanner(src string, limits Limits) (*scanner, error) {
	if !utf8.ValidString(src) {
		return nil, fmt.Errorf("%w: invalid UTF-8", errSyntax)
	}
	return &scanner{src: src, limits: limits}, nil
}

func (s *scanner) syntax(what string) error {
	return fmt.Errorf("%w: %s at byte %d", errSyntax, what, s.pos)
}

// peek returns the next byte, or 0 at the end; a NUL in the text is nowhere legal.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// end checks that nothing but space is left.
func (s *scanner) end() error {
	s.space()
	if s.pos != len(s.src) {
		return s.syntax("data after the value")
	}
	return nil
}

// object reads an object and calls member after each name; member must consume
// exactly the value.
func (s *scanner) object(member func(name string) error) error {
	if err := s.enter('{', "expected an object"); err != nil {
		return err
	}
	var names nameSet
	for count := 0; ; count++ {
		done, err := s.next('}', count)
		if done || err != nil {
			return err
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if !s.loose {
			if count >= s.limits.JSONMembers {
				return fmt.Errorf("%w: more than %d members in an object", ErrTooLarge, s.limits.JSONMembers)
			}
			if !names.add(name) {
				return ErrDuplicateMember
			}
		}
		s.space()
		if s.peek() != ':' {
			return s.syntax("expected ':'")
		}
		s.pos++
		s.space()
		if err := member(name); err != nil {
			return err
		}
	}
}

// array reads an array and calls element before each value; element must consume
// exactly the value.
func (s *scanner) array(element func() error) error {
	if err := s.enter('[', "expected an array"); err != nil {
		return err
	}
	for count := 0; ; count++ {
		done, err := s.next(']', count)
		if done || err != nil {
			return err
		}
		if err := element(); err != nil {
			return err
		}
	}
}

func (s *scanner) enter(open byte, what string) error {
	s.space()
	if s.peek() != open {
		return s.syntax(what)
	}
	s.pos++
	if s.depth++; s.depth > s.limits.JSONDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, s.limits.JSONDepth)
	}
	return nil
}

// next moves to the next element of an object or array that had count so far.
// A comma before the end is found by whoever reads the element that is missing.
func (s *scanner) next(end byte, count int) (done bool, err error) {
	s.space()
	c := s.peek()
	switch {
	case c == end:
		s.pos++
		s.depth--
		return true, nil
	case count == 0:
		return false, nil
	case c == ',':
		s.pos++
		s.space()
		return false, nil
	default:
		return false, s.syntax("expected ',' or the end of the object or array")
	}
}

// skip reads any value and forgets it.
func (s *scanner) skip() error {
	s.space()
	switch c := s.peek(); {
	case c == '{':
		return s.object(func(string) error { return s.skip() })
	case c == '[':
		return s.array(s.skip)
	case c == '"':
		_, err := s.text()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	default:
		return s.literal()
	}
}

func (s *scanner) literal() error {
	for _, word := range [...]string{"true", "false", "null"} {
		if rest := s.src[s.pos:]; len(rest) >= len(word) && rest[:len(word)] == word {
			s.pos += len(word)
			return nil
		}
	}
	return s.syntax("expected a value")
}

// number reads a number that a float64 can hold: other readers refuse 1e400, or make
// it infinite.
func (s *scanner) number() error {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if s.digits() == 0 {
		return s.syntax("expected a digit")
	}
	if s.peek() == '.' {
		s.pos++
		if s.digits() == 0 {
			return s.syntax("expected a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if s.digits() == 0 {
			return s.syntax("expected a digit")
		}
	}
	if _, err := strconv.ParseFloat(s.src[start:s.pos], 64); err != nil {
		return s.syntax("number out of range")
	}
	return nil
}

func (s *scanner) digits() int {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos - start
}

// text reads a string. Without escapes the result is a part of the source, and
// nothing is copied.
func (s *scanner) text() (string, error) {
	s.space()
	if s.peek() != '"' {
		return "", s.syntax("expected a string")
	}
	s.pos++
	start := s.pos
	for ; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == '"':
			text := s.src[start:s.pos]
			s.pos++
			return text, s.checkLength(len(text))
		case c == '\\':
			return s.escapedText(start)
		case c < ' ':
			return "", s.syntax("control character in a string")
		}
	}
	return "", s.syntax("unterminated string")
}

// escapedText continues text at the first backslash.
func (s *scanner) escapedText(start int) (string, error) {
	out := []byte(s.src[start:s.pos])
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == '"':
			s.pos++
			return string(out), s.checkLength(len(out))
		case c == '\\':
			s.pos++
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		case c < ' ':
			return "", s.syntax("control character in a string")
		default:
			out = append(out, c)
			s.pos++
		}
	}
	return "", s.syntax("unterminated string")
}

func (s *scanner) checkLength(n int) error {
	if n > s.limits.StringBytes && !s.loose {
		return fmt.Errorf("%w: string longer than %d bytes", ErrTooLarge, s.limits.StringBytes)
	}
	return nil
}

// escape reads what follows a backslash.
func (s *scanner) escape() (rune, error) {
	if s.pos == len(s.src) {
		return 0, s.syntax("unterminated string")
	}
	c := s.src[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return s.unicodeEscape()
	default:
		return 0, s.syntax("unknown escape")
	}
}

func (s *scanner) unicodeEscape() (rune, error) {
	r, ok := s.hex4()
	if !ok {
		return 0, s.syntax("expected four hexadecimal digits")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if s.peek() == '\\' && s.pos+1 < len(s.src) && s.src[s.pos+1] == 'u' {
		s.pos += 2
		if low, ok := s.hex4(); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				return full, nil
			}
		}
	}
	return 0, s.syntax("unpaired surrogate")
}

func (s *scanner) hex4() (rune, bool) {
	if len(s.src)-s.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s.src[s.pos : s.pos+4]) {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			r |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	s.pos += 4
	return r, true
}

// nameSet finds duplicate names: by looking for few, by a map for many, so that
// an object of thousands of names costs no more than its length.
type nameSet struct {
	few  [16]string
	n    int
	many map[string]struct{}
}

// add reports whether name is new.
func (s *nameSet) add(name string) bool {
	if s.many == nil {
		if slices.Contains(s.few[:s.n], name) {
			return false
		}
		if s.n < len(s.few) {
			s.few[s.n] = name
			s.n++
			return true
		}
		s.many = make(map[string]struct{}, 4*len(s.few))
		for _, known := range s.few {
			s.many[known] = struct{}{}
		}
	}
	if _, known := s.many[name]; known {
		return false
	}
	s.many[name] = struct{}{}
	return true
}
