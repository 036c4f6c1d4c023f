package h1

// ParseResponse parses the response head at the start of buf into r, whatever r held before, and returns its length: the body, or the next response, starts at buf[n]. method is that of the
// request, which decides with the status whether there is a body. The error is an Error. After ErrIncomplete, r.Resume goes on when more bytes are there. All other errors are final: the connection
// is to be closed. r.Header starts with the memory that it has, without its contents.
//
// An interim response (1xx other than 101) is followed by another one; after 101 the connection speaks another protocol.
func ParseResponse(buf []byte, r *Response, method string, limits Limits) (n int, err error) {
	r.start(buf)
	return r.run(buf, method, limits)
}

// Resume goes on after ErrIncomplete of ParseResponse or Resume. buf starts with the same bytes as in that call and has more of them.
func (r *Response) Resume(buf []byte, method string, limits Limits) (n int, err error) {
	if !r.parse.continues(buf) {
		r.start(buf)
	}
	return r.run(buf, method, limits)
}

// Reset lets go of the buffer and keeps the memory of r.Header, so that r can be pooled.
func (r *Response) Reset() {
	header := r.Header
	clear(header[:cap(header)])
	*r = Response{Header: header[:0]}
}

// start makes r empty.
func (r *Response) start(buf []byte) {
	header := r.Header[:0]
	*r = Response{Header: header}
	r.parse.reset(buf, false)
}

// run parses what was not parsed yet.
func (r *Response) run(buf []byte, method string, limits Limits) (int, error) {
	limits = limits.WithDefaults()
	b := buf[:min(len(buf), limits.Head)]
	h := &r.parse
	if !h.begun {
		if err := r.startLine(b); err != nil {
			return 0, h.failed(err, buf, limits)
		}
		h.begun = true
	}
	n, err := h.fields(b, &r.Header, limits.Fields)
	if err != nil {
		return 0, h.failed(err, buf, limits)
	}
	r.finish(method)
	h.base, h.lengthText = nil, nil
	return n, nil
}

// startLine parses the status line, which is HTTP-version SP status-code SP [reason-phrase] CRLF (RFC 9112 section 4). Servers that leave out the second space along with the phrase are forgiven.
func (r *Response) startLine(b []byte) error {
	const form = "HTTP/1.d ddd"
	for k := range min(len(b), len(form)) {
		if form[k] == 'd' && b[k] >= '0' && b[k] <= '9' || form[k] == b[k] && form[k] != 'd' {
			continue
		}
		return ErrStatusLine
	}
	if len(b) <= len(form) {
		return ErrIncomplete
	}
	switch b[7] {
	case '1':
		r.Proto = 11
	case '0':
		r.Proto = 10
		r.parse.http10 = true
	default:
		return ErrVersion
	}
	r.Status = int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0')
	if r.Status < 100 {
		return ErrStatusLine
	}
	i := len(form)
	if b[i] == ' ' {
		i = skipText(b, i)
	} else if b[i] != '\r' && b[i] != '\n' {
		return ErrStatusLine
	}
	if err := lineEnd(b, i); err != nil {
		return err
	}
	r.parse.next = i + 2
	return nil
}

// finish fills in what the fields say together (RFC 9112 section 6.3).
func (r *Response) finish(method string) {
	h := &r.parse
	r.Length = h.length
	r.Close = h.close || h.http10 && !h.keepAlive
	bare := r.Status < 200 || r.Status == 204
	switch {
	case bare || r.Status == 304 || method == "HEAD":
		r.Framing = NoBody
		// These must not have a body (RFC 9112 section 6.1). A server that announces one may send it.
		if bare && (h.codings > 0 || h.length > 0) {
			r.Close = true
		}
	case h.codings > 0:
		r.Framing = Chunked
	case h.lengths > 0:
		r.Framing = Sized
	default:
		r.Framing, r.Close = UntilClose, true
	}
	if r.Status == 101 {
		r.Upgrade = h.switching()
	}
}
