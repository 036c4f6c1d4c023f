package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/jotgate/jotgate/internal/gate"
	codec "github.com/jotgate/jotgate/internal/h1"
	"github.com/jotgate/jotgate/internal/rawconn"
)

const (
	gatherBytes = headBytes   // how much of a body that is there already leaves with the head
	lastGrace   = time.Second // how long the last write of a body may take after the response has ended
	chunkSpace  = 16          // for the line before a chunk, and for what follows it
)

var (
	errShort = errors.New("the client's body is shorter than announced")
	errDeaf  = errors.New("the server takes nothing any more")
)

// compose makes the head of the request. The codec leaves out what belongs to a connection or frames the message; nothing that a step adds may change that.
func (c *call) compose() error {
	x := c.x
	frame := codec.Frame{Upgrade: c.upgrade}
	switch {
	case x.Length > 0:
		frame.Framing, frame.Length = codec.Sized, x.Length
	case x.Length < 0:
		frame.Framing = codec.Chunked
		c.trailer = newRequestTrailer(x)
	case x.Method == "POST" || x.Method == "PUT" || x.Method == "PATCH":
		frame.Framing = codec.Sized // RFC 9110 section 8.6
	}
	if x.Length != 0 {
		c.body.begin(x.Body, c)
		c.hasBody = true
	}
	host := c.s.key.target.host
	if c.u.config.PassHost && x.OutHost != "" {
		host = x.OutHost
	}
	out, err := codec.AppendRequestHead(c.out[:0], x.Method, c.requestTarget(), host, c.outgoing(), frame)
	if err != nil {
		return err
	}
	if c.upgrade == "" && hasToken(x.In, "TE", "trailers") {
		out = append(out[:len(out)-len("\r\n")], "Connection: TE\r\nTE: trailers\r\n\r\n"...) // RFC 9110 section 10.1.4
	}
	c.out = out
	return nil
}

// requestTarget is path and query. It is valid until the next call of it.
func (c *call) requestTarget() string {
	x := c.x
	if x.OutQuery == "" {
		return x.OutPath
	}
	if n := len(x.OutPath); len(x.Target) == n+1+len(x.OutQuery) && x.Target[n] == '?' && x.Target[:n] == x.OutPath && x.Target[n+1:] == x.OutQuery {
		return x.Target
	}
	c.target = append(append(append(c.target[:0], x.OutPath...), '?'), x.OutQuery...)
	return unsafe.String(unsafe.SliceData(c.target), len(c.target)) //nolint:gosec // the head is written before c.target changes
}

// outgoing is the header of the request: x.Out without what must not go on.
func (c *call) outgoing() gate.Header {
	out := c.x.Out
	announced := ""
	if c.trailer != nil {
		announced = strings.Join(slices.Sorted(maps.Keys(c.trailer.fields)), ", ")
	}
	if announced == "" && !slices.ContainsFunc(out, oneHop) {
		return out
	}
	c.fields = c.fields[:0]
	for _, f := range out {
		if !oneHop(f) {
			c.fields = append(c.fields, f)
		}
	}
	if announced != "" {
		c.fields.Add("Trailer", announced)
	}
	return c.fields
}

// oneHop reports whether f is for one connection, or for the gateway itself, and is not left out by the codec already. 100-continue was settled with the client.
func oneHop(f gate.Field) bool {
	switch len(f.Name) {
	case len("TE"):
		return gate.EqualName(f.Name, "TE")
	case len("Expect"):
		return gate.EqualName(f.Name, "Expect")
	case len("Trailer"):
		return gate.EqualName(f.Name, "Trailer")
	case len("HTTP2-Settings"):
		return gate.EqualName(f.Name, "HTTP2-Settings")
	case len("Proxy-Authenticate"):
		return gate.EqualName(f.Name, "Proxy-Authenticate")
	case len("Proxy-Authorization"):
		return gate.EqualName(f.Name, "Proxy-Authorization")
	case len("Proxy-Authentication-Info"):
		return gate.EqualName(f.Name, "Proxy-Authentication-Info")
	}
	return false
}

// send writes the head and what is there of the body. If that is the whole request, it is left to ask. If more is to come, sending goes on in another goroutine, because the server may answer before it has everything.
func (c *call) send() error {
	whole := !c.hasBody
	if c.hasBody {
		var err error
		if whole, err = c.gather(); err != nil {
			return err
		}
	}
	l := c.link
	l.asked()
	limit := c.s.key.idle
	if !c.until.IsZero() {
		limit = min(limit, max(c.until.Sub(c.now), 0))
	}
	if err := l.limitWrite(c.now, limit); err != nil {
		return err
	}
	if whole {
		c.asks = true
		return nil
	}
	n, err := l.Write(c.out)
	if err := c.written(n, err); err != nil {
		return err
	}
	if err == nil {
		c.sending = true
		c.sender.Go(c.sendRest)
	}
	return nil
}

// written judges the write of the first n bytes, which ended with err. A server that answers before it has read the whole request and then closes has an answer to be read.
func (c *call) written(n int, err error) error {
	c.wrote = n > 0
	if err != nil && (n == 0 && c.link.used || !brokenOff(err)) {
		return err
	}
	c.closes = err != nil
	return nil
}

// receive is a read from the server, before which the request is written if that was left to it. failed reports that err is of the writing.
func (c *call) receive(p []byte) (n int, failed bool, err error) {
	if c.asks {
		c.asks = false
		sent, n, err := rawconn.Ask(c.link.Conn, c.out, p)
		if sent == len(c.out) {
			c.wrote = true
			return n, false, err
		}
		if err := c.written(sent, err); err != nil {
			return 0, true, err
		}
	}
	n, err = c.link.Read(p)
	return n, false, err
}

// gather takes what is there of the body, and reports whether that is all.
func (c *call) gather() (whole bool, err error) {
	source, ok := c.x.Body.(ready)
	if !ok {
		return false, nil
	}
	for limit := len(c.out) + gatherBytes; len(c.out) < limit && source.Ready(); {
		var n int
		n, whole, err = c.piece(c.in[:])
		if err != nil {
			return false, err
		}
		if c.out, err = c.appendPiece(c.out, c.in[:n], whole); err != nil || whole {
			return whole, err
		}
	}
	return false, nil
}

// piece reads a part of the client's body, and reports whether it is the last one.
func (c *call) piece(p []byte) (n int, last bool, err error) {
	sized := c.x.Length > 0
	if sized {
		p = p[:min(int64(len(p)), c.x.Length-c.body.n)] // only this side reads, and so changes n
	}
	n, err = c.body.Read(p)
	switch {
	case sized && c.body.n == c.x.Length:
		return n, true, nil
	case errors.Is(err, io.EOF) && sized:
		c.body.fail(errShort)
		return n, false, errShort
	case errors.Is(err, io.EOF):
		return n, true, nil
	}
	return n, false, err
}

// appendPiece frames a part of the body.
func (c *call) appendPiece(dst, data []byte, last bool) ([]byte, error) {
	if c.x.Length > 0 {
		return append(dst, data...), nil
	}
	if len(data) > 0 {
		dst = append(codec.AppendChunkSize(dst, len(data)), data...)
		dst = append(dst, '\r', '\n')
	}
	if !last {
		return dst, nil
	}
	return c.appendEnd(dst)
}

// appendEnd ends a chunked body.
func (c *call) appendEnd(dst []byte) ([]byte, error) {
	var fields gate.Header
	if c.trailer != nil {
		for _, name := range slices.Sorted(maps.Keys(c.trailer.fields)) {
			for _, v := range c.trailer.fields[name] {
				fields.Add(name, v)
			}
		}
	}
	return codec.AppendChunkEnd(dst, fields)
}

// sendRest sends what of the body was not there at first. It is the goroutine that only large and slow bodies have.
func (c *call) sendRest() {
	err := c.pump()
	switch {
	case err == nil:
		c.sent.Store(true)
	case !errors.Is(err, errDeaf) && !c.link.stopped.Load(): // otherwise the server's answer, if there is one, is worth reading
		c.sendErr = err
		c.link.interrupt()
	}
}

// pump copies the body, each part in one write with its framing around it. A client that is slow does not hold a large buffer.
func (c *call) pump() error {
	m := c.u.manager
	small := m.buffers.get()
	defer m.buffers.put(small)
	buf := small[:]
	var large *[streamBytes]byte
	for {
		room := buf[chunkSpace : len(buf)-chunkSpace]
		n, last, err := c.piece(room)
		if err != nil {
			return err
		}
		out := room[:n]
		if c.x.Length < 0 {
			if out, err = c.chunk(buf, n, last); err != nil {
				return err
			}
		}
		if err := c.link.limitWrite(time.Now(), c.s.key.idle); err != nil {
			return err
		}
		if last {
			c.last.Store(true)
		}
		if _, err := c.link.Write(out); err != nil && brokenOff(err) {
			return errDeaf
		} else if err != nil || last {
			return err
		}
		if n == len(room) && large == nil {
			large = m.calls.stream()
			defer m.calls.streams.Put(large)
			buf = large[:]
		}
	}
}

// chunk puts a chunk's framing around the n bytes at buf[chunkSpace:].
func (c *call) chunk(buf []byte, n int, last bool) ([]byte, error) {
	start, end := chunkSpace, chunkSpace+n
	if n > 0 {
		var space [chunkSpace]byte
		line := codec.AppendChunkSize(space[:0], n)
		start -= len(line)
		copy(buf[start:], line)
		end += copy(buf[end:], "\r\n")
	}
	if out := buf[start:end]; !last {
		return out, nil
	}
	return c.appendEnd(buf[start:end])
}

// endSending ends the sending half. If all that it has left to do is a write, that may still end well.
func (c *call) endSending() {
	if !c.sending {
		return
	}
	switch {
	case c.sent.Load():
	case c.last.Load():
		_ = c.link.SetWriteDeadline(time.Now().Add(lastGrace))
		c.link.writeUntil = time.Time{}
	default:
		c.link.interrupt()
		_ = c.body.Close()
	}
	c.sender.Wait()
}

// sendFailure is why the sending half has interrupted the link; it may be called once it has.
func (c *call) sendFailure() error {
	_ = c.body.Close()
	c.sender.Wait()
	return c.sendErr
}

func (c *call) hold() { c.holding.Store(true) }

func (c *call) wait(int) {
	c.fed.Store(int64(time.Since(c.started))) // also at the end, which the server learns of
	c.holding.Store(false)
}

func (c *call) ended() {
	if c.trailer != nil {
		c.trailer.fill()
	}
}

// closeSource breaks reading the client's body off.
func (c *call) closeSource() error {
	if c.x.Context.Err() == nil {
		c.broken.Store(true)
	}
	return c.x.Body.Close()
}

// announcedTrailer lists the trailer fields that a server announces and that may be forwarded.
func announcedTrailer(h gate.Header) string {
	var names []string
	for name := range tokens(h, "Trailer") {
		if name = http.CanonicalHeaderKey(name); !codec.BarredTrailer(name) && validField(gate.Field{Name: name}) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
