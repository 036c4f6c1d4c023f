package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/server"
)

// failing panics, before the response or within it.
type failing struct{ begun bool }

func (f failing) Forward(x *gate.Exchange) error {
	if f.begun {
		x.Reply.Add("Content-Type", "text/plain")
		_ = x.WriteHead(200, 100)
		_, _ = x.Writer.Write([]byte("the beginning"))
		_ = x.Writer.Flush()
	}
	panic("a mistake of ours")
}

// TestPanicIsCountedOnce: an exchange on which a step or the forwarder panics is one request of its API, with the reason that it ended for.
func TestPanicIsCountedOnce(t *testing.T) {
	for _, engine := range []string{gate.EngineOwn, gate.EngineNetHTTP} {
		for _, begun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, response begun %v", engine, begun), func(t *testing.T) {
				b := newBench(t, gate.Log{})
				found, err := b.current.Load().route(&b.x)
				if err != nil {
					t.Fatal(err)
				}
				found.upstream = failing{begun}
				served := server.New(server.Options{Handler: b.Engine, Refused: b.Refused, Log: slog.New(slog.DiscardHandler)})
				var l gate.Listener
				l.SetDefaults()
				l.Name, l.Address, l.Engine = "web", "127.0.0.1:0", engine
				plan, err := served.Prepare([]gate.Listener{l})
				if err != nil {
					t.Fatal(err)
				}
				plan.Commit()
				status, err := ask(served.Addrs()["web"].String(), b.token)
				if !begun && (err != nil || status != 500) || begun && (err == nil || status != 200) {
					t.Errorf("answered %d, %v", status, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if err := served.Shutdown(ctx); err != nil {
					t.Fatal(err)
				}
				want := []string{
					`jotgate_request_duration_seconds_count{api="tickets"} 1`,
					`jotgate_requests_in_flight 0`,
					`jotgate_requests_total{api="tickets",code="500",reason="internal_error"} 1`,
				}
				if diff := cmp.Diff(want, counted(b)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// ask sends a request of newBench's API, and returns the status of the answer, and the error with which its body ended.
func ask(address, authorization string) (int, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET /tickets HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\nAuthorization: %s\r\n\r\n", authorization); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// counted are the series of requests.
func counted(b *bench) []string {
	w := httptest.NewRecorder()
	b.options.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var series []string
	for line := range strings.Lines(w.Body.String()) {
		for _, name := range []string{"jotgate_requests_total{", "jotgate_requests_in_flight ", "jotgate_request_duration_seconds_count{"} {
			if strings.HasPrefix(line, name) {
				series = append(series, strings.TrimSpace(line))
			}
		}
	}
	return series
}
