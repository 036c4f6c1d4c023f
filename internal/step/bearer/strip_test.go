package bearer_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
)

// TestStripKeepsTheRest: of any cookies and any query, stripping removes the token and nothing else, and keeps the order.
func TestStripKeepsTheRest(t *testing.T) {
	s := prepare(t)
	fromCookie := step(t, s, api(true, gate.TokenSource{Cookie: "access_token"}))
	fromQuery := step(t, s, api(true, gate.TokenSource{Query: "access_token"}))
	others := rapid.SliceOfN(rapid.StringMatching(`[a-z_]{1,5}=[A-Za-z0-9.%]{0,5}`), 0, 5)
	rapid.Check(t, func(t *rapid.T) {
		before, after := others.Draw(t, "before"), others.Draw(t, "after")
		rest := append(append([]string(nil), before...), after...)
		all := append(append(append([]string(nil), before...), "access_token="+s.good), after...)

		x := request{}.exchange(s)
		x.In = gate.Header{{Name: "A", Value: "1"}, {Name: "cookie", Value: strings.Join(all, "; ")}, {Name: "B", Value: "2"}}
		x.Out = append(x.Out[:0], x.In...)
		if err := fromCookie.Handle(x); err != nil {
			t.Fatal(err)
		}
		want := "A: 1\ncookie: " + strings.Join(rest, "; ") + "\nB: 2\n"
		if len(rest) == 0 {
			want = "A: 1\nB: 2\n"
		}
		if got := print(x.Out); got != want {
			t.Fatalf("forwarded %q, want %q", got, want)
		}

		x = request{}.exchange(s)
		x.OutQuery = strings.Join(all, "&")
		if err := fromQuery.Handle(x); err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(rest, "&"); x.OutQuery != want {
			t.Fatalf("forwarded %q, want %q", x.OutQuery, want)
		}
	})
}
