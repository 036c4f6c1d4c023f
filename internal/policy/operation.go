package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/match"
)

// requests is a compiled set of requests of an API. It is read-only; asking it does not allocate. The nil set holds every request.
type requests struct {
	anyPath  methods
	exact    map[string]methods
	prefixes map[string]methods // by the path that is the prefix; with a slash at the end only what is below it is meant
	patterns []pattern
	regexes  []expression
	text     string
}

type pattern struct {
	segments []string // "" stands for any one segment
	rest     bool     // anything may follow
	methods  methods
}

type expression struct {
	regex   *regexp.Regexp
	methods methods
}

// String says what the set holds.
func (r *requests) String() string {
	if r == nil {
		return "all requests"
	}
	return r.text
}

// has reports whether a request with a method and a canonical path is in the set.
func (r *requests) has(method, path string) bool {
	if r == nil {
		return true
	}
	bit := methodBit(method)
	if r.anyPath.has(method, bit) {
		return true
	}
	if m, ok := r.exact[path]; ok && m.has(method, bit) {
		return true
	}
	if len(r.prefixes) > 0 && r.below(method, bit, path) {
		return true
	}
	for i := range r.patterns {
		if p := &r.patterns[i]; p.methods.has(method, bit) && p.matches(path) {
			return true
		}
	}
	for i := range r.regexes {
		if e := &r.regexes[i]; e.methods.has(method, bit) && e.regex.MatchString(path) {
			return true
		}
	}
	return false
}

// below looks up everything that could be a prefix of the path: what ends before a slash, and with it.
func (r *requests) below(method string, bit uint32, path string) bool {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		if i > 0 && r.prefixes[path[:i]].has(method, bit) || r.prefixes[path[:i+1]].has(method, bit) {
			return true
		}
	}
	return r.prefixes[path].has(method, bit)
}

func (p *pattern) matches(path string) bool {
	rest := path
	for i, want := range p.segments {
		if rest == "" || rest[0] != '/' {
			return false
		}
		rest = rest[1:]
		end := strings.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		if got := rest[:end]; want == "" && got == "" || want != "" && got != want {
			return false
		}
		rest = rest[end:]
		if i == len(p.segments)-1 && !p.rest {
			return rest == ""
		}
	}
	return p.rest && rest != ""
}

// methods is a set of methods.
type methods struct {
	mask  uint32
	other []string // those without a bit
}

const everyMethod uint32 = 1 << 31

func methodBit(method string) uint32 {
	switch method {
	case "GET":
		return 1 << 0
	case "HEAD":
		return 1 << 1
	case "POST":
		return 1 << 2
	case "PUT":
		return 1 << 3
	case "PATCH":
		return 1 << 4
	case "DELETE":
		return 1 << 5
	case "OPTIONS":
		return 1 << 6
	case "CONNECT":
		return 1 << 7
	case "QUERY":
		return 1 << 8
	}
	return 0
}

func (m methods) has(method string, bit uint32) bool {
	return m.mask&(everyMethod|bit) != 0 || bit == 0 && slices.Contains(m.other, method)
}

func (m methods) with(names []string) methods {
	if len(names) == 0 {
		m.mask |= everyMethod
	}
	for _, name := range names {
		if bit := methodBit(name); bit != 0 {
			m.mask |= bit
		} else if !slices.Contains(m.other, name) {
			m.other = append(slices.Clone(m.other), name)
		}
	}
	return m
}

// reporter notes a problem with a part of a noun.
type reporter func(path, hint, format string, args ...any)

// compileOperations makes the set of all requests that one of the operations means. at is their place, for problems.
func compileOperations(operations []gate.Operation, at string, report reporter) *requests {
	r := &requests{exact: map[string]methods{}, prefixes: map[string]methods{}}
	texts := make([]string, len(operations))
	for i := range operations {
		r.add(&operations[i], fmt.Sprintf("%s[%d]", at, i), report)
		texts[i] = operationText(&operations[i])
	}
	r.text = strings.Join(texts, ", ")
	return r
}

// Requests is a compiled set of requests of an API. It is read-only; asking it does not allocate.
type Requests struct{ set *requests }

// CompileRequests makes the set of all requests that one of the operations means. at is their place, for the problems that are reported.
func CompileRequests(operations []gate.Operation, at string, report func(path, hint, format string, args ...any)) Requests {
	return Requests{compileOperations(operations, at, report)}
}

// Has reports whether a request with a method and a canonical path is in the set.
func (r Requests) Has(method, path string) bool { return r.set.has(method, path) }

// operationText is the one way to write an operation: different ones are written differently.
func operationText(o *gate.Operation) string {
	names := slices.Clone(o.Methods)
	slices.Sort(names)
	method := strings.Join(slices.Compact(names), "|")
	if method == "" {
		method = "any method"
	}
	switch {
	case o.Path != "":
		return method + " " + o.Path
	case o.PathPrefix != "":
		return method + " " + o.PathPrefix + "..."
	case o.PathPattern != "":
		return method + " pattern " + o.PathPattern
	case o.PathRegex != "":
		return method + " regex " + o.PathRegex
	}
	return method + " any path"
}

func (r *requests) add(o *gate.Operation, at string, report reporter) {
	for k, method := range o.Methods {
		if method == "" || strings.ToUpper(method) != method || strings.ContainsFunc(method, func(r rune) bool { return r <= ' ' || r > '~' }) {
			report(fmt.Sprintf("%s.methods[%d]", at, k), "write it in capitals, for example GET", "%q is no method", method)
		}
	}
	set := 0
	for _, text := range []string{o.Path, o.PathPrefix, o.PathPattern, o.PathRegex} {
		if text != "" {
			set++
		}
	}
	switch {
	case set > 1:
		report(at, "keep one of them", "path, pathPrefix, pathPattern and pathRegex contradict each other")
	case o.Path != "":
		checkPath(o.Path, o.Path, at+".path", report)
		r.exact[o.Path] = r.exact[o.Path].with(o.Methods)
	case o.PathPrefix != "":
		checkPath(o.PathPrefix, o.PathPrefix, at+".pathPrefix", report)
		r.prefixes[o.PathPrefix] = r.prefixes[o.PathPrefix].with(o.Methods)
	case o.PathPattern != "":
		if p, ok := compilePattern(o.PathPattern, at+".pathPattern", report); ok {
			p.methods = methods{}.with(o.Methods)
			r.patterns = append(r.patterns, p)
		}
	case o.PathRegex != "":
		regex, err := regexp.Compile(o.PathRegex)
		if err != nil {
			report(at+".pathRegex", "the syntax is RE2", "%v", err)
			return
		}
		r.regexes = append(r.regexes, expression{regex: regex, methods: methods{}.with(o.Methods)})
	default:
		r.anyPath = r.anyPath.with(o.Methods)
	}
}

// checkPath refuses what no request could have as its path. shown is what the configuration says.
func checkPath(path, shown, at string, report reporter) {
	canonical, err := match.CanonicalPath(path)
	if err != nil || canonical.Routing != path || canonical.Ambiguous() {
		report(at, "start with /, without . and .. segments, percent-encoding and ;", "%q is no canonical path, so no request could have it", shown)
	}
}

func compilePattern(text, at string, report reporter) (p pattern, ok bool) {
	body, rest := strings.CutSuffix(text, "/*")
	p.rest = rest
	plain := strings.Split(body, "/")
	for i, segment := range plain {
		if i == 0 {
			continue // what is before the first slash: nothing, or no path
		}
		if name, isName := strings.CutPrefix(segment, "{"); isName && strings.IndexByte(name, '}') == len(name)-1 && len(name) > 1 {
			plain[i] = "x"
			p.segments = append(p.segments, "")
			continue
		}
		if strings.ContainsAny(segment, "{}*") || segment == "" {
			report(at, "for example /users/{id}/files/*", "{name} stands for a whole segment, and * only at the end, after a slash; between slashes there is something")
			return pattern{}, false
		}
		p.segments = append(p.segments, segment)
	}
	if path := strings.Join(plain, "/"); path != "" || !rest {
		checkPath(path, text, at, report)
	}
	return p, len(p.segments) > 0 || rest
}
