package gate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestHeader(t *testing.T) {
	var h gate.Header
	h.Add("Accept", "a")
	h.Add("X-One", "1")
	h.Add("accept", "b")
	if got := h.Get("ACCEPT"); got != "a" {
		t.Errorf("Get = %q, want the first line", got)
	}
	if got := slices.Collect(h.Values("Accept")); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("Values = %q", got)
	}
	if h.Count("accept") != 2 || h.Has("x-two") {
		t.Errorf("Count or Has is wrong: %v", h)
	}
	h.Set("ACCEPT", "c")
	want := gate.Header{{Name: "ACCEPT", Value: "c"}, {Name: "X-One", Value: "1"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("after Set (-want +got):\n%s", diff)
	}
	h.Set("New", "n")
	h.Del("x-one")
	want = gate.Header{{Name: "ACCEPT", Value: "c"}, {Name: "New", Value: "n"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("after Del (-want +got):\n%s", diff)
	}
}

func TestHeaderSetKeepsOtherLines(t *testing.T) {
	h := gate.Header{{"A", "1"}, {"B", "2"}, {"a", "3"}, {"C", "4"}, {"A", "5"}}
	h.Set("b", "x")
	h.Set("a", "y")
	want := gate.Header{{"a", "y"}, {"b", "x"}, {"C", "4"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFoldName(t *testing.T) {
	for _, name := range []string{"X-Auth-User", "x_auth_user", "X.Auth.User", "x-AUTH_user"} {
		if got := gate.FoldName(name); got != "x-auth-user" {
			t.Errorf("FoldName(%q) = %q", name, got)
		}
	}
	if gate.FoldName("X-Auth") == gate.FoldName("XAuth") {
		t.Error("names that differ by more than spelling must stay different")
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	secret := gate.NewSecret("hunter2hunter2")
	holder := struct{ S gate.Secret }{secret}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("secret", secret), slog.Any("holder", holder))
	for _, text := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q %x %d", secret, secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v", holder, holder, &holder), string(encoded), log.String(),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74") {
			t.Errorf("the secret shows in %q", text)
		}
	}
	if secret.Reveal() != "hunter2hunter2" {
		t.Error("Reveal does not reveal")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]gate.Bytes{"0": 0, "17": 17, "64KiB": 64 << 10, "10 MiB": 10 << 20, "1kB": 1000, "2GiB": 2 << 30, "5B": 5} {
		var got gate.Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5MiB", "1 Mb", "99999999999GiB", "9223372036854775808"} {
		var got gate.Bytes
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	if got := gate.Bytes(64 << 10).String(); got != "64KiB" {
		t.Errorf("String = %q", got)
	}
}

func TestEveryReasonHasKindAndText(t *testing.T) {
	code := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	description := regexp.MustCompile(`^[\x20\x21\x23-\x5b\x5d-\x7e]+$`) // RFC 6750 section 3
	seen := make(map[string]gate.Reason)
	for _, r := range gate.Reasons() {
		if !code.MatchString(string(r)) {
			t.Errorf("%q is not a code", r)
		}
		if !description.MatchString(r.Text()) {
			t.Errorf("%s: %q is not fit for error_description", r, r.Text())
		}
		if other, ok := seen[r.Text()]; ok {
			t.Errorf("%s and %s have the same text", r, other)
		}
		seen[r.Text()] = r
		if s := r.Kind().Status(); s < 400 || s > 599 {
			t.Errorf("%s has status %d", r, s)
		}
		if (r.Kind().Status() == 401) != (r.Kind() == gate.KindUnauthenticated || r.Kind() == gate.KindInvalidToken) {
			t.Errorf("%s: a 401 must carry a challenge", r)
		}
	}
	if got := gate.Reason("no_such_reason").Kind(); got != gate.KindInternal {
		t.Errorf("an unknown reason is of kind %d, want internal", got)
	}
}

func TestAsDenial(t *testing.T) {
	cause := errors.New("boom")
	d := gate.Deny(gate.ReasonExpired, cause)
	if got := gate.AsDenial(fmt.Errorf("wrapped: %w", d)); got != d {
		t.Errorf("a wrapped denial is not found: %v", got)
	}
	if got := gate.AsDenial(cause); got.Reason != gate.ReasonInternal || !errors.Is(got, cause) {
		t.Errorf("another error = %v, want internal_error that wraps it", got)
	}
}

func TestOriginAt(t *testing.T) {
	o := gate.Origin{
		Source: "jotgate.yaml", Object: "apis[2]", Position: gate.Position{Line: 10, Column: 3},
		Fields: map[string]gate.Position{"auth.jwt": {Line: 12, Column: 7}, "servers[0].url": {Line: 20, Column: 9}, "servers": {Line: 19, Column: 5}},
	}
	for path, want := range map[string]int{"": 10, "name": 10, "auth.jwt": 12, "auth.jwt.claims": 12, "auth": 10, "servers[0].url": 20, "servers[1].url": 19} {
		if got := o.At(path).Line; got != want {
			t.Errorf("At(%q) is line %d, want %d", path, got, want)
		}
	}
	p := o.Problem("auth.jwt.claims", "close the bracket", "unexpected %q", ")")
	if got, want := p.Error(), `jotgate.yaml:12:7: apis[2].auth.jwt.claims: unexpected ")" (close the bracket)`; got != want {
		t.Errorf("Error = %q\n     want %q", got, want)
	}
}

func TestProblemsErr(t *testing.T) {
	warning := gate.Problem{Message: "careful", Warning: true}
	if err := (gate.Problems{warning}).Err(); err != nil {
		t.Errorf("a warning is an error: %v", err)
	}
	err := gate.Problems{warning, {Message: "b", Position: gate.Position{Line: 2}}, {Message: "a", Position: gate.Position{Line: 1}}, {Message: "a", Position: gate.Position{Line: 1}}}.Sort().Err()
	if got, want := err.Error(), "1:0: a\n2:0: b"; got != want {
		t.Errorf("Err = %q, want %q", got, want)
	}
}

func TestSameFolded(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"X-Auth-User", "x_AUTH.user", true},
		{"a_b", "A.B", true},
		{"", "", true},
		{"X-User", "X-Users", false},
		{"X-User", "XxUser", false},
		{"@", "`", false}, // differ by the bit that letters of both cases differ by
		{"[", "{", false},
	} {
		if got := gate.SameFolded(test.a, test.b); got != test.want {
			t.Errorf("SameFolded(%q, %q) = %v", test.a, test.b, got)
		}
		if fold := gate.FoldName(test.a) == gate.FoldName(test.b); fold != test.want {
			t.Errorf("FoldName says %v of %q and %q", fold, test.a, test.b)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = gate.SameFolded("X-Auth-User", "x_auth_user") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestExchangeReset: what is used again is memory, never a request; only the place that requests come from is known on.
func TestExchangeReset(t *testing.T) {
	x := &gate.Exchange{Method: "GET", Identity: &gate.Identity{}, ClaimFields: gate.Header{{"X-User", "alice"}}, Hop: gate.Hop{Host: "a", Element: "b"}}
	x.In.Add("A", "1")
	x.Out.Add("B", "2")
	x.Reply.Add("C", "3")
	x.Observe(responder(func(*gate.Exchange) { t.Error("a responder of the request before was asked") }))
	in, out := &x.In[:1][0], &x.Out[:1][0]
	x.Reset()
	if x.Method != "" || x.Identity != nil || x.ClaimFields != nil || len(x.In)+len(x.Out)+len(x.Reply) != 0 || *in != (gate.Field{}) || *out != (gate.Field{}) {
		t.Errorf("%+v", x)
	}
	if x.Hop != (gate.Hop{Host: "a", Element: "b"}) {
		t.Errorf("%+v", x.Hop)
	}
	x.Writer = discard{}
	if n := testing.AllocsPerRun(100, func() {
		x.In.Add("A", "1")
		x.Out.Add("B", "2")
		x.Reply.Add("C", "3")
		writer := x.Writer
		x.Reset()
		x.Writer = writer
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := x.WriteHead(200, 0); err != nil {
		t.Error(err)
	}
}

type responder func(*gate.Exchange)

func (r responder) Respond(x *gate.Exchange) { r(x) }

// discard is a client that hears only heads.
type discard struct{ gate.Writer }

func (discard) Head(int, gate.Header, int64) error { return nil }
