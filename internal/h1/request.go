package h1

import (
	"bytes"

	"github.com/jotgate/jotgate/internal/gate"
)

// ParseRequest parses the request head at the start of buf into r, whatever r held before, and returns its length: the body, or the next request, starts at buf[n]. The error is an Error. After
// ErrIncomplete, r.Resume goes on when more bytes are there. All other errors are final: the connection is to be answered and closed. r.Header starts with the memory that it has, without
// its contents.
//
// One empty line before the request line is skipped (RFC 9112 section 2.2) and counts as part of the head.
func ParseRequest(buf []byte, r *Request, limits Limits) (n int, err error) {
	r.start(buf)
	return r.run(buf, limits)
}

// Resume goes on after ErrIncomplete of ParseRequest or Resume. buf starts with the same bytes as in that call and has more of them. Lines that were parsed are not parsed again, unless buf is in
// another place of memory. What r held is gone after any other error.
func (r *Request) Resume(buf []byte, limits Limits) (n int, err error) {
	if !r.parse.continues(buf) {
		r.start(buf)
	}
	return r.run(buf, limits)
}

// Reset lets go of the buffer and keeps the memory of r.Header, so that r can be pooled.
func (r *Request) Reset() {
	header := r.Header
	clear(header[:cap(header)])
	*r = Request{Header: header[:0]}
}

// start makes r empty.
func (r *Request) start(buf []byte) {
	header := r.Header[:0]
	*r = Request{Header: header}
	r.parse.reset(buf, true)
}

// run parses what was not parsed yet.
func (r *Request) run(buf []byte, limits Limits) (int, error) {
	limits = limits.WithDefaults()
	b := buf[:min(len(buf), limits.Head)]
	h := &r.parse
	if !h.begun {
		if err := r.startLine(b, limits); err != nil {
			return 0, h.failed(err, buf, limits)
		}
		h.begun = true
	}
	n, err := h.fields(b, &r.Header, limits.Fields)
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return 0, h.failed(err, buf, limits)
	}
	h.base, h.lengthText = nil, nil
	return n, nil
}

// startLine parses the request line, which is method SP request-target SP HTTP-version CRLF (RFC 9112 section 3).
func (r *Request) startLine(b []byte, limits Limits) error {
	i := 0
	if len(b) > 0 && b[0] == '\r' {
		if err := lineEnd(b, 0); err != nil {
			return err
		}
		i = 2
	}
	start := i
	for i < len(b) && classes[b[i]]&classToken != 0 {
		i++
	}
	switch {
	case i == len(b):
		return ErrIncomplete
	case i == start, b[i] != ' ':
		return ErrMethod
	}
	r.Method = method(b[start:i])
	i++
	end, err := target(b, i)
	if err != nil {
		return err
	}
	if err := r.version(b, end+1, limits); err != nil {
		return err
	}
	return r.form(b[i:end])
}

// version parses HTTP-version and the end of the line.
func (r *Request) version(b []byte, i int, limits Limits) error {
	v := b[i:]
	const form = "HTTP/d.d\r\n"
	for k := range min(len(v), len(form)) {
		if form[k] == 'd' && v[k] >= '0' && v[k] <= '9' || form[k] == v[k] && form[k] != 'd' {
			continue
		}
		return ErrRequestLine
	}
	if len(v) < len(form) {
		return ErrIncomplete
	}
	switch {
	case v[5] == '1' && v[7] == '1':
		r.Proto = 11
	case v[5] == '1' && v[7] == '0' && limits.HTTP10:
		r.Proto = 10
		r.parse.http10 = true
	default:
		return ErrVersion
	}
	r.parse.next = i + len(form)
	return nil
}

// target scans the request-target at b[start:], which ends before a space, and returns the index of that space.
func target(b []byte, start int) (int, error) {
	i, seen := start, start
	query := false // '%' is free in the query: nobody decodes it to find a resource
	for {
		for i < len(b) && classes[b[i]]&classTarget != 0 {
			i++
		}
		if i == len(b) || b[i] != '%' {
			break
		}
		query = query || bytes.IndexByte(b[seen:i], '?') >= 0
		seen = i
		i++
		for end := i + 2; !query && i < end; i++ {
			if i == len(b) {
				return 0, ErrIncomplete
			}
			if classes[b[i]]&classHex == 0 {
				return 0, ErrTarget
			}
		}
	}
	switch {
	case i == len(b):
		return 0, ErrIncomplete
	case b[i] == '\n' || b[i] == '\r': // no version: HTTP/0.9
		return 0, ErrRequestLine
	case i == start && b[i] == ' ':
		return 0, ErrRequestLine
	case b[i] != ' ':
		return 0, ErrTarget
	}
	return i, nil
}

// form tells the forms of a request-target apart (RFC 9112 section 3.2). The authority form belongs to CONNECT, which has no place in a gateway.
func (r *Request) form(target []byte) error {
	r.URI = text(target)
	switch {
	case r.Method == "CONNECT":
		return ErrTarget
	case target[0] == '/':
		r.Target = r.URI
		return nil
	case target[0] == '*':
		if len(target) > 1 || r.Method != "OPTIONS" {
			return ErrTarget
		}
		r.Target = "*"
		return nil
	}
	return r.absolute(target)
}

// absolute takes an absolute-form target apart. The authority stays in r.parse.host until the Host field is known.
func (r *Request) absolute(target []byte) error {
	colon := bytes.IndexByte(target, ':')
	if colon < 0 || !bytes.HasPrefix(target[colon:], []byte("://")) || !equalFold(target[:colon], "http") && !equalFold(target[:colon], "https") {
		return ErrTarget
	}
	r.Scheme = text(target[:colon])
	rest := target[colon+len("://"):]
	slash := bytes.IndexAny(rest, "/?")
	switch {
	case slash < 0:
		slash = len(rest)
		r.Target = "/"
		if r.Method == "OPTIONS" { // RFC 9112 section 3.2.4
			r.Target = "*"
		}
	case rest[slash] == '?': // its origin form would have a slash that is not there
		return ErrTarget
	default:
		r.Target = text(rest[slash:])
	}
	r.Host = text(rest[:slash])
	if !validHost(r.Host) {
		return ErrTarget
	}
	return nil
}

// finish judges the head as a whole and fills in what its fields say together.
func (r *Request) finish() error {
	h := &r.parse
	switch {
	case h.hosts == 0:
		return ErrHostMissing
	case r.Scheme != "" && !gate.EqualName(r.Host, h.host):
		return ErrHostMismatch
	}
	r.Host = h.host
	switch {
	case h.codings > 0:
		r.Framing, r.Length = Chunked, -1
	case h.lengths > 0:
		r.Framing, r.Length = Sized, h.length
	}
	r.Close = h.close || h.http10
	r.Upgrade = h.switching()
	r.Expect = h.expect && !h.http10 // RFC 9110 section 10.1.1
	return nil
}

// method is b as a string: a constant if the method is well known.
func method(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "PATCH":
		return "PATCH"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	case "TRACE":
		return "TRACE"
	case "CONNECT":
		return "CONNECT"
	}
	return text(b)
}
