package docs_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/match"
	"github.com/jotgate/jotgate/internal/predicate"
)

// block is a fenced block of a page.
type block struct {
	kind string
	line int
	text string
}

// lines returns the lines that are not blank.
func (b block) lines() []string {
	var kept []string
	for line := range strings.Lines(b.text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			kept = append(kept, line)
		}
	}
	return kept
}

// page returns the text of a page and its blocks by kind.
func page(t *testing.T, path string) (string, map[string][]block) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	blocks := map[string][]block{}
	for _, at := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatchIndex(text, -1) {
		b := block{kind: text[at[2]:at[3]], line: strings.Count(text[:at[0]], "\n") + 2, text: text[at[4]:at[5]]}
		blocks[b.kind] = append(blocks[b.kind], b)
	}
	return text, blocks
}

// verdicts calls check with each "true expression" and "false expression" line.
func verdicts(t *testing.T, blocks []block, check func(expression string) (bool, error)) {
	t.Helper()
	n := 0
	for _, b := range blocks {
		for _, line := range b.lines() {
			want, expression, _ := strings.Cut(line, " ")
			got, err := check(strings.TrimSpace(expression))
			if err != nil || strconv.FormatBool(got) != want {
				t.Errorf("block at line %d: %s: got %v, %v", b.line, line, got, err)
			}
			n++
		}
	}
	if n < 20 {
		t.Errorf("only %d examples found", n)
	}
}

// mistakes checks the pairs of an expression and its error.
func mistakes(t *testing.T, blocks []block, compile func(expression string) error) {
	t.Helper()
	n := 0
	for _, b := range blocks {
		lines := b.lines()
		for i := 0; i+1 < len(lines); i += 2 {
			if err := compile(lines[i]); err == nil || err.Error() != lines[i+1] {
				t.Errorf("block at line %d: %s\n got %v\nwant %s", b.line, lines[i], err, lines[i+1])
			}
			n++
		}
	}
	if n < 3 {
		t.Errorf("only %d mistakes found", n)
	}
}

// namesAll checks that the page's table has a row for each function that the error for an unknown one lists, and for no other.
func namesAll(t *testing.T, text string, unknown error) {
	t.Helper()
	_, list, _ := strings.Cut(unknown.Error(), "there are ")
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| ``(\\w+)\\(").FindAllStringSubmatch(text, -1) {
		rows = append(rows, row[1])
	}
	if got, want := strings.Join(rows, ", "), strings.TrimSuffix(list, ")"); got != want || got == "" {
		t.Errorf("the table has %s, the language %s", got, want)
	}
}

func TestExpressionsPage(t *testing.T) {
	text, blocks := page(t, "reference/expressions.md")
	if len(blocks["payload"]) != 1 {
		t.Fatalf("%d payloads", len(blocks["payload"]))
	}
	payload, err := claims.Parse([]byte(blocks["payload"][0].text), claims.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	compile := func(expression string) error {
		_, err := claims.Compile(expression)
		return err
	}
	verdicts(t, blocks["claims"], func(expression string) (bool, error) {
		e, err := claims.Compile(expression)
		if err != nil {
			return false, err
		}
		return e.Eval(payload), nil
	})
	mistakes(t, blocks["mistakes"], compile)
	namesAll(t, text, compile("Unheard()"))
	limits := fmt.Sprintf("at most %d bytes, %d calls, operators and strings, and %d parentheses and negations inside each other; a path has at most %d bytes",
		predicate.MaxSource, predicate.MaxNodes, predicate.MaxDepth, claims.MaxPath)
	if !strings.Contains(text, limits) {
		t.Errorf("the page does not say %q", limits)
	}
}

func TestMatchersPage(t *testing.T) {
	text, blocks := page(t, "reference/matchers.md")
	if len(blocks["request"]) != 1 {
		t.Fatalf("%d requests", len(blocks["request"]))
	}
	request := parseRequest(t, blocks["request"][0].text)
	compile := func(rule string) error {
		_, err := match.Parse(rule)
		return err
	}
	verdicts(t, blocks["rules"], func(rule string) (bool, error) {
		r, err := match.Parse(rule)
		if err != nil {
			return false, err
		}
		return r.Match(request), nil
	})
	mistakes(t, blocks["mistakes"], compile)
	namesAll(t, text, compile("Unheard()"))
	for _, b := range blocks["apis"] {
		winners(t, b)
	}
	for _, b := range blocks["paths"] {
		spellings(t, b)
	}
}

// parseRequest makes a rule's view of a request, as the gateway does.
func parseRequest(t *testing.T, text string) *match.Request {
	t.Helper()
	in, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	host, err := match.CanonicalHost(in.Host)
	if err != nil {
		t.Fatal(err)
	}
	path, err := match.CanonicalPath(in.URL.EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	r := &match.Request{Method: in.Method, Host: host, Path: path.Routing, Query: in.URL.RawQuery, Client: netip.MustParseAddr("192.0.2.7")}
	for name, values := range in.Header {
		for _, value := range values {
			r.Header = append(r.Header, gate.Field{Name: name, Value: value})
		}
	}
	return r
}

// winners checks which of some APIs requests reach.
func winners(t *testing.T, b block) {
	t.Helper()
	var entries []match.Entry[struct{}]
	reached := 0
	for _, line := range b.lines() {
		if target, want, ok := strings.Cut(line, "=>"); ok {
			host, path, _ := strings.Cut(strings.TrimSpace(target), "/")
			_, name, _ := match.NewTable(entries).Lookup(&match.Request{Method: "GET", Host: host, Path: "/" + path})
			if name != strings.TrimSpace(want) {
				t.Errorf("%s: got %s", line, name)
			}
			reached++
			continue
		}
		columns := regexp.MustCompile(`^(\S+) +(\S+) +(.*)$`).FindStringSubmatch(line)
		if columns == nil {
			t.Fatalf("not an API: %s", line)
		}
		priority, err := strconv.Atoi(columns[2])
		if err != nil {
			t.Fatal(err)
		}
		rule, err := match.Parse(columns[3])
		if err != nil {
			t.Fatal(err)
		}
		// Each is put before those already there, so that the order of the lines cannot be what decides.
		entries = append([]match.Entry[struct{}]{{Name: columns[1], Rule: rule, Priority: priority}}, entries...)
	}
	if reached == 0 {
		t.Errorf("block at line %d: no requests", b.line)
	}
}

// spellings checks what rules see of paths.
func spellings(t *testing.T, b block) {
	t.Helper()
	for _, line := range b.lines() {
		sent, want, _ := strings.Cut(line, "=>")
		path, err := match.CanonicalPath(strings.TrimSpace(sent))
		got := path.Routing
		switch {
		case err != nil:
			got = "refused"
		case path.Ambiguous():
			got += " or " + path.Folded
		}
		if got != strings.TrimSpace(want) {
			t.Errorf("%s: got %s", line, got)
		}
	}
}
