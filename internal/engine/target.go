package engine

import (
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/match"
)

// canonicalize writes the routing view of x: the host and path that rules see, and the path and query that are forwarded. The returned path is for judging whether
// back ends may read it differently.
func canonicalize(x *gate.Exchange) (match.Path, error) {
	host, err := match.CanonicalHost(x.Host)
	if err != nil {
		return match.Path{}, gate.Deny(gate.ReasonBadHost, err)
	}
	escaped, query, _ := strings.Cut(x.Target, "?")
	path, err := match.CanonicalPath(escaped)
	if err != nil {
		return match.Path{}, gate.Deny(gate.ReasonBadTarget, err)
	}
	if !validQuery(query) {
		return match.Path{}, gate.Deny(gate.ReasonBadTarget, nil)
	}
	x.RoutingHost, x.RoutingPath = host, path.Routing
	x.OutHost = outHost(x.Host, host)
	x.OutPath, x.OutQuery = path.Forward, query
	return path, nil
}

// outHost joins the canonical host with the port of the one that was sent: what was routed by is what is forwarded. It is the sent one itself where that is canonical already.
func outHost(sent, canonical string) string {
	port := ""
	if i := strings.LastIndexByte(sent, ':'); i >= 0 && !strings.HasSuffix(sent, "]") {
		port = sent[i:]
	}
	name := canonical
	if strings.IndexByte(name, ':') >= 0 {
		name = "[" + name + "]"
	}
	if len(name)+len(port) == len(sent) && strings.HasPrefix(sent, name) {
		return sent
	}
	return name + port
}

// validQuery reports whether a query can be forwarded as it is: no fragment, and nothing that could end the request line.
func validQuery(query string) bool {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == '#' || c >= 0x7f {
			return false
		}
	}
	return true
}

// publicPath is a compiled gate.PublicPath.
type publicPath struct {
	methods []string
	path    string
	prefix  bool
}

// matches reports whether a request needs no token. A prefix ends at a slash, so that /public does not open /publications.
func (p publicPath) matches(method, path string) bool {
	if !slices.Contains(p.methods, method) {
		return false
	}
	if !p.prefix {
		return path == p.path
	}
	rest, ok := strings.CutPrefix(path, p.path)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(p.path, "/"))
}

// route returns the route of the API for a request: the public one only where a public path matches.
func (a *api) route(method, path string) *route {
	if a.limited != nil && path == a.limitsAt && (method == "GET" || method == "HEAD") {
		return a.limited
	}
	for i := range a.open {
		if a.open[i].matches(method, path) {
			return a.public
		}
	}
	return a.protected
}
