package main

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestExchange(t *testing.T) {
	type request struct {
		Method, Scheme, Host, Target, Client, Body string
		Proto                                      int
		In                                         gate.Header
	}
	defaults := func(change func(*request)) request {
		r := request{Method: "GET", Scheme: "http", Host: "localhost", Target: "/", Client: "127.0.0.1", Proto: 11}
		change(&r)
		return r
	}
	tests := []struct {
		name  string
		flags requestFlags
		args  []string
		want  request
	}{
		{"path", requestFlags{}, []string{"/a"}, defaults(func(r *request) { r.Target = "/a" })},
		{"method and path", requestFlags{}, []string{"PUT", "/a?b"}, defaults(func(r *request) { r.Method, r.Target = "PUT", "/a?b" })},
		{"address", requestFlags{}, []string{"https://a.example:8443/x"}, defaults(func(r *request) {
			r.Scheme, r.Host, r.Target = "https", "a.example:8443", "/x"
		})},
		{"address without a path", requestFlags{}, []string{"http://a.example"}, defaults(func(r *request) { r.Host = "a.example" })},
		{"address with a query only", requestFlags{}, []string{"http://a.example?x=1"}, defaults(func(r *request) { r.Host, r.Target = "a.example", "/?x=1" })},
		{"IPv6", requestFlags{}, []string{"http://[::1]:80/"}, defaults(func(r *request) { r.Host = "[::1]:80" })},
		{"scheme in capitals", requestFlags{}, []string{"HTTPS://a.example/"}, defaults(func(r *request) { r.Scheme, r.Host = "https", "a.example" })},
		{"the path is not cleaned", requestFlags{}, []string{"http://a.example/a/%2e%2e//b/../c;x"}, defaults(func(r *request) {
			r.Host, r.Target = "a.example", "/a/%2e%2e//b/../c;x"
		})},
		{"no fragment", requestFlags{}, []string{"/a#b"}, defaults(func(r *request) { r.Target = "/a" })},
		{"request line", requestFlags{line: "POST /a HTTP/2"}, nil, defaults(func(r *request) { r.Method, r.Target, r.Proto = "POST", "/a", 20 })},
		{"request line without protocol", requestFlags{line: "POST /a"}, nil, defaults(func(r *request) { r.Method, r.Target = "POST", "/a" })},
		{"headers", requestFlags{headers: []string{"X-A: 1 ", "x-a:2", "Host: b.example"}}, []string{"http://a.example/"}, defaults(func(r *request) {
			r.Host, r.In = "b.example", gate.Header{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}}
		})},
		{"token", requestFlags{token: " a.b.c\n"}, []string{"/"}, defaults(func(r *request) {
			r.In = gate.Header{{Name: "Authorization", Value: "Bearer a.b.c"}}
		})},
		{"token beside a header", requestFlags{token: "t", headers: []string{"Authorization: Basic x"}}, []string{"/"}, defaults(func(r *request) {
			r.In = gate.Header{{Name: "Authorization", Value: "Basic x"}, {Name: "Authorization", Value: "Bearer t"}}
		})},
		{"client", requestFlags{client: "::ffff:192.0.2.1"}, []string{"/"}, defaults(func(r *request) { r.Client = "192.0.2.1" })},
		{"body", requestFlags{data: "a=1"}, []string{"/"}, defaults(func(r *request) {
			r.Body, r.In = "a=1", gate.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Content-Length", Value: "3"}}
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.flags.client == "" {
				tt.flags.client = "127.0.0.1"
			}
			x, err := tt.flags.exchange(t.Context(), &input{stdin: strings.NewReader("")}, tt.args, false)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(x.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := request{x.Method, x.Scheme, x.Host, x.Target, x.Client.Addr().String(), string(body), x.Proto, x.In}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if x.Peer != x.Client || x.Length != int64(len(body)) || x.Trace == nil {
				t.Errorf("peer %v, length %d, trace %v", x.Peer, x.Length, x.Trace)
			}
		})
	}
}

func TestExchangeRefuses(t *testing.T) {
	ok := netip.MustParseAddr("127.0.0.1").String()
	tests := []struct {
		name  string
		flags requestFlags
		args  []string
	}{
		{"nothing", requestFlags{}, nil},
		{"three arguments", requestFlags{}, []string{"GET", "/", "HTTP/1.1"}},
		{"both", requestFlags{line: "GET /"}, []string{"/"}},
		{"protocol", requestFlags{line: "GET / HTTP/3"}, nil},
		{"method", requestFlags{}, []string{"GE T", "/"}},
		{"space", requestFlags{}, []string{"/a b"}},
		{"line break", requestFlags{}, []string{"/a\r\nX: y"}},
		{"relative", requestFlags{}, []string{"a/b"}},
		{"other scheme", requestFlags{}, []string{"file:///etc"}},
		{"user", requestFlags{}, []string{"http://a@b/"}},
		{"no host", requestFlags{}, []string{"http:///a"}},
		{"header without colon", requestFlags{headers: []string{"X"}}, []string{"/"}},
		{"header name", requestFlags{headers: []string{"X Y: 1"}}, []string{"/"}},
		{"header value", requestFlags{headers: []string{"X: a\r\nY: b"}}, []string{"/"}},
		{"client", requestFlags{client: "localhost"}, []string{"/"}},
		{"time", requestFlags{at: "now"}, []string{"/"}},
		{"empty token", requestFlags{token: " "}, []string{"/"}},
		{"standard input twice", requestFlags{token: "-", data: "-"}, []string{"/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.flags.client == "" {
				tt.flags.client = ok
			}
			if x, err := tt.flags.exchange(t.Context(), &input{stdin: strings.NewReader("x")}, tt.args, false); err == nil {
				t.Errorf("accepted as %s %s%s", x.Method, x.Host, x.Target)
			}
		})
	}
}

func TestExchangeTime(t *testing.T) {
	flags := requestFlags{client: "127.0.0.1", at: "2026-01-02T03:04:05Z"}
	x, err := flags.exchange(t.Context(), &input{}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC); !x.Start.Equal(want) {
		t.Errorf("time %s, want %s", x.Start, want)
	}
}
