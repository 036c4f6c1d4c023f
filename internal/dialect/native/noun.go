package native

import (
	"encoding/json"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v4"

	"github.com/jotgate/jotgate/internal/gate"
)

// DecodeNoun reads one noun of the configuration, such as a *gate.Policy, from a document of its own, JSON or YAML. Source is what the document is called in problems. It is as strict as [Load]; references are refused, for who sends a noun
// must not read the gateway's files and environment with it. If the problems hold errors, target must not be used.
func DecodeNoun(source string, data []byte, target any) gate.Problems {
	d := &decoder{source: source, dir: "/"}
	root := d.document(data)
	if root != nil {
		SetDefaults(target)
		d.value(root, reflect.ValueOf(target).Elem(), "", place{})
	}
	return d.problems.Sort()
}

// EncodeNoun writes a noun as JSON: what differs from the defaults, in the order of the struct. Secrets appear as [secret].
func EncodeNoun(noun any) (json.RawMessage, error) {
	var e encoder
	root, err := e.mapping(reflect.ValueOf(noun).Elem())
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return appendJSON(nil, root)
}

// appendJSON appends what the encoder has made. Only what it has marked as a number or a truth value is written without quotes.
func appendJSON(b []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, n.Content[i]); err != nil {
				return nil, err
			}
			b = append(b, ':')
			if b, err = appendJSON(b, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, item); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	if n.Tag == "!!int" || n.Tag == "!!bool" {
		return append(b, n.Value...), nil
	}
	text, err := json.Marshal(n.Value)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return append(b, text...), nil
}
