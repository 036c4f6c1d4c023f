package keys

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

func TestWellKnown(t *testing.T) {
	for _, tc := range []struct {
		issuer string
		want   []string
	}{
		{"https://id.example", []string{"https://id.example/.well-known/openid-configuration", "https://id.example/.well-known/oauth-authorization-server"}},
		{"https://id.example/", []string{"https://id.example/.well-known/openid-configuration", "https://id.example/.well-known/oauth-authorization-server"}},
		{"https://id.example:8443/realms/a%2Fb/", []string{
			"https://id.example:8443/realms/a%2Fb/.well-known/openid-configuration",
			"https://id.example:8443/.well-known/oauth-authorization-server/realms/a%2Fb",
			"https://id.example:8443/.well-known/openid-configuration/realms/a%2Fb",
		}},
		{"id.example", nil},
		{"urn:issuer", nil},
		{"https://", nil},
		{"https://id.example?a=b", nil},
		{"https://id.example?", nil},
		{"https://id.example#a", nil},
		{"https://user@id.example", nil},
	} {
		got, err := wellKnown(tc.issuer)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err == nil) != (tc.want != nil) {
			t.Errorf("%s: %v %s", tc.issuer, err, diff)
		}
	}
}

func TestReadMetadata(t *testing.T) {
	const issuer = "https://id.example"
	for _, tc := range []struct {
		name, place, body, want string // want: the jwks_uri, or part of the error
	}{
		{"good", issuer, `{"issuer":"https://id.example","jwks_uri":"https://keys.example/jwks","x":[1,{"issuer":"y"}]}`, "https://keys.example/jwks"},
		{"other issuer", issuer, `{"issuer":"https://id.example/","jwks_uri":"https://keys.example/jwks"}`, "of another issuer"},
		{"case of issuer", issuer, `{"issuer":"https://ID.example","jwks_uri":"https://keys.example/jwks"}`, "of another issuer"},
		{"case of member", issuer, `{"Issuer":"https://id.example","jwks_uri":"https://keys.example/jwks"}`, "no string issuer"},
		{"issuer twice", issuer, `{"issuer":"https://id.example","issuer":"https://id.example","jwks_uri":"https://a/"}`, "two members"},
		{"escaped twice", issuer, `{"issuer":"https://id.example","iss\u0075er":"https://id.example","jwks_uri":"https://a/"}`, "two members"},
		{"no issuer", issuer, `{"jwks_uri":"https://keys.example/jwks"}`, "no string issuer"},
		{"null issuer", issuer, `{"issuer":null,"jwks_uri":"https://keys.example/jwks"}`, "no string issuer"},
		{"no jwks_uri", issuer, `{"issuer":"https://id.example"}`, "no string jwks_uri"},
		{"empty jwks_uri", issuer, `{"issuer":"https://id.example","jwks_uri":""}`, "is missing"},
		{"number", issuer, `{"issuer":"https://id.example","jwks_uri":7}`, "no string jwks_uri"},
		{"http", issuer, `{"issuer":"https://id.example","jwks_uri":"http://id.example/jwks"}`, "is not https"},
		{"file", issuer, `{"issuer":"https://id.example","jwks_uri":"file://id.example/jwks"}`, "is not https"},
		{"relative", issuer, `{"issuer":"https://id.example","jwks_uri":"/jwks"}`, "is not a URL"},
		{"user information", issuer, `{"issuer":"https://id.example","jwks_uri":"https://a:b@id.example/jwks"}`, "has user information"},
		{"http from http", "http://id.internal:8080/x", `{"issuer":"https://id.example","jwks_uri":"http://ID.internal:8080/jwks"}`, "http://ID.internal:8080/jwks"},
		{"https from http", "http://id.internal/x", `{"issuer":"https://id.example","jwks_uri":"https://other/jwks"}`, "https://other/jwks"},
		{"other port", "http://id.internal/x", `{"issuer":"https://id.example","jwks_uri":"http://id.internal:81/jwks"}`, "is not https"},
		{"other host", "http://id.internal/x", `{"issuer":"https://id.example","jwks_uri":"http://evil/jwks"}`, "is not https"},
		{"HTML", issuer, `<html>`, "not a JSON object"},
		{"array", issuer, `[]`, "not a JSON object"},
		{"empty", issuer, ``, "not a JSON object"},
		{"cut off", issuer, `{"issuer":"https://id.example"`, "not valid JSON"},
		{"more", issuer, `{"issuer":"https://id.example","jwks_uri":"https://a/"}}`, "data after the object"},
		{"two", issuer, `{"issuer":"https://id.example","jwks_uri":"https://a/"}{}`, "data after the object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := readMetadata([]byte(tc.body), issuer, tc.place)
			if err != nil && (got != "" || !strings.Contains(err.Error(), tc.want)) || err == nil && got != tc.want {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func FuzzReadMetadata(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://id.example","jwks_uri":"https://a/"}`))
	f.Add([]byte(`{"issuer":"https://id.example","jwks_uri":"http://a/"}`))
	f.Add([]byte(`{"issuer":`))
	f.Fuzz(func(t *testing.T, text []byte) {
		uri, err := readMetadata(text, "https://id.example", "https://id.example")
		if err != nil {
			return
		}
		if !strings.HasPrefix(strings.ToLower(uri), "https://") {
			t.Errorf("jwks_uri %q", uri)
		}
		var again struct {
			Issuer string `json:"issuer"`
		}
		if json.Unmarshal(text, &again) == nil && again.Issuer != "https://id.example" && !strings.Contains(strings.ToLower(string(text)), `issuer`) {
			t.Errorf("issuer %q", again.Issuer)
		}
	})
}

// site is a provider with several documents, by path.
type site struct {
	mu    sync.Mutex
	docs  map[string]string
	asked []string
}

func (s *site) set(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[path] = text
}

func (s *site) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = nil }()
	return s.asked
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Path)
	text, ok := s.docs[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
	case text == "500":
		w.WriteHeader(http.StatusInternalServerError)
	default:
		_, _ = w.Write([]byte(text))
	}
}

func metadata(issuer, jwksURI string) string {
	return `{"issuer":"` + issuer + `","jwks_uri":"` + jwksURI + `"}`
}

func discoveryProvider(issuer string) *gate.Provider {
	return &gate.Provider{Name: "p", Issuer: issuer, Discovery: true, Fetch: fetchLimits(), Algorithms: []string{"ES256"}}
}

func TestDiscovery(t *testing.T) {
	const issuer = "http://id.test/realm"
	for _, place := range []string{
		"/realm/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/realm", "/.well-known/openid-configuration/realm",
	} {
		t.Run(place, func(t *testing.T) {
			idp := &site{docs: map[string]string{place: metadata(issuer, "http://id.test/jwks"), "/jwks": setOf(t, "a")}}
			inBubble(t, "", idp.ServeHTTP, func(w *world) {
				t := w.T
				s := acquire(t, w.Manager, discoveryProvider(issuer))
				ready(t, s)
				wantKids(t, s, "a", "a")
				status := s.Status()
				if status.Kind != "discovery" || len(status.Parts) != 2 || status.Parts[0].Location != "http://id.test"+place ||
					status.Parts[1].Location != "http://id.test/jwks" || status.Error != "" {
					t.Errorf("%+v", status)
				}
			})
		})
	}
}

func TestDiscoveryURL(t *testing.T) {
	idp := &site{docs: map[string]string{"/internal": metadata("https://public.example", "http://id.test/jwks"), "/jwks": setOf(t, "a")}}
	inBubble(t, "", idp.ServeHTTP, func(w *world) {
		t := w.T
		p := discoveryProvider("https://public.example")
		p.Discovery, p.DiscoveryURL = false, "http://id.test/internal"
		s := acquire(t, w.Manager, p)
		ready(t, s)
		wantKids(t, s, "a", "a")
		if got := idp.take(); !slices.Equal(got, []string{"/internal", "/jwks"}) {
			t.Errorf("asked for %q", got)
		}
	})
}

// Nothing but the issuer's own document is believed.
func TestDiscoveryRefused(t *testing.T) {
	for name, tc := range map[string]struct{ document, want string }{
		"issuer":   {metadata("http://evil.test", "http://id.test/jwks"), `the discovery document is of another issuer, "http://evil.test"`},
		"jwks_uri": {metadata("http://id.test", "http://evil.test/jwks"), "is not https"},
		"metadata": {metadata("http://id.test", "https://169.254.169.254/jwks"), "link-local"},
		"500":      {"500", "the server answered 500"},
		"HTML":     {"<html>", "the discovery document is invalid: not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			idp := &site{docs: map[string]string{"/.well-known/openid-configuration": tc.document, "/jwks": setOf(t, "a")}}
			inBubble(t, "", idp.ServeHTTP, func(w *world) {
				t := w.T
				p := discoveryProvider("http://id.test")
				s := acquire(t, w.Manager, p)
				start := time.Now()
				err := s.WaitReady(t.Context())
				if err == nil || !strings.Contains(err.Error(), tc.want) || time.Since(start) != p.Fetch.StartWait {
					t.Errorf("ready after %s: %v; want %q", time.Since(start), err, tc.want)
				}
				wantError(t, s, "a", jose.ES256, ErrUnavailable)
				if slices.Contains(idp.take(), "/jwks") {
					t.Error("the set was fetched")
				}
			})
		})
	}
}

// After a restart with the discovery document gone, the set is renewed from where it was.
func TestDiscoveryFromDisk(t *testing.T) {
	dir := t.TempDir()
	idp := &site{docs: map[string]string{"/.well-known/openid-configuration": metadata("http://id.test", "http://id.test/jwks"), "/jwks": setOf(t, "a")}}
	inBubble(t, dir, idp.ServeHTTP, func(w *world) { ready(w.T, acquire(w.T, w.Manager, discoveryProvider("http://id.test"))) })
	idp.set("/.well-known/openid-configuration", "500")
	idp.set("/jwks", setOf(t, "b"))
	inBubble(t, dir, idp.ServeHTTP, func(w *world) {
		t := w.T
		s := acquire(t, w.Manager, discoveryProvider("http://id.test"))
		ready(t, s)
		after(time.Minute)
		wantKids(t, s, "b", "b")
		if got := s.Status().Error; got != "http://id.test/.well-known/openid-configuration: the server answered 500 Internal Server Error" {
			t.Error(got)
		}
	})
}

// When the set moves, it is followed; while the discovery document is broken, the set is still fetched from where it was.
func TestDiscoveryMoves(t *testing.T) {
	const place = "/.well-known/openid-configuration"
	idp := &site{docs: map[string]string{place: metadata("http://id.test", "http://id.test/jwks"), "/jwks": setOf(t, "a")}}
	inBubble(t, "", idp.ServeHTTP, func(w *world) {
		t := w.T
		p := discoveryProvider("http://id.test")
		s := acquire(t, w.Manager, p)
		ready(t, s)

		idp.set(place, "500")
		idp.set("/jwks", setOf(t, "a", "b"))
		after(p.Fetch.MaxRefresh)
		wantKids(t, s, "b", "b")
		if got := s.Status().Error; !strings.Contains(got, "500") {
			t.Errorf("status %q", got)
		}

		idp.set(place, metadata("http://id.test", "http://id.test/moved"))
		idp.set("/jwks", setOf(t, "old"))
		idp.set("/moved", setOf(t, "c"))
		after(p.Fetch.MinRefresh)
		wantKids(t, s, "c", "c") // an unknown kid makes it look again
		wantError(t, s, "a", jose.ES256, ErrUnknownKey)
		if got := s.Status(); got.Error != "" || got.Parts[1].Location != "http://id.test/moved" {
			t.Errorf("%+v", got)
		}
	})
}
