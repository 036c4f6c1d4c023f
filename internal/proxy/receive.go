package proxy

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	codec "github.com/jotgate/jotgate/internal/h1"
	"github.com/jotgate/jotgate/internal/rawconn"
)

// head reads the head of the final response, and forwards the interim ones before it.
func (c *call) head() error {
	c.buf = c.in[:]
	resume := false
	for {
		n, err := 0, error(codec.ErrIncomplete)
		switch {
		case resume:
			n, err = c.resp.Resume(c.buf[c.at:c.have], c.x.Method, responseLimits)
		case c.have > c.at:
			n, err = codec.ParseResponse(c.buf[c.at:c.have], &c.resp, c.x.Method, responseLimits)
		}
		switch {
		case err == nil:
			c.at += n
			if c.resp.Status >= 200 || c.resp.Status == 101 {
				return nil
			}
			resume = false
			if err := c.informational(); err != nil {
				return err
			}
			continue
		case err != codec.ErrIncomplete: //nolint:errorlint // the codec's own, never wrapped
			return err
		}
		resume = c.have > c.at
		if err := c.more(); err != nil {
			return err
		}
	}
}

// more reads more of a head.
func (c *call) more() error {
	if c.have == len(c.buf) {
		larger := c.buf
		if c.at == 0 {
			larger = make([]byte, 2*len(c.buf))
		}
		c.have = copy(larger, c.buf[c.at:c.have])
		c.buf, c.at = larger, 0
	}
	n, err := c.read(c.buf[c.have:], c.u.config.ResponseTimeout, true)
	if err != nil {
		return err
	}
	if c.have == 0 && c.link.unasked() {
		return errForeign
	}
	c.have += n
	return nil
}

// informational forwards an interim response (RFC 9110 section 15.2). The server engine itself answers 100 when the body is read.
func (c *call) informational() error {
	c.interim++
	if c.interim > maxInformational {
		return errFlood
	}
	c.closes = c.closes || c.resp.Close
	if c.resp.Status == 100 || c.x.Proto < 11 {
		return nil
	}
	c.fields = c.incoming(c.fields[:0])
	c.forwarded = true
	if err := c.x.Writer.Informational(c.resp.Status, c.fields); err != nil {
		c.writeErr = err
		return err
	}
	return nil
}

// incoming appends the fields of the response to dst, in their order, without those that belong to the connection, also those that Connection names, and without the length, which the client's connection has for itself.
func (c *call) incoming(dst gate.Header) gate.Header {
	nominated := false
	from := len(dst)
	for i := range c.resp.Header {
		f := &c.resp.Header[i]
		switch ownConnection(f.Name) {
		case forwardedField:
			dst = append(dst, *f)
		case connectionOptions:
			nominated = nominated || !gate.EqualName(f.Value, "keep-alive") && !gate.EqualName(f.Value, "close")
		}
	}
	if nominated {
		kept := dst[from:]
		kept.DelFunc(func(name string) bool { return hasToken(c.resp.Header, "Connection", name) })
		dst = dst[:from+len(kept)]
	}
	if c.client == nil {
		detach(dst[from:])
	}
	return dst
}

// fieldRole is what a field of a response is to the gateway.
type fieldRole uint8

const (
	forwardedField    fieldRole = iota
	connectionOptions           // Connection itself
	connectionField             // is for this connection only
)

func ownConnection(name string) fieldRole {
	mine := false
	switch len(name) {
	case len("TE"):
		mine = gate.EqualName(name, "TE")
	case len("Trailer"): // and Upgrade
		mine = gate.EqualName(name, "Trailer") || gate.EqualName(name, "Upgrade")
	case len("Connection"): // and Keep-Alive
		if gate.EqualName(name, "Connection") {
			return connectionOptions
		}
		mine = gate.EqualName(name, "Keep-Alive")
	case len("Content-Length"): // and HTTP2-Settings
		mine = gate.EqualName(name, "Content-Length") || gate.EqualName(name, "HTTP2-Settings")
	case len("Proxy-Connection"):
		mine = gate.EqualName(name, "Proxy-Connection")
	case len("Transfer-Encoding"):
		mine = gate.EqualName(name, "Transfer-Encoding")
	case len("Proxy-Authenticate"):
		mine = gate.EqualName(name, "Proxy-Authenticate")
	case len("Proxy-Authorization"):
		mine = gate.EqualName(name, "Proxy-Authorization")
	case len("Proxy-Authentication-Info"):
		mine = gate.EqualName(name, "Proxy-Authentication-Info")
	}
	if mine {
		return connectionField
	}
	return forwardedField
}

// kept is a string of the response's head that the writer may hold.
func (c *call) kept(s string) string {
	if c.client == nil {
		return strings.Clone(s)
	}
	return s
}

// detach gives h strings of its own, in one piece of memory.
func detach(h gate.Header) {
	size := 0
	for i := range h {
		size += len(h[i].Name) + len(h[i].Value)
	}
	var b strings.Builder
	b.Grow(size)
	for i := range h {
		b.WriteString(h[i].Name)
		b.WriteString(h[i].Value)
	}
	text := b.String()
	for i := range h {
		n, v := len(h[i].Name), len(h[i].Value)
		h[i] = gate.Field{Name: text[:n], Value: text[n : n+v]}
		text = text[n+v:]
	}
}

// respond forwards the response. The denial says why that failed; if the head was sent already, the response was broken off.
func (c *call) respond() *gate.Denial {
	x, r := c.x, &c.resp
	x.Server = c.s.url
	if r.Status == 101 {
		return c.switchProtocols()
	}
	x.Reply = c.incoming(x.Reply)
	length := int64(-1)
	switch {
	case x.Method == "HEAD" || r.Status == 304:
		if r.Length >= 0 {
			x.Reply.Add("Content-Length", c.kept(r.Header.Get("Content-Length"))) // of what GET would have got (RFC 9110 section 8.6)
		}
		if length = r.Length; r.Status == 304 {
			length = 0
		}
	case r.Status == 204:
		length = 0
	case r.Framing == codec.Sized:
		length = r.Length
	case r.Framing == codec.Chunked:
		if r.Header.Has("Trailer") {
			if names := announcedTrailer(r.Header); names != "" {
				x.Reply.Add("Trailer", names)
			}
		}
	}
	if err := x.WriteHead(r.Status, length); err != nil {
		return c.clientFailed(err)
	}
	c.payload.Reset(r.Framing, r.Length, responseLimits)
	return c.stream()
}

// stream copies the body and the trailer. It reads into the buffer that the head is in: the head must not be looked at any more.
func (c *call) stream() *gate.Denial {
	buf, src := c.in[:], c.buf[c.at:c.have]
	full := c.have == len(c.buf)
	for {
		rest, ended, d := c.hand(src)
		if d != nil {
			return d
		}
		if ended {
			c.complete = len(rest) == 0 && !c.resp.Close
			return c.endTrailer()
		}
		if c.large == nil && (full || c.payload.Left() > headBytes) {
			c.large = c.u.manager.calls.stream()
			buf = c.large[:]
		}
		if !full && rawconn.Probe(c.link.raw) == rawconn.Quiet { // the server has nothing more at the moment
			if err := c.x.Writer.Flush(); err != nil {
				return c.clientFailed(err)
			}
		}
		c.now = after(c.now)
		n, err := c.read(buf, c.s.key.idle, false)
		if err != nil {
			if errors.Is(err, io.EOF) {
				if err = c.payload.Close(); err == nil {
					return nil
				}
			}
			return c.abort(c.refusal(err))
		}
		src, full = buf[:n], n == len(buf)
	}
}

// hand gives the client what src has of the body. The rest came after its end.
func (c *call) hand(src []byte) (rest []byte, ended bool, d *gate.Denial) {
	x := c.x
	for {
		data, n, err := c.payload.Next(src)
		src = src[n:]
		if len(data) > 0 {
			written, werr := x.Writer.Write(data)
			x.Sent += int64(written)
			if werr != nil {
				return nil, false, c.clientFailed(werr)
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // the codec's own, never wrapped
			return src, true, nil
		case err != nil:
			return nil, false, c.abort(c.refusal(err))
		case len(src) == 0:
			return nil, false, nil
		}
	}
}

// endTrailer sends the trailer of a body that has ended.
func (c *call) endTrailer() *gate.Denial {
	fields := c.payload.Trailer()
	if len(fields) == 0 {
		return nil
	}
	if c.client == nil {
		detach(fields)
	}
	if err := c.x.Writer.Trailer(fields); err != nil {
		return c.clientFailed(err)
	}
	return nil
}

// clientFailed ends an exchange whose client does not take the response.
func (c *call) clientFailed(err error) *gate.Denial {
	return c.abort(gate.Deny(contextReason(c.x), fmt.Errorf("writing the response: %w", err)))
}

// abort breaks the response off, so that the client cannot take it for complete.
func (c *call) abort(d *gate.Denial) *gate.Denial {
	c.complete = false
	c.x.Writer.Abort()
	return d
}

// switchProtocols answers 101 and connects the two sides (RFC 9110 section 7.8).
func (c *call) switchProtocols() *gate.Denial {
	x, chosen := c.x, c.resp.Upgrade
	if c.upgrade == "" || !gate.EqualName(chosen, c.upgrade) {
		return gate.Deny(gate.ReasonUpstreamProtocol, fmt.Errorf("server %s: switched to protocol %q, which was not asked for", c.s.url, chosen))
	}
	// From here on a deadline of the exchange does not apply any more.
	if c.unwatch != nil && !c.unwatch() || c.link.stopped.Load() || c.x.Context.Err() != nil {
		return c.refusal(errEnded)
	}
	_ = c.link.SetReadDeadline(time.Time{})
	x.Reply = c.incoming(x.Reply)
	x.Reply.Add("Connection", "Upgrade")
	x.Reply.Add("Upgrade", c.kept(chosen))
	client, err := x.WriteUpgrade()
	if err != nil {
		return c.abort(gate.Deny(gate.ReasonClientGone, fmt.Errorf("switching protocols: %w", err)))
	}
	server := &switched{link: c.link, early: c.buf[c.at:c.have], stall: c.s.key.idle}
	t := &tunnel{idle: c.u.config.IdleTimeout, buffers: &c.u.manager.buffers}
	sent, got, stopped := t.run(x.Context, client, server)
	x.Sent += sent
	x.Received += got
	if stopped {
		return gate.Deny(gate.ReasonClientGone, errors.New("the upgraded connection was closed because its exchange has ended"))
	}
	return nil
}
