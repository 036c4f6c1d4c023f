//go:build !race && linux

package server

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// wire is a connection that costs this process nothing but a file descriptor.
type wire struct {
	fd  int
	buf [512]byte
}

// wire connects w.
func (r *running) wire(w *wire) *wire {
	r.t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = syscall.Close(fd) })
	listener := r.Addrs()["web"].(*net.TCPAddr).AddrPort()
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(listener.Port()), Addr: listener.Addr().As4()}); err != nil {
		r.t.Fatal(err)
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	w.fd = fd
	return w
}

// roundTrip sends a request and reads the answer, which ends with end.
func (w *wire) roundTrip(tb testing.TB, request, end []byte) {
	tb.Helper()
	for rest := request; len(rest) > 0; {
		n, err := syscall.Write(w.fd, rest)
		if err != nil {
			tb.Fatal(err)
		}
		rest = rest[n:]
	}
	for total := 0; ; {
		n, err := syscall.Read(w.fd, w.buf[total:])
		if err != nil || n == 0 {
			tb.Fatalf("%v after %q", err, w.buf[:total])
		}
		if total += n; bytes.HasSuffix(w.buf[:total], end) {
			return
		}
	}
}

// typical is a request as clients of an API send it.
var typical = []byte("GET /orders/17?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: client/1.0\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\nX-Request-Id: 1\r\nAuthorization: Bearer " + repeat(700) + "\r\n\r\n")

func hello(x *gate.Exchange) {
	x.Reply = append(x.Reply, gate.Field{Name: "Content-Type", Value: "text/plain"})
	_ = x.WriteHead(200, 5)
	_, _ = x.Writer.Write(helloText)
}

var helloText = []byte("hello")

// proxied is typical as a trusted proxy sends it on.
func proxied(fields string) []byte {
	return bytes.Replace(typical, []byte("\r\n\r\n"), []byte("\r\n"+fields+"\r\n\r\n"), 1)
}

func TestRequestsAllocateNothing(t *testing.T) {
	trusting := func(l *gate.Listener) {
		l.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	}
	for name, request := range map[string][]byte{
		"typical":         typical,
		"X-Forwarded-For": proxied("X-Forwarded-For: 192.0.2.9, 10.1.2.3\r\nX-Forwarded-For: 10.1.2.4:80, [fd00::1], 10.0.0.1\r\nX-Forwarded-Proto: http, https"),
		"Forwarded":       proxied(`Forwarded: for="[2001:db8::1]:80";proto=http, for=10.1.2.3;host="a, b"`),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, engine(gate.EngineOwn).settings(trusting), hello)
			w := r.wire(new(wire))
			for range 100 {
				w.roundTrip(t, request, helloText)
			}
			const n = 5_000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range n {
				w.roundTrip(t, request, helloText)
			}
			runtime.ReadMemStats(&after)
			if got := float64(after.Mallocs-before.Mallocs) / n; got > 0.05 {
				t.Errorf("%.2f allocations a request", got)
			}
		})
	}
}

// memoryOf is what n connections that have served a request hold while they are idle, each, without what the system has for them.
func memoryOf(t *testing.T, e engine, n int) uint64 {
	t.Helper()
	r := start(t, e.settings(), hello)
	in := func() uint64 {
		for range 6 { // stacks shrink by half each time
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	wires := make([]wire, n)
	r.wire(&wires[0]).roundTrip(t, typical, helloText)
	before := in()
	for i := range wires {
		r.wire(&wires[i]).roundTrip(t, typical, helloText)
	}
	if open := r.Status()[0].Connections; open != n+1 {
		t.Fatalf("%d connections are open", open)
	}
	if e == gate.EngineOwn {
		// Twice, because new goroutines begin with as much stack as those had on average that the last collection saw, and at first all are busy ones.
		for range 2 {
			time.Sleep(restTime + restTime/2)
			in()
			for i := range wires {
				wires[i].roundTrip(t, typical, helloText)
			}
		}
		time.Sleep(restTime + restTime/2)
	}
	after := in()
	runtime.KeepAlive(wires)
	return (after - before) / uint64(n)
}

func TestMemoryOfIdleConnections(t *testing.T) {
	own, reference := memoryOf(t, gate.EngineOwn, 1000), memoryOf(t, gate.EngineNetHTTP, 100)
	t.Logf("%d bytes with the own engine, %d with net/http", own, reference)
	if own > 4500 {
		t.Errorf("%d bytes", own)
	}
}

func BenchmarkEngines(b *testing.B) {
	for _, e := range engines {
		b.Run(string(e), func(b *testing.B) {
			w := start(b, e.settings(), hello).wire(new(wire))
			b.ReportAllocs()
			for b.Loop() {
				w.roundTrip(b, typical, helloText)
			}
		})
	}
}
