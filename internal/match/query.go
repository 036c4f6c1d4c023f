package match

import (
	"net/url"
	"strings"
)

func query(args []string) (part, int, error) {
	key, want := args[0], ""
	if len(args) > 1 {
		want = args[1]
	}
	return part{test: func(r *Request) bool {
		rest := r.Query
		for rest != "" {
			var name, value string
			name, value, rest = nextParameter(rest)
			if unescapesTo(name, key) && unescapesTo(value, want) {
				return true
			}
		}
		return false
	}, conditions: always()}, 0, nil
}

func queryRegexp(args []string) (part, int, error) {
	if len(args) == 1 {
		return query(args)
	}
	key := args[0]
	re, err := compileRegexp(args[1])
	return part{test: func(r *Request) bool {
		rest := r.Query
		for rest != "" {
			var name, value string
			name, value, rest = nextParameter(rest)
			if !unescapesTo(name, key) {
				continue
			}
			if value, err := url.QueryUnescape(value); err == nil && re.MatchString(value) {
				return true
			}
		}
		return false
	}, conditions: always()}, 1, err
}

// nextParameter cuts the first parameter off a query, still escaped. Back ends do not agree whether a semicolon ends a parameter; here it does, so that no
// parameter that one of them would see is hidden from a rule.
func nextParameter(query string) (name, value, rest string) {
	parameter := query
	if i := strings.IndexAny(query, "&;"); i >= 0 {
		parameter, rest = query[:i], query[i+1:]
	}
	name, value, _ = strings.Cut(parameter, "=")
	return name, value, rest
}

// unescapesTo reports whether escaped stands for want in a query, where "+" is a space. Text with a broken escape stands for nothing.
func unescapesTo(escaped, want string) bool {
	n := 0
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			b, ok := unhex(escaped[i+1:])
			if !ok {
				return false
			}
			c = b
			i += 2
		}
		if n >= len(want) || want[n] != c {
			return false
		}
		n++
	}
	return n == len(want)
}

// unhex returns the byte whose two hexadecimal digits s starts with.
func unhex(s string) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	var b byte
	for _, c := range []byte(s[:2]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		b = b<<4 | c
	}
	return b, true
}
