//go:build linux && !386 && !s390x && !race && !msan && !asan

package rawconn_test

const possible = true
