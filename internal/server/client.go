package server

import (
	"iter"
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
	for hop := range backwards(x.In, "X-Forwarded-For") {
		addr, ok := parseHop(hop)
		if !ok {
			break
		}
		x.Client = addr
		if !contains(trusted, addr.Addr()) {
			break
		}
	}
	for scheme := range backwards(x.In, "X-Forwarded-Proto") {
		setScheme(x, scheme)
		break
	}
}

func believeForwarded(x *gate.Exchange, trusted []netip.Prefix) {
	for element := range backwards(x.In, "Forwarded") {
		node, proto := "", ""
		for pair := range unquotedParts(element, ';') {
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
	for _, known := range []string{"http", "https"} {
		if gate.EqualName(scheme, known) {
			x.Scheme = known
		}
	}
}

// backwards yields the elements of a comma-separated field that may have several lines, the last first.
func backwards(h gate.Header, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := len(h) - 1; i >= 0; i-- {
			if !gate.EqualName(h[i].Name, name) {
				continue
			}
			for part := range unquotedParts(h[i].Value, ',') {
				if !yield(strings.Trim(part, " \t")) {
					return
				}
			}
		}
	}
}

// unquotedParts yields the parts of s between separators, the last first. A separator in a quoted string (RFC 9110 section 5.6.4) is none: what clients
// say reaches these fields in quotes, such as the host that they ask for. It is read from the end, because the end is what the peer wrote: a quote that a client
// opened cannot swallow it.
func unquotedParts(s string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		quoted, end := false, len(s)
		for i := len(s) - 1; i >= 0; i-- {
			switch {
			case s[i] == '"' && !escaped(s[:i]):
				quoted = !quoted
			case s[i] == separator && !quoted:
				if !yield(s[i+1 : end]) {
					return
				}
				end = i
			}
		}
		yield(s[:end])
	}
}

// escaped reports whether what follows before is the second half of a quoted pair.
func escaped(before string) bool {
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// parseHop reads an address with an optional port; IPv6 addresses may be in brackets. A port that is not known is 0.
func parseHop(s string) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), true
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
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
