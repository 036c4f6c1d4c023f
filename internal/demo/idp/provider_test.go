package idp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/demo/idp"
	"github.com/jotgate/jotgate/jose"
)

const issuer = "http://127.0.0.1:9100"

var now = time.Unix(1_800_000_000, 0)

func newProvider(t *testing.T) *idp.Provider {
	t.Helper()
	p, err := idp.New(issuer, "tickets", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func serve(p *idp.Provider, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result()
}

func post(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// token asks for a token and returns it.
func token(t *testing.T, p *idp.Provider, form url.Values) string {
	t.Helper()
	form.Set("grant_type", "client_credentials")
	r := post("/token", form)
	r.SetBasicAuth("demo", "demo-secret")
	r.Header.Set("Accept", "text/plain")
	response := serve(p, r)
	text := string(body(t, response))
	if response.StatusCode != http.StatusOK {
		t.Fatalf("token: %d %s", response.StatusCode, text)
	}
	return strings.TrimSpace(text)
}

func keySet(t *testing.T, p *idp.Provider) *jose.Set {
	t.Helper()
	response := serve(p, httptest.NewRequest(http.MethodGet, "/jwks", nil))
	set, problems, err := jose.ParseSet(body(t, response), jose.SetOptions{})
	if err != nil || len(problems) > 0 {
		t.Fatalf("jwks: %v %v", err, problems)
	}
	return set
}

// verify returns the claims of a token that a key of the set signed, nil if none did.
func verify(t *testing.T, text string, set *jose.Set) map[string]any {
	t.Helper()
	m, err := jose.Parse(text, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Header()
	for _, key := range set.Candidates(h.KeyID, h.Algorithm) {
		payload, err := jose.Verify(m, key, jose.NewAlgorithms(jose.RS256, jose.ES256))
		if err != nil {
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	return nil
}

func TestToken(t *testing.T) {
	p := newProvider(t)
	at := func(d time.Duration) float64 { return float64(now.Add(d).Unix()) }
	common := map[string]any{
		"iss": issuer, "sub": "demo", "client_id": "demo", "aud": "tickets", "scope": "tickets:read",
		"iat": at(0), "exp": at(5 * time.Minute),
	}
	tests := []struct {
		name string
		form url.Values
		alg  jose.Algorithm
		want map[string]any
	}{
		{"default", url.Values{}, jose.RS256, nil},
		{"elliptic curve", url.Values{"alg": {"ES256"}}, jose.ES256, nil},
		{"audience", url.Values{"audience": {"a"}}, jose.RS256, map[string]any{"aud": "a"}},
		{"audience and resource", url.Values{"audience": {"a"}, "resource": {"b"}}, jose.RS256, map[string]any{"aud": []any{"a", "b"}}},
		{"scope", url.Values{"scope": {"tickets:read tickets:write"}}, jose.RS256, map[string]any{"scope": "tickets:read tickets:write"}},
		{"group", url.Values{"grp": {"admin"}}, jose.RS256, map[string]any{"grp": "admin"}},
		{"short", url.Values{"ttl": {"1"}}, jose.RS256, map[string]any{"exp": at(time.Second)}},
		{"expired", url.Values{"ttl": {"-60"}}, jose.RS256, map[string]any{"exp": at(-time.Minute), "iat": at(-6 * time.Minute)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := token(t, p, tt.form)
			m, err := jose.Parse(text, jose.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if h := m.Header(); h.Algorithm != tt.alg || h.Type != "at+jwt" {
				t.Errorf("header: alg %s, typ %q", h.Algorithm, h.Type)
			}
			got := verify(t, text, keySet(t, p))
			if id, _ := got["jti"].(string); len(id) < 20 {
				t.Errorf("jti %q is too short", id)
			}
			delete(got, "jti")
			want := make(map[string]any)
			for name, value := range common {
				want[name] = value
			}
			for name, value := range tt.want {
				want[name] = value
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenAnswers(t *testing.T) {
	p := newProvider(t)
	secret := url.Values{"grant_type": {"client_credentials"}, "client_id": {"demo"}, "client_secret": {"demo-secret"}}
	with := func(name, value string) url.Values {
		form := make(url.Values)
		for n, v := range secret {
			form[n] = v
		}
		form.Set(name, value)
		return form
	}
	tests := []struct {
		name   string
		form   url.Values
		basic  []string
		status int
		code   string
	}{
		{name: "secret in the form", form: secret, status: 200},
		{name: "secret in the header", form: url.Values{"grant_type": {"client_credentials"}}, basic: []string{"demo", "demo%2Dsecret"}, status: 200},
		{name: "secret in both", form: secret, basic: []string{"demo", "demo-secret"}, status: 400, code: "invalid_request"},
		{name: "no secret", form: url.Values{"grant_type": {"client_credentials"}}, status: 401, code: "invalid_client"},
		{name: "wrong secret", form: with("client_secret", "x"), status: 401, code: "invalid_client"},
		{name: "wrong client", form: with("client_id", "x"), status: 401, code: "invalid_client"},
		{name: "secret not form-encoded", form: url.Values{}, basic: []string{"demo", "%"}, status: 401, code: "invalid_client"},
		{name: "other grant", form: with("grant_type", "password"), status: 400, code: "unsupported_grant_type"},
		{name: "unknown scope", form: with("scope", "tickets:read root"), status: 400, code: "invalid_scope"},
		{name: "lifetime not a number", form: with("ttl", "1h"), status: 400, code: "invalid_request"},
		{name: "lifetime too long", form: with("ttl", "86401"), status: 400, code: "invalid_request"},
		{name: "unknown algorithm", form: with("alg", "none"), status: 400, code: "invalid_request"},
		{name: "too much", form: with("grp", strings.Repeat("x", 20<<10)), status: 400, code: "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := post("/token", tt.form)
			if tt.basic != nil {
				r.SetBasicAuth(tt.basic[0], tt.basic[1])
			}
			response := serve(p, r)
			var got struct {
				Error   string
				Token   string `json:"access_token"`
				Type    string `json:"token_type"`
				Expires int    `json:"expires_in"`
			}
			if err := json.Unmarshal(body(t, response), &got); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tt.status || got.Error != tt.code {
				t.Errorf("%d %q, want %d %q", response.StatusCode, got.Error, tt.status, tt.code)
			}
			if response.Header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be cached")
			}
			if (tt.status == 200) != (got.Token != "" && got.Type == "Bearer" && got.Expires == 300) {
				t.Errorf("token answer of status %d: %+v", tt.status, got)
			}
			if (tt.status == 401) != (response.Header.Get("WWW-Authenticate") != "") {
				t.Error("a challenge belongs to 401 and to nothing else")
			}
		})
	}
}

func TestRotate(t *testing.T) {
	p := newProvider(t)
	rotate := func() idp.Rotation {
		var got idp.Rotation
		if err := json.Unmarshal(body(t, serve(p, httptest.NewRequest(http.MethodPost, "/rotate", nil))), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	old, oldSet := token(t, p, url.Values{}), keySet(t, p)
	if oldSet.Len() != 2 {
		t.Fatalf("%d keys at the start, want 2", oldSet.Len())
	}

	first := rotate()
	if len(first.Signing) != 2 || len(first.Published) != 4 {
		t.Errorf("after one rotation: %+v", first)
	}
	fresh := token(t, p, url.Values{})
	if verify(t, fresh, oldSet) != nil {
		t.Error("the token after the rotation is signed with the old key")
	}
	for name, text := range map[string]string{"old": old, "new": fresh} {
		if verify(t, text, keySet(t, p)) == nil {
			t.Errorf("the %s token is not good after one rotation", name)
		}
	}

	second := rotate()
	if !slices.Equal(second.Published[2:], first.Signing) {
		t.Errorf("published %v, want the keys before (%v) at the end", second.Published, first.Signing)
	}
	if verify(t, old, keySet(t, p)) != nil {
		t.Error("the first token is still good after two rotations")
	}
	if verify(t, fresh, keySet(t, p)) == nil {
		t.Error("the second token is not good after two rotations")
	}
}

func TestDocuments(t *testing.T) {
	p := newProvider(t)
	response := serve(p, httptest.NewRequest(http.MethodGet, "/.well-known/openid-configuration", nil))
	var document struct {
		Issuer string
		JWKS   string   `json:"jwks_uri"`
		Token  string   `json:"token_endpoint"`
		Algs   []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := json.Unmarshal(body(t, response), &document); err != nil {
		t.Fatal(err)
	}
	if document.Issuer != issuer || document.JWKS != issuer+"/jwks" || document.Token != issuer+"/token" {
		t.Errorf("discovery document: %+v", document)
	}
	if diff := cmp.Diff([]string{"RS256", "ES256"}, document.Algs); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}

	response = serve(p, httptest.NewRequest(http.MethodGet, "/jwks", nil))
	if got := response.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control %q", got)
	}
	conditional := httptest.NewRequest(http.MethodGet, "/jwks", nil)
	conditional.Header.Set("If-None-Match", response.Header.Get("ETag"))
	if got := serve(p, conditional).StatusCode; got != http.StatusNotModified {
		t.Errorf("status %d for an unchanged set, want 304", got)
	}
	if _, err := p.Rotate(); err != nil {
		t.Fatal(err)
	}
	if got := serve(p, conditional).StatusCode; got != http.StatusOK {
		t.Errorf("status %d for a changed set, want 200", got)
	}
}
