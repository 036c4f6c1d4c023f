package proxy

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// heard is a gate.Writer that keeps the response.
type heard struct {
	status int
	body   bytes.Buffer
}

func (h *heard) Informational(int, gate.Header) error          { return nil }
func (h *heard) Head(status int, _ gate.Header, _ int64) error { h.status = status; return nil }
func (h *heard) Write(p []byte) (int, error)                   { return h.body.Write(p) }
func (h *heard) Flush() error                                  { return nil }
func (h *heard) Trailer(gate.Header) error                     { return nil }
func (h *heard) Upgrade(gate.Header) (io.ReadWriteCloser, error) {
	return nil, http.ErrNotSupported
}
func (h *heard) Abort()     {}
func (h *heard) Gone() bool { return false }

// FuzzResponse: whatever a server says, the call ends; and what is forwarded as a complete response, net/http reads in the same way.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nConnection: close, X-A\r\nX-A: b\r\n\r\nok and more", "HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(5), false)
		f.Add([]byte(seed), uint8(0), true)
	}
	u := &gate.Upstream{Name: "test", Servers: []gate.Server{{URL: "http://server.test", Weight: 1}}}
	u.SetDefaults()
	u.Retries = 0
	u.ResponseTimeout, u.IdleTimeout = 10*time.Second, 10*time.Second
	m := NewManager(Options{})
	f.Cleanup(m.Close)
	up, problems := m.Acquire(u)
	if up == nil {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, said []byte, piece uint8, head bool) {
		ours, theirs := net.Pipe()
		up.balance.entries[0].server.links.open = func(context.Context) (*link, error) { return &link{Conn: ours, raw: ours}, nil }
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer theirs.Close()
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
				t.Errorf("the request: %v", err)
				return
			}
			for rest := said; len(rest) > 0; {
				n := min(len(rest), int(piece)*7+1)
				if _, err := theirs.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		method := "GET"
		if head {
			method = "HEAD"
		}
		w := &heard{}
		x := &gate.Exchange{Context: context.Background(), Method: method, Proto: 11, Host: "h", OutPath: "/", Body: io.NopCloser(strings.NewReader("")), Writer: w}
		err := up.Forward(x)
		up.balance.entries[0].server.links.retire()
		_ = ours.Close()
		<-done
		up.balance.entries[0].server.links.retired = false
		if err != nil {
			return
		}
		r := bufio.NewReader(bytes.NewReader(said))
		for {
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("net/http refuses what was forwarded: %v", err)
			}
			if resp.StatusCode < 200 {
				continue
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != w.status || !bytes.Equal(body, w.body.Bytes()) {
				t.Fatalf("net/http reads %d %q, %v; forwarded was %d %q", resp.StatusCode, body, err, w.status, w.body.Bytes())
			}
			return
		}
	})
}
