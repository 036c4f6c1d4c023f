package native_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
)

// limitCases are documents too large for golden files, with the last problem that each must give.
func limitCases() map[string]struct{ data, want string } {
	many := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	return map[string]struct{ data, want string }{
		"bytes": {
			strings.Repeat("#", native.MaxBytes+1),
			"jotgate.yaml: the document is larger than 8388608 bytes",
		},
		"problems": {
			many(native.MaxProblems+50, func(i int) string { return fmt.Sprintf("key%d: 1\n", i) }),
			"jotgate.yaml:201:1: there are more problems, they are not shown",
		},
		"aliases": {
			"providers:\n  - &p {name: p, algorithms: [" + many(1000, func(int) string { return "RS256," }) + "]}\n" + many(1000, func(int) string { return "  - *p\n" }),
			"jotgate.yaml:2:3073: the document has too many values (aliases count as often as they are used)",
		},
		"encoding": {"log:\n  level: \"\xc3\xa4\xff\"", "jotgate.yaml:2:12: the document is not valid UTF-8"},
		"utf16":    {"\xff\xfel\x00o\x00g\x00", "jotgate.yaml:1:1: the document is not valid UTF-8"},
		"separator": {
			"log:\n" + strings.Repeat("- ", 50) + "a",
			"jotgate.yaml:2:65: not valid YAML: lists and mappings are nested too deep (at most 32 levels)",
		},
	}
}

func TestLimits(t *testing.T) {
	for name, c := range limitCases() {
		t.Run(name, func(t *testing.T) {
			r := load(t, c.data)
			if r.Config != nil || len(r.Problems) == 0 {
				t.Fatal("taken")
			}
			if got := r.Problems[len(r.Problems)-1].Error(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if r.Draft != nil {
				t.Error("what was cut off is given out for the whole")
			}
			if len(r.Problems) > native.MaxProblems+1 {
				t.Errorf("%d problems", len(r.Problems))
			}
		})
	}
}

// TestTenThousandAPIs: a gateway for a large house has one document.
func TestTenThousandAPIs(t *testing.T) {
	const n = 10_000
	var b strings.Builder
	b.WriteString("apis:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: a%d, match: Host(`h%d`), upstream: u, auth: {jwt: {providers: [p], claims: \"Equals(`grp`, `g%d`)\", stripAuthorization: true}}}\n", i, i, i)
	}
	r := load(t, b.String())
	if err := r.Problems.Err(); err != nil {
		t.Fatal(err)
	}
	if got := len(r.Config.APIs); got != n {
		t.Errorf("%d APIs, want %d", got, n)
	}
}

// TestTypes fails when a type enters the configuration that the decoder does not know.
func TestTypes(t *testing.T) {
	known := map[reflect.Type]bool{
		reflect.TypeFor[time.Duration](): true, reflect.TypeFor[netip.Prefix](): true,
		reflect.TypeFor[gate.Secret](): true, reflect.TypeFor[gate.Bytes](): true,
		reflect.TypeFor[bool](): true, reflect.TypeFor[int](): true, reflect.TypeFor[int64](): true, reflect.TypeFor[string](): true,
	}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, path string) {
		switch {
		case known[typ]:
		case typ.Kind() == reflect.Slice, typ.Kind() == reflect.Pointer && (typ.Elem().Kind() == reflect.Struct || typ.Elem() == reflect.TypeFor[[]string]()):
			walk(typ.Elem(), path)
		case typ == reflect.TypeFor[map[string]string]():
		case typ.Kind() == reflect.Struct:
			for i := range typ.NumField() {
				f := typ.Field(i)
				if tag := f.Tag.Get("yaml"); tag == "" {
					t.Errorf("%s.%s has no yaml tag", path, f.Name)
				} else if tag != "-" {
					walk(f.Type, path+"."+tag)
				}
			}
		default:
			t.Errorf("%s has the unknown type %s", path, typ)
		}
	}
	walk(reflect.TypeFor[gate.Config](), "")
}

// equal compares configurations apart from where they were written.
func equal(a, b *gate.Config) string {
	return cmp.Diff(a, b, cmpopts.IgnoreTypes(gate.Origin{}), cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b gate.Secret) bool { return a.Reveal() == b.Reveal() }))
}

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(data), separator)
		f.Add([]byte(input))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		r := native.Load("f", data, "/etc/jotgate", resolver().Expand)
		if spent := time.Since(start); spent > 10*time.Second {
			t.Errorf("%d bytes took %s", len(data), spent)
		}
		if (r.Config == nil) != (len(r.Problems.Errors()) > 0) {
			t.Error("a configuration with errors, or none without")
		}
		for _, p := range r.Problems {
			if text := p.Error(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("control characters in %q", text)
			}
		}
		if r.Config == nil {
			return
		}
		text, err := native.Encode(r.Config, native.RevealSecrets())
		if err != nil {
			return // a reference to something that is not text
		}
		again := native.Load("again", text, "/", resolver().Expand)
		if err := again.Problems.Err(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := equal(r.Config, again.Config); diff != "" {
			t.Errorf("after encoding and loading (-want +got)\n%s\n%s", diff, text)
		}
	})
}
