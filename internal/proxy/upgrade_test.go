package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestWebSocket(t *testing.T) { eachEngine(t, testWebSocket) }

func testWebSocket(t *testing.T, e engine) {
	t.Helper()
	echo := websocket.Server{Handler: func(c *websocket.Conn) { _, _ = io.Copy(c, c) }}
	plain := httptest.NewServer(echo)
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(echo)
	secure.EnableHTTP2 = true // ALPN must not choose it for an upgrade
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, u := range map[string]*gate.Upstream{"http": e.group(plain.URL), "https": e.trusting(t, secure)} {
		t.Run(name, func(t *testing.T) {
			d := openDoor(t, u, nil)
			c, err := websocket.Dial("ws://"+d.addr+"/chat?room=1", "", "http://app.example.com")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patienceOfTests))
			for _, message := range []string{"hello", strings.Repeat("long ", 40_000), "bye"} {
				if _, err := io.WriteString(c, message); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(message))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != message {
					t.Fatalf("got %d bytes, %v", len(got), err)
				}
			}
			_ = c.Close()
			if r := d.result(); r.Err != nil || !r.Upgraded || r.Status != 101 || r.Sent < 200_000 || r.Received < 200_000 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// switching is a server that accepts the upgrade to protocol and then lets serve talk.
func switching(t *testing.T, protocol string, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	return rawBackend(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if readHead(r) != "" {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\nX-Extra: 1\r\n\r\n")
			serve(c, r)
		}
	})
}

// upgrade asks for a protocol and returns the connection and the head of the response.
func (d *door) upgrade(protocol string) (*net.TCPConn, *bufio.Reader, string) {
	d.tb.Helper()
	c := d.raw()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
	r := bufio.NewReader(c)
	return c.(*net.TCPConn), r, readHead(r)
}

func TestUpgradeHalfClose(t *testing.T) { eachEngine(t, testUpgradeHalfClose) }

func testUpgradeHalfClose(t *testing.T, e engine) {
	t.Helper()
	t.Run("the client is done first", func(t *testing.T) {
		d := openDoor(t, e.group(switching(t, "Chat/2", func(c net.Conn, r *bufio.Reader) {
			all, _ := io.ReadAll(r) // until the client has said everything
			_, _ = io.WriteString(c, strings.ToUpper(string(all)))
		})), nil)
		c, r, head := d.upgrade("chat/2")
		if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "\r\nUpgrade: Chat/2\r\n") || !strings.Contains(head, "\r\nX-Extra: 1\r\n") {
			t.Errorf("head %q", head)
		}
		_, _ = io.WriteString(c, "hello")
		_ = c.CloseWrite()
		if got, err := io.ReadAll(r); string(got) != "HELLO" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if res := d.result(); res.Sent != 5 || res.Received != 5 || res.Err != nil {
			t.Errorf("%+v", res)
		}
	})
	t.Run("the server is done first", func(t *testing.T) {
		heard := make(chan string, 1)
		d := openDoor(t, e.group(switching(t, "chat", func(c net.Conn, r *bufio.Reader) {
			_, _ = io.WriteString(c, "bye")
			_ = c.(*net.TCPConn).CloseWrite()
			all, _ := io.ReadAll(r)
			heard <- string(all)
		})), nil)
		c, r, _ := d.upgrade("chat")
		if got, err := io.ReadAll(r); string(got) != "bye" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		_, _ = io.WriteString(c, "good bye")
		_ = c.CloseWrite()
		if got := <-heard; got != "good bye" {
			t.Errorf("the server heard %q", got)
		}
	})
	t.Run("the other side stays silent", func(t *testing.T) {
		u := e.group(switching(t, "chat", func(c net.Conn, _ *bufio.Reader) { _, _ = io.Copy(io.Discard, c); _, _ = io.Copy(io.Discard, c) }))
		u.Servers[0].URL = switching(t, "chat", func(c net.Conn, _ *bufio.Reader) {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})
		u.IdleTimeout = 100 * time.Millisecond
		d := openDoor(t, u, nil)
		d.upgrade("chat") // the client neither closes nor sends
		d.result()
	})
}

func TestUpgradeEnds(t *testing.T) { eachEngine(t, testUpgradeEnds) }

func testUpgradeEnds(t *testing.T, e engine) {
	t.Helper()
	t.Run("with a reset of the server", func(t *testing.T) {
		d := openDoor(t, e.group(switching(t, "chat", func(c net.Conn, _ *bufio.Reader) { reset(c) })), nil)
		_, r, _ := d.upgrade("chat")
		_, _ = io.ReadAll(r)
		d.result()
	})
	t.Run("with the client", func(t *testing.T) {
		left := make(chan struct{})
		d := openDoor(t, e.group(switching(t, "chat", func(_ net.Conn, r *bufio.Reader) { _, _ = io.ReadAll(r); close(left) })), nil)
		c, _, _ := d.upgrade("chat")
		reset(c)
		within(t, func() { <-left })
		d.result()
	})
	t.Run("with the gateway, but not with a deadline", func(t *testing.T) {
		var stop context.CancelFunc
		expired := make(chan struct{})
		d := openDoor(t, e.group(switching(t, "chat", func(c net.Conn, r *bufio.Reader) { _, _ = io.Copy(c, r) })), func(x *gate.Exchange) {
			if x.Host == "deadline" {
				var cancel context.CancelFunc
				x.Context, cancel = context.WithTimeout(x.Context, 300*time.Millisecond)
				context.AfterFunc(x.Context, func() { cancel(); close(expired) })
				return
			}
			x.Context, stop = context.WithCancel(x.Context)
		})
		_, r, _ := d.upgrade("chat")
		stop()
		if _, err := r.ReadByte(); err == nil {
			t.Error("the connection was not closed")
		}
		if res := d.result(); res.Reason != gate.ReasonClientGone {
			t.Errorf("%+v", res)
		}

		c := d.raw()
		r = bufio.NewReader(c)
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: deadline\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
		readHead(r)
		<-expired
		_, _ = io.WriteString(c, "x")
		if b, err := r.ReadByte(); b != 'x' || err != nil {
			t.Errorf("after the deadline: %q, %v", b, err)
		}
		_ = c.Close()
		d.result()
	})
}

func TestUpgradeRefused(t *testing.T) { eachEngine(t, testUpgradeRefused) }

func testUpgradeRefused(t *testing.T, e engine) {
	t.Helper()
	t.Run("by the server", func(t *testing.T) {
		d := openDoor(t, e.group(backend(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "chat" || r.Header.Get("Connection") != "Upgrade" {
				t.Errorf("got %v", r.Header)
			}
			http.Error(w, "no", http.StatusForbidden)
		})), nil)
		_, r, head := d.upgrade("chat")
		if !strings.HasPrefix(head, "HTTP/1.1 403 ") {
			t.Errorf("got %q", head)
		}
		if body, err := r.ReadString('\n'); body != "no\n" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		if res := d.result(); res.Upgraded || res.Err != nil {
			t.Errorf("%+v", res)
		}
	})
	t.Run("another protocol", func(t *testing.T) {
		d := openDoor(t, e.group(switching(t, "h2c", func(net.Conn, *bufio.Reader) {})), nil)
		_, _, head := d.upgrade("chat")
		if res := d.result(); res.Reason != gate.ReasonUpstreamProtocol || !strings.HasPrefix(head, "HTTP/1.1 502 ") || res.Upgraded {
			t.Errorf("%q, %+v", head, res)
		}
	})
	t.Run("protocols that carry requests", func(t *testing.T) {
		var seen atomic.Value
		url := backend(t, func(w http.ResponseWriter, r *http.Request) {
			seen.Store(r.Header.Get("Upgrade") + r.Header.Get("Http2-Settings"))
		})
		for _, protocol := range []string{"h2c", "H2C", "h2", "HTTP/2.0", "TLS/1.2", "websocket, h2c"} {
			d := openDoor(t, e.group(url), func(x *gate.Exchange) {
				x.Upgrade = protocol // even if the server would let it pass
				x.Out.Add("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
			})
			d.do("GET", "/", nil)
			if got := seen.Load(); got != "" {
				t.Errorf("%s: the server got %q", protocol, got)
			}
		}
	})
	t.Run("HTTP/2 has no upgrade", func(t *testing.T) {
		d := openDoor(t, e.group(backendHTTP2(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })), nil)
		if _, _, head := d.upgrade("chat"); !strings.HasPrefix(head, "HTTP/1.1 418 ") {
			t.Errorf("got %q", head)
		}
	})
}
