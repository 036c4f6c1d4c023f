package gate

import (
	"iter"
	"strings"
)

// Field is one header line. Name keeps the spelling in which it was received or set; Value has no surrounding whitespace.
type Field struct{ Name, Value string }

// Header is an ordered list of header lines. Names compare without regard to case (RFC 9110 section 5.1); the order of lines of one
// name is kept (section 5.3). The zero value is an empty header. It is a slice, so that an engine can reuse its memory:
// a Header must not be kept beyond the Exchange that it came with.
type Header []Field

// Get returns the value of the first line called name, or "" if there is none.
func (h Header) Get(name string) string {
	for i := range h {
		if EqualName(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Has reports whether there is a line called name.
func (h Header) Has(name string) bool {
	for i := range h {
		if EqualName(h[i].Name, name) {
			return true
		}
	}
	return false
}

// Count returns how many lines are called name.
func (h Header) Count(name string) int {
	n := 0
	for i := range h {
		if EqualName(h[i].Name, name) {
			n++
		}
	}
	return n
}

// Values yields the value of every line called name, in order.
func (h Header) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range h {
			if EqualName(h[i].Name, name) && !yield(h[i].Value) {
				return
			}
		}
	}
}

// Add appends a line.
func (h *Header) Add(name, value string) { *h = append(*h, Field{Name: name, Value: value}) }

// Set makes value the only line called name. The line keeps the place of the first one that it replaces.
func (h *Header) Set(name, value string) {
	lines := *h
	for i := range lines {
		if EqualName(lines[i].Name, name) {
			lines[i] = Field{Name: name, Value: value}
			rest := lines[i+1:]
			rest.Del(name)
			*h = lines[:i+1+len(rest)]
			return
		}
	}
	h.Add(name, value)
}

// Del removes every line called name.
func (h *Header) Del(name string) {
	h.DelFunc(func(field string) bool { return EqualName(field, name) })
}

// DelFunc removes every line whose name drop reports true for.
func (h *Header) DelFunc(drop func(name string) bool) {
	first := 0 // most often there is nothing to remove, and nothing to move then
	for first < len(*h) && !drop((*h)[first].Name) {
		first++
	}
	if first == len(*h) {
		return
	}
	kept := (*h)[:first]
	for _, f := range (*h)[first+1:] {
		if !drop(f.Name) {
			kept = append(kept, f)
		}
	}
	clear((*h)[len(kept):]) // let go of the removed strings
	*h = kept
}

// EqualName reports whether a and b name the same header field: ASCII case-insensitive (RFC 9110 section 5.1).
func EqualName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

// SameFolded reports whether a and b have the same folded form. Both are ASCII, as header names are. It allocates nothing.
func SameFolded(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && foldByte(a[i]) != foldByte(b[i]) {
			return false
		}
	}
	return true
}

func foldByte(c byte) byte {
	switch {
	case c == '_' || c == '.':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// FoldName returns the form of a header name under which back ends may confuse it with others: lower case, with '_' and '.'
// (which CGI and its descendants map to the same variable as '-') written as '-'. Two names with one folded form must never both reach a back end
// when one of them carries identity.
func FoldName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '.':
			return '-'
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
