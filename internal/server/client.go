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
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			value = strings.Trim(value, `"`)
			switch {
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
			rest := h[i].Value
			for {
				j := strings.LastIndexByte(rest, ',')
				if !yield(strings.Trim(rest[j+1:], " \t")) {
					return
				}
				if j < 0 {
					break
				}
				rest = rest[:j]
			}
		}
	}
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
