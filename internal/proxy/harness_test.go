package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/proxy"
	"github.com/jotgate/jotgate/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patienceOfTests bounds what must not hang. No test waits for it to pass.
const patienceOfTests = 20 * time.Second

// result is what an exchange came to.
type result struct {
	Reason   gate.Reason
	Err      error
	Status   int
	Attempts int
	Sent     int64
	Received int64
	Server   string
	Upgraded bool
}

// door is a real server in front of an upstream, without the engine between them.
type door struct {
	tb      testing.TB
	addr    string
	url     string
	manager *proxy.Manager
	up      *proxy.Upstream
	results chan result
	client  *http.Client
	edit    func(*gate.Exchange) // may change an exchange before it is forwarded
}

// openDoor forwards everything to u. edit may be nil.
func openDoor(tb testing.TB, u *gate.Upstream, edit func(*gate.Exchange), change ...func(*gate.Listener)) *door {
	tb.Helper()
	d := &door{tb: tb, manager: proxy.NewManager(proxy.Options{}), results: make(chan result, 4096), edit: edit}
	up, problems := d.manager.Acquire(u)
	if up == nil {
		tb.Fatalf("acquiring the upstream: %v", problems)
	}
	d.up = up
	set := server.New(server.Options{Handler: d})
	l := gate.Listener{}
	l.SetDefaults()
	l.Name, l.Address = "test", "127.0.0.1:0"
	l.MaxBodyBytes = 200 << 20
	for _, f := range change {
		f(&l)
	}
	plan, err := set.Prepare([]gate.Listener{l})
	if err != nil {
		tb.Fatal(err)
	}
	plan.Commit()
	d.addr = set.Addrs()["test"].String()
	d.url = "http://" + d.addr
	d.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tb.Cleanup(func() {
		d.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
		defer cancel()
		if err := set.Shutdown(ctx); err != nil {
			tb.Errorf("stopping the server: %v", err)
		}
		up.Release()
		d.manager.Close()
	})
	return d
}

// Serve is gate.Handler's.
func (d *door) Serve(x *gate.Exchange) {
	x.OutHost = x.Host
	x.OutPath, x.OutQuery, _ = strings.Cut(x.Target, "?")
	for _, f := range x.In {
		switch textproto.CanonicalMIMEHeaderKey(f.Name) {
		case "Connection", "Te", "Upgrade", "Transfer-Encoding", "Content-Length": // Trailer stays: what may be announced of it
		default:
			x.Out = append(x.Out, f)
		}
	}
	if d.edit != nil {
		d.edit(x)
	}
	err := d.up.Forward(x)
	r := result{Err: err}
	if err != nil {
		r.Reason = gate.AsDenial(err).Reason
		if !x.HeadSent {
			x.Reply = gate.Header{{Name: "Reason", Value: string(r.Reason)}}
			_ = x.WriteHead(r.Reason.Kind().Status(), 0)
		}
	}
	r.Status, r.Attempts, r.Sent, r.Received, r.Server, r.Upgraded = x.Status, x.Attempts, x.Sent, x.Received, x.Server, x.Upgraded
	d.results <- r
}

// result waits for the end of the next exchange.
func (d *door) result() result {
	d.tb.Helper()
	select {
	case r := <-d.results:
		return r
	case <-time.After(patienceOfTests):
		d.tb.Fatal("the exchange does not end")
		panic("unreachable")
	}
}

// do sends a request and reads the whole response.
func (d *door) do(method, target string, body io.Reader, header ...string) (*http.Response, string) {
	d.tb.Helper()
	resp, text, err := d.try(method, target, body, header...)
	if err != nil {
		d.tb.Fatalf("%s %s: %v", method, target, err)
	}
	return resp, text
}

func (d *door) try(method, target string, body io.Reader, header ...string) (*http.Response, string, error) {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.url+target, body)
	if err != nil {
		d.tb.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

// raw opens a connection to the door.
func (d *door) raw() net.Conn {
	d.tb.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patienceOfTests))
	return c
}

// engine is what speaks HTTP/1.1 to the servers.
type engine string

// eachEngine runs a test with every engine.
func eachEngine(t *testing.T, test func(*testing.T, engine)) {
	t.Helper()
	for _, e := range []engine{gate.EngineOwn, gate.EngineNetHTTP} {
		t.Run(string(e), func(t *testing.T) { test(t, e) })
	}
}

// group is an upstream with the default settings and the given servers.
func (e engine) group(urls ...string) *gate.Upstream {
	u := &gate.Upstream{Name: "test"}
	u.SetDefaults()
	u.Engine = string(e)
	for _, url := range urls {
		u.Servers = append(u.Servers, gate.Server{URL: url, Weight: 1})
	}
	return u
}

// backend is a real HTTP server.
func backend(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s.URL
}

// backendHTTP2 is a real HTTP/2 server with prior knowledge.
func backendHTTP2(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	tb.Cleanup(s.Close)
	return strings.Replace(s.URL, "http:", "h2c:", 1)
}

// rawBackend accepts connections and hands each with its number to serve, which need not close it.
func rawBackend(tb testing.TB, serve func(n int, c net.Conn, r *bufio.Reader)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				serve(n, c, bufio.NewReader(c))
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return "http://" + l.Addr().String()
}

// readHead reads a request's line and header as they came; "" at the end of the connection.
func readHead(r *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
		if line == "\r\n" {
			return b.String()
		}
	}
}

// reset closes a connection so that the other end gets RST.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// answers serves every request on a connection with the same bytes.
func answers(response string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, r *bufio.Reader) {
		for readHead(r) != "" {
			if _, err := io.WriteString(c, response); err != nil {
				return
			}
		}
	}
}

// discardLog is for servers whose complaints are expected.
var discardLog = log.New(io.Discard, "", 0)

// deadAddress is an address where nothing listens.
func deadAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf("http://%s", l.Addr())
}

// within fails the test if f does not return.
func within(tb testing.TB, f func()) {
	tb.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(patienceOfTests):
		tb.Fatal("it hangs")
	}
}
