package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// fill writes the received side of the exchange. A reason other than "" says why the message must be refused; detail is fit for logs.
func (s *session) fill(g *generation, c *conn, r *http.Request) (reason gate.Reason, detail string) {
	x := &s.x
	x.Context, x.Start = r.Context(), time.Now()
	x.Listener = g.name()
	x.Method, x.Proto = r.Method, 10*r.ProtoMajor+r.ProtoMinor
	x.Host, x.Target = r.Host, r.RequestURI
	x.ServerName, x.ClientCertificate = c.serverName, c.clientCert
	s.fields(r)
	x.Scheme = "http"
	if g.certs != nil {
		x.Scheme = "https"
	}
	x.Peer = c.peer
	believe(x, g.cfg.TrustedProxies)

	switch {
	case x.Proto < 10 || x.Proto > 11 && x.Proto != 20:
		return gate.ReasonHTTPVersion, r.Proto
	case !isToken(x.Method): // net/http looks at it in HTTP/1.1 only
		return gate.ReasonBadMessage, ""
	case headerSize(x) > g.maxHeader():
		return gate.ReasonHeaderLarge, ""
	case !sameHost(r):
		return gate.ReasonBadHost, "Host differs from :authority"
	case !sameLength(r):
		return gate.ReasonBadMessage, "Content-Length differs from the body"
	}
	if reason, detail := g.admissible(x); reason != "" {
		return reason, detail
	}
	if x.Proto == 11 {
		x.Upgrade = upgradeOf(x.In)
	}
	return "", ""
}

// admissible judges what both engines leave to be judged: a reason other than "" says why the message must be refused.
func (g *generation) admissible(x *gate.Exchange) (reason gate.Reason, detail string) {
	host, ok := hostName(x.Host)
	switch {
	case x.Method == "PRI": // the preface of HTTP/2 on a listener without it
		return gate.ReasonHTTPVersion, "HTTP/2.0"
	case !ok:
		return gate.ReasonBadHost, ""
	case !validTarget(x.Method, x.Target):
		return gate.ReasonBadTarget, ""
	// Which API a request belongs to, and so which token it needs, follows from Host alone, on every listener: a TLS name that differs (or is absent, when the
	// first certificate is used) opens nothing, and browsers do share a connection between names. Only where the client shows a certificate, which it chose by
	// the TLS name, must the two agree (RFC 9110 section 7.4).
	case g.cfg.TLS != nil && g.cfg.TLS.ClientCAFile != "" && x.ServerName != "" && !gate.EqualName(strings.TrimSuffix(host, "."), x.ServerName):
		return gate.ReasonMisdirected, ""
	}
	return "", ""
}

// fields fills x.In: one line for each received line, sorted by name. net/http keeps the order of lines of one name, but neither the order of
// different names nor their spelling.
func (s *session) fields(r *http.Request) {
	for name := range r.Header {
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
	in := s.x.In
	for _, name := range s.names {
		if name == "Host" {
			continue
		}
		for _, value := range r.Header[name] {
			in = append(in, gate.Field{Name: name, Value: strings.Trim(value, " \t")})
		}
	}
	if len(r.Trailer) > 0 { // net/http has taken the field apart
		names := make([]string, 0, len(r.Trailer))
		for name := range r.Trailer {
			names = append(names, name)
		}
		slices.Sort(names)
		in = append(in, gate.Field{Name: "Trailer", Value: strings.Join(names, ", ")})
	}
	s.x.In = in
}

// headerSize is the size of the request line and header as HTTP/1.1 would write them. net/http lets 4 KiB more pass than it is told.
func headerSize(x *gate.Exchange) int64 {
	n := len(x.Method) + len(x.Target) + len("  HTTP/1.1\r\n") + len("Host: \r\n") + len(x.Host) + len("\r\n")
	for i := range x.In {
		n += len(x.In[i].Name) + len(x.In[i].Value) + len(": \r\n")
	}
	return int64(n)
}

func (g *generation) maxHeader() int64 {
	if g.cfg.MaxHeaderBytes > 0 {
		return int64(g.cfg.MaxHeaderBytes)
	}
	return http.DefaultMaxHeaderBytes
}

// sameHost reports whether a Host field that came beside :authority says the same (RFC 9113 section 8.3.1).
func sameHost(r *http.Request) bool {
	lines := r.Header["Host"]
	return len(lines) == 0 || len(lines) == 1 && lines[0] == r.Host
}

// sameLength reports whether Content-Length, if it is there, says once what the framing says. net/http does not ask that of HTTP/2 requests, and a length that
// is not the body's would be believed by whoever reads the request as HTTP/1.1 (RFC 9113 section 8.1.1).
func sameLength(r *http.Request) bool {
	lines := r.Header["Content-Length"]
	if len(lines) == 0 {
		return true
	}
	n, ok := parseDigits([]byte(lines[0]), 10, 18)
	return ok && len(lines) == 1 && int64(n) == r.ContentLength
}

// hostName returns the name or address in host, a Host field (RFC 9110 section 7.2), and whether the field is one that can be routed by: a domain name, an
// IPv4 address or an IPv6 literal, with an optional port. Escapes, user information and characters outside ASCII are not taken.
func hostName(host string) (string, bool) {
	name, port := host, ""
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", false
		}
		addr, err := netip.ParseAddr(host[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", false
		}
		name, port = host[:end+1], host[end+1:]
		if port != "" && port[0] != ':' {
			return "", false
		}
	} else {
		if i := strings.IndexByte(host, ':'); i >= 0 {
			name, port = host[:i], host[i:]
		}
		if !validName(name) {
			return "", false
		}
	}
	return name, port == "" || validPort(port[1:])
}

func validName(name string) bool {
	if name == "" || len(name) > 254 || name[0] == '.' || strings.Contains(name, "..") {
		return false
	}
	for i := 0; i < len(name); i++ {
		if b := name[i]; !alphanumeric(b) && b != '-' && b != '.' && b != '_' {
			return false
		}
	}
	return true
}

func validPort(port string) bool {
	n := 0
	for i := 0; i < len(port); i++ {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
		n = n*10 + int(port[i]-'0')
	}
	return len(port) >= 1 && len(port) <= 5 && n <= 65535
}

// validTarget reports whether target is in origin form, or the asterisk of OPTIONS (RFC 9112 section 3.2), without a fragment. The absolute form is refused: only
// forward proxies need it, and net/http hides whether its host and the Host field agree. CONNECT is refused in every form.
func validTarget(method, target string) bool {
	if method == http.MethodConnect {
		return false
	}
	if target == "*" {
		return method == http.MethodOptions
	}
	if target == "" || target[0] != '/' {
		return false
	}
	for i := 0; i < len(target); i++ {
		if b := target[i]; b <= ' ' || b == 0x7f || b == '#' {
			return false
		}
	}
	return true
}

// upgradeOf returns the protocol that the client offers to switch to. Only a single offer is taken, and none of another version of HTTP or of TLS: such a tunnel would
// carry requests past the gate.
func upgradeOf(in gate.Header) string {
	offer := in.Get("Upgrade")
	if offer == "" || in.Count("Upgrade") != 1 || !isToken(strings.Replace(offer, "/", "-", 1)) {
		return ""
	}
	name, _, _ := strings.Cut(offer, "/")
	for _, carrier := range []string{"h2c", "h2", "h3", "http", "tls"} {
		if gate.EqualName(name, carrier) {
			return ""
		}
	}
	for line := range in.Values("Connection") {
		for option := range strings.SplitSeq(line, ",") {
			if gate.EqualName(strings.Trim(option, " \t"), "upgrade") {
				return offer
			}
		}
	}
	return ""
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if b := s[i]; !alphanumeric(b) && strings.IndexByte("!#$%&'*+-.^_`|~", b) < 0 {
			return false
		}
	}
	return s != ""
}

func alphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}
