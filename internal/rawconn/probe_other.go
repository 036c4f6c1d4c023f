//go:build !linux

package rawconn

import "net"

// probe knows nothing of an open connection here.
func probe(t *net.TCPConn) State {
	raw, err := t.SyscallConn()
	if err != nil || raw.Control(func(uintptr) {}) != nil {
		return Closed
	}
	return Quiet
}
