// Package framing sends raw messages through the real program to real servers, and asks whether all of them read what is forwarded alike: where a message ends, and what it says. Back ends are nginx,
// HAProxy, Node.js and Go's net/http; both engines are in front of each.
package framing_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/test/program"
)

// engines are those that can serve HTTP/1.1 and speak it to upstreams.
var engines = []string{"jotgate", "net/http"}

// lastRequest is behind each message: where it is read as a request, the connection ends with its answer.
const lastRequest = "GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"

// A connection that stays silent for settle is put aside: it is read on when all others are done. If it is still silent then, for quiet, the message is not complete, and the client's side is closed.
const (
	settle = 40 * time.Millisecond
	quiet  = time.Second
)

// senders is how many connections are open at once to each listener, without those that were put aside.
const senders = 8

// answer is a final response that a client gets.
type answer struct {
	status int
	back   string // who of the back ends says it; "" for the gateway
	seen   string // what the back end has read in X-Forwarded-For
}

// outcome is what becomes of a message.
type outcome struct {
	answers  []answer
	readings []reading // of the back end, in their order
}

// door is a way for messages: a listener of the gateway, or a server itself.
type door struct {
	address string
	// preface is sent in front of message number n.
	preface func(n int) string
	// ended is called when nothing more comes back for message number n, before its connection is closed. It may be called from several goroutines.
	ended func(n int, client net.Addr)
}

// send sends the messages with these numbers, each over a connection of its own, and returns what comes back.
func (d *door) send(t *testing.T, messages []string, numbers []int) []string {
	t.Helper()
	got := make([]string, len(messages))
	todo := make(chan int)
	var (
		group, late sync.WaitGroup
		done        = make(chan struct{})
	)
	for range senders {
		group.Go(func() {
			for n := range todo {
				conn, err := (&net.Dialer{Timeout: program.Patience}).DialContext(t.Context(), "tcp", d.address)
				if err != nil {
					t.Error(err)
					continue
				}
				preface := ""
				if d.preface != nil {
					preface = d.preface(n)
				}
				_, _ = io.WriteString(conn, preface+messages[n]+lastRequest) // it may be refused before its end
				text, silent := receive(conn, settle)
				if got[n] = text; !silent {
					d.end(n, conn)
					continue
				}
				late.Go(func() {
					<-done
					text, silent := receive(conn, quiet)
					if got[n] += text; silent {
						_ = conn.(*net.TCPConn).CloseWrite() // it may be gone, which shows in receive
						text, silent = receive(conn, program.Patience)
						got[n] += text
					}
					if silent {
						t.Errorf("%q: neither an answer nor the end of the connection after %q", messages[n], got[n])
					}
					d.end(n, conn)
				})
			}
		})
	}
	for _, n := range numbers {
		todo <- n
	}
	close(todo)
	group.Wait()
	close(done)
	late.Wait()
	return got
}

func (d *door) end(n int, conn net.Conn) {
	if d.ended != nil {
		d.ended(n, conn.LocalAddr())
	}
	_ = conn.Close() // everything was read
}

// receive reads until the connection ends, or is silent for so long.
func receive(conn net.Conn, patience time.Duration) (text string, silent bool) {
	var all []byte
	buf := make([]byte, 4096)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(patience)) // a connection that is gone shows in Read
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		var netErr net.Error
		if errors.As(err, &netErr) && netErr.Timeout() {
			return string(all), true
		}
		if err != nil {
			return string(all), false
		}
	}
}

// head finds the responses on a connection: no body here has a line like that.
var head = regexp.MustCompile(`(?s)HTTP/1\.[01] (\d{3}) .*?\r\n\r\n`)

// haproxyRefusal is in HAProxy's answer to what is malformed.
const haproxyRefusal = "Your browser sent an invalid request."

var (
	backField = regexp.MustCompile(`(?i)\r\nX-Back: (.*?)\r\n`)
	seenField = regexp.MustCompile(`(?i)\r\nX-Seen: (.*?)\r\n`)
)

// answers finds the final responses in what a client got.
func answers(text string) (all []answer) {
	for _, m := range head.FindAllStringSubmatch(text, -1) {
		status, _ := strconv.Atoi(m[1]) // they are digits
		if status < 200 {
			continue
		}
		a := answer{status: status}
		if f := backField.FindStringSubmatch(m[0]); f != nil {
			a.back = f[1]
		} else if strings.Contains(m[0], "\r\nContent-Length: 90\r\n") && strings.Contains(text, haproxyRefusal) {
			a.back = "haproxy" // which says so without a field that could be set
		}
		if f := seenField.FindStringSubmatch(m[0]); f != nil {
			a.seen = f[1]
		}
		all = append(all, a)
	}
	return all
}

// identity is the client's address that message n comes from over an engine, as the PROXY protocol says. It is how readings are told apart.
func identity(engine, n int) string {
	v := 1 + engine<<20 + n
	return netip.AddrFrom4([4]byte{10, byte(v >> 16), byte(v >> 8), byte(v)}).String()
}

// listenerOf is the listener that leads over an engine to a back end.
func listenerOf(engine string, b *backend) string {
	return b.name + "-" + strings.ReplaceAll(engine, "/", "")
}

// configure writes the configuration of a gateway with a listener for each engine and back end.
func configure(backends []*backend) string {
	var listeners, upstreams, apis strings.Builder
	for _, engine := range engines {
		for _, b := range backends {
			name := listenerOf(engine, b)
			fmt.Fprintf(&listeners, "  - {name: %s, address: \"127.0.0.1:0\", engine: %s, proxyProtocol: [127.0.0.1], http2: false}\n", name, engine)
			fmt.Fprintf(&upstreams, "  - {name: %s, engine: %s, servers: [{url: \"http://%s\"}]}\n", name, engine, b.address)
			fmt.Fprintf(&apis, "  - {name: %s, listeners: [%s], match: \"PathPrefix(`/`)\", upstream: %s, auth: {anonymous: true}}\n", name, name, name)
		}
	}
	return "listeners:\n" + listeners.String() + "upstreams:\n" + upstreams.String() + "apis:\n" + apis.String()
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }

// results are what became of each message, by engine and back end. What was not sent has no answers.
type results map[string]map[string][]outcome

// through sends the messages through the gateway: all of them to the first back end, which tells what reaches it, and to the others those that do. What the gateway refuses by itself is refused
// before it knows a back end; of that, they get a part. access is the access log.
func through(t *testing.T, backends []*backend, messages []string) (all results, access string) {
	t.Helper()
	gateway := program.Run(t, program.Build(t), configure(backends))
	all = make(results)
	numbers := make([][]int, len(engines))
	for e, engine := range engines {
		all[engine] = make(map[string][]outcome)
		for n := 0; n < len(messages); n += 1 + e { // half of them is enough for the reference
			numbers[e] = append(numbers[e], n)
		}
	}
	round := func(backends []*backend) {
		var group sync.WaitGroup
		for e, engine := range engines {
			for _, b := range backends {
				outcomes := make([]outcome, len(messages))
				all[engine][b.name] = outcomes
				d := &door{address: gateway.Addresses[listenerOf(engine, b)], preface: func(n int) string { return "PROXY TCP4 " + identity(e, n) + " 127.0.0.1 1000 80\r\n" }}
				group.Go(func() {
					for n, text := range d.send(t, messages, numbers[e]) {
						outcomes[n].answers = answers(text)
					}
				})
			}
		}
		group.Wait()
	}
	round(backends[:1])
	touched := backends[0].touched()
	for e := range engines {
		numbers[e] = slices.DeleteFunc(numbers[e], func(n int) bool { return !touched[identity(e, n)] && n%16 != 0 })
	}
	round(backends[1:])
	gateway.Stop(t)
	if log := gateway.Log.Text(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") {
		t.Error(log)
	}
	assign(t, backends, len(messages), all)
	return all, gateway.Access.Text()
}

// assign stops the back ends, and gives each reading to the message that it is of.
func assign(t *testing.T, backends []*backend, messages int, all results) {
	t.Helper()
	places := make(map[string][2]int)
	for e := range engines {
		for n := range messages {
			places[identity(e, n)] = [2]int{e, n}
		}
	}
	for _, b := range backends {
		for _, r := range b.stop(t) {
			place, known := places[r.ID]
			if !known {
				t.Errorf("%s has read a request that nobody has sent: %+v", b.name, r)
				continue
			}
			o := &all[engines[place[0]]][b.name][place[1]]
			r.ID = ""
			o.readings = append(o.readings, r)
		}
	}
}

// direct sends the messages to net/http itself.
func direct(t *testing.T, messages []string) []outcome {
	t.Helper()
	g, address := serveGo(t)
	outcomes := make([]outcome, len(messages))
	d := &door{address: address, ended: func(n int, client net.Addr) {
		g.mu.Lock()
		defer g.mu.Unlock()
		outcomes[n].readings = g.byPeer[client.String()]
		delete(g.byPeer, client.String()) // the next connection may have the same address
	}}
	numbers := make([]int, len(messages))
	for n := range numbers {
		numbers[n] = n
	}
	for n, text := range d.send(t, messages, numbers) {
		outcomes[n].answers = answers(text)
	}
	return outcomes
}

// TestRequests: whatever the gateway forwards, all back ends read alike, and nothing is served that net/http refuses.
func TestRequests(t *testing.T) {
	messages := requests(t)
	backends := startBackends(t)
	j := &judge{messages: messages, backends: backends, direct: direct(t, messages)}
	j.through, j.access = through(t, backends, messages)
	t.Logf("%d messages", len(messages))
	t.Run("read alike", j.alike)
	t.Run("not more than net/http", j.strict)
}

// TestRequestsAreHostile: without a gateway the back ends do not agree about the messages. If they did, the messages would prove nothing.
func TestRequestsAreHostile(t *testing.T) {
	const part = 8 // of the messages
	messages := requests(t)
	var numbers []int
	for n := 0; n < len(messages); n += part {
		numbers = append(numbers, n)
	}
	backends := startBackends(t)
	if len(backends) == 1 {
		t.Skip("net/http alone agrees with itself")
	}
	texts := make([][]string, len(backends))
	var group sync.WaitGroup
	for i, b := range backends {
		group.Go(func() { texts[i] = (&door{address: b.address}).send(t, messages, numbers) })
	}
	group.Wait()
	disagreements := 0
	for _, n := range numbers {
		served := make(map[int]bool)
		for _, all := range texts {
			count := 0
			for _, a := range answers(all[n]) {
				if a.status == 200 {
					count++
				}
			}
			served[count] = true
		}
		if len(served) > 1 {
			disagreements++
		}
	}
	t.Logf("%d messages, %d of them served as another number of requests by different back ends", len(numbers), disagreements)
	if disagreements < len(numbers)/10 {
		t.Error("the messages are too tame")
	}
}
