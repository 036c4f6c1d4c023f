package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
	"unsafe"
)

// load is a fixed number of requests over keep-alive connections.
type load struct {
	address     netip.AddrPort
	connections int
	requests    int
	rate        int  // requests a second in an open loop; 0 for a closed loop, where each connection asks again as soon as it has its answer
	spin        bool // wait busily between the requests of an open loop
	traffic     *traffic
}

// outcome is what became of a load. Every answer was right: anything else is an error.
type outcome struct {
	elapsed   time.Duration
	latencies []int64 // ns, sorted; in an open loop from the time at which the request was due
}

// stall is how long no answer at all may come before a run is given up.
const stall = 20 * time.Second

// connection is one client connection of a generator.
type connection struct {
	fd      int
	out     []byte // the request under way, and what is not sent of it
	unsent  []byte
	partial []byte // the start of a head whose end has not come
	left    int    // bytes of the body to come
	inBody  bool
	busy    bool
	due     int64
	waiting bool // for the socket to take more
}

// generator drives a load from one thread with epoll and raw system calls: it shares its processors with what it measures, so it has to be cheap.
type generator struct {
	load
	epoll     int
	conns     []connection
	idle      []int32 // a ring: connections are used in turn
	idleHead  int
	idleCount int
	issued    int
	scratch   []byte
	latencies []int64
	start     int64
}

// generate drives l and returns when all answers are there. The first wrong answer ends it with an error.
func generate(l load) (outcome, error) {
	runtime.LockOSThread() // the timer slack below belongs to the thread
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nothing is allocated on the way
	runtime.GC()
	const setTimerSlack = 29
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0); errno != 0 {
		return outcome{}, fmt.Errorf("setting the timer slack: %w", errno)
	}
	g := &generator{load: l, scratch: make([]byte, 256<<10), latencies: make([]int64, 0, l.requests), idle: make([]int32, l.connections)}
	defer g.close()
	if err := g.open(); err != nil {
		return outcome{}, err
	}
	g.start = monotonic()
	if err := g.loop(); err != nil {
		return outcome{}, fmt.Errorf("after %d of %d answers: %w", len(g.latencies), g.requests, err)
	}
	elapsed := time.Duration(monotonic() - g.start)
	slices.Sort(g.latencies)
	return outcome{elapsed: elapsed, latencies: g.latencies}, nil
}

func (g *generator) open() error {
	var err error
	if g.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("making an epoll instance: %w", err)
	}
	g.conns = make([]connection, 0, g.connections)
	for i := range g.connections {
		fd, err := dial(g.address)
		if err != nil {
			return err
		}
		g.conns = append(g.conns, connection{fd: fd, out: make([]byte, 0, 4096), partial: make([]byte, 0, 4096)})
		if err := syscall.SetNonblock(fd, true); err != nil {
			return fmt.Errorf("making a connection non-blocking: %w", err)
		}
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}
		if err := syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
			return fmt.Errorf("watching a connection: %w", err)
		}
		g.rest(i)
	}
	return nil
}

func (g *generator) close() {
	for i := range g.conns {
		_ = syscall.Close(g.conns[i].fd)
	}
	if g.epoll > 0 {
		_ = syscall.Close(g.epoll)
	}
}

// dial opens a blocking connection. On closing it is reset, so that runs one after the other do not use up the ports.
func dial(address netip.AddrPort) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("making a socket: %w", err)
	}
	err = errors.Join(
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: int64(stall / time.Second)}),
		syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}),
	)
	if err != nil {
		_ = syscall.Close(fd)
		return 0, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return fd, nil
}

// rest puts a connection at the end of the queue of those without a request.
func (g *generator) rest(i int) {
	g.idle[(g.idleHead+g.idleCount)%len(g.idle)] = int32(i)
	g.idleCount++
}

// loop sends requests and reads answers until all are there.
func (g *generator) loop() error {
	var events [256]syscall.EpollEvent
	last := g.start
	for len(g.latencies) < g.requests {
		now := monotonic()
		wait, err := g.issue(now)
		if err != nil {
			return err
		}
		n, errno := pollWait(g.epoll, events[:], wait)
		if errno != 0 && errno != syscall.EINTR {
			return fmt.Errorf("waiting for answers: %w", errno)
		}
		if errno == syscall.EINTR {
			n = 0
		}
		now = monotonic()
		if n > 0 {
			last = now
		} else if busy := g.idleCount < len(g.idle); busy && now-last > int64(stall) {
			return fmt.Errorf("no answer for %s", stall)
		}
		for _, event := range events[:n] {
			if err := g.ready(int(event.Fd), event.Events); err != nil {
				return err
			}
		}
	}
	return nil
}

// issue sends the requests that are due on the connections that are free, and returns how long nothing is to be sent.
func (g *generator) issue(now int64) (time.Duration, error) {
	const long = 50 * time.Millisecond // collections of garbage and stalls are noticed after it
	for g.idleCount > 0 && g.issued < g.requests {
		due := now
		if g.rate > 0 {
			due = g.start + int64(float64(g.issued)*1e9/float64(g.rate))
			if due > now && g.spin {
				return 0, nil
			}
			if due > now {
				return min(time.Duration(due-now), long), nil
			}
		}
		i := int(g.idle[g.idleHead])
		g.idleHead = (g.idleHead + 1) % len(g.idle)
		g.idleCount--
		c := &g.conns[i]
		c.due, c.busy = due, true
		c.out = g.traffic.request(c.out[:0], g.issued)
		c.unsent = c.out
		g.issued++
		if err := g.send(i); err != nil {
			return 0, err
		}
		now = monotonic()
	}
	return long, nil
}

// send writes what the socket takes, and asks for a notice if that is not all.
func (g *generator) send(i int) error {
	c := &g.conns[i]
	for len(c.unsent) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&c.unsent[0])), uintptr(len(c.unsent)), syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			c.unsent = c.unsent[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return g.watch(i, syscall.EPOLLIN|syscall.EPOLLOUT, true)
		default:
			return fmt.Errorf("sending a request: %w", errno)
		}
	}
	if c.waiting {
		return g.watch(i, syscall.EPOLLIN, false)
	}
	return nil
}

func (g *generator) watch(i int, events uint32, waiting bool) error {
	c := &g.conns[i]
	c.waiting = waiting
	event := syscall.EpollEvent{Events: events, Fd: int32(i)}
	if err := syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_MOD, c.fd, &event); err != nil {
		return fmt.Errorf("watching a connection: %w", err)
	}
	return nil
}

// ready handles what epoll says about a connection.
func (g *generator) ready(i int, events uint32) error {
	if events&syscall.EPOLLOUT != 0 {
		if err := g.send(i); err != nil {
			return err
		}
	}
	if events&^syscall.EPOLLOUT == 0 {
		return nil
	}
	c := &g.conns[i]
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&g.scratch[0])), uintptr(len(g.scratch)), 0, 0, 0)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return nil
	case errno != 0:
		return fmt.Errorf("reading an answer: %w", errno)
	case n == 0:
		return errors.New("the connection was closed")
	}
	done, err := c.take(g.scratch[:n], g.traffic.body)
	if err != nil || !done {
		return err
	}
	g.latencies = append(g.latencies, monotonic()-c.due)
	c.busy = false
	g.rest(i)
	return nil
}

// take reads what has come of an answer and reports whether that was the rest of it. A wrong answer is an error, and so is anything that was not asked for.
func (c *connection) take(b []byte, body int) (bool, error) {
	if !c.busy {
		return false, errors.New("an answer that nobody asked for")
	}
	if !c.inBody {
		if len(c.partial) > 0 {
			c.partial = append(c.partial, b...)
			b = c.partial
		}
		h, err := parseHead(b)
		if err != nil {
			return false, err
		}
		if h.size == 0 {
			if len(c.partial) == 0 {
				c.partial = append(c.partial, b...)
			}
			if len(c.partial) > 64<<10 {
				return false, errors.New("the head of an answer does not end")
			}
			return false, nil
		}
		if err := h.check(body); err != nil {
			return false, err
		}
		c.inBody, c.left = true, h.length
		b = b[h.size:]
		c.partial = c.partial[:0]
	}
	if len(b) > c.left {
		return false, errors.New("an answer is followed by more")
	}
	c.left -= len(b)
	if c.left > 0 {
		return false, nil
	}
	c.inBody = false
	return true, nil
}

// monotonic returns the time of the monotonic clock in ns.
func monotonic() int64 { return int64(time.Since(clockStart)) }

var clockStart = time.Now()

// pollWait waits on an epoll instance with a timeout finer than a millisecond (epoll_pwait2(2)). The thread keeps its processor: that is what saves the
// wake-ups which the runtime's scheduler would add.
func pollWait(epoll int, events []syscall.EpollEvent, timeout time.Duration) (int, syscall.Errno) {
	const epollPwait2 = 441 // on every architecture
	ts := syscall.NsecToTimespec(int64(timeout))
	n, _, errno := syscall.RawSyscall6(epollPwait2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(n), errno
}
