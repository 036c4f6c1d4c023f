package app

import (
	"cmp"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
)

// shortest is the length in bytes from which a value is looked for everywhere. A shorter one would be found in every other word, so it counts only as a whole
// quoted text.
const shortest = 4

// anonymous is shown in place of a value of which it is not clear how it was written.
const anonymous = "[reference]"

// references remembers what the references of one document stand for: values from elsewhere may be secrets, so no problem shows them, whichever check found it.
type references struct {
	dir    string              // what relative paths are relative to
	values map[string]struct{} // what single references stand for
	texts  map[string]string   // texts with references by what they stand for, or anonymous if several stand for the same
}

func newReferences(dir string) *references {
	return &references{dir: dir, values: make(map[string]struct{}), texts: make(map[string]string)}
}

// lookup is a function that finds variables, and keeps their values.
func (r *references) lookup(find func(string) (string, bool)) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := find(name)
		r.values[value] = struct{}{}
		return value, ok
	}
}

// read is a function that reads files, and keeps their contents.
func (r *references) read(read ReadFile) ReadFile {
	return func(path string) ([]byte, error) {
		data, err := read(path)
		r.values[string(data)] = struct{}{}
		return data, err
	}
}

// expand is a function that replaces references, and keeps what the text came to.
func (r *references) expand(expand native.Expand) native.Expand {
	return func(text string) (string, []string, error) {
		expanded, files, err := expand(text)
		if err == nil {
			if other, known := r.texts[expanded]; known && other != text {
				text = anonymous
			}
			r.texts[expanded] = text
		}
		return expanded, files, err
	}
}

// hide returns the problems without the values.
func (r *references) hide(problems gate.Problems) gate.Problems {
	if len(problems) == 0 || len(r.texts)+len(r.values) == 0 {
		return problems
	}
	c := r.cover()
	for i := range problems {
		problems[i].Message, problems[i].Hint = c.without(problems[i].Message), c.without(problems[i].Hint)
	}
	return problems
}

// cover is what must not be seen, made ready for looking. All is folded but what is shown instead.
type cover struct {
	hidden []replacement     // longest first
	whole  map[string]string // the same
	texts  []replacement     // expanded texts and how they were written
}

// replacement is a text and what stands in its place.
type replacement struct{ text, instead string }

func (r *references) cover() *cover {
	c := &cover{whole: make(map[string]string)}
	add := func(text, instead string) {
		c.whole[fold(text)] = instead
		c.whole[fold(unmarked(strconv.Quote(text)))] = unmarked(strconv.Quote(instead))
	}
	for value := range r.values {
		add(strings.TrimSpace(value), anonymous)
	}
	texts := slices.Sorted(maps.Keys(r.texts))
	for _, text := range texts {
		add(filepath.Join(r.dir, text), r.texts[text]) // the form of a path
	}
	for _, text := range texts {
		add(strings.TrimSpace(text), r.texts[text])
		add(text, r.texts[text])
		c.texts = append(c.texts, replacement{fold(text), fold(r.texts[text])})
	}
	delete(c.whole, "")
	for text, instead := range c.whole {
		if len(text) >= shortest {
			c.hidden = append(c.hidden, replacement{text, instead})
		}
	}
	slices.SortFunc(c.hidden, func(a, b replacement) int {
		return cmp.Or(cmp.Compare(len(b.text), len(a.text)), cmp.Compare(a.text, b.text))
	})
	return c
}

// span is a part of a text, and what is shown instead.
type span struct {
	start, end int
	instead    string
}

// quotation is a text in double quotes or backquotes, as %q and regular expressions print them.
var quotation = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|` + "`[^`]*`")

// without returns a text without the values. Case does not matter: some checks look at names in lower case.
func (c *cover) without(text string) string {
	spans := c.find(text)
	for _, at := range quotation.FindAllStringIndex(text, -1) {
		if overlap(spans, at[0], at[1]) {
			continue
		}
		whole := text[at[0]:at[1]]
		mark, content := whole[:1], unmarked(whole)
		if unquoted, err := strconv.Unquote(whole); err == nil {
			content = unquoted
		}
		if instead := c.quoted(content); instead != content && mark == `"` {
			spans = append(spans, span{at[0], at[1], strconv.Quote(instead)})
		} else if instead != content {
			spans = append(spans, span{at[0], at[1], mark + instead + mark})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var out strings.Builder
	end := 0
	for _, s := range spans {
		out.WriteString(text[end:s.start] + s.instead)
		end = s.end
	}
	return out.String() + text[end:]
}

// find returns where values are in a text, the longest first.
func (c *cover) find(text string) (spans []span) {
	folded := fold(text)
	for _, h := range c.hidden {
		for from := 0; ; {
			i := strings.Index(folded[from:], h.text)
			if i < 0 {
				break
			}
			start, end := from+i, from+i+len(h.text)
			if !overlap(spans, start, end) {
				spans = append(spans, span{start, end, h.instead})
			}
			from = end
		}
	}
	return spans
}

// quoted returns what is shown of a text that a problem quotes: it may be a short value, a piece that a check cut out of a value, or quote a value itself.
func (c *cover) quoted(content string) string {
	folded := fold(strings.TrimSpace(content))
	if instead, ok := c.whole[folded]; ok {
		return instead
	}
	isPiece := func(t replacement) bool {
		return strings.Contains(t.text, folded) && !strings.Contains(t.instead, folded)
	}
	if len(folded) >= shortest && slices.ContainsFunc(c.texts, isPiece) {
		return anonymous
	}
	return c.without(content)
}

// unmarked is a quoted text without the quotation marks.
func unmarked(quoted string) string { return quoted[1 : len(quoted)-1] }

func overlap(spans []span, start, end int) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return start < s.end && s.start < end })
}

// fold returns a text with its ASCII letters in lower case; the rest is as it was, so that positions are the same in both.
func fold(text string) string {
	folded := []byte(text)
	for i, b := range folded {
		if 'A' <= b && b <= 'Z' {
			folded[i] = b + 'a' - 'A'
		}
	}
	return string(folded)
}
