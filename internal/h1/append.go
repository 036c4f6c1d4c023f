package h1

import (
	"strconv"

	"github.com/jotgate/jotgate/internal/gate"
)

// Frame is what a head that is written says about body and connection. The zero value is a message without a body on a connection that stays.
type Frame struct {
	Framing Framing
	// Length is the value of Content-Length with Sized.
	Length int64
	// Close announces that the connection ends after this message.
	Close bool
	// Upgrade is the protocol that is asked for or switched to; empty if none.
	Upgrade string
	// Head says that a response answers a HEAD request: with NoBody it tells nothing about the body that GET would get.
	Head bool
}

// AppendRequestHead appends the head of a request in its canonical form. target is in origin form, or "*"; host is the value of Host. Fields of header that belong to a connection, frame the message or
// repeat host are left out (Connection, Keep-Alive, Proxy-Connection, Upgrade, Transfer-Encoding, Content-Length, Host): frame and host speak for them. A request without a body whose method
// usually has one is framed as Sized with Length 0 (RFC 9110 section 8.6). The error is ErrUnsendable, and dst is then returned as it was; no head that could be read as something else is ever written.
func AppendRequestHead(dst []byte, method, target, host string, header gate.Header, frame Frame) ([]byte, error) {
	if !isToken(method) || method == "CONNECT" || !sendableTarget(target) || !validHost(host) || frame.Framing == UntilClose {
		return dst, ErrUnsendable
	}
	b := dst
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, '\r', '\n')
	b, err := appendFields(b, header, true)
	if err == nil {
		b, err = appendFrame(b, frame)
	}
	if err != nil {
		return dst, err
	}
	return append(b, '\r', '\n'), nil
}

// AppendResponseHead appends the head of a response in its canonical form. Fields of header that belong to a connection or frame the message are left out, as in AppendRequestHead. If date is not empty it becomes
// the Date field, unless header has one. Interim responses, 204 and 304 have no transfer coding, and the first two no length either (RFC 9110 section 8.6): frames that say otherwise are refused, but for
// a Length of 0. The response to HEAD is framed as that to GET would be, and no body is sent; 304 likewise with a Length. All others need a framing. The error is ErrUnsendable, and dst is then returned as it was.
func AppendResponseHead(dst []byte, status int, header gate.Header, frame Frame, date []byte) ([]byte, error) {
	if status < 100 || status > 999 || skipText(date, 0) != len(date) {
		return dst, ErrUnsendable
	}
	if status < 200 || status == 204 || status == 304 {
		if frame.Framing == Chunked || frame.Framing == Sized && frame.Length != 0 && status != 304 {
			return dst, ErrUnsendable
		}
		if frame.Framing == UntilClose || status != 304 {
			frame.Framing = NoBody
		}
	} else if frame.Framing == NoBody && !frame.Head {
		return dst, ErrUnsendable // a client would read until the connection ends
	}
	b := appendStatusLine(dst, status)
	if len(date) > 0 && !header.Has("Date") {
		b = append(b, "Date: "...)
		b = append(b, date...)
		b = append(b, '\r', '\n')
	}
	b, err := appendFields(b, header, false)
	if err == nil {
		b, err = appendFrame(b, frame)
	}
	if err != nil {
		return dst, err
	}
	return append(b, '\r', '\n'), nil
}

// AppendChunkSize appends the line before the data of a chunk of n bytes; n is positive, because a chunk of none ends the body. CRLF follows the data.
func AppendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendUint(dst, uint64(n), 16), '\r', '\n')
}

// AppendChunkEnd appends what ends a chunked body: the last chunk and the trailer section (RFC 9112 section 7.1). Fields that must not be in one are left out. The error is ErrUnsendable, and dst is then
// returned as it was.
func AppendChunkEnd(dst []byte, trailer gate.Header) ([]byte, error) {
	b := append(dst, '0', '\r', '\n')
	for i := range trailer {
		f := &trailer[i]
		if BarredTrailer(f.Name) {
			continue
		}
		var ok bool
		if b, ok = appendField(b, f); !ok {
			return dst, ErrUnsendable
		}
	}
	return append(b, '\r', '\n'), nil
}

// appendFields appends the lines of header that are not about the connection or the framing.
func appendFields(b []byte, header gate.Header, request bool) ([]byte, error) {
	for i := range header {
		f := &header[i]
		if connectionField(f.Name) || request && len(f.Name) == len("Host") && equalFold(f.Name, "host") {
			continue
		}
		var ok bool
		if b, ok = appendField(b, f); !ok {
			return b, ErrUnsendable
		}
	}
	return b, nil
}

// appendField appends a line, if it can be one.
func appendField(b []byte, f *gate.Field) ([]byte, bool) {
	if !isToken(f.Name) || !isText(f.Value) {
		return b, false
	}
	b = append(b, f.Name...)
	b = append(b, ':', ' ')
	b = append(b, f.Value...)
	return append(b, '\r', '\n'), true
}

// connectionField reports whether the field is about a connection or the framing of a message: what Frame is for. Names that some back ends take for one of these are so too (see gate.FoldName).
func connectionField(name string) bool {
	switch len(name) {
	case len("Upgrade"):
		return sameFolded(name, "upgrade")
	case len("Connection"): // and Keep-Alive
		return sameFolded(name, "connection") || sameFolded(name, "keep-alive")
	case len("Content-Length"):
		return sameFolded(name, "content-length")
	case len("Proxy-Connection"):
		return sameFolded(name, "proxy-connection")
	case len("Transfer-Encoding"):
		return sameFolded(name, "transfer-encoding")
	}
	return false
}

// sameFolded reports whether lower is the folded form of name, which is as long.
func sameFolded(name, lower string) bool {
	for i := range len(lower) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_' || c == '.':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// appendFrame appends the lines that frame stands for.
func appendFrame(b []byte, frame Frame) ([]byte, error) {
	switch frame.Framing {
	case Sized:
		if frame.Length < 0 {
			return b, ErrUnsendable
		}
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, frame.Length, 10)
		b = append(b, '\r', '\n')
	case Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case frame.Upgrade != "":
		if frame.Close || !isText(frame.Upgrade) {
			return b, ErrUnsendable
		}
		b = append(b, "Connection: Upgrade\r\nUpgrade: "...)
		b = append(b, frame.Upgrade...)
		b = append(b, '\r', '\n')
	case frame.Close || frame.Framing == UntilClose:
		b = append(b, "Connection: close\r\n"...)
	}
	return b, nil
}

// sendableTarget reports whether target is in origin form or "*", and has only characters that keep the request line in one piece.
func sendableTarget(target string) bool {
	if target == "" || target[0] != '/' {
		return target == "*"
	}
	for i := range len(target) {
		if classes[target[i]]&classTarget == 0 && target[i] != '%' {
			return false
		}
	}
	return true
}
