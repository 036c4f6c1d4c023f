//go:build unix

package rawconn_test

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/rawconn"
)

// BenchmarkPingPong is 500 bytes there and back, one at a time: an almost idle process, where waking the monitor thread costs most. cpu-ns/op is processor time.
func BenchmarkPingPong(b *testing.B) {
	for _, c := range []struct {
		name  string
		mode  rawconn.Mode
		pause time.Duration
	}{{"raw", rawconn.Raw, 0}, {"plain", rawconn.Plain, 0}, {"raw-5000-a-second", rawconn.Raw, 200 * time.Microsecond}, {"plain-5000-a-second", rawconn.Plain, 200 * time.Microsecond}} {
		b.Run(c.name, func(b *testing.B) {
			near, far := pair(b)
			x, y := rawconn.Wrap(near, c.mode), rawconn.Wrap(far, c.mode)
			done := make(chan struct{})
			go func() {
				defer close(done)
				echo(y)
			}()
			message := make([]byte, 500)
			before := processorTime(b)
			for b.Loop() {
				if _, err := x.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(x, message); err != nil {
					b.Fatal(err)
				}
				if c.pause > 0 {
					time.Sleep(c.pause)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			x.Close()
			<-done
		})
	}
}

func echo(c net.Conn) {
	buf := make([]byte, 1000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
