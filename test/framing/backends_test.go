package framing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/test/program"
)

// reading is a complete request as a back end has read it.
type reading struct {
	ID      string // what X-Forwarded-For says
	Method  string
	Target  string
	Host    string
	Coding  string // Transfer-Encoding
	Length  string // Content-Length
	Body    string
	Trailer string // sorted lines; empty also at back ends that do not tell
}

// backend is a real server that answers requests with an empty 200, and says in the field X-Back who it is and in X-Seen what it has read in X-Forwarded-For. It writes down what it has read.
type backend struct {
	name     string
	address  string
	trailers bool // it tells trailers
	// touched are the identities of requests that have reached it, complete or not. Only net/http tells.
	touched func() map[string]bool
	// stop ends the back end, which has no connections any more, and returns its readings in their order.
	stop func(t *testing.T) []reading
}

// startBackends starts the back ends that this machine has.
func startBackends(t *testing.T) (all []*backend) {
	t.Helper()
	all = append(all, startGo(t))
	for _, b := range []struct {
		name  string
		start func(t *testing.T, binary string) *backend
	}{{"nginx", startNginx}, {"haproxy", startHAProxy}, {"node", startNode}} {
		if binary := find(t, b.name); binary != "" {
			all = append(all, b.start(t, binary))
		}
	}
	return all
}

// find is the path of a program, "" if it is not installed.
func find(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} { // not in everybody's PATH
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Errorf("%s is not installed; scripts/test-deps installs it", name)
	} else {
		t.Logf("%s is not installed and left out", name)
	}
	return ""
}

// process is a running back end, with its standard output in a file.
type process struct {
	cmd    *exec.Cmd
	folder string
	exited chan error
	signal os.Signal // ends it when it has no connections
	once   sync.Once
}

func startProcess(t *testing.T, folder string, signal os.Signal, binary string, arguments ...string) *process {
	t.Helper()
	p := &process{folder: folder, signal: signal, exited: make(chan error, 1), cmd: exec.CommandContext(context.Background(), binary, arguments...)}
	for file, to := range map[string]*io.Writer{"out": &p.cmd.Stdout, "err": &p.cmd.Stderr} {
		f, err := os.Create(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }() // the process has its own
		*to = f
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() { p.end(t) })
	return p
}

// end stops the process and waits for its end.
func (p *process) end(t *testing.T) {
	t.Helper()
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(p.signal) // it may have ended, which shows below
		select {
		case <-p.exited:
		case <-time.After(program.Patience):
			_ = p.cmd.Process.Kill()
			t.Errorf("%s did not stop", p.cmd.Path)
		}
	})
}

// lines are those of a file in the folder of the process.
func (p *process) lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// ready waits until the address takes connections.
func (p *process) ready(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(program.Patience); ; {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close() // nothing was sent
			return
		}
		select {
		case <-p.exited:
			t.Fatalf("%s ended: %s", p.cmd.Path, strings.Join(p.lines(t, "err"), "\n"))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not serve: %v", p.cmd.Path, err)
		}
	}
}

// goServer is net/http with a handler that writes down what it has read, by the address of the client too.
type goServer struct {
	mu      sync.Mutex
	all     []reading
	byPeer  map[string][]reading
	touched map[string]bool // by identity
	refused []string        // answers that are not the handler's
}

func (g *goServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.Join(r.Header["X-Forwarded-For"], ", ")
	g.mu.Lock()
	g.touched[id] = true
	g.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // it is not complete
	}
	var trailer []string
	for name, values := range r.Trailer {
		for _, value := range values {
			trailer = append(trailer, strings.ToLower(name)+": "+value)
		}
	}
	slices.Sort(trailer)
	got := reading{
		ID: id, Method: r.Method, Target: r.RequestURI, Host: r.Host, Coding: strings.Join(r.TransferEncoding, ", "),
		Length: strings.Join(r.Header["Content-Length"], ", "), Body: string(body), Trailer: strings.Join(trailer, "\n"),
	}
	g.mu.Lock()
	g.all = append(g.all, got)
	g.byPeer[r.RemoteAddr] = append(g.byPeer[r.RemoteAddr], got)
	g.mu.Unlock()
	w.Header().Set("X-Back", "go")
	w.Header().Set("X-Seen", got.ID)
	w.Header().Set("Content-Length", "0")
}

// watchedListener takes down the answers that net/http gives by itself.
type watchedListener struct {
	net.Listener
	g *goServer
}

// Accept takes a connection that is watched.
func (l watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return watchedConn{conn, l.g}, err
}

type watchedConn struct {
	net.Conn
	g *goServer
}

// Write takes down an answer that is not the handler's.
func (c watchedConn) Write(p []byte) (int, error) {
	if text := string(p); strings.HasPrefix(text, "HTTP/1.") && !strings.Contains(text, "X-Back: ") && !strings.HasPrefix(text, "HTTP/1.1 100 ") {
		c.g.mu.Lock()
		c.g.refused = append(c.g.refused, text)
		c.g.mu.Unlock()
	}
	return c.Conn.Write(p)
}

// serveGo starts net/http's server.
func serveGo(t *testing.T) (g *goServer, address string) {
	t.Helper()
	g = &goServer{byPeer: make(map[string][]reading), touched: make(map[string]bool)}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g, DisableGeneralOptionsHandler: true, ErrorLog: silent(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(watchedListener{listener, g}) }() // until Close
	t.Cleanup(func() { _ = server.Close() })
	return g, listener.Addr().String()
}

func startGo(t *testing.T) *backend {
	t.Helper()
	g, address := serveGo(t)
	return &backend{
		name: "go", address: address, trailers: true,
		touched: func() map[string]bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return maps.Clone(g.touched)
		},
		stop: func(t *testing.T) []reading {
			t.Helper()
			g.mu.Lock()
			defer g.mu.Unlock()
			for _, text := range g.refused {
				t.Errorf("net/http refused what was forwarded to it: %q", text)
			}
			return g.all
		},
	}
}

func startNode(t *testing.T, binary string) *backend {
	t.Helper()
	p := startProcess(t, t.TempDir(), syscall.SIGTERM, binary, "backend.mjs")
	port := ""
	for deadline := time.Now().Add(program.Patience); port == ""; {
		if time.Now().After(deadline) {
			t.Fatalf("node does not start: %s", strings.Join(p.lines(t, "err"), "\n"))
		}
		time.Sleep(5 * time.Millisecond)
		port = p.lines(t, "out")[0]
	}
	b := &backend{name: "node", address: net.JoinHostPort("127.0.0.1", port), trailers: true}
	p.ready(t, b.address)
	b.stop = func(t *testing.T) (all []reading) {
		t.Helper()
		p.end(t)
		for _, line := range p.lines(t, "out")[1:] {
			var r reading
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			for _, text := range []*string{&r.ID, &r.Method, &r.Target, &r.Host, &r.Coding, &r.Length, &r.Body, &r.Trailer} {
				*text = bytesOf(*text)
			}
			all = append(all, r)
		}
		return all
	}
	return b
}

// bytesOf turns characters into the bytes that they stand for.
func bytesOf(text string) string {
	var b strings.Builder
	for _, c := range text {
		b.WriteByte(byte(c))
	}
	return b.String()
}

// nginx reads a request to its end before it forwards it, here to another server of its own, and knows its body then.
const nginxConfiguration = `%[1]sdaemon off;
worker_processes 1;
pid %[2]s/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fastcgi; uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
  access_log off;
  log_format reading '"$status" "$http_x_forwarded_for" "$request_method" "$request_uri" "$http_host" "$http_transfer_encoding" "$http_content_length" "$request_body"';
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
  large_client_header_buffers 4 64k;
  server {
    listen %[3]s backlog=4096;
    access_log %[2]s/readings reading;
    add_header X-Back nginx always;
    add_header X-Seen $http_x_forwarded_for always;
    location / {
      client_body_buffer_size 128k;
      client_max_body_size 0;
      proxy_method GET;
      proxy_pass http://unix:%[2]s/sink:/;
    }
  }
  server { listen unix:%[2]s/sink backlog=4096; location / { return 200; } }
}
`

func startNginx(t *testing.T, binary string) *backend {
	t.Helper()
	folder, user := t.TempDir(), ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	b := &backend{name: "nginx", address: program.FreeAddress(t)}
	file := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfiguration, user, folder, b.address), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, folder, syscall.SIGQUIT, binary, "-p", folder, "-c", file, "-e", "stderr")
	p.ready(t, b.address)
	b.stop = func(t *testing.T) (all []reading) {
		t.Helper()
		p.end(t)
		for _, line := range p.lines(t, "readings") {
			m := quoted.FindAllStringSubmatch(line, -1)
			if len(m) != 8 {
				t.Fatalf("nginx logged %q", line)
			}
			values := make([]string, len(m))
			for i := range m {
				if values[i] = nginxText(m[i][1]); m[i][1] == "-" { // nothing
					values[i] = ""
				}
			}
			if values[0] == "200" {
				all = append(all, reading{ID: values[1], Method: values[2], Target: values[3], Host: values[4], Coding: values[5], Length: values[6], Body: values[7]})
			}
		}
		return all
	}
	return b
}

var (
	quoted  = regexp.MustCompile(`"([^"]*)"`)
	escaped = regexp.MustCompile(`\\x[0-9A-F]{2}`)
)

// nginxText undoes how nginx writes bytes that are not plain.
func nginxText(text string) string {
	return escaped.ReplaceAllStringFunc(text, func(code string) string {
		n, _ := strconv.ParseUint(code[2:], 16, 8) // it is hexadecimal
		return string([]byte{byte(n)})
	})
}

// HAProxy forwards what it has read to net/http, which is how its reading is known.
const haproxyConfiguration = `
global
  nbthread 1
  maxconn 4000
  tune.bufsize 65536
defaults
  mode http
  timeout client 60s
  timeout http-request 60s
  timeout http-keep-alive 60s
  timeout connect 60s
  timeout server 60s
  http-reuse always
listen reader
  bind %[1]s backlog 4096
  http-response set-header X-Back haproxy
  server sink %[2]s
`

func startHAProxy(t *testing.T, binary string) *backend {
	t.Helper()
	folder := t.TempDir()
	sink := startGo(t)
	b := &backend{name: "haproxy", address: program.FreeAddress(t), trailers: true}
	file := filepath.Join(folder, "haproxy.cfg")
	if err := os.WriteFile(file, fmt.Appendf(nil, haproxyConfiguration, b.address, sink.address), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, folder, syscall.SIGUSR1, binary, "-db", "-f", file)
	p.ready(t, b.address)
	b.stop = func(t *testing.T) []reading {
		t.Helper()
		p.end(t)
		return sink.stop(t)
	}
	return b
}
