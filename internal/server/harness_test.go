package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handlerFunc serves with a function.
type handlerFunc func(x *gate.Exchange)

// Serve calls f.
func (f handlerFunc) Serve(x *gate.Exchange) { f(x) }

// engine is which engine serves HTTP/1.1.
type engine string

var engines = []engine{gate.EngineOwn, gate.EngineNetHTTP}

// settings are a listener with the engine.
func (e engine) settings(change ...func(*gate.Listener)) gate.Listener {
	return settings(append([]func(*gate.Listener){func(l *gate.Listener) { l.Engine = string(e) }}, change...)...)
}

// settings are a listener on a port of the system's choice.
func settings(change ...func(*gate.Listener)) gate.Listener {
	var l gate.Listener
	l.SetDefaults()
	l.Name, l.Address = "web", "127.0.0.1:0"
	for _, f := range change {
		f(&l)
	}
	return l
}

// running is a set under test.
type running struct {
	*Set
	t    testing.TB
	addr string
	log  *lines

	mu      sync.Mutex
	refused []gate.Reason
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start serves l with h until the test ends.
func start(tb testing.TB, l gate.Listener, h func(x *gate.Exchange)) *running {
	tb.Helper()
	r := &running{t: tb, log: new(lines)}
	r.Set = New(Options{
		Handler: handlerFunc(h),
		Log:     slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Refused: func(x *gate.Exchange) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.refused = append(r.refused, x.Denial.Reason)
		},
	})
	r.reload(l)
	r.addr = r.Addrs()[l.Name].String()
	tb.Cleanup(func() { r.stop(5 * time.Second) })
	return r
}

func (r *running) reload(l ...gate.Listener) {
	r.t.Helper()
	plan, err := r.Prepare(l)
	if err != nil {
		r.t.Fatal(err)
	}
	plan.Commit()
}

func (r *running) stop(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return r.Shutdown(ctx)
}

func (r *running) refusals() []gate.Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]gate.Reason(nil), r.refused...)
}

// dial opens a connection that fails the test rather than hang.
func (r *running) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// raw sends text and returns all that comes back until the server closes.
func (r *running) raw(text string) string {
	r.t.Helper()
	c := r.dial()
	if _, err := io.WriteString(c, text); err != nil {
		r.t.Fatal(err)
	}
	b, _ := io.ReadAll(c)
	return string(b)
}

// ask sends text on c and reads one response.
func ask(t *testing.T, c net.Conn, br *bufio.Reader, method, text string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// client is an HTTP client for HTTP/1.1, HTTP/2 ("h2") or HTTP/2 without TLS ("h2c").
func client(t *testing.T, protocol string, roots *x509.CertPool, change ...func(*http.Transport)) *http.Client {
	t.Helper()
	p := new(http.Protocols)
	p.SetHTTP1(protocol == "h1")
	p.SetHTTP2(protocol == "h2")
	p.SetUnencryptedHTTP2(protocol == "h2c")
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "api.example.com"}, ExpectContinueTimeout: 10 * time.Second, MaxIdleConnsPerHost: 16}
	for _, f := range change {
		f(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func text(t *testing.T, res *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// say answers 200 with text.
func say(x *gate.Exchange, text string) {
	_ = x.WriteHead(200, int64(len(text)))
	_, _ = x.Writer.Write([]byte(text))
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue returns a certificate for the names, and its key, as PEM.
func (a *authority) issue(t *testing.T, serial int64, names ...string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})
}

// write puts a pair for the names into dir, as NAME.crt and NAME.key.
func (a *authority) write(t *testing.T, dir, name string, serial int64, names ...string) gate.Certificate {
	t.Helper()
	cert, key := a.issue(t, serial, names...)
	files := gate.Certificate{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
	for file, b := range map[string][]byte{files.CertFile: cert, files.KeyFile: key} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// withTLS makes a listener speak HTTPS as api.example.com.
func (a *authority) withTLS(t *testing.T) func(*gate.Listener) {
	t.Helper()
	pair := a.write(t, t.TempDir(), "api", 2, "api.example.com", "*.wild.example.com")
	return func(l *gate.Listener) {
		l.TLS = &gate.ListenerTLS{Certificates: []gate.Certificate{pair}}
		l.TLS.SetDefaults()
	}
}

// door is one way to reach a handler.
type door struct {
	name, scheme string
	client       *http.Client
	*running
}

// doors starts h behind HTTP/1.1 with each engine, HTTP/2 over TLS and h2c.
func doors(t *testing.T, h func(x *gate.Exchange), change ...func(*gate.Listener)) []door {
	t.Helper()
	a := newAuthority(t)
	var all []door
	for _, e := range engines {
		plain := start(t, e.settings(change...), h)
		secure := start(t, e.settings(append(change, a.withTLS(t))...), h)
		all = append(all,
			door{"http/1.1 " + string(e), "http", client(t, "h1", nil), plain},
			door{"h2c " + string(e), "http", client(t, "h2c", nil), plain},
			door{"https/1.1 " + string(e), "https", client(t, "h1", a.pool()), secure},
			door{"h2 " + string(e), "https", client(t, "h2", a.pool()), secure},
		)
	}
	return all
}

func (d door) request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.scheme+"://"+d.addr+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "api.example.com"
	return r
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatal("timed out waiting until " + what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// kept is an exchange that may be looked at after it was served: its strings are views of a buffer otherwise.
func kept(x *gate.Exchange) gate.Exchange {
	k := *x
	for _, s := range []*string{&k.Method, &k.Host, &k.Target, &k.Scheme, &k.Upgrade, &k.ServerName, &k.Listener} {
		*s = strings.Clone(*s)
	}
	k.In, k.Out, k.Reply = nil, nil, nil
	return k
}

// copied is a header that may be looked at after its exchange was served.
func copied(h gate.Header) gate.Header {
	var c gate.Header
	for _, f := range h {
		c.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	return c
}

// repeat is n times the letter x.
func repeat(n int) string { return strings.Repeat("x", n) }

// clientTLS makes a TLS connection to api.example.com of c.
func (a *authority) clientTLS(t *testing.T, c net.Conn, change ...func(*tls.Config)) *tls.Conn {
	t.Helper()
	config := &tls.Config{RootCAs: a.pool(), ServerName: "api.example.com"}
	for _, f := range change {
		f(config)
	}
	tc := tls.Client(c, config)
	if err := tc.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tc
}

func writePEM(t *testing.T, file string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
