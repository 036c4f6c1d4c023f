package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
)

// structure is a struct of the configuration, as its users see it.
type structure struct {
	name  string
	text  string
	paths []string // where in a document it stands
	keys  []key
}

// key is a field of a structure.
type key struct {
	name     string
	text     string
	typ      reflect.Type
	file     bool // the value is a path
	required bool
	usual    reflect.Value // what it is when it is left out
}

// structures returns all that a configuration consists of, the whole first, each before its parts.
func structures(t *testing.T) []*structure {
	t.Helper()
	w := walk{t: t, comments: comments(t), known: map[string]*structure{}}
	w.add(reflect.TypeFor[gate.Config](), "")
	return w.found
}

type walk struct {
	t        *testing.T
	comments map[string]string // by type, and by type.field
	known    map[string]*structure
	found    []*structure
}

func (w *walk) add(typ reflect.Type, path string) {
	s := w.known[typ.Name()]
	if s != nil {
		s.paths = append(s.paths, path)
	} else {
		s = &structure{name: typ.Name(), paths: []string{path}}
		w.known[typ.Name()] = s
		w.found = append(w.found, s)
		w.fill(s, typ)
	}
	for _, k := range s.keys {
		if part := structIn(k.typ); part != nil {
			w.add(part, join(path, k))
		}
	}
}

func (w *walk) fill(s *structure, typ reflect.Type) {
	usual := reflect.New(typ)
	native.SetDefaults(usual.Interface())
	names := map[string]string{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if name := f.Tag.Get("yaml"); name != "-" {
			names[f.Name] = name
		}
	}
	s.text = inUsersWords(w.comments[s.name], names)
	if s.text == "" {
		w.t.Errorf("%s has no comment", s.name)
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := names[f.Name]
		switch {
		case f.Type == reflect.TypeFor[gate.Origin](), f.Tag.Get("yaml") == "-":
			continue
		case name == "":
			w.t.Errorf("%s.%s has no yaml tag", s.name, f.Name)
		case w.comments[s.name+"."+f.Name] == "":
			w.t.Errorf("%s.%s has no comment", s.name, f.Name)
		}
		kind := f.Type
		if kind.Kind() == reflect.Pointer && kind.Elem().Kind() == reflect.Slice {
			kind = kind.Elem() // a list that may be absent, which its comment tells
		}
		s.keys = append(s.keys, key{
			name: name, text: inUsersWords(w.comments[s.name+"."+f.Name], names), typ: kind,
			file: f.Tag.Get("path") != "", required: f.Tag.Get("required") == "true", usual: usual.Elem().Field(i),
		})
	}
}

func join(path string, k key) string {
	if path != "" {
		path += "."
	}
	path += k.name
	if k.typ.Kind() == reflect.Slice {
		path += "[]"
	}
	return path
}

// structIn returns the struct that a value of the type is, points to or lists; nil if there is none.
func structIn(typ reflect.Type) reflect.Type {
	if typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[gate.Secret]() || typ == reflect.TypeFor[netip.Prefix]() {
		return nil
	}
	return typ
}

// comments returns the comments of package gate's structs and their fields.
func comments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../internal/gate/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source: %v", err)
	}
	found := map[string]string{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, spec := range decl.Specs {
				spec := spec.(*ast.TypeSpec)
				st, ok := spec.Type.(*ast.StructType)
				if !ok {
					continue
				}
				found[spec.Name.Name] = oneLine(decl.Doc)
				for _, f := range st.Fields.List {
					for _, name := range f.Names {
						found[spec.Name.Name+"."+name.Name] = oneLine(f.Doc)
					}
				}
			}
			return true
		})
	}
	return found
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// inUsersWords marks the keys in a comment, and replaces the names of Go fields by the keys that users write. A name that could as well be a word, such as
// Path, is one only at the start of the comment and after a word in small letters; one in capitals, such as TLS, only at the start.
func inUsersWords(text string, names map[string]string) string {
	word := regexp.MustCompile(`[A-Za-z0-9_]+`)
	small := regexp.MustCompile(`(^| )[a-z]+ $`)
	keys := map[string]bool{}
	for _, name := range names {
		keys[name] = true
	}
	var b strings.Builder
	end := 0
	for _, at := range word.FindAllStringIndex(text, -1) {
		w := text[at[0]:at[1]]
		before := text[:at[0]]
		b.WriteString(text[end:at[0]])
		end = at[1]
		name, ok := names[w]
		switch {
		case ok && (before == "" || isCompound(w) || w != strings.ToUpper(w) && small.MatchString(before)):
			w = "`" + name + "`"
		case keys[w] && isCompound(w):
			w = "`" + w + "`"
		}
		b.WriteString(w)
	}
	return b.String() + text[end:]
}

// isCompound reports whether there is a capital after a small letter, as in no word of English.
func isCompound(w string) bool {
	for i, r := range w {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(w[i-1])) {
			return true
		}
	}
	return false
}

// typeName says what is to be written, and the schema's name of it.
func typeName(k key) (words, schema string) {
	switch k.typ {
	case reflect.TypeFor[time.Duration]():
		return "duration", "duration"
	case reflect.TypeFor[netip.Prefix]():
		return "address range", "addressRange"
	case reflect.TypeFor[gate.Secret]():
		return "secret text", "text"
	case reflect.TypeFor[gate.Bytes]():
		return "size", "size"
	}
	switch k.typ.Kind() {
	case reflect.Bool:
		return "true or false", "boolean"
	case reflect.Int, reflect.Int64:
		return "number", "number"
	case reflect.String:
		if k.file {
			return "path", "text"
		}
		return "text", "text"
	}
	return "", ""
}
