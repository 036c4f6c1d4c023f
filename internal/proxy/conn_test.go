package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// connPair is a connection of ours and its other end.
func connPair(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := dialer{timeout: time.Minute, stall: time.Minute}
	c, err := d.open(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), other.Close() })
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return c, other
}

// TestConnKeepsTheAnswer: writing to a server that has answered and gone does not lose its answer.
func TestConnKeepsTheAnswer(t *testing.T) {
	c, other := connPair(t)
	if _, err := c.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(other, "answer")
	_ = other.Close() // with the question unread, so that the next bytes are answered with RST
	for !c.deaf.Load() {
		if _, err := c.Write(make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	sent := c.written.Load()
	if n, err := c.Write([]byte("more")); n != 4 || err != nil || c.written.Load() != sent {
		t.Errorf("wrote %d, %v", n, err)
	}
	buf := make([]byte, 10)
	if n, err := c.Read(buf); string(buf[:n]) != "answer" || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if _, err := c.Read(buf); err == nil || !c.ended.Load() {
		t.Errorf("the end was not seen: %v", err)
	}
}

func TestConnUnasked(t *testing.T) {
	c, other := connPair(t)
	exchange := func(answer string) {
		t.Helper()
		c.await()
		if !c.unasked() {
			t.Error("something was there before the request was written, but not noticed")
		}
		_, _ = io.WriteString(c, "question")
		if !c.unasked() {
			t.Error("only what came before the request was read, but not noticed")
		}
		_, _ = io.WriteString(other, answer)
		if _, err := io.ReadFull(c, make([]byte, len(answer))); err != nil {
			t.Fatal(err)
		}
		if c.unasked() {
			t.Error("the answer was refused")
		}
	}
	exchange("answer")
	exchange("answer and more")
	exchange("answer")
}

// TestConnStall: a write that makes no progress fails, unless the caller has set a limit of its own.
func TestConnStall(t *testing.T) {
	c, _ := connPair(t)
	c.stall = 50 * time.Millisecond
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			break
		}
	}
	if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	c.stall = time.Hour
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("the caller's limit was ignored")
	}
}
