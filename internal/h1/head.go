package h1

import (
	"bytes"
	"errors"

	"github.com/jotgate/jotgate/internal/gate"
)

// head is the state of a head, or of a trailer section, that is being parsed. Lines are judged one after the other, and each line byte by byte with what it means at its end: so the first
// error is the same however the bytes arrive, and parsing can go on at the line where bytes were missing.
type head struct {
	base  *byte // start of the buffer that the strings so far alias
	next  int   // start of the first line that was not parsed
	lines int   // field lines so far
	begun bool  // the start line is parsed
	plain bool  // this is a trailer section: no field has a meaning here

	request       bool
	http10        bool
	lengths       int
	length        int64
	lengthText    []byte // its value as it came
	codings       int
	hosts         int
	host          string
	close         bool
	keepAlive     bool
	upgradeOption bool
	upgrades      int
	upgrade       string
	expect        bool
}

// reset starts a head over buf.
func (h *head) reset(buf []byte, request bool) {
	*h = head{request: request, length: -1}
	if len(buf) > 0 {
		h.base = &buf[0]
	}
}

// continues reports whether buf starts in the same place as before: what was parsed can stay.
func (h *head) continues(buf []byte) bool {
	return h.base != nil && len(buf) > 0 && h.base == &buf[0]
}

// failed is the error to return for err, which came up in the bytes of buf that the limit allows. Only after ErrIncomplete there is something to go on with.
func (h *head) failed(err error, buf []byte, limits Limits) error {
	if errors.Is(err, ErrIncomplete) {
		if len(buf) < limits.Head {
			return err
		}
		err = ErrHeadTooLarge
	}
	h.base, h.lengthText = nil, nil
	return err
}

// lineEnd checks that b[i:] starts with CRLF. b[i] is a control character other than HTAB, or i is len(b).
func lineEnd(b []byte, i int) error {
	switch {
	case i >= len(b):
		return ErrIncomplete
	case b[i] == '\n':
		return ErrBareLF
	case b[i] != '\r':
		return ErrControl
	case i+1 >= len(b):
		return ErrIncomplete
	case b[i+1] != '\n':
		return ErrBareCR
	}
	return nil
}

// fields parses field lines from h.next on until the empty line, and returns the index after it. b ends where the limit is.
func (h *head) fields(b []byte, header *gate.Header, limit int) (int, error) {
	for {
		start := h.next
		i := start
		for i < len(b) && classes[b[i]]&classToken != 0 {
			i++
		}
		if i == len(b) {
			return 0, ErrIncomplete
		}
		if b[i] != ':' || i == start {
			return h.noName(b, start, i)
		}
		if h.lines == limit {
			return 0, ErrTooManyFields
		}
		end := skipText(b, i+1)
		if err := lineEnd(b, end); err != nil {
			return 0, err
		}
		name, value := b[start:i], trim(b[i+1:end])
		h.lines++
		h.next = end + 2
		if !h.plain && special(name) {
			keep, err := h.meaning(name, value)
			if err != nil {
				return 0, err
			}
			if !keep {
				continue
			}
		}
		*header = append(*header, gate.Field{Name: text(name), Value: text(value)})
	}
}

// trailer parses a complete trailer section. Its fields mean nothing for framing.
func (h *head) trailer(b []byte, header *gate.Header, limit int) (int, error) {
	h.plain = true
	return h.fields(b, header, limit)
}

// noName handles a line that starts with no field name and colon: the empty line, or an error. b[i] is the first byte that is not of a token.
func (h *head) noName(b []byte, start, i int) (int, error) {
	c := b[i]
	switch {
	case i == start && c == '\r':
		if err := lineEnd(b, i); err != nil {
			return 0, err
		}
		return i + 2, nil
	case c == '\n':
		return 0, ErrBareLF
	case c == ' ' || c == '\t':
		if i == start {
			return 0, ErrFold
		}
		return 0, ErrSpaceBeforeColon
	case c == '\r':
		if err := lineEnd(b, i); err != nil {
			return 0, err
		}
	case c < ' ' || c == 0x7f:
		return 0, ErrControl
	}
	return 0, ErrFieldName
}

// special reports whether a name has the length of one that the codec itself looks at.
func special(name []byte) bool {
	const lengths = 1<<len("Host") | 1<<len("Expect") | 1<<len("Upgrade") | 1<<len("Connection") | 1<<len("Content-Length") | 1<<len("Transfer-Encoding")
	return len(name) < 32 && lengths>>len(name)&1 != 0
}

// meaning takes in what a field says about framing, connection or host, and reports whether the field belongs into the header.
func (h *head) meaning(name, value []byte) (keep bool, err error) {
	switch len(name) {
	case len("Host"):
		if h.request && equalFold(name, "host") {
			if h.hosts++; h.hosts > 1 {
				return false, ErrHostRepeated
			}
			h.host = text(value)
			if !validHost(h.host) {
				return false, ErrHost
			}
			return false, nil
		}
	case len("Expect"):
		if h.request && equalFold(name, "expect") {
			if !equalFold(value, "100-continue") {
				return false, ErrExpect
			}
			h.expect = true
		}
	case len("Upgrade"): // and Trailer
		if equalFold(name, "upgrade") {
			h.upgrades++
			h.upgrade = text(value)
		} else if equalFold(name, "trailer") {
			err = announced(value)
		}
	case len("Connection"):
		if equalFold(name, "connection") {
			err = h.connection(value)
		}
	case len("Content-Length"):
		if equalFold(name, "content-length") {
			err = h.contentLength(value)
		}
	case len("Transfer-Encoding"):
		if equalFold(name, "transfer-encoding") {
			err = h.transferEncoding(value)
		}
	}
	return true, err
}

func (h *head) contentLength(value []byte) error {
	if len(value) == 0 || len(value) > 19 {
		return ErrLength
	}
	var n uint64 // 19 digits fit
	for _, c := range value {
		if c < '0' || c > '9' {
			return ErrLength
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case n > 1<<63-1:
		return ErrLength
	case h.lengths > 0 && (h.request || !bytes.Equal(value, h.lengthText)):
		return ErrLengthRepeated
	case h.codings > 0:
		return ErrLengthAndCoding
	}
	h.lengths++
	h.length, h.lengthText = int64(n), value
	return nil
}

func (h *head) transferEncoding(value []byte) error {
	switch {
	case h.http10:
		return ErrCodingHTTP10
	case h.codings > 0:
		return ErrCodingRepeated
	case !equalFold(value, "chunked"): // names of codings have no case (RFC 9112 section 7)
		return ErrCoding
	case h.lengths > 0:
		return ErrLengthAndCoding
	}
	h.codings++
	return nil
}

// connection takes in the options of a Connection field (RFC 9110 section 7.6.1). Names of fields among them are for whoever forwards the message.
func (h *head) connection(value []byte) error {
	for i := 0; i <= len(value); {
		end := i
		for end < len(value) && value[end] != ',' {
			end++
		}
		option := trim(value[i:end])
		i = end + 1
		switch {
		case equalFold(option, "close"):
			h.close = true
		case equalFold(option, "keep-alive"):
			h.keepAlive = true
		case equalFold(option, "upgrade"):
			h.upgradeOption = true
		case len(option) > 0 && !isToken(option): // empty elements are allowed (RFC 9110 section 5.6.1)
			return ErrConnection
		}
	}
	return nil
}

// announced judges a Trailer field (RFC 9110 section 6.6.2). Some recipients refuse announcements of fields that frame, and nobody needs them.
func announced(value []byte) error {
	for name := range bytes.SplitSeq(value, []byte(",")) {
		name = trim(name)
		if equalFold(name, "content-length") || equalFold(name, "transfer-encoding") || equalFold(name, "trailer") {
			return ErrTrailer
		}
	}
	return nil
}

// switching is the protocol of the one Upgrade field that Connection names; empty without. HTTP/1.0 knows none (RFC 9110 section 7.8).
func (h *head) switching() string {
	if h.upgradeOption && h.upgrades == 1 && !h.http10 {
		return h.upgrade
	}
	return ""
}
