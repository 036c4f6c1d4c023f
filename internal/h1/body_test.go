package h1_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

const chunkedPost = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestChunked(t *testing.T) {
	for name, c := range map[string]struct {
		body    string
		want    string
		trailer gate.Header
		err     error
	}{
		"empty":                        {"0\r\n\r\n", "", nil, nil},
		"RFC 9112 section 7.1.3":       {"4\r\nWiki\r\n7\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n", "Wikipedia in \r\nchunks.", nil, nil},
		"hexadecimal in both cases":    {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", nil, nil},
		"leading zeros":                {"000000000000001\r\nx\r\n000000000000000\r\n\r\n", "x", nil, nil},
		"extensions":                   {"1;a;b=c;d=\"e;f\"\r\nx\r\n0;last\r\n\r\n", "x", nil, nil},
		"CRLF as data":                 {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", nil, nil},
		"trailers":                     {"0\r\nX-A: 1\r\nx-b:2\t\r\n\r\n", "", fields("X-A", "1", "x-b", "2"), nil},
		"barred trailers":              {"0\r\nHost: b\r\nX: 1\r\nTransfer-Encoding: x\r\nContent-Length: 5\r\nAuthorization: x\r\nConnection: (\r\nExpect: x\r\n\r\n", "", fields("X", "1"), nil},
		"no size":                      {"\r\nx", "", nil, h1.ErrChunkSize},
		"extension without a size":     {";a\r\n", "", nil, h1.ErrChunkSize},
		"sign":                         {"+1\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"minus":                        {"-1\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"0x":                           {"0x1\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"underscore":                   {"1_0\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"space before the size":        {" 1\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"space after the size":         {"1 \r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"space before an extension":    {"1 ;a\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"tab after the size":           {"1\t\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"sixteen digits":               {"0000000000000001\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"2^64+1":                       {"10000000000000001\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkSize},
		"bare LF after the size":       {"1\nx\r\n0\r\n\r\n", "", nil, h1.ErrBareLF},
		"bare CR after the size":       {"1\rx\r\n0\r\n\r\n", "", nil, h1.ErrBareCR},
		"two CR after the size":        {"1\r\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrBareCR},
		"LF in an extension":           {"1;a\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkExtension},
		"LF in a quoted extension":     {"1;a=\"\n\"\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkExtension},
		"CR in an extension":           {"1;a\rb\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrBareCR},
		"NUL in an extension":          {"1;a\x00\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkExtension},
		"long extension":               {"1;" + strings.Repeat("a", h1.DefaultChunkExtension) + "\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkExtension},
		"longest extension":            {"1;" + strings.Repeat("a", h1.DefaultChunkExtension-1) + "\r\nx\r\n0\r\n\r\n", "x", nil, nil},
		"more extensions than data":    {strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 100) + "0\r\n\r\n", "", nil, h1.ErrChunkExtension},
		"data too short":               {"2\r\nx\r\n0\r\n\r\n", "", nil, h1.ErrChunkEnd},
		"data too long":                {"1\r\nxy\r\n0\r\n\r\n", "", nil, h1.ErrChunkEnd},
		"bare LF after data":           {"1\r\nx\n0\r\n\r\n", "", nil, h1.ErrChunkEnd},
		"bare CR after data":           {"1\r\nx\r0\r\n\r\n", "", nil, h1.ErrChunkEnd},
		"nothing after data":           {"1\r\nx0\r\n\r\n", "", nil, h1.ErrChunkEnd},
		"bare LF after the last chunk": {"0\r\n\n", "", nil, h1.ErrBareLF},
		"bare LF after a trailer":      {"0\r\nX: 1\n\r\n", "", nil, h1.ErrBareLF},
		"bare CR in a trailer":         {"0\r\nX: 1\r2\r\n\r\n", "", nil, h1.ErrBareCR},
		"NUL in a trailer":             {"0\r\nX: \x00\r\n\r\n", "", nil, h1.ErrControl},
		"folded trailer":               {"0\r\nX: 1\r\n 2\r\n\r\n", "", nil, h1.ErrFold},
		"trailer without a colon":      {"0\r\nX\r\n\r\n", "", nil, h1.ErrFieldName},
		"space before a colon":         {"0\r\nX : 1\r\n\r\n", "", nil, h1.ErrSpaceBeforeColon},
		"large trailers":               {"0\r\nX: " + strings.Repeat("a", h1.DefaultTrailer) + "\r\n\r\n", "", nil, h1.ErrTrailerTooLarge},
		"many trailers":                {"0\r\n" + strings.Repeat("X: 1\r\n", h1.DefaultFields+1) + "\r\n", "", nil, h1.ErrTooManyFields},
		"no end":                       {"1\r\nx\r\n", "", nil, h1.ErrTruncated},
		"no data":                      {"5\r\nx", "", nil, h1.ErrTruncated},
		"no last line":                 {"0\r\n", "", nil, h1.ErrTruncated},
		"trailers without an end":      {"0\r\nX: 1\r\n", "", nil, h1.ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(chunkedPost + c.body)
			whole := readRequest(h1.Limits{}, false, raw)
			if whole.Body != c.want || !errors.Is(whole.Err, c.err) {
				t.Errorf("%q, %v", whole.Body, whole.Err)
			}
			if diff := cmp.Diff(c.trailer, whole.Trailer); diff != "" {
				t.Errorf("trailer (-want +got):\n%s", diff)
			}
			if len(raw) > 1000 {
				return
			}
			for pieces := range cuts(raw) {
				if diff := cmp.Diff(whole, readRequest(h1.Limits{}, false, pieces...), sameError); diff != "" {
					t.Fatalf("in pieces of which the first has %d bytes (-whole +pieces):\n%s", len(pieces[0]), diff)
				}
			}
		})
	}
}

var sameError = cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })

// A body that failed stays failed.
func TestBodyErrorStays(t *testing.T) {
	var b h1.Body
	b.Reset(h1.Chunked, -1, h1.Limits{})
	for range 3 {
		if data, _, err := b.Next([]byte("x\r\n")); len(data) > 0 || !errors.Is(err, h1.ErrChunkSize) {
			t.Fatalf("%q, %v", data, err)
		}
	}
	if _, _, err := b.Next(nil); !errors.Is(err, h1.ErrChunkSize) {
		t.Fatal(err)
	}
	if b.Done() || !errors.Is(b.Close(), h1.ErrTruncated) || b.Trailer() != nil {
		t.Error("a failed body is complete")
	}
}

func TestBodyFramings(t *testing.T) {
	var b h1.Body
	if data, n, err := b.Next([]byte("abc")); len(data) != 0 || n != 0 || !errors.Is(err, io.EOF) || !b.Done() || b.Close() != nil {
		t.Errorf("the zero body: %q, %d, %v", data, n, err)
	}
	b.Reset(h1.Sized, 5, h1.Limits{})
	if data, n, err := b.Next([]byte("abc")); string(data) != "abc" || n != 3 || err != nil || b.Done() || b.Left() != 2 || !errors.Is(b.Close(), h1.ErrTruncated) {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	if data, n, err := b.Next([]byte("defg")); string(data) != "de" || n != 2 || !errors.Is(err, io.EOF) || !b.Done() || b.Close() != nil {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	b.Reset(h1.Sized, 0, h1.Limits{})
	if !b.Done() {
		t.Error("a body of 0 bytes goes on")
	}
	b.Reset(h1.UntilClose, -1, h1.Limits{})
	if data, n, err := b.Next([]byte("abc")); string(data) != "abc" || n != 3 || err != nil || b.Done() || b.Close() != nil {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	b.Reset(h1.Chunked, -1, h1.Limits{})
	if data, n, err := b.Next([]byte("3\r\nab")); string(data) != "ab" || n != 5 || err != nil || b.Left() != 1 {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	// The end of a chunked body is seen with its last byte, and what follows is left alone.
	if data, n, err := b.Next([]byte("c\r\n0\r\n\r\nGET")); string(data) != "c" || n != 1 || err != nil {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	if data, n, err := b.Next([]byte("\r\n0\r\n\r\nGET")); len(data) != 0 || n != 7 || !errors.Is(err, io.EOF) || !b.Done() || b.Close() != nil {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	if data, n, err := b.Next([]byte("GET")); len(data) != 0 || n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %q, %d, %v", data, n, err)
	}
}

// What the chunk functions write, Body reads, whatever the sizes of chunks and buffers.
func TestChunksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire, want []byte
		for _, data := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 40), 0, 8).Draw(t, "chunks") {
			want = append(want, data...)
			wire = h1.AppendChunkSize(wire, len(data))
			wire = append(append(wire, data...), '\r', '\n')
		}
		wire, err := h1.AppendChunkEnd(wire, fields("X-A", "1", "Host", "b"))
		if err != nil {
			t.Fatal(err)
		}
		wire = append(wire, "rest"...)
		var b h1.Body
		b.Reset(h1.Chunked, -1, h1.Limits{})
		var got []byte
		size := rapid.IntRange(1, 50).Draw(t, "buffer")
		for piece := range slices.Chunk(wire, size) {
			for len(piece) > 0 {
				data, n, err := b.Next(piece)
				got, wire, piece = append(got, data...), wire[n:], piece[n:]
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if !b.Done() || !bytes.Equal(got, want) || string(wire) != "rest" {
			t.Fatalf("%q, want %q; left %q", got, want, wire)
		}
		if diff := cmp.Diff(fields("X-A", "1"), b.Trailer()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAppendChunkEndRefuses(t *testing.T) {
	for _, f := range []gate.Field{{Name: "X", Value: "a\r\nb"}, {Name: "X", Value: "\x00"}, {Name: "X Y", Value: "a"}, {Name: "", Value: "a"}, {Name: "X:", Value: "a"}} {
		if got, err := h1.AppendChunkEnd([]byte("data"), gate.Header{f}); !errors.Is(err, h1.ErrUnsendable) || string(got) != "data" {
			t.Errorf("%q: %q, %v", f, got, err)
		}
	}
}

// A body's memory does not grow with what a peer sends in a trailer section, and is let go of if it was large.
func TestLargeTrailerIsNotKept(t *testing.T) {
	var b h1.Body
	limits := h1.Limits{Trailer: 1 << 20}
	for range 3 {
		b.Reset(h1.Chunked, -1, limits)
		value := make([]byte, 512<<10)
		for i := range value {
			value[i] = byte('a' + rand.IntN(26))
		}
		wire := slices.Concat([]byte("0\r\nX: "), value, []byte("\r\n\r\n"))
		if _, n, err := b.Next(wire); n != len(wire) || !errors.Is(err, io.EOF) || b.Trailer().Get("X") != string(value) {
			t.Fatal(n, err)
		}
	}
}
