package h1_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/h1"
)

var update = flag.Bool("update", false, "write testdata/requests.txt and testdata/responses.txt anew")

// next is a request behind the one that is read: whoever finds another end of a body finds something else than this.
const next = "GET /next HTTP/1.1\r\nHost: b\r\n\r\n"

// separators are what some parser somewhere has taken for another separator.
var separators = []string{"", "\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", "\n\n", " ", "  ", "\t", " \r\n", "\x00", "\x0b", "\x0c", "\x85", "\xa0", "\u2028", ":", "\r\n ", "\\r\\n"}

// codings are values and spellings around "Transfer-Encoding: chunked" that parsers have disagreed about.
var codings = []string{
	"Transfer-Encoding: chunked", "transfer-encoding: chunked", "TRANSFER-ENCODING: CHUNKED", "Transfer-Encoding:chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked ",
	"Transfer-Encoding: chunked\t", "Transfer-Encoding:  \t chunked \t ", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "\tTransfer-Encoding: chunked",
	"Transfer-Encoding", "Transfer-Encoding:", "Transfer-Encoding: ", "Transfer-Encoding;: chunked", "Transfer_Encoding: chunked", "Transfer.Encoding: chunked", "Transfer Encoding: chunked", "TransferEncoding: chunked",
	"Transfer-Encoding\x00: chunked", "\x00Transfer-Encoding: chunked", "Transfer-Encoding: \x00chunked", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: \x0cchunked",
	"Transfer-Encoding: chunked\x0b", "Transfer-Encoding: \xa0chunked", "Transfer-Encoding: \x85chunked", "Transfer-Encoding: chunk", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx", "Transfer-Encoding: chun ked",
	"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked,chunked", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,", "Transfer-Encoding: , chunked, ", "Transfer-Encoding: chunked;", "Transfer-Encoding: chunked;q=1",
	"Transfer-Encoding: chunked; a=b", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: 'chunked'", "Transfer-Encoding: identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: gzip",
	"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: gzip,deflate,chunked", "Transfer-Encoding: cow", "Transfer-Encoding: cow, chunked", "Transfer-Encoding: trailers", "Transfer-Encoding: 0",
	"Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\r\n\tchunked", "Transfer-Encoding:\n chunked", "Transfer-Encoding: chun\r\n ked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "X: y\r\r\nTransfer-Encoding: chunked",
	"X: y\n\rTransfer-Encoding: chunked", "X:\r\n Transfer-Encoding: chunked", "X:\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\nX: y", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
	"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
	"Transfer-Encoding:\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding:", "Transfer-Encoding: chunked\r\nX: Transfer-Encoding: identity", "Content-Encoding: chunked", "TE: chunked", "X-Transfer-Encoding: chunked",
	"Tr\xc3\xa4nsfer-Encoding: chunked", "Transfer\u2010Encoding: chunked", "Transfer-Encoding: c\u0068unked", "Transfer-Encoding: chun\u212aed", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "Transfer-Encoding: {chunked}", "(Transfer-Encoding): chunked",
}

// lengths are values of Content-Length for a body of five bytes.
var lengths = []string{
	"5", "05", "0000000000000000005", "00000000000000000005", "+5", "-5", "--5", "5-", " 5 ", "\t5", "5\t", "", " ", "0", "-0", "+0", "00", "4", "6", "5,5", "5, 5", "5,", ",5", "5,6", "5;5", "5 5", "5\t5", "5\r\n 5", "5\n", "5\r", "5\x00", "\x005",
	"5\x0b", "\x0b5", "5\xa0", "0x5", "0X5", "5h", "0b101", "0o5", "5.0", "5.", ".5", "5e0", "5E0", "1_0", "5L", "five", "\"5\"", "'5'", "(5)", "٥", "５", "5%", "%35", "NaN", "Infinity", "null", "2147483647", "2147483648", "4294967296", "4294967301",
	"9223372036854775807", "9223372036854775808", "9223372036854775813", "18446744073709551615", "18446744073709551616", "18446744073709551621", "99999999999999999999999999999999",
}

// sizes are chunk sizes for a chunk of five bytes.
var sizes = []string{
	"5", "05", "000000000000005", "0000000000000005", "00000000000000005", "5 ", " 5", "\t5", "5\t", "+5", "-5", "0x5", "0X5", "x5", "5x", "5h", "5.", "5,", "5 5", "5_", "", "g", "\x005", "5\x00", "\"5\"", "5:", "5;", "5;;", "5;a", "5;a=b", "5; a=b", "5 ;a=b", "5\t;a",
	"5;a=\"b\"", "5;a=\"b;c\"", "5;a=\"\\\"\"", "5;a=\"b", "5;a=b;c=d", "5;a\tb", "5;\xff", "5;a\x00", "5;a\x7f", "5;a\n", "5;a\r", "5;a\nb", "5;a\rb", "5;a=\"\r\n\"", "5;a=\"\n\"", "5\n", "5\r", "5\r\r", "5\n\r", "5\x0b", "5\x0c", "5\x85", "5\xa0", "ffffffffffffffff",
	"fffffffffffffff", "10000000000000005", "7fffffffffffffff", "8000000000000000", "f0000000000000005", "100000005", "4", "6", "0", "00", "5;" + strings.Repeat("a", 250), "5;" + strings.Repeat("a", 260),
}

var targets = []string{
	"/", "//", "///", "//b/", "/a", "/a/", "/a/../b", "/./a", "/..", "/%2e%2e/", "/%2E", "/%00", "/%0d%0a", "/%", "/%2", "/%2g", "/%zz", "/%u0041", "/?", "/??", "/?%", "/?%zz", "/?a=b&c=d", "/?a#b", "/#", "/a;b=c", "/a,b", "/a:b", "/a@b", "/[a]", "/{a}", "/a|b", "/a\\b", "/\"a\"",
	"/<a>", "/^`", "/~", "/!$&'()*+,;=", "/a b", "/a\tb", "/a\x00b", "/a\x7f", "/\xff", "/ä", "/a\r", "/a\n", "", "a", "a/b", "?", "?a", "#", "*", "**", "*a", "/*", ".", "..", ":", ":80", "a:80", "a:b", "http:", "http:/", "http://", "http:///", "http:///a", "http://a", "http://a/", "http://a/b?c",
	"http://a?b", "http://a#b", "HTTP://A/", "https://a/", "http://a:80/", "http://b/", "http://a@b/", "http://a:b@a/", "http://a b/", "http://[::1]/", "http://a%2e/", "http:a", "http:/a", "http:\\\\a", "http//a", "ftp://a/", "ws://a/", "file:///etc/passwd", "javascript:x", "data:,x", "//a", "\\", "\\a", "/\\a", "http://a/%zz", "http://a/%41",
}

var hosts = []string{
	"a", "A", "a.", "a..", ".", ".a", "a.b", "a..b", "a-b", "-a", "a_b", "1", "1.2.3.4", "1.2.3", "0x7f.1", "999.1.1.1", "a:80", "a:", "a:0", "a:65535", "a:65536", "a:99999999", "a:080", "a:+80", "a:-1", "a:x", "a:80:80", ":80", "[::1]", "[::1]:80", "[::1]:", "[::1]80", "[::1", "::1", "[1.2.3.4]", "[::ffff:1.2.3.4]",
	"[fe80::1%25eth0]", "[fe80::1%eth0]", "[v1.a]", "[]", "", " ", "\t", "a b", "a\tb", "a,b", "a, b", "a;b", "a/b", "a/", "/a", "a?b", "a#b", "a@b", "@a", "a:b@c", "a%2eb", "a%00", "%41", "a\\b", "ä", "xn--4ca", "\xe4", "a\x00", "a\x0b", "a\x7f", "a\"", "'a'", "<a>", "(a)", "*", "*.a", "http://a", strings.Repeat("a", 254), strings.Repeat("a", 255),
}

// requestCorpus generates raw requests: each is what one connection carries.
func requestCorpus() []string {
	var out []string
	seen := map[string]bool{}
	add := func(raw string) {
		if !seen[raw] {
			seen[raw] = true
			out = append(out, raw)
		}
	}
	const hello = "hello"
	const chunks = "5\r\nhello\r\n0\r\n\r\n"
	for _, m := range []string{
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "PROPFIND", "M-SEARCH", "get", "Get", "G", "GET\t", "GET ", " GET", "\tGET", "", "G T", "G\x00T", "G:T", "G/T", "\"GET\"", "GET,", "GÉT", "\r\nGET", "\r\n\r\nGET", "\nGET", "\n\nGET", "\rGET", "\r\n GET",
		"\x00GET", "\xef\xbb\xbfGET", "!#$%&'*+-.^_`|~", strings.Repeat("A", 300),
	} {
		add(m + " / HTTP/1.1\r\nHost: a\r\n\r\n" + next)
		add(m + " * HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	for _, target := range targets {
		add("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n" + next)
		add("OPTIONS " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	for _, v := range []string{
		"HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/2", "HTTP/3.0", "HTTP/0.0", "HTTP/9.9", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.10", "HTTP/01.1", "HTTP/1.01", "HTTP/11", "HTTP/1.1.1", "HTTP/1,1", "HTTP/ 1.1", "HTTP /1.1", "HTTP1.1", "http/1.1", "Http/1.1", "HTTPS/1.1", "HTP/1.1",
		"XHTTP/1.1", "ICY/1.1", "HTTP/1.1 ", "HTTP/1.1\t", " HTTP/1.1", "HTTP/1.1x", "HTTP/1.1\x00", "HTTP/+1.1", "HTTP/-1.1", "HTTP/1.-1", "HTTP/a.b", "HTTP/1.1 HTTP/1.1", "", "HTTP/１.1", "HTTP\\1.1", "RTSP/1.0",
	} {
		add("GET / " + v + "\r\nHost: a\r\n\r\n" + next)
		add("POST / " + v + "\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
	}
	for _, h := range hosts {
		add("GET / HTTP/1.1\r\nHost: " + h + "\r\n\r\n")
		add("GET http://" + h + "/ HTTP/1.1\r\nHost: " + h + "\r\n\r\n")
		add("GET / HTTP/1.1\r\nHost: a\r\nHost: " + h + "\r\n\r\n")
	}
	for _, h := range []string{"", "host: a\r\n", "Host : a\r\n", " Host: a\r\n", "Host:a\r\n", "Host: a \r\n", "X-Host: a\r\n", "Host: a\r\nX: y\r\nHOST: b\r\n", "Host: a\r\n b\r\n", "Host:\r\n a\r\n", "Host\r\n", "Host: a\nX: y\r\n", "Connection: Host\r\nHost: a\r\n"} {
		add("GET / HTTP/1.1\r\n" + h + "\r\n" + next)
	}
	for _, c := range codings {
		add("POST / HTTP/1.1\r\nHost: a\r\n" + c + "\r\n\r\n" + chunks + next)
		add("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n" + c + "\r\n\r\n" + chunks + next)
		add("POST / HTTP/1.1\r\nHost: a\r\n" + c + "\r\nContent-Length: 4\r\n\r\n" + chunks + next)
		add("POST / HTTP/1.0\r\nHost: a\r\n" + c + "\r\n\r\n" + chunks + next)
	}
	for _, l := range lengths {
		add("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + l + "\r\n\r\n" + hello + next)
		add("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: " + l + "\r\n\r\n" + hello + next)
		add("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + l + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + next)
	}
	for _, n := range []string{"Content-Length :", " Content-Length:", "Content-Length\t:", "Content_Length:", "Content Length:", "ContentLength:", "Content-Length\x00:", "X: y\nContent-Length:", "X: y\rContent-Length:", "X-Content-Length:", "content-length:", "CONTENT-LENGTH:", "Content-Length;:", "Content-Length"} {
		add("POST / HTTP/1.1\r\nHost: a\r\n" + n + " 5\r\n\r\n" + hello + next)
	}
	const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, s := range sizes {
		add(chunked + s + "\r\nhello\r\n0\r\n\r\n" + next)
		add(chunked + "5\r\nhello\r\n" + s + "\r\nhello\r\n0\r\n\r\n" + next)
		add(chunked + "5\r\nhello\r\n0" + strings.TrimPrefix(s, "5") + "\r\n\r\n" + next)
	}
	for _, s := range separators {
		for _, form := range []string{
			"GET%s/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%sHTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1%sHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost:%sa\r\n\r\n", "GET / HTTP/1.1\r\nHost%s: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a%s\r\n", "GET / HTTP/1.1\r\nHost: a%sX: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n%s",
			"GET / HTTP/1.1\r\nHost: a\r\nX: y%sz: w\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n%sZ: w\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX%sy: z\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX:%s\r\n\r\n", "%sGET / HTTP/1.1\r\nHost: a\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5%s\r\nhello", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked%s\r\n" + chunks, "POST / HTTP/1.1\r\nHost: a\r\nX: y%sTransfer-Encoding: chunked\r\n\r\n" + chunks,
			chunked + "5%shello\r\n0\r\n\r\n", chunked + "5\r\nhello%s0\r\n\r\n", chunked + "5\r\nhello\r\n0%s\r\n", chunked + "5\r\nhello\r\n0\r\n%s", chunked + "5\r\nhello\r\n0\r\nX: y%s\r\n", chunked + "5\r\nhello\r\n0\r\nX: y%sZ: w\r\n\r\n", chunked + "5\r\nhello\r\n0\r\nX%s: y\r\n\r\n",
			chunked + "5;a%sb\r\nhello\r\n0\r\n\r\n", chunked + "5;a=\"%s\"\r\nhello\r\n0\r\n\r\n",
		} {
			add(fmt.Sprintf(form, s) + next)
		}
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		add("G" + c + "T / HTTP/1.1\r\nHost: a\r\n\r\n")
		add("GET /a" + c + "b HTTP/1.1\r\nHost: a\r\n\r\n")
		add("GET / HTTP/1.1\r\nHost: a\r\nX" + c + "Y: z\r\n\r\n")
		add("GET / HTTP/1.1\r\nHost: a\r\nX: some text y" + c + "z and more\r\n\r\n")
		add("GET / HTTP/1.1\r\nHost: a" + c + "b\r\n\r\n")
	}
	for _, f := range []string{
		"Connection: close", "Connection: Close", "Connection: keep-alive", "Connection: keep-alive, close", "Connection: close, keep-alive", "Connection:", "Connection: ,", "Connection: ,close,", "Connection: clo se", "Connection: close;", "Connection: \"close\"", "Connection: X\r\nX: y", "Connection: close\r\nConnection: keep-alive",
		"Proxy-Connection: close", "Keep-Alive: timeout=5", "Upgrade: websocket", "Connection: upgrade\r\nUpgrade: websocket", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b", "Connection: upgrade\r\nUpgrade:", "Connection: upgrade",
		"Expect: 100-continue", "Expect: 100-Continue", "Expect: 100-continue, x", "Expect:", "Expect: 200-ok", "Expect: 100-continue\r\nExpect: 100-continue", "TE: trailers", "TE: gzip;q=0.5, trailers", "Trailer: X", "Trailer: Content-Length", "Accept: */*", "X:", "X: ", "X:\t", ":", ": y", "X", "X;y", "X=y", "X y", "\"X\": y",
		"X: " + strings.Repeat("y", 300), strings.Repeat("X", 300) + ": y", "Authorization: Bearer a.b.c", "Authorization: a\r\nAuthorization: b", "Cookie: a=b; c=\"d\"", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Referer: http://a/ä", "Max-Forwards: 0", "Content-Type: text/plain", "Range: bytes=0-", "Via: 1.0 x", "X-Forwarded-For: 1.2.3.4",
	} {
		add("GET / HTTP/1.1\r\nHost: a\r\n" + f + "\r\n\r\n" + next)
		add("POST / HTTP/1.1\r\nHost: a\r\n" + f + "\r\nContent-Length: 5\r\n\r\n" + hello + next)
		add(chunked[:len(chunked)-2] + f + "\r\n\r\n" + chunks + next)
		add(chunked + "5\r\nhello\r\n0\r\n" + f + "\r\n\r\n" + next)
	}
	return out
}

// verdict is the word for what became of a message.
func verdict(m message) string {
	if m.Err != nil {
		return m.Err.Error()
	}
	return "ok"
}

// The corpus files have a message in Go's quotes and a verdict on each line. They are for other tests as well: servers and back ends can be sent the same bytes.
func TestCorpusFiles(t *testing.T) {
	check := func(name string, messages []string, judge func(raw string) string) {
		var b strings.Builder
		accepted := 0
		for _, raw := range messages {
			v := judge(raw)
			if v == "ok" {
				accepted++
			}
			fmt.Fprintf(&b, "%s\t%s\n", strconv.Quote(raw), v)
		}
		t.Logf("%s: %d messages, %d of them accepted", name, len(messages), accepted)
		if *update {
			if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
			t.Errorf("%s (-file +now), -update accepts it:\n%s", name, diff)
		}
	}
	check("testdata/requests.txt", requestCorpus(), func(raw string) string { return verdict(readRequest(h1.Limits{HTTP10: true}, false, []byte(raw))) })
	check("testdata/responses.txt", responseCorpus(), func(raw string) string { return verdict(readResponse("GET", h1.Limits{}, []byte(raw))) })
}

// responseCorpus generates raw responses to GET.
func responseCorpus() []string {
	var out []string
	seen := map[string]bool{}
	add := func(raw string) {
		if !seen[raw] {
			seen[raw] = true
			out = append(out, raw)
		}
	}
	const chunks = "5\r\nhello\r\n0\r\n\r\n"
	for _, line := range []string{
		"HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.1 200OK", "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK", "HTTP/1.1 200 OK OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "HTTP/1.1 000 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 -20 OK", "HTTP/1.1 2e2 OK", "HTTP/1.1 999 OK",
		"HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/2 200 OK", "HTTP/0.9 200 OK", "http/1.1 200 OK", "HTTP/1.1", "HTTP/1.1 ", "", " HTTP/1.1 200 OK", "\r\nHTTP/1.1 200 OK", "ICY 200 OK", "<html>", "HTTP/1.1 200 O\x00K", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\nK", "HTTP/1.1 200 \xff", "HTTP/1.10 200 OK", "HTTP/11 200 OK", "HTTP/1.1 ２００ OK",
	} {
		add(line + "\r\nContent-Length: 5\r\n\r\nhello" + ok)
		add(line + "\r\n\r\nhello")
	}
	for status := 100; status < 1000; status += 1 + status%7 {
		add(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nhello%s", status, ok))
	}
	for _, status := range []string{"100", "101", "102", "103", "199", "204", "205", "304"} {
		for _, f := range []string{"", "Content-Length: 0\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"} {
			add("HTTP/1.1 " + status + " X\r\n" + f + "\r\n" + chunks)
		}
	}
	for _, c := range codings {
		add(ok + c + "\r\n\r\n" + chunks + ok)
		add(ok + "Content-Length: 15\r\n" + c + "\r\n\r\n" + chunks + ok)
		add("HTTP/1.0 200 OK\r\n" + c + "\r\n\r\n" + chunks + ok)
	}
	for _, l := range lengths {
		add(ok + "Content-Length: " + l + "\r\n\r\nhello" + ok)
		add(ok + "Content-Length: 5\r\nContent-Length: " + l + "\r\n\r\nhello" + ok)
	}
	for _, s := range sizes {
		add(ok + "Transfer-Encoding: chunked\r\n\r\n" + s + "\r\nhello\r\n0\r\n\r\n" + ok)
	}
	for _, s := range separators {
		for _, form := range []string{
			"HTTP/1.1%s200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200%sOK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK%sContent-Length: 5\r\n\r\nhello", ok + "Content-Length:%s5\r\n\r\nhello", ok + "Content-Length%s: 5\r\n\r\nhello", ok + "Content-Length: 5%s\r\nhello", ok + "Content-Length: 5\r\n%shello",
			ok + "X: y%sContent-Length: 5\r\n\r\nhello", ok + "Transfer-Encoding: chunked\r\n\r\n5%shello\r\n0\r\n\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello%s0\r\n\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0%s\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y%s\r\n",
		} {
			add(fmt.Sprintf(form, s))
		}
	}
	return out
}
