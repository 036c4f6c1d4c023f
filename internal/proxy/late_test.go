package proxy

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/rawconn"
)

// client is who waits for the answer of a call.
type client struct{ gone atomic.Bool }

func (c *client) Gone() bool { return c.gone.Load() }

// linked is a call with a connection to a server.
func linked(t *testing.T, request string) (c *call, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	_ = far.SetDeadline(time.Now().Add(20 * time.Second))
	raw := rawconn.Wrap(near, rawconn.Raw)
	return &call{link: &link{Conn: raw, raw: raw, used: true}, client: new(client), asks: true, out: []byte(request)}, far
}

// TestLateRequest: a call that got no processor for longer than it waits at a time has its request answered all the same.
func TestLateRequest(t *testing.T) {
	c, far := linked(t, "question")
	c.now = time.Now().Add(-2 * gonePoll)
	go func() {
		_, _ = io.ReadFull(far, make([]byte, len("question")))
		_, _ = io.WriteString(far, "answer")
	}()
	buf := make([]byte, 16)
	if n, err := c.read(buf, time.Minute, true); string(buf[:n]) != "answer" || err != nil {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	if !c.wrote || c.asks {
		t.Errorf("wrote %v, asks %v", c.wrote, c.asks)
	}
}

// TestLateAnswer: an answer that is there when it is noticed that the client says nothing more is given to it.
func TestLateAnswer(t *testing.T) {
	c, far := linked(t, "")
	c.asks = false
	c.client.(*client).gone.Store(true)
	c.now = time.Now().Add(-2 * gonePoll)
	if _, err := io.WriteString(far, "answer"); err != nil {
		t.Fatal(err)
	}
	for rawconn.Probe(c.link.raw) == rawconn.Quiet {
		time.Sleep(time.Millisecond)
	}
	buf := make([]byte, 16)
	if n, err := c.read(buf, time.Minute, true); string(buf[:n]) != "answer" || err != nil {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	c.now = time.Now().Add(-2 * gonePoll)
	if _, err := c.read(buf, time.Minute, true); err != errGone { //nolint:errorlint // it is a sentinel
		t.Errorf("nothing more comes, and the client is gone: %v", err)
	}
}
