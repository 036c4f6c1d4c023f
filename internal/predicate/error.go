package predicate

import (
	"fmt"
	"strings"
)

// SyntaxError says where and why an expression cannot be used. Packages that compile a tree report their own findings (an unknown
// function, a bad argument) in the same form.
type SyntaxError struct {
	Column  int    // 1-based, in runes from the start of the source; a line break counts as one
	Message string // what is wrong: lower case, without the column
	Hint    string // what to write instead; empty when there is nothing to suggest
}

// Error returns "column N: message (hint)".
func (e *SyntaxError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("column %d: %s", e.Column, e.Message)
	}
	return fmt.Sprintf("column %d: %s (%s)", e.Column, e.Message, e.Hint)
}

// Nearest returns the known name that a misspelt name was most likely meant to be, or "" if none is near.
func Nearest(name string, known []string) string {
	const maxName = 64 // longer ones are no slip of the keyboard
	if len(name) > maxName {
		return ""
	}
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, candidate := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
