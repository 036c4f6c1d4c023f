package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
)

// capture is a backend that returns what it got, head and body, as the body of its response.
func capture(t *testing.T) string {
	t.Helper()
	return rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			head := readHead(r)
			if head == "" {
				return
			}
			var body strings.Builder
			if strings.Contains(head, "Transfer-Encoding: chunked") {
				for { // as it came, with its framing
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					body.WriteString(line)
					if line == "0\r\n" {
						for line != "\r\n" {
							if line, err = r.ReadString('\n'); err != nil {
								return
							}
							body.WriteString(line)
						}
						break
					}
				}
			} else if i := strings.Index(head, "Content-Length: "); i >= 0 {
				n := 0
				for _, d := range head[i+len("Content-Length: "):] {
					if d < '0' || d > '9' {
						break
					}
					n = n*10 + int(d-'0')
				}
				_, _ = io.CopyN(&body, r, int64(n))
			}
			text := head + body.String()
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(text))+"\r\n\r\n"+text)
		}
	})
}

func TestRequestIsSentAsDecided(t *testing.T) { eachEngine(t, testRequestIsSentAsDecided) }

func testRequestIsSentAsDecided(t *testing.T, e engine) {
	t.Helper()
	url := capture(t)
	host := strings.TrimPrefix(url, "http://")
	tests := []struct {
		name     string
		passHost bool
		edit     func(*gate.Exchange)
		request  string
		want     string
		own      string // what our own engine sends, where that is not the same: it keeps order and spelling
	}{
		{
			name: "path and query keep their spelling", passHost: true,
			request: "GET /a%2Fb/%7e/c;d=%20?q=%20&x;y=a+b&z=%C3%A4?? HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
			want:    "GET /a%2Fb/%7e/c;d=%20?q=%20&x;y=a+b&z=%C3%A4?? HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
		},
		{
			name: "two slashes are a path and not a host", passHost: true,
			request: "GET //other.example.com/%2e HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
			want:    "GET //other.example.com/%2e HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
		},
		{
			name:    "the host of the server",
			request: "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
			want:    "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
		},
		{
			name: "lines of one name keep their order, nothing is added", passHost: true,
			request: "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\nCookie: a=b\r\nUser-Agent: me\r\nAccept-Encoding: br\r\n\r\n",
			want:    "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: me\r\nAccept-Encoding: br\r\nCookie: a=b\r\nX-A: 1\r\nX-A: 3\r\nX-B: 2\r\n\r\n",
			own:     "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\nCookie: a=b\r\nUser-Agent: me\r\nAccept-Encoding: br\r\n\r\n",
		},
		{
			name: "what a step adds cannot change the framing", passHost: true,
			edit: func(x *gate.Exchange) {
				x.Out = gate.Header{{Name: "transfer-encoding", Value: "chunked"}, {Name: "CONTENT-LENGTH", Value: "9"}, {Name: "connection", Value: "X-User"}, {Name: "host", Value: "evil"}, {Name: "X-User", Value: "u"}}
			},
			request: "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			want:    "GET / HTTP/1.1\r\nHost: h\r\nX-User: u\r\n\r\n",
		},
		{
			name: "a method without a body and one that usually has one", passHost: true,
			request: "POST /p HTTP/1.1\r\nHost: h\r\n\r\n",
			want:    "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		},
		{
			name: "an unusual method", passHost: true,
			request: "M-SEARCH /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
			want:    "M-SEARCH /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		},
		{
			name: "a body of known length", passHost: true,
			request: "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
			want:    "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		},
		{
			name: "a body of unknown length", passHost: true,
			request: "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n",
			want:    "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		},
		{
			name: "trailers, without those that could be taken for our header", passHost: true,
			edit:    func(x *gate.Exchange) { x.Out.Set("X-User", "alice") },
			request: "POST /p HTTP/1.1\r\nHost: h\r\nTrailer: X-Sum, X_User, Authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\nX_User: root\r\nX-User: root\r\nAuthorization: Bearer x\r\n\r\n",
			want:    "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nX-User: alice\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n",
			own:     "POST /p HTTP/1.1\r\nHost: h\r\nX-User: alice\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n",
		},
		{
			name: "TE: trailers goes on", passHost: true,
			request: "GET / HTTP/1.1\r\nHost: h\r\nTE: deflate, trailers\r\nConnection: TE\r\n\r\n",
			want:    "GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTe: trailers\r\n\r\n",
			own:     "GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := e.group(url)
			u.PassHost = test.passHost
			d := openDoor(t, u, test.edit)
			c := d.raw()
			if _, err := io.WriteString(c, test.request); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if e == gate.EngineOwn && test.own != "" {
				want = test.own
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("the server got (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestThatCannotBeSentIsRefused(t *testing.T) {
	eachEngine(t, testRequestThatCannotBeSentIsRefused)
}

func testRequestThatCannotBeSentIsRefused(t *testing.T, e engine) {
	t.Helper()
	url := backend(t, func(http.ResponseWriter, *http.Request) { t.Error("the request was sent") })
	tests := []struct {
		name string
		edit func(*gate.Exchange)
		want gate.Reason
	}{
		{"CONNECT", func(x *gate.Exchange) { x.Method = "CONNECT" }, gate.ReasonBadMessage},
		{"no path", func(x *gate.Exchange) { x.OutPath = "" }, gate.ReasonBadTarget},
		{"relative path", func(x *gate.Exchange) { x.OutPath = "x" }, gate.ReasonBadTarget},
		{"absolute form", func(x *gate.Exchange) { x.OutPath = "http://evil/" }, gate.ReasonBadTarget},
		{"space in the path", func(x *gate.Exchange) { x.OutPath = "/ HTTP/1.1" }, gate.ReasonBadTarget},
		{"line break in the path", func(x *gate.Exchange) { x.OutPath = "/\r\nX: y" }, gate.ReasonBadTarget},
		{"query in the path", func(x *gate.Exchange) { x.OutPath = "/?x" }, gate.ReasonBadTarget},
		{"fragment", func(x *gate.Exchange) { x.OutPath = "/#x" }, gate.ReasonBadTarget},
		{"line break in the query", func(x *gate.Exchange) { x.OutQuery = "a\nb" }, gate.ReasonBadTarget},
		{"two slashes and a wrong escape", func(x *gate.Exchange) { x.OutPath = "//a%zz" }, gate.ReasonBadForwarding},
		{"line break in a value", func(x *gate.Exchange) { x.Out.Add("X-User", "a\r\nX-Admin: yes") }, gate.ReasonBadForwarding},
		{"space in a name", func(x *gate.Exchange) { x.Out.Add("X User", "a") }, gate.ReasonBadForwarding},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if e == gate.EngineOwn && strings.HasPrefix(test.name, "two slashes") {
				t.Skip("it can send them as they are")
			}
			d := openDoor(t, e.group(url), test.edit)
			resp, _ := d.do("GET", "/", nil)
			if r := d.result(); r.Reason != test.want || resp.StatusCode != test.want.Kind().Status() {
				t.Errorf("got %s with status %d, want %s", r.Reason, resp.StatusCode, test.want)
			}
		})
	}
}
