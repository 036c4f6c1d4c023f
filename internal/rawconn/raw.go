//go:build linux && !386 && !s390x && !race && !msan && !asan

package rawconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Raw calls, and why they are safe here:
//
//   - A raw call holds its processor: no other goroutine runs on it, and a garbage collection that wants to stop the world waits for its end. So it must not block: every call carries MSG_DONTWAIT, whatever mode the socket is
//     in, and moves at most maxTransfer bytes, because sending over loopback does the receiver's work as well.
//   - The kernel writes into memory that the runtime must not have moved or freed. The buffer is held in a field of the Conn during the call. That makes it reachable, and it makes it escape: it is not on a stack, which may move.
//   - The race detector and the sanitizers do not see what the kernel writes: the build tags leave them the plain connection.
//   - What a call is about is handed over in fields, because a closure for each call would be an allocation. Mutexes keep them to one reader and one writer; net.Conn promises that concurrent calls are safe.
//   - The file descriptor stays open during a call: RawConn counts its users, and Close waits for them.
//   - 32-bit x86 and s390x reach sockets by another system call.

// maxTransfer is the largest number of bytes that one call moves.
const maxTransfer = 128 << 10

// Conn is a TCP connection that is read and written by raw system calls.
type Conn struct {
	tcp *net.TCPConn
	raw syscall.RawConn

	reading  sync.Mutex
	in       []byte
	got      int
	inErr    syscall.Errno
	get      func() []byte
	put      func([]byte)
	tryRead  func(fd uintptr) bool
	tryLazy  func(fd uintptr) bool
	tryProbe func(fd uintptr)
	peeked   [1]byte

	writing  sync.Mutex
	out      []byte
	outErr   syscall.Errno
	tryWrite func(fd uintptr) bool

	asking bool   // Ask has not written yet
	unsent []byte // what Ask could not write at once
	askErr syscall.Errno
	tryAsk func(fd uintptr) bool
}

var _ net.Conn = (*Conn)(nil)

func wrap(t *net.TCPConn) net.Conn {
	raw, err := t.SyscallConn()
	if err != nil {
		return t
	}
	c := &Conn{tcp: t, raw: raw}
	c.tryRead, c.tryLazy, c.tryWrite, c.tryProbe, c.tryAsk = c.receive, c.receiveLazy, c.send, c.peek, c.ask
	return c
}

// receive is recvfrom(2) on c.in. It reports whether it is done: false if there is nothing to receive yet.
func (c *Conn) receive(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.in))), //nolint:gosec // see above
			uintptr(min(len(c.in), maxTransfer)), syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			c.got = int(n)
		}
		c.inErr = errno
		return true
	}
}

// receiveLazy is receive with a buffer that is kept only if something came.
func (c *Conn) receiveLazy(fd uintptr) bool {
	c.in = c.get()
	done := c.receive(fd)
	if !done || c.got == 0 {
		c.put(c.in)
		c.in = nil
	}
	return done
}

// send is sendto(2) until all of c.out is sent. It reports false if the rest has to wait.
func (c *Conn) send(fd uintptr) bool {
	for len(c.out) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.out))), //nolint:gosec // see above
			uintptr(min(len(c.out), maxTransfer)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			c.out = c.out[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.outErr = errno
			return true
		}
	}
	return true
}

// ask is send first, and receive when something has come. RawConn has taken note of what came before, and begun to listen anew: what comes in answer is not missed.
func (c *Conn) ask(fd uintptr) bool {
	if !c.asking {
		return c.receive(fd)
	}
	c.asking = false
	c.writing.Lock()
	c.out, c.outErr = c.unsent, 0
	c.send(fd)
	c.unsent, c.askErr = c.out, c.outErr
	c.out = nil
	c.writing.Unlock()
	return len(c.unsent) > 0
}

// peek is recvfrom(2) of one byte that stays where it is.
func (c *Conn) peek(fd uintptr) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&c.peeked)), 1, syscall.MSG_DONTWAIT|syscall.MSG_PEEK, 0, 0) //nolint:gosec // see above
		if errno != syscall.EINTR {
			c.got, c.inErr = int(n), errno
			return
		}
	}
}

// Read is net.Conn's.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	c.in, c.got, c.inErr = p, 0, 0
	err := c.raw.Read(c.tryRead)
	c.in = nil
	return c.got, c.readError(err)
}

// ReadLazy is the function of that name.
func (c *Conn) ReadLazy(get func() []byte, put func([]byte)) (buf []byte, n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.get, c.put, c.got, c.inErr = get, put, 0, 0
	err = c.raw.Read(c.tryLazy)
	buf = c.in
	c.get, c.put, c.in = nil, nil, nil
	return buf, c.got, c.readError(err)
}

// Ask is the function of that name.
func (c *Conn) Ask(out, p []byte) (sent, n int, err error) {
	if len(out) == 0 || len(p) == 0 {
		return 0, 0, nil
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	c.in, c.got, c.inErr = p, 0, 0
	c.asking, c.unsent, c.askErr = true, out, 0
	waited := c.raw.Read(c.tryAsk)
	rest := c.unsent
	c.in, c.unsent = nil, nil
	if sent = len(out) - len(rest); sent == len(out) {
		return sent, c.got, c.readError(waited)
	}
	if c.askErr != 0 {
		return sent, 0, c.opError("write", os.NewSyscallError("write", c.askErr))
	}
	more, err := c.Write(rest) // some of it, or all if the reader's time was over before it began
	if sent += more; err != nil {
		return sent, 0, err
	}
	if waited != nil {
		return sent, 0, c.opError("read", waited)
	}
	c.in = p
	err = c.raw.Read(c.tryRead)
	c.in = nil
	return sent, c.got, c.readError(err)
}

// readError is the error of a read that ended with err (from waiting) and c.inErr (from the call).
func (c *Conn) readError(err error) error {
	switch {
	case err != nil:
		return c.opError("read", err)
	case c.inErr != 0:
		return c.opError("read", os.NewSyscallError("read", c.inErr))
	case c.got == 0:
		return io.EOF
	}
	return nil
}

// Write is net.Conn's.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out, c.outErr = p, 0
	err := c.raw.Write(c.tryWrite)
	n := len(p) - len(c.out)
	c.out = nil
	switch {
	case err != nil:
		return n, c.opError("write", err)
	case c.outErr != 0:
		return n, c.opError("write", os.NewSyscallError("write", c.outErr))
	}
	return n, nil
}

// Probe is the function of that name.
func (c *Conn) Probe() State {
	if !c.reading.TryLock() {
		return Quiet
	}
	defer c.reading.Unlock()
	if c.raw.Control(c.tryProbe) != nil {
		return Closed
	}
	switch {
	case c.inErr == syscall.EAGAIN:
		return Quiet
	case c.inErr == 0 && c.got > 0:
		return Readable
	}
	return Closed
}

// opError makes the error of an operation what it is in package net; RawConn calls its own raw-read and raw-write.
func (c *Conn) opError(op string, err error) error {
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.tcp.LocalAddr(), Addr: c.tcp.RemoteAddr(), Err: err}
}

// Close closes the connection. Reads and writes under way end with net.ErrClosed.
func (c *Conn) Close() error { return c.tcp.Close() }

// CloseRead shuts the reading side down.
func (c *Conn) CloseRead() error { return c.tcp.CloseRead() }

// CloseWrite shuts the writing side down.
func (c *Conn) CloseWrite() error { return c.tcp.CloseWrite() }

// LocalAddr is net.Conn's.
func (c *Conn) LocalAddr() net.Addr { return c.tcp.LocalAddr() }

// RemoteAddr is net.Conn's.
func (c *Conn) RemoteAddr() net.Addr { return c.tcp.RemoteAddr() }

// SetDeadline is net.Conn's.
func (c *Conn) SetDeadline(t time.Time) error { return c.tcp.SetDeadline(t) }

// SetReadDeadline is net.Conn's.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.tcp.SetReadDeadline(t) }

// SetWriteDeadline is net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.tcp.SetWriteDeadline(t) }

// SetLinger is (*net.TCPConn).SetLinger.
func (c *Conn) SetLinger(seconds int) error { return c.tcp.SetLinger(seconds) }

// SyscallConn is (*net.TCPConn).SyscallConn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// NetConn returns the connection below. It must not be read or written while c is in use.
func (c *Conn) NetConn() net.Conn { return c.tcp }
