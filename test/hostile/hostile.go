// Package hostile is a crowd of clients that do a gateway no good: they drip what they send, say nothing, close one half of their connection, reset it, or hardly read what they have asked for.
package hostile

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options are what a crowd needs. All fields but Once must be set.
type Options struct {
	Address string // of the gateway
	// Fields are the header lines, each with its CRLF, with which a request is let in: Host, Authorization.
	Fields string
	// Path is answered at once, Large with more than the buffers of a connection hold.
	Path, Large string
	// Pace is the time between two bytes of those who drip, and between two lives of those who reset.
	Pace time.Duration
	// Clients are the clients of each kind.
	Clients int
	// Once makes each client live once only. Otherwise each begins anew until the crowd is dispersed.
	Once bool
}

// Crowd is a crowd at work.
type Crowd struct {
	options Options
	ctx     context.Context
	stop    context.CancelFunc
	clients sync.WaitGroup
	begun   atomic.Int64  // clients that have begun their first life, or failed to
	ready   chan struct{} // closed when all have

	mu      sync.Mutex
	reports []Report
}

// Report is what became of the clients of one kind.
type Report struct {
	Kind string `json:"kind"`
	// Patient says that these clients wait for the gateway to end their connections; the others do so themselves.
	Patient bool `json:"patient"`
	// Lives are the connections that have come to their end, and Longest is the longest time that one took.
	Lives   int           `json:"lives"`
	Longest time.Duration `json:"longest_ns"`
	// Errors are failures to connect, and the first of them; anything else is an end as good as another.
	Errors int    `json:"errors"`
	First  string `json:"first_error,omitempty"`
}

// Gather starts a crowd of o.Clients of each kind. It is dispersed by Disperse, or when ctx ends.
func Gather(ctx context.Context, o Options) *Crowd {
	c := &Crowd{options: o, ready: make(chan struct{}), reports: make([]Report, len(kinds))}
	c.ctx, c.stop = context.WithCancel(ctx)
	for i, k := range kinds {
		c.reports[i] = Report{Kind: k.name, Patient: k.patient}
		for n := range o.Clients {
			c.clients.Go(func() { c.lives(i, n) })
		}
	}
	return c
}

// Size is how many clients the crowd has.
func (c *Crowd) Size() int { return len(kinds) * c.options.Clients }

// Ready is closed when every client has sent what it begins with.
func (c *Crowd) Ready() <-chan struct{} { return c.ready }

// Wait returns when all clients are done, which is never unless they live once or the crowd is dispersed. It returns what became of them.
func (c *Crowd) Wait() []Report {
	c.clients.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.reports)
}

// Disperse ends all connections and returns what became of the clients.
func (c *Crowd) Disperse() []Report {
	c.stop()
	return c.Wait()
}

// lives are the lives of the n-th client of a kind.
func (c *Crowd) lives(kind, n int) {
	if !c.options.Once { // spread what they do over the time
		select {
		case <-c.ctx.Done():
		case <-time.After(c.options.Pace * time.Duration(n) / time.Duration(c.options.Clients)):
		}
	}
	for first := true; ; first = false {
		began := func() {
			if first && c.begun.Add(1) == int64(c.Size()) {
				close(c.ready)
			}
			first = false
		}
		begin := time.Now()
		err := c.live(kinds[kind], began)
		took := time.Since(begin)
		began() // if it did not get there
		if c.ctx.Err() == nil {
			c.record(kind, took, err)
		}
		pause := c.options.Pace
		if n%2 > 0 {
			pause += pause / 2 // so that they do not march in step
		}
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(pause):
		}
		if c.options.Once {
			return
		}
	}
}

func (c *Crowd) record(kind int, took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.reports[kind]
	if err != nil {
		if r.Errors++; r.First == "" {
			r.First = err.Error()
		}
		return
	}
	r.Lives++
	r.Longest = max(r.Longest, took)
}

// live is one life: a connection from its beginning to its end. The error is that there was no connection.
func (c *Crowd) live(k kind, began func()) error {
	var dialer net.Dialer
	if k.narrow {
		dialer.Control = narrow
	}
	conn, err := dialer.DialContext(c.ctx, "tcp", c.options.Address)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer context.AfterFunc(c.ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	tcp := conn.(*net.TCPConn)
	_ = tcp.SetLinger(0) // ports are used again at once
	k.live(&client{TCPConn: tcp, Options: c.options, began: began})
	return nil
}

// narrow makes the receive buffer, and with it the window, as small as the system lets it be.
func narrow(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
	if err != nil {
		return err
	}
	return failed
}

// Kinds is how many kinds of clients there are.
func Kinds() int { return len(kinds) }
