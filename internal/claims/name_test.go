package claims_test

import (
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/claims"
)

func TestName(t *testing.T) {
	payload, err := claims.Parse([]byte(`{"sub":"alice","user.id":"literal","user":{"id":"nested","name":"n"},"a":{"b.c":"escaped"}}`), claims.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, want string }{
		{"sub", "alice"},
		{"user.id", "literal"},
		{"user.name", "n"},
		{`user\.id`, "literal"},
		{`a.b\.c`, "escaped"},
		{"a.b.c", ""},
		{"absent", ""},
		{"user.absent", ""},
	} {
		name, err := claims.ParseName(test.name)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := payload.Find(name).AsString(); got != test.want || name.String() != test.name {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if n := testing.AllocsPerRun(10, func() { _ = payload.Find(name) }); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
	if _, err := claims.ParseName(strings.Repeat("a", claims.MaxPath+1)); err == nil {
		t.Error("a name without end was taken")
	}
}
