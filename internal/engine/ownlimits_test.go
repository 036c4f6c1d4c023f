package engine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

const ownLimitsDocument = `
listeners: [{name: web, address: "127.0.0.1:0"}]
providers:
  - {name: idp, issuer: "https://id.example.com", secret: SECRET, audiences: [tickets], algorithms: [HS256]}
upstreams:
  - {name: up, servers: [{url: UPSTREAM}]}
policies:
  - name: reader
    access: [{api: tickets, operations: [{methods: [GET], pathPrefix: /tickets/open}]}]
    rate: {limit: 10, period: 1h}
    quota: {limit: 3}
apis:
  - name: tickets
    match: PathPrefix(` + "`/tickets`)" + `
    upstream: up
    limitsPath: /tickets/my-limits
    auth: {access: [policies], jwt: {providers: [idp], policies: {claims: [pol]}}}
    limits:
      - {name: everybody, rate: {limit: 100, period: 1h, burst: 7}}
      - {name: tried, dryRun: true, rate: {limit: 1, period: 1h}}
  - name: unlimited
    match: PathPrefix(` + "`/unlimited`)" + `
    upstream: up
    limitsPath: /unlimited/limits
    auth: {jwt: {providers: [idp]}}
`

// withCounters gives a gateway counters.
func withCounters(o *engine.Options) { o.Counters = limit.NewMemory(0) }

// Callers see their own limits, without taking from them, and whatever their policies grant; nobody sees any without credentials.
func TestOwnLimits(t *testing.T) {
	g := newGateway(t, withCounters)
	g.use(t, ownLimitsDocument)
	alice := "Bearer " + token(t, map[string]any{"pol": "reader"})
	bob := "Bearer " + token(t, map[string]any{"pol": "reader", "sub": "bob"})
	for range 2 {
		if _, client := g.do("GET", "http://x/tickets/open", "Authorization", alice); client.status != 200 {
			t.Fatalf("status %d: %s", client.status, client.body.String())
		}
	}
	calls := g.calls.Load()
	type answer struct {
		Limits []map[string]any `json:"limits"`
	}
	see := func(path, bearer string) (left map[string]any) {
		t.Helper()
		x, client := g.do("GET", "http://x"+path, "Authorization", bearer)
		var got answer
		if err := json.Unmarshal([]byte(client.body.String()), &got); err != nil || client.status != 200 || got.Limits == nil {
			t.Fatalf("status %d, %v: %s", client.status, err, client.body.String())
		}
		if client.header.Get("Content-Type") != "application/json" || client.header.Get("Cache-Control") != "no-store" || x.Denial != nil || x.Sent != int64(client.body.Len()) {
			t.Errorf("header %v, denial %v, sent %d", client.header, x.Denial, x.Sent)
		}
		left = make(map[string]any)
		for _, l := range got.Limits {
			left[l["name"].(string)+" "+l["kind"].(string)] = l["remaining"]
			if reset, ok := l["reset"]; ok != (l["kind"] == "rate" || l["remaining"] == l["limit"]) { // what was taken from the quota never comes back
				t.Errorf("%v has the reset %v", l["name"], reset)
			}
		}
		return left
	}
	for range 3 { // looking takes nothing
		if diff := cmp.Diff(map[string]any{"reader rate": 8.0, "reader quota": 1.0, "everybody rate": 5.0}, see("/tickets/my-limits", alice)); diff != "" {
			t.Fatalf("alice (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(map[string]any{"reader rate": 10.0, "reader quota": 3.0, "everybody rate": 5.0}, see("/tickets/my-limits", bob)); diff != "" {
		t.Errorf("bob (-want +got):\n%s", diff)
	}
	if left := see("/unlimited/limits", bob); len(left) != 0 {
		t.Errorf("an API without limits tells %v", left)
	}
	if g.calls.Load() != calls {
		t.Error("the upstream was asked")
	}
	for _, test := range []struct {
		name, method, path, bearer string
		status                     int
		reason                     gate.Reason
	}{
		{"nobody", "GET", "/tickets/my-limits", "", 401, gate.ReasonTokenMissing},
		{"bad token", "GET", "/tickets/my-limits", "Bearer x", 401, gate.ReasonTokenMalformed},
		{"no policy", "GET", "/tickets/my-limits", "Bearer " + token(t, nil), 403, gate.ReasonPolicyMissing},
		{"another method goes the way of all requests", "POST", "/tickets/my-limits", alice, 403, gate.ReasonOperationNotGranted},
		{"path that some read otherwise", "GET", "/tickets/x%2F..%2Fmy-limits", alice, 400, gate.ReasonBadTarget},
		{"head", "HEAD", "/tickets/my-limits", alice, 200, ""},
	} {
		var header []string
		if test.bearer != "" {
			header = []string{"Authorization", test.bearer}
		}
		x, client := g.do(test.method, "http://x"+test.path, header...)
		reason := gate.Reason("")
		if x.Denial != nil {
			reason = x.Denial.Reason
		}
		if client.status != test.status || reason != test.reason || test.method == "HEAD" && client.body.Len() > 0 {
			t.Errorf("%s: %d %q %q, want %d %q", test.name, client.status, reason, client.body.String(), test.status, test.reason)
		}
	}
}

func TestOwnLimitsProblems(t *testing.T) {
	g := newGateway(t)
	for _, test := range []struct{ name, old, changed, want string }{
		{"not canonical", "/tickets/my-limits", "/tickets/../x", `apis[0].limitsPath: "/tickets/../x" is no canonical path, so no request could have it`},
		{"no path", "/tickets/my-limits", "tickets", `apis[0].limitsPath: "tickets" is no canonical path, so no request could have it`},
		{"escaped slash", "/tickets/my-limits", "/tickets/a%2Fb", `apis[0].limitsPath: "/tickets/a%2Fb" is no canonical path, so no request could have it`},
		{"public", "limitsPath: /tickets/my-limits", "limitsPath: /tickets/my-limits\n    public: [{path: /health}, {pathPrefix: /tickets, methods: [HEAD]}]", "apis[0].limitsPath: public[1] opens this path for callers that nobody knows"},
		{"anonymous", "auth: {jwt: {providers: [idp]}}", "auth: {anonymous: true}", "apis[1].limitsPath: an anonymous API knows no caller whose limits it could tell"},
	} {
		var got []string
		for _, p := range engine.Check(g.parse(t, strings.Replace(ownLimitsDocument, test.old, test.changed, 1))) {
			got = append(got, p.Path+": "+p.Message)
		}
		if diff := cmp.Diff([]string{test.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
