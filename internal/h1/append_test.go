package h1_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/h1"
)

func TestAppendRequestHead(t *testing.T) {
	header := fields("X-b", "1", "connection", "x-b, close", "Keep-Alive", "5", "Proxy-Connection", "y", "Upgrade", "h2c", "Transfer-Encoding", "gzip", "CONTENT-LENGTH", "7", "HOST", "evil", "Transfer_Encoding", "x", "content.length", "9", "x-B", "")
	const fieldLines = "X-b: 1\r\nx-B: \r\n"
	for name, c := range map[string]struct {
		frame h1.Frame
		want  string
	}{
		"no body": {h1.Frame{}, "\r\n"},
		"length":  {h1.Frame{Framing: h1.Sized, Length: 12}, "Content-Length: 12\r\n\r\n"},
		"chunked": {h1.Frame{Framing: h1.Chunked, Close: true}, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
		"upgrade": {h1.Frame{Upgrade: "websocket"}, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		got, err := h1.AppendRequestHead([]byte("before"), "PUT", "/a?b", "a:1", header, c.frame)
		if want := "beforePUT /a?b HTTP/1.1\r\nHost: a:1\r\n" + fieldLines + c.want; string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestAppendRequestHeadRefuses(t *testing.T) {
	type head struct {
		method, target, host string
		field                gate.Field
		frame                h1.Frame
	}
	good := head{"GET", "/", "a", gate.Field{Name: "X", Value: "y"}, h1.Frame{}}
	for name, spoil := range map[string]func(h *head){
		"empty method":        func(h *head) { h.method = "" },
		"method with a space": func(h *head) { h.method = "GET /x" },
		"method with CRLF":    func(h *head) { h.method = "GET\r\n" },
		"CONNECT":             func(h *head) { h.method = "CONNECT" },
		"empty target":        func(h *head) { h.target = "" },
		"target with a space": func(h *head) { h.target = "/ HTTP/1.1" },
		"target with CRLF":    func(h *head) { h.target = "/\r\n" },
		"target with NUL":     func(h *head) { h.target = "/\x00" },
		"absolute target":     func(h *head) { h.target = "http://a/" },
		"relative target":     func(h *head) { h.target = "a" },
		"empty host":          func(h *head) { h.host = "" },
		"host with CRLF":      func(h *head) { h.host = "a\r\nX: y" },
		"host with a path":    func(h *head) { h.host = "a/" },
		"empty name":          func(h *head) { h.field.Name = "" },
		"name with a colon":   func(h *head) { h.field.Name = "X:" },
		"name with a space":   func(h *head) { h.field.Name = "X " },
		"name with CRLF":      func(h *head) { h.field.Name = "X\r\nY" },
		"value with CRLF":     func(h *head) { h.field.Value = "y\r\nZ: a" },
		"value with CR":       func(h *head) { h.field.Value = "0123456789abcdef0123456789abcdef\r" },
		"value with LF":       func(h *head) { h.field.Value = "\n" },
		"value with NUL":      func(h *head) { h.field.Value = "0123456\x00" },
		"value with DEL":      func(h *head) { h.field.Value = "0123456789\x7f" },
		"until close":         func(h *head) { h.frame.Framing = h1.UntilClose },
		"negative length":     func(h *head) { h.frame = h1.Frame{Framing: h1.Sized, Length: -1} },
		"upgrade with CRLF":   func(h *head) { h.frame.Upgrade = "x\r\n" },
		"upgrade and close":   func(h *head) { h.frame = h1.Frame{Upgrade: "x", Close: true} },
	} {
		h := good
		spoil(&h)
		got, err := h1.AppendRequestHead([]byte("before"), h.method, h.target, h.host, gate.Header{h.field}, h.frame)
		if !errors.Is(err, h1.ErrUnsendable) || string(got) != "before" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := h1.AppendRequestHead(nil, good.method, good.target, good.host, gate.Header{good.field}, good.frame); err != nil {
		t.Error(err)
	}
}

func TestAppendResponseHead(t *testing.T) {
	date := new(h1.Clock).Date(time.Unix(784111777, 0))
	const dateLine = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	sized := h1.Frame{Framing: h1.Sized, Length: 3}
	for name, c := range map[string]struct {
		status int
		header gate.Header
		frame  h1.Frame
		want   string // empty: refused
	}{
		"sized":              {200, fields("X", "y", "Connection", "x", "Content-Length", "7"), sized, "HTTP/1.1 200 OK\r\n" + dateLine + "X: y\r\nContent-Length: 3\r\n\r\n"},
		"its own date":       {404, fields("date", "d"), sized, "HTTP/1.1 404 Not Found\r\ndate: d\r\nContent-Length: 3\r\n\r\n"},
		"chunked":            {200, nil, h1.Frame{Framing: h1.Chunked}, "HTTP/1.1 200 OK\r\n" + dateLine + "Transfer-Encoding: chunked\r\n\r\n"},
		"until close":        {200, nil, h1.Frame{Framing: h1.UntilClose}, "HTTP/1.1 200 OK\r\n" + dateLine + "Connection: close\r\n\r\n"},
		"close":              {500, nil, h1.Frame{Framing: h1.Sized, Close: true}, "HTTP/1.1 500 Internal Server Error\r\n" + dateLine + "Content-Length: 0\r\nConnection: close\r\n\r\n"},
		"unknown status":     {599, nil, sized, "HTTP/1.1 599 \r\n" + dateLine + "Content-Length: 3\r\n\r\n"},
		"status 999":         {999, nil, sized, "HTTP/1.1 999 \r\n" + dateLine + "Content-Length: 3\r\n\r\n"},
		"Host is no concern": {200, fields("Host", "x"), sized, "HTTP/1.1 200 OK\r\n" + dateLine + "Host: x\r\nContent-Length: 3\r\n\r\n"},
		"103":                {103, fields("Link", "x"), h1.Frame{}, "HTTP/1.1 103 Early Hints\r\n" + dateLine + "Link: x\r\n\r\n"},
		"101":                {101, nil, h1.Frame{Upgrade: "websocket"}, "HTTP/1.1 101 Switching Protocols\r\n" + dateLine + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		"204":                {204, nil, h1.Frame{Framing: h1.Sized}, "HTTP/1.1 204 No Content\r\n" + dateLine + "\r\n"},
		"304":                {304, nil, h1.Frame{}, "HTTP/1.1 304 Not Modified\r\n" + dateLine + "\r\n"},
		"304 with a length":  {304, nil, sized, "HTTP/1.1 304 Not Modified\r\n" + dateLine + "Content-Length: 3\r\n\r\n"},
		"HEAD":               {200, nil, h1.Frame{Head: true}, "HTTP/1.1 200 OK\r\n" + dateLine + "\r\n"},
		"HEAD with a length": {200, nil, h1.Frame{Head: true, Framing: h1.Sized, Length: 3}, "HTTP/1.1 200 OK\r\n" + dateLine + "Content-Length: 3\r\n\r\n"},
		"204 with a length":  {204, nil, sized, ""},
		"204 chunked":        {204, nil, h1.Frame{Framing: h1.Chunked}, ""},
		"304 chunked":        {304, nil, h1.Frame{Framing: h1.Chunked}, ""},
		"100 chunked":        {100, nil, h1.Frame{Framing: h1.Chunked}, ""},
		"no framing":         {200, nil, h1.Frame{}, ""},
		"negative length":    {200, nil, h1.Frame{Framing: h1.Sized, Length: -1}, ""},
		"status 99":          {99, nil, sized, ""},
		"status 1000":        {1000, nil, sized, ""},
		"bad value":          {200, fields("X", "a\r\nb"), sized, ""},
		"bad name":           {200, fields("X\n", "a"), sized, ""},
	} {
		got, err := h1.AppendResponseHead([]byte("before"), c.status, c.header, c.frame, date)
		if c.want == "" {
			if !errors.Is(err, h1.ErrUnsendable) || string(got) != "before" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		} else if string(got) != "before"+c.want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := h1.AppendResponseHead(nil, 200, nil, sized, []byte("x\r\n")); !errors.Is(err, h1.ErrUnsendable) {
		t.Error("a date with CRLF was written")
	}
}

// Whatever a step puts into a header: either nothing is written, or exactly one head that has these fields and no other.
func TestAppendNeverSplits(t *testing.T) {
	text := rapid.OneOf(rapid.StringOf(rapid.SampledFrom([]rune("aZ0-_: \t\r\n\x00\x7fä,;\"/"))), rapid.String(), rapid.StringMatching(`[A-Za-z][A-Za-z0-9-]*`))
	rapid.Check(t, func(t *rapid.T) {
		var header, want gate.Header
		for range rapid.IntRange(0, 5).Draw(t, "fields") {
			f := gate.Field{Name: text.Draw(t, "name"), Value: text.Draw(t, "value")}
			header = append(header, f)
			switch gate.FoldName(f.Name) {
			case "host", "connection", "keep-alive", "proxy-connection", "upgrade", "content-length", "transfer-encoding":
			default:
				want.Add(f.Name, strings.Trim(f.Value, " \t"))
			}
		}
		head, err := h1.AppendRequestHead(nil, "GET", "/", "a", header, h1.Frame{})
		if err != nil {
			return
		}
		got := readRequest(h1.Limits{}, false, head)
		if errors.Is(got.Err, h1.ErrExpect) {
			return
		}
		if got.Err != nil || got.Rest != "" {
			t.Fatalf("%q: %v, rest %q", head, got.Err, got.Rest)
		}
		if diff := cmp.Diff(want, got.Header); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestClock(t *testing.T) {
	var c h1.Clock
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				now := time.Unix(int64(1_800_000_000+(i+g)/10), int64(i))
				if got, want := string(c.Date(now)), now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { c.Date(now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrors(t *testing.T) {
	seen := map[string]bool{}
	n := 0
	for e := h1.ErrIncomplete; e.Error() != "unknown error"; e++ {
		if seen[e.Error()] || e.Error() == "" {
			t.Errorf("error %d: %q", e, e.Error())
		}
		seen[e.Error()] = true
		if s := e.Status(); s < 400 || s > 599 {
			t.Errorf("%v: status %d", e, s)
		}
		n++
	}
	if n < 30 {
		t.Errorf("%d errors", n)
	}
	for e, want := range map[h1.Error]int{
		h1.ErrMethod: 400, h1.ErrTarget: 400, h1.ErrVersion: 505, h1.ErrCoding: 501, h1.ErrHeadTooLarge: 431, h1.ErrTooManyFields: 431, h1.ErrExpect: 417, h1.ErrTruncated: 499, h1.ErrIncomplete: 408, 255: 500,
	} {
		if got := e.Status(); got != want {
			t.Errorf("%v: status %d, want %d", e, got, want)
		}
	}
}
