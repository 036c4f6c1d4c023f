package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// generateTLS drives a closed loop over TLS, with a goroutine for each connection: crypto/tls blocks, and what is measured is the proxy's CPU time, not ours.
func generateTLS(l load, config *tls.Config) (outcome, error) {
	conns := make([]*tls.Conn, l.connections)
	for i := range conns {
		conn, err := tls.Dial("tcp", l.address.String(), config)
		if err != nil {
			return outcome{}, fmt.Errorf("connecting with TLS: %w", err)
		}
		defer func() { _ = conn.Close() }()
		conns[i] = conn
	}
	var next atomic.Int64
	latencies := make([][]int64, len(conns))
	failures := make([]error, len(conns))
	start := monotonic()
	var group sync.WaitGroup
	for i, conn := range conns {
		group.Go(func() {
			latencies[i], failures[i] = exchangeAll(conn, &l, &next)
		})
	}
	group.Wait()
	elapsed := time.Duration(monotonic() - start)
	all := make([]int64, 0, l.requests)
	for i := range conns {
		if failures[i] != nil {
			return outcome{}, failures[i]
		}
		all = append(all, latencies[i]...)
	}
	slices.Sort(all)
	return outcome{elapsed: elapsed, latencies: all}, nil
}

// exchangeAll takes requests from the common count until there are none left.
func exchangeAll(conn net.Conn, l *load, next *atomic.Int64) ([]int64, error) {
	c := &connection{}
	in := make([]byte, 32<<10)
	var latencies []int64
	for {
		n := int(next.Add(1)) - 1
		if n >= l.requests {
			return latencies, nil
		}
		begin := monotonic()
		c.out = l.traffic.request(c.out[:0], n)
		if err := exchange(conn, c, in, l.traffic.body); err != nil {
			return nil, fmt.Errorf("request %d: %w", n, err)
		}
		latencies = append(latencies, monotonic()-begin)
	}
}

// exchange sends the request in c.out and reads its answer.
func exchange(conn net.Conn, c *connection, in []byte, body int) error {
	if err := conn.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if _, err := conn.Write(c.out); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	c.busy = true
	for {
		k, err := conn.Read(in)
		if k > 0 {
			done, wrong := c.take(in[:k], body)
			if wrong != nil {
				return wrong
			}
			if done {
				c.busy = false
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
	}
}
