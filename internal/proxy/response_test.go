package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestResponseFields(t *testing.T) { eachEngine(t, testResponseFields) }

func testResponseFields(t *testing.T, e engine) {
	t.Helper()
	folded := "one\r\n two" // obs-fold, which our own engine refuses
	if e == gate.EngineOwn {
		folded = "one two"
	}
	url := rawBackend(t, answers("HTTP/1.1 207 Fancy\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"+
		"Upgrade: h2c\r\nSet-Cookie: b=2\r\nSet-Cookie: a=1\r\nX-Folded: "+folded+"\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"))
	var reply gate.Header
	d := openDoor(t, e.group(url), func(x *gate.Exchange) {
		x.Observe(respondFunc(func(x *gate.Exchange) { reply = append(reply[:0], x.Reply...) }))
	})
	resp, body := d.do("GET", "/", nil)
	if resp.StatusCode != 207 || body != "ok" || resp.ContentLength != 2 {
		t.Errorf("got status %d, length %d, body %q", resp.StatusCode, resp.ContentLength, body)
	}
	want := gate.Header{
		{Name: "Content-Type", Value: "text/plain"}, {Name: "Date", Value: "Mon, 01 Jan 2024 00:00:00 GMT"},
		{Name: "Set-Cookie", Value: "b=2"}, {Name: "Set-Cookie", Value: "a=1"}, {Name: "X-Folded", Value: "one two"},
	}
	if e == gate.EngineOwn { // it keeps the order
		want = gate.Header{want[2], want[3], want[4], want[1], want[0]}
	}
	if diff := cmp.Diff(want, reply); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	if r := d.result(); r.Err != nil || r.Sent != 2 || r.Server != url || r.Attempts != 1 {
		t.Errorf("result %+v", r)
	}
}

// respondFunc is a gate.Responder.
type respondFunc func(*gate.Exchange)

func (f respondFunc) Respond(x *gate.Exchange) { f(x) }

func TestResponsesWithoutBody(t *testing.T) { eachEngine(t, testResponsesWithoutBody) }

func testResponsesWithoutBody(t *testing.T, e engine) {
	t.Helper()
	tests := []struct {
		method, response string
		status           int
		length           int64
	}{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200, 1234},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, -1},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, 0},
		{"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", 304, 0},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, 0},
		{"DELETE", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, 0},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %d", test.method, test.status), func(t *testing.T) {
			d := openDoor(t, e.group(rawBackend(t, answers(test.response))), nil)
			for range 3 { // on the same connections
				resp, body := d.do(test.method, "/", nil)
				if resp.StatusCode != test.status || body != "" || resp.ContentLength != test.length {
					t.Errorf("got status %d, length %d, body %q", resp.StatusCode, resp.ContentLength, body)
				}
				if r := d.result(); r.Err != nil {
					t.Error(r.Err)
				}
			}
		})
	}
}

func TestResponseTrailers(t *testing.T) { eachEngine(t, testResponseTrailers) }

func testResponseTrailers(t *testing.T, e engine) {
	t.Helper()
	const announced = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
	const surprising = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Sum: 8\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\n"
	h2 := func(names ...string) string {
		return backendHTTP2(t, func(w http.ResponseWriter, _ *http.Request) {
			for _, n := range names {
				w.Header().Add("Trailer", n)
			}
			_, _ = io.WriteString(w, "ok")
			if len(names) == 0 {
				_ = http.NewResponseController(w).Flush() // otherwise the body gets a length, and an HTTP/1.1 client no trailer
			}
			w.Header().Set(http.TrailerPrefix+"X-Sum", "7")
		})
	}
	tests := []struct {
		name, url string
		announced bool
		want      []string
	}{
		{"announced", rawBackend(t, answers(announced)), true, []string{"7"}},
		{"not announced, with fields that cannot be trailers", rawBackend(t, answers(surprising)), false, []string{"7", "8"}},
		{"HTTP/2, announced", h2("X-Sum"), true, []string{"7"}},
		{"HTTP/2, not announced", h2(), false, []string{"7"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := openDoor(t, e.group(test.url), nil)
			c := d.raw()
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n")
			r := bufio.NewReader(c)
			head := readHead(r)
			if got := strings.Contains(head, "\r\nTrailer: X-Sum\r\n"); got != test.announced {
				t.Errorf("announced %v in %q", got, head)
			}
			for line := ""; line != "0\r\n"; {
				var err error
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			trailer, err := textproto.NewReader(r).ReadMIMEHeader()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(textproto.MIMEHeader{"X-Sum": test.want}, trailer); diff != "" {
				t.Errorf("trailer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInterimResponses(t *testing.T) { eachEngine(t, testInterimResponses) }

func testInterimResponses(t *testing.T, e engine) {
	t.Helper()
	serve := func(interim string) string {
		return rawBackend(t, answers(interim+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	}
	type interim struct {
		Status int
		Link   []string
	}
	tests := []struct {
		name, url string
		want      []interim
	}{
		{"early hints", serve("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n"), []interim{{103, []string{"</a>", "</b>"}}, {103, []string{"</c>"}}}},
		{"processing", serve("HTTP/1.1 102 Processing\r\n\r\n"), []interim{{102, nil}}},
		{"100 that nobody waits for", serve("HTTP/1.1 100 Continue\r\n\r\n"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := openDoor(t, e.group(test.url), nil)
			var got []interim
			req, err := http.NewRequest("GET", d.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
					if h.Get("X-Hop") != "" {
						t.Error("a hop-by-hop field was forwarded")
					}
					got = append(got, interim{status, h["Link"]})
					return nil
				},
			}))
			resp, err := d.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(body) != "ok" || resp.StatusCode != 200 {
				t.Errorf("got %d %q %v", resp.StatusCode, body, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("interim responses (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMisbehavingServers: every fault of a server becomes a clean answer, or a response that is visibly broken off.
func TestMisbehavingServers(t *testing.T) { eachEngine(t, testMisbehavingServers) }

func testMisbehavingServers(t *testing.T, e engine) {
	t.Helper()
	say := func(s string, end func(net.Conn)) func(int, net.Conn, *bufio.Reader) {
		return func(_ int, c net.Conn, r *bufio.Reader) {
			if readHead(r) == "" {
				return
			}
			_, _ = io.WriteString(c, s)
			end(c)
		}
	}
	shut := func(c net.Conn) { _ = c.Close() }
	keep := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name  string
		serve func(int, net.Conn, *bufio.Reader)
		want  gate.Reason
		cut   bool // the head was sent, so that the client sees a broken response
	}{
		{"closes at once", say("", shut), gate.ReasonUpstreamAborted, false},
		{"resets at once", say("", reset), gate.ReasonUpstreamAborted, false},
		{"half a status line", say("HTTP/1.1 20", shut), gate.ReasonUpstreamAborted, false},
		{"half a header", say(ok+"X-A: b\r\nX-", shut), gate.ReasonUpstreamAborted, false},
		{"half a header, then reset", say(ok+"X-A: b\r\nX-", func(c net.Conn) { reset(c) }), gate.ReasonUpstreamAborted, false},
		{"garbage", say("\x15\x03\x01\x00\x02\x02 garbage\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"another protocol", say("SSH-2.0-OpenSSH_9.6\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"status below 100", say("HTTP/1.1 042 What\r\nContent-Length: 0\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"negative status", say("HTTP/1.1 -20 What\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"two lengths", say(ok+"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", keep), gate.ReasonUpstreamProtocol, false},
		{"bad length", say(ok+"Content-Length: +2\r\n\r\nab", keep), gate.ReasonUpstreamProtocol, false},
		{"unknown transfer coding", say(ok+"Transfer-Encoding: gzip\r\n\r\nab", keep), gate.ReasonUpstreamProtocol, false},
		{"line without a colon", say(ok+"X-A\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"bare CR in a value", say(ok+"X-A: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"NUL in a value", say(ok+"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"space in a name", say(ok+"X A: b\r\nContent-Length: 0\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"header too long", say(ok+"X-A: "+strings.Repeat("a", 2<<20)+"\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"header without end", func(_ int, c net.Conn, r *bufio.Reader) {
			if readHead(r) == "" {
				return
			}
			_, _ = io.WriteString(c, ok)
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(c, "X-%d: a\r\n", i); err != nil {
					return
				}
			}
		}, gate.ReasonUpstreamProtocol, false},
		{"flood of interim responses", func(_ int, c net.Conn, r *bufio.Reader) {
			if readHead(r) == "" {
				return
			}
			for {
				if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
					return
				}
			}
		}, gate.ReasonUpstreamProtocol, false},
		{"switches protocols unasked", say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", keep), gate.ReasonUpstreamProtocol, false},
		{"closes within a body of known length", say(ok+"Content-Length: 10\r\n\r\nhello", shut), gate.ReasonUpstreamAborted, true},
		{"resets within a body", say(ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", reset), gate.ReasonUpstreamAborted, true},
		{"closes between chunks", say(ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", shut), gate.ReasonUpstreamAborted, true},
		{"bad chunk", say(ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n", keep), gate.ReasonUpstreamProtocol, true},
		{"chunk size overflow", say(ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nffffffffffffffffff\r\n", keep), gate.ReasonUpstreamProtocol, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := e.group(rawBackend(t, test.serve))
			u.Retries = 0
			d := openDoor(t, u, nil)
			resp, body, err := d.try("GET", "/", nil)
			r := d.result()
			if r.Reason != test.want {
				t.Errorf("reason %q, want %q (%v)", r.Reason, test.want, r.Err)
			}
			switch {
			case test.cut && err == nil:
				t.Errorf("the client took %q for a complete response", body)
			case !test.cut && (err != nil || resp.StatusCode != test.want.Kind().Status()):
				t.Errorf("the client got %v, %v", resp, err)
			}
			if st := d.up.Status().Servers[0]; st.Failures != 1 || st.Requests != 1 || st.Active != 0 || st.LastError == "" {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// TestBytesAfterTheResponse: what a server sends beyond its response never becomes the answer to the next request.
func TestBytesAfterTheResponse(t *testing.T) { eachEngine(t, testBytesAfterTheResponse) }

func testBytesAfterTheResponse(t *testing.T, e engine) {
	t.Helper()
	log.SetOutput(io.Discard) // net/http tells everybody
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	const response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, response) // this request's
		answers(response)(0, c, rw.Reader)
	}))
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, u := range map[string]*gate.Upstream{"http": e.group(rawBackend(t, answers(response))), "https": e.trusting(t, secure)} {
		t.Run(name, func(t *testing.T) {
			d := openDoor(t, u, nil)
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() {
					for range 80 {
						if resp, body, err := d.try("GET", "/", nil); err != nil || resp.StatusCode == 200 && body != "ok" {
							t.Errorf("got %q, %v", body, err)
						}
					}
				})
			}
			clients.Wait()
		})
	}
}

// TestMisbehavingServersHTTP2 is TestMisbehavingServers for streams.
func TestMisbehavingServersHTTP2(t *testing.T) { eachEngine(t, testMisbehavingServersHTTP2) }

func testMisbehavingServersHTTP2(t *testing.T, e engine) {
	t.Helper()
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	cut := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	tests := []struct {
		name    string
		serve   http.HandlerFunc
		request string
		cut     bool
	}{
		{"resets at once", abort, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", false},
		{"resets while the client is silent", abort, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello", false},
		{"resets within a body", cut, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
		{"resets within both bodies", cut, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := openDoor(t, e.group(backendHTTP2(t, test.serve)), nil)
			c := d.raw()
			_, _ = io.WriteString(c, test.request)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if r := d.result(); r.Reason != gate.ReasonUpstreamAborted || r.Attempts != 1 {
				t.Errorf("%+v", r)
			}
			if test.cut != (err != nil) || test.cut != (resp.StatusCode == 200) {
				t.Errorf("the client got status %d, %v", resp.StatusCode, err)
			}
		})
	}
}
