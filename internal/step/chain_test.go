package step_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/step/authorize"
	"github.com/jotgate/jotgate/internal/step/claimheaders"
	"github.com/jotgate/jotgate/internal/step/cors"
	"github.com/jotgate/jotgate/internal/step/credentials"
	"github.com/jotgate/jotgate/internal/step/sanitize"
	"github.com/jotgate/jotgate/jose"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// chain is an API with all steps, in the order in which they are run, and real key sources.
type chain struct {
	steps []gate.Step
	keys  map[string]*jose.SigningKey // by provider
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{keys: make(map[string]*jose.SigningKey)}
	manager := keys.NewManager(keys.Options{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(manager.Close)
	var providers []*jwt.Provider
	for name, alg := range map[string]jose.Algorithm{"a": jose.ES256, "b": jose.RS256} {
		key, err := jose.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		c.keys[name] = key
		pem, err := key.Public().MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		p := &gate.Provider{
			Name: name, Issuer: "https://" + name + ".example.com", PublicKey: string(pem), Algorithms: []string{alg.String()}, Audiences: []string{"tickets"},
		}
		p.SetDefaults()
		source, problems := manager.Acquire(p)
		if problems != nil {
			t.Fatal(problems)
		}
		t.Cleanup(source.Release)
		compiled, problems := jwt.NewProvider(p, source)
		if problems != nil {
			t.Fatal(problems)
		}
		providers = append(providers, compiled)
	}
	verifier, err := jwt.New(providers)
	if err != nil {
		t.Fatal(err)
	}
	c.build(t, verifier)
	return c
}

func (c *chain) build(t *testing.T, verifier *jwt.Verifier) {
	t.Helper()
	api := &gate.API{
		Name: "tickets",
		CORS: &gate.CORS{AllowOrigins: []string{"https://app.example.com"}},
		Auth: gate.Auth{JWT: &gate.JWT{
			Providers: []string{"a", "b"}, From: []gate.TokenSource{{Header: "Authorization"}, {Cookie: "token"}},
			Claims: "Equals(`grp`, `admin`)", Scopes: []string{"tickets:read"}, StripAuthorization: true,
			ForwardHeaders: map[string]string{"X-User": "sub", "X-Tenant": "tenant"},
		}},
	}
	answer, problems := cors.New(api)
	allow, more := authorize.New(api)
	problems = append(problems, more...)
	forward, more := claimheaders.New(api, claimheaders.Omit)
	problems = append(problems, more...)
	find, more := credentials.New(api, jwt.NewAdmission(verifier, func(id *gate.Identity, trace *gate.Trace) (gate.Header, error) {
		if err := allow.Judge(id, trace); err != nil {
			return nil, err
		}
		return forward.Fields(id, trace)
	}, jwt.NewCache(jwt.MinCacheBytes, new(jwt.CacheCounters)), nil), nil)
	if problems = append(problems, more...); problems != nil {
		t.Fatal(problems)
	}
	c.steps = []gate.Step{sanitize.New([]string{"X-User", "X-Tenant"}), answer, find, forward}
}

// token is a good token of a provider, with some of its text replaced.
func (c *chain) token(t *testing.T, provider string, replace ...string) string {
	t.Helper()
	payload := fmt.Sprintf(`{"iss":"https://%s.example.com","aud":"tickets","sub":"alice","grp":"admin","scope":"tickets:read","exp":%d}`, provider, now.Unix()+60)
	token, err := c.keys[provider].Sign([]byte(strings.NewReplacer(replace...).Replace(payload)), jose.SigningHeader{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (c *chain) run(method string, in gate.Header) (*gate.Exchange, error) {
	x := &gate.Exchange{
		Context: context.Background(), Start: now, Method: method, Scheme: "https", Host: "api.example.com", In: in,
		Peer: netip.MustParseAddrPort("192.0.2.7:1"), Client: netip.MustParseAddrPort("192.0.2.7:1"), Body: io.NopCloser(strings.NewReader("")),
	}
	for _, step := range c.steps {
		if err := step.Handle(x); err != nil {
			return x, err
		}
	}
	return x, nil
}

func header(lines ...string) gate.Header {
	var h gate.Header
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestChain(t *testing.T) {
	c := newChain(t)
	good := c.token(t, "a")
	for _, tt := range []struct {
		name  string
		token string
		want  gate.Reason
	}{
		{"good of a", good, ""},
		{"good of b", c.token(t, "b"), ""},
		{"attack: a's key for b's issuer", c.token(t, "a", "https://a.", "https://b."), gate.ReasonAlgNotAllowed},
		{"attack: other audience", c.token(t, "a", `"tickets"`, `"billing"`), gate.ReasonAudienceMismatch},
		{"attack: claim not enough", c.token(t, "a", `"admin"`, `"user"`), gate.ReasonClaims},
		{"attack: scope not enough", c.token(t, "a", "tickets:read", "tickets:write"), gate.ReasonScope},
		{"attack: identity that would break a header", c.token(t, "a", "alice", `alice\r\nX-Admin: 1`), gate.ReasonForwardClaim},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := c.run("GET", header("Authorization: Bearer "+tt.token))
			if err != nil || tt.want != "" {
				if got := gate.AsDenial(err).Reason; got != tt.want {
					t.Errorf("reason %q, want %q", got, tt.want)
				}
				return
			}
			if x.Out.Get("X-User") != "alice" || x.Out.Has("Authorization") {
				t.Errorf("forwarded %v", x.Out)
			}
		})
	}
}

// TestChainIsConcurrent: one set of steps serves all requests at once, each with its own identity.
func TestChainIsConcurrent(t *testing.T) {
	c := newChain(t)
	var group sync.WaitGroup
	for i := range 16 {
		name := fmt.Sprint("user-", i)
		in := header("Authorization: Bearer " + c.token(t, []string{"a", "b"}[i%2], "alice", name))
		group.Go(func() {
			for range 20 {
				x, err := c.run("GET", in)
				if err != nil || x.Out.Get("X-User") != name || x.Identity.Subject != name {
					t.Errorf("%s became %v, %v", name, x.Out.Get("X-User"), err)
				}
			}
		})
	}
	group.Wait()
}

// TestAttackSpoofedIdentity: what reaches the upstream under our names is from the token, or nothing.
func TestAttackSpoofedIdentity(t *testing.T) {
	c := newChain(t)
	x, err := c.run("GET", header(
		"Connection: X-User, X-Tenant, Authorization, Cookie",
		"X-User: root", "x_user: root", "X.USER: root", "X-Tenant: evil", "X_TENANT: evil",
		"Authorization: Bearer "+c.token(t, "a"), "Cookie: lang=en"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range x.Out {
		if folded := gate.FoldName(f.Name); folded == "x-user" || folded == "x-tenant" {
			got = append(got, f.Name+": "+f.Value)
		}
	}
	if diff := cmp.Diff([]string{"X-User: alice"}, got); diff != "" {
		t.Errorf("forwarded (-want +got):\n%s", diff)
	}
}

// TestPreflightNeedsNoToken, and is never forwarded.
func TestPreflightNeedsNoToken(t *testing.T) {
	c := newChain(t)
	x, err := c.run("OPTIONS", header("Origin: https://app.example.com", "Access-Control-Request-Method: GET"))
	if !errors.Is(err, gate.ErrAnswered) || x.Status != 204 {
		t.Errorf("status %d, %v", x.Status, err)
	}
	if _, err := c.run("OPTIONS", header("Origin: https://app.example.com")); gate.AsDenial(err).Reason != gate.ReasonTokenMissing {
		t.Errorf("an OPTIONS request that is no preflight: %v", err)
	}
}
