//go:build race

package server

// poison says that buffers are overwritten when they are given back, so that whatever still points into them is seen: the race detector does not know about it.
const poison = true
