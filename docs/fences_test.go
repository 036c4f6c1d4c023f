package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fence is a fenced block of a page that is written by hand.
type fence struct {
	kind  string   // the first word after the backquotes
	words []string // the other ones
	line  int      // of its first line of text
	text  string
	file  string // what the line before calls it, if that line is a file name in backquotes and a colon
}

func (f fence) is(word string) bool { return slices.Contains(f.words, word) }

// fences returns the blocks of a page in their order.
func fences(t *testing.T, path string) []fence {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([\\w./-]+\\.[a-z]+)`:$")
	var found []fence
	var open *fence
	before := ""
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		info, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &fence{line: number + 1}
			if words := strings.Fields(info); len(words) > 0 {
				open.kind, open.words = words[0], words[1:]
			}
			if name := named.FindStringSubmatch(before); name != nil {
				open.file = name[1]
			}
		case isFence:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.text += line
		}
		if text := strings.TrimSpace(line); text != "" {
			before = text
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block does not end", path, open.line)
	}
	return found
}

// pages returns the Markdown files of the whole repository, relative to this folder.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if !d.IsDir() && filepath.Ext(name) == ".md" {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 20 {
		t.Fatalf("only %d pages found: the walk is broken", len(found))
	}
	return found
}

// guides are the pages for users, whose examples must all work.
func guides(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(pages(t), func(path string) bool {
		path = strings.TrimPrefix(path, "../")
		return path != "README.md" && !strings.HasPrefix(path, "docs/")
	})
}

// anchor is how a heading is called in links, as the usual Markdown renderers have it.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// anchors are the places in a page that links may lead to.
func anchors(t *testing.T, path string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(data), -1) {
		all[anchor(heading[1])] = true
	}
	return all
}

// TestLinks fails when a relative link of a page leads nowhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code := regexp.MustCompile("(?s)```.*?\n```|``[^`\n].*?``|`[^`\n]*`")
	n := 0
	for _, path := range pages(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(string(data), "code"), -1) {
			target, place, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			n++
			full := path
			if target != "" {
				full = filepath.Join(filepath.Dir(path), target)
			}
			info, err := os.Stat(full)
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, found[1])
				continue
			}
			if place != "" && !info.IsDir() && !anchors(t, full)[place] {
				t.Errorf("%s: the link %s leads to a heading that is not there", path, found[1])
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d links found", n)
	}
}
