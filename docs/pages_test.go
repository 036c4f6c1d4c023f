package docs_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

const generated = "<!-- Generated from internal/gate by `make generate`. Do not edit. -->\n\n"

const configurationHead = `# Configuration

The configuration is one YAML document in UTF-8; JSON is taken too, as it is part of YAML. ` + "`jotgate check FILE`" + ` reports every mistake in it with line,
column and path. Editors complete and check it with [jotgate.schema.json](jotgate.schema.json), for example where its first line is
` + "`# yaml-language-server: $schema=jotgate.schema.json`" + `.

- Nothing is guessed: an unknown key, a key twice, a value of another type and a value that is left blank are errors.
- **Text** may be quoted or not. Numbers and dates are taken as they are written, so ` + "`minVersion: 1.2`" + ` is the text 1.2; true and false must be quoted to be text.
- **True or false** is exactly that: on, off, yes and no are text.
- A **duration** has a unit: ` + "`300ms`, `10s`, `5m`, `1h30m`" + `. Only 0 may stand alone.
- A **size** is a number of bytes, alone or with a unit: ` + "`512KiB`, `10MiB`, `1GB`" + `.
- An **address range** is a CIDR such as ` + "`10.0.0.0/8` or `2001:db8::/32`" + `, or a single address.
- A **path** that is relative starts at the folder of the configuration file.
- Any value may hold references: ` + "`${env:NAME}`" + ` is an environment variable, ` + "`${file:/run/secrets/x}`" + ` the content of a file without the line end at its end. ` + "`$${`" + `
  stands for ` + "`${`" + `. Inside of { } and [ ] such values must be quoted. What a reference stands for is never shown.
- Anchors and aliases may be used; merge keys (` + "`<<`" + `) and tags may not.

Claims expressions are described in [expressions.md](expressions.md), routing rules in [matchers.md](matchers.md), reason codes in [reasons.md](reasons.md).
`

// configurationPage is one section for each structure, with a table of its keys.
func configurationPage(all []*structure) string {
	var b strings.Builder
	b.WriteString(generated + configurationHead)
	for _, s := range all {
		title, text := s.name, "At `"+strings.Join(s.paths, "`, `")+"`. "+s.text
		if s.name == "Config" {
			title, text = "The document", "These keys are at the top."
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n", title, text)
		for _, k := range s.keys {
			def := "**required**"
			if !k.required {
				def = defaultText(k)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, typeText(k), def, strings.ReplaceAll(k.text, "|", `\|`))
		}
	}
	return b.String()
}

func typeText(k key) string {
	part := structIn(k.typ)
	switch {
	case part != nil && k.typ.Kind() == reflect.Slice:
		return "list of " + link(part)
	case part != nil:
		return link(part)
	case k.typ.Kind() == reflect.Slice:
		words, _ := typeName(key{typ: k.typ.Elem()})
		return "list of " + words + "s"
	case k.typ.Kind() == reflect.Map:
		return "mapping of names to texts"
	}
	words, _ := typeName(k)
	return words
}

func link(part reflect.Type) string {
	return "[" + part.Name() + "](#" + strings.ToLower(part.Name()) + ")"
}

// defaultText is how one would write the value that a key has when it is left out; empty if that is nothing.
func defaultText(k key) string {
	v := defaultValue(k)
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return "`" + strings.ReplaceAll(strings.Trim(string(text), `"`), `","`, `", "`) + "`"
}

func defaultValue(k key) any {
	switch x := k.usual.Interface().(type) {
	case time.Duration:
		s := strings.TrimSuffix(x.String(), "m0s")
		if s != x.String() {
			s = strings.TrimSuffix(s+"m", "h0m")
			if !strings.HasSuffix(s, "m") {
				s += "h"
			}
		}
		return s
	case gate.Bytes:
		if x == 0 {
			return 0
		}
		return x.String()
	case bool, int:
		return x
	case string:
		if x != "" {
			return x
		}
	case []string:
		if len(x) > 0 {
			return x
		}
	}
	return nil
}

// reasonsPage lists the reasons of refusals, by status.
func reasonsPage() string {
	var b strings.Builder
	b.WriteString(generated + `# Reason codes

Every check that can refuse a request has a code. Codes stand in the access log, in metrics, in the ` + "`jotgate explain`" + ` command and in problem answers. They are never
renamed or reused, so alerts can be built on them. The error is the one of the ` + "`WWW-Authenticate`" + ` challenge (RFC 6750 section 3.1).

| Code | Status | Error | Meaning |
|---|---|---|---|
`)
	for _, r := range gate.Reasons() {
		oauth := ""
		if code := r.Kind().OAuthError(); code != "" && r.Kind().Challenge() {
			oauth = "`" + code + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s. |\n", r, r.Kind().Status(), oauth, r.Text())
	}
	return b.String()
}

type object = map[string]any

// schemaPage is a JSON Schema (draft 2020-12) for editors. It is less strict than the gateway: it knows no links between values.
func schemaPage(t *testing.T, all []*structure) string {
	t.Helper()
	reference := object{"type": "string", "pattern": `\$\{`}
	either := func(description string, s object) object {
		return object{"description": description, "anyOf": []any{s, reference}}
	}
	defs := object{
		"text":     object{"description": "Text; a number is taken as it is written.", "type": []string{"string", "number"}},
		"boolean":  either("true or false", object{"type": "boolean"}),
		"number":   either("A whole number.", object{"type": "integer"}),
		"duration": either("A duration such as 10s, 5m or 1h30m.", object{"type": []string{"string", "integer"}, "pattern": `^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)$`, "maximum": 0, "minimum": 0}),
		"size":     either("A size such as 512KiB or 10MiB.", object{"type": []string{"string", "integer"}, "pattern": `^[0-9]+ *(B|KiB|MiB|GiB|kB|MB|GB)?$`, "minimum": 0}),
		"addressRange": either("A CIDR such as 10.0.0.0/8, or a single address.", object{
			"type": "string", "pattern": `^[0-9a-fA-F.:]+(/[0-9]+)?$`,
		}),
	}
	for _, s := range all {
		properties, required := object{}, []string{}
		for _, k := range s.keys {
			property := schemaOf(k)
			property["description"] = k.text
			if v := defaultValue(k); v != nil && !k.required {
				property["default"] = v
			}
			properties[k.name] = property
			if k.required {
				required = append(required, k.name)
			}
		}
		def := object{"type": "object", "description": s.text, "properties": properties, "additionalProperties": false}
		if len(required) > 0 {
			def["required"] = required
		}
		defs[s.name] = def
	}
	return encode(t, object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "jotgate configuration", "$ref": "#/$defs/Config", "$defs": defs,
	})
}

func schemaOf(k key) object {
	to := func(name string) object { return object{"$ref": "#/$defs/" + name} }
	list := func(items object) object {
		s := object{"type": "array", "items": items}
		if k.required {
			s["minItems"] = 1
		}
		return s
	}
	part := structIn(k.typ)
	switch {
	case part != nil && k.typ.Kind() == reflect.Slice:
		return list(to(part.Name()))
	case part != nil:
		return to(part.Name())
	case k.typ.Kind() == reflect.Slice:
		_, name := typeName(key{typ: k.typ.Elem()})
		return list(to(name))
	case k.typ.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": to("text")}
	}
	_, name := typeName(k)
	return to(name)
}

func encode(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// supported are the types that the pages have words for.
func supported(typ reflect.Type) bool {
	switch {
	case structIn(typ) != nil, typ == reflect.TypeFor[map[string]string]():
		return true
	case typ.Kind() == reflect.Slice:
		typ = typ.Elem()
	}
	words, schema := typeName(key{typ: typ})
	return words != "" && schema != "" && (typ.Kind() != reflect.Struct || typ == reflect.TypeFor[netip.Prefix]() || typ == reflect.TypeFor[gate.Secret]())
}
