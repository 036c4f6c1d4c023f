package claimheaders_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/step/claimheaders"
)

func api(headers map[string]string) *gate.API {
	return &gate.API{Name: "tickets", Origin: gate.Origin{Object: "apis[0]"}, Auth: gate.Auth{JWT: &gate.JWT{ForwardHeaders: headers}}}
}

func step(tb testing.TB, missing claimheaders.Missing, headers map[string]string) *claimheaders.Step {
	tb.Helper()
	s, problems := claimheaders.New(api(headers), missing)
	if problems != nil {
		tb.Fatal(problems)
	}
	return s
}

func exchange(tb testing.TB, payload string) *gate.Exchange {
	tb.Helper()
	set, err := claims.Parse([]byte(payload), claims.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return &gate.Exchange{Identity: &gate.Identity{Claims: set}, Out: gate.Header{{Name: "Accept", Value: "*/*"}}}
}

// handle does what the admission and the chain do.
func handle(s *claimheaders.Step, x *gate.Exchange) (err error) {
	if x.ClaimFields, err = s.Fields(x.Identity, x.Trace); err != nil {
		return err
	}
	return s.Handle(x)
}

func print(h gate.Header) string {
	var b strings.Builder
	for _, f := range h[1:] {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

func TestHandle(t *testing.T) {
	for _, tt := range []struct {
		name, payload, claim string
		missing              claimheaders.Missing
		want                 string
	}{
		{"string", `{"sub":"alice"}`, "sub", claimheaders.Omit, "X-User: alice\n"},
		{"nested", `{"a":{"b.c":"x"}}`, `a.b\.c`, claimheaders.Omit, "X-User: x\n"},
		{"number as written", `{"n":1.50e3}`, "n", claimheaders.Omit, "X-User: 1.50e3\n"},
		{"boolean", `{"b":true}`, "b", claimheaders.Omit, "X-User: true\n"},
		{"array, a line for each", `{"r":["a",2,false]}`, "r", claimheaders.Omit, "X-User: a\nX-User: 2\nX-User: false\n"},
		{"not ASCII", `{"sub":"Zoë"}`, "sub", claimheaders.Omit, "X-User: Zoë\n"},
		{"empty string", `{"sub":""}`, "sub", claimheaders.Omit, "X-User: \n"},
		{"missing", `{}`, "sub", claimheaders.Omit, ""},
		{"null", `{"sub":null}`, "sub", claimheaders.Omit, ""},
		{"empty array", `{"sub":[]}`, "sub", claimheaders.Omit, ""},
		{"missing, empty", `{}`, "sub", claimheaders.Empty, "X-User: \n"},
		{"null, empty", `{"sub":null}`, "sub", claimheaders.Empty, "X-User: \n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := exchange(t, tt.payload)
			if err := handle(step(t, tt.missing, map[string]string{"X-User": tt.claim}), x); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, print(x.Out)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAttackUnforwardable: a claim that a header cannot carry unchanged refuses the request.
func TestAttackUnforwardable(t *testing.T) {
	for name, payload := range map[string]string{
		"header injection":   `{"sub":"alice\r\nX-Admin: 1"}`,
		"line feed":          `{"sub":"a\nb"}`,
		"NUL":                `{"sub":"alice\u0000"}`,
		"DEL":                `{"sub":"alice\u007f"}`,
		"C1 control":         `{"sub":"alice\u0085"}`,
		"space at the end":   `{"sub":"alice "}`,
		"object":             `{"sub":{"name":"alice"}}`,
		"array of objects":   `{"sub":[{"name":"alice"}]}`,
		"array with a break": `{"sub":["a","b\r\n"]}`,
		"array with null":    `{"sub":["a",null]}`,
	} {
		t.Run(name, func(t *testing.T) {
			x := exchange(t, payload)
			x.Trace = new(gate.Trace)
			err := handle(step(t, claimheaders.Omit, map[string]string{"X-User": "sub"}), x)
			d := gate.AsDenial(err)
			if d.Reason != gate.ReasonForwardClaim {
				t.Fatal(err)
			}
			if strings.Contains(d.Error()+d.Got+d.Expected, "alice") {
				t.Errorf("the claim's value is in %+v", d)
			}
			if last := x.Trace.Checks[len(x.Trace.Checks)-1]; last.Reason != gate.ReasonForwardClaim {
				t.Errorf("%+v", last)
			}
		})
	}
}

// TestAttackClientCopies: whatever is in the request under our names goes first, also where the claim is missing.
func TestAttackClientCopies(t *testing.T) {
	x := exchange(t, `{"sub":"alice"}`)
	for _, name := range []string{"X-User", "x-user", "X_User", "x.USER", "X-Group", "X_GROUP"} {
		x.Out.Add(name, "admin")
	}
	if err := handle(step(t, claimheaders.Omit, map[string]string{"X-User": "sub", "X-Group": "grp"}), x); err != nil {
		t.Fatal(err)
	}
	if got := print(x.Out); got != "X-User: alice\n" {
		t.Errorf("forwarded %q", got)
	}
}

func TestWithoutIdentity(t *testing.T) {
	s := step(t, claimheaders.Omit, nil)
	if _, err := s.Fields(nil, nil); gate.AsDenial(err).Reason != gate.ReasonInternal {
		t.Error(err)
	}
	if err := s.Handle(&gate.Exchange{}); gate.AsDenial(err).Reason != gate.ReasonInternal {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers map[string]string
		want    []string
	}{
		{"good", map[string]string{"X-User": "sub", "X-Forwarded-User": "sub", "Group": "realm_access.roles"}, nil},
		{"bad names", map[string]string{"X User": "sub", "X-Ü": "sub", "": "sub", strings.Repeat("x", 129): "sub"}, []string{
			`apis[0].auth.jwt.forwardHeaders.: "" is not a header name (letters, digits and dashes)`,
			`apis[0].auth.jwt.forwardHeaders.X User: "X User" is not a header name (letters, digits and dashes)`,
			`apis[0].auth.jwt.forwardHeaders.X-Ü: "X-Ü" is not a header name (letters, digits and dashes)`,
			`apis[0].auth.jwt.forwardHeaders.` + strings.Repeat("x", 129) + `: a header name has at most 128 characters`,
		}},
		{"reserved", map[string]string{"Host": "sub", "content_length": "sub", "Authorization": "sub", "X-Forwarded-For": "sub"}, []string{
			`apis[0].auth.jwt.forwardHeaders.Authorization: Authorization has a meaning of its own and cannot carry a claim (for example X-User)`,
			`apis[0].auth.jwt.forwardHeaders.Host: Host has a meaning of its own and cannot carry a claim (for example X-User)`,
			`apis[0].auth.jwt.forwardHeaders.X-Forwarded-For: X-Forwarded-For has a meaning of its own and cannot carry a claim (for example X-User)`,
			`apis[0].auth.jwt.forwardHeaders.content_length: content_length has a meaning of its own and cannot carry a claim (for example X-User)`,
		}},
		{"one name in two spellings", map[string]string{"X-User": "sub", "x_user": "name"}, []string{
			`apis[0].auth.jwt.forwardHeaders.x_user: back ends may confuse x_user with X-User (keep one of them)`,
		}},
		{"claims", map[string]string{"A": "", "B": strings.Repeat("x", claims.MaxPath+1)}, []string{
			`apis[0].auth.jwt.forwardHeaders.A: names no claim (for example sub)`,
			`apis[0].auth.jwt.forwardHeaders.B: claim path too long: 1025 bytes, at most 1024 are allowed`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			problems := claimheaders.Check(api(tt.headers))
			for _, p := range problems {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if made, again := claimheaders.New(api(tt.headers), claimheaders.Omit); (made == nil) != (problems != nil) || !cmp.Equal(problems, again) {
				t.Errorf("New: %v, %v", made, again)
			}
		})
	}
	if problems := claimheaders.Check(&gate.API{}); problems != nil {
		t.Error(problems)
	}
}

func BenchmarkHandle(b *testing.B) {
	x := exchange(b, `{"sub":"alice","grp":"admin","realm_access":{"roles":["user","editor"]}}`)
	s := step(b, claimheaders.Omit, map[string]string{"X-User": "sub", "X-Group": "grp", "X-Role": "realm_access.roles"})
	b.ReportAllocs()
	for b.Loop() {
		if err := handle(s, x); err != nil {
			b.Fatal(err)
		}
	}
}
