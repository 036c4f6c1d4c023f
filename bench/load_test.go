package main

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseHead(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 311\r\nX-up: 1\r\n\r\n"
	h, err := parseHead([]byte(good + "body"))
	if want := (head{size: len(good), status: 200, length: 311, marked: true}); err != nil || h != want {
		t.Errorf("parseHead = %+v, %v, want %+v", h, err, want)
	}
	for i := range len(good) - 1 {
		if h, err := parseHead([]byte(good[:i])); err != nil || h.size != 0 {
			t.Errorf("the first %d bytes: %+v, %v", i, h, err)
		}
	}
	for _, bad := range []string{
		"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 2\r\n\r\n", "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		if h, err := parseHead([]byte(bad)); err == nil {
			t.Errorf("parseHead(%q) = %+v, want an error", bad, h)
		}
	}
}

func TestHeadCheck(t *testing.T) {
	good := head{size: 1, status: 200, length: 311, marked: true}
	if err := good.check(311); err != nil {
		t.Error(err)
	}
	for name, h := range map[string]head{
		"status": {status: 401, length: 311, marked: true}, "marker": {status: 200, length: 311}, "length": {status: 200, length: 310, marked: true},
	} {
		if h.check(311) == nil {
			t.Errorf("a wrong %s was taken", name)
		}
	}
}

// An answer may come in any pieces.
func TestTakeInPieces(t *testing.T) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Up: 1\r\n\r\nhello")
	for first := range len(answer) {
		for second := first; second < len(answer); second++ {
			c := connection{busy: true}
			var done bool
			for _, piece := range [][]byte{answer[:first], answer[first:second], answer[second:]} {
				if done {
					t.Fatalf("done after too little: %d, %d", first, second)
				}
				var err error
				if done, err = c.take(bytes.Clone(piece), 5); err != nil {
					t.Fatalf("pieces at %d and %d: %v", first, second, err)
				}
			}
			if !done {
				t.Fatalf("not done: %d, %d", first, second)
			}
		}
	}
	c := connection{busy: true}
	if _, err := c.take(append(bytes.Clone(answer), 'x'), 5); err == nil {
		t.Error("bytes after the answer were taken")
	}
	if _, err := (&connection{}).take(answer, 5); err == nil {
		t.Error("an answer to nothing was taken")
	}
	endless := connection{busy: true}
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		_, err = endless.take(bytes.Repeat([]byte("x"), 1000), 5)
	}
	if err == nil {
		t.Error("a head without an end was taken")
	}
}

// server answers as the upstream does, and counts what it is asked for.
type server struct {
	*httptest.Server
	count  atomic.Int64
	paths  [3]atomic.Int64
	tokens [2]atomic.Int64
}

// newServer starts one whose n-th answer is wrong, or not if wrong reports false. The race detector does not see raw system calls, so all is set before the start.
func newServer(t *testing.T, secure bool, wrong func(n int64, w http.ResponseWriter) bool) *server {
	t.Helper()
	s := &server{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.count.Add(1)
		if i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err == nil {
			s.paths[i].Add(1)
		}
		if i, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err == nil {
			s.tokens[i].Add(1)
		}
		if wrong != nil && wrong(n, w) {
			return
		}
		w.Header().Set(marker, "1")
		_, _ = w.Write([]byte("hello"))
	})
	s.Server = httptest.NewUnstartedServer(handler)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) load(n, rate int) load {
	return load{
		address: netip.MustParseAddrPort(s.Listener.Addr().String()), connections: 7, requests: n, rate: rate,
		traffic: &traffic{host: "example.com", paths: []string{"/0", "/1", "/2"}, tokens: []string{"0", "1"}, body: 5},
	}
}

func (s *server) drive(l load) (outcome, error) {
	if s.TLS == nil {
		return generate(l)
	}
	return generateTLS(l, s.Client().Transport.(*http.Transport).TLSClientConfig)
}

func TestGenerators(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, secure, nil)
			out, err := s.drive(s.load(600, 0))
			if err != nil {
				t.Fatal(err)
			}
			if len(out.latencies) != 600 || s.count.Load() != 600 || out.elapsed <= 0 || out.latencies[0] <= 0 {
				t.Errorf("%d latencies, %d requests, %s", len(out.latencies), s.count.Load(), out.elapsed)
			}
			for i := range s.paths {
				if n := s.paths[i].Load(); n != 200 {
					t.Errorf("path %d was asked for %d times, not 200", i, n)
				}
			}
			for i := range s.tokens {
				if n := s.tokens[i].Load(); n != 300 {
					t.Errorf("token %d was sent %d times, not 300", i, n)
				}
			}
		})
	}
}

func TestGeneratorsRefuseWrongAnswers(t *testing.T) {
	wrongs := map[string]func(w http.ResponseWriter){
		"status":  func(w http.ResponseWriter) { w.Header().Set(marker, "1"); w.WriteHeader(502) },
		"marker":  func(w http.ResponseWriter) { _, _ = w.Write([]byte("hello")) },
		"length":  func(w http.ResponseWriter) { w.Header().Set(marker, "1"); _, _ = w.Write([]byte("hell")) },
		"chunked": func(w http.ResponseWriter) { w.Header().Set(marker, "1"); w.(http.Flusher).Flush() },
		"nothing": func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	for name, wrong := range wrongs {
		for _, secure := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s := newServer(t, secure, func(n int64, w http.ResponseWriter) bool {
					if n == 40 {
						wrong(w)
					}
					return n == 40
				})
				if _, err := s.drive(s.load(100, 0)); err == nil {
					t.Error("the wrong answer was taken")
				}
			})
		}
	}
}

// In an open loop requests go out when they are due, and a slow answer counts from then.
func TestOpenLoop(t *testing.T) {
	s := newServer(t, false, nil)
	const n, rate = 200, 1000
	out, err := generate(s.load(n, rate))
	if err != nil {
		t.Fatal(err)
	}
	if least := time.Duration(n-1) * time.Second / rate; out.elapsed < least {
		t.Errorf("%d requests at %d a second took %s, less than %s", n, rate, out.elapsed, least)
	}

	busy := s.load(n, rate)
	busy.spin = true
	if out, err = generate(busy); err != nil || out.elapsed < time.Duration(n-1)*time.Second/rate {
		t.Errorf("busily: %s, %v", out.elapsed, err)
	}

	// One connection whose first answer takes 100 ms: the requests that were due meanwhile have waited.
	s = newServer(t, false, func(n int64, _ http.ResponseWriter) bool {
		if n == 1 {
			time.Sleep(100 * time.Millisecond)
		}
		return false
	})
	l := s.load(50, rate)
	l.connections = 1
	if out, err = generate(l); err != nil {
		t.Fatal(err)
	}
	if median := time.Duration(percentile(out.latencies, 0.5)); median < 50*time.Millisecond {
		t.Errorf("the median latency is %s: waiting was not counted", median)
	}
}

func TestDialFails(t *testing.T) {
	free, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	l := load{address: free, connections: 1, requests: 1, traffic: &traffic{paths: []string{"/"}}}
	if _, err := generate(l); err == nil {
		t.Error("connected to nobody")
	}
	if _, err := generateTLS(l, &tls.Config{ServerName: "x"}); err == nil {
		t.Error("connected to nobody with TLS")
	}
}
