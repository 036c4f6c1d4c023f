// Package rawconn is TCP input and output at the price of the system call alone.
//
// Before a system call, package syscall tells the scheduler that the thread may block (entersyscall), and that wakes the monitor thread when it sleeps, which it does whenever there is little to do. On
// a non-blocking socket nothing blocks: the calls here are made raw, and waiting is left to the runtime's network poller. What is dangerous about that is kept in one file, raw.go.
//
// Where raw calls are not possible (other systems than Linux, builds with the race detector or a sanitizer, connections that are not TCP, Mode Plain), Wrap returns the connection as it is, and ReadLazy and Probe
// do the same work by ordinary means.
package rawconn

import "net"

// Mode says whether Wrap does anything.
type Mode uint8

// The modes.
const (
	// Raw: where it is possible.
	Raw Mode = iota
	// Plain: never.
	Plain
)

// Wrap returns a connection that reads and writes c, which must not be read or written by another way any more, by raw system calls, or c itself where that is not possible. The result behaves as c does: deadlines,
// errors (*net.OpError), concurrent use, CloseRead, CloseWrite, SetLinger and SyscallConn included; what it lacks are ReadFrom and WriteTo, which would go around it.
func Wrap(c net.Conn, mode Mode) net.Conn {
	if t, ok := c.(*net.TCPConn); ok && mode == Raw {
		return wrap(t)
	}
	return c
}

// lazyReader is a connection that can wait for data without a buffer.
type lazyReader interface {
	ReadLazy(get func() []byte, put func([]byte)) (buf []byte, n int, err error)
}

// ReadLazy waits for data on c and reads it into a buffer from get: buf[:n]. While it waits, it holds no buffer if c is one that Wrap has made, so that an idle connection costs none. get and put are called on the
// calling goroutine, get not only once: a buffer that stays empty goes back by put. The buffers are not empty. get and put must not use c, and not block. If n is 0, buf is nil and err is not: there is nothing to put back then.
func ReadLazy(c net.Conn, get func() []byte, put func([]byte)) (buf []byte, n int, err error) {
	if l, ok := c.(lazyReader); ok {
		return l.ReadLazy(get, put)
	}
	buf = get()
	n, err = c.Read(buf)
	if n == 0 {
		put(buf)
		buf = nil
	}
	return buf, n, err
}

// asker is a connection that can write and then wait for what comes.
type asker interface {
	Ask(out, p []byte) (sent, n int, err error)
}

// Ask writes out to c, on which nothing has come that was not read (Probe can tell), and reads what then comes into p: Write and Read, without an attempt to read what cannot be there yet. Neither may be empty. If sent is less than
// len(out), err is what kept the rest from being written, and nothing was read. Otherwise n and err are those of the Read: a read deadline that is past does not keep out from being written.
func Ask(c net.Conn, out, p []byte) (sent, n int, err error) {
	if a, ok := c.(asker); ok {
		return a.Ask(out, p)
	}
	if sent, err = c.Write(out); err != nil {
		return sent, 0, err
	}
	n, err = c.Read(p)
	return sent, n, err
}

// State is what Probe sees of a connection on which nothing is expected.
type State uint8

// The states.
const (
	// Quiet: the connection is open, as far as this side knows, and there is nothing to read.
	Quiet State = iota
	// Readable: there are bytes that nobody has asked for. On a TLS connection they need not be of the application: session tickets come late, and so does the alert that closes it.
	Readable
	// Closed: the other side has closed or reset the connection, or this side has.
	Closed
)

// prober is a connection that can be looked at cheaply.
type prober interface{ Probe() State }

// Probe looks, without waiting and without taking bytes away, whether an idle connection can still be used. Of a connection that is neither TCP nor from Wrap nothing can be said: it is Quiet, and so is every open one on
// systems other than Linux. A connection can close right after it was Quiet. Probe does not wait for a read that is under way, which will see for itself
// what comes: the result is Quiet then, or what such a read would see.
func Probe(c net.Conn) State {
	switch c := c.(type) {
	case prober:
		return c.Probe()
	case *net.TCPConn:
		return probe(c)
	}
	return Quiet
}
