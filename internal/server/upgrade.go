package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"

	"golang.org/x/net/http/httpguts"

	"github.com/jotgate/jotgate/internal/gate"
)

// Upgrade answers 101 with header and hands the connection over. Connection: Upgrade is added. The stream also has CloseWrite() error, which ends the client's
// reading side. The listener's BodyTimeout still applies to writes; there is none on reads.
func (w *writer) Upgrade(header gate.Header) (io.ReadWriteCloser, error) {
	if w.state != stateNew {
		return nil, errHeadSent
	}
	if w.session.x.Upgrade == "" {
		return nil, errNoUpgrade
	}
	protocol := header.Get("Upgrade")
	if header.Count("Upgrade") != 1 || !httpguts.ValidHeaderFieldValue(protocol) {
		return nil, errors.New("upgrade: exactly one Upgrade field is needed")
	}
	nc, buffered, err := w.rw.(http.Hijacker).Hijack()
	if err != nil {
		return nil, err
	}
	w.state = stateHijacked
	if _, err := nc.Write(switchingProtocols(protocol, header)); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return &stream{Conn: nc, buffered: buffered.Reader}, nil
}

// switchingProtocols is the head of the response.
func switchingProtocols(protocol string, header gate.Header) []byte {
	b := append([]byte(nil), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "...)
	b = append(append(b, protocol...), "\r\n"...)
	for _, f := range header {
		if connectionField(f.Name) || !httpguts.ValidHeaderFieldName(f.Name) || !httpguts.ValidHeaderFieldValue(f.Value) {
			continue
		}
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// stream is a connection that was taken over; what the client had sent already comes first.
type stream struct {
	net.Conn
	buffered *bufio.Reader // nil when it is used up
}

func (s *stream) Read(p []byte) (int, error) {
	if s.buffered != nil {
		if n := s.buffered.Buffered(); n > 0 {
			return s.buffered.Read(p[:min(n, len(p))])
		}
		s.buffered = nil
	}
	return s.Conn.Read(p)
}

// CloseWrite ends the writing side.
func (s *stream) CloseWrite() error {
	if w, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}
