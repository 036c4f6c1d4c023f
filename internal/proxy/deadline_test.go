package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// lasting is a context that ends at its deadline and need not be watched, as the engine has it. Nobody may wait for it: it wakes nobody.
type lasting struct {
	context.Context
	end time.Time
}

func (l lasting) OnlyDeadline() bool          { return true }
func (l lasting) Deadline() (time.Time, bool) { return l.end, true }
func (l lasting) Done() <-chan struct{}       { return nil }
func (l lasting) Err() error {
	if time.Now().Before(l.end) {
		return nil
	}
	return context.DeadlineExceeded
}

// waiting is a body that does not come until it is closed.
type waiting struct{ closed chan struct{} }

func (w waiting) Read([]byte) (int, error) {
	<-w.closed
	return 0, io.ErrClosedPipe
}

func (w waiting) Close() error {
	close(w.closed)
	return nil
}

// TestDeadlineIsKept: without being woken, the client of our own ends with the exchange, whatever it waits for, and the server is not to blame.
func TestDeadlineIsKept(t *testing.T) {
	const limit = 100 * time.Millisecond
	for _, test := range []struct {
		name  string
		serve func(n int, c net.Conn, r *bufio.Reader)
		body  io.ReadCloser // nil if there is none
	}{
		{"the head does not come", func(_ int, _ net.Conn, r *bufio.Reader) {
			for readHead(r) != "" {
				continue
			}
		}, nil},
		{"the body does not come", func(_ int, c net.Conn, r *bufio.Reader) {
			readHead(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			readHead(r)
		}, nil},
		{"the client's body does not come", func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }, waiting{make(chan struct{})}},
		{"the server takes nothing", func(_ int, c net.Conn, _ *bufio.Reader) {
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			time.Sleep(5 * limit)
		}, lazy{io.LimitReader(endless{}, 1<<30)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, up := acquire(t, own.group(rawBackend(t, test.serve)))
			for range 2 { // the second time perhaps with a connection that was used before
				x := get(lasting{t.Context(), time.Now().Add(limit)}, "/", &near{})
				x.Start = time.Now()
				if test.body != nil {
					x.Method, x.Length, x.Body = "POST", 1<<30, test.body
				}
				begin := time.Now()
				err := up.Forward(x)
				if d := time.Since(begin); reasonOf(err) != gate.ReasonDeadline || d < limit || d > limit+2*time.Second {
					t.Errorf("%v after %v", err, d)
				}
				if x.Attempts != 1 {
					t.Errorf("%d tries", x.Attempts)
				}
				if test.body != nil {
					break
				}
			}
			if status := m.Status()[0].Servers[0]; status.LastError != "" {
				t.Errorf("blamed: %s", status.LastError)
			}
		})
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	return copy(p, strings.Repeat("x", len(p))), nil
}
