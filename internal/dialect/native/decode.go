package native

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/predicate"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	secretType   = reflect.TypeFor[gate.Secret]()
	bytesType    = reflect.TypeFor[gate.Bytes]()
	originType   = reflect.TypeFor[gate.Origin]()
)

// value reads a node into v. The tag is that of the struct field which v belongs to.
func (d *decoder) value(n *yaml.Node, v reflect.Value, tag reflect.StructTag, at place) {
	if !d.count(n) {
		return
	}
	at.note(n)
	n, ok := d.content(n, at)
	if !ok {
		return
	}
	switch t := v.Type(); {
	case t.Kind() == reflect.Pointer:
		target := reflect.New(t.Elem())
		v.Set(target)
		if t.Elem().Kind() == reflect.Slice {
			d.list(n, target.Elem(), tag, at)
			return
		}
		setDefaults(target.Elem())
		d.mapping(n, target.Elem(), at)
	case isPlainStruct(t):
		d.mapping(n, v, at)
	case t.Kind() == reflect.Slice:
		d.list(n, v, tag, at)
	case t.Kind() == reflect.Map:
		d.table(n, v, at)
	default:
		d.scalar(n, v, tag, at)
	}
}

// content follows an alias and refuses what the language has no use for: tags and nothing at all. The node that it returns has the place of the use.
func (d *decoder) content(n *yaml.Node, at place) (*yaml.Node, bool) {
	if n.Kind == yaml.AliasNode {
		used := *n.Alias
		used.Line, used.Column = n.Line, n.Column
		n = &used
	}
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		d.problem(n, at, "quote text that starts with !", "tags are not supported")
		return n, false
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		d.problem(n, at, "leave the key out, or give it a value", "the value is missing")
		return n, false
	}
	return n, true
}

// note keeps where the value at this place was written.
func (at place) note(n *yaml.Node) {
	if at.noun != nil {
		at.noun.Fields[at.relative()] = gate.Position{Line: n.Line, Column: n.Column}
	}
}

// relative is the path from the noun.
func (at place) relative() string {
	return strings.TrimPrefix(strings.TrimPrefix(at.path, at.noun.Object), ".")
}

// key is the place of a member.
func (at place) key(name string) place {
	if at.path != "" {
		at.path += "."
	}
	at.path += printable(name)
	return at
}

// index is the place of an item of a list.
func (at place) index(i int) place {
	at.path += "[" + strconv.Itoa(i) + "]"
	return at
}

// printable returns a key as it is, if it is a visible word, and quoted otherwise: paths are printed on terminals.
func printable(key string) string {
	const longest = 64
	if len(key) > longest {
		key = strings.ToValidUTF8(key[:longest], "") + "..."
	}
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return strconv.QuoteToASCII(key)
	}
	return key
}

// mapping reads a node into a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, at place) {
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, at, "a mapping of keys to values", "")
		return
	}
	if o, ok := originOf(v); ok {
		*o = gate.Origin{
			Source: d.source, Object: at.path, Position: gate.Position{Line: n.Line, Column: n.Column}, Fields: map[string]gate.Position{},
		}
		at.noun = o
	}
	fields := fieldsOf(v.Type())
	found := d.members(n, at, func(key, value *yaml.Node) {
		i, ok := fields.index(key.Value)
		if !ok {
			if hint := fields.suggest(key.Value); fields.meant(key.Value) {
				d.problem(key, at.key(key.Value), hint, "unknown key")
			} else {
				d.mistake(key, at.key(key.Value), hint, "unknown key")
			}
			return
		}
		d.value(value, v.Field(i), v.Type().Field(i).Tag, at.key(key.Value))
	})
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("required") != "true" {
			continue
		}
		name := f.Tag.Get("yaml")
		if value, ok := found[name]; !ok {
			d.problem(n, at.key(name), "", "required, but missing")
		} else if isEmpty(value) {
			d.mistake(value, at.key(name), "", "required, but empty")
		}
	}
}

func isEmpty(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n.Kind == yaml.SequenceNode && len(n.Content) == 0 || n.Kind == yaml.ScalarNode && n.Value == "" && n.Tag != "!!null"
}

// members calls use for each member of a mapping whose key is fit and new, and returns the values by key.
func (d *decoder) members(n *yaml.Node, at place, use func(key, value *yaml.Node)) map[string]*yaml.Node {
	found := make(map[string]*yaml.Node, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !d.count(key) {
			return found
		}
		switch {
		case key.Tag == "!!merge":
			d.problem(key, at, "repeat the keys, or use an alias for a whole value", "merge keys are not supported")
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
			d.problem(key, at, "", "a key must be plain text")
		case lines[key.Value] != 0:
			d.problem(key, at.key(key.Value), "", fmt.Sprintf("the key is there twice, first in line %d", lines[key.Value]))
		default:
			lines[key.Value], found[key.Value] = key.Line, value
			use(key, value)
		}
	}
	return found
}

// list reads a node into a slice, in place of what the slice held.
func (d *decoder) list(n *yaml.Node, v reflect.Value, tag reflect.StructTag, at place) {
	if n.Kind != yaml.SequenceNode {
		hint := "start each item with a dash"
		if n.Kind == yaml.ScalarNode && !isPlainStruct(v.Type().Elem()) {
			hint = "put it in brackets: [...]"
		}
		d.wrongType(n, at, "a list", hint)
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	v.Set(items)
	for i, item := range n.Content {
		if isPlainStruct(items.Type().Elem()) {
			setDefaults(items.Index(i))
		}
		d.value(item, items.Index(i), tag, at.index(i))
		if d.stopped {
			return
		}
	}
}

// table reads a node into a map of texts.
func (d *decoder) table(n *yaml.Node, v reflect.Value, at place) {
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, at, "a mapping of names to texts", "")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.members(n, at, func(key, value *yaml.Node) {
		entry := reflect.New(v.Type().Elem()).Elem()
		d.value(value, entry, "", at.key(key.Value))
		v.SetMapIndex(reflect.ValueOf(key.Value), entry)
	})
}

// wrongType notes that a node is not what it should be. It never shows the value.
func (d *decoder) wrongType(n *yaml.Node, at place, want, hint string) {
	d.problem(n, at, hint, want+" was expected, not "+describe(n))
}

// describe says in the user's words what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// fields are the keys that a struct has, each with the index of its field.
type fields struct {
	names   []string
	indices []int
}

func fieldsOf(t reflect.Type) fields {
	var f fields
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "-" && name != "" {
			f.names, f.indices = append(f.names, name), append(f.indices, i)
		}
	}
	return f
}

func (f fields) index(name string) (int, bool) {
	for i, n := range f.names {
		if n == name {
			return f.indices[i], true
		}
	}
	return 0, false
}

// meant reports whether an unknown key is one of the fields misspelt.
func (f fields) meant(name string) bool { return predicate.Nearest(name, f.names) != "" }

// suggest says which key may have been meant.
func (f fields) suggest(name string) string {
	const few = 9
	if f.meant(name) {
		return "did you mean " + predicate.Nearest(name, f.names) + "?"
	}
	if len(f.names) <= few {
		return "there are " + strings.Join(f.names, ", ")
	}
	return ""
}
