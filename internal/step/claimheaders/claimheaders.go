// Package claimheaders is the step that tells the upstream who is calling: it writes claims of the verified token, or what is known of the API key, into headers.
package claimheaders

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
)

// Missing says what becomes of a header whose claim is missing, null or an empty array.
type Missing uint8

const (
	// Omit leaves the header out: there is nothing to say.
	Omit Missing = iota
	// Empty sends the header with an empty value, for back ends that ask whether it is there.
	Empty
)

// Step makes header fields from an identity, and writes those of x to x.Out. It is read-only and safe for concurrent use.
type Step struct {
	headers    []header // by name
	keyHeaders []keyHeader
	missing    Missing
}

type header struct {
	name string
	path claims.Path
}

// New makes the step of an API that asks for tokens or API keys. The step is nil if the problems hold more than warnings.
func New(api *gate.API, missing Missing) (*Step, gate.Problems) {
	headers, problems := compile(api)
	keyHeaders, more := compileKey(api)
	if problems = append(problems, more...); problems.Err() != nil {
		return nil, problems
	}
	return &Step{headers: headers, keyHeaders: keyHeaders, missing: missing}, problems
}

// Check returns what is wrong with the headers in which an API tells who is calling.
func Check(api *gate.API) gate.Problems {
	_, problems := compile(api)
	_, more := compileKey(api)
	return append(problems, more...)
}

// maxName is the longest name of a header.
const maxName = 128

func compile(api *gate.API) ([]header, gate.Problems) {
	config := api.Auth.JWT
	if config == nil {
		return nil, nil
	}
	var headers []header
	var problems gate.Problems
	names := newNames("auth.jwt.forwardHeaders.", "a claim", api, &problems)
	for _, name := range slices.Sorted(maps.Keys(config.ForwardHeaders)) {
		path, err := claims.ParsePath(config.ForwardHeaders[name])
		switch {
		case !names.check(name):
		case config.ForwardHeaders[name] == "":
			names.report(name, "for example sub", "names no claim")
		case err != nil:
			names.report(name, "", "%v", err)
		}
		headers = append(headers, header{name: name, path: path})
	}
	return headers, problems
}

// names checks the names of headers that say who is calling.
type names struct {
	at, what string
	seen     map[string]string // by folded name
	api      *gate.API
	problems *gate.Problems
}

func newNames(at, what string, api *gate.API, problems *gate.Problems) *names {
	return &names{at: at, what: what, seen: make(map[string]string), api: api, problems: problems}
}

func (n *names) report(name, hint, format string, args ...any) {
	*n.problems = append(*n.problems, n.api.Origin.Problem(n.at+name, hint, format, args...))
}

// check reports whether a name is fit, and otherwise what is wrong with it.
func (n *names) check(name string) bool {
	folded := gate.FoldName(name)
	other, twice := n.seen[folded]
	n.seen[folded] = name
	switch {
	case !isToken(name):
		n.report(name, "letters, digits and dashes", "%q is not a header name", name)
	case len(name) > maxName:
		n.report(name, "", "a header name has at most %d characters", maxName)
	case reserved(folded):
		n.report(name, "for example X-User", "%s has a meaning of its own and cannot carry %s", name, n.what)
	case twice:
		n.report(name, "keep one of them", "back ends may confuse %s with %s", name, other)
	default:
		return true
	}
	return false
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2), as header names are.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// reserved reports whether a header says how the message is framed, read or routed, or who vouches for it: a claim in its place could change what the
// upstream is asked.
func reserved(folded string) bool {
	switch folded {
	case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "proxy", "te", "trailer", "transfer-encoding", "upgrade",
		"http2-settings", "expect", "host", "content-length", "content-type", "content-encoding", "content-range", "range", "authorization", "cookie",
		"www-authenticate", "set-cookie", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip":
		return true
	}
	return false
}

// Fields returns the fields that tell the upstream about an identity; they depend on nothing else. The error is always a *gate.Denial: a claim that a header
// cannot carry unchanged is never altered, for what is left of it could be somebody else.
func (s *Step) Fields(id *gate.Identity, trace *gate.Trace) (gate.Header, error) {
	if id == nil {
		return nil, errNobody()
	}
	var fields gate.Header
	for i := range s.headers {
		h := &s.headers[i]
		value := id.Claims.Lookup(h.path)
		lines, err := claims.HeaderValues(value)
		if err != nil {
			return nil, refuse(trace, h, value.Kind(), err)
		}
		for _, line := range lines {
			fields.Add(h.name, line)
		}
		if len(lines) == 0 && s.missing == Empty {
			fields.Add(h.name, "")
		}
		if trace != nil {
			trace.Record(gate.Check{Name: "forward_header", Expected: h.name + " from " + h.path.String(), Got: strings.Join(lines, ", "), Claim: true})
		}
	}
	return fields, nil
}

func errNobody() error {
	return gate.Deny(gate.ReasonInternal, errors.New("forwarding claims of a request without an identity"))
}

// Handle replaces every header of the step by x.ClaimFields. The error is always a *gate.Denial.
func (s *Step) Handle(x *gate.Exchange) error {
	if x.Identity == nil {
		return errNobody()
	}
	x.Out.DelFunc(s.sets)
	x.Out = append(x.Out, x.ClaimFields...)
	return nil
}

// sets reports whether a field is one of the step's, in whatever spelling.
func (s *Step) sets(name string) bool {
	for i := range s.headers {
		if gate.SameFolded(name, s.headers[i].name) {
			return true
		}
	}
	for i := range s.keyHeaders {
		if gate.SameFolded(name, s.keyHeaders[i].name) {
			return true
		}
	}
	return false
}

func refuse(trace *gate.Trace, h *header, kind claims.Kind, err error) error {
	expected, got := fmt.Sprintf("%s in a form that %s can carry", h.path, h.name), kind.String()
	trace.Record(gate.Check{Name: "forward_header", Reason: gate.ReasonForwardClaim, Expected: expected, Got: got})
	return &gate.Denial{Reason: gate.ReasonForwardClaim, Expected: expected, Got: got, Err: err}
}
