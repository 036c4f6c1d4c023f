package soak_test

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// largeBody is what is sent where the socket buffers should not hold all of it.
const largeBody = 1 << 20

var large = strings.Repeat("0123456789abcdef", largeBody/16)

// upstream is a server that does what the path of a request says. It speaks HTTP by hand, for it has to break its rules.
type upstream struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu         sync.Mutex
	open       map[net.Conn]bool
	complaints []string
}

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{listener: listener, open: make(map[net.Conn]bool)}
	u.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.open[conn] = true
			u.mu.Unlock()
			u.serving.Go(func() { u.serve(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(u.close)
	return u
}

func (u *upstream) address() string { return u.listener.Addr().String() }

func (u *upstream) connections() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.open)
}

func (u *upstream) complain(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.complaints) < 20 {
		u.complaints = append(u.complaints, fmt.Sprintf(format, args...))
	}
}

func (u *upstream) takeComplaints() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.complaints
}

func (u *upstream) close() {
	_ = u.listener.Close()
	u.mu.Lock()
	for conn := range u.open {
		_ = conn.Close()
	}
	u.mu.Unlock()
	u.serving.Wait()
}

func (u *upstream) serve(conn *net.TCPConn) {
	defer func() {
		_ = conn.Close()
		u.mu.Lock()
		delete(u.open, conn)
		u.mu.Unlock()
	}()
	s := &service{u: u, conn: conn, in: bufio.NewReader(conn)}
	for {
		request, err := http.ReadRequest(s.in)
		if err != nil {
			return // the connection was closed between requests, or in a head
		}
		if user := request.Header.Get("X-User"); user != "alice" {
			u.complain("a request of the user %q: %s %s", user, request.Method, request.URL)
		}
		if !s.answer(request) {
			return
		}
	}
}

// service is a connection of an upstream.
type service struct {
	u    *upstream
	conn *net.TCPConn
	in   *bufio.Reader
}

// reset makes closing the connection, which follows, a reset.
func (s *service) reset() bool {
	_ = s.conn.SetLinger(0)
	return false
}

// send writes and reports whether that went well: the gateway closes connections whose answers nobody wants any more.
func (s *service) send(format string, args ...any) bool {
	_, err := fmt.Fprintf(s.conn, format, args...)
	return err == nil
}

// echo is what a whole request is answered with: which one it was, and what came with it.
func echo(id string, length int64, sum uint32) string {
	return fmt.Sprintf("request %s, %d bytes, %08x", id, length, sum)
}

// answer does what the path says and reports whether the connection goes on.
func (s *service) answer(r *http.Request) bool {
	if r.URL.Path == "/early" { // before the body was read
		return s.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly") && false
	}
	sum := crc32.NewIEEE()
	length, err := io.Copy(sum, r.Body)
	switch {
	case err != nil:
		return false // the client has broken it off, and the gateway with it
	case r.URL.Path == "/cut":
		s.u.complain("a body that was cut off came as a whole of %d bytes", length)
	}
	body := echo(r.Header.Get("X-Request"), length, sum.Sum32())
	if r.URL.Path == "/upgrade" {
		return s.upgrade(r)
	}
	if r.Method == http.MethodHead {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	}
	if send, ok := answers[r.URL.Path]; ok {
		return send(s, body)
	}
	return s.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// answers are the ways to answer, by the path that asks for them.
var answers = map[string]func(s *service, body string) bool{
	"/chunked": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") && s.send("%x\r\n%s\r\n", 4, body[:4]) && s.send("%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n", len(body)-4, body[4:])
	},
	"/interim": func(s *service, body string) bool {
		return s.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	},
	"/until-closed": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s", body) && false
	},
	"/close": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body) && false
	},
	"/large": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s", len(large)+len(body), large, body)
	},
	// What is wrong.
	"/no-head":    func(s *service, _ string) bool { return s.reset() },
	"/half-head":  func(s *service, _ string) bool { return s.send("HTTP/1.1 200 OK\r\nContent-Le") && false },
	"/reset-head": func(s *service, _ string) bool { return s.send("HTTP/1.1 200 OK\r\nContent-Le") && s.reset() },
	"/half-body": func(s *service, _ string) bool {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") && false
	},
	"/reset-body": func(s *service, _ string) bool {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 2*len(large), large[:100_000]) && s.reset()
	},
	"/half-chunk": func(s *service, _ string) bool {
		return s.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf") && false
	},
	"/reset-idle": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body) && s.reset()
	},
	"/close-idle": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body) && false
	},
	"/two-lengths": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	},
	"/more": func(s *service, body string) bool {
		return s.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nnobody", len(body), body)
	},
	"/silent": func(s *service, _ string) bool {
		_, err := s.in.ReadByte() // the gateway gives up
		if err == nil {
			s.u.complain("a request before the answer to the one before it")
		}
		return false
	},
}

// upgrade speaks another protocol: it sends back what comes. What comes first says how it ends.
func (s *service) upgrade(r *http.Request) bool {
	if !s.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n") {
		return false
	}
	piece := make([]byte, 4096)
	for {
		n, err := s.in.Read(piece)
		if err != nil {
			return false
		}
		if _, err := s.conn.Write(piece[:n]); err != nil {
			return false
		}
		switch r.URL.RawQuery {
		case "close":
			return false
		case "reset":
			return s.reset()
		}
	}
}

// isClosed reports whether err is the end of a connection, in one way or another.
func isClosed(err error) bool {
	var failed *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &failed) && !failed.Timeout()
}
