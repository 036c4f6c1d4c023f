package revoke

import (
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func identity(t *testing.T, payload string) *gate.Identity {
	t.Helper()
	set, err := claims.Parse([]byte(payload), claims.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	id := &gate.Identity{Claims: set, KeyID: "key-1", ClientID: text(set, "client_id")}
	id.Issuer, id.Subject = text(set, "iss"), text(set, "sub")
	if at, err := set.Get("iat").NumericDate(); err == nil {
		id.Issued = at
	}
	return id
}

func TestCheckRevocation(t *testing.T) {
	for _, test := range []struct {
		name string
		r    Revocation
		want string
	}{
		{"token", Revocation{Kind: Token, Value: "1"}, ""},
		{"before", Revocation{Kind: Subject, Value: "alice", IssuedBefore: now}, ""},
		{"no kind", Revocation{Value: "1"}, "kind:"},
		{"other kind", Revocation{Kind: "everything", Value: "1"}, "kind:"},
		{"no value", Revocation{Kind: Token}, "value: is missing"},
		{"long value", Revocation{Kind: Token, Value: strings.Repeat("a", 1025)}, "value: longer"},
		{"control", Revocation{Kind: Token, Value: "a\x00b"}, "value: holds control"},
		{"not UTF-8", Revocation{Kind: Token, Value: "1", Issuer: "\xff"}, "issuer: holds control"},
		{"over", Revocation{Kind: Token, Value: "1", Expires: now}, "expires: is in the past"},
		{"far", Revocation{Kind: Token, Value: "1", IssuedBefore: now.Add(25 * time.Hour)}, "issued_before:"},
	} {
		err := test.r.Check(now)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestNames: no two names share a place, however their parts are cut.
func TestNames(t *testing.T) {
	seen := make(map[name]string)
	for _, kind := range kinds {
		for _, parts := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"", "abc"}, {"abc", ""}, {"\x01", "a"}, {"", "\x01a"}} {
			n := nameOf(kind, parts[0], parts[1])
			what := string(kind) + "|" + parts[0] + "|" + parts[1]
			if other, twice := seen[n]; twice {
				t.Errorf("%q and %q share a name", what, other)
			}
			seen[n] = what
		}
	}
}

func TestKeys(t *testing.T) {
	r := Revocation{Kind: Session, Issuer: "https://id.example", Value: "s/../1"}
	n, ok := parseKey(r.Key())
	if !ok || n != nameOf(r.Kind, r.Issuer, r.Value) {
		t.Errorf("%s is not read back", r.Key())
	}
	for _, key := range []string{"", prefix, r.Key() + "0", strings.TrimPrefix(r.Key(), prefix), strings.Replace(r.Key(), "session", "sessions", 1), prefix + "token/zz"} {
		if _, ok := parseKey(key); ok {
			t.Errorf("%q is taken for a key", key)
		}
	}
}

func TestDecode(t *testing.T) {
	r := Revocation{Kind: Subject, Issuer: AnyIssuer, Value: "alice", IssuedBefore: now, Expires: now.Add(time.Hour), Reason: "left", By: "ops", Created: now}
	text, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(text); err != nil || got != r {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{``, `{}`, `[]`, `{"kind":"token"}`, `{"kind":"x","value":"y"}`} {
		if _, err := decode([]byte(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}
