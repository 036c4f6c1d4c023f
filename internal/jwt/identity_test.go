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

// who is what a token says of who is calling.
type who struct {
	User, Client, Email, TokenName, Application string
	Groups                                      []string
}

func TestIdentityClaims(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	var usual gate.IdentityClaims
	usual.SetDefaults()
	subjects := func(names ...string) gate.IdentityClaims { return gate.IdentityClaims{Subject: names} }
	for _, test := range []struct {
		name   string
		config gate.IdentityClaims
		claims object
		want   who
	}{
		{"usual claims", usual, object{"groups": []string{"a", "b"}, "email": "a@example.com", "azp": "app"}, who{"alice", "web", "a@example.com", "app", "app", []string{"a", "b"}}},
		{"nothing configured", gate.IdentityClaims{}, object{"groups": []string{"a"}, "azp": "app"}, who{User: "alice"}},
		{"the first claim", subjects("email", "sub"), object{"email": "a@example.com"}, who{User: "a@example.com"}},
		{"the second, without the first", subjects("email", "sub"), nil, who{User: "alice"}},
		{"a number is absent", subjects("email", "sub"), object{"email": 7}, who{User: "alice"}},
		{"an array is absent", subjects("email", "sub"), object{"email": []string{"x"}}, who{User: "alice"}},
		{"an empty text stops", subjects("email", "sub"), object{"email": ""}, who{}},
		{"none of the claims", subjects("email", "uid"), nil, who{}},
		{"a nested claim", subjects("user.id"), object{"user": object{"id": "nested"}}, who{User: "nested"}},
		{"a literal name goes first", subjects("user.id"), object{"user.id": "literal", "user": object{"id": "nested"}}, who{User: "literal"}},
		{"a name that is an address", subjects("https://x.example.com/uid"), object{"https://x.example.com/uid": "u"}, who{User: "u"}},
		{"one group as text", gate.IdentityClaims{Groups: "roles"}, object{"roles": "one two"}, who{User: "alice", Groups: []string{"one two"}}},
		{"what is no text is no group", gate.IdentityClaims{Groups: "roles"}, object{"roles": []any{"a", 7, "", nil, []string{"b"}, "c"}}, who{User: "alice", Groups: []string{"a", "c"}}},
		{"an object is no group", gate.IdentityClaims{Groups: "roles"}, object{"roles": object{"a": true}}, who{User: "alice"}},
		{"groups below", gate.IdentityClaims{Groups: "realm_access.roles"}, object{"realm_access": object{"roles": []string{"x"}}}, who{User: "alice", Groups: []string{"x"}}},
		{"a client that is empty is absent", gate.IdentityClaims{ClientID: []string{"cid", "client_id"}}, object{"cid": ""}, who{User: "alice", Client: "web"}},
		{"a client that is no text is absent", gate.IdentityClaims{ClientID: []string{"cid", "client_id"}}, object{"cid": 7}, who{User: "alice", Client: "web"}},
		{"an application that is no text is none", gate.IdentityClaims{Application: "app"}, object{"app": []string{"x"}}, who{User: "alice"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := compile(t, provider(func(p *gate.Provider) { p.Identity = test.config }), ring(t, key))
			id, err := verifier(t, p).Verify(t.Context(), sign(t, key, jose.SigningHeader{}, test.claims), now, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, who{id.User, id.ClientID, id.Email, id.TokenName, id.Application, id.Groups}); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if id.UserKey() != gate.NewUserKey(issuerA, test.want.User, false) {
				t.Error("the user's key is of another user")
			}
			if !id.Issued.Equal(now.Add(-time.Minute)) {
				t.Errorf("issued %v", id.Issued)
			}
		})
	}
}

// Two issuers with one sub are two people, unless both join issuers.
func TestUsersOfTwoIssuers(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	user := func(issuer string, joined bool) *gate.Identity {
		t.Helper()
		p := compile(t, provider(func(p *gate.Provider) { p.Issuer, p.Identity.JoinIssuers = issuer, joined }), ring(t, key))
		id, err := verifier(t, p).Verify(t.Context(), sign(t, key, jose.SigningHeader{}, object{"iss": issuer}), now, nil)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if user(issuerA, false).UserKey() == user("https://other.example.com", false).UserKey() {
		t.Error("two people are one")
	}
	if user(issuerA, true).UserKey() != user("https://other.example.com", true).UserKey() {
		t.Error("one person is two")
	}
	if user(issuerA, true).UserKey() == user(issuerA, false).UserKey() {
		t.Error("who joins no issuers is joined")
	}
}

func TestCheckIdentityClaims(t *testing.T) {
	long := strings.Repeat("x", claims.MaxPath+1)
	p := provider(func(p *gate.Provider) {
		p.Origin.Object = "providers[0]"
		p.Identity = gate.IdentityClaims{Subject: []string{"", long}, ClientID: []string{long}, Groups: long, Email: long, TokenName: long, Application: long}
	})
	var got []string
	for _, problem := range jwt.Check(p) {
		got = append(got, problem.Path)
	}
	want := []string{
		"providers[0].identity.subject[0]", "providers[0].identity.subject[1]", "providers[0].identity.clientID[0]",
		"providers[0].identity.groups", "providers[0].identity.email", "providers[0].identity.tokenName", "providers[0].identity.application",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
