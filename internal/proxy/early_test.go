package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// TestEarlyAnswer: a server that refuses a request before it has read all of it, and closes in one way or another, has its answer given to the client at once, with one processor and with two.
func TestEarlyAnswer(t *testing.T) {
	const refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	half := func(c net.Conn, r *bufio.Reader) {
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, r) // until the gateway closes
	}
	for _, end := range []struct {
		name  string
		read  int // bytes of the request, before the answer
		close func(c net.Conn, r *bufio.Reader)
	}{
		{"one byte read, half closed", 1, half},
		{"one byte read, closed", 1, func(c net.Conn, _ *bufio.Reader) { _ = c.Close() }},
		{"a part of the head read, half closed", 20, half},
		{"a part of the head read, open", 20, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			url := rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
				if _, err := io.ReadFull(c, make([]byte, end.read)); err == nil { // what r has not read is unread for the system too
					_, _ = io.WriteString(c, refusal)
					end.close(c, r)
				}
			})
			for _, listener := range []string{gate.EngineOwn, gate.EngineNetHTTP} {
				eachEngine(t, func(t *testing.T, e engine) {
					t.Helper()
					d := openDoor(t, e.group(url), nil, func(l *gate.Listener) { l.Engine = listener })
					for _, processors := range []int{1, 2} {
						t.Run(fmt.Sprintf("server %s, %d processors", listener, processors), func(t *testing.T) { d.refusals(t, processors) })
					}
				})
			}
		})
	}
}

// refusals sends requests, each of them whole, in two parts or without its last part, all of which are refused.
func (d *door) refusals(t *testing.T, processors int) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
	for i := range 12 {
		c := d.raw()
		_ = c.SetDeadline(time.Now().Add(patienceOfTests))
		framing, body := "Content-Length: 300", strings.Repeat("x", 300)
		if i%2 == 1 {
			framing, body = "Transfer-Encoding: chunked", "12c\r\n"+body+"\r\n0\r\n\r\n"
		}
		if i%6 >= 4 {
			framing, body = "X: y", ""
		}
		head := "X / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n"
		switch i % 3 {
		case 0:
			_, _ = io.WriteString(c, head+body)
		case 1:
			_, _ = io.WriteString(c, head+body[:len(body)/2])
			runtime.Gosched()
			_, _ = io.WriteString(c, body[len(body)/2:])
		case 2:
			_, _ = io.WriteString(c, head+body[:len(body)/2]) // it is refused without the rest
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		_ = resp.Body.Close()
		r := d.result()
		if resp.StatusCode != http.StatusBadRequest || r.Reason != "" {
			t.Errorf("request %d: status %d, %s, %v", i, resp.StatusCode, r.Reason, r.Err)
		}
		_ = c.Close()
	}
}
