package match

import (
	"cmp"
	"regexp/syntax"
	"slices"
	"strings"
)

// condition is something about host and path. The conditions of a rule are such that every request that the rule matches meets one of them: an index looks
// rules up by them.
type condition struct {
	hostKind hostKind
	host     string // exactHost: the name; wildcardHost: the name without its first label
	pathKind pathKind
	path     string
	// sufficient says that the rule matches every request that meets the condition. Otherwise the rule has the last word.
	sufficient bool
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
	product := []condition{{sufficient: true}}
	for _, operand := range operands {
		if len(product)*len(operand) > maxConditions {
			operand = always() // forgetting one keeps the others true
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
	for _, everything := range []condition{{sufficient: true}, {}} {
		if slices.Contains(conditions, everything) {
			return []condition{everything}
		}
	}
	slices.SortFunc(conditions, func(a, b condition) int {
		return cmp.Or(
			cmp.Compare(a.hostKind, b.hostKind), cmp.Compare(a.host, b.host),
			cmp.Compare(a.pathKind, b.pathKind), cmp.Compare(a.path, b.path),
			boolean(b.sufficient)-boolean(a.sufficient),
		)
	})
	return slices.CompactFunc(conditions, func(a, b condition) bool { // the first is kept, which says more
		b.sufficient = a.sufficient
		return a == b
	})
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// and joins two conditions; possible is false if no request meets both.
func (c condition) and(d condition) (joined condition, possible bool) {
	c.sufficient = c.sufficient && d.sufficient
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
