// Package jotgate_test holds the house rules that no single package can check: who may import whom, who may use which library, which words stand where.
package jotgate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/jotgate/jotgate"

// mayImport is a statement of policy: for each package, which of our packages its non-test code may import. A new edge is a decision; it is made here.
// A name that ends in /* stands for every package below it.
var mayImport = map[string][]string{
	"jose":                    {"jose/internal/*"},
	"jose/internal/*":         {},
	"internal/predicate":      {},
	"internal/claims":         {"internal/predicate"},
	"internal/limit":          {},
	"internal/limit/*":        {"internal/limit"},
	"internal/store":          {},
	"internal/store/*":        {"internal/store", "internal/limit"},
	"internal/gate":           {"internal/claims", "internal/limit"},
	"internal/apikey":         {"internal/gate", "internal/store"},
	"internal/credential":     {"jose", "internal/gate", "internal/store"},
	"internal/usage":          {"internal/gate", "internal/store"},
	"internal/revoke":         {"internal/claims", "internal/gate", "internal/store"},
	"internal/policy":         {"internal/claims", "internal/predicate", "internal/gate", "internal/limit", "internal/match"},
	"internal/observe":        {"internal/gate"},
	"internal/secret":         {"internal/gate"},
	"internal/match":          {"internal/predicate", "internal/gate"},
	"internal/keys":           {"jose", "internal/gate"},
	"internal/h1":             {"internal/gate"},
	"internal/rawconn":        {},
	"internal/jwt":            {"jose", "internal/predicate", "internal/claims", "internal/gate", "internal/keys", "internal/credential"},
	"internal/step/*":         {"internal/predicate", "internal/gate", "internal/claims", "internal/limit", "internal/jwt", "internal/apikey", "internal/match"},
	"internal/proxy":          {"internal/gate", "internal/h1", "internal/rawconn"},
	"internal/engine":         {"jose", "internal/predicate", "internal/claims", "internal/gate", "internal/observe", "internal/match", "internal/keys", "internal/jwt", "internal/step/*", "internal/proxy", "internal/policy", "internal/limit", "internal/apikey"},
	"internal/dialect/native": {"internal/gate", "internal/predicate"},
	"internal/source/file":    {"internal/gate", "internal/secret", "internal/dialect/*"},
	"internal/source/api":     {"internal/gate", "internal/store", "internal/dialect/native"},
	"internal/manage":         {"internal/gate", "internal/limit", "internal/store", "internal/apikey", "internal/credential", "internal/revoke", "internal/usage", "internal/source/api", "internal/dialect/native"},
	"internal/admin":          {"internal/gate"},
	"internal/server":         {"internal/gate", "internal/h1", "internal/rawconn"},
	"internal/app":            {"internal/*"},
	"internal/demo":           {"jose", "internal/app", "internal/demo/*"},
	"internal/demo/idp":       {"jose"},
	"internal/demo/tickets":   {},
	"cmd/jotgate":             {"jose", "internal/*"},
}

// onlyIn says which packages may use a library: one library, one job, one importer.
var onlyIn = map[string][]string{
	"github.com/prometheus/client_golang":   {"internal/observe"},
	"go.yaml.in/yaml":                       {"internal/dialect/native"},
	"github.com/redis/rueidis":              {"internal/store/redis"},
	"modernc.org/sqlite":                    {"internal/store/sqlite"},
	"github.com/fsnotify/fsnotify":          {"internal/source/file", "internal/keys", "internal/server"},
	"github.com/spf13/cobra":                {"cmd/jotgate"},
	"filippo.io/mldsa":                      {"jose"},
	"github.com/decred/dcrd":                {"jose"},
	"encoding/json":                         {"jose", "internal/admin", "internal/engine", "internal/keys", "internal/demo", "internal/demo/idp", "internal/demo/tickets", "internal/app", "internal/apikey", "internal/credential", "internal/revoke", "internal/usage", "internal/manage", "internal/dialect/native", "cmd/jotgate"},
	"github.com/santhosh-tekuri/jsonschema": {}, // tests only
	"net/http/httputil":                     {},
	"crypto/md5":                            {},
	"math/rand":                             {"internal/keys", "internal/proxy"}, // jitter
}

type file struct {
	dir  string // slash path from the module root
	path string
	ast  *ast.File
}

func sources(t *testing.T) []file {
	t.Helper()
	var out []file
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || fileExists(filepath.Join(path, "go.mod"))) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, file{dir: filepath.ToSlash(filepath.Dir(path)), path: path, ast: parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d source files found: the walk is broken", len(out))
	}
	return out
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isTest(path string) bool { return strings.HasSuffix(path, "_test.go") }

func imports(f file) []string {
	var out []string
	for _, spec := range f.ast.Imports {
		out = append(out, strings.Trim(spec.Path.Value, `"`))
	}
	return out
}

// covers reports whether name is listed, directly or by a pattern that ends in /*.
func covers(list []string, name string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		below, isPattern := strings.CutSuffix(entry, "*")
		return entry == name || isPattern && strings.HasPrefix(name, below)
	})
}

func policyOf(dir string) ([]string, bool) {
	if list, ok := mayImport[dir]; ok {
		return list, true
	}
	for entry, list := range mayImport {
		if covers([]string{entry}, dir) && strings.HasSuffix(entry, "*") {
			return list, true
		}
	}
	return nil, false
}

func TestImportLattice(t *testing.T) {
	for _, f := range sources(t) {
		if isTest(f.path) {
			continue
		}
		allowed, known := policyOf(f.dir)
		if !known {
			t.Errorf("%s: package %s has no line in mayImport", f.path, f.dir)
			continue
		}
		for _, path := range imports(f) {
			ours, ok := strings.CutPrefix(path, module+"/")
			if ok && !covers(allowed, ours) {
				t.Errorf("%s: %s must not import %s", f.path, f.dir, ours)
			}
			if f.dir == "internal/gate" && path == "net/http" {
				t.Errorf("%s: gate must not know net/http", f.path)
			}
		}
	}
}

func TestLibrariesHaveOneImporter(t *testing.T) {
	for _, f := range sources(t) {
		if isTest(f.path) {
			continue
		}
		for _, path := range imports(f) {
			for library, importers := range onlyIn {
				if (path == library || strings.HasPrefix(path, library+"/")) && path != "net/http" && !slices.Contains(importers, f.dir) {
					t.Errorf("%s: %s must not import %s", f.path, f.dir, path)
				}
			}
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	comments := make(map[string][]string)
	packages := make(map[string]bool)
	for _, f := range sources(t) {
		if isTest(f.path) {
			continue
		}
		packages[f.dir] = true
		if f.ast.Doc != nil {
			comments[f.dir] = append(comments[f.dir], f.path)
		}
	}
	for dir := range packages {
		if n := len(comments[dir]); n != 1 {
			t.Errorf("package %s has %d package comments, not 1: %v", dir, n, comments[dir])
		}
	}
}

// Dialects are translated into one model; what is below them does not know their names.
func TestCoreDoesNotKnowDialects(t *testing.T) {
	word := regexp.MustCompile(`(?i)\b(tyk|traefik)`)
	for _, f := range sources(t) {
		if strings.HasPrefix(f.dir, "internal/dialect/") || strings.HasPrefix(f.dir, "internal/source/") || f.dir == "." || strings.HasPrefix(f.dir, "cmd/") {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if at := word.FindIndex(text); at != nil {
			t.Errorf("%s names a dialect: %q", f.path, text[at[0]:at[1]])
		}
	}
}

func TestNoUnfinishedWork(t *testing.T) {
	word := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b|not (yet )?implemen` + `ted`)
	for _, f := range sources(t) {
		text, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if at := word.FindIndex(text); at != nil {
			t.Errorf("%s: %q", f.path, text[at[0]:at[1]])
		}
	}
}

// A file that outgrows this has a seam that was not seen.
func TestFilesAreSmall(t *testing.T) {
	const limit = 600
	for _, f := range sources(t) {
		text, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n > limit && !isTest(f.path) {
			t.Errorf("%s has %d lines; the limit is %d", f.path, n, limit)
		}
	}
}

// Wiring is explicit: nothing happens because a package was imported.
func TestNoInit(t *testing.T) {
	for _, f := range sources(t) {
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function", f.path)
			}
		}
	}
}
