package credentials

import (
	"fmt"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// keyHeader is where API keys are looked for if nothing else is said.
const keyHeader = "X-API-Key"

// compile reads the places of an API. A place that takes tokens and API keys is one.
func compile(api *gate.API) ([]spot, gate.Problems) {
	c := &compiler{api: api, at: make(map[string]int)}
	if config := api.Auth.JWT; config != nil {
		from := config.From
		if len(from) == 0 {
			from = []gate.TokenSource{{Header: "Authorization"}}
		}
		c.add("auth.jwt.from", from, false, config.StripAuthorization)
	}
	if config := api.Auth.APIKey; config != nil {
		from := config.From
		if len(from) == 0 {
			from = []gate.TokenSource{{Header: keyHeader}}
		}
		c.add("auth.apiKey.from", from, true, !config.Keep)
	}
	return c.spots, c.problems
}

// compiler collects the spots of an API.
type compiler struct {
	api      *gate.API
	spots    []spot
	at       map[string]int // by what tells places apart
	problems gate.Problems
}

func (c *compiler) add(path string, list []gate.TokenSource, keys, strip bool) {
	for i, from := range list {
		path := fmt.Sprintf("%s[%d]", path, i)
		p, id, problem := compilePlace(from)
		if problem == nil && keys && from.Form != "" {
			problem = &mistake{"form", "API keys are not looked for in forms", "use a header"}
		}
		if problem != nil {
			c.problems = append(c.problems, c.api.Origin.Problem(join(path, problem.key), problem.hint, "%s", problem.message))
		}
		if p == nil {
			continue
		}
		if from.Query != "" {
			warning := c.api.Origin.Problem(path+".query", "OAuth 2.1 forbids it", "tokens in addresses end up in logs and histories")
			if keys {
				warning = c.api.Origin.Problem(path+".query", "use a header", "API keys in addresses end up in logs and histories")
			}
			warning.Warning = true
			c.problems = append(c.problems, warning)
		}
		n, known := c.at[id]
		if !known {
			n = len(c.spots)
			c.at[id] = n
			c.spots = append(c.spots, spot{place: p})
		}
		s := &c.spots[n]
		if keys && s.key || !keys && s.token {
			c.problems = append(c.problems, c.api.Origin.Problem(path, "", "%s is listed twice", p))
		}
		if keys {
			s.key, s.stripKey = true, strip
		} else {
			s.token, s.stripToken = true, strip
		}
	}
}

// mistake is what is wrong with one place; key is the member that it concerns, "" for the place as a whole.
type mistake struct{ key, message, hint string }

func join(path, key string) string {
	if key == "" {
		return path
	}
	return path + "." + key
}

// compilePlace reads one place; key tells places apart.
func compilePlace(from gate.TokenSource) (p place, key string, problem *mistake) {
	given := 0
	for _, name := range []string{from.Header, from.Cookie, from.Query, from.Form} {
		if name != "" {
			given++
		}
	}
	if given != 1 {
		return nil, "", &mistake{"", "needs exactly one of header, cookie, query and form", "make one element for each place"}
	}
	switch {
	case from.Header != "":
		switch {
		case !isToken(from.Header):
			return nil, "", &mistake{"header", "is not a header name", ""}
		case isTaken(from.Header):
			return nil, "", &mistake{"header", from.Header + " cannot carry a token", ""}
		}
		p = newHeader(from.Header)
		return p, "header " + gate.FoldName(from.Header), nil
	case from.Cookie != "":
		if !isToken(from.Cookie) {
			return nil, "", &mistake{"cookie", "is not a cookie name", ""}
		}
		p = &cookie{from.Cookie}
	case from.Query != "":
		p = &query{parameter(from.Query)}
	default:
		p = &form{parameter(from.Form)}
	}
	return p, p.String(), nil
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2), as names of headers and cookies are.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isTaken reports whether a header has a meaning of its own that a token would break.
func isTaken(name string) bool {
	switch gate.FoldName(name) {
	case "connection", "content-length", "content-type", "cookie", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}
