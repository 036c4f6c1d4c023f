package proxy

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// tunnelable reports whether a connection may switch to the protocol. Protocols that carry more HTTP requests may not: those would pass the gateway unchecked.
func tunnelable(protocol string) bool {
	p := strings.ToLower(protocol)
	return !strings.HasPrefix(p, "h2") && !strings.HasPrefix(p, "h3") && !strings.HasPrefix(p, "http") && !strings.HasPrefix(p, "tls") && !strings.ContainsAny(p, ", \t")
}

// tunnel copies between two connections until both directions have ended. When one side has nothing more to say, the other is told so and may go on; it is given up when it
// stays silent for the idle time. There is no such limit before, because many protocols are silent for long; dead connections are found by TCP keep-alive.
type tunnel struct {
	idle    time.Duration
	buffers *bufferPool

	mu      sync.Mutex
	stopped bool
	closing *time.Timer // runs once one direction has ended
}

// run returns when nothing is copied any more and both connections are closed. sent and received are the bytes to and from the client. stopped says that ctx ended first. A
// deadline of ctx is that of an exchange and does not apply to what follows an upgrade.
func (t *tunnel) run(ctx context.Context, client, server io.ReadWriteCloser) (sent, received int64, stopped bool) {
	shut := sync.OnceFunc(func() {
		_ = client.Close()
		_ = server.Close()
	})
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.mu.Lock()
			t.stopped = true
			t.mu.Unlock()
			shut()
		}
	})
	var both sync.WaitGroup
	both.Go(func() { received = t.copy(server, client, shut) })
	both.Go(func() { sent = t.copy(client, server, shut) })
	both.Wait()
	stop()
	shut()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing != nil {
		t.closing.Stop()
	}
	return sent, received, t.stopped
}

// copy is one direction.
func (t *tunnel) copy(dst io.Writer, src io.Reader, shut func()) int64 {
	buf := t.buffers.get()
	defer t.buffers.put(buf)
	var n int64
	for {
		got, err := src.Read(buf[:])
		t.moved()
		if got > 0 {
			written, werr := dst.Write(buf[:got])
			n += int64(written)
			if werr != nil {
				shut()
				return n
			}
		}
		if err == nil {
			continue
		}
		half, ok := dst.(interface{ CloseWrite() error })
		if err != io.EOF || !ok || half.CloseWrite() != nil {
			shut()
			return n
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.closing == nil {
			t.closing = time.AfterFunc(t.idle, shut)
		}
		return n
	}
}

// moved puts the end of a half-closed tunnel off.
func (t *tunnel) moved() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing != nil {
		t.closing.Reset(t.idle)
	}
}
