package soak_test

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/test/program"
)

// client is one of those who send requests, one action after the other.
type client struct {
	*world
	t      *testing.T
	name   int
	random *rand.Rand
	sent   int // requests

	conn *net.TCPConn // nil if there is none
	in   *bufio.Reader
}

// run has clients send n requests, of which some are broken off, and fails the test if an answer is wrong.
func (w *world) run(t *testing.T, n int, round uint64) {
	t.Helper()
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for name := range *workers {
		c := &client{world: w, t: t, name: name, random: rand.New(rand.NewPCG(*seed, round<<32|uint64(name)))}
		all.Go(func() {
			defer c.drop()
			for turn := 0; left.Load() > 0 && !t.Failed(); turn++ {
				before := c.sent
				action := c.choose()
				if round == 0 {
					action = actions[turn%len(actions)] // each at least once
				}
				if err := action.do(c); err != nil {
					t.Errorf("client %d, %s: %v", c.name, action.name, err)
				}
				left.Add(int64(before - c.sent))
			}
		})
	}
	all.Wait()
}

// action is something that a client does. It is done as often as its weight says.
type action struct {
	name   string
	weight int
	do     func(c *client) error
}

// choose returns an action at random.
func (c *client) choose() action {
	n := c.random.IntN(weights)
	for _, a := range actions {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	panic("the weights do not add up")
}

var weights = func() (sum int) {
	for _, a := range actions {
		sum += a.weight
	}
	return sum
}()

// open opens a connection if there is none.
func (c *client) open() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.gateway.Addresses["web"], program.Patience)
	if err != nil {
		return err
	}
	c.conn = conn.(*net.TCPConn)
	c.in = bufio.NewReader(c.conn)
	return c.conn.SetDeadline(time.Now().Add(program.Patience))
}

// drop closes the connection.
func (c *client) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.conn, c.in = nil, nil
}

// reset breaks the connection off.
func (c *client) reset() error {
	_ = c.conn.SetLinger(0)
	c.drop()
	return nil
}

// head is the head of a request, which is a new one, and the name by which its answer is known.
func (c *client) head(method, host, target string, fields ...string) (head, id string) {
	c.sent++
	id = fmt.Sprintf("%d-%d", c.name, c.sent)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nX-Request: %s\r\nX-User: mallory\r\n", method, target, host, c.token, id)
	for _, field := range fields {
		b.WriteString(field + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String(), id
}

// write sends. The time limit of the connection starts anew.
func (c *client) write(text string) error {
	if err := c.open(); err != nil {
		return err
	}
	if err := c.conn.SetDeadline(time.Now().Add(program.Patience)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, text)
	return err
}

// receive reads a response, and its body as far as it goes: broken is why it does not go on to its end.
func (c *client) receive(method string) (status int, body string, broken, err error) {
	for {
		response, err := http.ReadResponse(c.in, &http.Request{Method: method})
		if err != nil {
			return 0, "", nil, err
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		text, broken := io.ReadAll(response.Body)
		if response.Close || broken != nil {
			c.drop()
		}
		return response.StatusCode, string(text), broken, nil
	}
}

// answered reads the answer to a request, which must be there, whole and right.
func (c *client) answered(method string, status int, want string) error {
	got, body, broken, err := c.receive(method)
	switch {
	case err != nil:
		return err
	case broken != nil:
		return fmt.Errorf("the answer %d breaks off: %w", got, broken)
	case got != status || status == http.StatusOK && body != want:
		return fmt.Errorf("answered %d %.200q, not %d %.200q", got, body, status, want)
	}
	return nil
}

// get sends a request without a body and expects its answer.
func (c *client) get(target string) error {
	head, id := c.head("GET", "good.test", target)
	if err := c.write(head); err != nil {
		return err
	}
	want := echo(id, 0, 0)
	if target == "/large" {
		want = large + want
	}
	return c.answered("GET", http.StatusOK, want)
}

// post sends a request with a body, chunked or not, and expects its answer.
func (c *client) post(chunked bool, size int) error {
	body := large[:size]
	framing, message := fmt.Sprintf("Content-Length: %d", size), body
	if chunked {
		framing = "Transfer-Encoding: chunked"
		message = fmt.Sprintf("%x\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\nX-Late: 1\r\n\r\n", 1, body[:1], size-1, body[1:])
	}
	head, id := c.head("POST", "good.test", "/echo", framing)
	if err := c.write(head + message); err != nil {
		return err
	}
	return c.answered("POST", http.StatusOK, echo(id, int64(size), crc32.ChecksumIEEE([]byte(body))))
}

// pipeline sends several requests at once.
func (c *client) pipeline(n int) error {
	var all strings.Builder
	var want []string
	for i := range n {
		head, id := c.head("GET", "good.test", []string{"/echo", "/chunked", "/close"}[i%3])
		all.WriteString(head)
		want = append(want, echo(id, 0, 0))
	}
	if err := c.write(all.String()); err != nil {
		return err
	}
	for _, w := range want {
		if err := c.answered("GET", http.StatusOK, w); err != nil {
			return err
		}
	}
	return nil
}

// tolerant sends to the server that misbehaves and takes any of the statuses; a 200 must be this request's, and whole unless the server breaks it off.
func (c *client) tolerant(method, target string, statuses ...int) error {
	head, id := c.head(method, "bad.test", target)
	if method == "POST" {
		head, id = c.head(method, "bad.test", target, "Content-Length: 20000")
		head += large[:20_000]
	}
	if err := c.write(head); err != nil {
		return err
	}
	status, body, broken, err := c.receive(method)
	if err != nil {
		return err
	}
	if !slices.Contains(statuses, status) {
		return fmt.Errorf("answered %d %.200q, not one of %v", status, body, statuses)
	}
	breaks := strings.Contains(target, "-body") || strings.Contains(target, "-chunk")
	switch {
	case breaks && status == http.StatusOK && broken == nil:
		return fmt.Errorf("an answer that was broken off is whole: %.200q", body)
	case !breaks && broken != nil:
		return fmt.Errorf("the answer %d breaks off: %w", status, broken)
	case !breaks && method == "GET" && status == http.StatusOK && body != echo(id, 0, 0):
		return fmt.Errorf("answered with %.200q, not to %s", body, id)
	}
	return nil
}

// upgrade changes the protocol, talks a little, and ends as how says: close and reset by the server, or -close and -reset by the client.
func (c *client) upgrade(how string) error {
	query, _ := strings.CutPrefix(how, "-")
	if query == how {
		query = "?" + how
	} else {
		query = ""
	}
	c.drop() // a connection that is upgraded has no other use
	head, _ := c.head("GET", "good.test", "/upgrade"+query, "Connection: Upgrade", "Upgrade: echo")
	if err := c.write(head); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("answered %d", response.StatusCode)
	}
	said := fmt.Sprintf("hello from %d", c.sent)
	heard := make([]byte, len(said))
	if err := c.write(said); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.in, heard); how != "reset" && (err != nil || string(heard) != said) {
		return fmt.Errorf("%q came back, %w", heard, err)
	}
	switch how {
	case "-reset":
		return c.reset()
	case "-close":
		_ = c.conn.CloseWrite() // the end comes back too
	}
	defer c.drop()
	if n, err := io.Copy(io.Discard, c.in); n > 0 || err != nil && !isClosed(err) {
		return fmt.Errorf("after the end came %d bytes, %w", n, err)
	}
	return nil
}

// gone reads what comes until the end of a connection that the client has ended in part. An answer of ours may come, or none; an echo of the upstream's must not.
func (c *client) gone(what string) error {
	defer c.drop()
	text, err := io.ReadAll(c.in)
	if err != nil && !isClosed(err) {
		return fmt.Errorf("the gateway does not end the connection: %w", err)
	}
	if strings.Contains(string(text), "HTTP/1.1 200") {
		return fmt.Errorf("%s was answered with %.300q", what, text)
	}
	return nil
}

// errNoEnd says that the end of a connection did not come.
var errNoEnd = errors.New("the connection goes on")
