package attack_test

import (
	"fmt"
	"strings"
	"testing"
)

// messages attacks the framing of HTTP/1.1, where two servers may see two different requests in one message.
func (s *suite) messages(t *testing.T) {
	t.Run("refused", s.badFraming)
	t.Run("read in one way", s.laxFraming)
	t.Run("a body that breaks off", s.brokenBodies)
	t.Run("a request behind a request", s.smuggled)
}

// smuggle is a request that the upstream must never see.
const smuggle = "GET /tickets/admin?smuggled HTTP/1.1\r\nHost: api.test\r\nX-User: root\r\n\r\n"

// post is a request to a public path of the anonymous API, so that nothing but the framing is in the way.
func post(lines ...string) string {
	return "POST /x HTTP/1.1\r\nHost: open.test\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func (s *suite) badFraming(t *testing.T) {
	const zero = "0\r\n\r\n"
	for name, tt := range map[string]struct {
		message string
		status  int
	}{
		"two different lengths":                {post("Content-Length: 0", fmt.Sprintf("Content-Length: %d", len(smuggle))) + smuggle, 400},
		"two lengths in a line":                {post("Content-Length: 0, 5") + smuggle, 400},
		"length with a plus":                   {post("Content-Length: +5") + "abcde", 400},
		"length negative":                      {post("Content-Length: -1") + smuggle, 400},
		"length hexadecimal":                   {post("Content-Length: 0x5") + "abcde", 400},
		"length with a space inside":           {post("Content-Length: 5 5") + "abcde", 400},
		"length with a letter":                 {post("Content-Length: 5a") + "abcde", 400},
		"length with an underscore":            {post("Content-Length: 1_0") + "abcdeabcde", 400},
		"length too large for any number":      {post("Content-Length: 99999999999999999999") + "abcde", 400},
		"length with a space before the colon": {post("Content-Length : 5") + "abcde", 400},
		"length of other digits":               {post("Content-Length: ５") + "abcde", 400},
		"length empty":                         {post("Content-Length:") + smuggle, 400},
		"coding unknown":                       {post("Transfer-Encoding: xchunked") + zero + smuggle, 501},
		"coding identity":                      {post("Transfer-Encoding: identity") + smuggle, 501},
		"coding gzip, chunked":                 {post("Transfer-Encoding: gzip, chunked") + zero + smuggle, 501},
		"coding chunked, identity":             {post("Transfer-Encoding: chunked, identity") + zero + smuggle, 501},
		"coding chunked twice":                 {post("Transfer-Encoding: chunked, chunked") + zero + smuggle, 501},
		"coding in two lines":                  {post("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + zero + smuggle, 501},
		"coding in two lines, the same":        {post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + zero + smuggle, 501},
		"coding with a space before the colon": {post("Transfer-Encoding : chunked") + zero + smuggle, 400},
		"coding with a tab before the colon":   {post("Transfer-Encoding\t: chunked") + zero + smuggle, 400},
		"coding with a vertical tab":           {post("Transfer-Encoding: \x0bchunked") + zero + smuggle, 400},
		"coding with a zero byte":              {post("Transfer-Encoding: chunked\x00") + zero + smuggle, 400},
		"coding in quotes":                     {post(`Transfer-Encoding: "chunked"`) + zero + smuggle, 501},
		"coding with a parameter":              {post("Transfer-Encoding: chunked;x") + zero + smuggle, 501},
		"coding with a letter of two bytes":    {post("Transfer-Encoding: chun\u212aed") + zero + smuggle, 501},
		"coding with a comma":                  {post("Transfer-Encoding: chunked,") + zero + smuggle, 501},
		"version 2.0":                          {"GET /x HTTP/2.0\r\nHost: open.test\r\n\r\n", 505},
		"version 1.2":                          {"GET /x HTTP/1.2\r\nHost: open.test\r\n\r\n", 505},
		"version 3.0":                          {"GET /x HTTP/3.0\r\nHost: open.test\r\n\r\n", 505},
		"version in lower case":                {"GET /x http/1.1\r\nHost: open.test\r\n\r\n", 400},
		"version with a space":                 {"GET /x HTTP/1.1 \r\nHost: open.test\r\n\r\n", 400},
		"version of two digits":                {"GET /x HTTP/1.10\r\nHost: open.test\r\n\r\n", 400},
		"two spaces in the request line":       {"GET  /x HTTP/1.1\r\nHost: open.test\r\n\r\n", 400},
		"method with a colon":                  {"GET: /x HTTP/1.1\r\nHost: open.test\r\n\r\n", 400},
		"method empty":                         {" /x HTTP/1.1\r\nHost: open.test\r\n\r\n", 400},
		"method with a control character":      {"G\x01T /x HTTP/1.1\r\nHost: open.test\r\n\r\n", 400},
		"header line without a colon":          {"GET /x HTTP/1.1\r\nHost: open.test\r\nX\r\n\r\n", 400},
		"first header line folded":             {"GET /x HTTP/1.1\r\n Host: open.test\r\nHost: open.test\r\n\r\n", 400},
		"header larger than allowed":           {"GET /x HTTP/1.1\r\nHost: open.test\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", 431},
		"many header lines":                    {"GET /x HTTP/1.1\r\nHost: open.test\r\n" + strings.Repeat("X: y\r\n", 20000) + "\r\n", 431},
		"target larger than allowed":           {"GET /" + strings.Repeat("x", 80<<10) + " HTTP/1.1\r\nHost: open.test\r\n\r\n", 431},
		"TLS":                                  {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			answers := s.send(t, "web", []byte(tt.message))
			s.untouched(t)
			if len(answers) != 1 || answers[0].StatusCode != tt.status && answers[0].StatusCode != 400 { // what is malformed in two ways may be called either
				t.Errorf("want one answer %d, got %v", tt.status, summary(answers))
			}
		})
	}
}

func summary(answers []answer) (all []string) {
	for _, a := range answers {
		all = append(all, fmt.Sprintf("%d %.100s", a.StatusCode, a.body))
	}
	return all
}

// laxFraming are messages that may be taken, for RFC 9112 allows it; the upstream must see one message in one form of them. The end of the connection is asked for
// by a second request behind the first: if the two ends disagreed about where the first one ends, it would not be answered.
func (s *suite) laxFraming(t *testing.T) {
	end := "GET /end HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n"
	for name, tt := range map[string]struct{ message, body string }{
		"length twice, the same":            {post("Content-Length: 3", "Content-Length: 3") + "abc", "abc"},
		"length with zeros before":          {post("Content-Length: 0003") + "abc", "abc"},
		"length and coding":                 {post("Content-Length: 3", "Transfer-Encoding: chunked") + "5\r\nabcde\r\n0\r\n\r\n", "abcde"},
		"coding and length":                 {post("Transfer-Encoding: chunked", fmt.Sprintf("Content-Length: %d", 5+len(smuggle))) + "0\r\n\r\n", ""},
		"coding in capitals":                {post("Transfer-Encoding: CHUNKED") + "3\r\nabc\r\n0\r\n\r\n", "abc"},
		"coding folded":                     {post("Transfer-Encoding:\r\n chunked") + "3\r\nabc\r\n0\r\n\r\n", "abc"},
		"coding under another name":         {post("Content-Length: 3", "Transfer_Encoding: chunked", "Transfer.Encoding: chunked") + "abc", "abc"},
		"length under another name":         {post("Content-Length: 3", "Content_Length: 9", "Content.Length: 9") + "abc", "abc"},
		"line ends of one byte":             {strings.ReplaceAll(post("Content-Length: 3"), "\r\n", "\n") + "abc", "abc"},
		"empty line before":                 {"\r\n" + post("Content-Length: 3") + "abc", "abc"},
		"chunk extension":                   {post("Transfer-Encoding: chunked") + "3;x=\"\r\nabc\r\n0\r\n\r\n", "abc"},
		"chunk size with zeros":             {post("Transfer-Encoding: chunked") + "0003\r\nabc\r\n0000\r\n\r\n", "abc"},
		"chunk size in capitals":            {post("Transfer-Encoding: chunked") + "A\r\nabcdefghij\r\n0\r\n\r\n", "abcdefghij"},
		"trailer":                           {post("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n", "abc"},
		"folded line":                       {post("X-Other: a\r\n b", "Content-Length: 3") + "abc", "abc"},
		"GET with a body":                   {"GET /x HTTP/1.1\r\nHost: open.test\r\nContent-Length: 3\r\n\r\nabc", "abc"},
		"GET with a body that is a request": {fmt.Sprintf("GET /x HTTP/1.1\r\nHost: open.test\r\nContent-Length: %d\r\n\r\n", len(smuggle)) + smuggle, smuggle},
		"body that is a request":            {post(fmt.Sprintf("Content-Length: %d", len(smuggle))) + smuggle, smuggle},
		"chunk that is a request":           {post("Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggle), smuggle), smuggle},
		"HTTP/1.0 with a length":            {"POST /x HTTP/1.0\r\nHost: open.test\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			answers := s.send(t, "web", []byte(tt.message+end))
			reached := s.upstream.take()
			for _, complaint := range s.upstream.takeComplaints() {
				t.Error(complaint)
			}
			if len(answers) == 1 && answers[0].StatusCode >= 400 && len(reached) == 0 {
				return
			}
			if len(reached) == 0 || reached[0].target() != "/x" || !reached[0].complete || reached[0].body != tt.body || len(answers) != len(reached) || answers[0].StatusCode != 200 {
				var lines []string
				for _, r := range reached {
					lines = append(lines, fmt.Sprintf("%s (complete %v, body %.40q)", r.line, r.complete, r.body))
				}
				t.Fatalf("answers %v, requests %q", summary(answers), lines)
			}
			reached[0].sees(t, "X-User")
			if len(reached) > 2 || len(reached) == 2 && reached[1].target() != "/end" {
				t.Errorf("%d requests reached the upstream: %q", len(reached), reached[len(reached)-1].raw)
			}
		})
	}
}

// brokenBodies break off after their header has gone on already: the upstream must see that they are not complete, or complains in the end.
func (s *suite) brokenBodies(t *testing.T) {
	chunked := "POST " + brokenTarget + " HTTP/1.1\r\nHost: open.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n"
	for name, m := range map[string]string{
		"chunk size no number":         chunked + "xyz\r\nabc\r\n0\r\n\r\n",
		"chunk size negative":          chunked + "-1\r\nabc\r\n0\r\n\r\n",
		"chunk size with 0x":           chunked + "0x3\r\nabc\r\n0\r\n\r\n",
		"chunk size with a plus":       chunked + "+3\r\nabc\r\n0\r\n\r\n",
		"chunk size of 17 digits":      chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n",
		"chunk size empty":             chunked + "\r\nabc\r\n0\r\n\r\n",
		"chunk size with underscores":  chunked + "0_3\r\nabc\r\n0\r\n\r\n",
		"chunk longer than it says":    chunked + "2\r\nabc\r\n0\r\n\r\n",
		"chunk shorter than it says":   chunked + "5\r\nabc\r\n0\r\n\r\n",
		"bare line feed after a size":  chunked + "3\nabc\r\n0\r\n\r\n",
		"bare line feed in extension":  chunked + "3;a\nb\r\nabc\r\n0\r\n\r\n",
		"bare line feed after a chunk": chunked + "3\r\nabc\n0\r\n\r\n",
		"bare carriage return":         chunked + "3\rabc\r\n0\r\n\r\n",
		"endless chunk extension":      chunked + "3;" + strings.Repeat("x", 40<<10) + "\r\nabc\r\n0\r\n\r\n",
		"extensions larger than data":  chunked + strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\na\r\n", 40) + "0\r\n\r\n",
		"trailer without a colon":      chunked + "0\r\nX\r\n\r\n",
		"endless trailer":              chunked + "0\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			answers := s.send(t, "web", []byte(m))
			s.untouched(t)
			if len(answers) > 1 || len(answers) == 1 && answers[0].StatusCode != 400 {
				t.Errorf("answers %v, want at most one 400", summary(answers))
			}
		})
	}
	t.Run("trailer with a space in its name", func(t *testing.T) { // it is no trailer, or no message
		answers := s.send(t, "web", []byte(strings.Replace(chunked, "3\r\nabc\r\n", "0\r\nX-User : root\r\n\r\n", 1)))
		if len(answers) != 1 || answers[0].StatusCode != 400 && answers[0].StatusCode != 200 {
			t.Errorf("answers %v", summary(answers))
		}
	})
}

// smuggled: what follows a refused request on its connection is its body or a request of its own, which is judged itself.
func (s *suite) smuggled(t *testing.T) {
	for name, m := range map[string]string{
		"body of a refused request":       fmt.Sprintf("POST /tickets HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n", len(smuggle)) + smuggle,
		"chunks of a refused request":     "POST /tickets HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggle), smuggle),
		"body of a request without route": fmt.Sprintf("POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: %d\r\n\r\n", len(smuggle)) + smuggle,
		"body of a request with Expect":   fmt.Sprintf("POST /tickets HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(smuggle)) + smuggle,
		"body of a bad token":             fmt.Sprintf("POST /tickets HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer x\r\nContent-Length: %d\r\n\r\n", len(smuggle)) + smuggle,
		"a large body":                    fmt.Sprintf("POST /tickets HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n", 1<<20) + strings.Repeat(" ", 1<<20-len(smuggle)) + smuggle,
		"a form that is too large":        fmt.Sprintf("POST / HTTP/1.1\r\nHost: places.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", 1<<20) + strings.Repeat("a", 1<<20-len(smuggle)) + smuggle,
		"a form that is cut":              fmt.Sprintf("POST / HTTP/1.1\r\nHost: places.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", len(smuggle)) + smuggle,
	} {
		t.Run(name, func(t *testing.T) {
			end := "GET /end HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n"
			answers := s.send(t, "web", []byte(m+end))
			s.untouched(t)
			if len(answers) == 0 || len(answers) > 2 || answers[0].StatusCode < 400 || len(answers) == 2 && answers[1].StatusCode != 404 {
				t.Errorf("answers %v", summary(answers))
			}
		})
	}
	for _, path := range []string{"/tickets", "/tickets/health"} {
		t.Run("a request behind an upgrade that "+path+" does not make", func(t *testing.T) {
			upgrade := "GET " + path + " HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
			answers := s.send(t, "web", []byte(upgrade+strings.Replace(smuggle, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)))
			for _, r := range s.upstream.take() {
				if strings.Contains(r.raw, "smuggled") || path == "/tickets" {
					t.Errorf("the upstream got %q", r.raw)
				}
			}
			if len(answers) == 0 || answers[len(answers)-1].StatusCode == 200 && len(answers) > 1 || answers[0].StatusCode == 101 {
				t.Errorf("answers %v", summary(answers))
			}
		})
	}
	t.Run("requests in a row are judged one by one", func(t *testing.T) {
		good, bad := string(s.get("/tickets", bearer(s.good()))), string(s.get("/tickets"))
		good, bad = strings.Replace(good, "Connection: close\r\n", "", 1), strings.Replace(bad, "Connection: close\r\n", "", 1)
		answers := s.send(t, "web", []byte(good+bad+good+bad+"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"))
		var statuses []int
		for _, a := range answers {
			statuses = append(statuses, a.StatusCode)
		}
		if fmt.Sprint(statuses) != "[200 401 200 401 404]" || len(s.upstream.take()) != 2 {
			t.Errorf("statuses %v", statuses)
		}
	})
}
