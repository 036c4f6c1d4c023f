package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/proxy"
)

const own engine = gate.EngineOwn

// recorder is a gate.Writer that keeps what it gets, header strings included: it does not copy them.
type recorder struct {
	sink
	header, trailer gate.Header
	body            strings.Builder
}

func (r *recorder) Head(_ int, h gate.Header, _ int64) error {
	r.header = append(r.header, h...)
	return nil
}
func (r *recorder) Write(p []byte) (int, error)  { return r.body.Write(p) }
func (r *recorder) Trailer(h gate.Header) error  { r.trailer = append(r.trailer, h...); return nil }
func (r *recorder) Reply(name string) (v string) { return r.header.Get(name) }

// near is a writer as our own server engine has it.
type near struct {
	recorder
	gone atomic.Bool
}

func (n *near) Gone() bool { return n.gone.Load() }

// acquire makes a manager with the upstream u.
func acquire(t *testing.T, u *gate.Upstream) (*proxy.Manager, *proxy.Upstream) {
	t.Helper()
	m := proxy.NewManager(proxy.Options{})
	t.Cleanup(m.Close)
	up, problems := m.Acquire(u)
	if up == nil {
		t.Fatal(problems)
	}
	return m, up
}

// get is a request without a body.
func get(ctx context.Context, path string, w gate.Writer) *gate.Exchange {
	return &gate.Exchange{Context: ctx, Method: "GET", Proto: 11, Host: "api.example.com", OutPath: path, Body: io.NopCloser(strings.NewReader("")), Writer: w}
}

func reasonOf(err error) gate.Reason {
	if err == nil {
		return ""
	}
	return gate.AsDenial(err).Reason
}

// TestHeadersOutliveTheCall: a writer that keeps the strings of a header does not see them change when their buffer is used again.
func TestHeadersOutliveTheCall(t *testing.T) {
	var n atomic.Int64
	_, up := acquire(t, own.group(rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readHead(r) != "" {
			mark := strings.Repeat(string(rune('a'+n.Add(1)%20)), 30)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Mark: "+mark+"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-End: "+mark+"\r\n\r\n")
		}
	})))
	var all []*recorder
	for range 10 {
		w := &recorder{}
		if err := up.Forward(get(t.Context(), "/", w)); err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	for i, w := range all {
		want := strings.Repeat(string(rune('a'+i+1)), 30)
		if w.Reply("X-Mark") != want || w.trailer.Get("X-End") != want || w.body.String() != "x" {
			t.Errorf("response %d became %v %v", i, w.header, w.trailer)
		}
	}
}

// TestReplyEndsWithTheCall: what may lie in a buffer of somebody else is not left behind.
func TestReplyEndsWithTheCall(t *testing.T) {
	_, up := acquire(t, own.group(rawBackend(t, answers(okResponse))))
	x := get(t.Context(), "/", &near{})
	if err := up.Forward(x); err != nil || len(x.Reply) != 0 || x.Status != 200 || x.Sent != 2 {
		t.Errorf("%v, %v", err, x)
	}
}

// lazy never has its data at hand; prompt always has.
type lazy struct{ io.Reader }

func (lazy) Close() error { return nil }

type prompt struct{ lazy }

func (prompt) Ready() bool { return true }

func TestBodiesAtHandAndNot(t *testing.T) {
	url := capture(t)
	trailer := func() gate.Header { return gate.Header{{Name: "X-Sum", Value: "7"}} }
	long := strings.Repeat("0123456789abcdef", 20_000)
	for _, text := range []string{"x", "hello", long[:16<<10], long[:16<<10+1], long} {
		for _, sized := range []bool{true, false} {
			var heads []string
			for _, ready := range []bool{true, false} {
				_, up := acquire(t, own.group(url))
				w := &near{}
				x := get(t.Context(), "/p", w)
				x.Method, x.Length, x.Body = "POST", int64(len(text)), lazy{strings.NewReader(text)}
				if ready {
					x.Body = prompt{lazy{strings.NewReader(text)}}
				}
				if !sized {
					x.Length, x.Trailer = -1, trailer
				}
				if err := up.Forward(x); err != nil || x.Received != int64(len(text)) {
					t.Fatalf("%v, received %d of %d", err, x.Received, len(text))
				}
				got := w.body.String()
				head, body, _ := strings.Cut(got, "\r\n\r\n")
				heads = append(heads, head)
				if sized && body != text || !sized && !strings.HasSuffix(body, "\r\n0\r\nX-Sum: 7\r\n\r\n") {
					t.Errorf("sized %v, ready %v: got %d bytes: %.100q", sized, ready, len(got), got)
				}
			}
			if diff := cmp.Diff(heads[0], heads[1]); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// TestBodyShorterThanAnnounced: the server does not take the request for complete, and is not to blame.
func TestBodyShorterThanAnnounced(t *testing.T) {
	for _, at := range []io.ReadCloser{lazy{strings.NewReader("hello")}, prompt{lazy{strings.NewReader("hello")}}} {
		_, up := acquire(t, own.group(backend(t, func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				t.Error("the server took it for complete")
			}
		})))
		x := get(t.Context(), "/", &near{})
		x.Method, x.Length, x.Body = "POST", 10, at
		if got := reasonOf(up.Forward(x)); got != gate.ReasonClientGone || x.Received != 5 {
			t.Errorf("got %s, %d bytes", got, x.Received)
		}
		if st := up.Status().Servers[0]; st.Failures != 0 {
			t.Errorf("the server was blamed: %+v", st)
		}
	}
}

// TestBytesWhileIdle: what a server says on an idle connection is never the answer to the next request.
func TestBytesWhileIdle(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	said := make(chan string, 1000)
	talk := func(c net.Conn, r *bufio.Reader) {
		for {
			head := readHead(r)
			if head == "" {
				return
			}
			_, _ = io.WriteString(c, okResponse)
			_, _ = io.WriteString(c, evil)
			said <- strings.Fields(head)[1]
		}
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, okResponse)
		_, _ = io.WriteString(c, evil)
		said <- r.RequestURI
		talk(c, rw.Reader)
	}))
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, u := range map[string]*gate.Upstream{
		"http":  own.group(rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) { talk(c, r) })),
		"https": own.trusting(t, secure),
	} {
		t.Run(name, func(t *testing.T) {
			u.Retries = 0
			_, up := acquire(t, u)
			for i := range 50 {
				w, path := &near{}, "/"+strconv.Itoa(i)
				err := up.Forward(get(t.Context(), path, w))
				if reasonOf(err) == gate.ReasonUpstreamProtocol {
					continue // it was noticed late
				}
				if err != nil || w.body.String() != "ok" {
					t.Fatalf("request %d: got %q, %v", i, w.body.String(), err)
				}
				for got := range said {
					if got == path {
						break
					}
				}
			}
		})
	}
}

// TestOldConnectionsAreSeen: a request that must not be repeated is not lost to a connection that the server has closed before.
func TestOldConnectionsAreSeen(t *testing.T) {
	closed := make(chan struct{})
	u := own.group(rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if readHead(r) != "" {
			_, _ = io.WriteString(c, okResponse)
			_ = c.Close()
			closed <- struct{}{}
		}
	}))
	u.Retries = 0
	_, up := acquire(t, u)
	for i := range 50 {
		x := get(t.Context(), "/", &near{})
		x.Method = "POST"
		if err := up.Forward(x); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		<-closed
	}
}

// TestConnectionsAreKept: everything that ends properly leaves its connection to the next request.
func TestConnectionsAreKept(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, method, response string
		connections            int64 // for three requests
	}{
		{"sized", "GET", okResponse, 1},
		{"empty", "GET", head + "Content-Length: 0\r\n\r\n", 1},
		{"chunked", "GET", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
		{"HEAD", "HEAD", head + "Content-Length: 5\r\n\r\n", 1},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 1},
		{"interim", "GET", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + okResponse, 1},
		{"interim with a length", "GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n" + okResponse, 3},
		{"close", "GET", head + "Connection: close\r\nContent-Length: 2\r\n\r\nok", 3},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3},
		{"HTTP/1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 1},
		{"more than announced", "GET", okResponse + "x", 3},
		{"a body for HEAD", "HEAD", okResponse, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var connections atomic.Int64
			_, up := acquire(t, own.group(rawBackend(t, func(n int, c net.Conn, r *bufio.Reader) {
				connections.Add(1)
				answers(test.response)(n, c, r)
			})))
			for range 3 {
				x := get(t.Context(), "/", &near{})
				x.Method = test.method
				if err := up.Forward(x); err != nil {
					t.Fatal(err)
				}
			}
			if got := connections.Load(); got != test.connections {
				t.Errorf("%d connections, want %d", got, test.connections)
			}
		})
	}
}

// TestCloseEndsWhatIsUnderWay: nothing outlives the manager, whatever the exchange's context says.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	for name, released := range map[string]bool{"in use": false, "released": true} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{}, 2)
			u := own.group(rawBackend(t, func(_ int, _ net.Conn, r *bufio.Reader) {
				for readHead(r) != "" {
					arrived <- struct{}{}
				}
			}))
			u.MaxConnections = 1
			m, up := acquire(t, u)
			results, calls := make(chan error, 2), 1
			go func() { results <- up.Forward(get(context.Background(), "/", &near{})) }()
			<-arrived
			if released {
				up.Release()
			} else {
				calls++
				go func() { results <- up.Forward(get(context.Background(), "/waits", &near{})) }()
				eventually(t, "the second exchange", func() bool { return up.Status().Servers[0].Active == 2 })
			}
			within(t, m.Close)
			for range calls {
				within(t, func() {
					if got := reasonOf(<-results); got != gate.ReasonClientGone {
						t.Errorf("got %s", got)
					}
				})
			}
		})
	}
}

// TestClientIsAsked: a client that cannot make itself felt is asked whether it is still there, and one that is loses nothing by it.
func TestClientIsAsked(t *testing.T) {
	answer := make(chan struct{})
	serve := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-answer:
			_, _ = io.WriteString(w, "ok")
		case <-r.Context().Done():
		}
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(serve))
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, u := range map[string]*gate.Upstream{"http": own.group(backend(t, serve)), "https": own.trusting(t, secure)} {
		t.Run(name, func(t *testing.T) {
			_, up := acquire(t, u)
			stays, leaves := &near{}, &near{}
			leaves.gone.Store(true)
			left := make(chan error, 1)
			go func() { left <- up.Forward(get(context.Background(), "/", leaves)) }()
			kept := make(chan error, 1)
			go func() { kept <- up.Forward(get(context.Background(), "/", stays)) }()
			within(t, func() {
				if got := reasonOf(<-left); got != gate.ReasonClientGone {
					t.Errorf("got %s", got)
				}
			})
			time.Sleep(300 * time.Millisecond) // the other one was asked as well by now
			answer <- struct{}{}
			if err := <-kept; err != nil || stays.body.String() != "ok" {
				t.Errorf("got %q, %v", stays.body.String(), err)
			}
		})
	}
}

// TestRandomAborts: clients and servers that leave at any point leave nothing behind.
func TestRandomAborts(t *testing.T) {
	url := rawBackend(t, func(n int, c net.Conn, r *bufio.Reader) {
		random := rand.New(rand.NewPCG(uint64(n), 1))
		for {
			head := readHead(r)
			if head == "" {
				return
			}
			if strings.Contains(head, "Content-Length: 100000\r\n") && random.IntN(4) > 0 {
				_, _ = r.Discard(100_000)
			}
			text := []string{okResponse, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000),
				"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}[random.IntN(3)]
			if random.IntN(5) == 0 {
				_, _ = io.WriteString(c, text[:random.IntN(len(text))])
				if random.IntN(2) == 0 {
					reset(c)
				}
				return
			}
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	})
	u := own.group(url)
	u.MaxConnections = 8
	_, up := acquire(t, u)
	var clients sync.WaitGroup
	var good atomic.Int64
	for i := range 16 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 2))
			for range 60 {
				ctx, cancel := context.WithCancel(context.Background())
				x := get(ctx, "/", &recorder{})
				if random.IntN(3) == 0 {
					x.Method, x.Length = "POST", 100_000
					x.Body = lazy{io.LimitReader(zeros{}, 100_000)}
				}
				if random.IntN(4) == 0 {
					time.AfterFunc(time.Duration(random.IntN(2000))*time.Microsecond, cancel)
				}
				if up.Forward(x) == nil {
					good.Add(1)
				}
				cancel()
			}
		})
	}
	within(t, clients.Wait)
	if st := up.Status().Servers[0]; st.Active != 0 || good.Load() == 0 {
		t.Errorf("%d good, %+v", good.Load(), st)
	}
}
