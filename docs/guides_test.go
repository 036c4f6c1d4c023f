package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEveryRefusalIsExplained fails when a reason for which a client is refused has no row in the guide, or a row is about a reason that there is not.
func TestEveryRefusalIsExplained(t *testing.T) {
	const path = "guide/debugging-a-401.md"
	rows := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z_]+`[^|]*) \\|").FindAllStringSubmatch(read(t, path), -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			rows[name[1]] = true
		}
	}
	for _, reason := range gate.Reasons() {
		status := reason.Kind().Status()
		if (status == 401 || status == 403) && !rows[string(reason)] {
			t.Errorf("%s does not say what to do about %s", path, reason)
		}
		delete(rows, string(reason))
	}
	for name := range rows {
		t.Errorf("%s is about %s, which is no reason", path, name)
	}
}

// TestAccessLine compares the access line that the operation guide shows with that of a gateway in the same situation: the same members in the same order.
func TestAccessLine(t *testing.T) {
	const path = "guide/operation.md"
	var shown, config string
	for _, f := range fences(t, path) {
		switch {
		case f.kind == "access":
			shown = f.text
		case f.file == "jotgate.yaml":
			config = regexp.MustCompile(`:(8080|8081|9000)\b`).ReplaceAllStringFunc(f.text, func(port string) string {
				if port == ":9000" {
					return ":1" // where nothing listens
				}
				return ":0"
			})
		}
	}
	var access bytes.Buffer
	gateway := serve(t, filepath.Join(t.TempDir(), "jotgate.yaml"), config, &access)
	get(t, "http://"+gateway.Addrs()["web"].String()+"/tickets?secret=1")
	gateway.Stop(context.Background())
	if diff := cmp.Diff(members(t, shown), members(t, access.String())); diff != "" {
		t.Errorf("%s: the access line is not what a gateway writes (-shown +written)\n%s\n%s", path, diff, access.String())
	}
}

// members are the names in a JSON object, in their order, and the values of those that are the same in every run.
func members(t *testing.T, object string) []string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		t.Fatalf("%v in %q", err, object)
	}
	fixed := []string{"level", "msg", "api", "listener", "client", "method", "path", "proto", "status", "sent", "attempts", "reason"}
	var all []string
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		text := name.(string)
		if slices.Contains(fixed, text) {
			text += "=" + string(value)
		}
		all = append(all, text)
	}
	return all
}

// TestLogMessages fails when the operation guide has a message that no package logs at that level.
func TestLogMessages(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| (WARN|ERROR) \\| `([^`]+)` \\|").FindAllStringSubmatch(read(t, "guide/operation.md"), -1)
	if len(rows) < 5 {
		t.Fatalf("only %d messages found", len(rows))
	}
	var source strings.Builder
	err := filepath.WalkDir("../internal", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
			source.WriteString(read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		level := row[1][:1] + strings.ToLower(row[1][1:])
		if !regexp.MustCompile(`\.` + level + `(Context)?\((ctx, )?` + regexp.QuoteMeta(`"`+row[2]+`"`)).MatchString(source.String()) {
			t.Errorf("nothing logs %q as %s", row[2], row[1])
		}
	}
}

// TestFewConsolesAreNotRun keeps the exceptions what they are, and has them explained.
func TestFewConsolesAreNotRun(t *testing.T) {
	n := 0
	for _, path := range guides(t) {
		for _, f := range fences(t, path) {
			if f.kind != "console" || !f.is("norun") {
				continue
			}
			n++
			if !strings.Contains(read(t, path), "(Not run by the tests of this page: ") {
				t.Errorf("%s:%d: it is not said why the block is not run", path, f.line)
			}
		}
	}
	if n > 3 {
		t.Errorf("%d blocks are not run", n)
	}
}
