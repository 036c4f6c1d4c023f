//go:build !linux

package server

import (
	"net"

	"github.com/jotgate/jotgate/internal/rawconn"
)

// canRest says that rawconn.Probe sees bytes that wait.
const canRest = false

// gone reports whether the other end has closed the connection, as far as can be told without reading from it.
func gone(c *net.TCPConn) bool { return rawconn.Probe(c) == rawconn.Closed }
