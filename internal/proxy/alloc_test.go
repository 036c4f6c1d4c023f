//go:build !race

package proxy_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/proxy"
)

// quick is a server that costs next to nothing: it answers whatever comes with the same bytes.
func quick(tb testing.TB, response string) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf, answer := make([]byte, 64<<10), []byte(response)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// direct is a sink as our own server engine has it.
type direct struct{ sink }

func (direct) Gone() bool { return false }

const ordinary = "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 311\r\nConnection: keep-alive\r\nX-Up: 1\r\n\r\n"

// TestForwardAllocatesNothing: an ordinary exchange over a kept connection.
func TestForwardAllocatesNothing(t *testing.T) {
	_, up := acquire(t, own.group(quick(t, ordinary+strings.Repeat("x", 311))))
	out := gate.Header{{Name: "Accept", Value: "application/json"}, {Name: "User-Agent", Value: "bench"}, {Name: "X-User", Value: "alice"}}
	var x gate.Exchange
	var w gate.Writer = direct{}
	body := io.NopCloser(strings.NewReader(""))
	ctx := context.Background()
	run := func(target, query string) {
		x = gate.Exchange{Context: ctx, Method: "GET", Proto: 11, Host: "api.example.com", Target: target, OutPath: "/tickets", OutQuery: query, Out: out, Reply: x.Reply[:0], Body: body, Writer: w}
		if err := up.Forward(&x); err != nil || x.Sent != 311 {
			t.Fatalf("%v, %d bytes", err, x.Sent)
		}
	}
	for _, c := range [][2]string{{"/tickets", ""}, {"/tickets?a=b", "a=b"}, {"/v1/tickets?a=b", "a=b"}} {
		run(c[0], c[1])
		if got := testing.AllocsPerRun(500, func() { run(c[0], c[1]) }); got != 0 {
			t.Errorf("%v allocations for %s", got, c[0])
		}
	}
}

// TestSmallBodyAllocatesNothing: a body that is there already leaves with the head.
func TestSmallBodyAllocatesNothing(t *testing.T) {
	_, up := acquire(t, own.group(quick(t, ordinary+strings.Repeat("x", 311))))
	text := strings.NewReader("")
	var body io.ReadCloser = prompt{lazy{text}}
	var x gate.Exchange
	var w gate.Writer = direct{}
	ctx := context.Background()
	run := func() {
		text.Reset("hello")
		x = gate.Exchange{Context: ctx, Method: "POST", Proto: 11, Host: "api.example.com", OutPath: "/tickets", Reply: x.Reply[:0], Body: body, Length: 5, Writer: w}
		if err := up.Forward(&x); err != nil || x.Sent != 311 || x.Received != 5 {
			t.Fatalf("%v, %d bytes", err, x.Sent)
		}
	}
	run()
	if got := testing.AllocsPerRun(500, run); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// BenchmarkCall is BenchmarkForward without the cost of a real server, and with the writer of our own server engine.
func BenchmarkCall(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"311", 311}, {"128k", 128 << 10}} {
		head := strings.Replace(ordinary, "311", map[int]string{311: "311", 128 << 10: "131072"}[bench.size], 1)
		for _, e := range []engine{gate.EngineOwn, gate.EngineNetHTTP} {
			b.Run(bench.name+"/"+string(e), func(b *testing.B) {
				m := proxy.NewManager(proxy.Options{})
				defer m.Close()
				up, problems := m.Acquire(e.group(quick(b, head+strings.Repeat("x", bench.size))))
				if up == nil {
					b.Fatal(problems)
				}
				out := gate.Header{{Name: "Accept", Value: "application/json"}, {Name: "User-Agent", Value: "bench"}, {Name: "X-User", Value: "alice"}}
				body := io.NopCloser(strings.NewReader(""))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					var x gate.Exchange
					var w gate.Writer = direct{}
					for pb.Next() {
						x = gate.Exchange{Context: context.Background(), Method: "GET", Proto: 11, Host: "api.example.com", OutPath: "/tickets", Out: out, Reply: x.Reply[:0], Body: body, Writer: w}
						if err := up.Forward(&x); err != nil || x.Sent != int64(bench.size) {
							b.Errorf("%v, %d bytes", err, x.Sent)
							return
						}
					}
				})
			})
		}
	}
}
