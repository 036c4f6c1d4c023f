package rawconn

import (
	"errors"
	"net"
	"syscall"
)

// probe is Probe by ordinary system calls.
func probe(t *net.TCPConn) State {
	raw, err := t.SyscallConn()
	if err != nil {
		return Closed
	}
	state := Closed
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		for {
			n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				state = Quiet
			case err == nil && n > 0:
				state = Readable
			}
			return
		}
	})
	if err != nil {
		return Closed
	}
	return state
}
