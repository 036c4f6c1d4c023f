package claims

import (
	"strings"
	"unicode/utf8"
)

// Parse reads the payload of a token: exactly one JSON object (RFC 8259) in UTF-8 without byte order mark, in which no object has two members of one name
// once escapes are resolved (RFC 7519 section 4). Numbers are kept as written. The set does not share memory with payload. The error is a *ParseError.
func Parse(payload []byte, limits Limits) (*Set, error) {
	if most := limits.orDefault().Bytes; len(payload) > most { // before it is copied
		return nil, tooLarge(most)
	}
	s := new(Set)
	if err := s.Parse(string(payload), limits); err != nil {
		return nil, err
	}
	return s, nil
}

// Parse makes s what the function [Parse] makes of the text, for a set that is a part of something larger. It takes one allocation, and one more for text with
// escapes; the set keeps the text. The error is a *ParseError, and leaves s as it was.
func (s *Set) Parse(text string, limits Limits) error {
	limits = limits.orDefault()
	if len(text) > limits.Bytes {
		return tooLarge(limits.Bytes)
	}
	p := parser{text: text, limits: limits}
	if !utf8.ValidString(p.text) {
		p.at = invalidByte(p.text)
		return p.fail(ErrMalformed, "invalid UTF-8")
	}
	p.nodes = make([]node, 0, p.estimate())
	p.space()
	isObject := p.peek() == '{'
	if err := p.value(span{}, 1); err != nil {
		return err
	}
	p.space()
	if p.at < len(p.text) {
		return p.fail(ErrMalformed, "text after the value")
	}
	if !isObject {
		return &ParseError{Kind: ErrNotObject}
	}
	*s = Set{text: p.text, nodes: p.nodes, resolved: string(p.resolved)}
	return nil
}

func tooLarge(most int) error {
	return &ParseError{Kind: ErrLimit, Offset: most, Detail: "payload too large"}
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
	text   string
	at     int // offset of the next byte
	limits Limits
	nodes  []node
	// resolved is the strings that contain escapes, without those.
	resolved []byte
}

// estimate returns a capacity for nodes: enough for a usual token, and small whatever the payload says.
func (p *parser) estimate() int {
	const usual = 64
	return min(1+strings.Count(p.text, ",")+strings.Count(p.text, "{")+strings.Count(p.text, "["), usual)
}

func (p *parser) fail(kind error, detail string) error {
	return &ParseError{Kind: kind, Offset: p.at, Detail: detail}
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0, which no JSON text may contain, at the end.
func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) value(key span, depth int) error {
	if len(p.nodes) >= p.limits.Values {
		return p.fail(ErrLimit, "too many values")
	}
	self, from := len(p.nodes), p.at
	p.nodes = append(p.nodes, node{})
	var (
		kind Kind
		text span
		err  error
	)
	switch c := p.peek(); {
	case c == '"':
		kind = String
		text, err = p.string()
	case c == '-' || '0' <= c && c <= '9':
		kind = Number
		err = p.number()
	case c == '{':
		kind = Object
		err = p.object(self, depth)
	case c == '[':
		kind = Array
		err = p.array(depth)
	case p.word("true"), p.word("false"):
		kind = Bool
	case p.word("null"):
		kind = Null
	case p.at >= len(p.text):
		return p.fail(ErrMalformed, "the text ends where a value should be")
	default:
		return p.fail(ErrMalformed, "not the start of a value")
	}
	if err != nil {
		return err
	}
	whole := p.since(from)
	if kind != String {
		text = whole
	}
	p.nodes[self] = node{key: key, text: text, whole: whole, next: int32(len(p.nodes)), kind: kind}
	return nil
}

// since is the text from an offset to what is next.
func (p *parser) since(from int) span { return span{uint32(from), uint32(p.at)} }

// word consumes w if it is next. What follows it is judged by whoever reads on.
func (p *parser) word(w string) bool {
	if strings.HasPrefix(p.text[p.at:], w) {
		p.at += len(w)
		return true
	}
	return false
}

func (p *parser) object(self, depth int) error {
	if depth > p.limits.Depth {
		return p.fail(ErrLimit, "nested too deep")
	}
	p.at++
	p.space()
	if p.word("}") {
		return nil
	}
	for size := 1; ; size++ {
		if p.peek() != '"' {
			return p.fail(ErrMalformed, "a member name is missing")
		}
		if size > p.limits.Members {
			return p.fail(ErrLimit, "too many members in one object")
		}
		key, err := p.string()
		if err != nil {
			return err
		}
		p.space()
		if !p.word(":") {
			return p.fail(ErrMalformed, "a colon is missing")
		}
		p.space()
		if err := p.value(key, depth+1); err != nil {
			return err
		}
		p.space()
		if p.word("}") {
			return p.unique(self, size)
		}
		if !p.word(",") {
			return p.fail(ErrMalformed, "a comma or closing brace is missing")
		}
		p.space()
	}
}

func (p *parser) array(depth int) error {
	if depth > p.limits.Depth {
		return p.fail(ErrLimit, "nested too deep")
	}
	p.at++
	p.space()
	if p.word("]") {
		return nil
	}
	for {
		if err := p.value(span{}, depth+1); err != nil {
			return err
		}
		p.space()
		if p.word("]") {
			return nil
		}
		if !p.word(",") {
			return p.fail(ErrMalformed, "a comma or closing bracket is missing")
		}
		p.space()
	}
}

// few is up to how many members looking at the ones before beats a map.
const few = 32

// unique reports an error if two members of the object just read, whose node is self, have one name.
func (p *parser) unique(self, size int) error {
	if size > few {
		return p.uniqueAmongMany(self, size)
	}
	first := self + 1
	var marks uint64
	for i := first; i < len(p.nodes); i = int(p.nodes[i].next) {
		key := p.name(i)
		// Names of the same text have the same mark. Most names have one that no name before has, and need not be compared.
		mark := uint64(1) << markOf(key)
		if marks&mark == 0 {
			marks |= mark
			continue
		}
		for j := first; j < i; j = int(p.nodes[j].next) {
			if p.name(j) == key {
				return p.duplicate(i)
			}
		}
	}
	return nil
}

// markOf returns a number below 64 that depends on nothing but the name.
func markOf(name string) uint32 {
	n := uint32(len(name))
	if n == 0 {
		return 0
	}
	return (n + uint32(name[0])*7 + uint32(name[n/2])*13 + uint32(name[n-1])*29) % 64
}

func (p *parser) uniqueAmongMany(self, size int) error {
	seen := make(map[string]struct{}, size)
	for i := self + 1; i < len(p.nodes); i = int(p.nodes[i].next) {
		key := p.name(i)
		if _, twice := seen[key]; twice {
			return p.duplicate(i)
		}
		seen[key] = struct{}{}
	}
	return nil
}

// name is the name of a member. Those with escapes are copied; they are rare.
func (p *parser) name(at int) string {
	key, n := p.nodes[at].key, uint32(len(p.text))
	if key.to > n {
		return string(p.resolved[key.from-n : key.to-n])
	}
	return p.text[key.from:key.to]
}

func (p *parser) duplicate(at int) error {
	return &ParseError{Kind: ErrDuplicate, Offset: int(p.nodes[at].whole.from)}
}
