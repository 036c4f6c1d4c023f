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

// BenchmarkPingPong is 500 bytes there and back, one at a time. cpu-ns/op is processor time; the difference is largest when the process is idle in between, which this cannot show.
func BenchmarkPingPong(b *testing.B) {
	for _, c := range []struct {
		name string
		mode rawconn.Mode
	}{{"raw", rawconn.Raw}, {"plain", rawconn.Plain}} {
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
