package app_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// aborting does what the path says: answers, or breaks off.
func aborting(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/tickets/large":
		_, _ = io.WriteString(w, strings.Repeat("large", 30_000))
	case "/tickets/no-head":
		panic(http.ErrAbortHandler)
	case "/tickets/half-body":
		w.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(w, strings.Repeat("half", 5_000))
		panic(http.ErrAbortHandler)
	default:
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "user %s sent %d bytes to %s", r.Header.Get("X-User"), n, r.URL.RawQuery)
	}
}

// TestAbortsUnderLoad breaks requests off on both sides while others are answered, so that the race detector sees what meets in such moments, and the test of leaks at the end what is left behind.
func TestAbortsUnderLoad(t *testing.T) {
	for _, engine := range []string{"jotgate", "net/http"} {
		t.Run(engine, func(t *testing.T) {
			h := newHarness(t, aborting)
			h.write("jotgate.yaml", strings.NewReplacer(
				`"127.0.0.1:0"}]`, fmt.Sprintf(`"127.0.0.1:0", engine: %s}]`, engine),
				"{url: UPSTREAM}]", fmt.Sprintf("{url: UPSTREAM}], engine: %s", engine),
			).Replace(document))
			h.start()
			good := token(t, secret, nil)
			var clients sync.WaitGroup
			for name := range 12 {
				random := rand.New(rand.NewPCG(7, uint64(name)))
				clients.Go(func() {
					for turn := range 20 {
						h.abort(random, good)
						id := fmt.Sprintf("%d-%d", name, turn)
						status, body, err := h.try("/tickets/whole?"+id, good)
						if want := "user alice sent 0 bytes to " + id; err != nil || status != 200 || body != want {
							t.Errorf("%d %.200q, %v; want %q", status, body, err, want)
							return
						}
					}
				})
			}
			clients.Wait()
			h.client.CloseIdleConnections()
			eventually(t, "all connections and requests have ended", func() bool {
				s := h.status()
				active := int64(0)
				for _, server := range s.Upstreams[0].Servers {
					active += server.Active
				}
				return s.Listeners[0].Connections == 0 && active == 0
			})
		})
	}
}

// abort sends a request that is broken off: by the client, somewhere in it or in its answer, or by the server.
func (h *harness) abort(random *rand.Rand, bearer string) {
	conn, err := net.Dial("tcp", h.Addrs()["web"].String())
	if err != nil {
		h.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if random.IntN(2) > 0 {
		_ = conn.(*net.TCPConn).SetLinger(0) // closing is a reset
	}
	head := func(method, path, framing string) string {
		return fmt.Sprintf("%s /tickets/%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n%s\r\n", method, path, bearer, framing)
	}
	switch random.IntN(8) {
	case 0: // in the head
		_, _ = io.WriteString(conn, head("GET", "whole", "")[:40])
	case 1: // in the body
		_, _ = io.WriteString(conn, head("POST", "whole", "Content-Length: 50000\r\n")+strings.Repeat("x", random.IntN(49_000)))
	case 2: // in a chunked body, of which only one half of the connection ends
		_, _ = io.WriteString(conn, head("POST", "whole", "Transfer-Encoding: chunked\r\n")+"400\r\nnot all of it")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	case 3: // before the answer
		_, _ = io.WriteString(conn, head("GET", "large", ""))
	case 4: // in the answer
		_, _ = io.WriteString(conn, head("GET", "large", ""))
		_, _ = io.CopyN(io.Discard, conn, int64(random.IntN(100_000)))
	case 5: // in the second of two answers
		_, _ = io.WriteString(conn, head("GET", "large", "")+head("GET", "large", ""))
		_, _ = io.CopyN(io.Discard, conn, int64(150_000+random.IntN(100_000)))
	case 6: // the server, before its head
		_, _ = io.WriteString(conn, head("POST", "no-head", "Connection: close\r\nContent-Length: 3\r\n")+"abc")
		_, _ = io.Copy(io.Discard, conn)
	case 7: // the server, in its body
		_, _ = io.WriteString(conn, head("GET", "half-body", "Connection: close\r\n"))
		_, _ = io.Copy(io.Discard, conn)
	}
}
