package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestCheckTexts(t *testing.T) {
	for _, test := range []struct {
		texts []string
		want  string
	}{
		{nil, ""},
		{[]string{"a", "ü €"}, ""},
		{[]string{"a", ""}, "[1]: is empty"},
		{[]string{"a", "b", "c", "d"}, ": more than 3"},
		{[]string{strings.Repeat("a", 9)}, "[0]: longer than 8 bytes"},
		{[]string{"a\nb"}, "[0]: holds control characters or is not UTF-8"},
		{[]string{"a\u0085b"}, "[0]: holds control characters or is not UTF-8"},
		{[]string{"\xff"}, "[0]: holds control characters or is not UTF-8"},
	} {
		got := ""
		if err := gate.CheckTexts(test.texts, 3, 8); err != nil {
			got = fmt.Sprint(err)
		}
		if got != test.want {
			t.Errorf("%q: %q, want %q", test.texts, got, test.want)
		}
	}
}
