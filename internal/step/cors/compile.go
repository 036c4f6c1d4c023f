package cors

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

func compile(api *gate.API) (*Step, gate.Problems) {
	config := api.CORS
	if config == nil {
		return nil, nil
	}
	var problems gate.Problems
	add := func(path, hint, format string, args ...any) {
		problems = append(problems, api.Origin.Problem("cors."+path, hint, format, args...))
	}
	s := &Step{
		methods: strings.Join(config.AllowMethods, ", "), headers: strings.Join(config.AllowHeaders, ", "), expose: strings.Join(config.ExposeHeaders, ", "),
		credentials: config.AllowCredentials, maxAge: seconds(config.MaxAge),
	}
	if len(config.AllowOrigins) == 0 {
		add("allowOrigins", `for example ["https://app.example.com"]`, "is missing")
	}
	for i, text := range config.AllowOrigins {
		path := fmt.Sprintf("allowOrigins[%d]", i)
		switch text {
		case "*":
			s.any = true
			if config.AllowCredentials {
				add(path, "name the origins", `"*" cannot be combined with allowCredentials`)
			}
			if len(config.AllowOrigins) > 1 {
				add(path, "remove the others, or this", `"*" stands for all origins`)
			}
			continue
		case "null":
			if config.AllowCredentials {
				warning := api.Origin.Problem("cors."+path, "", `every sandboxed page and local file has the origin "null", and may act with the user's credentials`)
				warning.Warning = true
				problems = append(problems, warning)
			}
			s.origins = append(s.origins, text)
			continue
		}
		origin, err := canonical(text)
		if err != nil {
			add(path, "scheme://host or scheme://host:port", "%q is not an origin: %v", text, err)
			continue
		}
		s.origins = append(s.origins, origin)
	}
	for _, list := range []struct {
		name   string
		values []string
	}{
		{"allowMethods", config.AllowMethods}, {"allowHeaders", config.AllowHeaders}, {"exposeHeaders", config.ExposeHeaders},
	} {
		for i, value := range list.values {
			path := fmt.Sprintf("%s[%d]", list.name, i)
			switch {
			case !isToken(value):
				add(path, "", "%q is not a name", value)
			case value == "*" && config.AllowCredentials:
				add(path, "list the names", `with allowCredentials, browsers take "*" for a name, not for all`)
			}
		}
	}
	if config.MaxAge < 0 {
		add("maxAge", "", "must not be negative")
	}
	return s, problems
}

var errParts = errors.New("it has more than scheme, host and port")

// canonical returns an origin as browsers write it (WHATWG HTML, ASCII serialization of an origin): lower case, without the scheme's default port.
func canonical(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("it cannot be read")
	case u.Scheme == "" || u.Host == "":
		return "", errors.New("scheme or host is missing")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.HasSuffix(text, "#") || strings.HasSuffix(u.Host, ":"):
		return "", errParts
	}
	host := strings.ToLower(u.Host)
	for _, c := range host {
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && !strings.ContainsRune("-._:[]", c) {
			return "", fmt.Errorf("%q in the host: wildcards do not exist, and international names are written as xn--", c)
		}
	}
	switch u.Scheme + u.Port() {
	case "http80", "https443":
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return strings.ToLower(u.Scheme) + "://" + host, nil
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2), as methods and header names are.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
