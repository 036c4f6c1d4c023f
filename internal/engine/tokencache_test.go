package engine_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// guarded is two routes to one upstream, of which the second asks for more.
const guarded = `
listeners: [{name: web, address: "127.0.0.1:0"}]
providers:
  - {name: idp, issuer: "https://id.example.com", KEYS, audiences: [AUDIENCE], algorithms: [ES256]}
upstreams: [{name: up, servers: [{url: UPSTREAM}]}]
apis:
  - name: all
    match: PathPrefix(` + "`/`)" + `
    upstream: up
    auth: {jwt: {providers: [idp], forwardHeaders: {X-User: sub}}}
  - name: admin
    match: PathPrefix(` + "`/admin`)" + `
    upstream: up
    auth: {jwt: {providers: [idp], claims: "Equals(` + "`grp`, `admin`" + `)", forwardHeaders: {X-Admin: sub}}}
`

// guardedGateway is a gateway whose keys are in a file.
type guardedGateway struct {
	*gateway
	file string
	key  *jose.SigningKey
}

func newGuarded(t *testing.T) *guardedGateway {
	t.Helper()
	g := &guardedGateway{gateway: newGateway(t), file: filepath.Join(t.TempDir(), "keys.json")}
	g.key = g.newKey(t, "1")
	g.write(t, g.key)
	g.take(t, "tickets", "")
	return g
}

func (*guardedGateway) newKey(t *testing.T, id string) *jose.SigningKey {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key.WithKeyID(id)
}

func (g *guardedGateway) write(t *testing.T, key *jose.SigningKey) {
	t.Helper()
	jwk, err := key.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []json.RawMessage{jwk}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.file, set, 0o600); err != nil {
		t.Fatal(err)
	}
}

// take puts the configuration in force, with an audience and whatever else is added.
func (g *guardedGateway) take(t *testing.T, audience, more string) {
	t.Helper()
	g.use(t, strings.NewReplacer("KEYS", fmt.Sprintf("jwksFile: %q", g.file), "AUDIENCE", audience).Replace(guarded)+more)
}

func (g *guardedGateway) token(t *testing.T, more string) string {
	t.Helper()
	payload := fmt.Sprintf(`{"iss":"https://id.example.com","aud":"tickets","sub":"alice","exp":%d%s}`, time.Now().Add(time.Hour).Unix(), more)
	token, err := g.key.Sign([]byte(payload), jose.SigningHeader{})
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + token
}

// ask sends a request and checks the answer, and whether the token was found in the cache.
func (g *guardedGateway) ask(t *testing.T, path, token string, want gate.Reason, hit bool) {
	t.Helper()
	before := g.TokenCache()
	x, _ := g.do("GET", "http://api.example.com"+path, "Authorization", token, "X-User", "root", "X-Admin", "root")
	got := gate.Reason("")
	if x.Denial != nil {
		got = x.Denial.Reason
	}
	if got != want {
		t.Errorf("%s: reason %q, want %q", path, got, want)
	}
	if after := g.TokenCache(); after.Hits > before.Hits != hit {
		t.Errorf("%s: found in the cache: %v, want %v", path, !hit, hit)
	}
}

// TestAttackTokenCacheRoutes: a token that one API has let in is judged anew by every other, and tells each upstream what that API says.
func TestAttackTokenCacheRoutes(t *testing.T) {
	g := newGuarded(t)
	user, admin := g.token(t, ""), g.token(t, `,"grp":"admin"`)
	g.ask(t, "/x", user, "", false)
	g.ask(t, "/x", user, "", true)
	g.ask(t, "/admin/x", user, gate.ReasonClaims, false)
	g.ask(t, "/admin/x", user, gate.ReasonClaims, false)
	g.ask(t, "/admin/../x", user, "", true)
	g.ask(t, "/admin/x", admin, "", false)
	g.ask(t, "/admin/x", admin, "", true)
	if seen := g.seen.Load(); seen.Header.Get("X-Admin") != "alice" || seen.Header.Get("X-User") != "" {
		t.Errorf("the upstream saw %v", seen.Header)
	}
	g.ask(t, "/x", admin, "", false)
	g.ask(t, "/x", admin, "", true)
	if seen := g.seen.Load(); seen.Header.Get("X-Admin") != "" || seen.Header.Get("X-User") != "alice" {
		t.Errorf("the upstream saw %v", seen.Header)
	}
}

// TestAttackTokenCacheReload: a configuration that was taken over judges everything anew.
func TestAttackTokenCacheReload(t *testing.T) {
	g := newGuarded(t)
	token := g.token(t, "")
	g.ask(t, "/x", token, "", false)
	g.ask(t, "/x", token, "", true)
	g.take(t, "billing", "")
	if got := g.TokenCache(); got.Entries != 0 || got.Hits != 1 || got.Misses != 1 {
		t.Errorf("after a reload: %+v", got)
	}
	g.ask(t, "/x", token, gate.ReasonAudienceMismatch, false)
	g.take(t, "tickets", "")
	g.ask(t, "/x", token, "", false)
}

// TestAttackTokenCacheRemovedKey: once a key source has dropped a key, its tokens are refused, however often they were seen.
func TestAttackTokenCacheRemovedKey(t *testing.T) {
	g := newGuarded(t)
	token := g.token(t, "")
	g.ask(t, "/x", token, "", false)
	g.ask(t, "/x", token, "", true)
	g.write(t, g.newKey(t, "2"))
	deadline := time.Now().Add(20 * time.Second) // files are read every 15 seconds, also where nobody says that they have changed
	for {
		x, _ := g.do("GET", "http://api.example.com/x", "Authorization", token)
		if x.Denial != nil {
			if x.Denial.Reason != gate.ReasonKeyUnknown {
				t.Errorf("reason %q", x.Denial.Reason)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the token is still good")
		}
		time.Sleep(time.Millisecond)
	}
	if got := g.TokenCache(); got.Entries != 0 {
		t.Errorf("the entry is still there: %+v", got)
	}
}

func TestTokenCacheSettings(t *testing.T) {
	g := newGuarded(t)
	token := g.token(t, "")
	g.take(t, "tickets", "tokenCache: {disabled: true, maxBytes: 0}\n")
	g.ask(t, "/x", token, "", false)
	g.ask(t, "/x", token, "", false)
	if got := g.TokenCache(); got != (gate.TokenCacheStatus{}) {
		t.Errorf("%+v", got)
	}
	g.take(t, "tickets", "tokenCache: {maxBytes: 3MiB}\n")
	g.ask(t, "/x", token, "", false)
	g.ask(t, "/x", token, "", true)
	if got := g.TokenCache(); got.MaxBytes != 3<<20 || got.Entries != 1 {
		t.Errorf("%+v", got)
	}
	config := g.parse(t, document+"tokenCache: {maxBytes: 1000kB}\n")
	if _, problems := g.Prepare(config); problems.Err() == nil || !strings.Contains(problems.Error(), "tokenCache.maxBytes: must be at least 1MiB (disabled: true turns the cache off)") {
		t.Error(problems)
	}
}
