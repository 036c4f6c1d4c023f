package proxy

import (
	"net/http"
	"net/textproto"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// requestTrailer carries the client's trailer fields to a server.
type requestTrailer struct {
	x *gate.Exchange
	// fields is what the library sends after the body; its names are announced before.
	fields http.Header
	// taken are the folded names of the header: a server that merges trailers into the header could take a client's trailer for a field that the gateway has set.
	taken map[string]bool
}

// newRequestTrailer returns nil if the request cannot have trailers.
func newRequestTrailer(x *gate.Exchange) *requestTrailer {
	if x.Trailer == nil || x.Length >= 0 {
		return nil
	}
	t := &requestTrailer{x: x, fields: http.Header{}, taken: make(map[string]bool, len(x.Out))}
	for _, f := range x.Out {
		t.taken[gate.FoldName(f.Name)] = true
	}
	for name := range tokens(x.Out, "Trailer") {
		if name, ok := t.accept(gate.Field{Name: name}); ok {
			t.fields[name] = nil
		}
	}
	for _, f := range x.Trailer() {
		if name, ok := t.accept(f); ok {
			t.fields[name] = nil
		}
	}
	return t
}

// fill takes over the client's trailer once the body has been read.
func (t *requestTrailer) fill() {
	for _, f := range t.x.Trailer() {
		if name, ok := t.accept(f); ok {
			t.fields[name] = append(t.fields[name], strings.Clone(f.Value))
		}
	}
}

// accept returns the canonical name of a field that may be forwarded.
func (t *requestTrailer) accept(f gate.Field) (string, bool) {
	name := textproto.CanonicalMIMEHeaderKey(strings.Clone(f.Name)) // the library may hold it for longer than the exchange lasts
	return name, validField(f) && !barredTrailer(name) && !t.taken[gate.FoldName(name)]
}
