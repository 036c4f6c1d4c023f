// Package match decides which entry of a table a request belongs to, by routing rules.
//
// A rule joins calls by &&, || and ! (in falling order: ! binds strongest) and groups them with parentheses:
//
//	call                                 is true when
//	Host(`name`)                         the host is that name; `*.example.com` stands for exactly one label, `*` for every host, also none
//	HostRegexp(`regexp`)                 the expression matches the host
//	Path(`/path`)                        the path is exactly that
//	PathPrefix(`/path`)                  the path starts with that text: `/products` also meets /products-for-sale
//	PathRegexp(`regexp`)                 the expression matches the path
//	Method(`GET`)                        the method is that one; the rule may be written in any case, the request not
//	Header(`Name`, `value`)              a line of that name has that value
//	HeaderRegexp(`Name`, `regexp`)       the expression matches a line of that name
//	Query(`key`, `value`)                a parameter of that name has that value; without value: an empty one
//	QueryRegexp(`key`, `regexp`)         the expression matches a parameter of that name; without regexp: as Query
//	ClientIP(`10.0.0.0/8`)               the connection's other end is in the range, or is the address: behind a trusted proxy, the proxy
//
// Regular expressions are Go's, and match anywhere unless they are anchored. Names of functions are accepted as above, in lower case, in upper case and with
// only the first letter in upper case.
//
// What rules see is canonical: CanonicalHost and CanonicalPath make it so, and CanonicalPath also says what to forward, so that the path
// that was judged is the path that is served. A rule that no canonical request could ever meet is an error.
package match

import (
	"net/netip"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/predicate"
)

// Request is what rules see of a request.
type Request struct {
	Method string      // as sent
	Host   string      // from CanonicalHost
	Path   string      // Path.Routing, from CanonicalPath
	Query  string      // as sent, without "?"
	Header gate.Header // as sent
	Client netip.Addr  // the zero Addr is in no range
}

// Rule is a compiled routing rule. It is read-only and safe for concurrent use.
type Rule struct {
	source     string
	test       test
	conditions []condition // for every request that the rule matches, one of these holds
}

// test is a compiled part of a rule.
type test func(*Request) bool

// Parse compiles a rule. The error is a *predicate.SyntaxError.
func Parse(source string) (*Rule, error) {
	tree, err := predicate.Parse(source)
	if err != nil {
		return nil, err
	}
	p, err := compile(tree, false)
	if err != nil {
		return nil, err
	}
	if len(p.conditions) == 0 {
		return nil, &predicate.SyntaxError{Column: 1, Message: "no request can meet this rule: its hosts or paths exclude each other"}
	}
	return &Rule{source: source, test: p.test, conditions: p.conditions}, nil
}

// Match reports whether the rule is met. It allocates nothing, except for a QueryRegexp that looks at an escaped value.
func (r *Rule) Match(request *Request) bool { return r.test(request) }

// Len is the length of the rule's source in bytes, which is the priority of an entry that has none of its own: of two rules, the longer one says more.
func (r *Rule) Len() int { return len(r.source) }

// String returns the source.
func (r *Rule) String() string { return r.source }

// part is a compiled part of a rule with what is known of the requests that it matches.
type part struct {
	test       test
	conditions []condition
}

// compile compiles a tree, or its negation: negations are pushed down to the calls, so that conditions can be derived below them too.
func compile(n predicate.Node, negated bool) (part, error) {
	switch n := n.(type) {
	case *predicate.Not:
		return compile(n.Operand, !negated)
	case *predicate.And:
		return compileAll(n.Operands, negated, !negated)
	case *predicate.Or:
		return compileAll(n.Operands, negated, negated)
	case *predicate.Call:
		p, err := compileCall(n)
		if err != nil || !negated {
			return p, err
		}
		return part{test: func(r *Request) bool { return !p.test(r) }, conditions: always()}, nil
	}
	return part{}, &predicate.SyntaxError{Column: 1, Message: "unknown syntax"}
}

// compileAll joins operands: all of them must hold, or any.
func compileAll(operands []predicate.Node, negated, all bool) (part, error) {
	tests := make([]test, len(operands))
	conditions := make([][]condition, len(operands))
	for i, operand := range operands {
		p, err := compile(operand, negated)
		if err != nil {
			return part{}, err
		}
		tests[i], conditions[i] = p.test, p.conditions
	}
	if all {
		return part{test: allOf(tests), conditions: both(conditions)}, nil
	}
	return part{test: anyOf(tests), conditions: either(conditions)}, nil
}

func allOf(tests []test) test {
	return func(r *Request) bool {
		for _, t := range tests {
			if !t(r) {
				return false
			}
		}
		return true
	}
}

func anyOf(tests []test) test {
	return func(r *Request) bool {
		for _, t := range tests {
			if t(r) {
				return true
			}
		}
		return false
	}
}
