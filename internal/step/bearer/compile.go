package bearer

import (
	"fmt"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// compile reads the places of an API.
func compile(api *gate.API) ([]place, gate.Problems) {
	config := api.Auth.JWT
	if config == nil || len(config.From) == 0 {
		return []place{newHeader("Authorization")}, nil
	}
	var places []place
	var problems gate.Problems
	seen := make(map[string]bool)
	for i, from := range config.From {
		path := fmt.Sprintf("auth.jwt.from[%d]", i)
		p, key, problem := compilePlace(from)
		if problem != nil {
			problems = append(problems, api.Origin.Problem(join(path, problem.key), problem.hint, "%s", problem.message))
		}
		if p == nil {
			continue
		}
		if seen[key] {
			problems = append(problems, api.Origin.Problem(path, "", "%s is listed twice", p))
		}
		seen[key] = true
		if from.Query != "" {
			warning := api.Origin.Problem(path+".query", "OAuth 2.1 forbids it", "tokens in addresses end up in logs and histories")
			warning.Warning = true
			problems = append(problems, warning)
		}
		places = append(places, p)
	}
	return places, problems
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
