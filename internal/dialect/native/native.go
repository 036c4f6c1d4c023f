// Package native reads and writes the gateway's own configuration language: one YAML document (JSON is part of YAML) whose keys are the yaml tags of
// the structs in package gate.
//
// The decoder is strict and never guesses: an unknown key, a key twice, a value of another type, text where a list belongs are problems, each with its
// place, and all of them are reported in one go.
package native

import (
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/jotgate/jotgate/internal/gate"
)

// Limits of a document. They keep the cost of any input, however hostile, small, and leave room for far more than 10,000 APIs.
const (
	MaxBytes    = 8 << 20 // of the document
	MaxDepth    = 32      // lists and mappings inside each other
	MaxValues   = 500_000 // keys and values, those reached through aliases counted each time
	MaxProblems = 200     // reported in one go
)

// An Expand replaces the references (such as ${env:NAME}) in a text. It also returns the files that it read, or tried to read, as paths that can be
// watched, and an error that must not hold any resolved value.
type Expand func(text string) (expanded string, files []string, err error)

// Result is what a document says.
type Result struct {
	// Config is the configuration; it is nil if Problems has errors.
	Config *gate.Config
	// Draft is what could be read in spite of the problems, so that others can look for further ones in it. It must never be served. It is nil if nothing
	// could be read at all, or if a limit ended the reading: what is missing then is not a mistake.
	Draft *gate.Config
	// Lost are the paths of the values that the draft lacks because of the problems: what is wrong with a draft around them may follow from that.
	Lost []string
	// Files are the files that references named, sorted. The result depends on their content.
	Files []string
	// Problems are the mistakes, in the order of their places.
	Problems gate.Problems
}

// Load reads a document. Source is what it is called in problems (a file name). Relative paths in it are relative to dir. References in values are
// replaced by expand; without one, they are refused. Load never panics, whatever the data.
func Load(source string, data []byte, dir string, expand Expand) Result {
	d := &decoder{source: source, dir: dir, expand: expand}
	var draft *gate.Config
	if root := d.document(data); root != nil {
		draft = new(gate.Config)
		SetDefaults(draft)
		d.value(root, reflect.ValueOf(draft).Elem(), "", place{})
		d.placeAbsent(reflect.ValueOf(draft).Elem())
		if d.stopped {
			draft = nil
		}
	}
	slices.Sort(d.files)
	r := Result{Draft: draft, Lost: d.lost, Files: slices.Compact(d.files), Problems: d.problems.Sort()}
	if r.Problems.Err() == nil {
		r.Config = draft
	}
	return r
}

// placeAbsent gives an origin to the nouns at the top that the document leaves out, so that a problem with their defaults has a path too.
func (d *decoder) placeAbsent(config reflect.Value) {
	for i := range config.NumField() {
		if !isPlainStruct(config.Field(i).Type()) {
			continue
		}
		if o, ok := originOf(config.Field(i)); ok && o.Object == "" {
			*o = gate.Origin{Source: d.source, Object: config.Type().Field(i).Tag.Get("yaml")}
		}
	}
}

// originOf returns where a struct keeps its origin, if it does.
func originOf(v reflect.Value) (*gate.Origin, bool) {
	f := v.FieldByName("Origin")
	if !f.IsValid() || f.Type() != originType {
		return nil, false
	}
	return f.Addr().Interface().(*gate.Origin), true
}

// decoder carries one document on its way into a Config.
type decoder struct {
	source, dir string
	expand      Expand

	files    []string
	problems gate.Problems
	lost     []string // see Result.Lost
	values   int
	stopped  bool // a limit was met: nothing further is looked at
}

// place is where in the structure the decoder is.
type place struct {
	path string       // from the top of the document, in the native spelling
	noun *gate.Origin // of the nearest enclosing noun that has one; may be nil
}

// problem notes a mistake at a node, because of which the value that is meant there is not in the draft.
func (d *decoder) problem(n *yaml.Node, at place, hint, message string) {
	d.lost = append(d.lost, at.path)
	d.mistake(n, at, hint, message)
}

// mistake notes a mistake at a node. Nothing that is meant is missing in the draft because of it.
func (d *decoder) mistake(n *yaml.Node, at place, hint, message string) {
	if d.stopped {
		return
	}
	if len(d.problems) == MaxProblems {
		d.stopped = true
		message, hint, at = "there are more problems, they are not shown", "", place{}
	}
	p := gate.Problem{Source: d.source, Path: at.path, Message: message, Hint: hint}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	d.problems = append(d.problems, p)
}

// count notes one more key or value, and reports whether there may be so many.
func (d *decoder) count(n *yaml.Node) bool {
	if d.values++; d.values > MaxValues {
		d.problem(n, place{}, "aliases count as often as they are used", "the document has too many values")
		d.stopped = true
	}
	return !d.stopped
}
