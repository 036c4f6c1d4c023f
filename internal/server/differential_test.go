package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// exceptions are why the own engine serves a request that net/http's refuses. The list is closed: a new line is a decision.
var exceptions = []struct {
	reason string
	fits   *regexp.Regexp
}{
	// RFC 9112 section 2.2 wants at least one empty line before a request line ignored. net/http does so only behind the body of a POST.
	{"an empty line before the request line", regexp.MustCompile(`(^|\r\n\r\n)\r\n[^\r\n]`)},
	// It is read as what it is. The check in front of net/http stops at 18 digits, so that it need not look for an overflow.
	{"a length of 19 digits that is less than 2^63", regexp.MustCompile(`Content-Length: \d{19}\r\n`)},
	// RFC 9112 section 3.2.2 wants the absolute form accepted. net/http hides whether the two hosts agree, so that behind it the form is refused.
	{"the absolute form with the host of the Host field", regexp.MustCompile(`(?i)^[A-Z]+ https?://[^/?# ]*[/?]?[^ ]* HTTP/1\.[01]\r\n`)},
}

// witness is a server that takes down what its handler sees on each connection.
type witness struct {
	*running
	mu   sync.Mutex
	seen map[netip.AddrPort][]string
}

func newWitness(t *testing.T, e engine) *witness {
	t.Helper()
	w := &witness{seen: make(map[netip.AddrPort][]string)}
	w.running = start(t, e.settings(func(l *gate.Listener) { l.HTTP2 = false }), func(x *gate.Exchange) {
		peer, saw := x.Peer, take(x)
		body, err := io.ReadAll(x.Body)
		if err != nil {
			_ = x.WriteHead(gate.AsDenial(err).Kind().Status(), 0)
			return
		}
		saw += fmt.Sprintf("%q", body)
		if x.Trailer != nil {
			saw += fields(x.Trailer())
		}
		w.mu.Lock()
		w.seen[peer] = append(w.seen[peer], saw)
		w.mu.Unlock()
		say(x, "")
	})
	return w
}

// take is the head of a request, in a form in which engines can be compared.
func take(x *gate.Exchange) string {
	return fmt.Sprintf("%s %q %q %d %d %q\n%s", x.Method, x.Target, x.Host, x.Proto, x.Length, x.Upgrade, fields(x.In))
}

// fields are the lines of h by name. Framing is left out: net/http takes it out of the header.
func fields(h gate.Header) string {
	var lines []string
	for _, f := range h {
		if name := http.CanonicalHeaderKey(f.Name); name != "Transfer-Encoding" && name != "Trailer" {
			lines = append(lines, fmt.Sprintf("%q: %q\n", name, f.Value))
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		return strings.Compare(a[:strings.Index(a, ": ")], b[:strings.Index(b, ": ")])
	})
	return strings.Join(lines, "")
}

// statusLine finds the responses on a connection: none here has a body.
var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d)\d\d `)

// ask sends raw, and nothing else, and returns what the handler saw of it and the classes of the answers.
func (w *witness) ask(raw string) (seen []string, classes string, err error) {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		return nil, "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, raw)
	_ = c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	for _, m := range statusLine.FindAllSubmatch(answer, -1) {
		if m[1][0] != '1' { // a client that does not wait need not be told to go on
			classes += string(m[1])
		}
	}
	local := c.LocalAddr().(*net.TCPAddr).AddrPort()
	w.mu.Lock()
	defer w.mu.Unlock()
	seen = w.seen[local]
	delete(w.seen, local)
	return seen, classes, err
}

// corpus is what one connection carries each.
func corpus(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../h1/testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for l := range strings.Lines(string(b)) {
		quoted, _, _ := strings.Cut(l, "\t")
		raw, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	return all
}

// What the own engine serves, net/http's serves alike; where it refuses, it is not the more lenient one.
func TestEnginesAgree(t *testing.T) {
	own, reference := newWitness(t, gate.EngineOwn), newWitness(t, gate.EngineNetHTTP)
	all := corpus(t)
	if len(all) < 1000 {
		t.Fatalf("only %d requests", len(all))
	}
	var served, stricter int
	excepted := make(map[string]int)
	for _, raw := range all {
		mine, myClasses, err := own.ask(raw)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		theirs, theirClasses, err := reference.ask(raw)
		if err != nil {
			t.Logf("net/http: %q: %v", raw, err)
		}
		served += len(mine)
		switch reason := exception(raw); {
		case len(mine) > len(theirs) && reason != "":
			excepted[reason]++
		case len(mine) > len(theirs):
			t.Errorf("%q: net/http serves %q (%s), the own engine %q (%s)", raw, theirs, theirClasses, mine, myClasses)
		case !slices.Equal(mine, theirs[:len(mine)]):
			t.Errorf("%q: net/http serves\n%s\nthe own engine\n%s", raw, theirs, mine)
		case len(mine) < len(theirs):
			stricter++
			if !refused(myClasses) {
				t.Errorf("%q: the own engine serves less, and answers %s", raw, myClasses)
			}
		case reason == "" && strings.TrimRight(myClasses, "45") != strings.TrimRight(theirClasses, "45"): // net/http may end the connection without a word
			t.Errorf("%q: net/http answers %s, the own engine %s", raw, theirClasses, myClasses)
		}
	}
	t.Logf("%d connections, %d requests served; refused by the own engine only: %d; served by it only: %v", len(all), served, stricter, excepted)
}

func exception(raw string) string {
	for _, e := range exceptions {
		if e.fits.MatchString(raw) {
			return e.reason
		}
	}
	return ""
}

// refused reports whether the last of the answers is a refusal.
func refused(classes string) bool {
	return strings.HasSuffix(classes, "4") || strings.HasSuffix(classes, "5")
}
