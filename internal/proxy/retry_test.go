package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestConnectFailuresMoveOn(t *testing.T) { eachEngine(t, testConnectFailuresMoveOn) }

func testConnectFailuresMoveOn(t *testing.T, e engine) {
	t.Helper()
	good := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	d := openDoor(t, e.group(deadAddress(t), deadAddress(t), good), nil)
	for i := range 9 {
		// Nothing was sent and the body is untouched, so that even this may be tried again.
		resp, body := d.do("POST", "/", io.MultiReader(strings.NewReader("hello")))
		r := d.result()
		if resp.StatusCode != 200 || body != "hello" || r.Server != good || r.Attempts < 1 || r.Attempts > 3 {
			t.Errorf("request %d: status %d, body %q, %+v", i, resp.StatusCode, body, r)
		}
	}
	for _, s := range d.up.Status().Servers {
		if dead := s.URL != good; dead != (s.Failures > 0) || dead != (s.LastError != "") {
			t.Errorf("status %+v", s)
		}
	}
}

func TestConnectFailuresEnd(t *testing.T) { eachEngine(t, testConnectFailuresEnd) }

func testConnectFailuresEnd(t *testing.T, e engine) {
	t.Helper()
	tests := []struct {
		name             string
		servers, retries int
		attempts         int
		want             gate.Reason
	}{
		{"every server once", 3, 10, 3, gate.ReasonConnect},
		{"not more than allowed", 5, 2, 3, gate.ReasonConnect},
		{"no retries", 3, 0, 1, gate.ReasonConnect},
		{"one server", 1, 2, 1, gate.ReasonConnect},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var urls []string
			for range test.servers {
				urls = append(urls, deadAddress(t))
			}
			u := e.group(urls...)
			u.Retries = test.retries
			d := openDoor(t, u, nil)
			resp, _ := d.do("GET", "/", nil)
			if r := d.result(); r.Reason != test.want || resp.StatusCode != 502 || r.Attempts != test.attempts || r.Server != "" {
				t.Errorf("status %d, %+v", resp.StatusCode, r)
			}
		})
	}
}

// breaker is a server that counts requests, and breaks the connection off instead of answering.
func breaker(t *testing.T, requests *atomic.Int64) string {
	t.Helper()
	return rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if readHead(r) != "" {
			requests.Add(1)
			reset(c)
		}
	})
}

func TestRetriesAfterSending(t *testing.T) { eachEngine(t, testRetriesAfterSending) }

func testRetriesAfterSending(t *testing.T, e engine) {
	t.Helper()
	tests := []struct {
		method string
		body   string
		header []string
		tries  int64
	}{
		{method: "GET", tries: 3},
		{method: "HEAD", tries: 3},
		{method: "OPTIONS", tries: 3},
		{method: "TRACE", tries: 3},
		{method: "PUT", tries: 3},
		{method: "DELETE", tries: 3},
		{method: "POST", tries: 1},
		{method: "PATCH", tries: 1},
		{method: "post", tries: 1},
		{method: "POST", header: []string{"Idempotency-Key", "k", "X-Idempotency-Key", "k"}, tries: 1},
		{method: "PUT", body: "x", tries: 1},
		{method: "DELETE", body: "x", tries: 1},
	}
	for _, test := range tests {
		t.Run(test.method+test.body, func(t *testing.T) {
			var requests atomic.Int64
			d := openDoor(t, e.group(breaker(t, &requests), breaker(t, &requests), breaker(t, &requests), breaker(t, &requests)), nil)
			var body io.Reader
			if test.body != "" {
				body = strings.NewReader(test.body)
			}
			resp, _ := d.do(test.method, "/", body, test.header...)
			r := d.result()
			if requests.Load() != test.tries || int64(r.Attempts) != test.tries || r.Reason != gate.ReasonUpstreamAborted || resp.StatusCode != 502 {
				t.Errorf("the servers got %d requests, %d attempts, status %d, %v", requests.Load(), r.Attempts, resp.StatusCode, r.Err)
			}
		})
	}
}

// poisoned is a server that answers every request but those for /poison, at which it breaks the connection off.
func poisoned(t *testing.T, poison *atomic.Int64) string {
	t.Helper()
	return rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			head := readHead(r)
			switch {
			case head == "":
				return
			case strings.Contains(head, " /poison "):
				poison.Add(1)
				return
			}
			if strings.Contains(head, "Content-Length: 1\r\n") {
				_, _ = r.Discard(1)
			}
			_, _ = io.WriteString(c, okResponse)
		}
	})
}

// warm opens n idle connections to the only server of d.
func warm(t *testing.T, d *door, release chan struct{}, n int) {
	t.Helper()
	done := make(chan struct{})
	for range n {
		go func() {
			defer func() { done <- struct{}{} }()
			if _, _, err := d.try("GET", "/slow", nil); err != nil {
				t.Error(err)
			}
		}()
	}
	for range n {
		release <- struct{}{}
	}
	for range n {
		<-done
		d.result()
	}
}

// TestHiddenRetries: net/http by itself sends a request again when an old connection fails, as often as it has old connections. It must not.
func TestHiddenRetries(t *testing.T) { eachEngine(t, testHiddenRetries) }

func testHiddenRetries(t *testing.T, e engine) {
	t.Helper()
	tests := []struct {
		method string
		header []string
		tries  int64
	}{
		{"GET", nil, 3},
		{"POST", nil, 1},
		{"POST", []string{"Idempotency-Key", "k"}, 1},
	}
	for _, test := range tests {
		t.Run(test.method+strings.Join(test.header, " "), func(t *testing.T) {
			var poison atomic.Int64
			release := make(chan struct{})
			url := rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
				for {
					switch head := readHead(r); {
					case head == "":
						return
					case strings.Contains(head, " /poison "):
						poison.Add(1)
						return
					}
					<-release // all requests wait for one another, so that each has a connection of its own
					_, _ = io.WriteString(c, okResponse)
				}
			})
			d := openDoor(t, e.group(url), nil)
			warm(t, d, release, 10)
			resp, _ := d.do(test.method, "/poison", nil, test.header...)
			r := d.result()
			if poison.Load() != test.tries || int64(r.Attempts) != test.tries || resp.StatusCode != 502 || r.Reason != gate.ReasonUpstreamAborted {
				t.Errorf("the server got the request %d times; %d attempts, status %d, %v", poison.Load(), r.Attempts, resp.StatusCode, r.Err)
			}
		})
	}
}

// TestPoisonMovesOn: the tries of a request that breaks an old connection go to the other servers.
func TestPoisonMovesOn(t *testing.T) { eachEngine(t, testPoisonMovesOn) }

func testPoisonMovesOn(t *testing.T, e engine) {
	t.Helper()
	var a, b, c atomic.Int64
	d := openDoor(t, e.group(poisoned(t, &a), poisoned(t, &b), poisoned(t, &c)), nil)
	for range 3 {
		d.do("GET", "/", nil)
		d.result()
	}
	d.do("GET", "/poison", nil)
	if got := []int64{a.Load(), b.Load(), c.Load()}; !slices.Equal(got, []int64{1, 1, 1}) {
		t.Errorf("the servers got the request %v times", got)
	}
}

// TestOldConnections: a server that closes idle connections costs no request.
func TestOldConnections(t *testing.T) { eachEngine(t, testOldConnections) }

func testOldConnections(t *testing.T, e engine) {
	t.Helper()
	url := rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if readHead(r) != "" { // one request for each connection, without saying so
			_, _ = io.WriteString(c, okResponse)
		}
	})
	d := openDoor(t, e.group(url), nil)
	for i := range 200 {
		resp, body := d.do("GET", "/", nil)
		if r := d.result(); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("request %d: %d %q %+v", i, resp.StatusCode, body, r)
		}
	}
}

func TestNoRetryOnceTheClientHasSeenSomething(t *testing.T) {
	eachEngine(t, testNoRetryOnceTheClientHasSeenSomething)
}

func testNoRetryOnceTheClientHasSeenSomething(t *testing.T, e engine) {
	t.Helper()
	var requests atomic.Int64
	hints := rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if readHead(r) != "" {
			requests.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		}
	})
	u := e.group(hints)
	u.Servers = append(u.Servers, gate.Server{URL: breaker(t, &requests), Weight: 1})
	d := openDoor(t, u, nil)
	d.do("GET", "/", nil)
	if r := d.result(); requests.Load() != 1 || r.Attempts != 1 || r.Reason != gate.ReasonUpstreamAborted {
		t.Errorf("%d requests, %+v", requests.Load(), r)
	}
}

func TestTimeouts(t *testing.T) { eachEngine(t, testTimeouts) }

func testTimeouts(t *testing.T, e engine) {
	t.Helper()
	silent := func(t *testing.T) string {
		t.Helper()
		return rawBackend(t, func(_ int, c net.Conn, _ *bufio.Reader) { _, _ = io.Copy(io.Discard, c) })
	}
	deaf := func(t *testing.T) string { // reads nothing after the header
		t.Helper()
		return rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readHead(r)
			select {
			case <-t.Context().Done():
			case <-time.After(patienceOfTests):
			}
		})
	}
	stuck := func(t *testing.T) string {
		t.Helper()
		return rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readHead(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
			_, _ = io.Copy(io.Discard, c)
		})
	}
	silentHTTP2 := func(t *testing.T) string {
		t.Helper()
		return backendHTTP2(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}
	stuckHTTP2 := func(t *testing.T) string {
		t.Helper()
		return backendHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "hello")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
	}
	large := func() io.Reader { return io.LimitReader(zeros{}, 64<<20) }
	tests := []struct {
		name string
		url  func(*testing.T) string
		body func() io.Reader
		want gate.Reason
		cut  bool
	}{
		{"no header", silent, nil, gate.ReasonUpstreamTimeout, false},
		{"no header after a body", silent, large, gate.ReasonUpstreamTimeout, false},
		{"body is not taken", deaf, large, gate.ReasonUpstreamTimeout, false},
		{"stalls within the body", stuck, nil, gate.ReasonUpstreamTimeout, true},
		{"HTTP/2: no header", silentHTTP2, nil, gate.ReasonUpstreamTimeout, false},
		{"HTTP/2: body is not taken", silentHTTP2, large, gate.ReasonUpstreamTimeout, false},
		{"HTTP/2: stalls within the body", stuckHTTP2, nil, gate.ReasonUpstreamTimeout, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := e.group(test.url(t))
			u.ResponseTimeout, u.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond
			d := openDoor(t, u, nil)
			var body io.Reader
			if test.body != nil {
				body = test.body()
			}
			resp, _, err := d.try("PUT", "/", body)
			r := d.result()
			if r.Reason != test.want || r.Attempts != 1 {
				t.Errorf("%+v", r)
			}
			if body == nil && (test.cut != (err != nil) || !test.cut && resp.StatusCode != 504) {
				t.Errorf("the client got %v, %v", resp, err)
			}
		})
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestDialTimeout: the time limit of the connection covers its TLS handshake.
func TestDialTimeout(t *testing.T) { eachEngine(t, testDialTimeout) }

func testDialTimeout(t *testing.T, e engine) {
	t.Helper()
	url := rawBackend(t, func(_ int, c net.Conn, _ *bufio.Reader) { _, _ = io.Copy(io.Discard, c) })
	u := e.group(strings.Replace(url, "http:", "https:", 1))
	u.ConnectTimeout = 100 * time.Millisecond
	d := openDoor(t, u, nil)
	resp, _ := d.do("GET", "/", nil)
	if r := d.result(); r.Reason != gate.ReasonConnect || resp.StatusCode != 502 {
		t.Errorf("%+v", r)
	}
}
