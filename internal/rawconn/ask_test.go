//go:build unix

package rawconn_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/rawconn"
)

func TestAsk(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		go echo(far)
		buf := make([]byte, 64)
		for i := range 2000 { // the answer comes before, while and after it is waited for
			question := bytes.Repeat([]byte{byte(i)}, 1+i%32)
			sent, n, err := rawconn.Ask(c, question, buf)
			if sent != len(question) || err != nil || !bytes.HasPrefix(question, buf[:n]) || n == 0 {
				t.Fatalf("%d: sent %d, got %q, %v", i, sent, buf[:n], err)
			}
			if _, err := io.ReadFull(c, buf[n:len(question)]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestAskMuch: what does not go out at once is written all the same, before the answer is waited for.
func TestAskMuch(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		question := bytes.Repeat([]byte("question"), 1<<20)
		got := make(chan []byte, 1)
		go func() {
			all := make([]byte, len(question))
			_, _ = io.ReadFull(far, all)
			_, _ = far.Write([]byte("answer"))
			got <- all
		}()
		buf := make([]byte, 16)
		sent, n, err := rawconn.Ask(c, question, buf)
		if sent != len(question) || err != nil || string(buf[:n]) != "answer" {
			t.Fatalf("sent %d, got %q, %v", sent, buf[:n], err)
		}
		if !bytes.Equal(<-got, question) {
			t.Error("the question came out changed")
		}
	})
}

// TestAskUnread: bytes that nobody has asked for do not keep the answer from being noticed.
func TestAskUnread(t *testing.T) {
	both(t, func(e ends) {
		t, c, far := e.T, e.c, e.far
		if _, err := far.Write([]byte("early ")); err != nil {
			t.Fatal(err)
		}
		for rawconn.Probe(c) == rawconn.Quiet {
			time.Sleep(time.Millisecond)
		}
		go echo(far)
		buf, got := make([]byte, 16), ""
		_, n, err := rawconn.Ask(c, []byte("answer"), buf)
		for got = string(buf[:n]); err == nil && len(got) < len("early answer"); got += string(buf[:n]) {
			n, err = c.Read(buf)
		}
		if got != "early answer" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestAskErrors(t *testing.T) {
	t.Run("the other side answers nothing and closes", func(t *testing.T) {
		both(t, func(e ends) {
			go func() {
				_, _ = io.ReadFull(e.far, make([]byte, 1))
				_ = e.far.Close()
			}()
			sent, n, err := rawconn.Ask(e.c, []byte("?"), make([]byte, 8))
			if sent != 1 || n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("%d, %d, %v", sent, n, err)
			}
		})
	})
	t.Run("no answer in time", func(t *testing.T) {
		both(t, func(e ends) {
			_ = e.c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			sent, n, err := rawconn.Ask(e.c, []byte("?"), make([]byte, 8))
			if sent != 1 || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d, %d, %v", sent, n, err)
			}
			_ = e.c.SetReadDeadline(time.Time{})
			_, _ = e.far.Write([]byte("late"))
			buf := make([]byte, 8)
			if n, err := e.c.Read(buf); string(buf[:n]) != "late" || err != nil {
				t.Errorf("%q, %v", buf[:n], err)
			}
		})
	})
	t.Run("the time is over already", func(t *testing.T) {
		both(t, func(e ends) {
			_ = e.c.SetReadDeadline(time.Unix(1, 0))
			sent, n, err := rawconn.Ask(e.c, []byte("?"), make([]byte, 8))
			if sent != 1 || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d, %d, %v", sent, n, err)
			}
			got := make([]byte, 1)
			_ = e.far.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.ReadFull(e.far, got); string(got) != "?" || err != nil {
				t.Errorf("the other side got %q, %v", got, err)
			}
		})
	})
	t.Run("the other side takes nothing", func(t *testing.T) {
		both(t, func(e ends) {
			_ = e.c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			question := make([]byte, 32<<20)
			sent, n, err := rawconn.Ask(e.c, question, make([]byte, 8))
			if sent == len(question) || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d, %d, %v", sent, n, err)
			}
		})
	})
	t.Run("the other side has reset", func(t *testing.T) {
		both(t, func(e ends) {
			_ = e.far.SetLinger(0)
			_ = e.far.Close()
			for rawconn.Probe(e.c) != rawconn.Closed {
				time.Sleep(time.Millisecond)
			}
			sent, n, err := rawconn.Ask(e.c, []byte("?"), make([]byte, 8))
			if sent != 0 || n != 0 || !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%d, %d, %v", sent, n, err)
			}
		})
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		both(t, func(e ends) {
			go func() {
				_, _ = io.ReadFull(e.far, make([]byte, 1))
				_ = e.c.Close()
			}()
			sent, n, err := rawconn.Ask(e.c, []byte("?"), make([]byte, 8))
			if sent != 1 || n != 0 || err == nil || errors.Is(err, io.EOF) {
				t.Errorf("%d, %d, %v", sent, n, err)
			}
		})
	})
}
