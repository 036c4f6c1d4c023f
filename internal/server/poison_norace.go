//go:build !race

package server

// poison says that buffers are overwritten when they are given back. That is for tests.
const poison = false
