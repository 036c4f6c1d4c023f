package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// marker is the header field that only the upstream sends, in every answer.
const marker = "X-Up"

// head is what is looked at in the head of an answer.
type head struct {
	size   int // bytes, with the empty line
	status int
	length int // bytes of the body
	marked bool
}

var (
	headEnd      = []byte("\r\n\r\n")
	lengthField  = []byte("Content-Length")
	markerField  = []byte(marker)
	codingField  = []byte("Transfer-Encoding")
	statusPrefix = []byte("HTTP/1.1 ")
)

// parseHead reads the head of an answer. It is incomplete, with size 0 and no error, while its end is not there yet. Only answers with a Content-Length are
// understood: all that this harness asks for have one.
func parseHead(b []byte) (head, error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return head{}, nil
	}
	h := head{size: end + len(headEnd), length: -1}
	if end < len(statusPrefix)+3 || !bytes.HasPrefix(b, statusPrefix) {
		return head{}, errors.New("not an HTTP/1.1 answer")
	}
	for _, digit := range b[len(statusPrefix) : len(statusPrefix)+3] {
		if digit < '0' || digit > '9' {
			return head{}, errors.New("the status is not a number")
		}
		h.status = h.status*10 + int(digit-'0')
	}
	rest := b[:end+2]
	for {
		line := bytes.IndexByte(rest, '\n')
		rest = rest[line+1:]
		if len(rest) == 0 {
			break
		}
		colon := bytes.IndexByte(rest, ':')
		if colon < 0 {
			return head{}, errors.New("a header line without a colon")
		}
		name := rest[:colon]
		switch {
		case bytes.EqualFold(name, lengthField):
			stop := bytes.IndexByte(rest, '\r')
			n, err := strconv.Atoi(string(bytes.TrimSpace(rest[colon+1 : max(stop, colon+1)])))
			if err != nil || n < 0 {
				return head{}, errors.New("the Content-Length is not a number")
			}
			h.length = n
		case bytes.EqualFold(name, markerField):
			h.marked = true
		case bytes.EqualFold(name, codingField):
			return head{}, errors.New("the answer is chunked")
		}
	}
	if h.length < 0 {
		return head{}, errors.New("the answer has no Content-Length")
	}
	return h, nil
}

// check is the honesty check of one answer: it came from the upstream, and all of it.
func (h head) check(body int) error {
	switch {
	case h.status != 200:
		return fmt.Errorf("the status is %d, not 200", h.status)
	case !h.marked:
		return errors.New("the upstream's marker is missing")
	case h.length != body:
		return fmt.Errorf("the body has %d bytes, not %d", h.length, body)
	}
	return nil
}

// traffic says what requests look like; the n-th one is made of the n-th path and the n-th token, in turn.
type traffic struct {
	host   string
	paths  []string
	tokens []string // empty: none
	body   int      // bytes of each answer's body
}

// request appends the n-th request to b.
func (t *traffic) request(b []byte, n int) []byte {
	b = append(b, "GET "...)
	b = append(b, t.paths[n%len(t.paths)]...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, t.host...)
	b = append(b, "\r\nUser-Agent: bench\r\nAccept: application/json\r\n"...)
	if len(t.tokens) > 0 {
		b = append(b, "Authorization: Bearer "...)
		b = append(b, t.tokens[n%len(t.tokens)]...)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}
