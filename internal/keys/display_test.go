package keys

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestDisplay(t *testing.T) {
	for address, want := range map[string]string{
		"https://id.example.com/jwks":                    "https://id.example.com/jwks",
		"https://user:pass@id.example.com/jwks":          "https://id.example.com/jwks",
		"https://id.example.com/jwks?apikey=hunter2":     "https://id.example.com/jwks?…",
		"https://id.example.com/jwks?":                   "https://id.example.com/jwks",
		"https://id.example.com/jwks?a=b#hunter2":        "https://id.example.com/jwks?…",
		"/jwks/?apikey=hunter2":                          "/jwks/?…",
		"https://id.example.com/%zz?apikey=hunter2":      "(not a URL)",
		"https://id.example.com/a%2Fb?apikey=hunter2&c=": "https://id.example.com/a%2Fb?…",
	} {
		if got := display(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// locked is a log that is read after many wrote to it.
type locked struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// The query of an address may hold a key. Whatever the provider does, neither the log nor the status shows it.
func TestQueriesAreNotShown(t *testing.T) {
	const key = `hunter2"quoted"%25`
	set := setOf(t, "a")
	echo := func(location string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", fmt.Sprintf(location, r.URL.RawQuery))
			w.WriteHeader(http.StatusFound)
		}
	}
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, buffer, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			fmt.Fprintf(buffer, answer, r.URL.RequestURI())
			_ = buffer.Flush()
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a good set":             body(set),
		"an error":               status(http.StatusInternalServerError, ""),
		"a broken connection":    abort,
		"a redirect":             echo("/elsewhere/?%s"),
		"a redirect to http":     echo("http://elsewhere.example.com/?%s"),
		"a redirect to nowhere":  echo("http://%%zz/?%s"),
		"redirects without end":  echo("?%s"),
		"what is not HTTP":       raw("%s is what you want\r\n\r\n"),
		"a header that is none":  raw("HTTP/1.1 200 OK\r\n%s\r\n\r\n"),
		"a status that is none":  raw("HTTP/1.1 %s\r\n\r\n"),
		"a length that is none":  raw("HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n"),
		"an encoding that isn't": raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n"),
	} {
		for _, redirects := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d redirects", name, redirects), func(t *testing.T) {
				provider := newIDP(t, answer)
				address := provider.URL + "/jwks?apikey=" + key
				urls := urlProvider(address, provider.URL+"/jwks?apikey=b"+key, provider.URL+"/other?apikey="+key)
				discovery := discoveryProvider("https://id.example.com")
				discovery.DiscoveryURL = address
				moved := newIDP(t, body(metadata("https://id.example.com", strings.ReplaceAll(address, `"`, `\"`))))
				moving := discoveryProvider("https://id.example.com")
				moving.DiscoveryURL = moved.URL + "/?apikey=" + key
				refused := newIDP(t, body(metadata("https://id.example.com", "http://elsewhere.example.com/?"+strings.ReplaceAll(key, `"`, `\"`))))
				refusing := discoveryProvider("https://id.example.com")
				refusing.DiscoveryURL = refused.URL + "/?apikey=" + key
				for _, p := range []*gate.Provider{urls, discovery, moving, refusing} {
					p.Fetch.MaxRedirects = redirects
					log := new(locked)
					m := NewManager(Options{Log: slog.New(slog.NewTextHandler(log, nil))})
					s, problems := m.Acquire(p)
					if problems.Err() != nil {
						t.Fatal(problems)
					}
					eventually(t, "every document was tried", func() bool {
						for _, part := range s.Status().Parts {
							if part.LastError == "" && part.LastSuccess.IsZero() {
								return false
							}
						}
						return true
					})
					state, err := json.Marshal(s.Status())
					if err != nil {
						t.Fatal(err)
					}
					waited := ""
					if !s.Ready() {
						waited = s.Status().Error
					}
					s.Release()
					m.Close()
					if all := log.String() + string(state) + waited; strings.Contains(all, "hunter2") {
						t.Error(all)
					}
				}
			})
		}
	}
}

// Addresses that differ in what is not shown are told apart.
func TestLocationsAreUnique(t *testing.T) {
	set := setOf(t, "a")
	provider := newIDP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "b" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, set)
	})
	s := acquire(t, newManager(t, ""), urlProvider(provider.URL+"/?a", provider.URL+"/?b", provider.URL+"/c", provider.URL+"/?d"))
	locations := func() (all []string) {
		for _, part := range s.Status().Parts {
			all = append(all, strings.TrimPrefix(part.Location, provider.URL))
		}
		return all
	}
	const want = "[/?… /?… (2) /c /?… (3)]"
	if got := fmt.Sprint(locations()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	eventually(t, "all were tried", func() bool {
		parts := s.Status().Parts
		return !parts[0].LastSuccess.IsZero() && parts[1].LastError != "" && !parts[2].LastSuccess.IsZero() && !parts[3].LastSuccess.IsZero()
	})
	if got := fmt.Sprint(locations()); got != want {
		t.Errorf("after fetching: %s, want %s", got, want)
	}
	if e := s.Status().Error; !strings.HasPrefix(e, provider.URL+"/?… (2): ") {
		t.Error(e)
	}

	const issuer = "https://id.example.com"
	var metadataSite *idp
	metadataSite = newIDP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "set" {
			fmt.Fprint(w, set)
			return
		}
		fmt.Fprint(w, metadata(issuer, metadataSite.URL+"/?set"))
	})
	p := discoveryProvider(issuer)
	p.DiscoveryURL = metadataSite.URL + "/?metadata"
	s = acquire(t, newManager(t, ""), p)
	ready(t, s)
	if parts := s.Status().Parts; parts[0].Location != metadataSite.URL+"/?…" || parts[1].Location != metadataSite.URL+"/?… (2)" {
		t.Errorf("%+v", parts)
	}
}
