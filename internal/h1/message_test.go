package h1_test

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

// message is what a reader made of the bytes of a connection up to the end of the first message: everything in copies.
type message struct {
	Method, URI, Target, Scheme, Host string
	Proto, Status                     int
	Header                            gate.Header
	Framing                           h1.Framing
	Length                            int64
	Close, Expect                     bool
	Upgrade                           string
	Body, Rest                        string
	Trailer                           gate.Header
	Err                               error // of the head or of the body
}

// readRequest reads a request whose bytes arrive in the given pieces. If move is set, each piece finds the bytes before it in a new place.
func readRequest(limits h1.Limits, move bool, pieces ...[]byte) message {
	var r h1.Request
	var buf []byte
	room := 0
	for _, p := range pieces {
		room += len(p)
	}
	buf = make([]byte, 0, room)
	n, err := 0, error(h1.ErrIncomplete)
	for i, p := range pieces {
		if move {
			old := buf
			buf = append(make([]byte, 0, room), old...)
			for k := range old {
				old[k] = '#' // whoever still looks there is found out
			}
		}
		buf = append(buf, p...)
		if err == nil {
			continue
		}
		if i == 0 {
			n, err = h1.ParseRequest(buf, &r, limits)
		} else {
			n, err = r.Resume(buf, limits)
		}
		if err != nil && !errors.Is(err, h1.ErrIncomplete) {
			return message{Err: err}
		}
		if err == nil && move {
			// The strings are valid for as long as the buffer is left alone.
			rest := slices.Concat(pieces[i+1:]...)
			buf = append(append(make([]byte, 0, room), buf...), rest...)
			break
		}
	}
	if err != nil {
		return message{Err: err}
	}
	m := message{
		Method: strings.Clone(r.Method), URI: strings.Clone(r.URI), Target: strings.Clone(r.Target), Scheme: strings.Clone(r.Scheme), Host: strings.Clone(r.Host), Proto: r.Proto,
		Header: cloned(r.Header), Framing: r.Framing, Length: r.Length, Close: r.Close, Expect: r.Expect, Upgrade: strings.Clone(r.Upgrade),
	}
	m.body(r.Framing, r.Length, limits, split(buf[n:], pieces))
	return m
}

// readResponse is readRequest for a response to method.
func readResponse(method string, limits h1.Limits, pieces ...[]byte) message {
	var r h1.Response
	buf := make([]byte, 0, 1<<16)
	n, err := 0, error(h1.ErrIncomplete)
	for i, p := range pieces {
		buf = append(buf, p...)
		if err == nil {
			continue
		}
		if i == 0 {
			n, err = h1.ParseResponse(buf, &r, method, limits)
		} else {
			n, err = r.Resume(buf, method, limits)
		}
		if err != nil && !errors.Is(err, h1.ErrIncomplete) {
			return message{Err: err}
		}
	}
	if err != nil {
		return message{Err: err}
	}
	m := message{
		Proto: r.Proto, Status: r.Status, Header: cloned(r.Header), Framing: r.Framing, Length: r.Length, Close: r.Close, Upgrade: strings.Clone(r.Upgrade),
	}
	m.body(r.Framing, r.Length, limits, split(buf[n:], pieces))
	return m
}

// split cuts what follows a head so that its pieces end where those of the connection did.
func split(rest []byte, pieces [][]byte) [][]byte {
	var out [][]byte
	for i := len(pieces) - 1; i > 0 && len(rest) > 0; i-- {
		cut := max(0, len(rest)-len(pieces[i]))
		out = append(out, rest[cut:])
		rest = rest[:cut]
	}
	out = append(out, rest)
	slices.Reverse(out)
	return out
}

// body reads the body from pieces and puts what is left into m.Rest.
func (m *message) body(framing h1.Framing, length int64, limits h1.Limits, pieces [][]byte) {
	var body h1.Body
	body.Reset(framing, length, limits)
	var data []byte
	done := body.Done()
	for _, p := range pieces {
		for len(p) > 0 && !done {
			d, n, err := body.Next(p)
			data = append(data, d...)
			p = p[n:]
			if err != nil && !errors.Is(err, io.EOF) {
				*m = message{Err: err}
				return
			}
			done = err != nil
		}
		m.Rest += string(p)
	}
	if err := body.Close(); err != nil {
		*m = message{Err: err}
		return
	}
	m.Body, m.Trailer = string(data), cloned(body.Trailer())
}

func cloned(h gate.Header) gate.Header {
	var out gate.Header
	for _, f := range h {
		out.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	return out
}

// cuts yields ways in which raw can arrive: in two pieces, cut at every byte, and byte by byte.
func cuts(raw []byte) func(yield func(pieces [][]byte) bool) {
	return func(yield func([][]byte) bool) {
		for i := 1; i < len(raw); i++ {
			if !yield([][]byte{raw[:i], raw[i:]}) {
				return
			}
		}
		yield(slices.Collect(slices.Chunk(raw, 1)))
	}
}

// fields makes a header of names and values.
func fields(text ...string) gate.Header {
	var h gate.Header
	for pair := range slices.Chunk(text, 2) {
		h.Add(pair[0], pair[1])
	}
	return h
}
