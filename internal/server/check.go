package server

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/jotgate/jotgate/internal/gate"
)

// minHeaderBytes is the smallest useful header limit.
const minHeaderBytes = 1 << 10

// maxHeaderBytes keeps a typing error from becoming a way to fill the memory.
const maxHeaderBytes = 16 << 20

// Check finds the mistakes in a listener that show without binding its address. It reads the TLS files.
func Check(l *gate.Listener) gate.Problems {
	var ps gate.Problems
	add := func(path, hint, format string, args ...any) {
		ps = append(ps, l.Origin.Problem(path, hint, format, args...))
	}
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		add("address", "write host:port or :port", "invalid address %q", l.Address)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		add("address", "a number from 1 to 65535", "invalid port %q", port)
	} else if _, err := netip.ParseAddr(host); err != nil && host != "" && !validName(host) {
		add("address", "an IP address, a name or nothing", "invalid host %q", host)
	}
	for i, p := range l.TrustedProxies {
		checkPrefix(add, fmt.Sprintf("trustedProxies[%d]", i), p)
	}
	for i, p := range l.ProxyProtocol {
		checkPrefix(add, fmt.Sprintf("proxyProtocol[%d]", i), p)
	}
	if l.MaxHeaderBytes < minHeaderBytes || l.MaxHeaderBytes > maxHeaderBytes {
		add("maxHeaderBytes", "from 1KiB to 16MiB", "the limit of %s is out of range", l.MaxHeaderBytes)
	}
	if l.MaxBodyBytes < 0 {
		add("maxBodyBytes", "0 means no limit", "the limit is negative")
	}
	if l.HeaderTimeout <= 0 {
		add("headerTimeout", "such as 10s", "a time limit is needed, or clients could hold connections for ever")
	}
	if l.IdleTimeout <= 0 {
		add("idleTimeout", "such as 3m", "a time limit is needed, or clients could hold connections for ever")
	}
	if l.BodyTimeout <= 0 {
		add("bodyTimeout", "such as 1m", "a time limit is needed, or clients could hold connections for ever")
	}
	if l.Engine != gate.EngineOwn && l.Engine != gate.EngineNetHTTP {
		add("engine", "use jotgate or net/http", "unknown engine %q", l.Engine)
	}
	if l.TLS != nil {
		checkTLS(l.TLS, add)
	}
	return ps
}

type addProblem func(path, hint, format string, args ...any)

func checkPrefix(add addProblem, path string, p netip.Prefix) {
	switch {
	case !p.IsValid():
		add(path, "such as 10.0.0.0/8 or 192.0.2.1", "invalid address range")
	case p.Addr().Is4In6():
		add(path, "write it as IPv4", "an IPv4 range in IPv6 form never matches")
	case p.Masked() != p:
		add(path, "write "+p.Masked().String(), "%s has bits beyond its length", p)
	}
}

func checkTLS(t *gate.ListenerTLS, add addProblem) {
	if len(t.Certificates) == 0 {
		add("tls.certificates", "", "at least one certificate is needed")
	}
	for i, pair := range t.Certificates {
		if pair.CertFile == "" || pair.KeyFile == "" {
			add(fmt.Sprintf("tls.certificates[%d]", i), "", "both certFile and keyFile are needed")
		} else if _, err := loadPair(pair); err != nil {
			add(fmt.Sprintf("tls.certificates[%d]", i), "", "%v", err)
		}
	}
	if _, err := minVersion(t.MinVersion); err != nil {
		add("tls.minVersion", "", "%v", err)
	}
	if t.ClientCAFile != "" {
		if _, err := loadAuthorities(t.ClientCAFile); err != nil {
			add("tls.clientCAFile", "", "%v", err)
		}
	}
}
