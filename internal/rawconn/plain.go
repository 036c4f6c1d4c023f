//go:build !linux || 386 || s390x || race || msan || asan

package rawconn

import "net"

func wrap(t *net.TCPConn) net.Conn { return t }
