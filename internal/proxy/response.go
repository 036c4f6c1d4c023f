package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/jotgate/jotgate/internal/gate"
)

const bufferBytes = 32 << 10

// bufferPool keeps the buffers through which bodies are copied.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *[bufferBytes]byte {
	if b, ok := p.pool.Get().(*[bufferBytes]byte); ok {
		return b
	}
	return new([bufferBytes]byte)
}

func (p *bufferPool) put(b *[bufferBytes]byte) { p.pool.Put(b) }

// respond forwards the response. The denial says why that failed; if the head was sent already, the response was broken off.
func (a *attempt) respond(resp *http.Response) *gate.Denial {
	x := a.x
	x.Server = a.s.url
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return a.switchProtocols(resp)
	}
	if resp.StatusCode < 200 {
		return gate.Deny(gate.ReasonUpstreamProtocol, fmt.Errorf("server %s: status %d", a.s.url, resp.StatusCode))
	}
	received := len(x.Reply)
	if err := incoming(&x.Reply, resp.Header); err != nil {
		x.Reply = x.Reply[:received]
		return gate.Deny(gate.ReasonUpstreamProtocol, fmt.Errorf("server %s: %w", a.s.url, err))
	}
	length := resp.ContentLength
	bodyless := x.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
	if v := resp.Header["Content-Length"]; bodyless && len(v) == 1 {
		x.Reply.Add("Content-Length", v[0]) // of what GET would have got (RFC 9110 section 8.6)
	}
	if names := announced(resp.Trailer); names != "" && !bodyless {
		x.Reply.Add("Trailer", names)
		length = -1 // over HTTP/1.1, a body that is framed by its length has no place for trailers
	}
	if err := x.WriteHead(resp.StatusCode, length); err != nil {
		return a.clientFailed(err)
	}
	if bodyless {
		return nil
	}
	return a.stream(resp, resp.ContentLength)
}

// stream copies the body and the trailer.
func (a *attempt) stream(resp *http.Response, length int64) *gate.Denial {
	x := a.x
	if length != 0 && (length < 0 || a.uploading()) {
		// The client may be waiting for the head, and the server for the client.
		if err := x.Writer.Flush(); err != nil {
			return a.clientFailed(err)
		}
	}
	stall := newPatience(a.u.config.IdleTimeout, a.cancel, errStalled)
	defer stall.end()
	a.stall.Store(stall)
	buf := a.u.manager.buffers.get()
	defer a.u.manager.buffers.put(buf)
	var sent int64
	for {
		stall.wait()
		n, err := resp.Body.Read(buf[:])
		stall.hold() // from here on it is the client who takes the time
		if n > 0 {
			written, werr := x.Writer.Write(buf[:n])
			x.Sent += int64(written)
			sent += int64(written)
			if werr != nil {
				return a.clientFailed(werr)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return a.abort(a.refusal(err))
		}
		// A short read means that the server has nothing more at the moment.
		if length < 0 || n < len(buf) && sent < length {
			if err := x.Writer.Flush(); err != nil {
				return a.clientFailed(err)
			}
		}
	}
	if fields := trailers(resp.Trailer); len(fields) > 0 {
		if err := x.Writer.Trailer(fields); err != nil {
			return a.clientFailed(err)
		}
	}
	return nil
}

// uploading reports whether the client's body may still be on its way.
func (a *attempt) uploading() bool {
	if a.body == nil {
		return false
	}
	a.body.mu.Lock()
	defer a.body.mu.Unlock()
	return !a.body.end
}

// clientFailed ends an exchange whose client does not take the response.
func (a *attempt) clientFailed(err error) *gate.Denial {
	return a.abort(gate.Deny(contextReason(a.x), fmt.Errorf("writing the response: %w", err)))
}

// abort breaks the response off, so that the client cannot take it for complete.
func (a *attempt) abort(d *gate.Denial) *gate.Denial {
	a.x.Writer.Abort()
	return d
}

// announced lists the trailer fields that the server announces and that may be forwarded.
func announced(t http.Header) string {
	names := make([]string, 0, len(t))
	for name := range t {
		if !barredTrailer(name) && validField(gate.Field{Name: name}) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// switchProtocols answers 101 and connects the two sides (RFC 9110 section 7.8).
func (a *attempt) switchProtocols(resp *http.Response) *gate.Denial {
	x := a.x
	server, ok := resp.Body.(io.ReadWriteCloser)
	chosen := resp.Header.Get("Upgrade")
	if a.upgrade == "" || !ok || !gate.EqualName(chosen, a.upgrade) {
		return gate.Deny(gate.ReasonUpstreamProtocol, fmt.Errorf("server %s: switched to protocol %q, which was not asked for", a.s.url, chosen))
	}
	received := len(x.Reply)
	if err := incoming(&x.Reply, resp.Header); err != nil {
		x.Reply = x.Reply[:received]
		return gate.Deny(gate.ReasonUpstreamProtocol, fmt.Errorf("server %s: %w", a.s.url, err))
	}
	x.Reply.Add("Connection", "Upgrade")
	x.Reply.Add("Upgrade", chosen)
	client, err := x.WriteUpgrade()
	if err != nil {
		return a.abort(gate.Deny(gate.ReasonClientGone, fmt.Errorf("switching protocols: %w", err)))
	}
	a.sent.Store(false) // from here on it is the copying that notices a client that leaves
	t := &tunnel{idle: a.u.config.IdleTimeout, buffers: &a.u.manager.buffers}
	sent, got, stopped := t.run(x.Context, client, server)
	x.Sent += sent
	x.Received += got
	if stopped {
		return gate.Deny(gate.ReasonClientGone, errors.New("the upgraded connection was closed because its exchange has ended"))
	}
	return nil
}
