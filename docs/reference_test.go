// Package docs_test keeps the documentation true: it writes the generated pages of docs/reference, fails when they are not what the source says, and runs
// the examples of the pages that are written by hand.
package docs_test

//go:generate go test -run "^(TestReference|TestMetricsPage)$" -update .

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated pages")

// TestReference fails when a generated page is not what the configuration structs and the table of reasons say, or when one of them lacks a comment or tag.
func TestReference(t *testing.T) {
	all := structures(t)
	for _, s := range all {
		for _, k := range s.keys {
			if !supported(k.typ) {
				t.Errorf("%s.%s has a type that the pages have no words for: %s", s.name, k.name, k.typ)
			}
		}
	}
	for name, want := range map[string]string{
		"configuration.md":    configurationPage(all),
		"reasons.md":          reasonsPage(),
		"jotgate.schema.json": schemaPage(t, all),
	} {
		path := filepath.Join("reference", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not current, run make generate (-want +got)\n%s", path, diff)
		}
	}
}

func TestInUsersWords(t *testing.T) {
	names := map[string]string{"Path": "path", "PathPrefix": "pathPrefix", "TLS": "tls", "Retries": "retries"}
	for _, c := range []struct{ text, want string }{
		{"Path is the whole path. Path segments count.", "`path` is the whole path. Path segments count."},
		{"Exactly one of Path and PathPrefix is set.", "Exactly one of `path` and `pathPrefix` is set."},
		{"TLS makes it speak TLS.", "`tls` makes it speak TLS."},
		{"Tries. PathPrefix too. Retries: how many.", "Tries. `pathPrefix` too. Retries: how many."},
		{"Open Path 1.0, see pathPrefix and path", "Open Path 1.0, see `pathPrefix` and path"},
		{"", ""},
	} {
		if got := inUsersWords(c.text, names); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
