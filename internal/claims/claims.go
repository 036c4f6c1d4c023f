// Package claims reads the payload of a JSON Web Token: a strict parser, a read-only tree with typed getters and dot paths, and the claims
// expression language.
//
// Everything here takes hostile input. A payload that two readers could understand differently (a member name twice, invalid UTF-8, a second value)
// is an error, never a guess; its size and shape are bounded before memory is spent on them.
package claims

import (
	"errors"
	"fmt"
)

// The ways in which a payload can be unfit, for errors.Is.
var (
	ErrMalformed = errors.New("not valid JSON")
	ErrDuplicate = errors.New("a member name occurs twice")
	ErrLimit     = errors.New("a limit is exceeded")
	ErrNotObject = errors.New("not a JSON object")
)

// ParseError says where a payload is unfit. It never holds any of the payload's text.
type ParseError struct {
	Kind   error  // ErrMalformed, ErrDuplicate, ErrLimit or ErrNotObject
	Offset int    // byte offset into the payload
	Detail string // what exactly, as a constant text; may be empty
}

// Error returns "parsing claims: offset N: kind: detail".
func (e *ParseError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("parsing claims: offset %d: %v", e.Offset, e.Kind)
	}
	return fmt.Sprintf("parsing claims: offset %d: %v: %s", e.Offset, e.Kind, e.Detail)
}

// Unwrap returns the kind.
func (e *ParseError) Unwrap() error { return e.Kind }

// Limits bound a payload. A field that is zero or negative means the value of DefaultLimits.
type Limits struct {
	Bytes   int // of the whole payload
	Depth   int // arrays and objects inside each other; the payload itself is the first. Never more than 1000.
	Members int // of one object
	Values  int // in the whole payload, containers included
	String  int // bytes of one string, member name or number, as written
}

// DefaultLimits is far above what real tokens hold, and far below what could hurt.
func DefaultLimits() Limits {
	return Limits{Bytes: 1 << 18, Depth: 32, Members: 1024, Values: 16384, String: 1 << 16}
}

func (l Limits) orDefault() Limits {
	const maxDepth = 1000 // the parser is recursive
	if l.Bytes > 0 && l.Depth > 0 && l.Members > 0 && l.Values > 0 && l.String > 0 {
		return l.within(maxDepth)
	}
	d := DefaultLimits()
	for _, f := range []struct{ value, otherwise *int }{
		{&l.Bytes, &d.Bytes}, {&l.Depth, &d.Depth}, {&l.Members, &d.Members}, {&l.Values, &d.Values}, {&l.String, &d.String},
	} {
		if *f.value <= 0 {
			*f.value = *f.otherwise
		}
	}
	return l.within(maxDepth)
}

// within keeps what the parser relies on.
func (l Limits) within(maxDepth int) Limits {
	l.Depth = min(l.Depth, maxDepth)
	l.Bytes = min(l.Bytes, 1<<31-1) // spans are 32 bits wide, and reach over the text and what was resolved of it
	return l
}

// Set is a parsed payload. It is read-only and safe for concurrent use.
type Set struct {
	text  string
	nodes []node // the tree in document order; the first is the payload itself
	// resolved holds the strings that are written with escapes; the others are parts of text.
	resolved string
}

// node is one value. Its children follow it; next jumps over them to its next sibling. It has no pointers, so that the garbage collector need not look at the
// many nodes of the many sets that are kept.
type node struct {
	key   span  // the member name, resolved; empty in arrays
	text  span  // a string's resolved text; of anything else the text as written
	whole span  // the value as written
	next  int32 // index of the node after this one and all below it
	kind  Kind
}

// span is a part of Set.text, or, from there on, of Set.resolved.
type span struct{ from, to uint32 }

func (s span) len() int { return int(s.to - s.from) }

// in returns the part of the two texts. It is all in one of the two; what was resolved is never empty.
func (s span) in(text, resolved string) string {
	if n := uint32(len(text)); s.to > n {
		return resolved[s.from-n : s.to-n]
	}
	return text[s.from:s.to]
}

func (s *Set) in(at span) string { return at.in(s.text, s.resolved) }

// Size returns how many bytes of memory the set holds on to, without itself.
func (s *Set) Size() int {
	const sizeOfNode = 32
	return len(s.text) + cap(s.nodes)*sizeOfNode + len(s.resolved)
}

// Root returns the payload itself, an object.
func (s *Set) Root() Value { return Value{set: s} }

// Get returns the claim of that exact name, or an Absent value. Names compare byte by byte (RFC 7519 section 7.3).
func (s *Set) Get(name string) Value { return s.Root().Member(name) }

// Lookup returns the value that the path leads to, or an Absent one.
func (s *Set) Lookup(p Path) Value {
	v := s.Root()
	for _, key := range p.keys {
		v = v.Member(key)
	}
	return v
}
