package manage_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/jose"
)

const partnerSecret = "a secret that only one of the partners has"

// partner makes a credential of the group that the API orders takes, and returns its path and ETag.
func (g *gateway) partner(id, more string) (path, tag string) {
	g.t.Helper()
	g.mu.Lock()
	g.secrets = append(g.secrets, partnerSecret)
	g.mu.Unlock()
	g.do("PUT", "/v1/access/partners", `{"name": "partners", "groups": ["partners"], "apis": ["orders"]}`)
	made := g.want(201, quoted(id), "POST", "/v1/credentials", `{"id": `+quoted(id)+`, "name": "n", "groups": ["partners"], `+more+`}`)
	return made.header.Get("Location"), made.header.Get("ETag")
}

func partnerToken(t *testing.T, secret, sub string) string {
	t.Helper()
	return signed(t, secret, map[string]any{"iss": "https://partners.example.com", "sub": sub})
}

// TestSuspendedCredentials: a credential is refused at once, and taken again; its secret stays.
func TestSuspendedCredentials(t *testing.T) {
	t.Parallel()
	g := start(t)
	path, tag := g.partner("acme", `"secret": `+quoted(partnerSecret))
	token := partnerToken(t, partnerSecret, "acme")
	g.wantCall(200, "ok", "/orders", token)
	g.want(403, "", "POST", path+"/suspend", "", "Authorization: Bearer "+reader)
	suspended := g.want(200, `"suspended":true`, "POST", path+"/suspend", "", "If-Match: "+tag)
	g.wantCall(403, "credential_suspended", "/orders", token)
	g.want(412, "", "POST", path+"/resume", "", "If-Match: "+tag)
	g.want(400, "If-Match", "POST", path+"/resume", "", "If-Match: *")
	resumed := g.want(200, "", "POST", path+"/resume", "", "If-Match: "+suspended.header.Get("ETag"))
	if strings.Contains(resumed.body+suspended.body, "secret") {
		t.Errorf("a secret is shown: %s", resumed.body)
	}
	g.wantCall(200, "ok", "/orders", token)
	g.want(404, "", "POST", "/v1/credentials/nobody/suspend", "")
	g.want(405, "", "GET", path+"/suspend", "")

	// A key is changed as a whole: never two of them, and never a private one.
	public := quoted(publicPEM(t))
	g.want(400, "only one", "PUT", path, `{"name": "n", "secret": `+quoted(partnerSecret)+`, "public_key": `+public+`}`)
	g.want(400, "public_key", "PUT", path, `{"name": "n", "public_key": `+quoted("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")+`}`)
	g.want(200, "BEGIN PUBLIC KEY", "PUT", path, `{"name": "n", "groups": ["partners"], "public_key": `+public+`}`)
	g.wantCall(401, "key_unknown", "/orders", token) // its algorithm is not of the key's kind
	if a := g.want(200, "BEGIN PUBLIC KEY", "POST", path+"/suspend", ""); strings.Contains(a.body, partnerSecret) {
		t.Errorf("the secret is shown: %s", a.body)
	}
	if a := g.want(200, "", "PUT", path, `{"name": "n", "groups": ["partners"], "secret": `+quoted(partnerSecret)+`}`); strings.Contains(a.body, "public_key") {
		t.Errorf("the public key is left: %s", a.body)
	}
	g.wantCall(200, "ok", "/orders", token)
}

func publicPEM(t *testing.T) string {
	t.Helper()
	key, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNamesOfCredentials: what a provider may say in kid or sub is an ID, and its place is told.
func TestNamesOfCredentials(t *testing.T) {
	t.Parallel()
	g := start(t)
	ids := []string{"a/b", "..", ".", "a//../b", "a b?c#%2F", "ünïcode", strings.Repeat("n", 256), "suspend"}
	for _, id := range ids {
		path, tag := g.partner(id, `"secret": `+quoted(partnerSecret))
		if got := g.want(200, quoted(id), "GET", path, ""); got.header.Get("ETag") != tag {
			t.Errorf("%q is at %s, but was made at %s", id, got.header.Get("ETag"), tag)
		}
		g.want(200, `"suspended":true`, "POST", path+"/suspend", "")
	}
	seen, after := map[any]bool{}, ""
	for range ids {
		a := g.do("GET", "/v1/credentials?limit=1&after="+strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "?", "%3F", "&", "%26").Replace(after), "")
		for _, item := range a.member(t, "items").([]any) {
			seen[item.(map[string]any)["id"]] = true
		}
		after, _ = a.member(t, "next").(string)
	}
	if len(seen) != len(ids) || after != "" {
		t.Errorf("the pages show %d of %d, and then %q", len(seen), len(ids), after)
	}
	for _, id := range []string{"a\x00b", "a\nb", strings.Repeat("n", 257), ""} {
		g.want(400, "id", "POST", "/v1/credentials", `{"id": `+quoted(id)+`, "name": "n", "secret": `+quoted(partnerSecret)+`}`)
	}
}

// TestEndedCredentialsCanBeSuspended: that a credential has ended is no reason to leave it as it is.
func TestEndedCredentialsCanBeSuspended(t *testing.T) {
	t.Parallel()
	g := start(t)
	end := time.Now().Add(1100 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	path, _ := g.partner("brief", `"secret": `+quoted(partnerSecret)+`, "expires": "`+end+`"`)
	token := partnerToken(t, partnerSecret, "brief")
	g.await(func() bool {
		status, body := g.call("/orders", token)
		return status == 401 && strings.Contains(body, "credential_expired")
	})
	g.want(200, `"suspended":true`, "POST", path+"/suspend", "")
	g.want(400, "past", "PUT", path, `{"name": "n", "expires": "2020-01-01T00:00:00Z"}`)
	g.want(200, "", "PUT", path, `{"name": "n", "groups": ["partners"]}`)
	g.wantCall(200, "ok", "/orders", token)
}

// TestChangesOfCredentialsAtOnce: a suspension and a new key are both in force afterwards, whichever came first.
func TestChangesOfCredentialsAtOnce(t *testing.T) {
	t.Parallel()
	g := start(t)
	path, _ := g.partner("acme", `"secret": `+quoted(partnerSecret))
	for round := range 20 {
		key := publicPEM(t)
		var group sync.WaitGroup
		group.Go(func() {
			g.want(200, "", "PUT", path, `{"name": "n", "suspended": true, "public_key": `+quoted(key)+`}`)
		})
		group.Go(func() { g.want(200, `"suspended":true`, "POST", path+"/suspend", "") })
		group.Wait()
		if a := g.do("GET", path, ""); a.member(t, "public_key") != key || a.member(t, "suspended") != true {
			t.Fatalf("round %d: %s", round, fmt.Sprint(a.body))
		}
		g.want(200, "", "POST", path+"/resume", "")
	}
}

// TestChangesOfKeysAtOnce: a suspension and a new name are both in force afterwards, whichever came first.
func TestChangesOfKeysAtOnce(t *testing.T) {
	t.Parallel()
	g := start(t)
	path, _, _ := g.makeKey(`{"name": "k"}`)
	for round := range 20 {
		name := fmt.Sprint("n", round)
		var group sync.WaitGroup
		group.Go(func() { g.want(200, "", "PUT", path, `{"name": `+quoted(name)+`, "suspended": true}`) })
		group.Go(func() { g.want(200, `"suspended":true`, "POST", path+"/suspend", "") })
		group.Wait()
		if a := g.do("GET", path, ""); a.member(t, "name") != name || a.member(t, "suspended") != true {
			t.Fatalf("round %d: %s", round, fmt.Sprint(a.body))
		}
		g.want(200, "", "POST", path+"/resume", "")
	}
}

// TestRevokedCredentials: API keys and individual keys are taken back by their IDs.
func TestRevokedCredentials(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.partner("acme", `"secret": `+quoted(partnerSecret))
	keyPath, _, secret := g.makeKey(`{"name": "k", "policies": ["unlimited"]}`)
	id := strings.TrimPrefix(keyPath, "/v1/api-keys/")
	for _, c := range []struct{ value, path, header string }{
		{"acme", "/orders", partnerToken(t, partnerSecret, "acme")},
		{id, "/tickets", "X-Api-Key: " + secret},
	} {
		g.wantCall(200, "ok", c.path, c.header)
		made := g.want(201, "", "POST", "/v1/revocations", `{"kind": "key", "value": `+quoted(c.value)+`}`)
		g.wantCall(401, "token_revoked", c.path, c.header)
		g.want(204, "", "DELETE", made.header.Get("Location"), "")
		g.wantCall(200, "ok", c.path, c.header)
	}
}
