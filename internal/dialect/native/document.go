package native

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// document parses the data into the root of its only document. It returns nil if there is none to be used.
func (d *decoder) document(data []byte) *yaml.Node {
	if !d.readable(data) {
		return nil
	}
	tooDeep := func(depth int, _ *loaderlimits.DepthContext) error {
		if depth > MaxDepth {
			return errTooDeep
		}
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthFunc(tooDeep))))
	if err != nil {
		d.syntaxError(err)
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		d.problem(&yaml.Node{Line: 1, Column: 1}, place{}, "", "the document is empty")
		return nil
	case err != nil:
		d.syntaxError(err)
		return nil
	case len(doc.Content) != 1 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Value == "":
		d.problem(&doc, place{}, "", "the document is empty")
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d.problem(&second, place{}, "write everything in one document", "a second document starts here")
	case !errors.Is(err, io.EOF):
		d.syntaxError(err)
	}
	return doc.Content[0]
}

var errTooDeep = errors.New("lists and mappings are nested too deep")

// readable reports whether the data is text of a bounded size: YAML's reader would take UTF-16 too, and knows no lines for what it refuses.
func (d *decoder) readable(data []byte) bool {
	if len(data) > MaxBytes {
		d.problem(nil, place{}, "", fmt.Sprintf("the document is larger than %d bytes", MaxBytes))
		return false
	}
	line, start := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		var message string
		switch {
		case r == utf8.RuneError && size == 1:
			message = "the document is not valid UTF-8"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r >= 0x7f && r < 0xa0 && r != 0x85:
			message = fmt.Sprintf("the control character U+%04X is not allowed", r)
		}
		if message != "" {
			d.problem(&yaml.Node{Line: line, Column: utf8.RuneCount(data[start:i]) + 1}, place{}, "", message)
			return false
		}
		i += size
		if r == '\n' {
			line, start = line+1, i
		}
	}
	return true
}

// syntaxTexts turn the parser's messages into our own. Those without an entry are used as they are: apart from these, none holds text of the document.
var syntaxTexts = []struct{ part, message, hint string }{
	{"cannot start any token", "this character cannot start a value here", "indent with spaces, not tabs; quote text that starts with @, ` or %"},
	{"mapping values are not allowed", "a key is not allowed here", "quote text that has a colon and a space in it, and check the indentation"},
	{"could not find expected ':'", "a key without a colon", "check the indentation and the quotes of the lines before"},
	{"found unexpected end of stream", "a quote is not closed", ""},
	{"unknown anchor", "an alias to an anchor that does not exist", "quote text that starts with *"},
	{"did not find expected <document start>", "text after the end of the document", "check the indentation"},
	{"did not find expected '-' indicator", "a list item was expected", "check the indentation; every item starts with a dash"},
	{"did not find expected key", "a key was expected", "check the indentation, and quote ${...} inside of { } and [ ]"},
	{"did not find expected ',' or", "a comma or a closing bracket was expected", "quote ${...} inside of { } and [ ]"},
	{"did not find expected node content", "a value was expected, but the text ends", "close every bracket"},
	{"not allowed in a YAML tag", "a tag has a character that is not allowed", "quote text that starts with !"},
	{errTooDeep.Error(), errTooDeep.Error(), fmt.Sprintf("at most %d levels", MaxDepth)},
}

// syntaxError notes what the parser cannot read.
func (d *decoder) syntaxError(err error) {
	at := &yaml.Node{Line: 1, Column: 1}
	message, hint := err.Error(), ""
	var le *yaml.LoadError
	if errors.As(err, &le) {
		mark := le.Mark
		if mark.Line == 0 || strings.Contains(le.Message, "stream") && le.ContextMark.Line > 0 {
			mark = le.ContextMark // where the open thing began says more than where the file ends
		}
		if mark.Line > 0 {
			at.Line, at.Column = mark.Line, max(mark.Column, 1)
		}
		message = le.Message
	}
	for _, t := range syntaxTexts {
		if strings.Contains(message, t.part) {
			message, hint = t.message, t.hint
			break
		}
	}
	d.problem(at, place{}, hint, "not valid YAML: "+message)
}
