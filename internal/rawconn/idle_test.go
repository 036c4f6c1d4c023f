//go:build unix

package rawconn_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/rawconn"
)

func TestReadLazy(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		var mu sync.Mutex
		out, most := 0, 0
		get := func() []byte {
			mu.Lock()
			defer mu.Unlock()
			out++
			most = max(most, out)
			return make([]byte, 16)
		}
		returned := make(chan struct{}, 16)
		put := func([]byte) {
			mu.Lock()
			defer mu.Unlock()
			out--
			returned <- struct{}{}
		}
		type result struct {
			buf []byte
			n   int
			err error
		}
		results := make(chan result)
		read := func() {
			buf, n, err := rawconn.ReadLazy(c, get, put)
			results <- result{buf, n, err}
		}
		go read()
		if _, isPlain := c.(*net.TCPConn); !isPlain {
			<-returned // it waits without a buffer
		}
		if _, err := far.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		if r := <-results; string(r.buf[:r.n]) != "abc" || r.err != nil {
			t.Fatalf("%+v", r)
		}
		if out != 1 || most != 1 {
			t.Fatalf("%d buffers are out, at most %d were", out, most)
		}
		out = 0
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		go read()
		if r := <-results; r.buf != nil || r.n != 0 || !errors.Is(r.err, os.ErrDeadlineExceeded) {
			t.Fatalf("%+v", r)
		}
		_ = c.SetReadDeadline(time.Time{})
		far.Close()
		go read()
		if r := <-results; r.buf != nil || r.n != 0 || !errors.Is(r.err, io.EOF) {
			t.Fatalf("%+v", r)
		}
		if out != 0 {
			t.Errorf("%d buffers are missing", out)
		}
	})
}

func TestProbe(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		if got := rawconn.Probe(c); got != rawconn.Quiet {
			t.Fatalf("idle: %d", got)
		}
		if _, err := far.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		waitReadable(t, c)
		if got := rawconn.Probe(c); got != rawconn.Readable {
			t.Fatalf("with a byte: %d", got)
		}
		if n, err := c.Read(make([]byte, 2)); n != 1 || err != nil {
			t.Fatalf("the byte is gone: %d, %v", n, err)
		}
		if got := rawconn.Probe(c); got != rawconn.Quiet {
			t.Fatalf("idle again: %d", got)
		}
		far.Close()
		waitReadable(t, c)
		if got := rawconn.Probe(c); got != rawconn.Closed {
			t.Fatalf("closed by the peer: %d", got)
		}
	})
	p, q := net.Pipe()
	defer p.Close()
	defer q.Close()
	if got := rawconn.Probe(p); got != rawconn.Quiet {
		t.Errorf("a pipe: %d", got)
	}
}

func TestProbeDoesNotWait(t *testing.T) {
	both(t, func(e ends) {
		t, c := e.T, e.c
		waiting := make(chan struct{}, 4)
		done := make(chan error)
		go func() {
			_, _, err := rawconn.ReadLazy(c, func() []byte { waiting <- struct{}{}; return make([]byte, 1) }, func([]byte) {})
			done <- err
		}()
		<-waiting
		if got := rawconn.Probe(c); got != rawconn.Quiet {
			t.Errorf("while a read waits: %d", got)
		}
		c.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// waitReadable waits until there are bytes or the end of c to be read.
func waitReadable(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return !errors.Is(err, syscall.EAGAIN)
	})
	if err != nil {
		t.Fatal(err)
	}
}
