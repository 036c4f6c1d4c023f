package claims

import (
	"errors"
	"fmt"
	"strings"
)

// MaxPath is the longest path in bytes.
const MaxPath = 1024

// ErrPathTooLong is the only error of ParsePath.
var ErrPathTooLong = errors.New("claim path too long")

// Path leads from the payload to a claim through nested objects. The zero Path leads to the payload itself.
type Path struct {
	text string
	keys []string
}

// ParsePath reads a path: member names joined by dots. A backslash takes the special meaning from the dot or backslash after it, so that the claim
// "https://example.com/roles" is reached by `https://example\.com/roles`; before anything else, and at the end, it stands for itself. Every text is a path:
// the empty one leads to the claim whose name is empty. The error is ErrPathTooLong.
func ParsePath(text string) (Path, error) {
	if len(text) > MaxPath {
		return Path{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrPathTooLong, len(text), MaxPath)
	}
	var keys []string
	var key strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '.':
			keys = append(keys, key.String())
			key.Reset()
			continue
		case c == '\\' && i+1 < len(text) && (text[i+1] == '.' || text[i+1] == '\\'):
			i++
			c = text[i]
		}
		key.WriteByte(c)
	}
	return Path{text: text, keys: append(keys, key.String())}, nil
}

// String returns the text that the path was read from.
func (p Path) String() string { return p.text }
