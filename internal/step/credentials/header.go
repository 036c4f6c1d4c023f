package credentials

import (
	"errors"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// scheme is the authentication scheme of bearer tokens (RFC 6750 section 2.1).
const scheme = "Bearer"

// errOtherScheme: the field holds credentials that are no token.
var errOtherScheme = errors.New("credentials of another scheme")

// header is a place in a header field.
type header struct {
	name string
	// schemeOnly says that the value must start with the scheme: the field holds other credentials otherwise.
	schemeOnly bool
}

func newHeader(name string) *header {
	return &header{name: name, schemeOnly: gate.EqualName(name, "Authorization")}
}

func (h *header) String() string { return "header " + h.name }

// find refuses a field that is there twice, whatever the values, and one that is there in another spelling which back ends may read as this.
func (h *header) find(x *gate.Exchange) (string, error) {
	value, lines := "", 0
	for i := range x.In {
		name := x.In[i].Name
		if gate.EqualName(name, h.name) {
			value = x.In[i].Value
			lines++
		} else if gate.SameFolded(name, h.name) {
			return "", ambiguous(h.String() + ", in another spelling")
		}
	}
	switch {
	case lines > 1:
		return "", ambiguous(h.String() + ", repeated")
	case lines == 0:
		return "", nil
	}
	credentials, ok := cutScheme(value)
	switch {
	case ok && !isOne(credentials):
		return "", &gate.Denial{Reason: gate.ReasonTokenMalformed, Expected: "Bearer, spaces and a token", Got: h.String()}
	case ok:
		return credentials, nil
	case h.schemeOnly:
		return "", errOtherScheme
	}
	return value, nil
}

func (h *header) strip(x *gate.Exchange) { x.Out.Del(h.name) }

// cutScheme splits a value that starts with the scheme, in any case (RFC 9110 section 11.1), and returns what follows its spaces.
func cutScheme(value string) (credentials string, ok bool) {
	if len(value) < len(scheme) || !gate.EqualName(value[:len(scheme)], scheme) {
		return "", false
	}
	credentials = strings.TrimLeft(value[len(scheme):], " ")
	return credentials, len(value) == len(scheme) || value[len(scheme)] == ' '
}

// isOne reports whether s may be one token: no two, separated by a comma or space, are. The verifier looks at the rest of it.
func isOne(s string) bool {
	return s != "" && strings.IndexByte(s, ' ') < 0 && strings.IndexByte(s, ',') < 0
}
