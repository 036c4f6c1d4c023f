package proxy

import (
	"fmt"
	"iter"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/jotgate/jotgate/internal/gate"
)

// hopByHop reports whether the field belongs to one connection and not to the message (RFC 9110 section 7.6.1). name is in canonical spelling.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info":
		return true
	}
	return false
}

// barredTrailer reports whether the field must not come as a trailer, because it frames, routes, authenticates or describes the message (RFC 9110 section 6.5.1). name is in canonical spelling.
func barredTrailer(name string) bool {
	switch name {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Authorization", "Cookie", "Set-Cookie", "Www-Authenticate",
		"Expect", "Range", "Max-Forwards", "Cache-Control", "Age", "Date", "Expires", "Location", "Retry-After", "Vary", "Warning":
		return true
	}
	return hopByHop(name)
}

// tokens yields the comma-separated elements of the lines called name, without parameters.
func tokens(h gate.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for v := range h.Values(name) {
			for part := range strings.SplitSeq(v, ",") {
				part, _, _ = strings.Cut(part, ";")
				if part = strings.Trim(part, " \t"); part != "" && !yield(part) {
					return
				}
			}
		}
	}
}

// hasToken reports whether one of the tokens of the lines called name is token.
func hasToken(h gate.Header, name, token string) bool {
	for t := range tokens(h, name) {
		if gate.EqualName(t, token) {
			return true
		}
	}
	return false
}

// validField reports whether f can be sent as it is (RFC 9110 section 5.5).
func validField(f gate.Field) bool {
	return httpguts.ValidHeaderFieldName(f.Name) && httpguts.ValidHeaderFieldValue(f.Value)
}

// outgoing makes the header of a request to a server. What belongs to one connection is left out once more: nothing that a step adds may change the framing.
func outgoing(out gate.Header) (http.Header, error) {
	h := make(http.Header, len(out)+3)
	values := make([]string, 0, len(out)) // one allocation for all lines
	for _, f := range out {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if hopByHop(name) || name == "Host" || name == "Content-Length" {
			continue
		}
		if !validField(f) {
			return nil, fmt.Errorf("the field %q cannot be forwarded", f.Name)
		}
		if lines, ok := h[name]; ok {
			h[name] = append(lines, f.Value)
			continue
		}
		values = append(values, f.Value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // the library would send its own
	}
	return h, nil
}

// incoming appends the fields of a server's response to dst, by name and each name's lines in their order. Fields that belong to the connection, also those that Connection
// names, and the length, which the client's connection has for itself, are left out.
func incoming(dst *gate.Header, h http.Header) error {
	var nominated []string
	for _, v := range h["Connection"] {
		for part := range strings.SplitSeq(v, ",") {
			nominated = append(nominated, textproto.CanonicalMIMEHeaderKey(strings.Trim(part, " \t")))
		}
	}
	var space [32]string
	names := space[:0]
	for name := range h {
		if !hopByHop(name) && name != "Content-Length" && !slices.Contains(nominated, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			if !validField(gate.Field{Name: name, Value: v}) {
				return fmt.Errorf("invalid field %q", name)
			}
			dst.Add(name, v)
		}
	}
	return nil
}

// trailers returns the fields of h that may come as trailers, by name.
func trailers(h http.Header) gate.Header {
	var all gate.Header
	if incoming(&all, h) != nil {
		return nil
	}
	all.DelFunc(func(name string) bool { return barredTrailer(name) })
	return all
}

// cleanTarget reports whether s can be part of a request line: no white space, controls or fragment.
func cleanTarget(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '#' {
			return false
		}
	}
	return true
}
