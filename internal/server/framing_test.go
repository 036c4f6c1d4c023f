package server

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// messages are valid; net/http must find the same ends in them.
var messages = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\nabc\nd",
	"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nab\r\n\n\r\n0a;x=\"y\"\r\n0123456789\r\n0\r\nX: 1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n000\r\n\r\n",
}

func TestFramingLetsValidMessagesPass(t *testing.T) {
	all := strings.Join(messages, "") + strings.Join(messages, "")
	for size := 1; size <= len(all); size++ { // however the bytes are cut
		var f framing
		for rest := []byte(all); len(rest) > 0; {
			part := rest[:min(size, len(rest))]
			if n := f.check(part); n != len(part) {
				t.Fatalf("parts of %d: stopped before %q", size, rest[n:])
			}
			rest = rest[len(part):]
		}
		if f.state != requestLine || f.released.Load() {
			t.Fatalf("parts of %d: state %d", size, f.state)
		}
	}
}

func TestFramingStopsBeforeTheMessageAtFault(t *testing.T) {
	const good = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
	const bad = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
	var f framing
	if n := f.check([]byte(good + good + bad)); n != 2*len(good) || f.err == nil {
		t.Errorf("%d, %v", n, f.err)
	}
}

func TestFramingLetsGo(t *testing.T) {
	for message, want := range map[string]bool{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\n":                             true,
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n\n":                      true,
		"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\na": false, // a request with a body is not upgraded
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                      false,
	} {
		var f framing
		if n := f.check([]byte(message)); n != len(message) || f.released.Load() != want {
			t.Errorf("%q: %d, released %v", message, n, f.released.Load())
		}
	}
}

// Whatever passes, net/http must see as the same number of messages, ending at the same place.
func FuzzFraming(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte(m), 7)
		f.Add([]byte(m+m), 1)
	}
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, input []byte, cut int) {
		var whole, parts framing
		n := whole.check(input)
		if n < len(input) && whole.err == nil || n > len(input) {
			t.Fatalf("%d of %d, %v", n, len(input), whole.err)
		}
		cut = max(0, min(cut, len(input)))
		if parts.check(input[:cut]); parts.err == nil {
			parts.check(input[cut:])
		}
		if (whole.err == nil) != (parts.err == nil) || whole.err == nil && (whole.state != parts.state || whole.left != parts.left) {
			t.Fatalf("whole: %v in state %d, cut at %d: %v in state %d", whole.err, whole.state, cut, parts.err, parts.state)
		}
		if n < len(input) || whole.released.Load() || whole.state != requestLine || len(whole.line) > 0 {
			return
		}
		br := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(input, "\r\n")))
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return // refused there
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Fatalf("a body of a message that passed: %v", err)
			}
			for b, err := br.Peek(2); err == nil && string(b) == "\r\n"; b, err = br.Peek(2) {
				_, _ = br.Discard(2)
			}
			if _, err := br.Peek(1); err != nil {
				return
			}
		}
	})
}
