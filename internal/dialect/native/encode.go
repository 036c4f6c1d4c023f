package native

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/jotgate/jotgate/internal/gate"
)

// EncodeOption changes how a configuration is written.
type EncodeOption func(*encoder)

// RevealSecrets writes the text of secrets instead of [secret]. The document is then a secret itself.
func RevealSecrets() EncodeOption { return func(e *encoder) { e.reveal = true } }

// Encode writes a configuration as a native document: what differs from the defaults, in the order of the structs, map entries by name. Load reads it back,
// except for secrets, which appear as [secret] unless the options say otherwise, and for APIs that are broken, which are marked by a comment.
func Encode(c *gate.Config, options ...EncodeOption) ([]byte, error) {
	var e encoder
	for _, o := range options {
		o(&e)
	}
	root, err := e.mapping(reflect.ValueOf(c).Elem())
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	out, err := yaml.Dump(root, yaml.WithIndent(2), yaml.WithLineWidth(-1), yaml.WithQuotePreference(yaml.QuoteDouble))
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	return out, nil
}

type encoder struct{ reveal bool }

// mapping writes the fields of a struct that differ from their defaults.
func (e *encoder) mapping(v reflect.Value) (*yaml.Node, error) {
	usual := reflect.New(v.Type()).Elem()
	setDefaults(usual)
	m := &yaml.Node{Kind: yaml.MappingNode}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		if name == "-" && f.Name == "Broken" && v.Field(i).String() != "" {
			m.HeadComment = "broken: " + strconv.Quote(v.Field(i).String())
		}
		required := f.Tag.Get("required") == "true"
		if name == "-" || name == "" || !required && same(v.Field(i), usual.Field(i)) {
			continue
		}
		value, err := e.value(v.Field(i))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if isPlainStruct(f.Type) && len(value.Content) == 0 && !required {
			continue
		}
		m.Content = append(m.Content, str(name), value)
	}
	if len(m.Content) == 0 {
		m.Style = yaml.FlowStyle
	}
	return m, nil
}

// same reports whether two values are written alike: no list and an empty list are.
func same(a, b reflect.Value) bool {
	if k := a.Kind(); (k == reflect.Slice || k == reflect.Map) && a.Len() == 0 {
		return b.Len() == 0
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func str(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// literal writes a text so that Load takes nothing in it for a reference.
func literal(s string) (*yaml.Node, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	return str(strings.ReplaceAll(s, "${", "$${")), nil
}

// duration is the shortest form that time.ParseDuration reads: 1h, not 1h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (e *encoder) value(v reflect.Value) (*yaml.Node, error) {
	switch x := v.Interface().(type) {
	case gate.Secret:
		if e.reveal {
			return literal(x.Reveal())
		}
		return str(x.String()), nil
	case time.Duration:
		return str(duration(x)), nil
	case gate.Bytes:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: x.String()}, nil
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		return str(string(b)), err
	}
	switch v.Kind() {
	case reflect.Pointer:
		return e.value(v.Elem())
	case reflect.Struct:
		return e.mapping(v)
	case reflect.Slice:
		return e.list(v)
	case reflect.Map:
		return e.table(v)
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}, nil
	case reflect.Int, reflect.Int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v.Int(), 10)}, nil
	case reflect.String:
		return literal(v.String())
	}
	return nil, fmt.Errorf("type %s cannot be written", v.Type())
}

// list writes texts in one line and mappings below each other.
func (e *encoder) list(v reflect.Value) (*yaml.Node, error) {
	l := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		item, err := e.value(v.Index(i))
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		l.Content = append(l.Content, item)
	}
	if v.Len() == 0 || l.Content[0].Kind == yaml.ScalarNode {
		l.Style = yaml.FlowStyle
	}
	return l, nil
}

func (e *encoder) table(v reflect.Value) (*yaml.Node, error) {
	m := &yaml.Node{Kind: yaml.MappingNode}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		value, err := e.value(v.MapIndex(key))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		m.Content = append(m.Content, str(key.String()), value)
	}
	if len(keys) == 0 {
		m.Style = yaml.FlowStyle
	}
	return m, nil
}
