package match

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestConditions(t *testing.T) {
	var (
		a   = condition{hostKind: exactHost, host: "a.com", sufficient: true}
		b   = condition{hostKind: exactHost, host: "b.com", sufficient: true}
		ax  = condition{hostKind: exactHost, host: "a.com", pathKind: prefixPath, path: "/x", sufficient: true}
		all = condition{sufficient: true}
	)
	needed := func(c condition) condition {
		c.sufficient = false
		return c
	}
	many := strings.Repeat("Host(`%d.com`) || ", maxConditions)
	args := make([]any, maxConditions)
	for i := range args {
		args[i] = i
	}
	tooMany := fmt.Sprintf(many, args...) + "Host(`last.com`)"
	tests := []struct {
		source string
		want   []condition
	}{
		{"Host(`a.com`)", []condition{a}},
		{"Host(`*`)", []condition{all}},
		{"Host(`*`) || Method(`GET`)", []condition{all}},
		{"Host(`a.com`) || Host(`b.com`)", []condition{a, b}},
		{"Host(`a.com`) && Method(`GET`)", []condition{needed(a)}},
		{"Host(`a.com`) || Method(`GET`)", []condition{{}}},
		{"Host(`a.com`) || Host(`a.com`) && Method(`GET`)", []condition{a}},
		{"Host(`a.com`) && Method(`GET`) || Host(`a.com`)", []condition{a}},
		{"Host(`a.com`) && PathPrefix(`/x`)", []condition{ax}},
		{"Host(`*.com`) && PathPrefix(`/`) && Host(`a.com`) && PathPrefix(`/x`)", []condition{ax}},
		{"Host(`a.com`) && (Path(`/x`) || Host(`b.com`))", []condition{{hostKind: exactHost, host: "a.com", pathKind: exactPath, path: "/x", sufficient: true}}},
		{"PathRegexp(`^/x/(y|z)`)", []condition{{pathKind: prefixPath, path: "/x/"}}},
		{"PathRegexp(`/x`)", []condition{{}}},
		{"!Host(`a.com`)", []condition{{}}},
		{"!(!Host(`a.com`) || !PathPrefix(`/x`))", []condition{ax}},
		{"!(!Host(`a.com`) || Path(`/x`))", []condition{needed(a)}},
		{"!!Host(`a.com`)", []condition{a}},
		{tooMany, []condition{{}}},
		{"(" + tooMany + ") && Path(`/x`)", []condition{{pathKind: exactPath, path: "/x"}}},
	}
	for _, tt := range tests {
		rule, err := Parse(tt.source)
		if err != nil {
			t.Errorf("Parse(%.60q): %v", tt.source, err)
			continue
		}
		if diff := gocmp.Diff(tt.want, rule.conditions, gocmp.AllowUnexported(condition{})); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", tt.source, diff)
		}
	}
}
