package framing_test

import (
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// smuggled is a request that nobody may see where it is the body of another.
const smuggled = "GET /smuggle HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n" // 40 bytes

// next is a request behind the one that is looked at.
const next = "GET /next HTTP/1.1\r\nHost: b\r\n\r\n"

// corpus is a list of messages without repetitions.
type corpus struct {
	all  []string
	seen map[string]bool
}

func (c *corpus) add(messages ...string) {
	for _, raw := range messages {
		if !c.seen[raw] {
			c.seen[raw] = true
			c.all = append(c.all, raw)
		}
	}
}

// requests is what connections carry, one each: the messages of the codec's corpus, and those that are made here.
func requests(t *testing.T) []string {
	t.Helper()
	c := &corpus{seen: make(map[string]bool)}
	for raw := range verdicts(t, "requests.txt") {
		c.add(raw)
	}
	before := len(c.all)
	c.examples()
	c.wild()
	c.rows()
	c.disguises()
	c.lengths()
	c.chunks()
	c.forms()
	c.sections()
	if n := len(c.all) - before; n < 1000 {
		t.Fatalf("only %d requests were made", n)
	}
	return c.all
}

// verdicts reads a file of the codec's corpus: on each line a message in Go's quotes, and what the codec says about it.
func verdicts(t *testing.T, name string) iter.Seq2[string, string] {
	t.Helper()
	text, err := os.ReadFile("../../internal/h1/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(raw, verdict string) bool) {
		for line := range strings.Lines(string(text)) {
			quoted, verdict, _ := strings.Cut(strings.TrimSpace(line), "\t")
			raw, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(raw, verdict) {
				return
			}
		}
	}
}

// examples are messages that RFC 9110 and RFC 9112 show or describe.
func (c *corpus) examples() {
	c.add(
		"GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n",                                      // RFC 9112 section 2.1 and RFC 9110 section 3.9
		"GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n\r\n",                                                                                          // RFC 9112 section 3.2.1
		"GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n",                                                        // 3.2.2
		"CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com\r\n\r\n",                                                                                // 3.2.3
		"OPTIONS * HTTP/1.1\r\nHost: www.example.org\r\n\r\n",                                                                                                 // 3.2.4
		"OPTIONS http://www.example.org:8001 HTTP/1.1\r\nHost: www.example.org:8001\r\n\r\n",                                                                  // 3.2.4
		"GET /pub/WWW/ HTTP/1.1\r\nHost: www.example.org\r\n\r\n",                                                                                             // RFC 9110 section 7.2
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",                                                                     // RFC 9112 section 6.1
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3495\r\n\r\n"+strings.Repeat("x", 3495),                                                                // RFC 9110 section 8.6
		"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers, deflate;q=0.5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nExpires: Wed, 21 Oct 2015\r\n\r\n", // RFC 9112 section 7.4
		"PUT /somewhere/fun HTTP/1.1\r\nHost: origin.example.com\r\nContent-Type: video/h264\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",       // RFC 9110 section 10.1.1
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket, IRC/6.9, RTA/x11\r\n\r\n",                                                    // 7.8
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",                                                                                            // 7.6.2
		"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n",                                                                                              // 9.3.8
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-hop, keep-alive\r\nX-Hop: y\r\nKeep-Alive: timeout=5\r\n\r\n",                                             // 7.6.1
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nWiki\r\n5;ext=\"a b\"\r\npedia\r\n0\r\nX-Sum: 9\r\n\r\n",      // RFC 9112 section 7.1
		"GET / HTTP/1.0\r\n\r\n", // Appendix C.1.1
		"GET /\r\n",              // HTTP/0.9
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\r\n"+next,                                                                                      // 2.2: an extra line end behind a body
		"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html;q=0.5,\r\n application/json\r\n\r\n",                                                                         // 5.2
		"GET / HTTP/1.1\r\nHost: a\r\nExample-Field: Foo, Bar\r\nExample-Field: Baz\r\n\r\n",                                                                         // RFC 9110 section 5.2
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 42, 42\r\n\r\n"+strings.Repeat("x", 42),                                                                       // 8.6
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"+smuggled,                                      // RFC 9112 section 9.6
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"+next,                                                                                                                    // 6.3
		"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=500-600,601-999\r\nIf-Range: \"xyzzy\"\r\nIf-None-Match: W/\"xyzzy\", \"r2d2xxxx\", *\r\nAccept: */*;q=0\r\n\r\n", // conditions
	)
}

// wild are messages as clients, bots and mistaken programs send them.
func (c *corpus) wild() {
	c.add(
		"GET /test HTTP/1.1\r\nUser-Agent: curl/7.18.0 (i486-pc-linux-gnu) libcurl/7.18.0 OpenSSL/0.9.8g zlib/1.2.3.3 libidn/1.1\r\nHost: 0.0.0.0=5000\r\nAccept: */*\r\n\r\n",
		"GET /favicon.ico HTTP/1.1\r\nHost: 0.0.0.0:5000\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip,deflate\r\nKeep-Alive: 300\r\nConnection: keep-alive\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: a\r\naaaaaaaaaaaaa:++++++++++\r\n\r\n",
		"GET /forums/1/topics/2375?page=1#posts-17408 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /get_no_headers_no_body/world HTTP/1.1\r\n\r\n",
		"GET /x?foo=\"bar\" HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /post_identity_body_world?q=search#hey HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nContent-Length: 5\r\n\r\nWorld",
		"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 4\r\nConnection: close\r\n\r\nq=42\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nLine1:   abc\r\n\tdef\r\n ghi\r\n\t\tjkl\r\n  mno \r\n\t \tqrs\r\nLine2: \t line2\t\r\n\r\n",
		"GET http://hypnotoad.org?hail=all HTTP/1.1\r\nHost: hypnotoad.org\r\n\r\n",
		"GET http://hypnotoad.org:1234 HTTP/1.1\r\nHost: hypnotoad.org:1234\r\n\r\n",
		"PATCH /file.txt HTTP/1.1\r\nHost: www.example.com\r\nContent-Type: application/example\r\nContent-Length: 10\r\n\r\ncccccccccc",
		"GET /δ¶/δt/pope?q=1#narf HTTP/1.1\r\nHost: github.com\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-SSL-Cert:   -----BEGIN CERTIFICATE-----\r\n\tMIIFbTCCBFWgAwIBAgICH4cwDQYJKoZIhvcNAQEFBQAwcDELMAkGA1UEBhMCVUsx\r\n\t-----END CERTIFICATE-----\r\n\r\n",
		"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nST: \"ssdp:all\"\r\n\r\n",
		"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n", "SUBSCRIBE / HTTP/1.1\r\nHost: a\r\nCallback: <http://b/>\r\n\r\n",
		"SOURCE /my_sweet_stream HTTP/1.1\r\nHost: example.com\r\n\r\n", "SOURCE /x ICE/1.0\r\nHost: a\r\n\r\n", "DESCRIBE rtsp://a/x RTSP/1.0\r\nCSeq: 2\r\n\r\n",
		"LINK /images/my_dog.jpg HTTP/1.1\r\nHost: example.com\r\nLink: <http://example.com/profiles/joe>; rel=\"tag\"\r\n\r\n", "PURGE /file.txt HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "SEARCH / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
		"REPORT /test HTTP/1.1\r\nHost: a\r\n\r\n", "MKACTIVITY /x HTTP/1.1\r\nHost: a\r\n\r\n", "PROPFIND / HTTP/1.1\r\nHost: a\r\nDepth: 0\r\nContent-Length: 5\r\n\r\nhello", "QUERY /contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "LOCK / HTTP/1.1\r\nHost: a\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/1.1\r\nHost: a\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"+smuggled,
		"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"+smuggled,
		"POST /demo HTTP/1.1\r\nHost: a\r\nUpgrade: HTTP/2.0\r\nConnection: Upgrade\r\nContent-Length: 15\r\n\r\nsweet post body"+smuggled,
		"CONNECT home0.netscape.com:443 HTTP/1.0\r\nUser-agent: Mozilla/1.1N\r\n\r\nsome data\r\nand yet even more data", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 10\r\n\r\nblarfcicle",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00\x00\x00\x00", "\r\n\r\n\r\n", "hello\r\n\r\n", "\x80\x01\x02", "EHLO a\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "{\"a\":1}\r\n", "GET / HTTP/1.1\r\n", "GET", "GET ",
		"GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nname\r\n : value\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n\r\n\r\n"+next, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("X: y\r\n", 60)+"\r\n",
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"+next, "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\rHost: a\r\r", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\nhello",
	)
}

// kinds are well-formed requests of each framing; the end of each is certain.
var kinds = []string{
	"GET /get HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS /options HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST /sized HTTP/1.1\r\nHost: a\r\nContent-Length: " + "41" + "\r\n\r\n" + smuggled + "z",
	"POST /empty HTTP/1.1\r\nHost: a\r\n\r\n",
	"PUT /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n28\r\n" + smuggled + "\r\n0\r\n\r\n",
	"PATCH /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST /trailer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;x=y\r\nabc\r\n000\r\nX-Sum: 1\r\n\r\n",
	"DELETE /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
	"POST /expect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
	"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	"GET /get-body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n" + smuggled + "\r\n0\r\n\r\n",
	"POST /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
	"POST /old HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
	"GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
}

// rows are requests one behind the other, in pairs, threes and long rows.
func (c *corpus) rows() {
	for i, first := range kinds {
		for j, second := range kinds {
			c.add(first+second, first+"\r\n"+second, first+second+kinds[(i+j)%10]+next)
		}
		c.add(strings.Repeat(first, 20) + next)
	}
}

// controls and others are what some reader passes over, or takes for the end of something.
var (
	controls = []string{"\x00", "\x01", "\x08", "\t", "\n", "\v", "\f", "\r", "\x0e", "\x1b", "\x1f", " "}
	others   = []string{"\x7f", "\x80", "\x85", "\xa0", "\xff", "\u00a0", "\u2028", "\ufeff", "\u200b", "\r\n ", "\r\n\t", "\n ", "\\", "/", ";", ",", "\"", "'", "=", "#", "%20", "%0d%0a", "+", "-", "_", ":", ".", "0", "4", "x", "e", "L"}
)

// disguises are ways to say Content-Length or Transfer-Encoding that one reader takes for it and another does not, each beside a framing that says something else, with a request in the bytes that
// they disagree about.
func (c *corpus) disguises() {
	var codings []string
	for _, s := range controls {
		codings = append(codings, "Transfer-Encoding"+s+": chunked", s+"Transfer-Encoding: chunked", "Transfer-Encoding:"+s+"chunked", "Transfer-Encoding: chunked"+s, "Transfer-Encoding: chu"+s+"nked", "Transfer"+s+"Encoding: chunked", "X: y"+s+"Transfer-Encoding: chunked")
	}
	for _, s := range others {
		codings = append(codings, "Transfer-Encoding"+s+": chunked", s+"Transfer-Encoding: chunked", "Transfer-Encoding:"+s+"chunked", "Transfer-Encoding: chunked"+s)
	}
	for _, value := range []string{"chunked, identity", "identity, chunked", "chunked;a=b", "deflate, chunked", "chunked, chunked", "CHUNKED", "Chunked", "\"chunked\"", "x-chunked", "chunkedchunked", "compress", "", "null", "true", "1"} {
		codings = append(codings, "Transfer-Encoding: "+value, "Transfer-Encoding: chunked\r\nTransfer-Encoding: "+value, "Transfer-Encoding: "+value+"\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-encoding: "+value, "TRANSFER-ENCODING: "+value)
	}
	length := fmt.Sprintf("Content-Length: %d", len("0\r\n\r\n")+len(smuggled))
	for _, coding := range codings {
		c.add(
			"POST / HTTP/1.1\r\nHost: a\r\n"+length+"\r\n"+coding+"\r\n\r\n0\r\n\r\n"+smuggled+next,                                               // CL.TE
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"+coding+"\r\n\r\n"+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled), // TE.CL
			"POST / HTTP/1.1\r\nHost: a\r\n"+coding+"\r\n\r\n0\r\n\r\n"+smuggled,                                                                  // TE.0
		)
	}
}

// lengths are bodies where none are usual, and lengths that readers take for another number.
func (c *corpus) lengths() {
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "POST", "PUT", "PROPFIND", "get", "X"} {
		for _, target := range []string{"/", "/static/a.css", "/..", "/%2e", "/a?b"} {
			c.add(
				fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", method, target, len(smuggled))+smuggled+next, // CL.0
				fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: %d\r\n\r\n", method, target, len(smuggled))+smuggled+next,
				fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", method, target, len(smuggled), smuggled)+next,
				fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", method, target, len(smuggled))+smuggled+next,
				fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\nContent-Length: %d\r\n\r\n", method, target, len(smuggled))+smuggled+next,
				fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method, target)+smuggled, // 0.CL
			)
		}
	}
	for _, s := range slices.Concat(controls, others) {
		c.add(
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4"+s+"0\r\n\r\n"+smuggled,
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:"+s+"40\r\n\r\n"+smuggled,
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length"+s+":40\r\n\r\n"+smuggled,
		)
	}
}

// chunks are bodies in the chunked coding, most of them wrong.
func (c *corpus) chunks() {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, size := range []string{"28", "028", "00000028", "+28", "-28", "0x28", "0X28", "28h", "28 ", " 28", "\t28", "28\t", "28\x00", "28;", "28 ;a", "28;a=b", "28;a=\"b\"", "28;\ta", "28,28", "28.0", "2 8", "2_8", "40d", "4O", "１", "ffffffff00000028", "100000000000000028", "0000000000000000000000000028", "8000000000000028", "fffffffffffffff8", "7fffffffffffffff"} {
		c.add(
			head+size+"\r\n"+smuggled+"\r\n0\r\n\r\n"+next,
			head+"5\r\nhello\r\n"+size+"\r\n"+smuggled+"\r\n0\r\n\r\n"+next,
			head+size+"\n"+smuggled+"\r\n0\r\n\r\n"+next, head+size+"\r"+smuggled+"\r\n0\r\n\r\n"+next, head+size+"\r\n"+smuggled+"\n0\r\n\r\n"+next, head+size+"\r\n"+smuggled+"0\r\n\r\n"+next,
		)
	}
	for _, end := range []string{"0\r\n\r\n", "0\r\n", "0\n\n", "0\r\n\n", "0\n\r\n", "0\r\r", "00\r\n\r\n", "0;a\r\n\r\n", "0;a=\"\r\n\r\n\"\r\n\r\n", "0 \r\n\r\n", "-0\r\n\r\n", "0x0\r\n\r\n", "\r\n\r\n", "0\r\n\r\n\r\n", "0\r\n \r\n", "0\r\n\x00\r\n", "0\r\nX\r\n\r\n"} {
		c.add(head+end+smuggled, head+"5\r\nhello\r\n"+end+smuggled, head+"5\r\nhello"+end+smuggled)
	}
	for _, trailer := range []string{
		"X: y", "X:y", "X: y\r\nX: z", "Content-Length: 40", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Host: b", "Authorization: Bearer x", "X-Forwarded-For: 10.0.0.1", "Connection: close", "Connection: X\r\nX: y", "Expect: 100-continue", "Upgrade: websocket", "Cookie: a=b", "Trailer: X", "Set-Cookie: a=b", "Content-Type: a/b",
		"X : y", " X: y", "X: y\r\n z", "X: \x00", "X: \x01", ": y", "X y: z", "GET / HTTP/1.1", "X: \xff", "X: " + strings.Repeat("y", 3000),
	} {
		c.add(head+"5\r\nhello\r\n0\r\n"+trailer+"\r\n\r\n"+smuggled, strings.Replace(head, "\r\n\r\n", "\r\nTrailer: X\r\n\r\n", 1)+"0\r\n"+trailer+"\r\n\r\n"+next, head+"0\r\n"+trailer+"\n\r\n"+next, head+"0\r\n"+trailer+"\r\n\n"+next)
	}
	for _, n := range []int{1, 2, 15, 16, 17, 255, 256, 4095, 4096, 4097, 8191, 8192, 20000} {
		body := strings.Repeat("0\r\n\r\n", n/5+1)[:n]
		c.add(head+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, body)+next, head+fmt.Sprintf("%X\r\n%s\r\n1\r\na\r\n0\r\n\r\n", n, body)+next, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, body)+next)
	}
	c.add(head+strings.Repeat("1\r\na\r\n", 500)+"0\r\n\r\n"+next, head+strings.Repeat("1;x=y\r\n\n\r\n", 100)+"0\r\n\r\n"+next, head+strings.Repeat("0", 300)+"5\r\nhello\r\n0\r\n\r\n"+next)
}

// forms are targets and hosts that readers put together in different ways.
func (c *corpus) forms() {
	hosts := []string{"a", "A", "b", "a:80", "a:", "a.", "", "a b", "a,b", "a@b", "b@a", "a/b", "[::1]", "[::1]:80", "1.2.3.4", "localhost", "127.0.0.1", "a\tb", "a\x00b", "a#b", "a?b", "a%41", "a_b", "a..b", "http://a", "*"}
	for _, host := range hosts {
		for _, target := range []string{"http://a/", "http://a:80/", "https://a/", "HTTP://A/", "http://b/", "/", "//a/", "http://a", "http://a/?b", "http:///"} {
			c.add("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n" + next)
		}
		c.add(
			"GET / HTTP/1.1\r\nHost: "+host+"\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nhost: "+host+"\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n Host: "+host+"\r\n\r\n", "GET / HTTP/1.1\r\n Host: "+host+"\r\nHost: a\r\n\r\n",
			"GET / HTTP/1.1\r\nHost : "+host+"\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: "+host+"\r\nForwarded: for=1.2.3.4;host="+host+"\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", "GET / HTTP/1.0\r\nHost: "+host+"\r\n\r\n", "GET "+host+" HTTP/1.1\r\nHost: a\r\n\r\n",
		)
	}
	for _, path := range []string{"/a/../b", "/a/%2e%2e/b", "/a/.%2e/b", "/a//b", "/%2f", "/%5c", "/\\", "/a;b", "/a;/../b", "/%00", "/%0a", "/%0d%0aX:%20y", "/%25", "/%252e", "/%c0%ae", "/%C3%A4", "/a%20b", "/+", "/%2B", "/a?b?c", "/a?b#c", "/a?%0d%0a", "/a?%zz", "/~", "/%7e", "/a=b", "/'", "/!*()", "/a|b", "/a^b", "/{a}", "/?", "/a?", "/a&b", "/a%3Fb", "/a%23b", "/:80", "/@a", "/a:b@c", "/*", "/..;/", "/./", "/...", "/a/.", "/a/.."} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			c.add(method + " " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" + next)
		}
	}
}

// sections are headers with fields that mean something to a connection, and with what separates lines.
func (c *corpus) sections() {
	for _, f := range []string{
		"Connection: close", "Connection: keep-alive", "Connection: X", "Connection: Host", "Connection: X-Forwarded-For", "Connection: close, X-Forwarded-For", "Connection: Content-Length", "Connection: Transfer-Encoding", "Connection: te, close", "Connection: upgrade", "Connection: \"close\"", "Connection: a b", "Proxy-Connection: keep-alive", "Keep-Alive: 300",
		"Upgrade: websocket", "Upgrade: h2c", "Upgrade: h2", "Upgrade: TLS/1.0", "Connection: Upgrade\r\nUpgrade: websocket", "Connection: Upgrade\r\nUpgrade: h2c", "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1", "Connection: Upgrade\r\nUpgrade: a b", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
		"Expect: 100-continue", "Expect: 100-Continue", "Expect: 200-ok", "Expect:", "Expect: 100-continue, a", "Expect: 100-continue;a", "TE: trailers", "TE: chunked", "TE:", "Trailer: Content-Length", "Trailer: X", "Trailer:", "Content-Encoding: chunked", "Content-Type: multipart/form-data; boundary=a", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: PUT",
		"X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X-Forwarded-For: 10.200.200.200", "x-forwarded-for: 10.200.200.200", "X_Forwarded_For: 10.200.200.200", "X-Forwarded-For : 10.200.200.200", "X-Seen: 10.200.200.200", "Cookie: a=b\r\nCookie: c=d", "Max-Forwards: 0", "Via: 1.1 a", "Content-Length: 0", "Content-Length : 0", "Content_Length: 40", "Content-Length\t: 40",
		"X:\r\n y", "X: y\r\n\tz", "X: y\rZ: w", "X: y\nZ: w", "X: y\x00z", "X\x00: y", "X\r: y", "X\n: y", "(X): y", "X: \xe4", "\xe4: y", "X: y\x0bz", "X: y\x0cz", "X: y\x7fz", "X: y\x85z", ":", "::", ": X", "X", "X:", "X:\t", " ", "\t", "=", "{}", "\x00",
	} {
		c.add(
			"GET / HTTP/1.1\r\nHost: a\r\n"+f+"\r\n\r\n"+next, "GET / HTTP/1.1\r\n"+f+"\r\nHost: a\r\n\r\n"+next, "POST / HTTP/1.1\r\nHost: a\r\n"+f+"\r\nContent-Length: 40\r\n\r\n"+smuggled+next,
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"+f+"\r\n\r\n28\r\n"+smuggled+"\r\n0\r\n\r\n"+next, "GET / HTTP/1.0\r\nHost: a\r\n"+f+"\r\n\r\n"+next,
		)
	}
	for _, ends := range slices.Collect(combinations([]string{"\r\n", "\n", "\r", "\r\r\n", "\n\r"}, 3)) {
		c.add("GET / HTTP/1.1" + ends[0] + "Host: a" + ends[1] + "X: y" + ends[2] + "\r\n" + next)
	}
}

// combinations yields all rows of n parts.
func combinations(parts []string, n int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		row := make([]int, n)
		for {
			chosen := make([]string, n)
			for i, k := range row {
				chosen[i] = parts[k]
			}
			if !yield(chosen) {
				return
			}
			i := 0
			for ; i < n; i++ {
				if row[i]++; row[i] < len(parts) {
					break
				}
				row[i] = 0
			}
			if i == n {
				return
			}
		}
	}
}
