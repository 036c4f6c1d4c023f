package jwt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/jose"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*gate.Provider)
		want   []string // path: message
	}{
		{"good", func(*gate.Provider) {}, nil},
		{"nothing given", func(p *gate.Provider) { *p = gate.Provider{Origin: p.Origin} }, []string{
			"providers[0].issuer: is missing (the exact value of the tokens' iss, or anyIssuer: true)",
			"providers[0].algorithms: is missing (for example [RS256])",
			"providers[0].audiences: is missing (what the tokens' aud says for this gateway, or anyAudience: true)",
			"providers[0].maxTokenBytes: must be between 1 and 256KiB",
		}},
		{"issuer twice", func(p *gate.Provider) { p.AnyIssuer = true }, []string{
			"providers[0].anyIssuer: cannot be combined with issuer (remove one of them)",
		}},
		{"discovery of any issuer", func(p *gate.Provider) { p.AnyIssuer, p.Issuer, p.Discovery = true, "", true }, []string{
			"providers[0].anyIssuer: cannot be combined with discovery (name the issuer)",
		}},
		{"issuer with space", func(p *gate.Provider) { p.Issuer += " " }, []string{
			"providers[0].issuer: has space at one end (iss is compared exactly)",
		}},
		{"algorithms", func(p *gate.Provider) { p.Algorithms = []string{"RS256", "none", "rs256", "ES257", "RS256"} }, []string{
			"providers[0].algorithms[1]: tokens without a signature are never accepted",
			"providers[0].algorithms[2]: unknown algorithm \"rs256\" (did you mean RS256?)",
			"providers[0].algorithms[3]: unknown algorithm \"ES257\" (did you mean ES256?)",
			"providers[0].algorithms[4]: RS256 is listed twice",
		}},
		{"audience twice", func(p *gate.Provider) { p.AnyAudience = true }, []string{
			"providers[0].anyAudience: cannot be combined with audiences (remove one of them)",
		}},
		{"empty elements", func(p *gate.Provider) {
			p.Audiences, p.Subjects, p.Types, p.RequiredClaims = []string{"a", ""}, []string{""}, []string{""}, []string{""}
		}, []string{
			"providers[0].audiences[1]: must not be empty",
			"providers[0].subjects[0]: must not be empty",
			"providers[0].types[0]: must not be empty",
			"providers[0].requiredClaims[0]: must not be empty",
		}},
		{"required claim too long", func(p *gate.Provider) { p.RequiredClaims = []string{strings.Repeat("x", claims.MaxPath+1)} }, []string{
			"providers[0].requiredClaims[0]: claim path too long: 1025 bytes, at most 1024 are allowed",
		}},
		{"times", func(p *gate.Provider) {
			p.ClockSkew = gate.ClockSkew{Exp: -1, Nbf: 10*time.Minute + 1, Iat: time.Hour}
			p.MaxAge, p.MaxLifetime = -1, -1
		}, []string{
			"providers[0].clockSkew.exp: must be between 0s and 10m0s",
			"providers[0].clockSkew.nbf: must be between 0s and 10m0s",
			"providers[0].clockSkew.iat: must be between 0s and 10m0s",
			"providers[0].maxAge: must not be negative (0 for no limit)",
			"providers[0].maxLifetime: must not be negative (0 for no limit)",
		}},
		{"lifetime without expiry", func(p *gate.Provider) { p.MaxLifetime, p.AllowMissingExpiry = 1, true }, []string{
			"providers[0].allowMissingExpiry: cannot be combined with maxLifetime, which makes exp required (remove one of them)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := provider(func(p *gate.Provider) { p.Origin.Object = "providers[0]" }, tt.change)
			problems := jwt.Check(p)
			var got []string
			for _, problem := range problems {
				got = append(got, problem.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			made, again := jwt.NewProvider(p, ring(t, signer(t, jose.ES256, "k1")))
			if diff := cmp.Diff(problems, again); diff != "" {
				t.Errorf("NewProvider and Check differ:\n%s", diff)
			}
			if (made == nil) != (len(tt.want) > 0) {
				t.Errorf("provider %v", made)
			}
		})
	}
}

func TestNewRefusesGuessing(t *testing.T) {
	of := func(name, issuer string, algorithms ...string) *jwt.Provider {
		return compile(t, provider(func(p *gate.Provider) {
			p.Name, p.Issuer, p.AnyIssuer, p.Algorithms = name, issuer, issuer == "", algorithms
		}), ring(t))
	}
	for _, tt := range []struct {
		name      string
		providers []*jwt.Provider
		want      string
	}{
		{"none", nil, "making a verifier: no providers"},
		{"two of any issuer", []*jwt.Provider{of("a", "", "ES256"), of("b", "", "RS256")}, "making a verifier: providers a and b both take any issuer"},
		{"one issuer, one algorithm", []*jwt.Provider{of("a", issuerA, "ES256", "RS256"), of("b", issuerA, "RS256", "PS256")},
			"making a verifier: providers a and b have the same issuer and both accept RS256"},
		{"one issuer, different algorithms", []*jwt.Provider{of("a", issuerA, "ES256"), of("b", issuerA, "RS256")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jwt.New(tt.providers)
			if got := text(err); got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestSameIssuerByAlgorithm: while tokens move from one kind of key to another, the algorithm picks the provider, with its own rules.
func TestSameIssuerByAlgorithm(t *testing.T) {
	es, ed := signer(t, jose.ES256, "k1"), signer(t, jose.EdDSA, "k1")
	v := verifier(t,
		compile(t, provider(), ring(t, es)),
		compile(t, provider(func(p *gate.Provider) {
			p.Name, p.Algorithms, p.Audiences = "new", []string{"EdDSA"}, []string{"other"}
		}), ring(t, ed)),
	)
	id, err := v.Verify(t.Context(), sign(t, es, jose.SigningHeader{}, nil), now, nil)
	if err != nil || id.Provider != "a" {
		t.Errorf("%v, %v", id, err)
	}
	id, err = v.Verify(t.Context(), sign(t, ed, jose.SigningHeader{}, object{"aud": "other"}), now, nil)
	if err != nil || id.Provider != "new" {
		t.Errorf("%v, %v", id, err)
	}
	if _, err = v.Verify(t.Context(), sign(t, ed, jose.SigningHeader{}, nil), now, nil); reasonOf(t, err) != gate.ReasonAudienceMismatch {
		t.Error(err)
	}
	d := gate.AsDenial(second(v.Verify(t.Context(), sign(t, signer(t, jose.RS256, "r1"), jose.SigningHeader{}, nil), now, nil)))
	if d.Reason != gate.ReasonAlgNotAllowed || d.Expected != "ES256,EdDSA" || d.Got != "RS256" {
		t.Errorf("%+v", d)
	}
}

func second[T any](_ T, err error) error { return err }

// TestSizeIsTheProviders: a token is as large as its own provider allows, not as the most generous one.
func TestSizeIsTheProviders(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	v := verifier(t,
		compile(t, provider(func(p *gate.Provider) { p.MaxTokenBytes = 1 << 10 }), ring(t, key)),
		compile(t, provider(func(p *gate.Provider) { p.Name, p.Issuer = "b", issuerB }), ring(t, key)),
	)
	padding := strings.Repeat("x", 2000)
	if _, err := v.Verify(t.Context(), sign(t, key, jose.SigningHeader{}, object{"x": padding}), now, nil); reasonOf(t, err) != gate.ReasonTokenTooLarge {
		t.Error(err)
	}
	if _, err := v.Verify(t.Context(), sign(t, key, jose.SigningHeader{}, object{"x": padding, "iss": issuerB}), now, nil); err != nil {
		t.Error(err)
	}
}

func TestScopes(t *testing.T) {
	for _, tt := range []struct {
		payload string
		want    []string
	}{
		{`{}`, nil},
		{`{"scope":"a b:c d"}`, []string{"a", "b:c", "d"}},
		{`{"scope":"  a  b "}`, []string{"a", "b"}},
		{`{"scope":""}`, nil},
		{`{"scope":"a","scp":["b"]}`, []string{"a"}},
		{`{"scope":null,"scp":["b"]}`, nil},
		{`{"scope":["a"]}`, nil},
		{`{"scope":1}`, nil},
		{`{"scp":"a b"}`, []string{"a", "b"}},
		{`{"scp":["a","b c",1,"",null,"d"]}`, []string{"a", "b c", "d"}},
		{`{"scp":{"a":true}}`, nil},
	} {
		set, err := claims.Parse([]byte(tt.payload), claims.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for scope := range jwt.Scopes(set) {
			got = append(got, scope)
			if !jwt.HasScope(set, scope) {
				t.Errorf("%s: HasScope(%q) is false", tt.payload, scope)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.payload, diff)
		}
		if jwt.HasScope(set, "other") || jwt.HasScope(set, "") {
			t.Errorf("%s has a scope it does not have", tt.payload)
		}
	}
	set, _ := claims.Parse([]byte(`{"scope":"a b c"}`), claims.Limits{})
	if n := testing.AllocsPerRun(100, func() { jwt.HasScope(set, "c") }); n > 0 {
		t.Errorf("HasScope allocates %v times", n)
	}
}
