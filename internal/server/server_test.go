package server

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestRequestIsHandedOver(t *testing.T) {
	var got gate.Exchange
	var in gate.Header
	var sent string
	for _, d := range doors(t, func(x *gate.Exchange) {
		b, _ := io.ReadAll(x.Body)
		got, in, sent = kept(x), copied(x.In), string(b)
		slices.SortStableFunc(in, func(a, b gate.Field) int { return strings.Compare(a.Name, b.Name) })
		x.Reply.Add("x-lower", "1")
		x.Reply.Add("Set-Cookie", "a=1")
		x.Reply.Add("Set-Cookie", "b=2")
		say(x, "hello")
	}) {
		t.Run(d.name, func(t *testing.T) {
			r := d.request(t, "POST", "/a%2Fb//c?x=1;y=2&z", strings.NewReader("ping"))
			r.Header = http.Header{"B": {"2", "1"}, "A_b": {" v "}, "User-Agent": nil, "Accept-Encoding": {"identity"}}
			res, err := d.client.Do(r)
			if b := text(t, res, err); b != "hello" {
				t.Errorf("body %q", b)
			}
			proto := map[bool]int{true: 20, false: 11}[strings.HasPrefix(d.name, "h2")]
			if got.Method != "POST" || got.Host != "api.example.com" || got.Target != "/a%2Fb//c?x=1;y=2&z" || got.Scheme != d.scheme || got.Proto != proto ||
				got.Listener != "web" || got.Length != 4 || got.Upgrade != "" || got.Client != got.Peer || got.PeerTrusted || !got.Peer.Addr().IsLoopback() {
				t.Errorf("exchange %+v", got)
			}
			want := gate.Header{{Name: "A_b", Value: "v"}, {Name: "Accept-Encoding", Value: "identity"}, {Name: "B", Value: "2"}, {Name: "B", Value: "1"}, {Name: "Content-Length", Value: "4"}}
			if diff := cmp.Diff(want, in); diff != "" {
				t.Error(diff)
			}
			if sent != "ping" {
				t.Errorf("body received %q", sent)
			}
			if res.ContentLength != 5 || res.Header.Get("Date") == "" || res.Header.Get("Server") != "" || res.Header.Get("Content-Type") != "" {
				t.Errorf("response %v %v", res.ContentLength, res.Header)
			}
			if diff := cmp.Diff([]string{"a=1", "b=2"}, res.Header["Set-Cookie"]); diff != "" {
				t.Error(diff)
			}
			if sn := map[string]string{"https": "api.example.com"}[d.scheme]; got.ServerName != sn {
				t.Errorf("server name %q", got.ServerName)
			}
		})
	}
}

func TestSpellingOfResponseFieldsIsKept(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(x *gate.Exchange) {
				x.Reply = append(x.Reply, gate.Field{Name: "x-lOWER", Value: "1"}, gate.Field{Name: "date", Value: "yesterday"}, gate.Field{Name: "content-type", Value: "a/b"})
				say(x, "x")
			})
			got := r.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			lines := []string{"\r\nx-lOWER: 1\r\n", "\r\ndate: yesterday\r\n", "\r\ncontent-type: a/b\r\n"}
			if e == gate.EngineNetHTTP { // it looks at these itself
				lines = []string{lines[0], "\r\nDate: yesterday\r\n", "\r\nContent-Type: a/b\r\n"}
			}
			for _, want := range lines {
				if strings.Count(got, want) != 1 {
					t.Errorf("%q is not once in %q", want, got)
				}
			}
		})
	}
}

func TestFraming(t *testing.T) {
	cases := []struct {
		name, method string
		status       int
		reply        gate.Header
		length       int64
		body         string
		wantLength   string
		wantBody     string
	}{
		{"length", "GET", 200, nil, 3, "abc", "3", "abc"},
		{"empty", "GET", 200, nil, 0, "", "0", ""},
		{"upstream length is not trusted", "GET", 200, gate.Header{{Name: "content-length", Value: "99"}, {Name: "Transfer-Encoding", Value: "chunked"}}, 3, "abc", "3", "abc"},
		{"head keeps the length of get", "HEAD", 200, gate.Header{{Name: "Content-Length", Value: "1234"}}, 0, "ignored", "1234", ""},
		{"head with an invalid length", "HEAD", 200, gate.Header{{Name: "Content-Length", Value: "1,2"}}, 0, "", "", ""},
		{"no content", "GET", 204, gate.Header{{Name: "Content-Length", Value: "7"}}, 0, "ignored", "", ""},
		{"not modified", "GET", 304, gate.Header{{Name: "Content-Length", Value: "7"}, {Name: "ETag", Value: `"a"`}}, 0, "", "", ""},
	}
	current := &cases[0]
	for _, d := range doors(t, func(x *gate.Exchange) {
		x.Reply = append(x.Reply, current.reply...)
		if err := x.WriteHead(current.status, current.length); err != nil {
			t.Error(err)
		}
		if n, err := x.Writer.Write([]byte(current.body)); err != nil || n != len(current.body) {
			t.Errorf("%d, %v", n, err)
		}
	}) {
		for i := range cases {
			c := &cases[i]
			t.Run(d.name+"/"+c.name, func(t *testing.T) {
				current = c
				res, err := d.client.Do(d.request(t, c.method, "/", nil))
				if b := text(t, res, err); b != c.wantBody {
					t.Errorf("body %q", b)
				}
				if res.StatusCode != c.status || res.Header.Get("Content-Length") != c.wantLength {
					t.Errorf("%d, Content-Length %q", res.StatusCode, res.Header.Get("Content-Length"))
				}
				if len(res.TransferEncoding) > 0 {
					t.Errorf("transfer encoding %v", res.TransferEncoding)
				}
			})
		}
	}
}

func TestTrailersBothWays(t *testing.T) {
	var before, after gate.Header
	for _, d := range doors(t, func(x *gate.Exchange) {
		before = x.Trailer()
		_, _ = io.Copy(io.Discard, x.Body)
		after = copied(x.Trailer())
		_ = x.WriteHead(200, -1)
		_, _ = x.Writer.Write([]byte("short"))
		if err := x.Writer.Trailer(gate.Header{{Name: "grpc-status", Value: "0"}, {Name: "connection", Value: "x"}}); err != nil {
			t.Error(err)
		}
	}) {
		t.Run(d.name, func(t *testing.T) {
			r := d.request(t, "POST", "/", io.MultiReader(strings.NewReader("data")))
			r.Trailer = http.Header{"X-Sum": {"42"}}
			res, err := d.client.Do(r)
			text(t, res, err)
			if before != nil {
				t.Errorf("trailers %v before the end of the body", before)
			}
			if diff := cmp.Diff(gate.Header{{Name: "X-Sum", Value: "42"}}, after); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(http.Header{"Grpc-Status": {"0"}}, res.Trailer); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUpgradeEcho(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				l := e.settings()
				a := newAuthority(t)
				if secure {
					a.withTLS(t)(&l)
				}
				r := start(t, l, func(x *gate.Exchange) {
					if x.Upgrade != "WebSocket" {
						t.Errorf("upgrade %q", x.Upgrade)
					}
					x.Reply.Add("Upgrade", x.Upgrade)
					x.Reply.Add("X-Extra", "1")
					x.Reply.Add("Bad", "a\r\nInjected: 1")
					s, err := x.WriteUpgrade()
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(s, s)
					_ = s.Close()
				})
				c := r.dial()
				if secure {
					c = a.clientTLS(t, c)
				}
				// The first data come with the request: they are buffered when the connection is taken over.
				br := bufio.NewReader(c)
				res := ask(t, c, br, "GET", "GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\nearly ")
				if res.StatusCode != 101 || res.Header.Get("Upgrade") != "WebSocket" || res.Header.Get("Connection") != "Upgrade" || res.Header.Get("X-Extra") != "1" || res.Header.Get("Injected") != "" {
					t.Fatalf("%d %v", res.StatusCode, res.Header)
				}
				if _, err := io.WriteString(c, "late"); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 10)
				if _, err := io.ReadFull(br, buf); err != nil || string(buf) != "early late" {
					t.Errorf("%q, %v", buf, err)
				}
				c.Close()
			}
		})
	}
}

func TestUpgradeOf(t *testing.T) {
	for _, c := range []struct {
		connection, upgrade, want string
	}{
		{"upgrade", "websocket", "websocket"},
		{"Upgrade", "custom/1", "custom/1"},
		{"close", "websocket", ""},
		{"", "websocket", ""},
		{"upgrade", "", ""},
		{"upgrade", "h2c", ""},
		{"upgrade", "H2C", ""},
		{"upgrade", "HTTP/2.0", ""},
		{"upgrade", "TLS/1.0", ""},
		{"upgrade", "websocket, h2c", ""},
	} {
		h := gate.Header{{Name: "Connection", Value: c.connection}}
		if c.upgrade != "" {
			h.Add("Upgrade", c.upgrade)
		}
		if got := upgradeOf(h); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Exchanges are reused: nothing of one request may be seen by the next, even if a handler mixed up its headers.
func TestReusedExchangesAreEmpty(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(x *gate.Exchange) {
				if len(x.Out)+len(x.Reply) > 0 || x.Identity != nil || x.Denial != nil || x.API != "" || x.RoutingPath != "" || x.Upgrade != "" || x.Trailer != nil || x.Status != 0 {
					t.Errorf("left over: %+v", x)
				}
				for _, f := range x.In[:cap(x.In)][len(x.In):] {
					if f != (gate.Field{}) {
						t.Errorf("left over in memory: %+v", f)
					}
				}
				x.Out, x.Reply = x.In, append(x.Reply, gate.Field{Name: "X-Reply", Value: x.Target})
				x.Out.Add("X-Out", x.Target)
				x.Identity, x.Denial, x.API, x.RoutingPath = new(gate.Identity), new(gate.Denial), "a", "/b"
				say(x, x.In.Get("X-Mine")+x.Out.Get("X-Out"))
			})
			c := r.dial()
			br := bufio.NewReader(c)
			for _, target := range []string{"/1", "/2", "/3"} {
				res := ask(t, c, br, "GET", "GET "+target+" HTTP/1.1\r\nHost: a\r\nX-Mine: "+target+"\r\n\r\n")
				if b, _ := io.ReadAll(res.Body); string(b) != target+target || res.Header.Get("X-Reply") != target {
					t.Errorf("%s: %q %v", target, b, res.Header)
				}
			}
		})
	}
}
