package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/jotgate/jotgate/internal/gate"
)

// describe answers with what was received.
func describe(x *gate.Exchange) {
	b, err := io.ReadAll(x.Body)
	if err != nil {
		_ = x.WriteHead(gate.AsDenial(err).Kind().Status(), 0)
		return
	}
	say(x, fmt.Sprintf("%s %s %s %s", x.Method, x.Target, x.In.Get("X-Pad"), b))
}

// line is a connection's worth of requests, and what describe answers to each.
type line struct {
	raw  strings.Builder
	want []string
}

func (l *line) add(method, body, pad string, chunked bool) {
	target := fmt.Sprintf("/%d", len(l.want))
	fmt.Fprintf(&l.raw, "%s %s HTTP/1.1\r\nHost: a\r\nX-Pad: %s\r\n", method, target, pad)
	switch {
	case chunked:
		l.raw.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; rest != ""; {
			n := min(len(rest), 1000)
			fmt.Fprintf(&l.raw, "%x;ext=\"1\"\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		l.raw.WriteString("0\r\nX-Trailer: 1\r\n\r\n")
	case body != "":
		fmt.Fprintf(&l.raw, "Content-Length: %d\r\n\r\n%s", len(body), body)
	default:
		l.raw.WriteString("\r\n")
	}
	answer := fmt.Sprintf("%s %s %s %s", method, target, pad, body)
	if method == "HEAD" {
		answer = ""
	}
	l.want = append(l.want, answer)
}

// check reads the answers.
func (l *line) check(t *testing.T, c io.Reader) {
	t.Helper()
	br := bufio.NewReader(c)
	for i, want := range l.want {
		method := "GET"
		if want == "" {
			method = "HEAD"
		}
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || string(got) != want || res.StatusCode != 200 {
			t.Fatalf("answer %d: %d, %q, %v", i, res.StatusCode, got, err)
		}
	}
}

func mixed() *line {
	l := new(line)
	for i := range 40 {
		l.add("GET", "", repeat(i*10), false)
		l.add("POST", repeat(1+i*i), "", false)
		l.add("HEAD", "", "", false)
		l.add("POST", repeat(i*300), "chunked", true)
		l.add("POST", "", "empty", true)
	}
	l.add("GET", "", repeat(40<<10), false) // larger than a buffer
	l.add("POST", repeat(100<<10), "large", true)
	l.add("POST", repeat(100<<10), "large", false)
	l.add("GET", "", "last", false)
	return l
}

// However requests arrive, each is answered, in order.
func TestPipelining(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			a := newAuthority(t)
			for _, secure := range []bool{false, true} {
				l := e.settings()
				if secure {
					a.withTLS(t)(&l)
				}
				r := start(t, l, describe)
				for _, piece := range []int{1 << 20, 16 << 10, 4099, 997, 61} {
					t.Run(fmt.Sprintf("secure %v, pieces of %d", secure, piece), func(t *testing.T) {
						c := r.dial()
						if tcp, ok := c.(*net.TCPConn); ok {
							_ = tcp.SetNoDelay(true)
						}
						if secure {
							c = a.clientTLS(t, c)
						}
						requests := mixed()
						go func() {
							for rest := requests.raw.String(); rest != ""; {
								n := min(piece, len(rest))
								if _, err := io.WriteString(c, rest[:n]); err != nil {
									return
								}
								rest = rest[n:]
							}
						}()
						requests.check(t, c)
					})
				}
			}
		})
	}
}

// A client may end its own side at once and still read the answer.
func TestHalfClose(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), describe)
			for _, request := range []string{"GET /0 HTTP/1.1\r\nHost: a\r\n\r\n", "POST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"} {
				c := r.dial()
				_, _ = io.WriteString(c, request)
				_ = c.(*net.TCPConn).CloseWrite()
				if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
					t.Errorf("%q, %v", b, err)
				}
			}
			for _, part := range []string{"GET /0 HTTP/1.1\r\nHo", "POST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx", "POST /0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx"} {
				c := r.dial()
				_, _ = io.WriteString(c, part)
				_ = c.(*net.TCPConn).CloseWrite()
				if b, err := io.ReadAll(c); err != nil || strings.Contains(string(b), " 200 ") {
					t.Errorf("%q: %q, %v", part, b, err)
				}
			}
		})
	}
}

// A client that still sends when it is refused gets to read why.
func TestLastResponseIsNotReset(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(func(l *gate.Listener) { l.MaxBodyBytes = 1000 }), describe)
			for name, head := range map[string]string{
				"too large":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
				"malformed":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nX : y\r\n\r\n",
				"chunk size":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
				"large head":  "GET / HTTP/1.1\r\nHost: a\r\nX: ",
				"no such end": "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n",
			} {
				t.Run(name, func(t *testing.T) {
					for range 5 {
						c := r.dial()
						_, _ = io.WriteString(c, head)
						_, _ = io.WriteString(c, repeat(200<<10)) // an error is seen below, if it matters
						time.Sleep(5 * time.Millisecond)
						res, err := http.ReadResponse(bufio.NewReader(c), nil)
						if err != nil || res.StatusCode < 400 && name != "no such end" || !res.Close {
							t.Fatalf("%+v, %v", res, err)
						}
					}
				})
			}
		})
	}
}

// A body says what of it is there, and reading that does not wait.
func TestBodyThatIsThere(t *testing.T) {
	r := start(t, engine(gate.EngineOwn).settings(func(l *gate.Listener) { l.BodyTimeout = 200 * time.Millisecond }), func(x *gate.Exchange) {
		b := x.Body.(interface {
			io.Reader
			Ready() bool
		})
		var got []byte
		var err error
		for buf := make([]byte, 3); err == nil && b.Ready(); {
			var n int
			n, err = b.Read(buf)
			got = append(got, buf[:n]...)
		}
		say(x, fmt.Sprintf("%q %v", got, err))
	})
	for request, want := range map[string]string{
		"Content-Length: 5\r\n\r\nhello":               `"hello" EOF`,
		"Content-Length: 7\r\n\r\nhello":               `"hello" <nil>`,
		"Content-Length: 5\r\n\r\n":                    `"" <nil>`,
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello": `"" <nil>`, // what a chunk's size will be is not known before it is read
	} {
		if got := r.raw("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + request); !strings.HasSuffix(got, "\r\n\r\n"+want) {
			t.Errorf("%q: %q", request, got)
		}
	}
}

// A connection that was taken over is not lost when its handler is.
func TestPanicAfterUpgradeClosesTheConnection(t *testing.T) {
	r := start(t, engine(gate.EngineOwn).settings(), func(x *gate.Exchange) {
		x.Reply.Add("Upgrade", x.Upgrade)
		if _, err := x.WriteUpgrade(); err != nil {
			t.Error(err)
		}
		panic("lost")
	})
	if got := r.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
		t.Errorf("%q", got)
	}
	eventually(t, "the connection is forgotten", func() bool { return r.Status()[0].Connections == 0 })
}

// The preface of HTTP/2 is known however it arrives, and what only begins like it is HTTP/1.1.
func TestPrefaceInPieces(t *testing.T) {
	r := start(t, engine(gate.EngineOwn).settings(), describe)
	c := r.dial()
	for _, piece := range []string{"P", "R", "I * HTTP/2.0\r\n\r\nSM", "\r\n\r\n"} {
		_, _ = io.WriteString(c, piece)
		time.Sleep(20 * time.Millisecond)
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if frame, err := f.ReadFrame(); err != nil || frame.Header().Type != http2.FrameSettings {
		t.Errorf("%v, %v", frame, err)
	}
	c = r.dial()
	for _, piece := range []string{"P", "OST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"} {
		_, _ = io.WriteString(c, piece)
		time.Sleep(20 * time.Millisecond)
	}
	if b, _ := io.ReadAll(c); !strings.HasSuffix(string(b), "POST /0  x") {
		t.Errorf("%q", b)
	}
	off := start(t, engine(gate.EngineOwn).settings(func(l *gate.Listener) { l.HTTP2 = false }), describe)
	if got := off.raw(preface); !strings.HasPrefix(got, "HTTP/1.1 505 ") {
		t.Errorf("without HTTP/2: %q", got)
	}
}

// The time for a head is not renewed by each byte.
func TestHeaderTimeoutIsForTheWholeHead(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(func(l *gate.Listener) { l.HeaderTimeout = 300 * time.Millisecond }), describe)
			for _, first := range []string{"", "GET /0 HTTP/1.1\r\nHost: a\r\n\r\n"} {
				c := r.dial()
				_, _ = io.WriteString(c, first+"GET /1 HTTP/1.1\r\nX: ")
				began := time.Now()
				go func() {
					for {
						if _, err := io.WriteString(c, "x"); err != nil {
							return
						}
						time.Sleep(20 * time.Millisecond)
					}
				}()
				b, _ := io.ReadAll(c)
				if took := time.Since(began); took > 2*time.Second || strings.Contains(string(b), "GET /1") || e == gate.EngineOwn && !strings.Contains(string(b), "HTTP/1.1 408 ") {
					t.Errorf("after %v: %q", took, b)
				}
				c.Close()
			}
		})
	}
}

// A request that a client sends just when its idle connection is to end is answered, or was never taken.
func TestEndOfIdleConnections(t *testing.T) {
	var served atomic.Int64
	r := start(t, engine(gate.EngineOwn).settings(), func(x *gate.Exchange) { served.Add(1); say(x, "") })
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	type one struct {
		c  net.Conn
		br *bufio.Reader
	}
	all := make([]one, 200)
	for i := range all {
		all[i].c = r.dial()
		all[i].br = bufio.NewReader(all[i].c)
		ask(t, all[i].c, all[i].br, "GET", request)
	}
	served.Store(0)
	done := make(chan error)
	go func() { done <- r.stop(10 * time.Second) }()
	time.Sleep(lingerOnStop - 20*time.Millisecond)
	answered := int64(0)
	for _, o := range all {
		_, _ = io.WriteString(o.c, request)
		res, err := http.ReadResponse(o.br, nil)
		switch {
		case err == nil && res.StatusCode == 200 && res.Close:
			answered++
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
			t.Errorf("%+v, %v", res, err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if served.Load() != answered {
		t.Errorf("%d served, %d answered", served.Load(), answered)
	}
}
