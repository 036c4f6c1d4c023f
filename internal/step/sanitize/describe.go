package sanitize

import (
	"net/netip"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// describe writes the fields that tell the upstream where the request came from: Forwarded (RFC 7239) and its elder relatives. What a trusted proxy has
// said is kept and continued; of what others have said nothing is left in x.Out by now.
func describe(x *gate.Exchange) {
	hop := hopOf(x)
	out := &x.Out
	extend(x, "X-Forwarded-For", hop.PeerText)
	if !out.Has("X-Forwarded-Proto") {
		out.Add("X-Forwarded-Proto", x.Scheme)
	}
	if x.OutHost != "" && !out.Has("X-Forwarded-Host") {
		out.Add("X-Forwarded-Host", x.OutHost)
	}
	if !out.Has("X-Forwarded-Port") {
		out.Add("X-Forwarded-Port", port(x.OutHost, x.Scheme))
	}
	client := hop.PeerText
	if x.Client.Addr() != x.Peer.Addr() { // behind a proxy it changes while the rest stays
		start := len(x.Texts)
		x.Texts = appendAddress(x.Texts, x.Client)
		client = x.TextFrom(start)
	}
	out.Set("X-Real-Ip", client)
	extend(x, "Forwarded", hop.Element)
}

// maxHost bounds what a Hop keeps in memory; a domain name has at most 255 characters.
const maxHost = 300

// hopOf returns the texts about where x came from: those of the request before, as far as it came from the same place.
func hopOf(x *gate.Exchange) *gate.Hop {
	h := &x.Hop
	if h.Element == "" || h.Peer != x.Peer.Addr() || h.Host != x.OutHost || h.Scheme != x.Scheme {
		if len(x.OutHost) > maxHost {
			h = new(gate.Hop)
		}
		*h = gate.Hop{Peer: x.Peer.Addr(), Host: strings.Clone(x.OutHost), Scheme: strings.Clone(x.Scheme)} // they may be views of a buffer that the server uses again
		h.Element, h.PeerText = forwardedElement(x)
	}
	return h
}

// extend makes one line of those of x.Out called name, with value at its end. A line with a quoted string that does not end would swallow what follows it; such a
// line is left out.
func extend(x *gate.Exchange, name, value string) {
	if !x.Out.Has(name) {
		x.Out.Add(name, value)
		return
	}
	start := len(x.Texts)
	for _, f := range x.Out {
		if gate.EqualName(f.Name, name) && f.Value != "" && closed(f.Value) {
			x.Texts = append(append(x.Texts, f.Value...), ", "...)
		}
	}
	x.Texts = append(x.Texts, value...)
	x.Out.Set(name, x.TextFrom(start))
}

// closed reports whether every quoted string in value ends (RFC 9110 section 5.6.4).
func closed(value string) bool {
	quoted := false
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '"':
			quoted = !quoted
		case quoted && value[i] == '\\':
			i++
		}
	}
	return !quoted
}

// forwardedElement returns the forwarded-element about this hop (RFC 7239 section 4), and the peer's address, which is a part of it.
func forwardedElement(x *gate.Exchange) (element, peer string) {
	var buffer [128]byte
	b := append(buffer[:0], "for="...)
	v6 := x.Peer.Addr().Unmap().Is6()
	if v6 {
		b = append(b, `"[`...)
	}
	start := len(b)
	b = appendAddress(b, x.Peer)
	end := len(b)
	if v6 {
		b = append(b, `]"`...)
	}
	if x.OutHost != "" {
		b = append(b, `;host="`...)
		for i := range len(x.OutHost) {
			if c := x.OutHost[i]; c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, x.OutHost[i])
		}
		b = append(b, '"')
	}
	b = append(b, ";proto="...)
	b = append(b, x.Scheme...)
	element = string(b)
	return element, element[start:end]
}

// appendAddress appends the address without port and zone; "unknown" (RFC 7239 section 6.2) if there is none.
func appendAddress(b []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(b, "unknown"...)
	}
	return a.Addr().Unmap().WithZone("").AppendTo(b)
}

// port is the port that the client connected to, as far as it says so.
func port(host, scheme string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i+1 < len(host) && strings.Trim(host[i+1:], "0123456789") == "" {
		return host[i+1:]
	}
	if scheme == "https" {
		return "443"
	}
	return "80"
}
