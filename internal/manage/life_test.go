package manage_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/source/api"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
)

// makeKey makes an API key and returns its path, ETag and secret, which no later answer and no log may show.
func (g *gateway) makeKey(body string) (path, tag, secret string) {
	g.t.Helper()
	a := g.want(201, "", "POST", "/v1/api-keys", body)
	secret, _ = a.member(g.t, "secret").(string)
	g.mu.Lock()
	g.secrets = append(g.secrets, secret)
	g.mu.Unlock()
	return a.header.Get("Location"), a.header.Get("ETag"), secret
}

func TestLifeOfAPIKeys(t *testing.T) {
	t.Parallel()
	g := start(t)
	path, tag, secret := g.makeKey(`{"name": "nightly", "owner": "bob", "policies": ["counted"], "groups": ["staff"]}`)
	header := "X-Api-Key: " + secret
	if !strings.HasPrefix(secret, "jg_") || len(secret) < 40 {
		t.Errorf("the secret is %q", secret)
	}
	g.wantCall(200, "ok", "/tickets", header)
	g.wantCall(401, "api_key_unknown", "/tickets", header+"x")
	for _, a := range []answer{g.want(200, `"created_by":"alice"`, "GET", path, ""), g.want(200, `"name":"nightly"`, "GET", "/v1/api-keys", "")} {
		if strings.Contains(a.body, secret) || !strings.Contains(a.body, `"prefix":"`+secret[:9]+`"`) {
			t.Errorf("the secret is shown again, or its beginning is not: %s", a.body)
		}
	}
	g.want(304, "", "GET", path, "", "If-None-Match: "+tag)

	// Suspended, it is refused at once; resumed, it is good again.
	suspended := g.want(200, `"suspended":true`, "POST", path+"/suspend", "", "If-Match: "+tag)
	g.wantCall(403, "api_key_suspended", "/tickets", header)
	g.want(412, "", "POST", path+"/resume", "", "If-Match: "+tag)
	resumed := g.want(200, "", "POST", path+"/resume", "", "If-Match: "+suspended.header.Get("ETag"))
	g.wantCall(200, "ok", "/tickets", header)

	// What it says is replaced as a whole; secret and origin stay.
	g.want(400, "secret", "PUT", path, `{"name": "x", "secret": "another-secret-of-some-length"}`)
	g.want(412, "", "PUT", path, `{"name": "x"}`, "If-Match: "+tag)
	changed := g.want(200, `"name":"x"`, "PUT", path, `{"name": "x", "policies": ["counted"], "apis": ["orders"]}`, "If-Match: "+resumed.header.Get("ETag"))
	if strings.Contains(changed.body, "bob") || !strings.Contains(changed.body, "alice") {
		t.Errorf("changed: %s", changed.body)
	}
	g.wantCall(403, "api_key_for_other_apis", "/tickets", header)
	g.want(412, "", "DELETE", path, "", "If-Match: "+tag)
	g.want(204, "", "DELETE", path, "", "If-Match: "+changed.header.Get("ETag"))
	g.want(404, "", "GET", path, "")
	g.want(404, "", "POST", path+"/suspend", "")
	g.wantCall(401, "api_key_unknown", "/tickets", header)
}

// TestSecretsFromElsewhere: a key may bring its secret, once.
func TestSecretsFromElsewhere(t *testing.T) {
	t.Parallel()
	g := start(t)
	const brought = "it-was-made-by-somebody-else"
	_, _, secret := g.makeKey(`{"name": "old", "policies": ["counted"], "secret": "` + brought + `"}`)
	if secret != brought {
		t.Errorf("the secret is %q", secret)
	}
	g.wantCall(200, "ok", "/tickets", "X-Api-Key: "+brought)
	g.want(409, "", "POST", "/v1/api-keys", `{"name": "again", "secret": "`+brought+`"}`)
}

// TestEndedKeysCanBeSuspended: that a key has ended is no reason to leave it as it is.
func TestEndedKeysCanBeSuspended(t *testing.T) {
	t.Parallel()
	g := start(t)
	end := time.Now().Add(1100 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	path, _, secret := g.makeKey(`{"name": "brief", "policies": ["unlimited"], "expires": "` + end + `"}`)
	g.await(func() bool {
		status, body := g.call("/tickets", "X-Api-Key: "+secret)
		return status == 401 && strings.Contains(body, "api_key_expired")
	})
	g.want(200, `"suspended":true`, "POST", path+"/suspend", "")
	g.want(200, "", "POST", path+"/resume", "")
	g.want(400, "past", "PUT", path, `{"name": "brief", "expires": "2020-01-01T00:00:00Z"}`)
	g.want(200, "", "PUT", path, `{"name": "brief", "policies": ["unlimited"]}`)
	g.wantCall(200, "ok", "/tickets", "X-Api-Key: "+secret)
}

func TestLifeOfCredentials(t *testing.T) {
	t.Parallel()
	g := start(t)
	const first, second = "the first secret of a partner, long enough", "the second secret of a partner, long enough"
	g.secrets = append(g.secrets, first, second)
	g.want(201, "", "PUT", "/v1/access/partners", `{"name": "partners", "groups": ["partners"], "apis": ["orders"]}`)
	token := signed(t, first, map[string]any{"iss": "https://partners.example.com", "sub": "acme/1"})
	g.wantCall(401, "", "/orders", token)
	g.want(400, "id", "POST", "/v1/credentials", `{"name": "Acme", "secret": "`+first+`"}`)
	g.want(400, "secret", "POST", "/v1/credentials", `{"id": "acme/1", "name": "Acme", "secret": "short"}`)
	g.want(400, "secret", "POST", "/v1/credentials", `{"id": "acme/1", "name": "Acme"}`)
	g.want(400, "public_key", "POST", "/v1/credentials", `{"id": "acme/1", "name": "Acme", "public_key": "none"}`)
	made := g.want(201, `"subject":"acme/1"`, "POST", "/v1/credentials", `{"id": "acme/1", "name": "Acme", "groups": ["partners"], "secret": "`+first+`"}`)
	path, tag := made.header.Get("Location"), made.header.Get("ETag")
	g.want(409, "", "POST", "/v1/credentials", `{"id": "acme/1", "name": "Acme", "secret": "`+first+`"}`)
	g.wantCall(200, "ok", "/orders", token)
	for _, a := range []answer{made, g.want(200, "acme/1", "GET", path, ""), g.want(200, "acme/1", "GET", "/v1/credentials", "")} {
		if strings.Contains(a.body, "secret") {
			t.Errorf("a secret is shown: %s", a.body)
		}
	}
	g.want(304, "", "GET", path, "", "If-None-Match: "+tag)
	g.want(400, "ID", "PUT", path, `{"id": "other", "name": "Acme"}`)
	changed := g.want(200, `"suspended":true`, "PUT", path, `{"name": "Acme", "groups": ["partners"], "suspended": true}`, "If-Match: "+tag)
	g.wantCall(403, "credential_suspended", "/orders", token)
	g.want(412, "", "PUT", path, `{"name": "Acme"}`, "If-Match: "+tag)
	g.want(200, "", "PUT", path, `{"name": "Acme", "groups": ["partners"], "secret": "`+second+`"}`, "If-Match: "+changed.header.Get("ETag"))
	g.wantCall(401, "signature_invalid", "/orders", token)
	g.wantCall(200, "ok", "/orders", signed(t, second, map[string]any{"iss": "https://partners.example.com", "sub": "acme/1"}))
	g.want(412, "", "DELETE", path, "", "If-Match: "+tag)
	g.want(204, "", "DELETE", path, "")
	g.want(404, "", "GET", path, "")
	g.want(404, "", "PUT", path, `{"name": "Acme"}`)
	g.want(404, "", "DELETE", path, "")
	g.want(404, "", "GET", "/v1/credentials/a%00", "")
}

func TestLifeOfRevocations(t *testing.T) {
	t.Parallel()
	g := start(t)
	token := bearer(t, map[string]any{"jti": "t-1", "sid": "s-1"})
	g.wantCall(200, "ok", "/tickets", token)
	for _, c := range []struct{ kind, value string }{{"token", "t-1"}, {"subject", "alice"}, {"session", "s-1"}} {
		made := g.want(201, `"by":"alice"`, "POST", "/v1/revocations", fmt.Sprintf(`{"kind": %q, "value": %q, "issuer": %q, "reason": "lost"}`, c.kind, c.value, issuer))
		g.wantCall(401, "token_revoked", "/tickets", token) // at once
		g.want(200, made.member(t, "id").(string), "GET", "/v1/revocations", "")
		g.want(204, "", "DELETE", made.header.Get("Location"), "")
		g.want(404, "", "DELETE", made.header.Get("Location"), "")
		g.await(func() bool {
			status, _ := g.call("/tickets", bearer(t, map[string]any{"jti": "t-1", "pol": "counted", "sub": c.kind}))
			return status == 200
		})
	}
	before := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	g.want(201, before, "POST", "/v1/revocations", fmt.Sprintf(`{"kind": "subject", "value": "carol", "issuer": "*", "issued_before": %q}`, before))
	g.wantCall(200, "ok", "/tickets", bearer(t, map[string]any{"sub": "carol"}))
	g.wantCall(401, "token_revoked", "/tickets", bearer(t, map[string]any{"sub": "carol", "iat": time.Now().Add(-2 * time.Hour).Unix()}))
}

// TestSessions: who looks takes nothing; a reset gives back what is one's own, and nothing of what others share.
func TestSessions(t *testing.T) {
	t.Parallel()
	g := start(t)
	const caller = `{"api": "tickets", "provider": "idp", "claims": {"iss": "https://id.example.com", "sub": "alice"}}`
	left := func(a answer) string {
		var out []string
		for _, one := range a.member(t, "limits").([]any) {
			state := one.(map[string]any)
			out = append(out, fmt.Sprint(state["limit"], ":", state["remaining"]))
		}
		return strings.Join(out, " ")
	}
	want := func(path, body, limits string) {
		t.Helper()
		if got := left(g.want(200, `"policies":["counted"]`, "POST", path, body)); got != limits {
			t.Errorf("%s: %s, want %s", path, got, limits)
		}
	}
	token := bearer(t, nil)
	want("/v1/sessions/inspect", caller, "3:3 1000:1000")
	for range 3 {
		g.wantCall(200, "ok", "/tickets", token)
	}
	g.wantCall(429, "quota", "/tickets", token)
	want("/v1/sessions/inspect", caller, "3:0 1000:997")
	want("/v1/sessions/inspect", caller, "3:0 1000:997")
	want("/v1/sessions/reset", caller, "3:3 1000:997")
	g.wantCall(200, "ok", "/tickets", token)

	path, _, secret := g.makeKey(`{"name": "k", "policies": ["counted"]}`)
	g.wantCall(200, "ok", "/tickets", "X-Api-Key: "+secret)
	id := strings.TrimPrefix(path, "/v1/api-keys/")
	want("/v1/sessions/inspect", `{"api": "tickets", "api_key": "`+id+`"}`, "3:2 1000:995")
	want("/v1/sessions/reset", `{"api": "tickets", "api_key": "`+id+`"}`, "3:3 1000:995")
	g.want(404, "", "POST", "/v1/sessions/inspect", `{"api": "tickets", "api_key": "`+strings.Repeat("0", 32)+`"}`)
}

// TestChangesAreInForce: what is changed decides about the next request, also about tokens that were seen before, and is there after a restart, as is what callers did.
func TestChangesAreInForce(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"memory", "sqlite"} {
		t.Run(driver, func(t *testing.T) {
			g := configure(t, "{driver: "+driver+"}")
			g.start()
			token := bearer(t, map[string]any{"pol": "late", "sub": "dave"})
			g.wantCall(403, "policy_unknown", "/tickets", token)
			g.want(201, "", "PUT", "/v1/policies/late", `{"name": "late", "access": [{"api": "tickets", "operations": [{"methods": ["GET"]}]}]}`)
			g.wantCall(200, "ok", "/tickets", token)
			g.want(200, "", "PUT", "/v1/policies/late", `{"name": "late", "access": [{"api": "tickets", "operations": [{"methods": ["PUT"]}]}]}`)
			g.wantCall(403, "operation_not_granted", "/tickets", token)
			g.want(200, "", "PUT", "/v1/policies/late", `{"name": "late", "access": [{"api": "tickets"}]}`)
			g.wantCall(200, "ok", "/tickets", token)
			_, _, secret := g.makeKey(`{"name": "k", "owner": "erin", "policies": ["late"]}`)
			g.want(201, "", "POST", "/v1/revocations", `{"kind": "subject", "value": "mallory", "issuer": "*"}`)
			g.stop()
			g.start()
			g.wantCall(200, "ok", "/tickets", token)
			g.wantCall(200, "ok", "/tickets", "X-Api-Key: "+secret)
			g.wantCall(401, "token_revoked", "/tickets", bearer(t, map[string]any{"sub": "mallory"}))
			report := g.want(200, `"user":"dave"`, "GET", "/v1/usage?user=dave&api=tickets", "")
			callers := report.member(t, "callers").([]any)
			if len(callers) == 0 || strings.Contains(report.body, "erin") {
				t.Errorf("usage: %s", report.body)
			}
			g.want(204, "", "DELETE", "/v1/policies/late", "")
			g.wantCall(403, "policy_unknown", "/tickets", token)
		})
	}
}

// TestReload: a reload takes new admin tokens over, keeps what was told here, and is refused if both together are bad.
func TestReload(t *testing.T) {
	t.Parallel()
	g := start(t)
	reload := func(expect string) {
		t.Helper()
		g.write()
		const asked = `"msg":"reloading, as asked"`
		before := strings.Count(g.log.String(), asked)
		g.hangup <- struct{}{}
		g.await(func() bool {
			parts := strings.Split(g.log.String(), asked)
			return len(parts) > before+1 && strings.Contains(parts[len(parts)-1], expect)
		})
	}
	g.want(201, "", "PUT", "/v1/access/all", `{"name": "all", "everyone": true, "apis": ["orders"], "plan": "fixed"}`)
	address := g.app.AdminAddr().String()
	good := g.text
	g.text = strings.Replace(good, writer, other, 1)
	reload(`"msg":"configuration taken over"`)
	if g.app.AdminAddr().String() != address {
		t.Error("the door has moved")
	}
	g.want(401, "", "GET", "/v1/access", "")
	g.want(200, `"name":"all"`, "GET", "/v1/access", "", "Authorization: Bearer "+other)
	g.text = strings.Replace(good, "role: write", "role: read", 1)
	reload(`"msg":"configuration taken over"`)
	g.want(403, "", "DELETE", "/v1/access/all", "")
	g.text = good
	reload(`"msg":"configuration taken over"`)
	g.text = strings.Replace(good, "plans: [{name: fixed}]", "", 1)
	reload(`configuration refused`)
	g.wantCall(200, "ok", "/orders", bearer(t, nil))
	g.want(200, "", "GET", "/v1/plans/fixed", "")
	g.want(204, "", "DELETE", "/v1/access/all", "")
	reload(`"msg":"configuration taken over"`)
	g.want(404, "", "GET", "/v1/plans/fixed", "")
}

// TestTwoGateways share a Redis: changes and revocations of one are in force at the other within a second, and of two changes to one version one wins.
func TestTwoGateways(t *testing.T) {
	server := redistest.Start(t)
	store := fmt.Sprintf("{driver: redis, redis: {addresses: [%q]}}", server.Address)
	here, there := configure(t, store), configure(t, store)
	here.start()
	there.start()
	within := func(what string, ok func() bool) {
		t.Helper()
		begin := time.Now()
		there.await(ok)
		if took := time.Since(begin); took > 3*time.Second { // a second, and more for a busy machine
			t.Errorf("%s: %s", what, took)
		}
	}
	token := bearer(t, map[string]any{"jti": "t-9"})
	there.wantCall(200, "ok", "/tickets", token)
	here.want(201, "", "POST", "/v1/revocations", fmt.Sprintf(`{"kind": "token", "value": "t-9", "issuer": %q}`, issuer))
	within("a revocation", func() bool {
		status, body := there.call("/tickets", token)
		return status == 401 && strings.Contains(body, "token_revoked")
	})

	late := bearer(t, map[string]any{"pol": "late"})
	made := here.want(201, "", "PUT", "/v1/policies/late", `{"name": "late", "access": [{"api": "tickets"}]}`)
	within("a policy", func() bool { status, _ := there.call("/tickets", late); return status == 200 })
	_, _, secret := here.makeKey(`{"name": "k", "policies": ["late"]}`)
	within("a key", func() bool { status, _ := there.call("/tickets", "X-Api-Key: "+secret); return status == 200 })

	// Both know a version; one of them may change it.
	tag := made.header.Get("ETag")
	for round := range 10 {
		statuses := make([]answer, 2)
		var group sync.WaitGroup
		for i, g := range []*gateway{here, there} {
			group.Go(func() {
				statuses[i] = g.do("PUT", "/v1/policies/late", fmt.Sprintf(`{"name": "late", "tags": ["%d-%d"], "access": [{"api": "tickets"}]}`, round, i), "If-Match: "+tag)
			})
		}
		group.Wait()
		if a, b := statuses[0].status, statuses[1].status; min(a, b) != 200 || max(a, b) != 412 {
			t.Fatalf("round %d: %v", round, statuses)
		}
		tag = statuses[0].header.Get("ETag") + statuses[1].header.Get("ETag")
	}

	// A rule at one gateway and the end of its plan at the other: never both.
	for round := range 5 {
		here.want(201, "", "PUT", "/v1/plans/gold", `{"name": "gold"}`)
		var rule, plan answer
		var group sync.WaitGroup
		group.Go(func() {
			rule = here.do("PUT", "/v1/access/gold", `{"name": "gold", "everyone": true, "apis": ["orders"], "plan": "gold"}`)
		})
		group.Go(func() { plan = there.do("DELETE", "/v1/plans/gold", "") })
		group.Wait()
		if (rule.status == 201) == (plan.status == 204) {
			t.Fatalf("round %d: %v %v", round, rule, plan)
		}
		if rule.status == 201 {
			here.want(204, "", "DELETE", "/v1/access/gold", "")
			here.want(204, "", "DELETE", "/v1/plans/gold", "")
		}
	}
}

// TestStoreIsGone: a gateway whose store cannot be reached does not start, and says why.
func TestStoreIsGone(t *testing.T) {
	t.Parallel()
	g := configure(t, fmt.Sprintf("{driver: redis, redis: {addresses: [%q]}}", redistest.FreeAddress(t)))
	g.write()
	gate := app.New(app.Options{Load: app.File(g.file), Log: &g.log, Access: &g.log, Version: "v0"})
	defer gate.Stop(context.Background())
	begin := time.Now()
	err := gate.Start(t.Context())
	if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), "store (redis) could not be read within 15s") || took > 25*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
}

// TestManyChanges: changes of many at once are all in force, one after the other, while a reload comes in between and requests go on.
func TestManyChanges(t *testing.T) {
	t.Parallel()
	g := start(t)
	token := bearer(t, map[string]any{"pol": "counted"})
	var group sync.WaitGroup
	kinds := []api.Kind{api.Plans, api.Applications, api.Policies, api.GroupRates}
	for i, kind := range kinds {
		group.Go(func() {
			for n := range 10 {
				path := fmt.Sprintf("/v1/%s/n-%d-%d", kind, i, n)
				body := strings.ReplaceAll(lives[kind][0], "NAME", fmt.Sprintf("n-%d-%d", i, n))
				if kind == api.Applications {
					body = strings.ReplaceAll(body, "a-1", fmt.Sprintf("a-%d-%d", i, n))
				}
				g.want(201, "", "PUT", path, body)
				if n%2 == 0 {
					g.want(204, "", "DELETE", path, "")
				}
			}
		})
	}
	group.Go(func() {
		for range 3 {
			g.hangup <- struct{}{}
		}
	})
	group.Go(func() {
		for range 20 {
			if status, _ := g.call("/tickets", token); status != 200 && status != 429 {
				t.Errorf("%d", status)
			}
		}
	})
	group.Wait()
	for _, kind := range kinds {
		a := g.do("GET", "/v1/"+string(kind), "")
		if n := strings.Count(a.body, `"origin":"api"`); n != 5 {
			t.Errorf("%s: %d are left, want 5", kind, n)
		}
	}
	if strings.Contains(g.log.String(), "refused, the former") {
		t.Error(g.log.String())
	}
}
