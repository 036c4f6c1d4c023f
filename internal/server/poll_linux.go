package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// canRest says that rawconn.Probe sees bytes that wait.
const canRest = true

// gone reports whether the other end has closed or reset the connection, even if there are bytes left to read, such as TLS's own farewell.
func gone(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		closed = err == nil && n > 0
	})
	return closed || err != nil
}
