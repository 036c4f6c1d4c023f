package match

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/predicate"
)

// function is a function of the rule grammar. It gets between least and most arguments, none of them empty. The error of build names what is
// wrong with the argument of the given index.
type function struct {
	name        string
	usage       string
	least, most int
	build       func(args []string) (p part, arg int, err error)
}

func functions() []function {
	return []function{
		{"Host", "Host(`name`)", 1, 1, host},
		{"HostRegexp", "HostRegexp(`regexp`)", 1, 1, hostRegexp},
		{"Path", "Path(`/path`)", 1, 1, path},
		{"PathPrefix", "PathPrefix(`/path`)", 1, 1, pathPrefix},
		{"PathRegexp", "PathRegexp(`regexp`)", 1, 1, pathRegexp},
		{"Method", "Method(`method`)", 1, 1, method},
		{"Header", "Header(`name`, `value`)", 2, 2, header},
		{"HeaderRegexp", "HeaderRegexp(`name`, `regexp`)", 2, 2, headerRegexp},
		{"Query", "Query(`key`, `value`)", 1, 2, query},
		{"QueryRegexp", "QueryRegexp(`key`, `regexp`)", 1, 2, queryRegexp},
		{"ClientIP", "ClientIP(`range`)", 1, 1, clientIP},
	}
}

// hinted is an error with a suggestion for the reader.
type hinted struct {
	error
	hint string
}

func compileCall(c *predicate.Call) (part, error) {
	var names []string
	for _, f := range functions() {
		if f.isCalled(c.Name) {
			return f.compile(c)
		}
		names = append(names, f.name)
	}
	hint := "there are " + strings.Join(names, ", ")
	if near := predicate.Nearest(c.Name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return part{}, &predicate.SyntaxError{Column: c.Column, Message: fmt.Sprintf("unknown function %q", c.Name), Hint: hint}
}

func (f function) isCalled(name string) bool {
	lower := strings.ToLower(f.name)
	return name == f.name || name == lower || name == strings.ToUpper(f.name) || name == strings.ToUpper(lower[:1])+lower[1:]
}

func (f function) compile(c *predicate.Call) (part, error) {
	if len(c.Args) < f.least || len(c.Args) > f.most {
		return part{}, f.wrongCount(c)
	}
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		if a.Value == "" {
			return part{}, &predicate.SyntaxError{Column: a.Column, Message: "an argument of " + f.name + " is empty", Hint: "write " + f.usage}
		}
		args[i] = a.Value
	}
	p, wrong, err := f.build(args)
	if err != nil {
		syntax := &predicate.SyntaxError{Column: c.Args[wrong].Column, Message: err.Error()}
		if h := (hinted{}); errors.As(err, &h) {
			syntax.Hint = h.hint
		}
		return part{}, syntax
	}
	return p, nil
}

func (f function) wrongCount(c *predicate.Call) error {
	arity := "1 argument"
	switch {
	case f.least != f.most:
		arity = "1 or 2 arguments"
	case f.most == 2:
		arity = "2 arguments"
	}
	hint := "write " + f.usage
	if f.most == 1 && len(c.Args) > 1 {
		hint = fmt.Sprintf("for alternatives write %s(`a`) || %s(`b`)", f.name, f.name)
	}
	return &predicate.SyntaxError{Column: c.Column, Message: fmt.Sprintf("%s has %s, %d given", f.name, arity, len(c.Args)), Hint: hint}
}

func host(args []string) (part, int, error) {
	if args[0] == "*" {
		return part{test: func(*Request) bool { return true }, conditions: []condition{{sufficient: true}}}, 0, nil
	}
	suffix, wildcard := strings.CutPrefix(args[0], "*.")
	if strings.Contains(suffix, "*") {
		return part{}, 0, hinted{errors.New("a * that is not the whole first label"), "use HostRegexp"}
	}
	if strings.HasSuffix(suffix, "]") != strings.HasPrefix(suffix, "[") || strings.Contains(suffix, ":") && !strings.HasPrefix(suffix, "[") {
		return part{}, 0, hinted{errors.New("a port is no part of the host"), "leave it out; an IPv6 address is written in brackets"}
	}
	name, err := CanonicalHost(suffix)
	if err != nil {
		return part{}, 0, hinted{err, "a host name is ASCII; write others in their xn-- form"}
	}
	if name == "" || wildcard && strings.HasPrefix(suffix, "[") {
		return part{}, 0, errors.New("no host name")
	}
	if wildcard {
		return part{
			test:       func(r *Request) bool { return parentOf(r.Host) == name },
			conditions: []condition{{hostKind: wildcardHost, host: name, sufficient: true}},
		}, 0, nil
	}
	return part{
		test:       func(r *Request) bool { return r.Host == name },
		conditions: []condition{{hostKind: exactHost, host: name, sufficient: true}},
	}, 0, nil
}

// parentOf returns a host name without its first label, or "" if it has only one.
func parentOf(host string) string {
	_, parent, _ := strings.Cut(host, ".")
	return parent
}

func hostRegexp(args []string) (part, int, error) {
	re, err := compileRegexp(args[0])
	return part{test: func(r *Request) bool { return re.MatchString(r.Host) }, conditions: always()}, 0, err
}

func compileRegexp(source string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

func path(args []string) (part, int, error) {
	want := args[0]
	return part{
		test:       func(r *Request) bool { return r.Path == want },
		conditions: []condition{{pathKind: exactPath, path: want, sufficient: true}},
	}, 0, checkPath(want, "")
}

func pathPrefix(args []string) (part, int, error) {
	want := args[0]
	return part{
		test:       func(r *Request) bool { return strings.HasPrefix(r.Path, want) },
		conditions: []condition{{pathKind: prefixPath, path: want, sufficient: true}},
	}, 0, checkPath(want, "x") // a prefix may end anywhere, so look at a path that goes on
}

// checkPath makes sure that want with rest after it is how CanonicalPath spells some path. Any other spelling would never match, and leave what it
// was to protect to a wider rule.
func checkPath(want, rest string) error {
	if want[0] != '/' {
		return hinted{errors.New("the path does not start with /"), "write `/" + want + "`"}
	}
	p, err := CanonicalPath(encodePath(want + rest))
	if err != nil {
		return err
	}
	if p.Routing != want+rest {
		hint := "write `" + strings.TrimSuffix(p.Routing, rest) + "`"
		return hinted{errors.New("no request path is ever spelt like this"), hint}
	}
	return nil
}

func pathRegexp(args []string) (part, int, error) {
	re, err := compileRegexp(args[0])
	if err != nil {
		return part{}, 0, err
	}
	p := part{test: func(r *Request) bool { return re.MatchString(r.Path) }, conditions: always()}
	if prefix := anchoredPrefix(args[0]); prefix != "" {
		p.conditions = []condition{{pathKind: prefixPath, path: prefix}}
	}
	return p, 0, nil
}

func method(args []string) (part, int, error) {
	want := strings.ToUpper(args[0])
	if !isToken(want) {
		return part{}, 0, errors.New("not a method")
	}
	return part{test: func(r *Request) bool { return r.Method == want }, conditions: always()}, 0, nil
}

func header(args []string) (part, int, error) {
	name, want := args[0], args[1]
	if !isToken(name) {
		return part{}, 0, errors.New("not a header name")
	}
	return part{test: func(r *Request) bool {
		for i := range r.Header {
			if r.Header[i].Value == want && gate.EqualName(r.Header[i].Name, name) {
				return true
			}
		}
		return false
	}, conditions: always()}, 0, nil
}

func headerRegexp(args []string) (part, int, error) {
	name := args[0]
	if !isToken(name) {
		return part{}, 0, errors.New("not a header name")
	}
	re, err := compileRegexp(args[1])
	return part{test: func(r *Request) bool {
		for i := range r.Header {
			if gate.EqualName(r.Header[i].Name, name) && re.MatchString(r.Header[i].Value) {
				return true
			}
		}
		return false
	}, conditions: always()}, 1, err
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2), as methods and header names are.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

func clientIP(args []string) (part, int, error) {
	prefix, err := netip.ParsePrefix(args[0])
	if err != nil {
		addr, addrErr := netip.ParseAddr(args[0])
		if addrErr != nil || addr.Zone() != "" {
			return part{}, 0, hinted{errors.New("not an address range"), "write it like `10.0.0.0/8`, `192.0.2.1` or `2001:db8::/32`"}
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if mapped := prefix.Addr(); mapped.Is4In6() {
		const before = 96 // bits of an IPv4 address's place in IPv6
		if prefix.Bits() < before {
			return part{}, 0, errors.New("a range that mixes IPv4 and IPv6")
		}
		prefix = netip.PrefixFrom(mapped.Unmap(), prefix.Bits()-before)
	}
	return part{test: func(r *Request) bool { return prefix.Contains(r.Client.Unmap().WithZone("")) }, conditions: always()}, 0, nil
}
