package engine_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/store/memory"
	"github.com/jotgate/jotgate/jose"
)

const individualDocument = `
listeners: [{name: web, address: "127.0.0.1:0"}]
providers:
  - {name: own, issuer: "https://own.example.com", individual: {}, anyAudience: true, algorithms: [HS256]}
upstreams:
  - {name: up, servers: [{url: UPSTREAM}]}
policies:
  - {name: reader, access: [{api: policed, operations: [{methods: [GET]}]}]}
  - {name: writer, access: [{api: policed}]}
access:
  - {name: staff, groups: [staff], apis: [grouped]}
applications: [{name: web, id: app-1}]
subscriptions: [{name: web, applications: [web], apis: [subscribed]}]
apis:
  - {name: open, match: PathPrefix(` + "`/open`" + `), upstream: up, auth: {jwt: {providers: [own], forwardHeaders: {X-User: sub}}}}
  - {name: policed, match: PathPrefix(` + "`/policed`" + `), upstream: up, auth: {access: [policies], jwt: {providers: [own], policies: {claims: [pol], scopes: {policies: {write: writer}}}}}}
  - {name: grouped, match: PathPrefix(` + "`/grouped`" + `), upstream: up, auth: {access: [groups], jwt: {providers: [own]}}}
  - {name: subscribed, match: PathPrefix(` + "`/subscribed`" + `), upstream: up, auth: {access: [subscriptions], jwt: {providers: [own]}}}
`

// Whoever signs his tokens himself may do what his credential says, whatever the tokens say.
func TestIndividualKeys(t *testing.T) {
	s := memory.New(0)
	d := credential.Open(s, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { d.Close(); _ = s.Close() })
	if err := d.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, func(o *engine.Options) { o.Credentials = d })
	g.use(t, individualDocument)
	for _, c := range []credential.Credential{
		{ID: "alice", Name: "alice", Groups: []string{"staff"}, Policies: []string{"reader"}, Application: "app-1"},
		{ID: "bob", Name: "bob"},
	} {
		if _, err := d.Create(t.Context(), c, c.ID+" has a secret of more than thirty-two bytes", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(who string, claims map[string]any) string {
		key, err := jose.NewSecretSigningKey([]byte(who+" has a secret of more than thirty-two bytes"), jose.SecretOptions{Algorithm: jose.HS256})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]any{"iss": "https://own.example.com", "sub": who, "exp": time.Now().Add(time.Hour).Unix()}
		for name, value := range claims {
			all[name] = value
		}
		payload, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		token, err := key.Sign(payload, jose.SigningHeader{})
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	everything := map[string]any{"pol": "writer", "scope": "write", "groups": []string{"staff"}, "azp": "app-1"}
	for _, test := range []struct {
		name, method, path, who string
		claims                  map[string]any
		want                    string
	}{
		{"own key", "GET", "/open", "bob", nil, "200"},
		{"nobody", "GET", "/open", "mallory", nil, "401 key_unknown"},
		{"attack: another's sub", "GET", "/open", "bob", map[string]any{"sub": "alice"}, "401 signature_invalid"},
		{"policy", "GET", "/policed", "alice", nil, "200"},
		{"attack: claimed policy", "POST", "/policed", "alice", everything, "403 operation_not_granted"},
		{"attack: claimed policy, none of his own", "GET", "/policed", "bob", everything, "403 policy_missing"},
		{"group", "GET", "/grouped", "alice", nil, "200"},
		{"attack: claimed group", "GET", "/grouped", "bob", everything, "403 group_missing"},
		{"application", "GET", "/subscribed", "alice", nil, "200"},
		{"attack: claimed application", "GET", "/subscribed", "bob", everything, "403 application_unknown"},
	} {
		for range 2 {
			if x, client := g.do(test.method, "http://x"+test.path, "Authorization", sign(test.who, test.claims)); outcome(x, client) != test.want {
				t.Errorf("%s: %s, want %s", test.name, outcome(x, client), test.want)
			}
		}
	}
	if got := g.seen.Load(); got == nil {
		t.Error("nothing was forwarded")
	}
	if _, client := g.do("GET", "http://x/open", "Authorization", sign("bob", nil)); client.status != 200 || g.seen.Load().Header.Get("X-User") != "bob" {
		t.Errorf("%d", client.status)
	}
	without := newGateway(t)
	without.use(t, individualDocument)
	if x, client := without.do("GET", "http://x/open", "Authorization", sign("bob", nil)); outcome(x, client) != "503 keys_unavailable" {
		t.Error(outcome(x, client))
	}
}

// An API cannot ask for what callers could say of themselves.
func TestIndividualKeysProblems(t *testing.T) {
	g := newGateway(t)
	for _, test := range []struct{ from, to, want string }{
		{"forwardHeaders: {X-User: sub}", "scopes: [read]", "apis[0].auth.jwt.scopes: callers with a key of provider own sign"},
		{"forwardHeaders: {X-User: sub}", "claims: \"Equals(`a`, `b`)\"", "apis[0].auth.jwt.claims: callers with a key of provider own sign"},
		{"X-User: sub", "X-User: email", "apis[0].auth.jwt.forwardHeaders.X-User: callers with a key of provider own sign"},
		{"name: open,", "name: open, limits: [{name: l, per: [identity, 'claim:a'], rate: {limit: 1, period: 1s}}],", "apis[0].limits[0].per[1]: callers with a key of provider own sign"},
		{"individual: {}", "individual: {byKeyID: false, bySubject: false}", "providers[0].individual: no credential would ever be found"},
		{"individual: {}", "individual: {}, publicKey: x", "providers[0].individual: the provider has more than one source of keys: publicKey, individual"},
		{"individual: {}", "individual: {}, secret: SECRET", "providers[0].secret: a shared secret beside individual"},
	} {
		var got []string
		for _, p := range engine.Check(g.parse(t, strings.Replace(individualDocument, test.from, test.to, 1))) {
			got = append(got, p.Path+": "+p.Message)
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], test.want) {
			t.Errorf("%s: %q, want %q", test.to, got, test.want)
		}
	}
	if problems := engine.Check(g.parse(t, individualDocument)); len(problems) > 0 {
		t.Error(problems)
	}
}
