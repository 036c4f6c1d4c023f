package claims

import (
	"strings"
	"unicode/utf8"
)

// Parse reads the payload of a token: exactly one JSON object (RFC 8259) in UTF-8 without byte order mark, in which no object has two members of one name
// once escapes are resolved (RFC 7519 section 4). Numbers are kept as written. The error is a *ParseError.
func Parse(payload []byte, limits Limits) (*Set, error) {
	limits = limits.orDefault()
	if len(payload) > limits.Bytes {
		return nil, &ParseError{Kind: ErrLimit, Offset: limits.Bytes, Detail: "payload too large"}
	}
	p := parser{text: string(payload), limits: limits}
	if !utf8.ValidString(p.text) {
		p.at = invalidByte(p.text)
		return nil, p.fail(ErrMalformed, "invalid UTF-8")
	}
	p.nodes = make([]node, 0, p.estimate())
	p.space()
	isObject := p.at < len(p.text) && p.text[p.at] == '{'
	if err := p.value("", 1); err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.text) {
		return nil, p.fail(ErrMalformed, "text after the value")
	}
	if !isObject {
		return nil, &ParseError{Kind: ErrNotObject}
	}
	return &Set{text: p.text, nodes: p.nodes, resolved: p.resolved.Cap()}, nil
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
	// Resolved strings that contain escapes. Grown once to all they can need, so that no string taken from it moves.
	resolved strings.Builder
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

func (p *parser) value(key string, depth int) error {
	if len(p.nodes) >= p.limits.Values {
		return p.fail(ErrLimit, "too many values")
	}
	self := len(p.nodes)
	p.nodes = append(p.nodes, node{key: key, from: int32(p.at)})
	var (
		kind Kind
		text string
		size int32
		err  error
	)
	switch c := p.peek(); {
	case c == '{':
		kind = Object
		size, err = p.object(self, depth)
	case c == '[':
		kind = Array
		size, err = p.array(depth)
	case c == '"':
		kind = String
		text, err = p.string()
	case c == '-' || '0' <= c && c <= '9':
		kind = Number
		err = p.number()
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
	n := &p.nodes[self]
	n.kind, n.size, n.to, n.next = kind, size, int32(p.at), int32(len(p.nodes))
	if kind != String {
		text = p.text[n.from:n.to]
	}
	n.text = text
	return nil
}

// word consumes w if it is next. What follows it is judged by whoever reads on.
func (p *parser) word(w string) bool {
	if strings.HasPrefix(p.text[p.at:], w) {
		p.at += len(w)
		return true
	}
	return false
}

func (p *parser) object(self, depth int) (size int32, err error) {
	if depth > p.limits.Depth {
		return 0, p.fail(ErrLimit, "nested too deep")
	}
	p.at++
	p.space()
	if p.word("}") {
		return 0, nil
	}
	for {
		if p.peek() != '"' {
			return 0, p.fail(ErrMalformed, "a member name is missing")
		}
		if int(size) >= p.limits.Members {
			return 0, p.fail(ErrLimit, "too many members in one object")
		}
		key, err := p.string()
		if err != nil {
			return 0, err
		}
		p.space()
		if !p.word(":") {
			return 0, p.fail(ErrMalformed, "a colon is missing")
		}
		p.space()
		if err := p.value(key, depth+1); err != nil {
			return 0, err
		}
		size++
		p.space()
		if p.word("}") {
			return size, p.unique(self, int(size))
		}
		if !p.word(",") {
			return 0, p.fail(ErrMalformed, "a comma or closing brace is missing")
		}
		p.space()
	}
}

func (p *parser) array(depth int) (size int32, err error) {
	if depth > p.limits.Depth {
		return 0, p.fail(ErrLimit, "nested too deep")
	}
	p.at++
	p.space()
	if p.word("]") {
		return 0, nil
	}
	for {
		if err := p.value("", depth+1); err != nil {
			return 0, err
		}
		size++
		p.space()
		if p.word("]") {
			return size, nil
		}
		if !p.word(",") {
			return 0, p.fail(ErrMalformed, "a comma or closing bracket is missing")
		}
		p.space()
	}
}

// unique reports an error if two members of the object just read, whose node is self, have one name.
func (p *parser) unique(self, size int) error {
	const few = 32 // up to here comparing all pairs beats a map
	members := p.nodes[self+1:]
	base := int32(self + 1)
	var seen map[string]struct{}
	if size > few {
		seen = make(map[string]struct{}, size)
	}
	for i := int32(0); int(i) < len(members); i = members[i].next - base {
		key := members[i].key
		if seen != nil {
			if _, twice := seen[key]; twice {
				return p.duplicate(members[i])
			}
			seen[key] = struct{}{}
			continue
		}
		for j := int32(0); j < i; j = members[j].next - base {
			if members[j].key == key {
				return p.duplicate(members[i])
			}
		}
	}
	return nil
}

func (p *parser) duplicate(n node) error {
	return &ParseError{Kind: ErrDuplicate, Offset: int(n.from)}
}
