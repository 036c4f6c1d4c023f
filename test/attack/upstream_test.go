package attack_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// field is a header line as it was on the wire.
type field struct{ name, value string }

// received is a request as it reached the upstream.
type received struct {
	line     string // the request line
	header   []field
	body     string
	trailer  []field
	complete bool   // the whole body came
	raw      string // every byte of it
}

// target is the request target.
func (r *received) target() string {
	parts := strings.Split(r.line, " ")
	return parts[1]
}

// values returns the values of the fields that a back end may take for name: CGI and its descendants fold case, "_" and "." into one. It looks at trailers
// too, for some servers merge them into the header.
func (r *received) values(name string) []string {
	fold := strings.NewReplacer("_", "-", ".", "-")
	var all []string
	for _, fields := range [][]field{r.header, r.trailer} {
		for _, f := range fields {
			if strings.EqualFold(fold.Replace(f.name), fold.Replace(name)) {
				all = append(all, f.value)
			}
		}
	}
	return all
}

// brokenTarget is the target of requests whose bodies break off. The gateway may answer them before the upstream has seen how they end, so they are not among the
// requests; if one of them comes complete after all, that is a complaint.
const brokenTarget = "/broken"

// upstream is a server behind the gateway. It reads HTTP/1.1 as strictly as it can be read, so that whatever two servers could read differently shows up as
// a complaint, and remembers every request.
type upstream struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu         sync.Mutex
	requests   []*received
	complaints []string
	open       map[net.Conn]bool
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
			u.serving.Go(func() { u.serve(conn) })
		}
	})
	t.Cleanup(u.close)
	return u
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

func (u *upstream) address() string { return u.listener.Addr().String() }

// take returns the requests since the last call. A request is there before the gateway can have its answer.
func (u *upstream) take() []*received {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.requests
	u.requests = nil
	return taken
}

func (u *upstream) takeComplaints() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.complaints
	u.complaints = nil
	return taken
}

// serve answers every request on a connection with what it has seen.
func (u *upstream) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		u.mu.Lock()
		delete(u.open, conn)
		u.mu.Unlock()
	}()
	var raw bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(conn, &raw))
	for {
		r := new(received)
		err := readHead(reader, r)
		var bad malformed
		if r.line == "" && !errors.As(err, &bad) {
			return // the connection was closed between requests
		}
		broken := strings.Contains(r.line, " "+brokenTarget+" ")
		if !broken {
			u.mu.Lock()
			u.requests = append(u.requests, r)
			u.mu.Unlock()
		}
		if err == nil {
			err = readBody(reader, r)
		}
		u.mu.Lock()
		r.raw = raw.String()
		raw.Reset()
		r.complete = err == nil
		switch {
		case broken && r.complete && (r.body != "" || r.trailer != nil):
			u.complaints = append(u.complaints, fmt.Sprintf("a request that broke off is complete: %.500q", r.raw))
		case errors.As(err, &bad) && !broken:
			u.complaints = append(u.complaints, fmt.Sprintf("%s in %.500q", bad, r.raw))
		}
		u.mu.Unlock()
		if err != nil {
			return
		}
		body := "reached " + r.target()
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			return
		}
	}
}

// malformed says how a message departs from RFC 9112.
type malformed string

func (m malformed) Error() string { return string(m) }

// readLine reads a line that ends in CRLF and holds no other control character than tabs.
func readLine(reader *bufio.Reader) (string, error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", malformed("a bare line feed")
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return "", malformed("a control character")
	}
	return text, nil
}

func readFields(reader *bufio.Reader) (fields []field, err error) {
	for {
		line, err := readLine(reader)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t\"(),/;<=>?@[\\]{}") {
			return fields, malformed("a field line without a proper name")
		}
		fields = append(fields, field{name, strings.Trim(value, " \t")})
	}
}

func readHead(reader *bufio.Reader, r *received) (err error) {
	if r.line, err = readLine(reader); err != nil {
		return err
	}
	if parts := strings.Split(r.line, " "); len(parts) != 3 || !strings.HasPrefix(parts[1], "/") || parts[2] != "HTTP/1.1" {
		return malformed("a request line of another form")
	}
	if r.header, err = readFields(reader); err != nil {
		return err
	}
	if hosts := r.count("Host"); hosts != 1 {
		return malformed(fmt.Sprintf("%d Host fields", hosts))
	}
	return nil
}

func (r *received) count(name string) (n int) {
	for _, f := range r.header {
		if strings.EqualFold(f.name, name) {
			n++
		}
	}
	return n
}

func (r *received) get(name string) string {
	for _, f := range r.header {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

func readBody(reader *bufio.Reader, r *received) error {
	lengths, codings := r.count("Content-Length"), r.count("Transfer-Encoding")
	switch {
	case lengths+codings > 1:
		return malformed("more than one framing")
	case codings == 1 && r.get("Transfer-Encoding") != "chunked":
		return malformed("a transfer coding other than chunked")
	case codings == 1:
		return readChunks(reader, r)
	case lengths == 0:
		return nil
	}
	n, err := strconv.ParseUint(r.get("Content-Length"), 10, 31)
	if err != nil {
		return malformed("a Content-Length that is no number")
	}
	body := make([]byte, n)
	read, err := io.ReadFull(reader, body)
	r.body = string(body[:read])
	return err
}

func readChunks(reader *bufio.Reader, r *received) error {
	for {
		line, err := readLine(reader)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return malformed("a chunk size that is no number")
		}
		if n == 0 {
			r.trailer, err = readFields(reader)
			return err
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(reader, chunk); err != nil {
			return err
		}
		r.body += string(chunk)
		if line, err := readLine(reader); err != nil || line != "" {
			return malformed("a chunk that does not end where it says")
		}
	}
}
