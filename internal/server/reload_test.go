package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// load makes requests with bodies, which no client sends twice on its own, until stop is called; stop returns how many succeeded and what failed. ignore says which errors do
// not count.
func load(t *testing.T, doors []door, ignore func(error) bool) (stop func() (int64, []error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var served atomic.Int64
	var mu sync.Mutex
	var failed []error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, err)
	}
	for _, d := range doors {
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					r, _ := http.NewRequestWithContext(context.Background(), "POST", d.scheme+"://"+d.addr+"/", strings.NewReader("ping"))
					r.Host = "api.example.com"
					if strings.Contains(d.name, "1.1") {
						// So the client cannot repeat the request. Over HTTP/2 it may: GOAWAY says which ones were not processed (RFC 9113 section 6.8).
						r.GetBody = nil
					}
					res, err := d.client.Do(r)
					if err != nil {
						if ignore == nil || !ignore(err) {
							fail(fmt.Errorf("%s: %w", d.name, err))
						}
						return
					}
					b, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || string(b) != "ping" || res.StatusCode != 200 {
						fail(fmt.Errorf("%s: %d %q %w", d.name, res.StatusCode, b, err))
						return
					}
					served.Add(1)
				}
			})
		}
	}
	return func() (int64, []error) {
		cancel()
		wg.Wait()
		return served.Load(), failed
	}
}

func echo(x *gate.Exchange) {
	b, err := io.ReadAll(x.Body)
	if err != nil {
		_ = x.WriteHead(gate.AsDenial(err).Kind().Status(), 0)
		return
	}
	say(x, string(b))
}

func TestReloadsUnderLoadFailNoRequest(t *testing.T) {
	for _, d := range doors(t, echo) {
		t.Run(d.name, func(t *testing.T) {
			stop := load(t, []door{d}, nil)
			cfg := d.current().cfg
			for i := range 100 {
				cfg.MaxBodyBytes = gate.Bytes(100 + i%2) // changed settings, the same socket
				d.reload(cfg)
				time.Sleep(2 * time.Millisecond)
			}
			served, failed := stop()
			if len(failed) > 0 || served < 10 {
				t.Errorf("%d served; %v", served, errors.Join(failed...))
			}
			if got := d.Addrs()["web"].String(); got != d.addr {
				t.Errorf("the address became %s", got)
			}
		})
	}
}

func (r *running) current() *generation {
	r.Set.mu.Lock()
	defer r.Set.mu.Unlock()
	for _, s := range r.sockets {
		return s.current.Load()
	}
	return nil
}

func TestReloadAppliesToNewConnections(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(x *gate.Exchange) { say(x, x.Listener) })
			old := client(t, "h1", nil)
			get := func(c *http.Client) (string, bool) {
				res, err := c.Get("http://" + r.addr)
				b := text(t, res, err)
				return b, res.Close
			}
			get(old)
			g := r.current()
			changed := g.cfg
			changed.MaxBodyBytes = 5
			changed.Origin.Line = 7
			r.reload(changed)
			if r.current() == g {
				t.Fatal("changed settings are not used")
			}
			if _, closed := get(old); !closed {
				t.Error("the old connection was not asked to end")
			}
			if _, closed := get(old); closed {
				t.Error("the new connection was asked to end")
			}
			g = r.current()
			changed.Origin.Line = 8
			r.reload(changed)
			if r.current() != g {
				t.Error("a move within the file changed the settings")
			}
		})
	}
}

func TestDiscardAndFailedPrepareLeaveNoTrace(t *testing.T) {
	r := start(t, settings(), func(x *gate.Exchange) { say(x, "ok") })
	other := settings(func(l *gate.Listener) { l.Name = "other" })
	plan, err := r.Prepare([]gate.Listener{other})
	if err != nil {
		t.Fatal(err)
	}
	addr := plan.parts[0].socket.listener.Addr().String()
	plan.Discard()
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
	taken := settings(func(l *gate.Listener) { l.Name, l.Address = "taken", r.addr })
	if _, err := r.Prepare([]gate.Listener{other, taken}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
	if _, err := r.Prepare([]gate.Listener{taken, taken}); err == nil {
		t.Error("two listeners with one address")
	}
	noFile := settings(func(l *gate.Listener) {
		l.TLS = &gate.ListenerTLS{Certificates: []gate.Certificate{{CertFile: "/nonexistent", KeyFile: "/nonexistent"}}}
	})
	if _, err := r.Prepare([]gate.Listener{noFile}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	res, err := http.Get("http://" + r.addr)
	if text(t, res, err) != "ok" {
		t.Error("traffic was affected")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestRemovedListenerDrains(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			entered, leave := make(chan struct{}), make(chan struct{})
			r := start(t, e.settings(), func(x *gate.Exchange) {
				close(entered)
				<-leave
				say(x, "done")
			})
			answer := make(chan string)
			go func() {
				c, _ := net.Dial("tcp", r.addr)
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				b, _ := io.ReadAll(c)
				c.Close()
				answer <- string(b)
			}()
			<-entered
			r.reload()
			eventually(t, "the socket is closed", func() bool {
				c, err := net.Dial("tcp", r.addr)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			close(leave)
			if got := <-answer; !strings.HasSuffix(got, "done") || !strings.Contains(got, "Connection: close") {
				t.Errorf("%q", got)
			}
			if len(r.Addrs()) != 0 {
				t.Error(r.Addrs())
			}
		})
	}
}

func TestShutdownUnderLoadLosesNoRequest(t *testing.T) {
	for i, d := range doors(t, echo) {
		if i%4 == 1 || i%4 == 3 { // its listener is stopped already
			d = doors(t, echo)[i]
		}
		t.Run(d.name, func(t *testing.T) {
			stop := load(t, []door{d}, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }) // refused connections never were requests
			time.Sleep(100 * time.Millisecond)
			if err := d.stop(15 * time.Second); err != nil {
				t.Error(err)
			}
			served, failed := stop()
			if len(failed) > 0 || served < 5 {
				t.Errorf("%d served; %v", served, errors.Join(failed...))
			}
		})
	}
}

func TestShutdownWaitsThenCutsOff(t *testing.T) {
	a := newAuthority(t)
	for _, c := range []struct {
		name, protocol string
		change         []func(*gate.Listener)
	}{
		{"jotgate", "h1", []func(*gate.Listener){func(l *gate.Listener) { l.Engine = gate.EngineOwn }}},
		{"net/http", "h1", []func(*gate.Listener){func(l *gate.Listener) { l.Engine = gate.EngineNetHTTP }}},
		{"h2", "h2", []func(*gate.Listener){a.withTLS(t)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entered := make(chan struct{})
			ended := make(chan error, 1)
			r := start(t, settings(c.change...), func(x *gate.Exchange) {
				close(entered)
				untilGone(x)
				ended <- context.Cause(x.Context)
			})
			scheme := map[string]string{"h1": "http", "h2": "https"}[c.protocol]
			result := make(chan error)
			go func() {
				res, err := client(t, c.protocol, a.pool()).Get(scheme + "://" + r.addr)
				if err == nil {
					res.Body.Close()
					if res.StatusCode == 500 {
						err = errors.New("answered 500")
					}
				}
				result <- err
			}()
			<-entered
			if err := r.stop(300 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if err := <-result; err == nil {
				t.Error("the request was answered")
			}
			if err := <-ended; gate.AsDenial(err).Reason != gate.ReasonNotReady {
				t.Errorf("the exchange ended with %v", err)
			}
			if _, err := r.Prepare(nil); err == nil {
				t.Error("a stopped set took a plan")
			}
		})
	}
}

func TestShutdownEndsUpgradedConnections(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(x *gate.Exchange) {
				x.Reply.Add("Upgrade", x.Upgrade)
				s, err := x.WriteUpgrade()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(s, s)
				_ = s.Close()
			})
			c := r.dial()
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			head := make([]byte, 30)
			if _, err := io.ReadFull(c, head); err != nil || !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
				t.Fatalf("%q, %v", head, err)
			}
			began := time.Now()
			if err := r.stop(700 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if d := time.Since(began); d < 600*time.Millisecond || d > 5*time.Second {
				t.Errorf("it took %v", d)
			}
			if _, err := io.ReadAll(c); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still open")
			}
		})
	}
}

// Connections that were never used, or not completed, do not hold up the end.
func TestShutdownIsNotHeldUpByIdleConnections(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			a := newAuthority(t)
			plain := start(t, e.settings(), echo)
			secure := start(t, e.settings(a.withTLS(t)), echo)
			plain.dial()
			secure.dial()
			a.clientTLS(t, secure.dial()) // a whole handshake, and no request
			eventually(t, "they are known", func() bool { return plain.Status()[0].Connections+secure.Status()[0].Connections == 3 })
			for _, r := range []*running{plain, secure} {
				began := time.Now()
				if err := r.stop(10 * time.Second); err != nil || time.Since(began) > 3*time.Second {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			}
		})
	}
}

func TestCertificatesAreTakenOverWithoutAReload(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	first := a.write(t, dir, "api", 2, "api.example.com")
	second := a.write(t, dir, "wild", 3, "*.wild.example.com")
	r := start(t, settings(func(l *gate.Listener) {
		l.TLS = &gate.ListenerTLS{Certificates: []gate.Certificate{first, second}}
		l.TLS.SetDefaults()
	}), echo)
	serial := func(name string) int64 {
		c, err := tls.Dial("tcp", r.addr, &tls.Config{RootCAs: a.pool(), ServerName: name, InsecureSkipVerify: name == "other.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := []int64{serial("api.example.com"), serial("x.wild.example.com"), serial("other.example.com")}; got[0] != 2 || got[1] != 3 || got[2] != 2 {
		t.Errorf("serials %v", got)
	}
	a.write(t, dir, "api", 9, "api.example.com")
	eventually(t, "the new certificate is used", func() bool { return serial("api.example.com") == 9 })
	if err := os.WriteFile(first.CertFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broken file is reported", func() bool {
		st := r.Status()[0].Certificates[0]
		return st.Error != "" && st.CertFile == first.CertFile && !st.NotAfter.IsZero() && strings.Contains(r.log.String(), "certificate files are broken")
	})
	if got := serial("api.example.com"); got != 9 {
		t.Errorf("serial %d with a broken file", got)
	}
	a.write(t, dir, "api", 10, "api.example.com")
	eventually(t, "it is mended", func() bool {
		return serial("api.example.com") == 10 && r.Status()[0].Certificates[0].Error == ""
	})
	if got := serial("x.wild.example.com"); got != 3 {
		t.Errorf("serial %d of the other pair", got)
	}
}

func TestTLSSettings(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			a := newAuthority(t)
			ca := t.TempDir() + "/ca.pem"
			writePEM(t, ca, a.cert.Raw)
			var seen gate.Exchange
			r := start(t, e.settings(a.withTLS(t), func(l *gate.Listener) {
				l.TLS.MinVersion, l.TLS.ClientCAFile = "1.3", ca
			}), func(x *gate.Exchange) { seen = kept(x); say(x, "ok") })

			if got := r.raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 400 ") {
				t.Errorf("HTTP to HTTPS: %q", got)
			}
			cert, key := a.issue(t, 77, "client")
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			with := func(change ...func(*tls.Config)) (int, error) {
				c := client(t, "h2", a.pool(), func(tr *http.Transport) {
					for _, f := range change {
						f(tr.TLSClientConfig)
					}
				})
				req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+r.addr, nil)
				req.Host = "api.example.com"
				res, err := c.Do(req)
				if err != nil {
					return 0, err
				}
				text(t, res, nil)
				return res.StatusCode, nil
			}
			show := func(c *tls.Config) { c.Certificates = []tls.Certificate{pair} }
			if code, err := with(show); code != 200 || seen.ClientCertificate == nil || seen.ClientCertificate.SerialNumber.Int64() != 77 {
				t.Errorf("%d, %v", code, err)
			}
			if code, err := with(); err == nil {
				t.Errorf("no certificate: %d", code)
			}
			if code, err := with(show, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }); err == nil {
				t.Errorf("TLS 1.2: %d", code)
			}
			other, otherKey := newAuthority(t).issue(t, 1, "client")
			if pair, err = tls.X509KeyPair(other, otherKey); err != nil {
				t.Fatal(err)
			}
			if code, err := with(show); err == nil {
				t.Errorf("certificate of another authority: %d", code)
			}
			pair, _ = tls.X509KeyPair(cert, key)
			if code, err := with(show, func(c *tls.Config) { c.ServerName = "x.wild.example.com" }); code != 421 || err != nil {
				t.Errorf("another host than the TLS name: %d, %v", code, err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	one, two := a.write(t, dir, "one", 1, "a"), a.write(t, dir, "two", 2, "b")
	for name, c := range map[string]struct {
		change func(*gate.Listener)
		path   string
	}{
		"good":          {func(l *gate.Listener) { l.Address = ":0" }, ""},
		"no port":       {func(l *gate.Listener) { l.Address = "localhost" }, "address"},
		"port name":     {func(l *gate.Listener) { l.Address = ":http" }, "address"},
		"large port":    {func(l *gate.Listener) { l.Address = ":70000" }, "address"},
		"host":          {func(l *gate.Listener) { l.Address = "a b:80" }, "address"},
		"no timeout":    {func(l *gate.Listener) { l.HeaderTimeout = 0 }, "headerTimeout"},
		"no idle":       {func(l *gate.Listener) { l.IdleTimeout = 0 }, "idleTimeout"},
		"no body":       {func(l *gate.Listener) { l.BodyTimeout = 0 }, "bodyTimeout"},
		"tiny header":   {func(l *gate.Listener) { l.MaxHeaderBytes = 10 }, "maxHeaderBytes"},
		"negative body": {func(l *gate.Listener) { l.MaxBodyBytes = -1 }, "maxBodyBytes"},
		"tls":           {withPair(one), ""},
		"no pair":       {func(l *gate.Listener) { l.TLS = &gate.ListenerTLS{MinVersion: "1.2"} }, "tls.certificates"},
		"missing file":  {withPair(gate.Certificate{CertFile: dir + "/none", KeyFile: one.KeyFile}), "tls.certificates[0]"},
		"mismatch":      {withPair(gate.Certificate{CertFile: one.CertFile, KeyFile: two.KeyFile}), "tls.certificates[0]"},
		"not a key":     {withPair(gate.Certificate{CertFile: one.CertFile, KeyFile: one.CertFile}), "tls.certificates[0]"},
		"no key":        {withPair(gate.Certificate{CertFile: one.CertFile}), "tls.certificates[0]"},
		"version":       {func(l *gate.Listener) { withPair(one)(l); l.TLS.MinVersion = "1.1" }, "tls.minVersion"},
		"client ca":     {func(l *gate.Listener) { withPair(one)(l); l.TLS.ClientCAFile = one.KeyFile }, "tls.clientCAFile"},
		"prefix":        {func(l *gate.Listener) { l.TrustedProxies = prefixes(t, "10.0.0.1/8") }, "trustedProxies[0]"},
		"mapped prefix": {func(l *gate.Listener) { l.ProxyProtocol = prefixes(t, "::ffff:10.0.0.0/104") }, "proxyProtocol[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			l := settings(c.change)
			ps := Check(&l)
			switch {
			case c.path == "" && len(ps) > 0, c.path != "" && (len(ps) != 1 || ps[0].Path != c.path):
				t.Errorf("%v", ps)
			}
		})
	}
}

func withPair(pair gate.Certificate) func(*gate.Listener) {
	return func(l *gate.Listener) {
		l.TLS = &gate.ListenerTLS{Certificates: []gate.Certificate{pair}, MinVersion: "1.2"}
	}
}
