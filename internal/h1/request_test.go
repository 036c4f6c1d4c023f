package h1_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

const (
	get  = "GET / HTTP/1.1\r\n"
	host = "Host: a\r\n"
	post = "POST / HTTP/1.1\r\nHost: a\r\n"
)

func TestParseRequest(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want message
	}{
		"RFC 9112 section 2.1": {
			"GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n",
			message{Method: "GET", URI: "/hello.txt", Target: "/hello.txt", Host: "www.example.com", Header: fields("User-Agent", "curl/7.64.1", "Accept-Language", "en, mi")},
		},
		"RFC 9112 section 3.2.1": {
			"GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
			message{Method: "GET", URI: "/where?q=now", Target: "/where?q=now", Host: "www.example.org"},
		},
		"RFC 9112 section 3.2.2": {
			"GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
			message{Method: "GET", URI: "http://www.example.org/pub/WWW/TheProject.html", Target: "/pub/WWW/TheProject.html", Scheme: "http", Host: "www.example.org"},
		},
		"RFC 9112 section 3.2.4": {
			"OPTIONS * HTTP/1.1\r\nHost: www.example.org:8001\r\n\r\n",
			message{Method: "OPTIONS", URI: "*", Target: "*", Host: "www.example.org:8001"},
		},
		"RFC 9112 section 3.2.4, by a proxy": {
			"OPTIONS http://www.example.org:8001 HTTP/1.1\r\nHost: WWW.example.org:8001\r\n\r\n",
			message{Method: "OPTIONS", URI: "http://www.example.org:8001", Target: "*", Scheme: "http", Host: "WWW.example.org:8001"},
		},
		"absolute form without a path": {
			"GET HTTPS://a HTTP/1.1\r\n" + host + "\r\n",
			message{Method: "GET", URI: "HTTPS://a", Target: "/", Scheme: "HTTPS", Host: "a"},
		},
		"an empty line before": {
			"\r\n" + get + host + "\r\n",
			message{Method: "GET", URI: "/", Target: "/", Host: "a"},
		},
		"order and spelling are kept, white space is not": {
			get + "b:1\r\n" + host + "B: \t 2 \t\r\nA-b:  x  y\t\r\nEmpty:\r\nObs: \xe4\xff\r\nTab: a\tb\r\n\r\n",
			message{Method: "GET", URI: "/", Target: "/", Host: "a", Header: fields("b", "1", "B", "2", "A-b", "x  y", "Empty", "", "Obs", "\xe4\xff", "Tab", "a\tb")},
		},
		"with a length": {
			post + "Content-Length: 5\r\n\r\nhelloGET",
			message{Method: "POST", URI: "/", Target: "/", Host: "a", Header: fields("Content-Length", "5"), Framing: h1.Sized, Length: 5, Body: "hello", Rest: "GET"},
		},
		"with length 0": {
			post + "content-length: 000\r\n\r\nGET",
			message{Method: "POST", URI: "/", Target: "/", Host: "a", Header: fields("content-length", "000"), Framing: h1.Sized, Rest: "GET"},
		},
		"chunked": {
			post + "Transfer-Encoding: Chunked\r\nTrailer: X\r\n\r\n5;a=\"b\"\r\nhello\r\n00A\r\n, world!!!\r\n0\r\nX: y\r\nContent-Length: 7\r\n\r\nGET",
			message{
				Method: "POST", URI: "/", Target: "/", Host: "a", Header: fields("Transfer-Encoding", "Chunked", "Trailer", "X"), Framing: h1.Chunked, Length: -1,
				Body: "hello, world!!!", Trailer: fields("X", "y"), Rest: "GET",
			},
		},
		"close": {
			get + host + "Connection: x-a , Close,\r\n\r\n",
			message{Method: "GET", URI: "/", Target: "/", Host: "a", Header: fields("Connection", "x-a , Close,"), Close: true},
		},
		"upgrade": {
			get + host + "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
			message{Method: "GET", URI: "/", Target: "/", Host: "a", Header: fields("Connection", "keep-alive, Upgrade", "Upgrade", "websocket"), Upgrade: "websocket"},
		},
		"upgrade that Connection does not name": {
			get + host + "Upgrade: websocket\r\n\r\n",
			message{Method: "GET", URI: "/", Target: "/", Host: "a", Header: fields("Upgrade", "websocket")},
		},
		"two upgrades": {
			get + host + "Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n",
			message{Method: "GET", URI: "/", Target: "/", Host: "a", Header: fields("Connection", "Upgrade", "Upgrade", "a", "Upgrade", "b")},
		},
		"expect": {
			post + "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
			message{Method: "POST", URI: "/", Target: "/", Host: "a", Header: fields("Expect", "100-Continue", "Content-Length", "1"), Framing: h1.Sized, Length: 1, Expect: true, Body: "x"},
		},
		"a method of one's own": {
			"m-SEARCH! /%7e/%41?%zz HTTP/1.1\r\n" + host + "\r\n",
			message{Method: "m-SEARCH!", URI: "/%7e/%41?%zz", Target: "/%7e/%41?%zz", Host: "a"},
		},
		"pipelined": {
			get + host + "\r\n" + get + host + "\r\n",
			message{Method: "GET", URI: "/", Target: "/", Host: "a", Rest: get + host + "\r\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Proto = 11
			got := readRequest(h1.Limits{}, false, []byte(c.raw))
			if diff := cmp.Diff(c.want, got, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want h1.Error
	}{
		"nothing":                       {"", h1.ErrIncomplete},
		"half a line":                   {"GET / HT", h1.ErrIncomplete},
		"no empty line":                 {get + host, h1.ErrIncomplete},
		"half an empty line":            {get + host + "\r", h1.ErrIncomplete},
		"two empty lines before":        {"\r\n\r\n" + get + host + "\r\n", h1.ErrMethod},
		"bare LF before":                {"\n" + get + host + "\r\n", h1.ErrMethod},
		"bare CR before":                {"\r" + get + host + "\r\n", h1.ErrBareCR},
		"space before":                  {" " + get + host + "\r\n", h1.ErrMethod},
		"TLS":                           {"\x16\x03\x01\x02\x00\x01", h1.ErrMethod},
		"method not a token":            {"G(T / HTTP/1.1\r\n" + host + "\r\n", h1.ErrMethod},
		"method with a tab":             {"GET\t/ HTTP/1.1\r\n" + host + "\r\n", h1.ErrMethod},
		"no method":                     {" / HTTP/1.1\r\n" + host + "\r\n", h1.ErrMethod},
		"method alone":                  {"GET\r\n" + host + "\r\n", h1.ErrMethod},
		"two spaces after the method":   {"GET  / HTTP/1.1\r\n" + host + "\r\n", h1.ErrRequestLine},
		"two spaces after the target":   {"GET /  HTTP/1.1\r\n" + host + "\r\n", h1.ErrRequestLine},
		"space after the version":       {"GET / HTTP/1.1 \r\n" + host + "\r\n", h1.ErrRequestLine},
		"HTTP/0.9":                      {"GET /\r\n", h1.ErrRequestLine},
		"HTTP/0.9 with a space":         {"GET / \r\n", h1.ErrRequestLine},
		"no target":                     {"GET HTTP/1.1\r\n" + host + "\r\n", h1.ErrRequestLine},
		"lower-case version":            {"GET / http/1.1\r\n" + host + "\r\n", h1.ErrRequestLine},
		"version of two digits":         {"GET / HTTP/1.10\r\n" + host + "\r\n", h1.ErrRequestLine},
		"version of one number":         {"GET / HTTP/2\r\n" + host + "\r\n", h1.ErrRequestLine},
		"bare LF after the version":     {"GET / HTTP/1.1\n" + host + "\r\n", h1.ErrRequestLine},
		"bare CR after the version":     {"GET / HTTP/1.1\rX" + host + "\r\n", h1.ErrRequestLine},
		"HTTP/1.0":                      {"GET / HTTP/1.0\r\n" + host + "\r\n", h1.ErrVersion},
		"HTTP/1.2":                      {"GET / HTTP/1.2\r\n" + host + "\r\n", h1.ErrVersion},
		"HTTP/2 preface":                {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", h1.ErrVersion},
		"HTTP/2.0":                      {"GET / HTTP/2.0\r\n\r\n", h1.ErrVersion},
		"CONNECT":                       {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", h1.ErrTarget},
		"CONNECT with a path":           {"CONNECT / HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"authority form":                {"GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", h1.ErrTarget},
		"asterisk of GET":               {"GET * HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"asterisk and more":             {"OPTIONS *a HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"relative target":               {"GET a/b HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"fragment":                      {"GET /a#b HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"NUL in the target":             {"GET /\x00 HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"tab in the target":             {"GET /\t HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"beyond ASCII":                  {"GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"bad escape":                    {"GET /%zz HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"short escape":                  {"GET /%2 HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"another scheme":                {"GET ftp://a/ HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"absolute form with a user":     {"GET http://u@a/ HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"absolute form without a host":  {"GET http:///x HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"absolute form, query, no path": {"GET http://a?x HTTP/1.1\r\n" + host + "\r\n", h1.ErrTarget},
		"absolute form, other host":     {"GET http://b/ HTTP/1.1\r\n" + host + "\r\n", h1.ErrHostMismatch},
		"absolute form, other port":     {"GET http://a:80/ HTTP/1.1\r\n" + host + "\r\n", h1.ErrHostMismatch},
		"absolute form, no Host":        {"GET http://a/ HTTP/1.1\r\n\r\n", h1.ErrHostMissing},
		"no Host":                       {get + "\r\n", h1.ErrHostMissing},
		"two Hosts":                     {get + host + "host: b\r\n\r\n", h1.ErrHostRepeated},
		"Host twice":                    {get + host + host + "\r\n", h1.ErrHostRepeated},
		"empty Host":                    {get + "Host:\r\n\r\n", h1.ErrHost},
		"list of Hosts":                 {get + "Host: a,b\r\n\r\n", h1.ErrHost},
		"Host with a path":              {get + "Host: a/b\r\n\r\n", h1.ErrHost},
		"Host with a user":              {get + "Host: u@a\r\n\r\n", h1.ErrHost},
		"Host with a space":             {get + "Host: a b\r\n\r\n", h1.ErrHost},
		"space before the first field":  {get + " " + host + "\r\n", h1.ErrFold},
		"obs-fold":                      {get + host + "X: a\r\n b\r\n\r\n", h1.ErrFold},
		"obs-fold with a tab":           {get + host + "X: a\r\n\tb\r\n\r\n", h1.ErrFold},
		"space before the colon":        {get + host + "X : a\r\n\r\n", h1.ErrSpaceBeforeColon},
		"tab before the colon":          {get + host + "Content-Length\t: 5\r\n\r\nabcde", h1.ErrSpaceBeforeColon},
		"empty name":                    {get + host + ": a\r\n\r\n", h1.ErrFieldName},
		"no colon":                      {get + host + "X\r\n\r\n", h1.ErrFieldName},
		"name not a token":              {get + host + "X(y): a\r\n\r\n", h1.ErrFieldName},
		"name beyond ASCII":             {get + host + "\xc3\xa4: a\r\n\r\n", h1.ErrFieldName},
		"NUL in a name":                 {get + host + "X\x00: a\r\n\r\n", h1.ErrControl},
		"CR in a name":                  {get + host + "X\rY: a\r\n\r\n", h1.ErrBareCR},
		"LF in a name":                  {get + host + "X\nY: a\r\n\r\n", h1.ErrBareLF},
		"NUL in a value":                {get + host + "X: a\x00b\r\n\r\n", h1.ErrControl},
		"DEL in a value":                {get + host + "X: a\x7fb\r\n\r\n", h1.ErrControl},
		"vertical tab in a coding":      {post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", h1.ErrControl},
		"bare CR in a value":            {get + host + "X: a\rTransfer-Encoding: chunked\r\n\r\n", h1.ErrBareCR},
		"bare LF in a value":            {get + host + "X: a\nTransfer-Encoding: chunked\r\n\r\n", h1.ErrBareLF},
		"two CR":                        {get + host + "X: a\r\r\n\r\n", h1.ErrBareCR},
		"bare LF at the end":            {get + host + "\n", h1.ErrBareLF},
		"bare CR at the end":            {get + host + "\rX", h1.ErrBareCR},
		"length and coding":             {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", h1.ErrLengthAndCoding},
		"coding and length":             {post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", h1.ErrLengthAndCoding},
		"two lengths":                   {post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", h1.ErrLengthRepeated},
		"the same length twice":         {post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", h1.ErrLengthRepeated},
		"list of lengths":               {post + "Content-Length: 5, 5\r\n\r\nabcde", h1.ErrLength},
		"length with a plus":            {post + "Content-Length: +5\r\n\r\nabcde", h1.ErrLength},
		"negative length":               {post + "Content-Length: -5\r\n\r\nabcde", h1.ErrLength},
		"empty length":                  {post + "Content-Length:\r\n\r\nabcde", h1.ErrLength},
		"hexadecimal length":            {post + "Content-Length: 0x5\r\n\r\nabcde", h1.ErrLength},
		"length with a space":           {post + "Content-Length: 1 1\r\n\r\nabcde", h1.ErrLength},
		"length with a point":           {post + "Content-Length: 5.0\r\n\r\nabcde", h1.ErrLength},
		"length with an underscore":     {post + "Content-Length: 1_0\r\n\r\nabcde", h1.ErrLength},
		"length of 2^63":                {post + "Content-Length: 9223372036854775808\r\n\r\n", h1.ErrLength},
		"length of 2^64+5":              {post + "Content-Length: 18446744073709551621\r\n\r\nabcde", h1.ErrLength},
		"length of 2^63-1":              {post + "Content-Length: 9223372036854775807\r\n\r\n", h1.ErrTruncated},
		"coding gzip":                   {post + "Transfer-Encoding: gzip\r\n\r\n", h1.ErrCoding},
		"coding identity":               {post + "Transfer-Encoding: identity\r\n\r\n", h1.ErrCoding},
		"coding list":                   {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", h1.ErrCoding},
		"chunked twice in a list":       {post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", h1.ErrCoding},
		"chunked with a comma":          {post + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", h1.ErrCoding},
		"chunked with a parameter":      {post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", h1.ErrCoding},
		"chunked in quotes":             {post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", h1.ErrCoding},
		"xchunked":                      {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", h1.ErrCoding},
		"empty coding":                  {post + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", h1.ErrCoding},
		"chunked twice":                 {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", h1.ErrCodingRepeated},
		"another coding after chunked":  {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", h1.ErrCodingRepeated},
		"Connection not a list":         {get + host + "Connection: close;x\r\n\r\n", h1.ErrConnection},
		"trailer that frames":           {post + "Trailer: X, content-length\r\n\r\n", h1.ErrTrailer},
		"another expectation":           {get + host + "Expect: 200-ok\r\n\r\n", h1.ErrExpect},
		"too large":                     {get + host + "X: " + strings.Repeat("a", h1.DefaultHead) + "\r\n\r\n", h1.ErrHeadTooLarge},
		"too long a target":             {"GET /" + strings.Repeat("a", h1.DefaultHead), h1.ErrHeadTooLarge},
		"too many fields":               {get + host + strings.Repeat("X: a\r\n", h1.DefaultFields) + "\r\n", h1.ErrTooManyFields},
		"chunk size missing":            {post + "Transfer-Encoding: chunked\r\n\r\n\r\n", h1.ErrChunkSize},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readRequest(h1.Limits{}, false, []byte(c.raw)); !errors.Is(got.Err, c.want) {
				t.Errorf("%v, want %v", got.Err, c.want)
			}
		})
	}
}

func TestHTTP10(t *testing.T) {
	limits := h1.Limits{HTTP10: true}
	got := readRequest(limits, false, []byte("GET / HTTP/1.0\r\n"+host+"Connection: keep-alive, upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n\r\n"))
	if got.Err != nil || got.Proto != 10 || !got.Close || got.Upgrade != "" || got.Expect {
		t.Errorf("%+v", got)
	}
	for raw, want := range map[string]h1.Error{
		"POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": h1.ErrCodingHTTP10,
		"GET / HTTP/1.0\r\n\r\n": h1.ErrHostMissing,
	} {
		if got := readRequest(limits, false, []byte(raw)); !errors.Is(got.Err, want) {
			t.Errorf("%q: %v", raw, got.Err)
		}
	}
}

func TestHost(t *testing.T) {
	long := strings.Repeat("a", 254)
	for host, want := range map[string]bool{
		"a": true, "A.b-c_d": true, "a.": true, "a:1": true, "1.2.3.4:80": true, "[::1]": true, "[::1]:80": true, "a:65535": true, long: true,
		".": false, ".a": false, "a..b": false, "a:": false, "a:x": false, "a:65536": false, "a:123456": false, "a:1:2": false, "a:+1": false, "[": false, "[]": false, "[a]": false,
		"[1.2.3.4]": false, "[::1%eth0]": false, "[::1]80": false, "::1": false, ":80": false, "a#": false, "a?": false, "*": false, "a%2eb": false, "\xc3\xa4": false, long + "a": false,
	} {
		got := readRequest(h1.Limits{}, false, []byte(get+"Host: "+host+"\r\n\r\n"))
		if (got.Err == nil) != want || want && got.Host != host || !want && !errors.Is(got.Err, h1.ErrHost) {
			t.Errorf("%q: %q, %v", host, got.Host, got.Err)
		}
	}
}

// A limit is the largest size that passes.
func TestLimitsAreExact(t *testing.T) {
	raw := []byte(get + host + "X: 1\r\nY: 2\r\n\r\n")
	for limits, want := range map[h1.Limits]error{
		{Head: len(raw)}:     nil,
		{Head: len(raw) - 1}: h1.ErrHeadTooLarge,
		{Fields: 3}:          nil,
		{Fields: 2}:          h1.ErrTooManyFields,
	} {
		for pieces := range cuts(raw) {
			if got := readRequest(limits, false, pieces...); !errors.Is(got.Err, want) {
				t.Fatalf("%+v: %v, want %v", limits, got.Err, want)
			}
		}
	}
	// What follows the head does not count.
	if got := readRequest(h1.Limits{Head: len(raw)}, false, append(raw, raw...)); got.Err != nil {
		t.Error(got.Err)
	}
}

// Resume must not take what an earlier connection left in memory that is used again for what it has parsed.
func TestParseRequestStartsAfresh(t *testing.T) {
	var r h1.Request
	buf := []byte(get + "Host: evil\r\nX: 1\r\n")
	if _, err := h1.ParseRequest(buf, &r, h1.Limits{}); !errors.Is(err, h1.ErrIncomplete) {
		t.Fatal(err)
	}
	copy(buf, get+"Host: good\r\nY: 2\r\n")
	buf = append(buf, '\r', '\n')
	if _, err := h1.ParseRequest(buf, &r, h1.Limits{}); err != nil || r.Host != "good" || len(r.Header) != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	r.Reset()
	if r.Host != "" || len(r.Header) != 0 || cap(r.Header) == 0 || r.Header[:1][0] != (gate.Field{}) {
		t.Errorf("after Reset: %+v", r)
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var r h1.Request
	var p h1.Response
	var body h1.Body
	chunked := []byte("5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n")
	out := make([]byte, 0, 4096)
	var failure error
	note := func(err error) {
		if err != nil {
			failure = err
		}
	}
	n := testing.AllocsPerRun(100, func() {
		_, err := h1.ParseRequest(call, &r, h1.Limits{})
		note(err)
		_, err = h1.AppendRequestHead(out, r.Method, r.Target, r.Host, r.Header, h1.Frame{Framing: h1.Chunked})
		note(err)
		_, err = h1.ParseRequest(call[:500], &r, h1.Limits{})
		if !errors.Is(err, h1.ErrIncomplete) {
			failure = err
		}
		_, err = r.Resume(call, h1.Limits{})
		note(err)
		_, err = h1.ParseResponse(answer, &p, "GET", h1.Limits{})
		note(err)
		_, err = h1.AppendResponseHead(out, p.Status, p.Header, h1.Frame{Framing: h1.Sized, Length: p.Length}, nil)
		note(err)
		body.Reset(h1.Chunked, -1, h1.Limits{})
		for rest := chunked; !body.Done(); {
			_, n, _ := body.Next(rest)
			rest = rest[n:]
		}
	})
	if n > 0 || failure != nil {
		t.Errorf("%v allocations, %v", n, failure)
	}
}
