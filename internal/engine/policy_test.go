package engine_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
)

const policyDocument = `
listeners: [{name: web, address: "127.0.0.1:0"}]
providers:
  - {name: idp, issuer: "https://id.example.com", secret: SECRET, audiences: [tickets], algorithms: [HS256]}
upstreams:
  - {name: up, servers: [{url: UPSTREAM}]}
policies:
  - {name: reader, access: [{api: tickets, operations: [{methods: [GET], pathPrefix: /tickets}]}]}
  - {name: off, inactive: true, access: [{api: tickets}]}
access:
  - {name: staff-orders, groups: [staff], apis: [orders], operations: [read]}
applications: [{name: web, id: app-1}]
subscriptions: [{name: web-reports, applications: [web], apis: [reports]}]
apis:
  - name: tickets
    match: PathPrefix(` + "`/tickets`)" + `
    upstream: up
    auth: {access: [policies], jwt: {providers: [idp], policies: {claims: [pol]}}}
    public: [{path: /tickets/health}]
  - name: orders
    match: PathPrefix(` + "`/orders`)" + `
    upstream: up
    auth: {access: [groups], jwt: {providers: [idp]}}
    operations: [{name: read, operations: [{methods: [GET]}]}]
  - name: reports
    match: PathPrefix(` + "`/reports`)" + `
    upstream: up
    auth: {access: [subscriptions], jwt: {providers: [idp]}}
`

// What policies, groups and subscriptions say holds for every request: the first of a token, and those for which it is remembered.
func TestPoliciesAreEnforced(t *testing.T) {
	for _, cache := range []string{"", "tokenCache: {disabled: true}\n"} {
		g := newGateway(t)
		g.use(t, policyDocument+cache)
		for _, test := range []struct {
			name, method, path string
			claims             map[string]any
			reason             gate.Reason
		}{
			{"policy", "GET", "/tickets/1", map[string]any{"pol": "reader"}, ""},
			{"another method", "POST", "/tickets/1", map[string]any{"pol": "reader"}, gate.ReasonOperationNotGranted},
			{"no policy", "GET", "/tickets/1", nil, gate.ReasonPolicyMissing},
			{"unknown policy", "GET", "/tickets/1", map[string]any{"pol": "writer"}, gate.ReasonPolicyUnknown},
			{"inactive", "GET", "/tickets/1", map[string]any{"pol": []string{"reader", "off"}}, gate.ReasonPolicyInactive},
			{"no user", "GET", "/tickets/1", map[string]any{"pol": "reader", "sub": ""}, gate.ReasonIdentityMissing},
			{"public path", "GET", "/tickets/health", nil, ""},
			{"group", "GET", "/orders", map[string]any{"groups": []string{"staff"}}, ""},
			{"another group", "GET", "/orders", map[string]any{"groups": []string{"guests"}}, gate.ReasonGroupMissing},
			{"outside the operations", "DELETE", "/orders", map[string]any{"groups": []string{"staff"}}, gate.ReasonOperationNotGranted},
			{"subscription", "GET", "/reports", map[string]any{"azp": "app-1"}, ""},
			{"no application", "GET", "/reports", nil, gate.ReasonApplicationUnknown},
		} {
			bearer := "Bearer " + token(t, test.claims)
			for round := range 3 {
				x, client := g.do(test.method, "http://x"+test.path, "Authorization", bearer)
				reason, status := gate.Reason(""), 200
				if x.Denial != nil {
					reason = x.Denial.Reason
				}
				if test.reason != "" {
					status = 403
				}
				if reason != test.reason || client.status != status {
					t.Errorf("%s%s, round %d: %d %q, want %d %q", cache, test.name, round, client.status, reason, status, test.reason)
				}
			}
		}
	}
}

// Sessions are shared by all requests with a token, from their first on.
func TestSessionsAreSharedSafely(t *testing.T) {
	g := newGateway(t)
	g.use(t, policyDocument)
	bearer := "Bearer " + token(t, map[string]any{"pol": "reader"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if x, client := g.do("GET", "http://x/tickets/1", "Authorization", bearer); client.status != 200 || x.Session == nil || x.Session.Policies[0] != "reader" {
					t.Errorf("status %d, session %v", client.status, x.Session)
				}
			}
		})
	}
	all.Wait()
}

// Mistakes in policies and rules are mistakes of the configuration: with them no snapshot is made.
func TestPolicyProblems(t *testing.T) {
	g := newGateway(t)
	document := strings.NewReplacer("api: tickets, operations", "api: tiks, operations", "policies: {claims: [pol]}", "policies: {default: [gone]}").Replace(policyDocument)
	config := g.parse(t, document)
	if snapshot, _ := g.Prepare(config); snapshot != nil {
		snapshot.Discard()
		t.Error("a broken configuration was prepared")
	}
	var got []string
	for _, p := range engine.Check(config) {
		got = append(got, p.Path+": "+p.Message)
	}
	if diff := cmp.Diff([]string{`policies[0].access[0].api: there is no api called "tiks"`}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got = nil
	for _, p := range engine.Check(g.parse(t, strings.ReplaceAll(policyDocument, "policies: {claims: [pol]}", "policies: {default: [gone]}"))) {
		got = append(got, p.Path+": "+p.Message)
	}
	if diff := cmp.Diff([]string{`apis[0].auth.jwt.policies.default[0]: there is no policy called "gone"`}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
