package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// servers are the processes that have to end before we do.
type servers struct {
	mu      sync.Mutex
	closed  bool
	running map[*process]struct{}
}

// close ends all that run. None is started any more.
func (s *servers) close() {
	s.mu.Lock()
	s.closed = true
	running := slices.Collect(maps.Keys(s.running))
	s.mu.Unlock()
	for _, p := range running {
		p.stop()
	}
}

// process is a server that we have started.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{} // closed when the process is gone
	begun  time.Time
	once   sync.Once
	among  *servers
}

// start runs a program in a process group of its own, with env beside our own environment; what it prints goes to stdout, or nowhere.
func (s *servers) start(stdout *os.File, env []string, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{}), among: s}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("starting a server: everything is ending")
	}
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	if s.running == nil {
		s.running = make(map[*process]struct{})
	}
	s.running[p] = struct{}{}
	go func() {
		_ = p.cmd.Wait() // its error is the process state, which running tells
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// running returns nil, or why the process is gone, with what it said.
func (p *process) running() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %s\n%s", filepath.Base(p.cmd.Path), p.cmd.ProcessState, p.said())
	default:
		return nil
	}
}

// said is the end of what the process wrote to standard error. It is complete once the process has ended.
func (p *process) said() string {
	const most = 2000
	text := strings.TrimSpace(p.stderr.String())
	return text[max(0, len(text)-most):]
}

// stop asks the process to end, and then ends what is left of its group. It may be called again.
func (p *process) stop() {
	p.once.Do(func() {
		_ = syscall.Kill(p.pid(), syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
		}
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
		<-p.ended
		p.among.mu.Lock()
		delete(p.among.running, p)
		p.among.mu.Unlock()
	})
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// freeAddress returns an address of this machine on which nobody listens.
func freeAddress() (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("looking for a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return netip.ParseAddrPort(l.Addr().String())
}

// probe is a client for single requests, each over a connection of its own.
type probe struct {
	address netip.AddrPort
	client  *http.Client
}

func newProbe(address netip.AddrPort, config *tls.Config) *probe {
	dialer := net.Dialer{Timeout: time.Second}
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: config,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address.String())
		},
	}
	return &probe{address: address, client: &http.Client{Transport: transport, Timeout: 5 * time.Second}}
}

// ask sends one request and returns the status, whether the upstream marked the answer, and the body.
func (p *probe) ask(host, path, token string) (status int, marked bool, body []byte, err error) {
	scheme := "http"
	if p.client.Transport.(*http.Transport).TLSClientConfig != nil {
		scheme = "https"
	}
	request, err := http.NewRequest("GET", scheme+"://"+host+path, nil)
	if err != nil {
		return 0, false, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return 0, false, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get(marker) != "", body, err
}

// untilGood asks again and again until the answer is 200 and the upstream's, and returns how long after its start the process gave that answer.
func (p *probe) untilGood(server *process, host, path, token string, patience time.Duration) (time.Duration, error) {
	var last error
	for time.Since(server.begun) < patience {
		if err := server.running(); err != nil {
			return 0, err
		}
		status, marked, _, err := p.ask(host, path, token)
		if err == nil && status == 200 && marked {
			return time.Since(server.begun), nil
		}
		if last = err; err == nil {
			last = fmt.Errorf("the last answer was %d", status)
		}
		time.Sleep(500 * time.Microsecond)
	}
	server.stop()
	return 0, fmt.Errorf("no good answer within %s: %w\n%s", patience, last, server.said())
}

// certificate is what the servers show in TLS: a P-256 key, signed by itself.
type certificate struct {
	certFile, keyFile, bothFile string
	client                      *tls.Config
}

// serverName is the host of all requests.
const serverName = "bench.example.com"

func newCertificate(folder string, now time.Time) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{serverName}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	certText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	c := &certificate{certFile: filepath.Join(folder, "cert.pem"), keyFile: filepath.Join(folder, "key.pem"), bothFile: filepath.Join(folder, "both.pem")}
	err = errors.Join(
		os.WriteFile(c.certFile, certText, 0o644),
		os.WriteFile(c.keyFile, keyText, 0o600),
		os.WriteFile(c.bothFile, append(bytes.Clone(certText), keyText...), 0o600),
	)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	c.client = &tls.Config{RootCAs: roots, ServerName: serverName, NextProtos: []string{"http/1.1"}}
	return c, nil
}

// counter reads how many requests the upstream has answered.
type counter struct{ probe *probe }

// read returns the count, this question included.
func (c counter) read() (int, error) {
	status, _, body, err := c.probe.ask(serverName, "/status", "")
	if err != nil {
		return 0, fmt.Errorf("asking the upstream for its count: %w", err)
	}
	if status != 200 {
		return 0, fmt.Errorf("asking the upstream for its count: status %d", status)
	}
	return parseStubStatus(string(body))
}

// parseStubStatus reads the third number of the third line of nginx's stub_status: requests.
func parseStubStatus(text string) (int, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return 0, fmt.Errorf("not a status of nginx: %q", text)
	}
	var accepted, handled, requests int
	if _, err := fmt.Sscan(lines[2], &accepted, &handled, &requests); err != nil {
		return 0, fmt.Errorf("not a status of nginx: %q", text)
	}
	return requests, nil
}

// moved returns an error unless the upstream has answered exactly n requests since the count was before.
func (c counter) moved(before, n int) error {
	now, err := c.read()
	if err != nil {
		return err
	}
	if got := now - before - 1; got != n { // this question counts too
		return fmt.Errorf("the upstream has answered %d requests, not %d", got, n)
	}
	return nil
}
