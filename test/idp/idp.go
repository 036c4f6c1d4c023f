// Package idp runs a foreign identity provider, the npm package oidc-provider, on loopback for tests.
package idp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Provider is a running identity provider.
type Provider struct {
	// Issuer is its issuer and base URL.
	Issuer string

	t       testing.TB
	cmd     *exec.Cmd
	rotated chan string // a line for each rotation or dropping of keys
	once    sync.Once
}

// Start runs the provider of dir (the folder of idp.mjs) until the test ends. Without Node.js or the npm packages the test is skipped; with CI=true it fails.
func Start(t testing.TB, dir string) *Provider {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, "Node.js is not installed")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
		missing(t, "the npm packages of test/idp are not installed (make deps)")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free now
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()

	p := &Provider{t: t, Issuer: fmt.Sprintf("http://127.0.0.1:%d", port), rotated: make(chan string, 16)}
	p.cmd = exec.Command("node", "idp.mjs")
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port), "SLOW_MS=20000")
	p.cmd.Stderr = io.Discard
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "READY"):
				close(ready)
			case line == "ROTATED" || line == "DROPPED":
				p.rotated <- line
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(60 * time.Second):
		t.Fatal("the identity provider did not start in a minute")
	}
	return p
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Kill ends the provider at once.
func (p *Provider) Kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

// Freeze stops the provider from answering, with its sockets open; Thaw lets it go on.
func (p *Provider) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (p *Provider) Thaw() { p.signal(syscall.SIGCONT) }

// Rotate makes new keys, which sign from now on; the old ones stay published.
func (p *Provider) Rotate() { p.signalAndWait(syscall.SIGHUP) }

// Drop removes the old keys from the key set.
func (p *Provider) Drop() { p.signalAndWait(syscall.SIGUSR2) }

func (p *Provider) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Provider) signalAndWait(s os.Signal) {
	p.t.Helper()
	p.signal(s)
	select {
	case <-p.rotated:
	case <-time.After(60 * time.Second):
		p.t.Fatal("the identity provider did not change its keys in a minute")
	}
}

// Fault makes the key set endpoint misbehave: fail, slow or html; ok ends it.
func (p *Provider) Fault(mode string) { p.get("/__jwks?mode="+mode, nil) }

// Stats counts the requests to the provider's endpoints.
type Stats struct{ Discovery, JWKS, Token int }

// Stats returns the counts.
func (p *Provider) Stats() Stats {
	p.t.Helper()
	var s Stats
	p.get("/__stats", &s)
	return s
}

func (p *Provider) get(path string, into any) {
	p.t.Helper()
	answer, err := http.Get(p.Issuer + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	if into == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
	} else if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		p.t.Fatal(err)
	}
}

// Token asks for an access token for a resource such as https://rs256.test.
func (p *Provider) Token(resource string) string {
	p.t.Helper()
	token, err := p.TryToken(resource)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// TryToken is Token for goroutines that are not the test's.
func (p *Provider) TryToken(resource string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {"api:read"}}
	request, err := http.NewRequest("POST", p.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.SetBasicAuth("svc", "svc-secret")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var body struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return "", err
	}
	if body.Token == "" {
		return "", fmt.Errorf("no token for %s: %d %s", resource, answer.StatusCode, body.Error)
	}
	return body.Token, nil
}
