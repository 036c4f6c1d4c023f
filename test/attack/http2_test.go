package attack_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/jotgate/jotgate/jose"
	"github.com/jotgate/jotgate/test/program"
)

// stream is a request in frames: its header, and what follows it.
type stream struct {
	fields  []hpack.HeaderField
	data    string
	trailer []hpack.HeaderField
}

// fields makes header fields of "name: value" lines; a name may start with a colon.
func fields(lines ...string) (all []hpack.HeaderField) {
	for _, line := range lines {
		colon := strings.Index(line[1:], ": ") + 1
		all = append(all, hpack.HeaderField{Name: line[:colon], Value: line[colon+2:]})
	}
	return all
}

// request is a usual header with more lines.
func request(method, path, authority string, lines ...string) []hpack.HeaderField {
	return append(fields(":method: "+method, ":scheme: http", ":path: "+path, ":authority: "+authority), fields(lines...)...)
}

// outcome is how a stream ended.
type outcome struct {
	status string // "" if there was no answer
	body   string
	failed string // how the stream or the connection was broken off
}

// roundTrip sends a stream as it is, over a connection of its own.
func (s *suite) roundTrip(t *testing.T, request stream) (got outcome) {
	t.Helper()
	conn := program.Dial(t, s.gateway.Addresses["web"])
	defer func() { _ = conn.Close() }() // everything was read
	if err := conn.SetDeadline(time.Now().Add(program.Patience)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	framer := http2.NewFramer(&out, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	encode := func(fields []hpack.HeaderField) []byte {
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, f := range fields {
			if err := encoder.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		return block.Bytes()
	}
	out.WriteString(http2.ClientPreface)
	more := request.data != "" || request.trailer != nil
	for _, err := range []error{
		framer.WriteSettings(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(request.fields), EndHeaders: true, EndStream: !more}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if request.data != "" {
		if err := framer.WriteData(1, request.trailer == nil, []byte(request.data)); err != nil {
			t.Fatal(err)
		}
	}
	if request.trailer != nil {
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(request.trailer), EndHeaders: true, EndStream: true}); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = conn.Write(out.Bytes()) // what is refused early is not taken to its end; how it ended is read below
	for {
		frame, err := framer.ReadFrame()
		var streamErr http2.StreamError
		switch {
		case errors.As(err, &streamErr):
			got.failed = "bad frame from the gateway: " + err.Error()
			return got
		case err != nil:
			got.failed = "closed"
			if !errors.Is(err, io.EOF) {
				got.failed = err.Error()
			}
			return got
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status != "" {
				got.status = status
			}
			if f.StreamEnded() {
				return got
			}
		case *http2.DataFrame:
			got.body += string(f.Data())
			if f.StreamEnded() {
				return got
			}
		case *http2.RSTStreamFrame:
			got.failed = f.ErrCode.String()
			return got
		case *http2.GoAwayFrame:
			got.failed = "GOAWAY " + f.ErrCode.String()
			return got
		}
	}
}

// http2 attacks the framing of HTTP/2, of which the upstream sees HTTP/1.1.
func (s *suite) http2(t *testing.T) {
	t.Run("a good token passes", func(t *testing.T) {
		if got := s.roundTrip(t, stream{fields: request("GET", "/tickets", "api.test", "authorization: Bearer "+s.good())}); got.status != "200" {
			t.Fatalf("%+v", got)
		}
		s.upstream.take()[0].sees(t, "X-User", subject)
	})
	t.Run("without a token", func(t *testing.T) {
		got := s.roundTrip(t, stream{fields: request("GET", "/tickets", "api.test")})
		s.untouched(t)
		if got.status != "401" || !strings.Contains(got.body, `"reason":"token_missing"`) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("identity", s.http2Identity)
	t.Run("scheme of its own choice", func(t *testing.T) {
		for _, scheme := range []string{"https", "ftp", "file", "x"} {
			got := s.roundTrip(t, stream{fields: pseudo("GET", scheme, "/x", "open.test")})
			for _, r := range s.upstream.take() {
				r.sees(t, "X-Forwarded-Proto", "http")
			}
			if got.status != "200" && got.status != "400" && got.failed == "" {
				t.Errorf("%s: %+v", scheme, got)
			}
		}
	})
	t.Run("cookies in crumbs become one line", func(t *testing.T) {
		s.roundTrip(t, stream{fields: request("GET", "/", "open.test", "cookie: a=1", "cookie: b=2")})
		s.upstream.take()[0].sees(t, "Cookie", "a=1; b=2")
	})
	t.Run("two tokens", func(t *testing.T) {
		for _, lines := range [][]string{{"authorization: Bearer " + s.good(), "authorization: Bearer x"}, {"authorization: Bearer x", "authorization: Bearer " + s.good()}} {
			got := s.roundTrip(t, stream{fields: request("GET", "/tickets", "api.test", lines...)})
			s.untouched(t)
			if got.status != "400" || !strings.Contains(got.body, `"reason":"token_ambiguous"`) {
				t.Errorf("%+v", got)
			}
		}
		cookies := s.roundTrip(t, stream{fields: request("GET", "/", "places.test", "cookie: access_token="+s.good(), "cookie: access_token=x")})
		s.untouched(t)
		if cookies.status != "400" || !strings.Contains(cookies.body, `"reason":"token_ambiguous"`) {
			t.Errorf("cookies: %+v", cookies)
		}
	})
	t.Run("refused", s.http2Refused)
	t.Run("large header", func(t *testing.T) {
		got := s.roundTrip(t, stream{fields: request("GET", "/", "open.test", "x-a: "+strings.Repeat("x", 15000), "x-b: "+strings.Repeat("y", 900))})
		if got.status != "200" || len(s.upstream.take()) != 1 {
			t.Errorf("%+v", got)
		}
		var small []string
		for i := range 3000 { // much in little: each names an entry of the table
			small = append(small, fmt.Sprintf("x-%d: ", i%3)+strings.Repeat("z", 40))
		}
		got = s.roundTrip(t, stream{fields: request("GET", "/", "open.test", small...)})
		s.untouched(t)
		if got.status == "200" {
			t.Errorf("%+v", got)
		}
	})
}

func (s *suite) http2Identity(t *testing.T) {
	for _, name := range []string{"x-user", "x_user", "x.user"} {
		lines := []string{name + ": root"}
		want := map[bool][]string{true: {subject}, false: nil}
		for _, token := range []bool{true, false} {
			path := "/tickets/health"
			if token {
				path, lines = "/tickets", append(lines, "authorization: Bearer "+s.good())
			}
			t.Run(fmt.Sprintf("%s, token %v", name, token), func(t *testing.T) {
				if got := s.roundTrip(t, stream{fields: request("GET", path, "api.test", lines...)}); got.status != "200" {
					t.Fatalf("%+v", got)
				}
				s.upstream.take()[0].sees(t, "X-User", want[token]...)
			})
			lines = lines[:1]
		}
		for host, path := range map[string]string{"open.test": "/", "api.test": "/tickets"} {
			t.Run(name+" in a trailer to "+host, func(t *testing.T) {
				none := s.token(s.alpha, jose.RS256, nil, object{"sub": nil})
				for _, announced := range []string{"trailer: " + name, "x-other: 1"} {
					got := s.roundTrip(t, stream{fields: request("POST", path, host, "authorization: Bearer "+none, announced), data: "abc", trailer: fields(name + ": root")})
					if got.status != "200" {
						t.Fatalf("%+v", got)
					}
					r := s.upstream.take()[0]
					r.sees(t, "X-User")
					for _, f := range r.values("Trailer") {
						t.Errorf("the upstream is told of a trailer: %s", f)
					}
				}
			})
		}
	}
}

func (s *suite) http2Refused(t *testing.T) {
	open := func(lines ...string) stream { return stream{fields: request("GET", "/x", "open.test", lines...)} }
	for name, request := range map[string]stream{
		"name in capitals":               open("X-Other: a"),
		"name with a space":              open("x other: a"),
		"name with a colon":              open("x:user: root"),
		"name with a line break":         open("x\r\nx-user: root"),
		"value with a line break":        open("x-other: a\r\nx-user: root"),
		"value with a line feed":         open("x-other: a\nx-user: root"),
		"value with a zero byte":         open("x-other: a\x00b"),
		"value with a request":           open("x-other: a\r\n\r\n" + smuggle),
		"connection":                     open("connection: x-user"),
		"keep-alive":                     open("keep-alive: 1"),
		"proxy-connection":               open("proxy-connection: close"),
		"upgrade":                        open("upgrade: websocket"),
		"te":                             open("te: gzip"),
		"path empty":                     {fields: pseudo("GET", "http", "", "open.test")},
		"path without a slash":           {fields: pseudo("GET", "http", "x", "open.test")},
		"path absolute":                  {fields: pseudo("GET", "http", "http://open.test/x", "open.test")},
		"path with a space":              {fields: pseudo("GET", "http", "/x HTTP/1.1\r\nHost: api.test", "open.test")},
		"path with a fragment":           {fields: pseudo("GET", "http", "/x#/../y", "open.test")},
		"path an asterisk with GET":      {fields: pseudo("GET", "http", "*", "open.test")},
		"path in disguise":               {fields: pseudo("GET", "http", "/tickets/public/..%2fadmin", "api.test")},
		"method with a space":            {fields: pseudo("GET /y", "http", "/x", "open.test")},
		"method with a line break":       {fields: pseudo("GET\r\n", "http", "/x", "open.test")},
		"method empty":                   {fields: pseudo("", "http", "/x", "open.test")},
		"CONNECT":                        {fields: fields(":method: CONNECT", ":authority: open.test:80")},
		"CONNECT with a protocol":        {fields: fields(":method: CONNECT", ":protocol: websocket", ":scheme: http", ":path: /x", ":authority: open.test")},
		"authority with a user":          {fields: pseudo("GET", "http", "/x", "api.test@open.test")},
		"authority with a path":          {fields: pseudo("GET", "http", "/x", "open.test/y")},
		"authority with a line break":    {fields: pseudo("GET", "http", "/x", "open.test\r\nx-user: root")},
		"authority empty":                {fields: pseudo("GET", "http", "/x", "")},
		"no authority":                   {fields: fields(":method: GET", ":scheme: http", ":path: /x")},
		"no method":                      {fields: fields(":scheme: http", ":path: /x", ":authority: open.test")},
		"no path":                        {fields: fields(":method: GET", ":scheme: http", ":authority: open.test")},
		"no scheme":                      {fields: fields(":method: GET", ":path: /x", ":authority: open.test")},
		"two paths":                      {fields: fields(":method: GET", ":scheme: http", ":path: /x", ":path: /y", ":authority: open.test")},
		"two methods":                    {fields: fields(":method: GET", ":method: POST", ":scheme: http", ":path: /x", ":authority: open.test")},
		"two authorities":                {fields: fields(":method: GET", ":scheme: http", ":path: /x", ":authority: open.test", ":authority: api.test")},
		"pseudo field behind the others": {fields: append(pseudo("GET", "http", "/x", "open.test")[:3], fields("x-other: a", ":authority: open.test")...)},
		"unknown pseudo field":           open(":user: root"),
		"status in a request":            {fields: append(fields(":status: 200"), pseudo("GET", "http", "/x", "open.test")...)},
		"host that differs":              open("host: api.test"),
		"two hosts":                      open("host: open.test", "host: api.test"),
		"two lengths":                    {fields: request("POST", "/x", "open.test", "content-length: 3", "content-length: 4"), data: "abc"},
		"length that is no number":       {fields: request("POST", "/x", "open.test", "content-length: 3a"), data: "abc"},
		"pseudo field in a trailer":      {fields: request("POST", "/tickets", "api.test"), data: "abc", trailer: fields(":path: /y")},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.roundTrip(t, request)
			s.untouched(t)
			if got.failed == "" && got.status != "400" && got.status != "401" && got.status != "404" || strings.HasPrefix(got.failed, "bad frame") {
				t.Errorf("%+v", got)
			}
		})
	}
	// These are found out while the body goes on: the upstream must not get a whole request.
	for name, request := range map[string]stream{
		"length larger than the body":  {fields: request("POST", brokenTarget, "open.test", "content-length: 9"), data: "abc"},
		"length smaller than the body": {fields: request("POST", brokenTarget, "open.test", "content-length: 2"), data: "abc" + smuggle},
		"length zero and a body":       {fields: request("POST", brokenTarget, "open.test", "content-length: 0"), data: smuggle},
		"chunked":                      {fields: request("POST", brokenTarget, "open.test", "transfer-encoding: chunked"), data: "0\r\n\r\n" + smuggle},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.roundTrip(t, request)
			s.untouched(t)
			if got.status == "200" && name != "length zero and a body" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// pseudo is a header of the four pseudo fields as they are.
func pseudo(method, scheme, path, authority string) []hpack.HeaderField {
	return []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: scheme}, {Name: ":path", Value: path}, {Name: ":authority", Value: authority}}
}
