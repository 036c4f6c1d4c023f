package h1_test

import (
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

// call is the head of a typical API call with a token of 748 bytes.
var call = []byte("GET /api/v1/tickets/4711?expand=comments HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
	"Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nAuthorization: Bearer " + strings.Repeat("eyJhbGciOiJSUzI1", 46) + "abcd.efgh.ij" +
	"\r\nConnection: keep-alive\r\nX-Request-Id: 0c5b1f9e-6f3e-4b7a-9a9d-0d8c7a6b5e4f\r\n\r\n")

var answer = []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 15:20:46 GMT\r\nContent-Type: application/json\r\nContent-Length: 311\r\nConnection: keep-alive\r\nX-Up: 1\r\n\r\n")

func BenchmarkParseRequest(b *testing.B) {
	var r h1.Request
	b.ReportAllocs()
	b.SetBytes(int64(len(call)))
	for b.Loop() {
		if _, err := h1.ParseRequest(call, &r, h1.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	var r h1.Response
	b.ReportAllocs()
	b.SetBytes(int64(len(answer)))
	for b.Loop() {
		if _, err := h1.ParseResponse(answer, &r, "GET", h1.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRequestHead(b *testing.B) {
	var r h1.Request
	if _, err := h1.ParseRequest(call, &r, h1.Limits{}); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h1.AppendRequestHead(dst, r.Method, r.Target, r.Host, r.Header, h1.Frame{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendResponseHead(b *testing.B) {
	var r h1.Response
	if _, err := h1.ParseResponse(answer, &r, "GET", h1.Limits{}); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h1.AppendResponseHead(dst, r.Status, r.Header, h1.Frame{Framing: h1.Sized, Length: 311}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChunkedBody(b *testing.B) {
	message := append(h1.AppendChunkSize(nil, 16<<10), make([]byte, 16<<10)...)
	message = append(message, '\r', '\n')
	message, err := h1.AppendChunkEnd(message, gate.Header{})
	if err != nil {
		b.Fatal(err)
	}
	var body h1.Body
	b.ReportAllocs()
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		body.Reset(h1.Chunked, -1, h1.Limits{})
		for rest := message; !body.Done(); {
			_, n, _ := body.Next(rest)
			rest = rest[n:]
		}
	}
}
