package keys

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a network of net.Pipe connections, which works inside a synctest bubble: real HTTP on a clock of its own.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.done)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// world is a provider and a manager inside a bubble.
type world struct {
	*testing.T
	*Manager
	handler atomic.Pointer[http.HandlerFunc]
	hits    atomic.Int64
}

func (w *world) serve(h http.HandlerFunc) { w.handler.Store(&h) }

// inBubble runs a test on a clock that jumps to the next thing that happens. All hosts are the provider.
func inBubble(t *testing.T, stateDir string, h http.HandlerFunc, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		w := &world{T: t, Manager: newManager(t, stateDir)}
		w.dial = network.dial
		w.serve(h)
		server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.hits.Add(1)
			(*w.handler.Load())(rw, r)
		})}
		served := make(chan error)
		go func() { served <- server.Serve(network) }()
		defer func() {
			w.Close()
			_ = server.Close()
			<-served
		}()
		test(w)
	})
}

// after waits and lets everything that then happens happen.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
