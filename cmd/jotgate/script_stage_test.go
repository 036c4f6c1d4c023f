package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/websocket"
)

// stageKey finds the stage among a script's values.
type stageKey struct{}

// stage is what a script has around the gateway: servers to forward to, and requests that are under way.
type stage struct {
	upstreams map[string]*upstream
	providers map[string]*provider
	released  chan struct{} // closed when the requests that are held may go on
	arrived   chan struct{} // has a value for each request that is held
	answers   chan string   // has the answer of each request that was begun
	release   sync.Once
}

func newStage() *stage {
	return &stage{
		upstreams: make(map[string]*upstream), providers: make(map[string]*provider), released: make(chan struct{}),
		arrived: make(chan struct{}, 10), answers: make(chan string, 10),
	}
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// upstream is a server that tells what it was sent.
type upstream struct {
	address string
	server  *http.Server
	next    chan struct{} // has a value for each event that may be sent
}

// upstreamCommand starts and stops servers: upstream start|stop NAME. The address is in the variable NAME; a server that is started again has the same one.
func upstreamCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: upstream start|stop NAME")
	}
	s, name := stageOf(ts), args[1]
	switch u := s.upstreams[name]; {
	case args[0] == "start" && u == nil:
		u = &upstream{address: "127.0.0.1:0", next: make(chan struct{}, 10)}
		s.upstreams[name] = u
		ts.Check(u.start(s, name))
		ts.Setenv(name, u.address)
		ts.Defer(func() { _ = u.server.Close() })
	case args[0] == "start":
		ts.Check(u.start(s, name))
	case args[0] == "stop" && u != nil:
		ts.Check(u.server.Close())
	default:
		ts.Fatalf("upstream %s %s", args[0], name)
	}
}

func (u *upstream) start(s *stage, name string) error {
	listener, err := net.Listen("tcp", u.address)
	if err != nil {
		return err
	}
	u.address = listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { echo(w, r, name) })
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/short/held", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/held", func(w http.ResponseWriter, r *http.Request) {
		s.arrived <- struct{}{}
		select {
		case <-s.released:
			echo(w, r, name)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/broken", broken)
	mux.HandleFunc("/events", u.events)
	mux.HandleFunc("/call", call)
	mux.Handle("/socket", websocket.Handler(func(c *websocket.Conn) { _, _ = io.Copy(c, c) }))
	u.server = &http.Server{Handler: mux, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	u.server.Protocols.SetHTTP1(true)
	u.server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = u.server.Serve(listener) }() // ends when the server is closed
	return nil
}

// echo answers with the server's name and the request as it came, the header in order of names.
func echo(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Content-Type", "text/plain")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "upstream %s\ngot %s %s %s\ngot Host: %s\n", name, r.Method, r.RequestURI, r.Proto, r.Host)
	for _, line := range headerLines(r.Header) {
		fmt.Fprintf(&b, "got %s\n", line)
	}
	fmt.Fprintf(&b, "got body %q\n", body)
	_, _ = io.WriteString(w, b.String())
}

func headerLines(h http.Header) []string {
	var lines []string
	for name, values := range h {
		for _, value := range values {
			lines = append(lines, name+": "+value)
		}
	}
	slices.Sort(lines)
	return lines
}

// broken dies in the middle of an answer.
func broken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, "the first half")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// events sends one server-sent event, and a second when it is told to.
func (u *upstream) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	_, _ = io.WriteString(w, "data: first\n\n")
	if flush() != nil {
		return
	}
	select {
	case <-u.next:
		_, _ = io.WriteString(w, "data: second\n\n")
	case <-r.Context().Done():
	}
}

// call answers as a gRPC server does: the status is in the trailers.
func call(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(w, "%s with %d bytes, TE %s", r.Proto, len(body), r.Header.Get("Te"))
	w.Header().Set("Grpc-Status", "0")
}

// beginCommand sends a request to a path that is held, and returns when it has reached the upstream: begin [-H LINE]... METHOD URL.
func beginCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	q := parseRequest(ts, neg, args)
	go func() {
		answer, err := q.send()
		if err != nil {
			answer = "failed: " + err.Error()
		}
		s.answers <- answer
	}()
	select {
	case <-s.arrived:
	case answer := <-s.answers:
		ts.Fatalf("the request did not reach the upstream: %s", answer)
	case <-time.After(patience):
		ts.Fatalf("the request did not reach the upstream")
	}
}

// releaseCommand lets all requests go on that are held, now and later.
func releaseCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: release")
	}
	s := stageOf(ts)
	s.release.Do(func() { close(s.released) })
}

// answerCommand waits for the answer of a request that was begun, and prints it, or how it failed.
func answerCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: answer")
	}
	select {
	case answer := <-stageOf(ts).answers:
		_, err := io.WriteString(ts.Stdout(), answer)
		ts.Check(err)
	case <-time.After(patience):
		ts.Fatalf("no answer")
	}
}

// certificateCommand writes a certificate that signs itself, and its key: certificate HOST COMMONNAME CERTFILE KEYFILE.
func certificateCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: certificate HOST COMMONNAME CERTFILE KEYFILE")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: args[1]}, DNSNames: []string{args[0]},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	replace(ts, args[3], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	replace(ts, args[2], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
