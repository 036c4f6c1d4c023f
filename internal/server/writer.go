package server

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// writer is the gate.Writer of an exchange.
type writer struct {
	session    *session
	generation *generation
	conn       *conn
	rw         http.ResponseWriter
	body       *body // nil if the request has none
	h2         bool

	state   writerState
	close   bool // the connection ends after this response
	noBody  bool // this response has no body
	aborted bool
	renewed time.Time // when the time limit of an HTTP/2 stream was set
}

type writerState uint8

const (
	stateNew writerState = iota
	stateHead
	stateHijacked
)

var (
	errHeadSent  = errors.New("the head of the response is sent already")
	errNoHead    = errors.New("the head of the response is not sent yet")
	errNoUpgrade = errors.New("the client asked for no upgrade")
)

// h2Piece bounds what is written to an HTTP/2 stream in one go, so that the time limit starts anew while a large write makes progress.
const h2Piece = 16 << 10

func (w *writer) deadlines() deadliner { return w.rw.(deadliner) }

// Informational sends an interim response. 100 is left to net/http, which sends it when the body is first read.
func (w *writer) Informational(status int, header gate.Header) error {
	switch {
	case w.state != stateNew:
		return errHeadSent
	case status < 102 || status > 199 || w.session.x.Proto == 10:
		return nil
	}
	h := w.rw.Header()
	w.fill(h, header)
	w.rw.WriteHeader(status)
	clear(h)
	return nil
}

// Head sends the status line and header.
func (w *writer) Head(status int, header gate.Header, length int64) error {
	if w.state != stateNew {
		return errHeadSent
	}
	w.state = stateHead
	x := &w.session.x
	w.noBody = x.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	h := w.rw.Header()
	w.fill(h, header)
	w.frame(h, status, header, length)
	if w.endsConnection(header) {
		// Over HTTP/2, net/http sends GOAWAY for it.
		h["Connection"] = []string{"close"}
	}
	w.rw.WriteHeader(status)
	return nil
}

// fill copies fields into net/http's map, except for those that belong to a connection or decide framing. Spellings are kept, but for fields
// that net/http itself looks at.
func (w *writer) fill(h http.Header, header gate.Header) {
	values := make([]string, len(header))
	for i, f := range header {
		if connectionField(f.Name) {
			continue
		}
		name := f.Name
		for _, special := range [...]string{"Date", "Content-Type", "Content-Encoding", "Trailer"} {
			if gate.EqualName(name, special) {
				name = special
			}
		}
		values[i] = f.Value
		if had, ok := h[name]; ok {
			h[name] = append(had, f.Value)
		} else {
			h[name] = values[i : i+1 : i+1]
		}
	}
}

// connectionField reports whether a field is about the connection or the framing of a message, which are this package's business.
func connectionField(name string) bool {
	switch len(name) {
	case len("Upgrade"):
		return gate.EqualName(name, "Upgrade")
	case len("Connection"): // and Keep-Alive
		return gate.EqualName(name, "Connection") || gate.EqualName(name, "Keep-Alive")
	case len("Content-Length"):
		return gate.EqualName(name, "Content-Length")
	case len("Proxy-Connection"):
		return gate.EqualName(name, "Proxy-Connection")
	case len("Transfer-Encoding"):
		return gate.EqualName(name, "Transfer-Encoding")
	}
	return strings.HasPrefix(name, http.TrailerPrefix)
}

// frame sets Content-Length and keeps net/http from guessing a content type.
func (w *writer) frame(h http.Header, status int, header gate.Header, length int64) {
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	switch {
	case status == http.StatusNoContent, status == http.StatusNotModified: // optional with 304, and some HTTP/2 clients then wait for a body
		return
	case w.noBody: // HEAD tells the length of what GET would have got (RFC 9110 section 8.6)
		if v := header.Get("Content-Length"); header.Count("Content-Length") == 1 {
			if n, err := strconv.ParseUint(v, 10, 63); err == nil {
				h["Content-Length"] = []string{strconv.FormatUint(n, 10)}
			}
			return
		}
		if length <= 0 {
			return
		}
	case length < 0:
		return
	}
	h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
}

// endsConnection reports whether the connection is to end after this response.
func (w *writer) endsConnection(header gate.Header) bool {
	if w.h2 {
		return w.generation.leaving.Load()
	}
	if !w.close {
		w.close = w.generation.leaving.Load() || w.session.x.Proto == 10 || w.conn.framing.released.Load() || w.body != nil && w.body.unwanted() ||
			gate.EqualName(header.Get("Connection"), "close")
	}
	return w.close
}

// Write sends a part of the body. It fails if the client takes nothing for the listener's BodyTimeout.
func (w *writer) Write(p []byte) (int, error) {
	if w.state != stateHead {
		return 0, errNoHead
	}
	if w.noBody || len(p) == 0 {
		return len(p), nil
	}
	total := 0
	for {
		piece := p
		if w.h2 {
			w.renew()
			piece = p[:min(len(p), h2Piece)]
		}
		n, err := w.rw.Write(piece)
		total += n
		p = p[n:]
		if n > 0 && w.body != nil {
			w.body.renew()
		}
		if err != nil || len(p) == 0 {
			return total, err
		}
	}
}

// renew starts the time limit of an HTTP/2 stream anew. It is not done for every piece: the limit is longer by an eighth instead. HTTP/1.1 needs nothing here: its
// limit is that of the connection.
func (w *writer) renew() {
	stall := w.generation.cfg.BodyTimeout
	if stall <= 0 {
		return
	}
	now := time.Now()
	if now.Sub(w.renewed) < stall/8 {
		return
	}
	w.renewed = now
	_ = w.deadlines().SetWriteDeadline(now.Add(stall + stall/8))
}

// Flush sends what is buffered.
func (w *writer) Flush() error {
	if w.state != stateHead {
		return errNoHead
	}
	if !w.h2 {
		return w.deadlines().FlushError()
	}
	w.renew()
	err := w.deadlines().FlushError()
	// The limit of a stream strikes even when nothing waits to be sent, and from here on the handler may have nothing to say for long.
	w.renewed = time.Time{}
	_ = w.deadlines().SetWriteDeadline(time.Time{})
	return err
}

// Trailer sends trailer fields after the body.
func (w *writer) Trailer(header gate.Header) error {
	if w.state != stateHead {
		return errNoHead
	}
	if len(header) == 0 {
		return nil
	}
	// net/http would frame a short body by its length, which leaves no place for trailers.
	if err := w.Flush(); err != nil {
		return err
	}
	h := w.rw.Header()
	for _, f := range header {
		if !connectionField(f.Name) {
			name := http.TrailerPrefix + http.CanonicalHeaderKey(f.Name)
			h[name] = append(h[name], f.Value)
		}
	}
	return nil
}

// Abort breaks the response off. It takes effect when the handler returns.
func (w *writer) Abort() {
	w.aborted = true
	if w.session.x.Proto == 10 {
		w.conn.reset() // the end of the connection would be taken for the end of the body
	}
}

// endConnection makes net/http close the connection after the response whose head may be sent already: exceeding the limit of a MaxBytesReader is the one
// way to tell it.
func (w *writer) endConnection() {
	var one [1]byte
	_, _ = http.MaxBytesReader(w.rw, io.NopCloser(strings.NewReader("x")), 0).Read(one[:])
}
