package server

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/jotgate/jotgate/internal/gate"
)

// h2Status sends one request of exactly these fields over a new h2c connection and returns the status, or "reset" if the stream was refused.
func (r *running) h2Status(fields ...string) string {
	r.t.Helper()
	c := r.dial()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		if err := enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		r.t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(); err != nil {
		r.t.Fatal(err)
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		r.t.Fatal(err)
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			r.t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "reset"
		}
	}
}

func TestMalformedHTTP2Requests(t *testing.T) {
	r := start(t, settings(), func(x *gate.Exchange) {
		if x.In.Has("Host") || x.In.Has(":authority") {
			t.Errorf("fields %v", x.In)
		}
		say(x, "")
	})
	base := []string{":method", "GET", ":scheme", "http", ":path", "/"}
	with := func(fields ...string) []string { return append(append([]string(nil), base...), fields...) }
	for name, c := range map[string]struct {
		fields []string
		want   string
	}{
		"good":                    {with(":authority", "a"), "200"},
		"host only":               {with("host", "a"), "200"},
		"host repeats":            {with(":authority", "a", "host", "a"), "200"},
		"host differs":            {with(":authority", "a", "host", "b"), "400"},
		"two hosts":               {with(":authority", "a", "host", "a", "host", "b"), "400"},
		"no host":                 {with(), "400"},
		"user in authority":       {with(":authority", "u@a"), "reset"},
		"bad authority":           {with(":authority", "a/b"), "400"},
		"fragment":                {[]string{":method", "GET", ":scheme", "http", ":path", "/a#b", ":authority", "a"}, "400"},
		"absolute path":           {[]string{":method", "GET", ":scheme", "http", ":path", "http://b/", ":authority", "a"}, "400"},
		"empty path":              {[]string{":method", "GET", ":scheme", "http", ":path", "", ":authority", "a"}, "reset"},
		"method with a target":    {[]string{":method", "GET /b", ":scheme", "http", ":path", "/", ":authority", "a"}, "400"},
		"method empty":            {[]string{":method", "", ":scheme", "http", ":path", "/", ":authority", "a"}, "reset"},
		"connect":                 {[]string{":method", "CONNECT", ":authority", "a:1"}, "400"},
		"asterisk":                {[]string{":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a"}, "204"},
		"connection field":        {with(":authority", "a", "connection", "x"), "400"},
		"transfer-encoding":       {with(":authority", "a", "transfer-encoding", "chunked"), "400"},
		"upper-case name":         {with(":authority", "a", "X-Up", "1"), "reset"},
		"line break in value":     {with(":authority", "a", "x", "1\r\nhost: b"), "reset"},
		"pseudo field at the end": {with("x", "1", ":authority", "a"), "reset"},
		"unknown pseudo field":    {with(":authority", "a", ":x", "1"), "reset"},
		"length without a body":   {with(":authority", "a", "content-length", "5"), "400"},
		"zero length":             {with(":authority", "a", "content-length", "0"), "200"},
		"two lengths":             {with(":authority", "a", "content-length", "0", "content-length", "0"), "400"},
		"length of letters":       {with(":authority", "a", "content-length", "x"), "400"},
		"te other than trailers":  {with(":authority", "a", "te", "gzip"), "400"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.h2Status(c.fields...); got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}
