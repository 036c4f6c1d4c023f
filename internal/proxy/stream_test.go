package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestServerSentEventsArriveAsSent(t *testing.T) { eachEngine(t, testServerSentEventsArriveAsSent) }

func testServerSentEventsArriveAsSent(t *testing.T, e engine) {
	t.Helper()
	next := make(chan string)
	serve := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for event := range next {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	}
	for name, url := range map[string]string{"HTTP/1.1": backend(t, serve), "HTTP/2": backendHTTP2(t, serve)} {
		t.Run(name, func(t *testing.T) {
			next = make(chan string)
			d := openDoor(t, e.group(url), nil)
			req, _ := http.NewRequest("GET", d.url, nil)
			resp, err := d.client.Do(req) // returns before the first event
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			buf := make([]byte, 100)
			for _, event := range []string{"data: 1\n\n", "data: two\n\n", "data: 3\n\n"} {
				next <- event
				n, err := io.ReadFull(resp.Body, buf[:len(event)]) // hangs if it were kept back
				if err != nil || string(buf[:n]) != event {
					t.Fatalf("got %q, %v", buf[:n], err)
				}
			}
			close(next)
			if n, err := resp.Body.Read(buf); n != 0 || err != io.EOF {
				t.Errorf("got %q, %v", buf[:n], err)
			}
		})
	}
}

// TestSlowBodyOfKnownLength: parts of a body arrive as sent also when its length is known.
func TestSlowBodyOfKnownLength(t *testing.T) { eachEngine(t, testSlowBodyOfKnownLength) }

func testSlowBodyOfKnownLength(t *testing.T, e engine) {
	t.Helper()
	step := make(chan struct{})
	url := rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readHead(r)
		for _, part := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab", "cd", "ef"} {
			_, _ = io.WriteString(c, part)
			<-step
		}
	})
	d := openDoor(t, e.group(url), nil)
	resp, err := d.client.Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, want := range []string{"ab", "cd", "ef"} {
		buf := make([]byte, 2)
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != want {
			t.Fatalf("got %q, %v", buf, err)
		}
		step <- struct{}{}
	}
}

// TestLargeBodiesNeedLittleMemory streams 100 MB in both directions at once.
func TestLargeBodiesNeedLittleMemory(t *testing.T) { eachEngine(t, testLargeBodiesNeedLittleMemory) }

func testLargeBodiesNeedLittleMemory(t *testing.T, e engine) {
	t.Helper()
	const size = 100 << 20
	var peak atomic.Uint64
	echo := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		buf := make([]byte, 32<<10)
		for total := 0; ; {
			n, err := r.Body.Read(buf)
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
			if total/(10<<20) != (total+n)/(10<<20) {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
			total += n
			if err != nil {
				return
			}
		}
	}
	for name, url := range map[string]string{"HTTP/1.1": backend(t, echo), "HTTP/2": backendHTTP2(t, echo)} {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)
			peak.Store(0)
			d := openDoor(t, e.group(url), nil)
			req, _ := http.NewRequest("POST", d.url, io.LimitReader(zeros{}, size))
			resp, err := d.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if n != size || err != nil {
				t.Errorf("got %d bytes, %v", n, err)
			}
			r := d.result()
			if r.Sent != size || r.Received != size || r.Err != nil {
				t.Errorf("%+v", r)
			}
			if used := int64(peak.Load()) - int64(before.HeapAlloc); used > 24<<20 {
				t.Errorf("%d MiB of memory were used", used>>20)
			}
		})
	}
}

// TestFullDuplex is a conversation as in a bidirectional gRPC stream: each side waits for the other's message, and the status comes as trailers.
func TestFullDuplex(t *testing.T) { eachEngine(t, testFullDuplex) }

func testFullDuplex(t *testing.T, e engine) {
	t.Helper()
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
			t.Errorf("got %s with TE %q", r.Proto, r.Header.Get("Te"))
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		buf := make([]byte, 4)
		for {
			if _, err := io.ReadFull(r.Body, buf); err != nil {
				break
			}
			_, _ = w.Write(bytes.ToUpper(buf))
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "done")
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(serve))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, u := range map[string]*gate.Upstream{"h2c": e.group(backendHTTP2(t, serve)), "TLS": e.trusting(t, secure)} {
		t.Run(name, func(t *testing.T) {
			d := openDoor(t, u, nil)
			client := &http.Transport{Protocols: new(http.Protocols)}
			client.Protocols.SetUnencryptedHTTP2(true)
			defer client.CloseIdleConnections()
			body, out := io.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "POST", d.url+"/pkg.Service/Method", body)
			req.Header.Set("Te", "trailers")
			resp, err := client.RoundTrip(req) // before a message was sent
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for _, word := range []string{"ping", "pong", "more"} {
				_, _ = io.WriteString(out, word)
				buf := make([]byte, 4)
				if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != strings.ToUpper(word) {
					t.Fatalf("got %q, %v", buf, err)
				}
			}
			_ = out.Close()
			if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
				t.Errorf("got %q, %v", rest, err)
			}
			if resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("Grpc-Message") != "done" {
				t.Errorf("trailer %v", resp.Trailer)
			}
			if r := d.result(); r.Err != nil || r.Sent != 12 || r.Received != 12 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// trusting is an upstream of one TLS server whose certificate is trusted through a file.
func (e engine) trusting(t *testing.T, s *httptest.Server) *gate.Upstream {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	u := e.group(s.URL)
	u.TLS = &gate.ClientTLS{CAFile: name, ServerName: "example.com"}
	return u
}

func TestTLS(t *testing.T) { eachEngine(t, testTLS) }

func testTLS(t *testing.T, e engine) {
	t.Helper()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	secure.Config.ErrorLog = discardLog
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	t.Cleanup(secure.Close)

	d := openDoor(t, e.trusting(t, secure), nil)
	if _, body := d.do("GET", "/", nil); body != "HTTP/1.1" {
		t.Errorf("got %q", body)
	}

	u := e.trusting(t, secure)
	u.TLS.ServerName = "other.test"
	wrongName := openDoor(t, u, nil)
	wrongName.do("GET", "/", nil)
	if r := wrongName.result(); r.Reason != gate.ReasonConnect {
		t.Errorf("another name: %+v", r)
	}

	unknown := openDoor(t, e.group(secure.URL), nil)
	unknown.do("GET", "/", nil)
	if r := unknown.result(); r.Reason != gate.ReasonConnect {
		t.Errorf("an unknown authority: %+v", r)
	}

	u = e.group(secure.URL)
	u.TLS = &gate.ClientTLS{InsecureSkipVerify: true}
	if _, body := openDoor(t, u, nil).do("GET", "/", nil); body != "HTTP/1.1" {
		t.Errorf("unchecked: got %q", body)
	}
}

// TestEarlyResponse: a server that answers before it has the whole request is heard, also when it closes the connection.
func TestEarlyResponse(t *testing.T) { eachEngine(t, testEarlyResponse) }

func testEarlyResponse(t *testing.T, e engine) {
	t.Helper()
	early := "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
	closing := rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readHead(r)
		_, _ = io.WriteString(c, early)
	})
	t.Run("while the client sends", func(t *testing.T) {
		d := openDoor(t, e.group(closing), nil)
		for i := range 30 {
			c := d.raw()
			go func() {
				_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 52428800\r\n\r\n")
				_, _ = io.Copy(c, io.LimitReader(zeros{}, 50<<20))
			}()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 413 || string(body) != "big" || err != nil {
				t.Fatalf("request %d: %d %q %v %+v", i, resp.StatusCode, body, err, d.result())
			}
			_ = c.Close()
			if r := d.result(); r.Attempts != 1 || r.Err != nil {
				t.Fatalf("request %d: %+v", i, r)
			}
		}
	})
	t.Run("while the client is silent", func(t *testing.T) {
		for name, url := range map[string]string{
			"HTTP/1.1": closing,
			"HTTP/2":   backendHTTP2(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "big", http.StatusRequestEntityTooLarge) }),
		} {
			t.Run(name, func(t *testing.T) {
				d := openDoor(t, e.group(url), nil)
				c := d.raw()
				_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello")
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if r := d.result(); resp.StatusCode != 413 || r.Err != nil {
					t.Errorf("%d, %+v", resp.StatusCode, r)
				}
			})
		}
	})
	t.Run("before the length is used up", func(t *testing.T) {
		// The head comes before the body of the request, the body after it: neither may wait for the other.
		url := rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readHead(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
			buf := make([]byte, 5)
			_, _ = io.ReadFull(r, buf)
			_, _ = c.Write(buf)
		})
		d := openDoor(t, e.group(url), nil)
		c := d.raw()
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "hello")
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != "hello" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	})
}

func TestExpectContinue(t *testing.T) { eachEngine(t, testExpectContinue) }

func testExpectContinue(t *testing.T, e engine) {
	t.Helper()
	var read atomic.Int64
	d := openDoor(t, e.group(backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		read.Store(n)
	})), nil)
	for _, test := range []struct{ path, interim string }{{"/yes", "HTTP/1.1 100 Continue\r\n"}, {"/no", ""}} {
		if test.path == "/no" && e == gate.EngineOwn {
			continue // it settles the expectation with the client: the server never hears of it
		}
		c := d.raw()
		r := bufio.NewReader(c)
		_, _ = io.WriteString(c, "POST "+test.path+" HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		if test.interim != "" {
			if line, _ := r.ReadString('\n'); line != test.interim {
				t.Errorf("%s: got %q", test.path, line)
			}
			_, _ = r.ReadString('\n')
			_, _ = io.WriteString(c, "hello")
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		res := d.result()
		if test.interim == "" && (resp.StatusCode != 403 || res.Received != 0) || test.interim != "" && (resp.StatusCode != 200 || read.Load() != 5) {
			t.Errorf("%s: status %d, %+v", test.path, resp.StatusCode, res)
		}
	}
}

// TestClientLeaves: the server's work ends with the client.
func TestClientLeaves(t *testing.T) { eachEngine(t, testClientLeaves) }

func testClientLeaves(t *testing.T, e engine) {
	t.Helper()
	tests := []struct {
		name    string
		request string
		early   bool // the head is sent first
		limited bool // the exchange has a time limit, so its context is not the server's
	}{
		{"before the head", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", false, false},
		{"before the head, with a time limit", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", false, true},
		{"within the response", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true, false},
		{"within the response, with a time limit", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true, true},
		{"within the request", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			arrived, left := make(chan struct{}), make(chan struct{})
			d := openDoor(t, e.group(backend(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				if test.early {
					_ = http.NewResponseController(w).Flush()
				}
				close(arrived)
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			})), func(x *gate.Exchange) {
				if test.limited {
					ctx, cancel := context.WithTimeout(x.Context, time.Hour)
					t.Cleanup(cancel)
					x.Context = ctx
				}
			})
			c := d.raw()
			_, _ = io.WriteString(c, test.request)
			<-arrived
			_ = c.Close()
			within(t, func() { <-left })
			if r := d.result(); r.Reason != gate.ReasonClientGone {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestDeadline(t *testing.T) { eachEngine(t, testDeadline) }

func testDeadline(t *testing.T, e engine) {
	t.Helper()
	for _, early := range []bool{false, true} {
		left := make(chan struct{})
		cancel := context.CancelFunc(func() {})
		d := openDoor(t, e.group(backend(t, func(w http.ResponseWriter, r *http.Request) {
			defer close(left)
			if early {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		})), func(x *gate.Exchange) { x.Context, cancel = context.WithTimeout(x.Context, 200*time.Millisecond) })
		resp, _, err := d.try("GET", "/", nil)
		if r := d.result(); r.Reason != gate.ReasonDeadline {
			t.Errorf("%+v", r)
		}
		if early != (err != nil) || !early && resp.StatusCode != 504 {
			t.Errorf("the client got %v, %v", resp, err)
		}
		<-left
		cancel()
	}
}

// brokenBody ends with an error after some bytes.
type brokenBody struct {
	io.Reader
	err error
}

func (b *brokenBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func (b *brokenBody) Close() error { return nil }

func TestBodyErrors(t *testing.T) { eachEngine(t, testBodyErrors) }

func testBodyErrors(t *testing.T, e engine) {
	t.Helper()
	url := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the server took a broken body for complete")
		}
	})
	tests := []struct {
		name string
		err  error
		want gate.Reason
	}{
		{"too large", gate.ErrBodyTooLarge, gate.ReasonBodyLarge},
		{"a denial", gate.Deny(gate.ReasonBadMessage, errors.New("bad chunk")), gate.ReasonBadMessage},
		{"too slow", os.ErrDeadlineExceeded, gate.ReasonSlowRequest},
		{"cut off", io.ErrUnexpectedEOF, gate.ReasonClientGone},
	}
	for _, test := range tests {
		for _, length := range []int64{-1, 100} {
			t.Run(test.name, func(t *testing.T) {
				u := e.group(url)
				d := openDoor(t, u, func(x *gate.Exchange) {
					x.Body, x.Length = &brokenBody{strings.NewReader("hello"), test.err}, length
				})
				resp, _ := d.do("PUT", "/", nil)
				r := d.result()
				if r.Reason != test.want || resp.StatusCode != test.want.Kind().Status() || r.Attempts != 1 || r.Received != 5 {
					t.Errorf("status %d, %+v", resp.StatusCode, r)
				}
				if s := d.up.Status().Servers[0]; s.Failures != 0 {
					t.Errorf("the server was blamed: %+v", s)
				}
			})
		}
	}
}

func TestMaxConnections(t *testing.T) { eachEngine(t, testMaxConnections) }

func testMaxConnections(t *testing.T, e engine) {
	t.Helper()
	var now, most atomic.Int64
	serve := func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Millisecond) // so that requests overlap
		now.Add(-1)
		_, _ = io.WriteString(w, "ok")
	}
	u := e.group(backend(t, serve))
	u.MaxConnections = 2
	d := openDoor(t, u, nil)
	done := make(chan error, 50)
	for range cap(done) {
		go func() {
			_, _, err := d.try("GET", "/", nil)
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > 2 {
		t.Errorf("%d connections at once", most.Load())
	}

	t.Run("waiting ends with the exchange", func(t *testing.T) {
		stop := make(chan struct{})
		u := e.group(backend(t, func(http.ResponseWriter, *http.Request) { <-stop }))
		u.MaxConnections = 1
		entered := make(chan struct{}, 2)
		var cancels []context.CancelFunc
		d := openDoor(t, u, func(x *gate.Exchange) {
			if x.Target == "/second" {
				ctx, cancel := context.WithTimeout(x.Context, 100*time.Millisecond)
				x.Context, cancels = ctx, append(cancels, cancel)
			}
			entered <- struct{}{}
		})
		first := make(chan struct{})
		go func() { defer close(first); _, _, _ = d.try("GET", "/first", nil) }()
		<-entered
		for d.up.Status().Servers[0].Active == 0 {
			runtime.Gosched()
		}
		_, _, _ = d.try("GET", "/second", nil)
		if r := d.result(); r.Reason != gate.ReasonDeadline {
			t.Errorf("%+v", r)
		}
		close(stop)
		<-first
		for _, cancel := range cancels {
			cancel()
		}
	})

	t.Run("HTTP/2 shares one connection", func(t *testing.T) {
		u := e.group(backendHTTP2(t, serve))
		u.MaxConnections = 1
		d := openDoor(t, u, nil)
		done := make(chan error, 50)
		for range cap(done) {
			go func() {
				_, _, err := d.try("GET", "/", nil)
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for range cap(done) {
			if r := d.result(); r.Err != nil {
				t.Error(r.Err)
			}
		}
	})
}
