package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

func prefixes(t *testing.T, list ...string) []netip.Prefix {
	t.Helper()
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = p
	}
	return all
}

// v2 builds a version 2 header.
func v2(command, family byte, payload []byte) string {
	b := append([]byte(proxyV2Signature), command, family)
	return string(append(binary.BigEndian.AppendUint16(b, uint16(len(payload))), payload...))
}

var (
	v4Payload = []byte{192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 0, 80}
	v6Payload = append(append(bytes.Repeat([]byte{0xfd}, 16), bytes.Repeat([]byte{0xfe}, 16)...), 0x12, 0x34, 0, 80)
)

func TestParseProxyHeader(t *testing.T) {
	for _, c := range []struct {
		in, source string // source "-": none; "": refused
	}{
		{"PROXY TCP4 192.0.2.1 198.51.100.1 4660 80\r\n", "192.0.2.1:4660"},
		{"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", "[2001:db8::1]:0"},
		{"PROXY UNKNOWN\r\n", "-"},
		{"PROXY UNKNOWN ffff:f:f 1 2 3\r\n", "-"},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 4660 80\n", ""},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 04660 80\r\n", ""},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 +660 80\r\n", ""},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 70000 80\r\n", ""},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 4660\r\n", ""},
		{"PROXY TCP4 192.0.2.1  198.51.100.1 4660 80\r\n", ""},
		{"PROXY TCP4 192.0.2.1 198.51.100.1 4660 80 \r\n", ""},
		{"PROXY TCP4 2001:db8::1 ::1 1 2\r\n", ""},
		{"PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n", ""},
		{"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", ""},
		{"PROXY TCP4 192.0.2.1 x 1 2\r\n", ""},
		{"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", ""},
		{"PROXY \r\n", ""},
		{"proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n", ""},
		{"PROXY UNKNOWN " + repeat(107) + "\r\n", ""},
		{"GET / HTTP/1.1\r\n", ""},
		{v2(0x21, 0x11, v4Payload), "192.0.2.1:4660"},
		{v2(0x21, 0x21, v6Payload), "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:4660"},
		{v2(0x21, 0x11, append(v4Payload[:12:12], 1, 0, 2, 'a', 'b', 4, 0, 0)), "192.0.2.1:4660"},
		{v2(0x20, 0x00, nil), "-"},
		{v2(0x20, 0x11, v4Payload), "-"},
		{v2(0x21, 0x00, []byte("whatever")), "-"},
		{v2(0x21, 0x11, v4Payload[:11]), ""},
		{v2(0x21, 0x21, v6Payload[:35]), ""},
		{v2(0x21, 0x12, v4Payload), ""}, // UDP
		{v2(0x21, 0x31, make([]byte, 216)), ""},
		{v2(0x22, 0x11, v4Payload), ""},
		{v2(0x11, 0x11, v4Payload), ""},
		{v2(0x21, 0x11, append(v4Payload[:12:12], 1, 0)), ""},
		{v2(0x21, 0x11, append(v4Payload[:12:12], 1, 0, 9, 'a')), ""},
		{v2(0x21, 0x00, make([]byte, maxProxyV2)), ""},
	} {
		source, size, err := parseProxyHeader([]byte(c.in + "rest"))
		switch {
		case c.source == "":
			if err == nil || errors.Is(err, errProxyShort) {
				t.Errorf("%q: %v, %v", c.in, source, err)
			}
			continue
		case err != nil || size != len(c.in):
			t.Errorf("%q: size %d, %v", c.in, size, err)
		case c.source == "-" && source.IsValid(), c.source != "-" && source.String() != c.source:
			t.Errorf("%q: %v", c.in, source)
		}
		for i := range len(c.in) {
			if _, _, err := parseProxyHeader([]byte(c.in[:i])); !errors.Is(err, errProxyShort) {
				t.Errorf("%q: %v", c.in[:i], err)
			}
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 4660 80\r\nx"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(0x21, 0x11, v4Payload)))
	f.Add([]byte(v2(0x21, 0x21, append(v6Payload[:36:36], 1, 0, 1, 'a'))))
	f.Add([]byte(v2(0x20, 0, nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		source, size, err := parseProxyHeader(b)
		if err != nil {
			if source.IsValid() || size != 0 {
				t.Fatalf("%v %d beside %v", source, size, err)
			}
			if errors.Is(err, errProxyShort) && len(b) >= maxProxyV2 {
				t.Fatal("more than the limit is asked for")
			}
			return
		}
		if size <= 0 || size > len(b) || size > maxProxyV2 {
			t.Fatalf("size %d of %d", size, len(b))
		}
		// However the bytes arrive, the result is the same: no part is taken for the whole.
		for i := range size {
			if _, _, err := parseProxyHeader(b[:i]); !errors.Is(err, errProxyShort) {
				t.Fatalf("the first %d bytes: %v", i, err)
			}
		}
		if s, n, err := parseProxyHeader(b[:size]); s != source || n != size || err != nil {
			t.Fatalf("%v %d %v", s, n, err)
		}
	})
}

func TestProxyProtocol(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			a := newAuthority(t)
			h := func(x *gate.Exchange) { say(x, x.Peer.String()) }
			loopback := func(l *gate.Listener) {
				l.ProxyProtocol = prefixes(t, "127.0.0.0/8")
				l.HeaderTimeout = 300 * time.Millisecond
			}
			plain := start(t, e.settings(loopback), h)
			secure := start(t, e.settings(loopback, a.withTLS(t)), h)
			const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
			for header, want := range map[string]string{
				"PROXY TCP4 192.0.2.1 198.51.100.1 4660 80\r\n": "192.0.2.1:4660",
				v2(0x21, 0x21, v6Payload):                       "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:4660",
				v2(0x21, 0x11, append(v4Payload[:12:12], append([]byte{1, 2, 0}, make([]byte, 512)...)...)): "192.0.2.1:4660",
				v2(0x20, 0, nil): "127.0.0.1:",
			} {
				if got := plain.raw(header + request); !strings.Contains(got, "\r\n\r\n"+want) {
					t.Errorf("%q: %q", header, got)
				}
				c := secure.dial()
				if _, err := io.WriteString(c, header); err != nil {
					t.Fatal(err)
				}
				tc := a.clientTLS(t, c, func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
				_, _ = io.WriteString(tc, request)
				if b, err := io.ReadAll(tc); err != nil || !strings.Contains(string(b), "\r\n\r\n"+want) {
					t.Errorf("%q over TLS: %q, %v", header, b, err)
				}
			}
			for _, bad := range []string{request, "PROXY nonsense\r\n" + request, "PROXY TCP4 192.0.2.1 ", ""} {
				if got := plain.raw(bad); got != "" {
					t.Errorf("%q was answered: %q", bad, got)
				}
			}
			other := start(t, e.settings(func(l *gate.Listener) { l.ProxyProtocol = prefixes(t, "192.0.2.0/24") }), h)
			if got := other.raw(request); !strings.Contains(got, "127.0.0.1:") {
				t.Errorf("from another address: %q", got)
			}
			if got := other.raw("PROXY TCP4 192.0.2.1 198.51.100.1 4660 80\r\n" + request); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("a header from an address that must not send it: %q", got)
			}
		})
	}
}

func TestBelieve(t *testing.T) {
	trusted := prefixes(t, "10.0.0.0/8", "fd00::/8")
	for _, c := range []struct {
		peer   string
		in     gate.Header
		client string
		scheme string
	}{
		{"192.0.2.9:1", gate.Header{{Name: "X-Forwarded-For", Value: "1.1.1.1"}, {Name: "X-Forwarded-Proto", Value: "https"}}, "192.0.2.9:1", "http"},
		{"10.0.0.1:1", nil, "10.0.0.1:1", "http"},
		{"[::ffff:10.0.0.1]:1", gate.Header{{Name: "x-forwarded-for", Value: "1.1.1.1"}}, "1.1.1.1:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: "6.6.6.6, 1.1.1.1"}}, "1.1.1.1:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: "6.6.6.6, 1.1.1.1,10.2.2.2"}}, "1.1.1.1:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: "1.1.1.1"}, {Name: "X-Forwarded-For", Value: "10.2.2.2 , fd00::1"}}, "1.1.1.1:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: "10.3.3.3, 10.2.2.2"}}, "10.3.3.3:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: "1.1.1.1, unknown, 10.2.2.2"}}, "10.2.2.2:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: "[2001:db8::1]:99"}}, "[2001:db8::1]:99", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: "[2001:db8::1]"}}, "[2001:db8::1]:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-For", Value: ""}}, "10.0.0.1:1", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-Proto", Value: "HTTPS"}}, "10.0.0.1:1", "https"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-Proto", Value: "https, http"}}, "10.0.0.1:1", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "X-Forwarded-Proto", Value: "javascript"}}, "10.0.0.1:1", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: `for=6.6.6.6;proto=http, For="[2001:db8::1]:8";Proto=https;host=evil`}}, "[2001:db8::1]:8", "https"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: `for=1.1.1.1;proto=https, for=10.2.2.2;proto=http`}}, "1.1.1.1:0", "https"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: `for=1.1.1.1;host="a, for=6.6.6.6";proto=https`}}, "1.1.1.1:0", "https"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: `for=1.1.1.1;host="a;for=6.6.6.6;proto=https"`}}, "1.1.1.1:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: `for=1.1.1.1;host="a\", for=6.6.6.6"`}}, "1.1.1.1:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: `for=", for=1.1.1.1;host="a"`}}, "1.1.1.1:0", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: `for=1.1.1.1;for=6.6.6.6`}}, "10.0.0.1:1", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: "for=_hidden;proto=https"}}, "10.0.0.1:1", "http"},
		{"10.0.0.1:1", gate.Header{{Name: "Forwarded", Value: "for=6.6.6.6"}, {Name: "X-Forwarded-For", Value: "1.1.1.1"}}, "1.1.1.1:0", "http"},
	} {
		peer := netip.MustParseAddrPort(c.peer)
		x := gate.Exchange{In: c.in, Peer: peer, Scheme: "http"}
		believe(&x, trusted)
		if x.Client.String() != c.client || x.Scheme != c.scheme || x.PeerTrusted != contains(trusted, peer.Addr()) {
			t.Errorf("%s %v: client %v, scheme %s, trusted %v", c.peer, c.in, x.Client, x.Scheme, x.PeerTrusted)
		}
	}
}

func TestForwardedHostIsNotTheHost(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(func(l *gate.Listener) { l.TrustedProxies = prefixes(t, "127.0.0.0/8") }), func(x *gate.Exchange) {
				say(x, x.Host+" "+x.Client.String()+" "+x.Scheme)
			})
			got := r.raw("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: b\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n")
			if !strings.HasSuffix(got, "\r\n\r\na 1.1.1.1:0 https") {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestPanicsAreContained(t *testing.T) {
	sent := false
	for _, d := range doors(t, func(x *gate.Exchange) {
		if sent {
			_ = x.WriteHead(200, -1)
			_, _ = x.Writer.Write([]byte("part"))
			_ = x.Writer.Flush()
		}
		panic("secret " + x.In.Get("Authorization"))
	}) {
		t.Run(d.name, func(t *testing.T) {
			sent = false
			r := d.request(t, "GET", "/", nil)
			r.Header.Set("Authorization", "Bearer eyJ")
			res, err := d.client.Do(r)
			text(t, res, err)
			if res.StatusCode != 500 {
				t.Errorf("status %d", res.StatusCode)
			}
			sent = true
			if res, err = d.client.Do(r); err == nil {
				if _, err = io.ReadAll(res.Body); err == nil {
					t.Error("the answer looks complete")
				}
				res.Body.Close()
			}
			log := d.log.String()
			if !strings.Contains(log, "handler panicked") || strings.Contains(log, "eyJ") || strings.Contains(log, "secret ") {
				t.Errorf("log %s", log)
			}
		})
	}
}

func TestStreamingBothWaysAndFlush(t *testing.T) {
	for _, d := range doors(t, func(x *gate.Exchange) {
		_ = x.WriteHead(200, -1)
		_ = x.Writer.Flush()
		buf := make([]byte, 64)
		for {
			n, err := x.Body.Read(buf)
			_, _ = x.Writer.Write(bytes.ToUpper(buf[:n]))
			_ = x.Writer.Flush()
			if err != nil {
				return
			}
		}
	}) {
		t.Run(d.name, func(t *testing.T) {
			pr, pw := io.Pipe()
			res, err := d.client.Do(d.request(t, "POST", "/", pr))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			buf := make([]byte, 4)
			for range 5 { // each answer comes before the next part is sent
				_, _ = io.WriteString(pw, "ping")
				if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != "PING" {
					t.Fatalf("%q, %v", buf, err)
				}
			}
			pw.Close()
			if b, err := io.ReadAll(res.Body); err != nil || len(b) > 0 {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

func TestInformational(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(x *gate.Exchange) {
				_ = x.Writer.Informational(100, nil)
				_ = x.Writer.Informational(103, gate.Header{{Name: "Link", Value: "</a>"}})
				x.Reply.Add("X-Final", "1")
				say(x, "")
			})
			got := r.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			early, final, ok := strings.Cut(got, "\r\n\r\n")
			if !ok || early != "HTTP/1.1 103 Early Hints\r\nLink: </a>" || !strings.HasPrefix(final, "HTTP/1.1 200 OK\r\n") || strings.Contains(final, "Link") || !strings.Contains(final, "X-Final: 1") {
				t.Errorf("%q", got)
			}
			if got := r.raw("GET / HTTP/1.0\r\nHost: a\r\n\r\n"); strings.Contains(got, "103") {
				t.Errorf("HTTP/1.0: %q", got)
			}
		})
	}
}

func TestWriterRefusesTheWrongOrder(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			errs := make(chan []error, 1)
			r := start(t, e.settings(), func(x *gate.Exchange) {
				w := x.Writer
				_, err1 := w.Write([]byte("x"))
				_, err2 := w.Upgrade(nil)
				err3, err4 := w.Flush(), w.Trailer(gate.Header{{Name: "A", Value: "b"}})
				say(x, "ok")
				errs <- []error{err1, err2, err3, err4, w.Head(200, nil, 0), w.Informational(103, nil)}
			})
			if got := r.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "ok") {
				t.Errorf("%q", got)
			}
			for i, err := range <-errs {
				if err == nil {
					t.Errorf("call %d was accepted", i)
				}
			}
		})
	}
}

func TestHandlerWithoutAnAnswer(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(*gate.Exchange) {})
			if got := r.raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 500 ") {
				t.Errorf("%q", got)
			}
		})
	}
}

func BenchmarkAdapter(b *testing.B) {
	r := start(b, settings(), func(x *gate.Exchange) { say(x, "hello") })
	g := r.current()
	c := &conn{generation: g, peer: netip.MustParseAddrPort("192.0.2.1:1")}
	req, err := http.NewRequestWithContext(b.Context(), "GET", "http://a/b?c=d", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.RequestURI = "/b?c=d"
	req.Header = http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer " + repeat(700)}, "User-Agent": {"bench"}, "X-Request-Id": {"1"}}
	req = req.WithContext(context.WithValue(req.Context(), connKey{}, c))
	w := &discard{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		g.serve(w, req)
	}
}

// discard is a response that goes nowhere.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header              { return d.header }
func (d *discard) Write(p []byte) (int, error)      { return len(p), nil }
func (d *discard) WriteHeader(int)                  {}
func (d *discard) SetReadDeadline(time.Time) error  { return nil }
func (d *discard) SetWriteDeadline(time.Time) error { return nil }
func (d *discard) FlushError() error                { return nil }
