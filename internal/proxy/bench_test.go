package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/proxy"
)

// sink is a gate.Writer that throws everything away.
type sink struct{}

func (sink) Informational(int, gate.Header) error            { return nil }
func (sink) Head(int, gate.Header, int64) error              { return nil }
func (sink) Write(p []byte) (int, error)                     { return len(p), nil }
func (sink) Flush() error                                    { return nil }
func (sink) Trailer(gate.Header) error                       { return nil }
func (sink) Upgrade(gate.Header) (io.ReadWriteCloser, error) { return nil, http.ErrNotSupported }
func (sink) Abort()                                          {}

func BenchmarkForward(b *testing.B) {
	reply := strings.Repeat("x", 1024)
	serve := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, reply)
	}
	out := gate.Header{
		{Name: "Accept", Value: "application/json"}, {Name: "User-Agent", Value: "bench"}, {Name: "X-Forwarded-For", Value: "192.0.2.1"},
		{Name: "X-Forwarded-Proto", Value: "https"}, {Name: "X-User", Value: "alice"},
	}
	for _, bench := range []struct {
		name              string
		engine            engine
		url, method, body string
	}{
		{"get", gate.EngineOwn, backend(b, serve), "GET", ""},
		{"post", gate.EngineOwn, backend(b, serve), "POST", reply},
		{"get-net/http", gate.EngineNetHTTP, backend(b, serve), "GET", ""},
		{"post-net/http", gate.EngineNetHTTP, backend(b, serve), "POST", reply},
		{"h2c", gate.EngineOwn, backendHTTP2(b, serve), "GET", ""},
	} {
		b.Run(bench.name, func(b *testing.B) {
			m := proxy.NewManager(proxy.Options{})
			defer m.Close()
			up, problems := m.Acquire(bench.engine.group(bench.url))
			if up == nil {
				b.Fatal(problems)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var x gate.Exchange
				var space gate.Header
				for pb.Next() {
					x = gate.Exchange{
						Context: b.Context(), Method: bench.method, Proto: 11, Host: "api.example.com", OutHost: "api.example.com", OutPath: "/tickets", Out: out, Reply: space[:0],
						Body: io.NopCloser(strings.NewReader(bench.body)), Length: int64(len(bench.body)), Writer: sink{},
					}
					if err := up.Forward(&x); err != nil || x.Sent != int64(len(reply)) {
						b.Errorf("forwarding: %v, %d bytes", err, x.Sent)
						return
					}
					space = x.Reply
				}
			})
		})
	}
}
