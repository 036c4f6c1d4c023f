package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/proxy"
)

func TestCheck(t *testing.T) { eachEngine(t, testCheck) }

func testCheck(t *testing.T, e engine) {
	t.Helper()
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := func(url string) func(*gate.Upstream) { return func(u *gate.Upstream) { u.Servers[0].URL = url } }
	tests := []struct {
		name string
		edit func(*gate.Upstream)
		want []string
	}{
		{"good", func(*gate.Upstream) {}, nil},
		{"a final slash", server("http://a.test:80/"), nil},
		{"IPv6", server("https://[::1]:8443"), nil},
		{"h2c", server("h2c://a.test:9000"), nil},
		{"no servers", func(u *gate.Upstream) { u.Servers = nil }, []string{"u.servers: an upstream needs at least one server"}},
		{"no URL", server(""), []string{"u.servers[0].url: a server needs a URL (write it as http://host:port)"}},
		{"no scheme", server("a.test:80"), []string{`u.servers[0].url: "a.test:80" is not a server's URL: unknown scheme "a.test" (use http, https or h2c)`}},
		{"another scheme", server("ftp://a.test"), []string{`u.servers[0].url: "ftp://a.test" is not a server's URL: unknown scheme "ftp" (use http, https or h2c)`}},
		{"no host", server("http://:80"), []string{`u.servers[0].url: "http://:80" is not a server's URL: it has no host (write it as http://host:port)`}},
		{"a path", server("http://a.test/api"), []string{`u.servers[0].url: "http://a.test/api" is not a server's URL: it has a path (the path of a request is forwarded as it was routed)`}},
		{"a query", server("http://a.test?x=1"), []string{`u.servers[0].url: "http://a.test?x=1" is not a server's URL: it has a query or a fragment`}},
		{"a fragment", server("http://a.test#"), []string{`u.servers[0].url: "http://a.test#" is not a server's URL: it has a query or a fragment`}},
		{"a user", server("http://bob:geheim@a.test"), []string{"u.servers[0].url: a server's URL cannot hold user information (credentials for the upstream belong into a header)"}},
		{"not a URL", server("http://bob:geh%eim@a.test"), []string{"u.servers[0].url: not a URL (write it as http://host:port)"}},
		{"no port", server("http://a.test:"), []string{`u.servers[0].url: "http://a.test:" is not a server's URL: the port is missing`}},
		{"port 0", server("http://a.test:0"), []string{`u.servers[0].url: "http://a.test:0" is not a server's URL: 0 is not a port`}},
		{"port too high", server("http://a.test:65536"), []string{`u.servers[0].url: "http://a.test:65536" is not a server's URL: 65536 is not a port`}},
		{"not ASCII", server("http://ä.test"), []string{`u.servers[0].url: "http://ä.test" is not a server's URL: the host has invalid characters (write other alphabets in their ASCII form (xn--...))`}},
		{"twice", func(u *gate.Upstream) { u.Servers = append(u.Servers, u.Servers[0]) }, []string{"u.servers[1].url: http://a.test is already servers[0] (to give a server a larger share, raise its weight)"}},
		{"negative weight", func(u *gate.Upstream) { u.Servers[0].Weight = -1 }, []string{"u.servers[0].weight: -1 is not a weight: it must be between 0 and 1000000", "u.servers: no server has a weight above 0, so none would get a request"}},
		{"no weight", func(u *gate.Upstream) { u.Servers[0].Weight = 0 }, []string{"u.servers: no server has a weight above 0, so none would get a request"}},
		{"numbers", func(u *gate.Upstream) {
			u.ConnectTimeout, u.ResponseTimeout, u.IdleTimeout = 0, -time.Second, 0
			u.MaxIdleConnections, u.MaxConnections, u.Retries = -1, -1, 11
		}, []string{
			"u.connectTimeout: 0s is not allowed: it must be longer than 0",
			"u.responseTimeout: -1s is not allowed: it must be longer than 0",
			"u.idleTimeout: 0s is not allowed: it must be longer than 0",
			"u.maxIdleConnections: -1 is not a number of connections",
			"u.maxConnections: -1 is not a number of connections (0 means no limit)",
			"u.retries: 11 is not a number of retries: it must be between 0 and 10",
		}},
		{"unknown engine", func(u *gate.Upstream) { u.Engine = "nginx" }, []string{`u.engine: unknown engine "nginx" (use jotgate or net/http)`}},
		{"health check", func(u *gate.Upstream) { u.HealthCheck = &gate.HealthCheck{Path: "healthz", Status: 99} }, []string{
			`u.healthCheck.path: "healthz" is not a path (write it as /healthz)`,
			"u.healthCheck.interval: 0s is not allowed: it must be longer than 0",
			"u.healthCheck.timeout: 0s is not allowed: it must be longer than 0",
			"u.healthCheck.status: 99 is not a final status (0 means any 2xx or 3xx)",
			"u.healthCheck.unhealthyAfter: 0 is not allowed: it must be at least 1",
			"u.healthCheck.healthyAfter: 0 is not allowed: it must be at least 1",
		}},
		{"health check with a space", func(u *gate.Upstream) {
			u.HealthCheck = &gate.HealthCheck{Path: "/a b"}
			u.HealthCheck.SetDefaults()
		}, []string{`u.healthCheck.path: "/a b" has characters that a path cannot have (encode it with %)`}},
		{"TLS for nobody", func(u *gate.Upstream) { u.TLS = &gate.ClientTLS{} }, []string{"warning: u.tls: the TLS settings are not used: no server has an https URL"}},
		{"unchecked certificates", func(u *gate.Upstream) {
			u.Servers[0].URL, u.TLS = "https://a.test", &gate.ClientTLS{InsecureSkipVerify: true}
		}, []string{"warning: u.tls.insecureSkipVerify: the certificates of the servers are not checked: whoever is in between can read and forge (use caFile with the server's authority)"}},
		{"TLS files", func(u *gate.Upstream) {
			u.Servers[0].URL, u.TLS = "https://a.test", &gate.ClientTLS{CAFile: junk, CertFile: junk, KeyFile: junk}
		}, []string{
			"u.tls.caFile: " + junk + " holds no PEM certificate",
			"u.tls.certFile: the client certificate cannot be used: tls: failed to find any PEM data in certificate input",
		}},
		{"missing TLS files", func(u *gate.Upstream) {
			u.Servers[0].URL, u.TLS = "https://a.test", &gate.ClientTLS{CAFile: filepath.Join(dir, "none"), CertFile: junk}
		}, []string{
			"u.tls.caFile: the file cannot be read: open " + filepath.Join(dir, "none") + ": no such file or directory",
			"u.tls.certFile: a client certificate needs its private key (set keyFile too)",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := e.group("http://a.test")
			u.Origin = gate.Origin{Object: "u"}
			test.edit(u)
			var got []string
			for _, p := range proxy.Check(u) {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			m := proxy.NewManager(proxy.Options{})
			defer m.Close()
			up, problems := m.Acquire(u)
			if (up == nil) != (problems.Err() != nil) {
				t.Errorf("acquired %v with %v", up, problems)
			}
		})
	}
}

// eventually waits for a state that background work brings about.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patienceOfTests); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not come about", what)
		}
	}
}

func TestHealthChecks(t *testing.T) { eachEngine(t, testHealthChecks) }

func testHealthChecks(t *testing.T, e engine) {
	t.Helper()
	var sick atomic.Bool
	checked := make(chan string, 1)
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			select {
			case checked <- r.Method + " " + r.RequestURI + " " + r.UserAgent():
			default:
			}
			if sick.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(serve))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, u := range map[string]*gate.Upstream{"http": e.group(backend(t, serve)), "h2c": e.group(backendHTTP2(t, serve)), "https": e.trusting(t, secure)} {
		t.Run(name, func(t *testing.T) {
			sick.Store(false)
			u.HealthCheck = &gate.HealthCheck{Path: "/healthz?deep=1"}
			u.HealthCheck.SetDefaults()
			u.HealthCheck.Interval = 5 * time.Millisecond
			d := openDoor(t, u, nil)
			if got := <-checked; got != "GET /healthz?deep=1 jotgate" {
				t.Errorf("the check was %q", got)
			}
			state := func() gate.ServerStatus { return d.up.Status().Servers[0] }
			sick.Store(true)
			eventually(t, "bad health", func() bool { return !state().Healthy })
			if s := state(); s.LastError != "health check: status 500, expected 2xx or 3xx" || s.LastCheck.IsZero() {
				t.Errorf("status %+v", s)
			}
			resp, _ := d.do("GET", "/", nil)
			if r := d.result(); r.Reason != gate.ReasonNoServer || resp.StatusCode != 503 || r.Attempts != 0 {
				t.Errorf("%+v", r)
			}
			sick.Store(false)
			eventually(t, "good health", func() bool { return state().Healthy && state().LastError == "" })
			if resp, _ := d.do("GET", "/", nil); resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}

func TestWeightedShares(t *testing.T) { eachEngine(t, testWeightedShares) }

func testWeightedShares(t *testing.T, e engine) {
	t.Helper()
	var counts [3]atomic.Int64
	u := e.group()
	for i, weight := range []int{1, 2, 5} {
		url := backend(t, func(http.ResponseWriter, *http.Request) { counts[i].Add(1) })
		u.Servers = append(u.Servers, gate.Server{URL: url, Weight: weight})
	}
	d := openDoor(t, u, nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if _, _, err := d.try("GET", "/", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for i, want := range []int64{20, 40, 100} {
		if got := counts[i].Load(); got != want {
			t.Errorf("server %d got %d of 160 requests, want %d", i, got, want)
		}
	}
}

// TestReload: what stays the same in a new configuration keeps its connections, its health and its counters.
func TestReload(t *testing.T) { eachEngine(t, testReload) }

func testReload(t *testing.T, e engine) {
	t.Helper()
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	u := e.group(s.URL)
	d := openDoor(t, u, nil)
	d.do("GET", "/", nil)
	d.result()

	same, _ := d.manager.Acquire(e.group(s.URL))
	if same != d.up {
		t.Error("an equal configuration made another upstream")
	}
	same.Release()

	changed := e.group(s.URL, deadAddress(t))
	changed.Servers[0].Weight = 7
	changed.Retries = 0
	changed.ResponseTimeout *= 2
	next, problems := d.manager.Acquire(changed)
	if next == nil || next == d.up {
		t.Fatal(problems)
	}
	if got := next.Status().Servers[0].Requests; got != 1 {
		t.Errorf("the server has forgotten its requests: %d", got)
	}
	old := d.up
	d.up = next
	old.Release()
	d.do("GET", "/", nil)
	d.result()
	if opened.Load() != 1 {
		t.Errorf("%d connections were opened", opened.Load())
	}
	if st := d.manager.Status(); len(st) != 1 || len(st[0].Servers) != 2 || st[0].Servers[0].Requests != 2 {
		t.Errorf("status %+v", st)
	}
}

// TestReleaseUnderWay: an exchange under way outlives the release of its upstream.
func TestReleaseUnderWay(t *testing.T) { eachEngine(t, testReleaseUnderWay) }

func testReleaseUnderWay(t *testing.T, e engine) {
	t.Helper()
	arrived, finish := make(chan struct{}), make(chan struct{})
	closed := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-finish
		_, _ = io.WriteString(w, "ok")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	d := openDoor(t, e.group(s.URL), nil)
	other, _ := d.manager.Acquire(e.group(deadAddress(t)))
	done := make(chan string)
	go func() {
		_, body, err := d.try("GET", "/", nil)
		done <- fmt.Sprint(body, err)
	}()
	<-arrived
	using := d.up
	d.up = other
	using.Release()
	close(finish)
	if got := <-done; got != "ok<nil>" {
		t.Errorf("got %s", got)
	}
	within(t, func() { <-closed }) // the connection does not stay behind
}

func TestAcquireAfterClose(t *testing.T) { eachEngine(t, testAcquireAfterClose) }

func testAcquireAfterClose(t *testing.T, e engine) {
	t.Helper()
	m := proxy.NewManager(proxy.Options{})
	up, _ := m.Acquire(e.group("http://a.test"))
	m.Close()
	up.Release()
	if up, problems := m.Acquire(e.group("http://a.test")); up != nil || !strings.Contains(problems.Error(), "stopping") {
		t.Errorf("got %v, %v", up, problems)
	}
}
