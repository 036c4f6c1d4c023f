package credentials

import (
	"net/url"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// parameter is the name of a parameter in an application/x-www-form-urlencoded text: a query or a body.
type parameter string

// query is a place in the query.
type query struct{ parameter }

func (q *query) String() string { return "query parameter " + string(q.parameter) }

func (q *query) find(x *gate.Exchange) (string, error) {
	return q.in(x.OutQuery, q, gate.ReasonBadTarget)
}

// private marks responses to requests with a token in the query as not for shared caches, whose keys would hold the token (RFC 6750 section 2.3).
type private struct{}

// Respond adds Cache-Control: private to a successful response that may be kept.
func (private) Respond(x *gate.Exchange) {
	if x.Status < 200 || x.Status > 299 {
		return
	}
	for value := range x.Reply.Values("Cache-Control") {
		for directive := range strings.SplitSeq(value, ",") {
			if directive = strings.Trim(directive, " \t"); gate.EqualName(directive, "private") || gate.EqualName(directive, "no-store") {
				return
			}
		}
	}
	x.Reply.Add("Cache-Control", "private")
}

func (q *query) strip(x *gate.Exchange) { x.OutQuery = q.without(x.OutQuery) }

// in returns the value of the parameter in text, "" if there is none. A text in which a second one may hide is refused: one with the parameter twice, in
// whatever encoding of its name; one with a semicolon where some readers see a separator; one with a name that cannot be decoded, with broken as the reason.
func (p parameter) in(text string, at place, broken gate.Reason) (string, error) {
	token, found := "", false
	for pair := range strings.SplitSeq(text, "&") {
		first := true
		for part := range strings.SplitSeq(pair, ";") {
			encoded, value, _ := strings.Cut(part, "=")
			name, err := decode(encoded)
			if err != nil {
				return "", &gate.Denial{Reason: broken, Expected: "parameter names in valid percent-encoding", Got: at.String()}
			}
			switch {
			case name != string(p):
			case found || !first:
				return "", ambiguous(at.String() + ", repeated")
			default:
				if token, err = decode(value); err != nil || strings.Contains(pair, ";") {
					return "", &gate.Denial{Reason: gate.ReasonTokenMalformed, Expected: "a token in valid percent-encoding", Got: at.String()}
				}
				found = true
			}
			first = false
		}
	}
	return token, nil
}

// decode is the decoding of application/x-www-form-urlencoded; it allocates only where something is encoded.
func decode(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// without returns text without the parameter; the others keep every byte.
func (p parameter) without(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	kept := 0
	for pair := range strings.SplitSeq(text, "&") {
		encoded, _, _ := strings.Cut(pair, "=")
		if name, err := decode(encoded); err == nil && name == string(p) {
			continue
		}
		if kept > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pair)
		kept++
	}
	return b.String()
}
