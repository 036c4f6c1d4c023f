package jwt

import (
	"iter"
	"strings"

	"github.com/jotgate/jotgate/internal/claims"
)

// Scopes yields the scopes of a token: the words of its scope claim (RFC 8693 section 4.2, RFC 9068 section 2.2.3), or, if it has no such claim, those of
// scp, which some issuers write instead, as a string of words or as an array of one scope each. A claim of another kind holds no scopes.
func Scopes(set *claims.Set) iter.Seq[string] {
	return func(yield func(string) bool) {
		if scope := set.Get("scope"); scope.Kind() != claims.Absent {
			words(scope, yield)
			return
		}
		scp := set.Get("scp")
		if scp.Kind() != claims.Array {
			words(scp, yield)
			return
		}
		for v := range scp.Elements() {
			if text, ok := v.AsString(); ok && text != "" && !yield(text) {
				return
			}
		}
	}
}

// words yields the parts of a string between spaces, and nothing for other values.
func words(v claims.Value, yield func(string) bool) {
	text, _ := v.AsString()
	for word := range strings.SplitSeq(text, " ") {
		if word != "" && !yield(word) {
			return
		}
	}
}

// HasScope reports whether the token has the scope, compared exactly. It allocates nothing.
func HasScope(set *claims.Set, scope string) bool {
	for have := range Scopes(set) {
		if have == scope {
			return true
		}
	}
	return false
}
