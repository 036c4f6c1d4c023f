package native_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/secret"
)

var update = flag.Bool("update", false, "rewrite the expected halves of the golden files")

const separator = "----------\n"

// resolver knows a few variables and files.
func resolver() *secret.Resolver {
	vars := map[string]string{
		"SECRET": "correct horse battery staple", "WORD": "hunter2", "FALSE": "false", "SECONDS": "45s", "NUMBER": "3", "DAY": "1d", "EMPTY": "",
		"BINARY": "\xff\xfe",
	}
	files := map[string]string{"/run/secrets/legacy": "correct horse battery staple\n"}
	return &secret.Resolver{
		Dir:       "/etc/jotgate",
		LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
	}
}

func load(tb testing.TB, data string) native.Result {
	tb.Helper()
	return native.Load("jotgate.yaml", []byte(data), "/etc/jotgate", resolver().Expand)
}

// outcome is what a golden file expects: the problems, and without any the configuration.
func outcome(tb testing.TB, r native.Result) string {
	tb.Helper()
	var b strings.Builder
	for _, p := range r.Problems {
		b.WriteString(p.Error() + "\n")
	}
	if r.Config != nil {
		text, err := native.Encode(r.Config)
		if err != nil {
			tb.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			i := strings.LastIndex(string(golden), separator)
			if i < 0 {
				t.Fatal("no separator")
			}
			input, want := string(golden[:i]), string(golden[i+len(separator):])
			r := load(t, input)
			got := outcome(t, r)
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if fine := strings.HasPrefix(filepath.Base(file), "ok_"); fine != (r.Config != nil) {
				t.Errorf("usable: %v", !fine)
			}
			if strings.Contains(got, "correct horse") || r.Config == nil && strings.Contains(got, "hunter2") {
				t.Error("the outcome shows the value of a reference")
			}
		})
	}
}
