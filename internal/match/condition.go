package match

import (
	"cmp"
	"regexp/syntax"
	"slices"
	"strings"
)

// condition is something about host and path that is known of every request that a rule matches. An index looks rules up by it; the rule itself has the last word.
type condition struct {
	hostKind hostKind
	host     string // exactHost: the name; wildcardHost: the name without its first label
	pathKind pathKind
	path     string
}

type hostKind uint8

const (
	anyHost hostKind = iota
	wildcardHost
	exactHost
)

type pathKind uint8

const (
	prefixPath pathKind = iota // of every path, if it is empty
	exactPath
)

// maxConditions bounds the alternatives of one rule. Beyond it the rule is looked up by less than is known.
const maxConditions = 1024

// always is the condition of a rule of which nothing is known.
func always() []condition { return []condition{{}} }

// either returns the conditions of "one of these rules matches".
func either(operands [][]condition) []condition {
	union := normal(slices.Concat(operands...))
	if len(union) > maxConditions {
		return always()
	}
	return union
}

// both returns the conditions of "all of these rules match".
func both(operands [][]condition) []condition {
	product := always()
	for _, operand := range operands {
		if len(product)*len(operand) > maxConditions {
			continue // leaving one out keeps the others true
		}
		var next []condition
		for _, a := range product {
			for _, b := range operand {
				if c, possible := a.and(b); possible {
					next = append(next, c)
				}
			}
		}
		product = normal(next)
	}
	return product
}

// normal sorts conditions and removes those that say nothing new.
func normal(conditions []condition) []condition {
	if slices.Contains(conditions, condition{}) {
		return always()
	}
	slices.SortFunc(conditions, func(a, b condition) int {
		return cmp.Or(
			cmp.Compare(a.hostKind, b.hostKind), cmp.Compare(a.host, b.host),
			cmp.Compare(a.pathKind, b.pathKind), cmp.Compare(a.path, b.path),
		)
	})
	return slices.Compact(conditions)
}

// and joins two conditions; possible is false if no request meets both.
func (c condition) and(d condition) (joined condition, possible bool) {
	if c.hostKind < d.hostKind {
		c.hostKind, c.host, d.hostKind, d.host = d.hostKind, d.host, c.hostKind, c.host
	}
	switch {
	case d.hostKind == anyHost:
	case c.hostKind == d.hostKind && c.host == d.host:
	case c.hostKind == exactHost && d.hostKind == wildcardHost && parentOf(c.host) == d.host:
	default:
		return c, false
	}
	if c.pathKind < d.pathKind || c.pathKind == d.pathKind && len(c.path) < len(d.path) {
		c.pathKind, c.path, d.pathKind, d.path = d.pathKind, d.path, c.pathKind, c.path
	}
	if d.pathKind == exactPath {
		return c, c.path == d.path
	}
	return c, strings.HasPrefix(c.path, d.path)
}

// anchoredPrefix returns the literal text that every match of a regular expression must start with at the beginning of the text, or "".
func anchoredPrefix(source string) string {
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return ""
	}
	re = re.Simplify()
	if re.Op != syntax.OpConcat || len(re.Sub) < 2 || re.Sub[0].Op != syntax.OpBeginText {
		return ""
	}
	literal := re.Sub[1]
	if literal.Op != syntax.OpLiteral || literal.Flags&syntax.FoldCase != 0 {
		return ""
	}
	return string(literal.Rune)
}
