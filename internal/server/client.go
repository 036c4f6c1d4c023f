package server

import (
	"net/netip"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// believe fills in who sent the request and under which scheme. What X-Forwarded-For and X-Forwarded-Proto, or without the former Forwarded (RFC 7239), say is believed only if the
// peer is trusted. The hops are walked from the nearest to the farthest, up to the first that is not trusted: it is the client, and what it says
// about others counts for nothing. Of several schemes the last is believed, for the peer wrote it. The host is never taken from such fields.
func believe(x *gate.Exchange, trusted []netip.Prefix) {
	x.Client = x.Peer
	if !contains(trusted, x.Peer.Addr()) {
		return
	}
	x.PeerTrusted = true
	if !x.In.Has("X-Forwarded-For") && x.In.Has("Forwarded") {
		believeForwarded(x, trusted)
		return
	}
	hops := backwards(x.In, "X-Forwarded-For")
	for hop, more := hops.next(); more; hop, more = hops.next() {
		addr, ok := parseHop(hop)
		if !ok {
			break
		}
		x.Client = addr
		if !contains(trusted, addr.Addr()) {
			break
		}
	}
	schemes := backwards(x.In, "X-Forwarded-Proto")
	if scheme, ok := schemes.next(); ok {
		setScheme(x, scheme)
	}
}

func believeForwarded(x *gate.Exchange, trusted []netip.Prefix) {
	elements := backwards(x.In, "Forwarded")
	for element, more := elements.next(); more; element, more = elements.next() {
		node, proto := "", ""
		pairs := parts{rest: element, separator: ';'}
		for pair, more := pairs.next(); more; pair, more = pairs.next() {
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			switch {
			case gate.EqualName(name, "for") && node != "": // each at most once (RFC 7239 section 4)
				return
			case gate.EqualName(name, "for"):
				node = value
			case gate.EqualName(name, "proto"):
				proto = value
			}
		}
		addr, ok := parseHop(node)
		if !ok {
			return
		}
		x.Client = addr
		setScheme(x, proto)
		if !contains(trusted, addr.Addr()) {
			return
		}
	}
}

func setScheme(x *gate.Exchange, scheme string) {
	for _, known := range [...]string{"http", "https"} {
		if gate.EqualName(scheme, known) {
			x.Scheme = known
		}
	}
}

// elements are those of a comma-separated field that may have several lines, the last first. Like parts it is no iter.Seq, because the functions of one would be allocated for each request.
type elements struct {
	left gate.Header // lines that were not looked at yet
	name string
	line parts
}

func backwards(h gate.Header, name string) elements {
	return elements{left: h, name: name, line: parts{separator: ',', done: true}}
}

// next returns the next element, if there is one.
func (e *elements) next() (string, bool) {
	for {
		if part, ok := e.line.next(); ok {
			return strings.Trim(part, " \t"), true
		}
		last := len(e.left) - 1
		if last < 0 {
			return "", false
		}
		if gate.EqualName(e.left[last].Name, e.name) {
			e.line = parts{rest: e.left[last].Value, separator: ','}
		}
		e.left = e.left[:last]
	}
}

// parts are those of rest between separators, the last first; there is one at least. A separator in a quoted string (RFC 9110 section 5.6.4) is none: what clients
// say reaches these fields in quotes, such as the host that they ask for. It is read from the end, because the end is what the peer wrote: a quote that a client
// opened cannot swallow it.
type parts struct {
	rest      string
	separator byte
	done      bool
}

// next returns the next part, if there is one.
func (p *parts) next() (string, bool) {
	if p.done {
		return "", false
	}
	quoted := false
	for i := len(p.rest) - 1; i >= 0; i-- {
		switch {
		case p.rest[i] == '"' && !escaped(p.rest[:i]):
			quoted = !quoted
		case p.rest[i] == p.separator && !quoted:
			part := p.rest[i+1:]
			p.rest = p.rest[:i]
			return part, true
		}
	}
	p.done = true
	return p.rest, true
}

// escaped reports whether what follows before is the second half of a quoted pair.
func escaped(before string) bool {
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// parseHop reads an address with an optional port; IPv6 addresses may be in brackets. A port that is not known is 0.
func parseHop(s string) (netip.AddrPort, bool) {
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	} else if s != "" && (s[0] == '[' || strings.Count(s, ":") == 1) { // nothing else can have a port, and an error that nobody looks at would be allocated
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), true
		}
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap().WithZone(""), 0), true
}

// contains reports whether one of the prefixes holds addr.
func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
