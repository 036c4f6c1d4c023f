package gate

import (
	"fmt"
	"sort"
	"strings"
)

// Position is a place in a document: line and column count from 1; 0 is unknown.
type Position struct{ Line, Column int }

// Origin says where a noun of the configuration was written.
type Origin struct {
	// Source is the file, or what else the document came from.
	Source string
	// Object is the noun's path in the native spelling, for example providers[0].
	Object string
	Position
	// Fields are the positions of the noun's parts, by path relative to Object, for example auth.jwt.claims or servers[0].url.
	Fields map[string]Position
}

// At returns the place of a part of the noun; if its own place is not known, that of the nearest enclosing part that is.
func (o Origin) At(path string) Position {
	for path != "" {
		if p, ok := o.Fields[path]; ok {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return o.Position
}

// Problem makes a problem with the part of the noun at path (relative, may be empty).
func (o Origin) Problem(path, hint, format string, args ...any) Problem {
	full := o.Object
	switch {
	case path == "":
	case full == "" || path[0] == '[':
		full += path
	default:
		full += "." + path
	}
	return Problem{Source: o.Source, Position: o.At(path), Path: full, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Problem is one mistake in a configuration.
type Problem struct {
	Source string
	Position
	// Path is where in the document's structure, in the native spelling.
	Path    string
	Message string
	// Hint says how to mend it; it may be empty.
	Hint string
	// Warning problems are reported but do not keep the configuration from being used.
	Warning bool
}

// Error is the one-line form file:line:col: path: message (hint).
func (p Problem) Error() string {
	var b strings.Builder
	if p.Source != "" {
		b.WriteString(p.Source)
		b.WriteByte(':')
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems are all the mistakes of a configuration.
type Problems []Problem

// Errors returns those that are not warnings.
func (ps Problems) Errors() Problems {
	var errs Problems
	for _, p := range ps {
		if !p.Warning {
			errs = append(errs, p)
		}
	}
	return errs
}

// Err returns the problems as one error, or nil if none of them is more than a warning.
func (ps Problems) Err() error {
	errs := ps.Errors()
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort orders the problems by place and drops repeated ones.
func (ps Problems) Sort() Problems {
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i], ps[j]
		if a.Source != b.Source {
			return a.Source < b.Source
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	kept := ps[:0]
	for i, p := range ps {
		if i == 0 || p != ps[i-1] {
			kept = append(kept, p)
		}
	}
	return kept
}
