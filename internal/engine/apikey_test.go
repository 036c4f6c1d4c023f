package engine_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
)

const keyDocument = `
listeners: [{name: web, address: "127.0.0.1:0"}]
providers:
  - {name: idp, issuer: "https://id.example.com", secret: SECRET, audiences: [tickets], algorithms: [HS256]}
upstreams:
  - {name: up, servers: [{url: UPSTREAM}]}
policies:
  - {name: reader, access: [{api: policed, operations: [{methods: [GET]}]}]}
  - {name: off, inactive: true, access: [{api: policed}]}
access:
  - {name: staff, groups: [staff], apis: [grouped]}
applications: [{name: web, id: app-1}]
subscriptions:
  - {name: web, applications: [web], apis: [subscribed]}
  - {name: web-claims, applications: [web], apis: [claims], claims: "Equals(` + "`a`, `b`" + `)"}
apis:
  - {name: keys, match: PathPrefix(` + "`/keys`" + `), upstream: up, auth: {apiKey: {forwardHeaders: {X-Key: id, X-User: owner, X-Name: name, X-App: application, X-Group: groups}}}}
  - {name: kept, match: PathPrefix(` + "`/kept`" + `), upstream: up, auth: {apiKey: {keep: true}}, public: [{path: /kept/open}]}
  - {name: places, match: PathPrefix(` + "`/places`" + `), upstream: up, auth: {apiKey: {from: [{header: X-API-Key}, {cookie: key}, {query: key}]}}, public: [{path: /places/open}]}
  - {name: bearer, match: PathPrefix(` + "`/bearer`" + `), upstream: up, auth: {apiKey: {from: [{header: Authorization}]}}}
  - {name: tokens, match: PathPrefix(` + "`/tokens`" + `), upstream: up, auth: {jwt: {providers: [idp]}}}
  - {name: both, match: PathPrefix(` + "`/both`" + `), upstream: up, auth: {jwt: {providers: [idp], scopes: [read], claims: "Equals(` + "`a`, `b`" + `)", forwardHeaders: {X-User: sub, X-Role: role}, stripAuthorization: true}, apiKey: {from: [{header: Authorization}, {header: X-API-Key}], forwardHeaders: {X-User: owner}}}}
  - {name: policed, match: PathPrefix(` + "`/policed`" + `), upstream: up, auth: {access: [policies], apiKey: {}}}
  - {name: grouped, match: PathPrefix(` + "`/grouped`" + `), upstream: up, auth: {access: [groups], apiKey: {}}}
  - {name: subscribed, match: PathPrefix(` + "`/subscribed`" + `), upstream: up, auth: {access: [subscriptions], apiKey: {}}}
  - {name: claims, match: PathPrefix(` + "`/claims`" + `), upstream: up, auth: {access: [subscriptions], apiKey: {}}}
`

// withKeys is a gateway with a directory of API keys.
func withKeys(t *testing.T, more ...func(*engine.Options)) (*gateway, *apikey.Directory) {
	t.Helper()
	s := memory.New(0)
	d := apikey.Open(s, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { d.Close(); _ = s.Close() })
	if err := d.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return newGateway(t, append(more, func(o *engine.Options) { o.APIKeys = d })...), d
}

func makeKey(t *testing.T, d *apikey.Directory, k apikey.Key) (*apikey.Key, string) {
	t.Helper()
	if k.Name == "" {
		k.Name = "ci"
	}
	made, secret, err := d.Create(t.Context(), k, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return made, secret
}

func changeKey(t *testing.T, d *apikey.Directory, id string, change func(*apikey.Key)) {
	t.Helper()
	k, err := d.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	changed := *k
	change(&changed)
	if _, err := d.Update(t.Context(), id, changed, store.Always(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

func outcome(x *gate.Exchange, client *recorder) string {
	if x.Denial == nil {
		return fmt.Sprint(client.status)
	}
	return fmt.Sprint(client.status, " ", x.Denial.Reason)
}

// Keys open what they are for, in the places where they are looked for, and nothing else does.
func TestAPIKeys(t *testing.T) {
	g, d := withKeys(t)
	g.use(t, keyDocument)
	_, plain := makeKey(t, d, apikey.Key{Owner: "alice"})
	_, elsewhere := makeKey(t, d, apikey.Key{APIs: []string{"kept"}})
	_, suspended := makeKey(t, d, apikey.Key{Suspended: true})
	_, reader := makeKey(t, d, apikey.Key{Policies: []string{"reader"}})
	_, inactive := makeKey(t, d, apikey.Key{Policies: []string{"reader", "off"}})
	_, unknownPolicy := makeKey(t, d, apikey.Key{Policies: []string{"gone"}})
	_, staff := makeKey(t, d, apikey.Key{Owner: "bob", Groups: []string{"guests", "staff"}})
	_, app := makeKey(t, d, apikey.Key{Application: "app-1"})
	good, narrow := token(t, map[string]any{"scope": "read", "a": "b"}), token(t, nil)
	for _, test := range []struct {
		name, method, target string
		header               []string
		want                 string
	}{
		{"key", "GET", "/keys", []string{"X-API-Key", plain}, "200"},
		{"in another case", "GET", "/keys", []string{"x-api-key", plain}, "200"},
		{"after the scheme", "GET", "/keys", []string{"X-API-Key", "Bearer " + plain}, "200"},
		{"none", "GET", "/keys", nil, "401 api_key_missing"},
		{"empty", "GET", "/keys", []string{"X-API-Key", ""}, "401 api_key_missing"},
		{"unknown", "GET", "/keys", []string{"X-API-Key", "jg_0123456789abcdefghij0123456789abcdef"}, "401 api_key_unknown"},
		{"short", "GET", "/keys", []string{"X-API-Key", "jg_"}, "401 api_key_unknown"},
		{"attack: the ID of a key", "GET", "/keys", []string{"X-API-Key", strings.Repeat("0", 32)}, "401 api_key_unknown"},
		{"attack: a key and a bit", "GET", "/keys", []string{"X-API-Key", plain + "x"}, "401 api_key_unknown"},
		{"attack: two keys in one field", "GET", "/keys", []string{"X-API-Key", plain + "," + plain}, "401 api_key_unknown"},
		{"attack: a huge key", "GET", "/keys", []string{"X-API-Key", strings.Repeat(plain, 1000)}, "401 api_key_unknown"},
		{"attack: two fields", "GET", "/keys", []string{"X-API-Key", plain, "X-API-Key", plain}, "400 token_ambiguous"},
		{"attack: another spelling", "GET", "/keys", []string{"X-API-Key", plain, "X_API_Key", elsewhere}, "400 token_ambiguous"},
		{"token where keys are asked for", "GET", "/keys", []string{"X-API-Key", good}, "401 api_key_unknown"},
		{"token in Authorization", "GET", "/keys", []string{"Authorization", "Bearer " + good}, "401 api_key_missing"},
		{"key in Authorization, which is no place", "GET", "/keys", []string{"Authorization", "Bearer " + plain}, "401 api_key_missing"},
		{"suspended", "GET", "/keys", []string{"X-API-Key", suspended}, "403 api_key_suspended"},
		{"for another API", "GET", "/keys", []string{"X-API-Key", elsewhere}, "403 api_key_for_other_apis"},
		{"for this API", "GET", "/kept", []string{"X-API-Key", elsewhere}, "200"},

		{"cookie", "GET", "/places", []string{"Cookie", "a=b; key=" + plain}, "200"},
		{"query", "GET", "/places?key=" + plain, nil, "200"},
		{"attack: two places", "GET", "/places?key=" + plain, []string{"Cookie", "key=" + plain}, "400 token_ambiguous"},
		{"bearer", "GET", "/bearer", []string{"Authorization", "Bearer " + plain}, "200"},
		{"bearer: token", "GET", "/bearer", []string{"Authorization", "Bearer " + good}, "401 api_key_unknown"},
		{"bearer: Basic", "GET", "/bearer", []string{"Authorization", "Basic YTpi"}, "401 authorization_scheme_unsupported"},
		{"bearer: X-API-Key is no place", "GET", "/bearer", []string{"X-API-Key", plain}, "401 api_key_missing"},

		{"tokens only: key", "GET", "/tokens", []string{"X-API-Key", plain}, "401 token_missing"},
		{"tokens only: key as a token", "GET", "/tokens", []string{"Authorization", "Bearer " + plain}, "401 token_malformed"},
		{"tokens only: token", "GET", "/tokens", []string{"Authorization", "Bearer " + good}, "200"},

		{"both: token", "GET", "/both", []string{"Authorization", "Bearer " + good}, "200"},
		{"both: token without the scope", "GET", "/both", []string{"Authorization", "Bearer " + narrow}, "403 scope_insufficient"},
		{"both: key, which has no scopes and claims", "GET", "/both", []string{"Authorization", "Bearer " + plain}, "200"},
		{"both: key in its own place", "GET", "/both", []string{"X-API-Key", plain}, "200"},
		{"both: token in the keys' place", "GET", "/both", []string{"X-API-Key", good}, "401 api_key_unknown"},
		{"both: neither", "GET", "/both", nil, "401 token_missing"},
		{"both: neither one nor the other", "GET", "/both", []string{"Authorization", "Bearer abc"}, "401 token_malformed"},
		{"both: unknown key", "GET", "/both", []string{"Authorization", "Bearer jg_0123456789abcdefghij0123456789"}, "401 api_key_unknown"},
		{"attack: token and key", "GET", "/both", []string{"Authorization", "Bearer " + good, "X-API-Key", plain}, "400 token_ambiguous"},
		{"attack: bad token and good key", "GET", "/both", []string{"Authorization", "Bearer " + good + "x", "X-API-Key", plain}, "400 token_ambiguous"},
		{"attack: other credentials and a key", "GET", "/both", []string{"Authorization", "Basic YTpi", "X-API-Key", plain}, "400 token_ambiguous"},

		{"policy of the key", "GET", "/policed", []string{"X-API-Key", reader}, "200"},
		{"not by POST", "POST", "/policed", []string{"X-API-Key", reader}, "403 operation_not_granted"},
		{"no policy", "GET", "/policed", []string{"X-API-Key", plain}, "403 policy_missing"},
		{"unknown policy", "GET", "/policed", []string{"X-API-Key", unknownPolicy}, "403 policy_unknown"},
		{"inactive policy", "GET", "/policed", []string{"X-API-Key", inactive}, "403 policy_inactive"},
		{"group", "GET", "/grouped", []string{"X-API-Key", staff}, "200"},
		{"no group", "GET", "/grouped", []string{"X-API-Key", plain}, "403 group_missing"},
		{"application", "GET", "/subscribed", []string{"X-API-Key", app}, "200"},
		{"no application", "GET", "/subscribed", []string{"X-API-Key", plain}, "403 application_unknown"},
		{"a subscription that asks for claims", "GET", "/claims", []string{"X-API-Key", app}, "403 subscription_missing"},
	} {
		for round := range 3 { // what is remembered answers alike
			if x, client := g.do(test.method, "http://x"+test.target, test.header...); outcome(x, client) != test.want {
				t.Errorf("%s, round %d: %s, want %s", test.name, round, outcome(x, client), test.want)
			}
		}
	}
}

// What the upstream gets: the key's facts and not what clients say in their place, and the key only where it is kept.
func TestAPIKeyForwarding(t *testing.T) {
	g, d := withKeys(t)
	g.use(t, keyDocument)
	made, secret := makeKey(t, d, apikey.Key{Name: "nightly", Owner: "alice", Application: "app-1", Groups: []string{"a", "b"}})
	_, unowned := makeKey(t, d, apikey.Key{})
	_, unfit := makeKey(t, d, apikey.Key{Owner: " alice"})
	got := func(target string, header ...string) string {
		t.Helper()
		g.seen.Store(nil)
		x, client := g.do("GET", "http://x"+target, header...)
		r := g.seen.Load()
		if r == nil {
			return outcome(x, client)
		}
		var lines []string
		for _, name := range []string{"X-Key", "X-User", "X-Name", "X-App", "X-Group", "X-Role", "X-Api-Key", "Authorization", "Cookie"} {
			for _, value := range r.Header.Values(name) {
				lines = append(lines, name+": "+value)
			}
		}
		if r.URL.RawQuery != "" {
			lines = append(lines, "?"+r.URL.RawQuery)
		}
		return strings.ReplaceAll(strings.Join(lines, "; "), secret, "SECRET")
	}
	for _, test := range []struct {
		target string
		header []string
		want   string
	}{
		{"/keys", []string{"X-API-Key", secret, "X-Role", "admin"}, "X-Key: " + made.ID + "; X-User: alice; X-Name: nightly; X-App: app-1; X-Group: a; X-Group: b"},
		{"/keys", []string{"X-API-Key", unowned, "X-User", "root", "x_user", "root", "X-Group", "admins", "X-App", "root"}, "X-Key: ID; X-Name: ci"},
		{"/keys", []string{"X-API-Key", unfit}, "403 claim_not_forwardable"},
		{"/kept", []string{"X-API-Key", secret}, "X-Api-Key: SECRET"},
		{"/kept/open", []string{"X-API-Key", secret}, "X-Api-Key: SECRET"},
		{"/places?a=b&key=" + secret, nil, "?a=b"},
		{"/places", []string{"Cookie", "a=b; key=" + secret}, "Cookie: a=b"},
		{"/places/open?key=x&c=d", []string{"Cookie", "key=y; a=b", "X-API-Key", "z", "X-User", "root"}, "Cookie: a=b; ?c=d"},
		{"/both", []string{"Authorization", "Bearer " + secret, "X-User", "root", "X-Role", "root"}, "X-User: alice"},
		{"/both", []string{"X-API-Key", secret}, "X-User: alice"},
		{"/both", []string{"Authorization", "Bearer " + token(t, map[string]any{"scope": "read", "a": "b", "sub": "carol", "role": "r"})}, "X-User: carol; X-Role: r"},
		{"/tokens", []string{"Authorization", "Bearer T", "X-User", "root"}, "401 token_malformed"},
	} {
		all := got(test.target, test.header...)
		if strings.HasPrefix(test.want, "X-Key: ID") {
			_, rest, _ := strings.Cut(all, ";")
			all = "X-Key: ID;" + rest
		}
		if diff := cmp.Diff(test.want, all); diff != "" {
			t.Errorf("%s %q (-want +got)\n%s", test.target, test.header, strings.ReplaceAll(diff, secret, "SECRET"))
		}
	}
}

// Who calls with a key is told apart from whoever has a token, and is the same with all keys of one owner.
func TestAPIKeyIdentity(t *testing.T) {
	g, d := withKeys(t)
	g.use(t, keyDocument)
	first, one := makeKey(t, d, apikey.Key{Owner: "alice", Policies: []string{"p"}, Expires: time.Now().Add(time.Hour)})
	_, two := makeKey(t, d, apikey.Key{Owner: "alice"})
	alone, three := makeKey(t, d, apikey.Key{})
	_, spoof := makeKey(t, d, apikey.Key{Owner: "key:" + alone.ID})
	identity := func(header ...string) *gate.Identity {
		x, _ := g.do("GET", "http://x/both", header...)
		if x.Identity == nil {
			t.Fatal(x.Denial)
		}
		return x.Identity
	}
	a, b, c, s := identity("X-API-Key", one), identity("X-API-Key", two), identity("X-API-Key", three), identity("X-API-Key", spoof)
	tokens := identity("Authorization", "Bearer "+token(t, map[string]any{"sub": "alice", "scope": "read", "a": "b"}))
	if a.UserKey() != b.UserKey() || a.User != "alice" || a.Subject != "alice" || a.Credential != first.ID || a.Issuer+a.Provider+a.KeyID != "" || !a.Issued.Equal(first.Created) || !a.Expires.Equal(first.Expires) {
		t.Errorf("%+v", a)
	}
	if c.User != "key:"+alone.ID || c.Subject != "" || c.UserKey() == s.UserKey() || c.UserKey() == a.UserKey() || tokens.UserKey() == a.UserKey() {
		t.Errorf("%+v, %+v", c, tokens)
	}
	if a.Claims == nil || a.Claims.Get("sub").JSON() != "" || !cmp.Equal(a.Policies, []string{"p"}) {
		t.Errorf("%+v", a.Claims)
	}
}

// A key that was changed is judged anew by the very next request, also where it was remembered.
func TestChangesOfAPIKeys(t *testing.T) {
	g, d := withKeys(t)
	g.use(t, keyDocument)
	k, secret := makeKey(t, d, apikey.Key{Policies: []string{"reader"}})
	expect := func(want string) {
		t.Helper()
		for range 2 {
			if x, client := g.do("GET", "http://x/policed", "X-API-Key", secret); outcome(x, client) != want {
				t.Errorf("%s, want %s", outcome(x, client), want)
			}
		}
	}
	expect("200")
	changeKey(t, d, k.ID, func(k *apikey.Key) { k.Suspended = true })
	expect("403 api_key_suspended")
	changeKey(t, d, k.ID, func(k *apikey.Key) { k.Suspended, k.Policies = false, nil })
	expect("403 policy_missing")
	changeKey(t, d, k.ID, func(k *apikey.Key) { k.Policies = []string{"reader"} })
	expect("200")
	// Switched to tokens alone, the API takes no keys; switched back, it does again.
	g.use(t, strings.Replace(keyDocument, "auth: {access: [policies], apiKey: {}}", "auth: {jwt: {providers: [idp]}}", 1))
	expect("401 token_missing")
	g.use(t, keyDocument)
	expect("200")
	// What a policy says is the configuration's: a remembered key is judged by the one in force.
	g.use(t, strings.Replace(keyDocument, "name: reader,", "name: reader, inactive: true,", 1))
	expect("403 policy_inactive")
	g.use(t, keyDocument)
	if err := d.Delete(t.Context(), k.ID, store.Always()); err != nil {
		t.Fatal(err)
	}
	expect("401 api_key_unknown")
}

// Without a directory nothing is known, and nothing is opened.
func TestAPIKeysUnknown(t *testing.T) {
	g := newGateway(t)
	g.use(t, keyDocument)
	if x, client := g.do("GET", "http://x/keys", "X-API-Key", "jg_0123456789abcdefghij0123456789"); outcome(x, client) != "503 api_keys_unknown" {
		t.Error(outcome(x, client))
	}
}

// The challenge says what would be taken.
func TestAPIKeyChallenges(t *testing.T) {
	g, _ := withKeys(t)
	g.use(t, keyDocument)
	for target, want := range map[string]string{
		"/keys": `ApiKey realm="keys"`, "/bearer": `Bearer realm="bearer"`, "/both": `Bearer realm="both"`, "/tokens": `Bearer realm="tokens"`,
	} {
		if _, client := g.do("GET", "http://x"+target); client.header.Get("WWW-Authenticate") != want {
			t.Errorf("%s: %q, want %q", target, client.header.Get("WWW-Authenticate"), want)
		}
	}
	if _, client := g.do("GET", "http://x/keys", "X-API-Key", "unknown-but-long-enough"); client.header.Get("WWW-Authenticate") != `ApiKey realm="keys"` {
		t.Errorf("%q", client.header.Get("WWW-Authenticate"))
	}
}

// Explanations name the key by its ID, and never by its secret.
func TestAPIKeyExplained(t *testing.T) {
	g, d := withKeys(t)
	g.use(t, keyDocument)
	k, secret := makeKey(t, d, apikey.Key{Policies: []string{"reader"}})
	x, _ := newExchange("POST", "http://x/policed", "X-API-Key", secret)
	denied := g.Explain(x)
	if denied == nil || denied.Reason != gate.ReasonOperationNotGranted {
		t.Error(denied)
	}
	text := fmt.Sprintf("%+v", x.Trace)
	if !strings.Contains(text, "key "+k.ID) || strings.Contains(text, secret) || strings.Contains(text, secret[9:]) {
		t.Errorf("%s", strings.ReplaceAll(text, secret, "SECRET"))
	}
}

func TestAPIKeyProblems(t *testing.T) {
	g := newGateway(t)
	for auth, want := range map[string]string{
		"{anonymous: true, apiKey: {}}":                                        "apis[0].auth: apiKey and anonymous contradict each other",
		"{apiKey: {from: [{form: a}]}}":                                        "apis[0].auth.apiKey.from[0].form: API keys are not looked for in forms",
		"{apiKey: {from: [{header: A}, {header: a}]}}":                         "apis[0].auth.apiKey.from[1]: header a is listed twice",
		"{apiKey: {from: [{header: Cookie}]}}":                                 "apis[0].auth.apiKey.from[0].header: Cookie cannot carry a token",
		"{apiKey: {from: [{query: key}]}}":                                     "apis[0].auth.apiKey.from[0].query: API keys in addresses end up in logs and histories",
		"{apiKey: {forwardHeaders: {X-A: secret}}}":                            `apis[0].auth.apiKey.forwardHeaders.X-A: of an API key there is no "secret" to tell`,
		"{apiKey: {forwardHeaders: {Host: id}}}":                               "apis[0].auth.apiKey.forwardHeaders.Host: Host has a meaning of its own and cannot carry what is known of a key",
		"{apiKey: {forwardHeaders: {X-A: id, x_a: name}}}":                     "apis[0].auth.apiKey.forwardHeaders.x_a: back ends may confuse x_a with X-A",
		"{jwt: {providers: [idp]}, apiKey: {from: [{header: Authorization}]}}": "",
	} {
		config := g.parse(t, `
listeners: [{name: web, address: "127.0.0.1:0"}]
providers: [{name: idp, issuer: "https://id.example.com", secret: SECRET, audiences: [tickets], algorithms: [HS256]}]
upstreams: [{name: up, servers: [{url: UPSTREAM}]}]
apis: [{name: a, match: PathPrefix(`+"`/`"+`), upstream: up, auth: `+auth+`}]
`)
		var got []string
		for _, p := range engine.Check(config) {
			got = append(got, p.Path+": "+p.Message)
		}
		if text := strings.Join(got, "\n"); text != want {
			t.Errorf("%s: %q, want %q", auth, text, want)
		}
	}
}
