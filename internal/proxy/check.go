package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

const (
	maxWeight  = 1_000_000
	maxRetries = 10
)

// Check returns what is wrong with u, with paths relative to it (servers[0].url). It reads the TLS files that u names.
func Check(u *gate.Upstream) gate.Problems {
	_, problems := compile(u)
	return problems
}

// target is the address of a server.
type target struct {
	scheme string // http, https or h2c
	host   string // host or host:port, as in the URL
}

func (t target) String() string { return t.scheme + "://" + t.host }

// compiled is what an upstream's text comes to.
type compiled struct {
	targets   []target
	tls       *tls.Config // nil without an https server
	tlsDigest string      // stands for the contents of the TLS files
}

func compile(u *gate.Upstream) (compiled, gate.Problems) {
	p := &reporter{origin: u.Origin}
	var c compiled
	p.servers(u, &c)
	p.settings(u)
	if u.HealthCheck != nil {
		p.health(u.HealthCheck)
	}
	secure := false
	for _, t := range c.targets {
		secure = secure || t.scheme == "https"
	}
	if u.TLS != nil && !secure {
		p.warn("tls", "", "the TLS settings are not used: no server has an https URL")
	}
	if secure || u.TLS != nil {
		c.tls, c.tlsDigest = p.tls(u.TLS)
	}
	return c, p.problems
}

// reporter collects problems with one upstream.
type reporter struct {
	origin   gate.Origin
	problems gate.Problems
}

func (p *reporter) add(path, hint, format string, args ...any) {
	p.problems = append(p.problems, p.origin.Problem(path, hint, format, args...))
}

func (p *reporter) warn(path, hint, format string, args ...any) {
	w := p.origin.Problem(path, hint, format, args...)
	w.Warning = true
	p.problems = append(p.problems, w)
}

func (p *reporter) servers(u *gate.Upstream, c *compiled) {
	if len(u.Servers) == 0 {
		p.add("servers", "", "an upstream needs at least one server")
		return
	}
	seen := map[target]int{}
	total := 0
	for i, s := range u.Servers {
		path := fmt.Sprintf("servers[%d]", i)
		t, hint, err := parseTarget(s.URL)
		if err != nil {
			p.add(path+".url", hint, "%v", err)
		} else if first, double := seen[t]; double {
			p.add(path+".url", "to give a server a larger share, raise its weight", "%s is already servers[%d]", t, first)
		} else {
			seen[t] = i
		}
		c.targets = append(c.targets, t)
		if s.Weight < 0 || s.Weight > maxWeight {
			p.add(path+".weight", "", "%d is not a weight: it must be between 0 and %d", s.Weight, maxWeight)
		} else {
			total += s.Weight
		}
	}
	if total == 0 {
		p.add("servers", "", "no server has a weight above 0, so none would get a request")
	}
}

// parseTarget reads the URL of a server; the hint may be empty.
func parseTarget(text string) (t target, hint string, err error) {
	if text == "" {
		return t, "write it as http://host:port", errors.New("a server needs a URL")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		// The error of url.Parse repeats the text, which may hold a password.
		return t, "write it as http://host:port", errors.New("not a URL")
	case u.User != nil:
		return t, "credentials for the upstream belong into a header", errors.New("a server's URL cannot hold user information")
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c":
		return t, "use http, https or h2c", fmt.Errorf("%q is not a server's URL: unknown scheme %q", text, u.Scheme)
	case u.Opaque != "" || u.Hostname() == "":
		return t, "write it as http://host:port", fmt.Errorf("%q is not a server's URL: it has no host", text)
	case u.Path != "" && u.Path != "/":
		return t, "the path of a request is forwarded as it was routed", fmt.Errorf("%q is not a server's URL: it has a path", text)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return t, "", fmt.Errorf("%q is not a server's URL: it has a query or a fragment", text)
	case strings.HasSuffix(u.Host, ":"):
		return t, "", fmt.Errorf("%q is not a server's URL: the port is missing", text)
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '%' }) {
		return t, "write other alphabets in their ASCII form (xn--...)", fmt.Errorf("%q is not a server's URL: the host has invalid characters", text)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return t, "", fmt.Errorf("%q is not a server's URL: %s is not a port", text, port)
		}
	}
	return target{scheme: u.Scheme, host: u.Host}, "", nil
}

func (p *reporter) settings(u *gate.Upstream) {
	p.positive("connectTimeout", u.ConnectTimeout)
	p.positive("responseTimeout", u.ResponseTimeout)
	p.positive("idleTimeout", u.IdleTimeout)
	if u.MaxIdleConnections < 0 {
		p.add("maxIdleConnections", "", "%d is not a number of connections", u.MaxIdleConnections)
	}
	if u.MaxConnections < 0 {
		p.add("maxConnections", "0 means no limit", "%d is not a number of connections", u.MaxConnections)
	}
	if u.Engine != "" && u.Engine != gate.EngineOwn && u.Engine != gate.EngineNetHTTP {
		p.add("engine", "use jotgate or net/http", "unknown engine %q", u.Engine)
	}
	if u.Retries < 0 || u.Retries > maxRetries {
		p.add("retries", "", "%d is not a number of retries: it must be between 0 and %d", u.Retries, maxRetries)
	}
}

func (p *reporter) positive(path string, d time.Duration) {
	if d <= 0 {
		p.add(path, "", "%v is not allowed: it must be longer than 0", d)
	}
}

func (p *reporter) health(h *gate.HealthCheck) {
	if u, err := url.ParseRequestURI(h.Path); err != nil || !strings.HasPrefix(h.Path, "/") || u.Fragment != "" || strings.Contains(h.Path, "#") {
		p.add("healthCheck.path", "write it as /healthz", "%q is not a path", h.Path)
	} else if !cleanTarget(h.Path) {
		p.add("healthCheck.path", "encode it with %", "%q has characters that a path cannot have", h.Path)
	}
	p.positive("healthCheck.interval", h.Interval)
	p.positive("healthCheck.timeout", h.Timeout)
	if h.Status != 0 && (h.Status < 200 || h.Status > 599) {
		p.add("healthCheck.status", "0 means any 2xx or 3xx", "%d is not a final status", h.Status)
	}
	if h.UnhealthyAfter < 1 {
		p.add("healthCheck.unhealthyAfter", "", "%d is not allowed: it must be at least 1", h.UnhealthyAfter)
	}
	if h.HealthyAfter < 1 {
		p.add("healthCheck.healthyAfter", "", "%d is not allowed: it must be at least 1", h.HealthyAfter)
	}
}

// tls makes the TLS client configuration; t may be nil.
func (p *reporter) tls(t *gate.ClientTLS) (*tls.Config, string) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return c, ""
	}
	digest := sha256.New()
	read := func(field, name string) []byte {
		data, err := os.ReadFile(name)
		if err != nil {
			p.add("tls."+field, "", "the file cannot be read: %v", err)
		}
		digest.Write(fmt.Appendf(nil, "%s %d ", field, len(data)))
		digest.Write(data)
		return data
	}
	if t.CAFile != "" {
		if pem := read("caFile", t.CAFile); pem != nil {
			c.RootCAs = x509.NewCertPool()
			if !c.RootCAs.AppendCertsFromPEM(pem) {
				p.add("tls.caFile", "", "%s holds no PEM certificate", t.CAFile)
			}
		}
	}
	switch {
	case t.CertFile != "" && t.KeyFile != "":
		cert, key := read("certFile", t.CertFile), read("keyFile", t.KeyFile)
		if cert != nil && key != nil {
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				p.add("tls.certFile", "", "the client certificate cannot be used: %v", err)
			}
			c.Certificates = []tls.Certificate{pair}
		}
	case t.CertFile != "":
		p.add("tls.certFile", "set keyFile too", "a client certificate needs its private key")
	case t.KeyFile != "":
		p.add("tls.keyFile", "set certFile too", "a private key needs its client certificate")
	}
	c.ServerName = t.ServerName
	if t.InsecureSkipVerify {
		p.warn("tls.insecureSkipVerify", "use caFile with the server's authority", "the certificates of the servers are not checked: whoever is in between can read and forge")
		c.InsecureSkipVerify = true
	}
	return c, hex.EncodeToString(digest.Sum(nil))
}
