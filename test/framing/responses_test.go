package framing_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/test/program"
)

// exchange is a request, and the bytes with which it is answered.
type exchange struct {
	method, raw string
}

// responses are the exchanges: answers of the codec's corpus, and those that are made here, to GET and in part to HEAD.
func responses(t *testing.T) (all []exchange) {
	t.Helper()
	c := &corpus{seen: make(map[string]bool)}
	for raw := range verdicts(t, "responses.txt") {
		c.add(raw)
	}
	c.answers()
	for n, raw := range c.all {
		all = append(all, exchange{"GET", raw})
		if n%4 == 0 {
			all = append(all, exchange{"HEAD", raw})
		}
	}
	return all
}

// injected is a response that nobody may get where it is no answer.
const injected = "HTTP/1.1 200 OK\r\nX-Injected: 1\r\nContent-Length: 8\r\n\r\ninjected"

// answers are responses that readers end at different places, and others that are well-formed and rare.
func (c *corpus) answers() {
	const ok = "HTTP/1.1 200 OK\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", 5+len(injected))
	c.add(
		ok+"Content-Length: 5\r\n\r\nhello"+injected, ok+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+injected, ok+length+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+injected, ok+"Transfer-Encoding: chunked\r\n"+length+"\r\n0\r\n\r\n"+injected,
		ok+"Content-Length: 0\r\n"+length+"\r\nhello"+injected, ok+"Content-Length: 0, 5\r\n\r\nhello", ok+"Content-Length: 5, 5\r\n\r\nhello", ok+"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", ok+"Content-Length : 5\r\n\r\nhello"+injected, ok+"Content-Length\t: 5\r\n\r\nhello"+injected,
		ok+"\r\nhello", ok+"Connection: close\r\n\r\nhello", ok+"Connection: keep-alive\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"+injected,
		"HTTP/1.1 204 No Content\r\n\r\n"+injected, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"+injected, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 100 Continue\r\n\r\n"+ok+"Content-Length: 5\r\n\r\nhello", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"+ok+"Content-Length: 5\r\n\r\nhello", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"+ok+"Content-Length: 5\r\n\r\nhello",
		"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello"+ok+"Content-Length: 5\r\n\r\nhello", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+ok+"Content-Length: 5\r\n\r\nhello", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 200)+ok+"Content-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello", "HTTP/1.1 101 Switching Protocols\r\n\r\n"+injected, "HTTP/1.1 199 X\r\n\r\n"+ok+"Content-Length: 0\r\n\r\n", "HTTP/1.1 600 X\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 999 X\r\nContent-Length: 5\r\n\r\nhello",
		ok+"X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", ok+" X: a\r\nContent-Length: 5\r\n\r\nhello", ok+"X: a\nContent-Length: 5\r\n\r\nhello", ok+"X: a\rContent-Length: 5\r\n\r\nhello", ok+"X: a\x00b\r\nContent-Length: 5\r\n\r\nhello", ok+"X\r\nContent-Length: 5\r\n\r\nhello", ok+": a\r\nContent-Length: 5\r\n\r\nhello",
		ok+"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 5\r\n\r\nhello", ok+"X: \xe4\r\nContent-Length: 5\r\n\r\nhello", ok+"X:\r\nX:  \r\nContent-Length: 5\r\n\r\nhello", ok+"x: 1\r\nX: 2\r\nContent-Length: 5\r\n\r\nhello", ok+"X: "+strings.Repeat("y", 9000)+"\r\nContent-Length: 5\r\n\r\nhello", ok+strings.Repeat("X: y\r\n", 150)+"Content-Length: 5\r\n\r\nhello",
		ok+"Connection: X-Secret\r\nX-Secret: 1\r\nContent-Length: 5\r\n\r\nhello", ok+"Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello", ok+"Keep-Alive: timeout=1\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nhello", ok+"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", ok+"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\nhello",
		ok+"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"+injected, ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX\r\n\r\n", ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX : 1\r\n\r\n",
		ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", ok+"Content-Length: 5\r\n\r\nhel", ok+"Content-Length: 5\r\n", ok, "HTTP/1.1 200", "H", "\x16\x03\x01\x02\x00", "220 a ESMTP\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
	)
	for _, s := range slices.Concat(controls, others) {
		c.add(
			ok+"Transfer-Encoding:"+s+"chunked\r\n\r\n0\r\n\r\n"+injected, ok+"Transfer-Encoding"+s+": chunked\r\n\r\n0\r\n\r\n"+injected, ok+"Transfer-Encoding: chunked"+s+"\r\n\r\n0\r\n\r\n"+injected,
			ok+"Content-Length: 5"+s+"\r\n\r\nhello"+injected, ok+"Content-Length"+s+": 5\r\n\r\nhello"+injected, ok+s+"Content-Length: 5\r\n\r\nhello"+injected, "HTTP/1.1"+s+"200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200"+s+"OK\r\nContent-Length: 5\r\n\r\nhello",
			ok+"Transfer-Encoding: chunked\r\n\r\n5"+s+"\r\nhello\r\n0\r\n\r\n"+injected, ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello"+s+"\r\n0\r\n\r\n"+injected, ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0"+s+"\r\n\r\n"+injected,
		)
	}
}

// linger is how long the upstream leaves a connection open behind an answer if nothing else is asked of it: what is framed by the end of the connection, or not complete, needs its end.
const linger = 10 * time.Millisecond

// startRaw starts an upstream that answers /raw/N with the bytes of exchange N and /probe/X with X.
func startRaw(t *testing.T, all []exchange) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(group.Wait)
	t.Cleanup(func() { _ = listener.Close() }) // nobody asks any more
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer func() { _ = conn.Close() }() // everything was written
				answerRaw(conn, all)
			})
		}
	})
	return listener.Addr().String()
}

// answerRaw answers requests without a body until nothing more comes.
func answerRaw(conn net.Conn, all []exchange) {
	reader := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(program.Patience)) // a connection that is gone shows in ReadRequest
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if what, ok := strings.CutPrefix(request.URL.Path, "/probe/"); ok {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(what), what)
			_ = conn.SetReadDeadline(time.Now().Add(program.Patience))
			continue
		}
		n, err := strconv.Atoi(strings.TrimPrefix(request.URL.Path, "/raw/"))
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, all[n].raw) // it may not be read to its end
		_ = conn.SetReadDeadline(time.Now().Add(linger))
	}
}

// got is a response as a client has read it. What has failed, or was answered with 502 by the gateway, has no status.
type got struct {
	Status  int
	Fields  []string // sorted lines, without those of the connection
	Body    string
	Trailer []string
}

// clean makes what different clients say about a response comparable. pairs are names and values.
func clean(status int, fields []string, body string, trailer []string) got {
	g := got{Status: status, Fields: lines(fields), Body: body, Trailer: lines(trailer)}
	if status == http.StatusBadGateway && slices.Contains(g.Fields, "content-type: application/problem+json") {
		return got{}
	}
	return g
}

func lines(pairs []string) (all []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		name := strings.ToLower(pairs[i])
		if !slices.Contains([]string{"date", "connection", "keep-alive", "transfer-encoding", "content-length", "trailer"}, name) {
			all = append(all, name+": "+pairs[i+1])
		}
	}
	slices.Sort(all)
	return all
}

// readers is how many connections a client has.
const readers = 16

func rawPath(n int) string              { return fmt.Sprintf("/raw/%d", n) }
func probe(client string, n int) string { return fmt.Sprintf("%s-%d", client, n) }

// askGo makes all requests with net/http's client, and calls stray for those after which the next one did not get its own answer.
func askGo(t *testing.T, address string, all []exchange, stray func(x exchange, g got)) []got {
	t.Helper()
	results := make([]got, len(all))
	numbers := make(chan int)
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			transport := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}
			defer transport.CloseIdleConnections()
			for n := range numbers {
				results[n] = roundTrip(t, transport, all[n].method, "http://"+address+rawPath(n))
				want := probe("go", n)
				if g := roundTrip(t, transport, "GET", "http://"+address+"/probe/"+want); g.Status != 200 || g.Body != want {
					stray(all[n], g)
				}
			}
		})
	}
	for n := range all {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	return results
}

func roundTrip(t *testing.T, transport *http.Transport, method, url string) got {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Error(err)
		return got{}
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return got{}
	}
	defer func() { _ = response.Body.Close() }() // it was read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return got{}
	}
	return clean(response.StatusCode, pairs(response.Header), string(body), pairs(response.Trailer))
}

func pairs(h http.Header) (all []string) {
	for name, values := range h {
		for _, value := range values {
			all = append(all, name, value)
		}
	}
	return all
}

// askNode does what askGo does with the client of Node.js.
func askNode(t *testing.T, binary, address string, all []exchange, stray func(x exchange, g got)) []got {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	var in, out, complaints bytes.Buffer
	encoder := json.NewEncoder(&in)
	for n := range all {
		if err := encoder.Encode(map[string]any{"N": n, "Method": all[n].method, "Path": rawPath(n), "Probe": "/probe/" + probe("node", n)}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "client.mjs", port, strconv.Itoa(readers))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Errorf("node: %v: %s", err, complaints.String())
	}
	results := make([]got, len(all))
	count := 0
	for line := range strings.Lines(out.String()) {
		type response struct {
			Status  int
			Fields  []string
			Body    string
			Trailer []string
		}
		var r struct {
			N             int
			Result, Probe response
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		for _, texts := range [][]string{r.Result.Fields, r.Result.Trailer} {
			for i := range texts {
				texts[i] = bytesOf(texts[i])
			}
		}
		results[r.N] = clean(r.Result.Status, r.Result.Fields, bytesOf(r.Result.Body), r.Result.Trailer)
		if r.Probe.Status != 200 || r.Probe.Body != probe("node", r.N) {
			stray(all[r.N], got{Status: r.Probe.Status, Body: r.Probe.Body})
		}
		count++
	}
	if count != len(all) {
		t.Errorf("node has answered %d of %d", count, len(all))
	}
	return results
}

// plain is how net/http reads the final response in raw bytes. What it refuses, and what nobody has asked for, has no status.
func plain(x exchange) got {
	reader := bufio.NewReader(strings.NewReader(x.raw))
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: x.method})
		if err != nil || response.StatusCode == http.StatusSwitchingProtocols {
			return got{}
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return got{}
		}
		if response.StatusCode >= 200 {
			return clean(response.StatusCode, pairs(response.Header), string(body), pairs(response.Trailer))
		}
	}
}

// TestResponses: whatever an upstream answers, clients read alike what the gateway makes of it, as net/http reads the answer itself, or get 502 or a response that is visibly not complete; and the next
// request gets its own answer.
func TestResponses(t *testing.T) {
	all := responses(t)
	node := find(t, "node")
	upstream := startRaw(t, all)
	var config strings.Builder
	b := &backend{name: "raw", address: upstream}
	config.WriteString(strings.ReplaceAll(configure([]*backend{b}), "proxyProtocol: [127.0.0.1], ", ""))
	gateway := program.Run(t, program.Build(t), config.String())
	malformed := make(map[string]bool)
	for raw, verdict := range verdicts(t, "responses.txt") {
		malformed[raw] = verdict != "ok"
	}
	for _, engine := range engines {
		t.Run(strings.ReplaceAll(engine, "/", ""), func(t *testing.T) {
			address := gateway.Addresses[listenerOf(engine, b)]
			stray := func(x exchange, g got) {
				if g.Status != 0 && g.Status != http.StatusBadGateway { // no answer is no wrong one; see lost
					t.Errorf("%s %.300q: the next request got %+v", x.method, x.raw, g)
				}
			}
			byGo := askGo(t, address, all, stray)
			if node != "" {
				lost := 0
				for n, byNode := range askNode(t, node, address, all, stray) {
					if (byGo[n].Status == 0) != (byNode.Status == 0) {
						lost++
						continue
					}
					if diff := cmp.Diff(byGo[n], byNode); diff != "" {
						t.Errorf("%s %.300q (-go +node):\n%s", all[n].method, all[n].raw, diff)
					}
				}
				// The upstream closes connections in the moment in which they are asked again: on a busy machine, tries are used up by that.
				if t.Logf("%d were answered to one client only", lost); lost > len(all)/100 {
					t.Errorf("%d were answered to one client only", lost)
				}
			}
			complete := 0
			for n, g := range byGo {
				if g.Status == 0 {
					continue
				}
				complete++
				x := all[n]
				if want := plain(x); want.Status != g.Status || want.Body != g.Body {
					t.Errorf("%s %.300q: the client reads %+v, and without the gateway %+v", x.method, x.raw, g, want)
				}
				if engine == "jotgate" && x.method == "GET" && malformed[x.raw] {
					t.Errorf("%.300q is malformed, and was passed on as %+v", x.raw, g)
				}
			}
			t.Logf("%d responses, %d of them passed on as complete", len(all), complete)
			if complete < len(all)/5 {
				t.Error("too few are passed on to prove anything")
			}
		})
	}
	gateway.Stop(t)
	if log := gateway.Log.Text(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") {
		t.Error(log)
	}
}

// TestResponsesAreHostile: without a gateway the clients do not agree about the responses. If they did, the responses would prove nothing.
func TestResponsesAreHostile(t *testing.T) {
	node := find(t, "node")
	if node == "" {
		t.Skip("net/http alone agrees with itself")
	}
	all := responses(t)
	disagreements := 0
	for n, g := range askNode(t, node, startRaw(t, all), all, func(exchange, got) {}) {
		if !cmp.Equal(g, plain(all[n])) {
			disagreements++
		}
	}
	t.Logf("%d responses, %d of them read differently", len(all), disagreements)
	if disagreements < len(all)/10 {
		t.Error("the responses are too tame")
	}
}
