package claims

import (
	"iter"
	"strconv"
)

// Kind is what a value is.
type Kind uint8

// The kinds of JSON value, and Absent for a claim that is not there.
const (
	Absent Kind = iota
	String
	Number
	Bool
	Null
	Array
	Object
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Absent:
		return "absent"
	case String:
		return "string"
	case Number:
		return "number"
	case Bool:
		return "boolean"
	case Null:
		return "null"
	case Array:
		return "array"
	case Object:
		return "object"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Value is one value of a Set. It is small and copied freely. The zero Value is Absent, and every getter may be called on it.
type Value struct {
	set *Set
	at  int32
}

func (v Value) node() *node {
	if v.set == nil {
		return nil
	}
	return &v.set.nodes[v.at]
}

// Kind returns what the value is.
func (v Value) Kind() Kind {
	if n := v.node(); n != nil {
		return n.kind
	}
	return Absent
}

// AsString returns the text of a string; ok is false for anything else.
func (v Value) AsString() (text string, ok bool) { return v.textOf(String) }

// AsNumber returns a number as it is written in the payload; ok is false for anything else.
func (v Value) AsNumber() (literal string, ok bool) { return v.textOf(Number) }

// AsBool returns a boolean; ok is false for anything else.
func (v Value) AsBool() (value, ok bool) {
	text, ok := v.textOf(Bool)
	return text == "true", ok
}

func (v Value) textOf(kind Kind) (string, bool) {
	if n := v.node(); n != nil && n.kind == kind {
		return v.set.in(n.text), true
	}
	return "", false
}

// Scalar returns the text of a string, of a number as written, or "true" or "false"; ok is false for null, arrays, objects and Absent.
// It is the text that the expression language compares.
func (v Value) Scalar() (text string, ok bool) {
	if n := v.node(); n != nil && (n.kind == String || n.kind == Number || n.kind == Bool) {
		return v.set.in(n.text), true
	}
	return "", false
}

// JSON returns the value as it is written in the payload, spaces included; "" if it is Absent.
func (v Value) JSON() string {
	if n := v.node(); n != nil {
		return v.set.in(n.whole)
	}
	return ""
}

// Len returns how many elements or members an array or object has; 0 for anything else.
func (v Value) Len() (n int) {
	if kind := v.Kind(); kind != Array && kind != Object {
		return 0
	}
	nodes := v.set.nodes
	for i, end := v.at+1, nodes[v.at].next; i < end; i = nodes[i].next {
		n++
	}
	return n
}

// Member returns an object's member of that exact name, or an Absent value.
func (v Value) Member(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	nodes := v.set.nodes
	for i, end := v.at+1, nodes[v.at].next; i < end; i = nodes[i].next {
		if key := nodes[i].key; key.len() == len(name) && v.set.in(key) == name {
			return Value{set: v.set, at: i}
		}
	}
	return Value{}
}

// Elements yields the elements of an array in order; nothing for anything else.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != Array {
			return
		}
		nodes := v.set.nodes
		for i, end := v.at+1, nodes[v.at].next; i < end; i = nodes[i].next {
			if !yield(Value{set: v.set, at: i}) {
				return
			}
		}
	}
}

// Members yields the members of an object in document order; nothing for anything else.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != Object {
			return
		}
		nodes := v.set.nodes
		for i, end := v.at+1, nodes[v.at].next; i < end; i = nodes[i].next {
			if !yield(v.set.in(nodes[i].key), Value{set: v.set, at: i}) {
				return
			}
		}
	}
}

// Strings returns the strings of a claim that may be one string or an array of strings, as "aud" is (RFC 7519 section 4.1.3). ok is false for anything
// else, also for an array with an element that is not a string; an empty array gives no strings and true.
func (v Value) Strings() (texts []string, ok bool) {
	if text, ok := v.AsString(); ok {
		return []string{text}, true
	}
	if v.Kind() != Array {
		return nil, false
	}
	texts = make([]string, 0, v.Len())
	for e := range v.Elements() {
		text, ok := e.AsString()
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}
