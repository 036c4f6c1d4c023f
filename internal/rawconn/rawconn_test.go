//go:build unix

package rawconn_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/rawconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns the two ends of a TCP connection over loopback.
func pair(tb testing.TB) (near, far *net.TCPConn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// ends are the two ends of a connection.
type ends struct {
	*testing.T
	c   net.Conn
	far *net.TCPConn
}

// both runs a test with a wrapped connection and, as the reference, with a plain one.
func both(t *testing.T, test func(e ends)) {
	t.Helper()
	for name, mode := range map[string]rawconn.Mode{"raw": rawconn.Raw, "plain": rawconn.Plain} {
		t.Run(name, func(t *testing.T) {
			near, far := pair(t)
			test(ends{t, rawconn.Wrap(near, mode), far})
		})
	}
}

func TestWrapOnlyWhatFits(t *testing.T) {
	near, _ := pair(t)
	if got := rawconn.Wrap(near, rawconn.Plain); got != net.Conn(near) {
		t.Errorf("Plain: %T", got)
	}
	if got := rawconn.Wrap(near, rawconn.Raw); (got != net.Conn(near)) != possible {
		t.Errorf("Raw: %T, though raw calls possible is %v", got, possible)
	}
	p, q := net.Pipe()
	defer p.Close()
	defer q.Close()
	if got := rawconn.Wrap(p, rawconn.Raw); got != p {
		t.Errorf("a pipe: %T", got)
	}
	if got := rawconn.Wrap(rawconn.Wrap(near, rawconn.Raw), rawconn.Raw); possible && got == nil {
		t.Error("wrapping twice")
	}
}

func TestReadWriteEnd(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		if _, err := far.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 3)
		if n, err := c.Read(buf); n != 3 || err != nil || string(buf) != "hel" {
			t.Fatalf("%q, %d, %v", buf, n, err)
		}
		if n, err := c.Read(nil); n != 0 || err != nil {
			t.Fatalf("empty read: %d, %v", n, err)
		}
		if n, err := c.Write(nil); n != 0 || err != nil {
			t.Fatalf("empty write: %d, %v", n, err)
		}
		if err := far.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(c)
		if string(rest) != "lo" || err != nil {
			t.Fatalf("%q, %v", rest, err)
		}
		if _, err := c.Read(buf); !errors.Is(err, io.EOF) {
			t.Fatalf("after the end: %v", err)
		}
		// The other direction is still open.
		if n, err := c.Write([]byte("bye")); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(far); string(got) != "bye" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func TestReadDeadline(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		buf := make([]byte, 8)
		for _, deadline := range []time.Duration{-time.Second, 5 * time.Millisecond} {
			if err := c.SetReadDeadline(time.Now().Add(deadline)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Read(buf)
			var netErr net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &netErr) || !netErr.Timeout() {
				t.Fatalf("%v", err)
			}
		}
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); n != 1 || err != nil {
			t.Fatalf("after the deadline was lifted: %d, %v", n, err)
		}
	})
}

func TestDeadlineWakesReader(t *testing.T) {
	both(t, func(e ends) {
		t, c := e.T, e.c
		result := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			result <- err
		}()
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

// A write that its deadline ends says how much went out, and the peer has exactly that.
func TestWriteDeadlineCountsBytes(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		data := make([]byte, 64<<20)
		_, _ = rand.Read(data[:1<<20])
		if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Write(data)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n <= 0 || n >= len(data) {
			t.Fatalf("%d, %v", n, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, data[:n]) {
			t.Fatalf("%d of %d bytes, %v", len(got), n, err)
		}
	})
}

func TestBothWaysAtOnce(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		const size = 8<<20 + 17
		data := make([]byte, size)
		_, _ = rand.Read(data)
		want := sha256.Sum256(data)
		var wg sync.WaitGroup
		for _, end := range []net.Conn{c, far} {
			wg.Go(func() {
				if n, err := end.Write(data); n != size || err != nil {
					t.Errorf("write: %d, %v", n, err)
				}
			})
			wg.Go(func() {
				h := sha256.New()
				if _, err := io.CopyN(h, end, size); err != nil {
					t.Errorf("read: %v", err)
				}
				if got := h.Sum(nil); !bytes.Equal(got, want[:]) {
					t.Error("bytes were changed on their way")
				}
			})
		}
		wg.Wait()
	})
}

// Writers of one connection may be many: none of their writes is torn.
func TestConcurrentWriters(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		const writers, each, size = 4, 50, 3000
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for range each {
					if _, err := c.Write(bytes.Repeat([]byte{byte('a' + w)}, size)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		block := make([]byte, size)
		for range writers * each {
			if _, err := io.ReadFull(far, block); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(block, bytes.Repeat(block[:1], size)) {
				t.Fatal("a write was torn")
			}
		}
		wg.Wait()
	})
}

func TestCloseEndsReadAndWrite(t *testing.T) {
	both(t, func(e ends) {
		t, c := e.T, e.c
		results := make(chan error, 2)
		go func() {
			_, err := c.Read(make([]byte, 1))
			results <- err
		}()
		go func() {
			_, err := c.Write(make([]byte, 64<<20))
			results <- err
		}()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-results; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		if rawconn.Probe(c) != rawconn.Closed {
			t.Error("Probe sees an open connection")
		}
	})
}

func TestPeerReset(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		if err := far.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		far.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write: %v", err)
		}
		if got := rawconn.Probe(c); got != rawconn.Closed {
			t.Errorf("Probe: %d", got)
		}
	})
}

// Errors read like those of package net.
func TestErrorsAreThoseOfNet(t *testing.T) {
	texts := map[string][]string{}
	port := regexp.MustCompile(`:\d+`)
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		add := func(err error) {
			var op *net.OpError
			if !errors.As(err, &op) {
				t.Fatalf("%T is no *net.OpError", err)
			}
			texts[t.Name()] = append(texts[t.Name()], port.ReplaceAllString(err.Error(), ":0"))
		}
		_ = c.SetDeadline(time.Unix(1, 0))
		_, err := c.Read(make([]byte, 1))
		add(err)
		_, err = c.Write([]byte("x"))
		add(err)
		_ = c.SetDeadline(time.Time{})
		_ = far.SetLinger(0)
		far.Close()
		_, err = c.Read(make([]byte, 1))
		add(err)
		_, err = c.Write([]byte("x"))
		add(err)
		c.Close()
		_, err = c.Read(make([]byte, 1))
		add(err)
		_, err = c.Write([]byte("x"))
		add(err)
	})
	if diff := cmp.Diff(texts[t.Name()+"/plain"], texts[t.Name()+"/raw"]); diff != "" {
		t.Errorf("(-net +raw):\n%s", diff)
	}
}

// The collector runs all the time, stacks grow and shrink, and no byte goes astray.
func TestWhileMemoryMoves(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		var deep func(depth int, work func())
		deep = func(depth int, work func()) {
			var space [512]byte
			space[depth%len(space)] = 1
			if depth == 0 {
				work()
				return
			}
			deep(depth-1, work)
			runtime.KeepAlive(&space)
		}
		stop := make(chan struct{})
		var collector, wg sync.WaitGroup
		collector.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.GC()
				}
			}
		})
		const rounds = 200
		wg.Go(func() {
			for i := range rounds {
				deep(i%40, func() {
					buf := bytes.Repeat([]byte{byte(i)}, 5000)
					if _, err := c.Write(buf); err != nil {
						t.Error(err)
					}
				})
			}
		})
		wg.Go(func() {
			if _, err := io.Copy(far, io.LimitReader(far, rounds*5000)); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for i := range rounds {
				deep(i%30, func() {
					buf := make([]byte, 5000)
					if _, err := io.ReadFull(c, buf); err != nil || !bytes.Equal(buf, bytes.Repeat([]byte{byte(i)}, 5000)) {
						t.Errorf("round %d: %v", i, err)
					}
				})
			}
		})
		wg.Wait()
		close(stop)
		collector.Wait()
	})
}

func TestNoAllocation(t *testing.T) {
	if !possible {
		t.Skip("this build has no raw calls")
	}
	near, far := pair(t)
	a, b := rawconn.Wrap(near, rawconn.Raw), rawconn.Wrap(far, rawconn.Raw)
	message, buf := make([]byte, 500), make([]byte, 1000)
	get, put := func() []byte { return buf }, func([]byte) {}
	if n := testing.AllocsPerRun(200, func() {
		if _, err := a.Write(message); err != nil {
			t.Fatal(err)
		}
		if rawconn.Probe(a) != rawconn.Quiet {
			t.Fatal("not quiet")
		}
		if _, err := b.Read(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write(message); err != nil {
			t.Fatal(err)
		}
		if _, _, err := rawconn.ReadLazy(a, get, put); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
