package server

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
)

// Every message here must be refused, and nothing that follows on the connection may be served.
func TestMalformedMessagesAreRefused(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			const ok = "Host: a\r\n"
			const next = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
			var served atomic.Int64
			r := start(t, e.settings(), func(x *gate.Exchange) { served.Add(1); say(x, "") })
			for name, c := range map[string]struct {
				message string
				status  string
				reason  gate.Reason // "" if net/http refuses it by itself; the own engine always has a reason
			}{
				"no host":                     {"GET / HTTP/1.1\r\n\r\n", "400", ""},
				"no host, 1.0":                {"GET / HTTP/1.0\r\n\r\n", "400", gate.ReasonBadHost},
				"empty host":                  {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400", gate.ReasonBadHost},
				"two hosts":                   {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400", ""},
				"host twice":                  {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400", ""},
				"host list":                   {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "400", gate.ReasonBadHost},
				"host with user":              {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400", ""},
				"host with path":              {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400", ""},
				"host escaped":                {"GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n", "400", gate.ReasonBadHost},
				"host unicode":                {"GET / HTTP/1.1\r\nHost: ä\r\n\r\n", "400", ""},
				"connect":                     {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "400", gate.ReasonBadTarget},
				"connect path":                {"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", "400", gate.ReasonBadTarget},
				"absolute form":               {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400", map[engine]gate.Reason{gate.EngineOwn: gate.ReasonBadHost, gate.EngineNetHTTP: gate.ReasonBadTarget}[e]},
				"fragment":                    {"GET /a#b HTTP/1.1\r\n" + ok + "\r\n", "400", gate.ReasonBadTarget},
				"asterisk of get":             {"GET * HTTP/1.1\r\n" + ok + "\r\n", "400", gate.ReasonBadTarget},
				"relative target":             {"GET a HTTP/1.1\r\n" + ok + "\r\n", "400", ""},
				"space in target":             {"GET /a b HTTP/1.1\r\n" + ok + "\r\n", "400", ""},
				"bad escape":                  {"GET /%zz HTTP/1.1\r\n" + ok + "\r\n", "400", ""},
				"nul in target":               {"GET /\x00 HTTP/1.1\r\n" + ok + "\r\n", "400", ""},
				"bad method":                  {"G(T / HTTP/1.1\r\n" + ok + "\r\n", "400", ""},
				"version 0.9":                 {"GET /\r\n" + ok + "\r\n", "400", ""},
				"version 1.2":                 {"GET / HTTP/1.2\r\n" + ok + "\r\n", "505", gate.ReasonHTTPVersion},
				"version 3":                   {"GET / HTTP/3.0\r\n" + ok + "\r\n", "505", ""},
				"lower-case version":          {"GET / http/1.1\r\n" + ok + "\r\n", "400", ""},
				"space before colon":          {"GET / HTTP/1.1\r\n" + ok + "X : 1\r\n\r\n", "400", ""},
				"space before content-length": {"POST / HTTP/1.1\r\n" + ok + "Content-Length : 5\r\n\r\nabcde", "400", ""},
				"no colon":                    {"GET / HTTP/1.1\r\n" + ok + "X\r\n\r\n", "400", ""},
				"empty name":                  {"GET / HTTP/1.1\r\n" + ok + ": 1\r\n\r\n", "400", ""},
				"bad name":                    {"GET / HTTP/1.1\r\n" + ok + "X(: 1\r\n\r\n", "400", ""},
				"nul in value":                {"GET / HTTP/1.1\r\n" + ok + "X: a\x00b\r\n\r\n", "400", ""},
				"bare cr in value":            {"GET / HTTP/1.1\r\n" + ok + "X: a\rTransfer-Encoding: chunked\r\n\r\n", "400", ""},
				"folded first":                {"GET / HTTP/1.1\r\n X: 1\r\n" + ok + "\r\n", "400", ""},
				"length twice":                {"POST / HTTP/1.1\r\n" + ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", "400", ""},
				"length list":                 {"POST / HTTP/1.1\r\n" + ok + "Content-Length: 5, 5\r\n\r\nabcde", "400", ""},
				"length signed":               {"POST / HTTP/1.1\r\n" + ok + "Content-Length: +5\r\n\r\nabcde", "400", ""},
				"length negative":             {"POST / HTTP/1.1\r\n" + ok + "Content-Length: -5\r\n\r\nabcde", "400", ""},
				"length empty":                {"POST / HTTP/1.1\r\n" + ok + "Content-Length:\r\n\r\nabcde", "400", ""},
				"length hex":                  {"POST / HTTP/1.1\r\n" + ok + "Content-Length: 0x5\r\n\r\nabcde", "400", ""},
				"length too large":            {"POST / HTTP/1.1\r\n" + ok + "Content-Length: 99999999999999999999\r\n\r\nabcde", "400", ""},
				"coding unknown":              {"POST / HTTP/1.1\r\n" + ok + "Transfer-Encoding: gzip\r\n\r\n", "501", ""},
				"coding list":                 {"POST / HTTP/1.1\r\n" + ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501", ""},
				"coding twice":                {"POST / HTTP/1.1\r\n" + ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", map[engine]string{gate.EngineOwn: "400", gate.EngineNetHTTP: "501"}[e], ""},
				"coding tab":                  {"POST / HTTP/1.1\r\n" + ok + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400", ""},
				"length and coding":           {"POST / HTTP/1.1\r\n" + ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400", ""},
				"coding and length":           {"POST / HTTP/1.1\r\n" + ok + "Transfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n" + next, "400", ""},
				"coding in 1.0":               {"POST / HTTP/1.0\r\n" + ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400", ""},
				"length repeated":             {"POST / HTTP/1.1\r\n" + ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde" + next, "400", ""},
				"bare lf after request line":  {"GET / HTTP/1.1\n" + ok + "\r\n", "400", ""},
				"bare lf in header":           {"GET / HTTP/1.1\r\n" + ok + "X: a\nTransfer-Encoding: chunked\r\n\r\n", "400", ""},
				"bare lf at end":              {"GET / HTTP/1.1\r\n" + ok + "\n" + next, "400", ""},
				"folded":                      {"GET / HTTP/1.1\r\n" + ok + "X: a\r\n b\r\n\r\n", "400", ""},
				"folded coding":               {"POST / HTTP/1.1\r\n" + ok + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", map[engine]string{gate.EngineOwn: "501", gate.EngineNetHTTP: "400"}[e], ""},
			} {
				t.Run(name, func(t *testing.T) {
					served.Store(0)
					before := len(r.refusals())
					got := r.raw(c.message)
					if !strings.HasPrefix(got, "HTTP/1.1 "+c.status+" ") && !strings.HasPrefix(got, "HTTP/1.0 "+c.status+" ") {
						t.Errorf("%q", got)
					}
					if served.Load() != 0 {
						t.Error("it was served")
					}
					reasons := r.refusals()[before:]
					switch {
					case e == gate.EngineOwn && (len(reasons) != 1 || c.reason != "" && reasons[0] != c.reason || reasons[0] == ""),
						e == gate.EngineNetHTTP && c.reason == "" && len(reasons) > 0,
						e == gate.EngineNetHTTP && c.reason != "" && !slices.Equal(reasons, []gate.Reason{c.reason}):
						t.Errorf("reasons %v", reasons)
					}
				})
			}
		})
	}
}

func TestOddButValidMessages(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(x *gate.Exchange) { say(x, fmt.Sprintf("%s %s %d %s", x.Method, x.Target, x.Proto, x.Host)) })
			for message, want := range map[string]string{
				"GET //b/c HTTP/1.1\r\nHost: a:8080\r\nConnection: close\r\n\r\n":       "GET //b/c 11 a:8080",
				"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n":           "GET / 10 a",
				"get /?a=%zz;b HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n": "get /?a=%zz;b 11 [::1]:80",
			} {
				got := r.raw(message)
				if !strings.Contains(got, "200 OK") || !strings.HasSuffix(got, "\r\n\r\n"+want) {
					t.Errorf("%q: %q", message, got)
				}
			}
			// net/http hides whether the two hosts agree.
			absolute := map[engine]string{gate.EngineOwn: "HTTP/1.1 200 ", gate.EngineNetHTTP: "HTTP/1.1 400 "}[e]
			if got := r.raw("GET http://A:80/x HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, absolute) || e == gate.EngineOwn && !strings.HasSuffix(got, "\r\n\r\nGET /x 11 a:80") {
				t.Errorf("absolute form: %q", got)
			}
			got := r.raw("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 204 ") {
				t.Errorf("OPTIONS *: %q", got)
			}
		})
	}
}

func TestHostName(t *testing.T) {
	for host, want := range map[string]string{
		"a": "a", "A.b-c_d": "A.b-c_d", "a.": "a.", "a:1": "a", "1.2.3.4:80": "1.2.3.4", "[::1]": "[::1]", "[::1]:80": "[::1]",
		"": "", ".": "", ".a": "", "a..b": "", "a:": "", "a:x": "", "a:99999": "", "a:123456": "", "a:1:2": "", "[": "", "[]": "", "[a]": "", "[1.2.3.4]": "", "[::1%eth0]": "",
		"[::1]80": "", "::1": "", "a b": "", "a\x00": "", "a#": "", "a?": "", "*": "", repeat(255): "",
	} {
		if got, ok := hostName(host); got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q, %v", host, got, ok)
		}
	}
}
