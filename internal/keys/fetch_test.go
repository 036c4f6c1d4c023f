package keys

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// status answers with a status and a text.
func status(code int, text string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

// slow sends a byte from time to time until the client goes away.
func slow(w http.ResponseWriter, r *http.Request) {
	for {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// bomb returns a small answer that becomes large.
func bomb() http.HandlerFunc {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, `{"keys":[`)
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	for range 16 {
		_, _ = z.Write(spaces)
	}
	_ = z.Close()
	return body(b.String(), "Content-Encoding", "gzip")
}

// faults are what a provider in trouble, or somebody who poses as it, answers, and what the status says about it.
func faults(tb testing.TB) map[string]struct {
	answer http.HandlerFunc
	want   string
} {
	tb.Helper()
	secret := `{"keys":[{"kty":"oct","kid":"a","k":"` + strings.Repeat("A", 43) + `"}]}`
	type fault = struct {
		answer http.HandlerFunc
		want   string
	}
	return map[string]fault{
		"500":                  {status(500, setOf(tb, "x")), "the server answered 500 Internal Server Error"},
		"404":                  {status(404, setOf(tb, "x")), "the server answered 404 Not Found"},
		"204":                  {status(204, ""), "the server answered 204 No Content"},
		"203":                  {status(203, setOf(tb, "x")), "the server answered 203"},
		"304 without a reason": {status(304, ""), "the server answered 304 Not Modified"},
		"HTML":                 {body("<!doctype html><title>Sign in</title>", "Content-Type", "text/html"), "invalid key set"},
		"nothing":              {body(""), "invalid key set"},
		"null":                 {body("null"), "invalid key set"},
		"other JSON":           {body(`{"error":"down"}`), "invalid key set"},
		"array":                {body(`[` + setOf(tb, "x") + `]`), "invalid key set"},
		"keys of another type": {body(`{"keys":{}}`), "invalid key set"},
		"two sets":             {body(setOf(tb, "x") + setOf(tb, "y")), "invalid key set"},
		"cut off":              {body(setOf(tb, "x")[:40]), "invalid key set"},
		"empty set":            {body(`{"keys":[]}`), "the set holds no usable key: it is empty"},
		"unknown key types":    {body(`{"keys":[{"kty":"XYZ","kid":"a"}]}`), "the set holds no usable key: key 0"},
		"secrets":              {body(secret), "the set holds no usable key: key 0"},
		"huge":                 {body(`{"keys":[` + strings.Repeat(" ", 600<<10) + `]}`), "the answer is larger than 512KiB"},
		"gzip bomb":            {bomb(), "the answer is larger than 512KiB"},
		"too many keys":        {body(`{"keys":[` + strings.Repeat(`{},`, 200) + `{}]}`), "too large"},
		"slow":                 {slow, "no complete answer within 500ms"},
		"hanging":              {hang, "no complete answer within 500ms"},
		"broken off":           {abort, "EOF"},
		"redirect":             {status(302, "", "Location", "/elsewhere"), `the server answered 302 Found to "/elsewhere"`},
	}
}

// What a provider in trouble answers is no reason to refuse the tokens of keys that are known, and is told.
func TestFaultsKeepKeys(t *testing.T) {
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp := newIDP(t, body(setOf(t, "a"), "Cache-Control", "max-age=0"))
			p := urlProvider(idp.URL)
			if strings.Contains(fault.want, "500ms") {
				p.Fetch.Timeout = 500 * time.Millisecond
			}
			p.Fetch.MinRefresh, p.Fetch.UnknownKeyInterval = 10*time.Millisecond, 10*time.Millisecond
			m := newManager(t, "")
			s := acquire(t, m, p)
			ready(t, s)
			generation := s.Generation()
			idp.serve(fault.answer)
			eventually(t, "the status says "+fault.want, func() bool { return strings.Contains(s.Status().Error, fault.want) })
			if !s.Status().Ready {
				t.Error("not ready")
			}
			wantKids(t, s, "a", "a")
			wantError(t, s, "unknown", jose.ES256, ErrUnavailable)
			if s.Generation() != generation {
				t.Error("the generation changed")
			}
			idp.serve(body(setOf(t, "a", "b")))
			wantKids(t, s, "b", "b") // looked for at once
			if got := s.Status(); got.Error != "" || got.Generation != generation+1 {
				t.Errorf("not recovered: %+v", got)
			}
		})
	}
}

// Without keys, trouble means 503, not acceptance and not 401.
func TestFaultsWithoutKeys(t *testing.T) {
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idp := newIDP(t, fault.answer)
			p := urlProvider(idp.URL)
			p.Fetch.StartWait = time.Millisecond
			if strings.Contains(fault.want, "500ms") {
				p.Fetch.Timeout = 500 * time.Millisecond
			}
			s := acquire(t, newManager(t, ""), p)
			eventually(t, "the status says "+fault.want, func() bool { return strings.Contains(s.Status().Error, fault.want) })
			err := s.WaitReady(t.Context())
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), fault.want) || !strings.Contains(err.Error(), "provider p: ") {
				t.Errorf("ready: %v; want %q", err, fault.want)
			}
			for _, kid := range []string{"", "a", "x"} {
				wantError(t, s, kid, jose.ES256, ErrUnavailable)
				wantError(t, s, kid, jose.HS256, ErrUnavailable)
			}
		})
	}
}

func TestDown(t *testing.T) {
	idp := newIDP(t, body(setOf(t, "a"), "Cache-Control", "max-age=0"))
	p := urlProvider(idp.URL)
	p.Fetch.MinRefresh = 10 * time.Millisecond
	s := acquire(t, newManager(t, ""), p)
	ready(t, s)
	idp.Close()
	eventually(t, "the provider is found to be down", func() bool { return strings.Contains(s.Status().Error, "connection refused") })
	wantKids(t, s, "a", "a")
	if strings.Count(s.Status().Error, idp.URL) != 1 {
		t.Errorf("the address is not said once: %s", s.Status().Error)
	}
}

// A set with keys of unknown types, broken keys and secrets gives its good keys and tells the others.
func TestMixedSet(t *testing.T) {
	good := setOf(t, "a")
	mixed := strings.TrimSuffix(good, "]}") + `,
		{"kty":"AKP","alg":"ML-DSA-4096","kid":"new","pub":"AA"},
		{"kty":"RSA","kid":"cut"},
		{"kty":"oct","kid":"a","k":"` + strings.Repeat("A", 43) + `"},
		{"kty":"oct","kid":"s","k":"` + strings.Repeat("A", 43) + `"}, 7]}`
	idp := newIDP(t, body(mixed))
	p := urlProvider(idp.URL)
	p.Fetch.UnknownKeyWait = time.Second
	s := acquire(t, newManager(t, ""), p)
	ready(t, s)
	wantKids(t, s, "a", "a")
	wantError(t, s, "a", jose.HS256, ErrUnknownKey)
	wantError(t, s, "s", jose.HS256, ErrUnknownKey)
	if got := s.Status(); len(got.Skipped) != 5 || len(got.Keys) != 1 || got.Error != "" {
		t.Errorf("%+v", got)
	}
}

// A key that a good set no longer holds is not trusted any more.
func TestDroppedKeys(t *testing.T) {
	idp := newIDP(t, body(setOf(t, "a", "b"), "Cache-Control", "max-age=0"))
	p := urlProvider(idp.URL)
	p.Fetch.MinRefresh = 10 * time.Millisecond
	s := acquire(t, newManager(t, ""), p)
	ready(t, s)
	kept, err := s.Keys(t.Context(), "b", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s.Verified(kept[0])
	generation := s.Generation()
	idp.serve(body(setOf(t, "b", "c")))
	eventually(t, "the keys are rotated", func() bool { return s.Generation() == generation+1 })
	if _, err := s.view.Load().find(candidate{"a", jose.ES256}); err == nil {
		t.Error("the dropped key is still trusted")
	}
	again, err := s.Keys(t.Context(), "b", jose.ES256)
	if err != nil || again[0] != kept[0] {
		t.Errorf("the key that stayed is another one: %v, %v", again, err)
	}
	if got := s.Status().Keys[0]; got.KeyID != "b" || got.Tokens != 1 {
		t.Errorf("the counter of the key that stayed: %+v", got)
	}
}

func TestValidators(t *testing.T) {
	set := setOf(t, "a")
	var full, unchanged atomic.Int64
	idp := newIDP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0")
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") == "Mon, 23 Nov 2026 10:00:00 GMT" {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Mon, 23 Nov 2026 10:00:00 GMT")
		fmt.Fprint(w, set)
	})
	p := urlProvider(idp.URL)
	p.Fetch.MinRefresh = 10 * time.Millisecond
	s := acquire(t, newManager(t, ""), p)
	ready(t, s)
	generation := s.Generation()
	eventually(t, "the set is confirmed three times", func() bool { return unchanged.Load() >= 3 })
	if full.Load() != 1 || s.Generation() != generation || s.Status().Error != "" {
		t.Errorf("%d full answers, generation %d after %d, %+v", full.Load(), s.Generation(), generation, s.Status())
	}
	wantKids(t, s, "a", "a")
}

func TestRedirects(t *testing.T) {
	target := newIDP(t, body(setOf(t, "a")))
	secure := httptest.NewTLSServer(body(setOf(t, "a")))
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		most  int
		steps []string // Location of each redirect
		want  string   // "": the set is fetched
	}{
		{"none allowed", 0, []string{"/a"}, "the server answered 302"},
		{"same host", 1, []string{"/a"}, ""},
		{"two", 2, []string{"/a", "/b"}, ""},
		{"more than allowed", 1, []string{"/a", "/b"}, "more than 1 redirects"},
		{"other host over http", 3, []string{target.URL}, "neither https nor the same host"},
		{"to https", 3, []string{secure.URL}, ""},
		{"metadata over https", 3, []string{"https://169.254.169.254/latest/meta-data"}, "169.254.169.254 is link-local"},
		{"metadata over http", 3, []string{"http://169.254.169.254/latest/meta-data"}, "neither https nor the same host"},
		{"mapped metadata", 3, []string{"https://[::ffff:a9fe:a9fe]/"}, "169.254.169.254 is link-local"},
		{"metadata by number", 3, []string{"https://2852039166/"}, "error"},
		{"user information", 3, []string{"https://user:pass@127.0.0.1/"}, "user information"},
		{"file", 3, []string{"file:///etc/passwd"}, "neither https nor the same host"},
		{"loop", 5, []string{"/", "/", "/", "/", "/", "/", "/"}, "more than 5 redirects"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var step atomic.Int64
			idp := newIDP(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Cookie") != "" || r.Header.Get("Referer") != "" || r.Header.Get("User-Agent") != "jotgate" {
					t.Errorf("request header %v", r.Header)
				}
				http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
				if n := int(step.Add(1)) - 1; n < len(tc.steps) {
					http.Redirect(w, r, tc.steps[n], http.StatusFound)
					return
				}
				fmt.Fprint(w, setOf(t, "a"))
			})
			limits := fetchLimits()
			limits.MaxRedirects = tc.most
			limits.TLS = &gate.ClientTLS{CAFile: ca}
			a, err := newFetcher(limits, nil).get(t.Context(), idp.URL, validators{}, false)
			switch {
			case tc.want == "" && (err != nil || string(a.body) != setOf(t, "a")):
				t.Errorf("%s, %v", a.body, err)
			case tc.want == "error" && err == nil, tc.want != "" && tc.want != "error" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %q", err, tc.want)
			case tc.want != "" && a.body != nil:
				t.Errorf("a body beside an error: %s", a.body)
			}
		})
	}
	if target.hits.Load() != 0 {
		t.Error("a refused redirect was followed")
	}
}

// A name that resolves to a refused address is found out when it is dialled.
func TestDialGuard(t *testing.T) {
	idp := newIDP(t, body(setOf(t, "a")))
	u, err := url.Parse(idp.URL)
	if err != nil {
		t.Fatal(err)
	}
	limits := fetchLimits()
	limits.DenyPrivate = true
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		_, err := newFetcher(limits, nil).get(t.Context(), "http://"+host+":"+u.Port(), validators{}, false)
		if err == nil || !strings.Contains(err.Error(), "loopback or private") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if idp.hits.Load() != 0 {
		t.Error("the server was asked")
	}
}

// A proxy is dialled under the same guard, and an address in the URL is judged although the proxy would dial it.
func TestProxy(t *testing.T) {
	proxy := newIDP(t, body(setOf(t, "a")))
	limits := fetchLimits()
	through := func(f *fetcher, to string) *fetcher {
		f.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(to) }
		return f
	}
	if _, err := through(newFetcher(limits, nil), proxy.URL).get(t.Context(), "http://id.example/jwks", validators{}, false); err != nil {
		t.Error(err)
	}
	if _, err := through(newFetcher(limits, nil), proxy.URL).get(t.Context(), "http://169.254.169.254/jwks", validators{}, false); err == nil {
		t.Error("fetched a metadata address through the proxy")
	}
	if _, err := through(newFetcher(limits, nil), "http://169.254.1.1:3128").get(t.Context(), "http://id.example/jwks", validators{}, false); err == nil ||
		!strings.Contains(err.Error(), "link-local") {
		t.Errorf("a refused address as proxy: %v", err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(body(setOf(t, "a")))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Client-Certificates", fmt.Sprint(len(r.TLS.PeerCertificates)))
		fmt.Fprint(w, setOf(t, "a"))
	})
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := func(name string, block *pem.Block) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	cert, key := clientCertificate(t, dir)
	for _, tc := range []struct {
		name    string
		options *gate.ClientTLS
		want    string // "": fetched
		clients string
	}{
		{"system authorities", nil, "certificate", ""},
		{"own authority", &gate.ClientTLS{CAFile: ca}, "", "0"},
		{"server name", &gate.ClientTLS{CAFile: ca, ServerName: "example.com"}, "", "0"},
		{"other server name", &gate.ClientTLS{CAFile: ca, ServerName: "id.test"}, "certificate is valid for", ""},
		{"unchecked", &gate.ClientTLS{InsecureSkipVerify: true}, "", "0"},
		{"client certificate", &gate.ClientTLS{CAFile: ca, CertFile: cert, KeyFile: key}, "", "1"},
		{"missing authority", &gate.ClientTLS{CAFile: filepath.Join(dir, "gone")}, "no such file", ""},
		{"key as authority", &gate.ClientTLS{CAFile: key}, "holds no certificate", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			limits := fetchLimits()
			limits.TLS = tc.options
			a, err := newFetcher(limits, nil).get(t.Context(), server.URL, validators{}, false)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil || a.header.Get("Client-Certificates") != tc.clients {
				t.Errorf("%v, %v", a.header, err)
			}
		})
	}
}
