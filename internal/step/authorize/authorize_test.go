package authorize_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/step/authorize"
)

func api(expr string, scopes ...string) *gate.API {
	return &gate.API{Name: "tickets", Origin: gate.Origin{Object: "apis[0]"}, Auth: gate.Auth{JWT: &gate.JWT{Claims: expr, Scopes: scopes}}}
}

func step(tb testing.TB, api *gate.API) *authorize.Step {
	tb.Helper()
	s, problems := authorize.New(api)
	if problems.Err() != nil {
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
	return &gate.Exchange{Identity: &gate.Identity{Subject: "alice", Claims: set}}
}

func TestJudge(t *testing.T) {
	const admin = "Equals(`grp`, `admin`)"
	for _, tt := range []struct {
		name    string
		api     *gate.API
		payload string
		want    gate.Reason
	}{
		{"nothing asked", api(""), `{}`, ""},
		{"scope there", api("", "a"), `{"scope":"b a"}`, ""},
		{"scope in scp", api("", "a"), `{"scp":["b","a"]}`, ""},
		{"all scopes needed", api("", "a", "b"), `{"scope":"a"}`, gate.ReasonScope},
		{"scope missing", api("", "a"), `{}`, gate.ReasonScope},
		{"a longer scope is another", api("", "tickets:read"), `{"scope":"tickets:read-all xtickets:read"}`, gate.ReasonScope},
		{"case counts", api("", "a"), `{"scope":"A"}`, gate.ReasonScope},
		{"scope of another kind", api("", "a"), `{"scope":{"a":1}}`, gate.ReasonScope},
		{"claim there", api(admin), `{"grp":"admin"}`, ""},
		{"claim other", api(admin), `{"grp":"user"}`, gate.ReasonClaims},
		{"claim missing", api(admin), `{}`, gate.ReasonClaims},
		{"attack: claim in another case", api(admin), `{"GRP":"admin"}`, gate.ReasonClaims},
		{"attack: a role that is no string", api("OneOf(`roles`, `admin`)"), `{"roles":[{"name":"admin"},["admin"],null]}`, gate.ReasonClaims},
		{"both, scope missing", api(admin, "a"), `{"grp":"admin"}`, gate.ReasonScope},
		{"both missing: scope is the answer", api(admin, "a"), `{}`, gate.ReasonScope},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, trace := range []*gate.Trace{nil, {}} {
				x := exchange(t, tt.payload)
				x.Trace = trace
				err := step(t, tt.api).Judge(x.Identity, x.Trace)
				got := gate.Reason("")
				if err != nil {
					got = gate.AsDenial(err).Reason
				}
				if got != tt.want {
					t.Errorf("reason %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestScopeIsInTheChallenge(t *testing.T) {
	err := step(t, api("", "tickets:read", "tickets:write")).Judge(exchange(t, `{"scope":"tickets:read secret-scope"}`).Identity, nil)
	want := &gate.Denial{Reason: gate.ReasonScope, Expected: "tickets:read tickets:write", Scope: "tickets:read tickets:write"}
	if diff := cmp.Diff(want, gate.AsDenial(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWithoutIdentity: a route that forgot to verify is closed.
func TestWithoutIdentity(t *testing.T) {
	if err := step(t, api("")).Judge(nil, nil); gate.AsDenial(err).Reason != gate.ReasonInternal {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	x := exchange(t, `{"grp":"user","scope":"a"}`)
	x.Trace = new(gate.Trace)
	s := step(t, api("(Equals(`grp`, `user`) || Equals(`grp`, `admin`)) && !Equals(`scope`, `a`) && Equals(`dep`, `it`)", "b"))
	err := s.Judge(x.Identity, x.Trace)
	if gate.AsDenial(err).Reason != gate.ReasonScope {
		t.Error(err)
	}
	want := []gate.Check{
		{Name: "scope", Reason: gate.ReasonScope, Expected: "b", Got: "a", Claim: true},
		{Name: "claim_true", Expected: "Equals(`grp`, `user`)", Got: `"user"`, Claim: true},
		{Name: "claim_false", Expected: "Equals(`grp`, `admin`)", Got: `"user"`, Claim: true},
		{Name: "claim_true", Reason: gate.ReasonClaims, Expected: "Equals(`scope`, `a`)", Got: `"a"`, Claim: true},
		{Name: "claim_false", Reason: gate.ReasonClaims, Expected: "Equals(`dep`, `it`)", Got: "absent"},
		{Name: "claims", Reason: gate.ReasonClaims, Expected: "(Equals(`grp`, `user`) || Equals(`grp`, `admin`)) && !Equals(`scope`, `a`) && Equals(`dep`, `it`)"},
	}
	if diff := cmp.Diff(want, x.Trace.Checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		api  *gate.API
		want []string
	}{
		{"good", api("Equals(`a`, `b`)", "x", "tickets:read", "https://x.example.com/y"), nil},
		{"no JWT", &gate.API{}, nil},
		{"bad scopes", api("", "a b", "", `"`, "ä"), []string{
			`apis[0].auth.jwt.scopes[0]: "a b" is not a scope (RFC 6749 section 3.3) (one element for each scope)`,
			`apis[0].auth.jwt.scopes[1]: "" is not a scope (RFC 6749 section 3.3) (one element for each scope)`,
			`apis[0].auth.jwt.scopes[2]: "\"" is not a scope (RFC 6749 section 3.3) (one element for each scope)`,
			`apis[0].auth.jwt.scopes[3]: "ä" is not a scope (RFC 6749 section 3.3) (one element for each scope)`,
		}},
		{"unknown function", api("Equal(`a`, `b`)"), []string{
			"apis[0].auth.jwt.claims: column 1 of the expression: unknown function \"Equal\" (did you mean Equals?)",
		}},
		{"negation", api("!Equals(`a`, `b`)"), []string{
			"warning: apis[0].auth.jwt.claims: column 2 of the expression: the negation of Equals(`a`, `b`) is true when the claim is missing",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			problems := authorize.Check(tt.api)
			for _, p := range problems {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if made, again := authorize.New(tt.api); (made == nil) != (problems.Err() != nil) || !cmp.Equal(problems, again) {
				t.Errorf("New: %v, %v", made, again)
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	x := exchange(t, `{"grp":"admin","scope":"a b c"}`)
	s := step(t, api("Equals(`grp`, `admin`) || SplitContains(`scope`, ` `, `z`)", "b", "c"))
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Judge(x.Identity, x.Trace); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
