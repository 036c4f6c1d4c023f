package h1_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/h1"
)

const ok = "HTTP/1.1 200 OK\r\n"

func TestParseResponse(t *testing.T) {
	for name, c := range map[string]struct {
		method, raw string
		want        message
	}{
		"with a length": {"GET", ok + "Content-Length: 2\r\nX: y\r\n\r\nabHTTP", message{
			Status: 200, Header: fields("Content-Length", "2", "X", "y"), Framing: h1.Sized, Length: 2, Body: "ab", Rest: "HTTP",
		}},
		"the same length twice": {"GET", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", message{
			Status: 200, Header: fields("Content-Length", "2", "Content-Length", "2"), Framing: h1.Sized, Length: 2, Body: "ab",
		}},
		"chunked": {"GET", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\nHTTP", message{
			Status: 200, Header: fields("Transfer-Encoding", "chunked"), Framing: h1.Chunked, Length: -1, Body: "ab", Trailer: fields("X", "y"), Rest: "HTTP",
		}},
		"until close":                {"GET", ok + "\r\nab", message{Status: 200, Framing: h1.UntilClose, Length: -1, Close: true, Body: "ab"}},
		"no phrase":                  {"GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", message{Status: 200, Header: fields("Content-Length", "0"), Framing: h1.Sized}},
		"no phrase and no space":     {"GET", "HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n", message{Status: 299, Header: fields("Content-Length", "0"), Framing: h1.Sized}},
		"phrase beyond ASCII":        {"GET", "HTTP/1.1 999 \xe4\t!\r\nContent-Length: 0\r\n\r\n", message{Status: 999, Header: fields("Content-Length", "0"), Framing: h1.Sized}},
		"HEAD":                       {"HEAD", ok + "Content-Length: 2\r\n\r\nHTTP", message{Status: 200, Header: fields("Content-Length", "2"), Length: 2, Rest: "HTTP"}},
		"HEAD, chunked":              {"HEAD", ok + "Transfer-Encoding: chunked\r\n\r\nHTTP", message{Status: 200, Header: fields("Transfer-Encoding", "chunked"), Length: -1, Rest: "HTTP"}},
		"HEAD, no length":            {"HEAD", ok + "\r\nHTTP", message{Status: 200, Length: -1, Rest: "HTTP"}},
		"204":                        {"GET", "HTTP/1.1 204 No Content\r\n\r\nHTTP", message{Status: 204, Length: -1, Rest: "HTTP"}},
		"204 with length 0":          {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\nHTTP", message{Status: 204, Header: fields("Content-Length", "0"), Rest: "HTTP"}},
		"204 with a length":          {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nHTTP", message{Status: 204, Header: fields("Content-Length", "4"), Length: 4, Close: true, Rest: "HTTP"}},
		"304 with a length":          {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nHTTP", message{Status: 304, Header: fields("Content-Length", "4"), Length: 4, Rest: "HTTP"}},
		"100":                        {"POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP", message{Status: 100, Length: -1, Rest: "HTTP"}},
		"103, chunked":               {"GET", "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\nHTTP", message{Status: 103, Header: fields("Transfer-Encoding", "chunked"), Length: -1, Close: true, Rest: "HTTP"}},
		"101":                        {"GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81", message{Status: 101, Header: fields("Connection", "upgrade", "Upgrade", "websocket"), Length: -1, Upgrade: "websocket", Rest: "\x81"}},
		"101 without Upgrade":        {"GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n", message{Status: 101, Header: fields("Connection", "upgrade"), Length: -1}},
		"close":                      {"GET", ok + "Connection: close\r\nContent-Length: 0\r\n\r\n", message{Status: 200, Header: fields("Connection", "close", "Content-Length", "0"), Framing: h1.Sized, Close: true}},
		"HTTP/1.0":                   {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", message{Proto: 10, Status: 200, Header: fields("Content-Length", "0"), Framing: h1.Sized, Close: true}},
		"HTTP/1.0 that stays":        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", message{Proto: 10, Status: 200, Header: fields("Content-Length", "0", "Connection", "Keep-Alive"), Framing: h1.Sized}},
		"fields of requests":         {"GET", ok + "Host: (\r\nExpect: x\r\nContent-Length: 0\r\n\r\n", message{Status: 200, Header: fields("Host", "(", "Expect", "x", "Content-Length", "0"), Framing: h1.Sized}},
		"an upgrade that is offered": {"GET", ok + "Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n", message{Status: 200, Header: fields("Upgrade", "h2c", "Connection", "upgrade", "Content-Length", "0"), Framing: h1.Sized}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want.Proto == 0 {
				c.want.Proto = 11
			}
			whole := readResponse(c.method, h1.Limits{}, []byte(c.raw))
			if diff := cmp.Diff(c.want, whole, sameError); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseResponseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want h1.Error
	}{
		"nothing":                 {"", h1.ErrIncomplete},
		"half a line":             {"HTTP/1.1 200", h1.ErrIncomplete},
		"an empty line before":    {"\r\n" + ok + "\r\n", h1.ErrStatusLine},
		"HTTP/0.9":                {"<html>", h1.ErrStatusLine},
		"ICY":                     {"ICY 200 OK\r\n\r\n", h1.ErrStatusLine},
		"HTTP/2":                  {"HTTP/2 200\r\n\r\n", h1.ErrStatusLine},
		"HTTP/1.2":                {"HTTP/1.2 200 OK\r\n\r\n", h1.ErrVersion},
		"two spaces":              {"HTTP/1.1  200 OK\r\n\r\n", h1.ErrStatusLine},
		"two digits":              {"HTTP/1.1 20 OK\r\n\r\n", h1.ErrStatusLine},
		"four digits":             {"HTTP/1.1 2000 OK\r\n\r\n", h1.ErrStatusLine},
		"status 099":              {"HTTP/1.1 099 OK\r\n\r\n", h1.ErrStatusLine},
		"status +20":              {"HTTP/1.1 +20 OK\r\n\r\n", h1.ErrStatusLine},
		"NUL in the phrase":       {"HTTP/1.1 200 O\x00K\r\n\r\n", h1.ErrControl},
		"bare CR in the phrase":   {"HTTP/1.1 200 O\rK\r\n\r\n", h1.ErrBareCR},
		"bare LF after the line":  {"HTTP/1.1 200 OK\n\r\n", h1.ErrBareLF},
		"bare LF after the code":  {"HTTP/1.1 200\n\r\n", h1.ErrBareLF},
		"space before a colon":    {ok + "X : y\r\n\r\n", h1.ErrSpaceBeforeColon},
		"obs-fold":                {ok + "X: y\r\n z\r\n\r\n", h1.ErrFold},
		"bare LF in a field":      {ok + "X: y\nZ: a\r\n\r\n", h1.ErrBareLF},
		"bare CR in a field":      {ok + "X: y\rZ: a\r\n\r\n", h1.ErrBareCR},
		"NUL in a field":          {ok + "X: \x00\r\n\r\n", h1.ErrControl},
		"length and coding":       {ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", h1.ErrLengthAndCoding},
		"lengths that differ":     {ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", h1.ErrLengthRepeated},
		"lengths spelled apart":   {ok + "Content-Length: 2\r\nContent-Length: 02\r\n\r\nab", h1.ErrLengthRepeated},
		"list of lengths":         {ok + "Content-Length: 2, 2\r\n\r\nab", h1.ErrLength},
		"negative length":         {ok + "Content-Length: -2\r\n\r\nab", h1.ErrLength},
		"coding gzip":             {ok + "Transfer-Encoding: gzip\r\n\r\nab", h1.ErrCoding},
		"coding twice":            {ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", h1.ErrCodingRepeated},
		"coding in HTTP/1.0":      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", h1.ErrCodingHTTP10},
		"Connection not a list":   {ok + "Connection: a b\r\n\r\n", h1.ErrConnection},
		"too large":               {ok + "X: " + strings.Repeat("a", h1.DefaultHead), h1.ErrHeadTooLarge},
		"too many fields":         {ok + strings.Repeat("X: a\r\n", h1.DefaultFields+1) + "\r\n", h1.ErrTooManyFields},
		"truncated":               {ok + "Content-Length: 3\r\n\r\nab", h1.ErrTruncated},
		"truncated in a chunk":    {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nab", h1.ErrTruncated},
		"no last chunk":           {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", h1.ErrTruncated},
		"204 with length and TE":  {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", h1.ErrLengthAndCoding},
		"a chunk size with space": {ok + "Transfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n", h1.ErrChunkSize},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readResponse("GET", h1.Limits{}, []byte(c.raw)); !errors.Is(got.Err, c.want) {
				t.Errorf("%v, want %v", got.Err, c.want)
			}
		})
	}
}

func TestResponseMemory(t *testing.T) {
	raw := ok + "X: y\r\nContent-Length: 0\r\n\r\n"
	var r h1.Response
	if _, err := h1.ParseResponse([]byte(raw[:30]), &r, "GET", h1.Limits{}); !errors.Is(err, h1.ErrIncomplete) {
		t.Fatal(err)
	}
	// In another place.
	if n, err := r.Resume([]byte(raw), "GET", h1.Limits{}); n != len(raw) || err != nil || r.Header.Get("X") != "y" || len(r.Header) != 2 {
		t.Fatalf("%d, %v, %+v", n, err, r)
	}
	r.Reset()
	if r.Status != 0 || len(r.Header) != 0 || cap(r.Header) == 0 || r.Header[:1][0].Name != "" {
		t.Errorf("after Reset: %+v", r)
	}
}
