package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/websocket"
)

// patience bounds every wait of a script: what has not happened by then will not.
const patience = 30 * time.Second

// pause is the time between two looks at something that is waited for.
const pause = 20 * time.Millisecond

// scriptCommands are what scripts can do beyond running programs.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "serving": serving, "await": await, "signal": signalCommand, "replace": replaceCommand,
		"request": requestCommand, "socket": socketCommand, "events": eventsCommand,
		"upstream": upstreamCommand, "begin": beginCommand, "release": releaseCommand, "answer": answerCommand, "certificate": certificateCommand,
		"provider": providerCommand,
	}
}

// serving waits until the log of a gateway says that it serves, and sets a variable for each of its addresses: ADMIN, and the listeners' names in capitals. serving LOGFILE.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serving LOGFILE")
	}
	line := awaitLine(ts, args[0], regexp.MustCompile(`"msg":"serving"`))
	var places struct {
		Listeners map[string]string `json:"listeners"`
		Admin     string            `json:"admin"`
	}
	ts.Check(json.Unmarshal([]byte(line), &places))
	ts.Setenv("ADMIN", places.Admin)
	for name, address := range places.Listeners {
		ts.Setenv(strings.ToUpper(name), address)
	}
}

// await waits until a file has a line that an expression matches: await FILE REGEXP.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	expression, err := regexp.Compile(args[1])
	ts.Check(err)
	awaitLine(ts, args[0], expression)
}

func awaitLine(ts *testscript.TestScript, file string, expression *regexp.Regexp) string {
	var text []byte
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(pause) {
		var err error
		if text, err = os.ReadFile(ts.MkAbs(file)); err != nil && !os.IsNotExist(err) {
			ts.Check(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasSuffix(line, "\n") && expression.MatchString(line) {
				return line
			}
		}
	}
	ts.Fatalf("no line of %s matches %s:\n%s", file, expression, text)
	return ""
}

// signalCommand sends a signal to the program that was last started in the background: signal HUP|TERM|INT|KILL.
func signalCommand(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	if neg || len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal HUP|TERM|INT|KILL")
	}
	running := ts.BackgroundCmds()
	if len(running) == 0 {
		ts.Fatalf("no program runs in the background")
	}
	ts.Check(running[len(running)-1].Process.Signal(signals[args[0]]))
}

// replaceCommand puts one file in the place of another, whole or not at all, as careful programs do: replace OLD NEW.
func replaceCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: replace OLD NEW")
	}
	replace(ts, args[0], []byte(ts.ReadFile(args[1])))
}

func replace(ts *testscript.TestScript, file string, data []byte) {
	path := ts.MkAbs(file)
	ts.Check(os.WriteFile(path+".new", data, 0o600))
	ts.Check(os.Rename(path+".new", path))
}

// request is a request that a script sends.
type request struct {
	method, url string
	header      []string
	body        string
	until       *regexp.Regexp
	transport   *http.Transport
}

// texts are the values of a flag that may be repeated.
type texts []string

func (t *texts) String() string         { return strings.Join(*t, ", ") }
func (t *texts) Set(value string) error { *t = append(*t, value); return nil }

// parseRequest reads [-H LINE]... [-d BODY] [-until REGEXP] [-ca FILE] [-to ADDRESS] [-proxy CLIENT] [-h2c] METHOD URL; with -proxy, the connection begins as one of a proxy that speaks for the client. In lines and bodies, @FILE@ stands for the text of a file.
func parseRequest(ts *testscript.TestScript, neg bool, args []string) *request {
	var header texts
	f := flag.NewFlagSet("request", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Var(&header, "H", "header line")
	body := f.String("d", "", "body")
	until := f.String("until", "", "repeat until the answer matches")
	ca := f.String("ca", "", "certificate to trust")
	to := f.String("to", "", "address to connect to")
	client := f.String("proxy", "", "address of the client in a PROXY protocol header")
	h2c := f.Bool("h2c", false, "HTTP/2 without TLS")
	if err := f.Parse(args); neg || err != nil || f.NArg() != 2 {
		ts.Fatalf("usage: [-H LINE]... [-d BODY] [-until REGEXP] [-ca FILE] [-to ADDRESS] [-proxy CLIENT] [-h2c] METHOD URL (%v)", err)
	}
	file := regexp.MustCompile(`@[\w.]+@`)
	fill := func(text string) string {
		return file.ReplaceAllStringFunc(text, func(name string) string { return strings.TrimSpace(ts.ReadFile(strings.Trim(name, "@"))) })
	}
	q := &request{method: f.Arg(0), url: fill(f.Arg(1)), body: fill(*body), transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	for _, line := range header {
		q.header = append(q.header, fill(line))
	}
	if *until != "" {
		var err error
		q.until, err = regexp.Compile("(?m)" + *until)
		ts.Check(err)
	}
	if *ca != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(ts.ReadFile(*ca))) {
			ts.Fatalf("%s has no certificate", *ca)
		}
		q.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	if *to != "" {
		q.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, *to)
		}
	}
	if *client != "" {
		q.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				_, err = fmt.Fprintf(connection, "PROXY TCP4 %s 127.0.0.1 4321 80\r\n", *client)
			}
			return connection, err
		}
	}
	if *h2c {
		q.transport.Protocols = new(http.Protocols)
		q.transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return q
}

func (q *request) build() (*http.Request, error) {
	r, err := http.NewRequest(q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	for _, line := range q.header {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("not a header line: %s", line)
		}
		if strings.EqualFold(name, "Host") {
			r.Host = value
			continue
		}
		r.Header[name] = append(r.Header[name], value) // in the spelling of the script
	}
	return r, nil
}

// send returns the answer as text: status line, header in order of names, body, trailers.
func (q *request) send() (string, error) {
	r, err := q.build()
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: q.transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", answer.Proto, answer.Status)
	if answer.TLS != nil {
		fmt.Fprintf(&b, "certificate of %s\n", answer.TLS.PeerCertificates[0].Subject.CommonName)
	}
	for _, line := range headerLines(answer.Header) {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "\n%s\n", body)
	for _, line := range headerLines(answer.Trailer) {
		fmt.Fprintf(&b, "trailer %s\n", line)
	}
	return b.String(), nil
}

// requestCommand sends a request and prints the answer for the checks of stdout; negated, the answer must break off or not come at all.
func requestCommand(ts *testscript.TestScript, neg bool, args []string) {
	q := parseRequest(ts, false, args)
	if neg {
		if answer, err := q.send(); err == nil {
			ts.Fatalf("there is a whole answer: %s", answer)
		}
		return
	}
	var answer string
	var err error
	for begin := time.Now(); ; time.Sleep(pause) {
		answer, err = q.send()
		if q.until == nil || err == nil && q.until.MatchString(answer) {
			break
		}
		if time.Since(begin) > patience {
			ts.Fatalf("no answer matches %s; the last: %s %v", q.until, answer, err)
		}
	}
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), answer)
	ts.Check(err)
}

// socketCommand opens a WebSocket, sends a text and prints what comes back: socket [-H LINE]... TEXT URL.
func socketCommand(ts *testscript.TestScript, neg bool, args []string) {
	q := parseRequest(ts, neg, args)
	text := q.method
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(q.url, "http"), "http://client.example.com")
	ts.Check(err)
	for _, line := range q.header {
		name, value, _ := strings.Cut(line, ": ")
		config.Header.Add(name, value)
	}
	connection, err := config.DialContext(context.Background())
	if err != nil {
		_, err = fmt.Fprintf(ts.Stdout(), "no socket: %v\n", err)
		ts.Check(err)
		return
	}
	defer connection.Close()
	ts.Check(connection.SetDeadline(time.Now().Add(patience)))
	ts.Check(websocket.Message.Send(connection, text))
	var back string
	ts.Check(websocket.Message.Receive(connection, &back))
	_, err = fmt.Fprintf(ts.Stdout(), "back %s\n", back)
	ts.Check(err)
}

// eventsCommand reads two server-sent events, of which the second is only sent when the first has arrived: events [-H LINE]... NAME URL, where NAME is the upstream.
func eventsCommand(ts *testscript.TestScript, neg bool, args []string) {
	q := parseRequest(ts, neg, args)
	u := stageOf(ts).upstreams[q.method]
	if u == nil {
		ts.Fatalf("there is no upstream %s", q.method)
	}
	q.method = http.MethodGet
	r, err := q.build()
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := q.transport.RoundTrip(r.WithContext(ctx))
	ts.Check(err)
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	first, err := lines.ReadString('\n')
	ts.Check(err)
	u.next <- struct{}{}
	rest, err := io.ReadAll(lines)
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), first+string(rest))
	ts.Check(err)
}
