// Package step_test holds what concerns all steps: that their manual pages are true, and that together they keep the promises that none keeps alone.
package step_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/policy"
	"github.com/jotgate/jotgate/internal/step/authorize"
	"github.com/jotgate/jotgate/internal/step/claimheaders"
	"github.com/jotgate/jotgate/internal/step/cors"
	"github.com/jotgate/jotgate/internal/step/credentials"
	"github.com/jotgate/jotgate/internal/step/limits"
)

// TestManualPages loads every example and looks up every reason code of the steps' pages.
func TestManualPages(t *testing.T) {
	steps, err := filepath.Glob("*/*.go")
	if err != nil || len(steps) == 0 {
		t.Fatal("no steps found", err)
	}
	seen := make(map[string]bool)
	for _, path := range steps {
		name := filepath.Dir(path)
		if seen[name] {
			continue
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			page, err := os.ReadFile(filepath.Join(name, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			text := string(page)
			if !strings.HasPrefix(text, "# "+name+"\n") {
				t.Error("the page is not called as the step")
			}
			last := 0
			for _, section := range []string{"## Description\n", "## Syntax\n", "## Examples\n", "## Reason codes\n"} {
				at := strings.Index(text, "\n"+section)
				if at <= last {
					t.Errorf("section %q is missing or at the wrong place", section)
				}
				last = at
			}
			checkExamples(t, text)
			checkReasons(t, text)
		})
	}
}

func checkExamples(t *testing.T, page string) {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) == 0 {
		t.Error("the page has no example")
	}
	for _, block := range blocks {
		result := native.Load("README.md", []byte(block[1]), t.TempDir(), nil)
		problems := result.Problems
		if result.Config != nil {
			for i := range result.Config.Providers {
				problems = append(problems, jwt.Check(&result.Config.Providers[i])...)
			}
			for i := range result.Config.APIs {
				problems = append(problems, checkAPI(result.Config, &result.Config.APIs[i])...)
			}
		}
		if problems.Err() != nil {
			t.Errorf("%v\n%s", problems, block[1])
		}
	}
}

func checkAPI(config *gate.Config, api *gate.API) gate.Problems {
	problems := credentials.Check(api)
	problems = append(problems, authorize.Check(api)...)
	problems = append(problems, claimheaders.Check(api)...)
	problems = append(problems, cors.Check(api)...)
	book, more := policy.NewBook(policy.Sources{
		Policies: config.Policies, Access: config.AccessRules, Plans: config.Plans, GroupRates: config.GroupRates,
		Applications: config.Applications, Subscriptions: config.Subscriptions, APIs: config.APIs,
	})
	problems = append(problems, more...)
	if book != nil {
		_, more = book.Selector(api)
		problems = append(problems, more...)
	}
	_, more = limits.New(api, api.Limits, limits.Options{
		Counters: limit.NewMemory(0), Settings: config.Limits,
		Operations: func(operations []gate.Operation, at string, report func(path, hint, format string, args ...any)) limits.Requests {
			return policy.CompileRequests(operations, at, report)
		},
	})
	problems = append(problems, more...)
	return append(problems, limits.CheckSettings(&config.Limits)...)
}

// checkReasons compares the page's table with the codes as they are.
func checkReasons(t *testing.T, page string) {
	t.Helper()
	_, section, _ := strings.Cut(page, "## Reason codes\n")
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\d+) \\|").FindAllStringSubmatch(section, -1) {
		reason := gate.Reason(row[1])
		if got := strconv.Itoa(reason.Kind().Status()); reason.Text() == "" || got != row[2] {
			t.Errorf("%s: the page says %s, it is %s", reason, row[2], got)
		}
	}
	for _, code := range regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)`").FindAllStringSubmatch(page, -1) {
		if known := gate.Reason(code[1]).Text() != ""; !known && !notReasons[code[1]] {
			t.Errorf("%s is no reason code", code[1])
		}
	}
}

// notReasons look like reason codes and are names from tokens.
var notReasons = map[string]bool{"insufficient_scope": true}
