package match

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrPath says that a path is refused, for errors.Is.
var ErrPath = errors.New("path refused")

// Path is a request's path in the forms that a gateway needs. Forward is a function of Routing, and different Routings give different Forwards: what is
// forwarded is exactly what was judged.
type Path struct {
	// Routing is what rules see: no dot segments, no empty segments, percent-encoding resolved except for the reserved characters
	// : / ? # [ ] @ ! $ & ' ( ) * + , ; = %, which stay encoded, in upper case, where they were encoded.
	Routing string
	// Forward is Routing with everything encoded that may not stand in a path (RFC 3986 section 3.3).
	Forward string
	// Folded is Routing as the most lenient back end might read it: reserved characters decoded too, more than once if they were encoded more than
	// once, "\" as "/", everything from ";" on cut from each segment, and everything from "?" or "#" on. For nearly all requests it equals Routing. When
	// it does not, a decision made for Routing must also hold for Folded, or the request be refused: /public%2Fadmin and /public;/admin are /public/admin
	// to some.
	Folded string
}

// Ambiguous reports whether back ends may disagree about what the path is.
func (p Path) Ambiguous() bool { return p.Folded != p.Routing }

// CanonicalPath brings the path of a request target, as sent and without query, into its canonical form. An empty path is "/" (RFC 9110 section 4.2.3). The
// error is ErrPath, for a path
//
//   - that does not start with "/", or holds a fragment, a query, a space, a backslash or a control character;
//   - with a control character, or text that is not UTF-8 (overlong forms among it), behind percent-encoding;
//   - with a "%" that is not followed by two hexadecimal digits;
//   - in which only folding uncovers a dot segment: /a/..%2fb, /a/..;/b, /a/..%5cb, /a/%252e%252e/b.
//
// Other dot segments, encoded or not, are resolved (RFC 3986 section 5.2.4) and empty segments removed. It allocates nothing for a path that is canonical.
func CanonicalPath(escaped string) (Path, error) {
	if isPlain(escaped) {
		return Path{Routing: escaped, Forward: escaped, Folded: escaped}, nil
	}
	if escaped == "" {
		escaped = "/"
	}
	routing, err := decodePath(escaped)
	if err != nil {
		return Path{}, err
	}
	routing = cleanPath(routing)
	folded, err := foldPath(routing)
	if err != nil {
		return Path{}, err
	}
	return Path{Routing: routing, Forward: encodePath(routing), Folded: folded}, nil
}

// isPlain reports whether all three forms of a path are the path itself. It may miss some.
func isPlain(s string) bool {
	if s == "" || s[0] != '/' {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == ';' || !staysRaw(c):
			return false
		case c == '/' && i+1 < len(s) && (s[i+1] == '/' || s[i+1] == '.'):
			return false
		}
	}
	return true
}

// staysRaw reports whether c stands for itself in a path: an unreserved character, or a reserved one that has no meaning of its own before the path.
func staysRaw(c byte) bool { return raw[c] }

var raw = func() (t [256]bool) {
	for _, c := range []byte("/-._~:@!$&'()*+,;=[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = true
	}
	return t
}()

func isReserved(c byte) bool { return strings.IndexByte(":/?#[]@!$&'()*+,;=%", c) >= 0 }

func refuse(why string) error { return fmt.Errorf("%w: %s", ErrPath, why) }

const upperHex = "0123456789ABCDEF"

// decodePath resolves the percent-encoding of everything but reserved characters.
func decodePath(escaped string) (string, error) {
	if escaped[0] != '/' {
		return "", refuse("it does not start with /")
	}
	decoded := make([]byte, 0, len(escaped))
	for i := 0; i < len(escaped); i++ {
		switch c := escaped[i]; c {
		case '?', '#', ' ', '\\':
			return "", refuse("a character that no path has")
		case '%':
			b, ok := unhex(escaped[i+1:])
			if !ok {
				return "", refuse("bad percent-encoding")
			}
			i += 2
			if isReserved(b) {
				decoded = append(decoded, '%', upperHex[b>>4], upperHex[b&15])
			} else {
				decoded = append(decoded, b)
			}
		default:
			decoded = append(decoded, c)
		}
	}
	return string(decoded), checkText(decoded)
}

func checkText(text []byte) error {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return refuse("invalid UTF-8")
		case unicode.IsControl(r):
			return refuse("a control character")
		}
		i += size
	}
	return nil
}

// cleanPath removes dot segments and empty segments. A slash at the end stays.
func cleanPath(p string) string {
	segments := strings.Split(p[1:], "/")
	kept := segments[:0]
	directory := false // the path so far ends in a slash
	for _, s := range segments {
		switch directory = true; s {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			directory = false
			kept = append(kept, s)
		}
	}
	if directory && len(kept) > 0 {
		kept = append(kept, "")
	}
	return "/" + strings.Join(kept, "/")
}

// encodePath is the inverse of decodePath: it encodes what may not stand in a path. A "%" is taken for the start of an escape.
func encodePath(routing string) string {
	encoded := make([]byte, 0, len(routing)+len(routing)/2)
	for _, c := range []byte(routing) {
		if c == '%' || staysRaw(c) {
			encoded = append(encoded, c)
		} else {
			encoded = append(encoded, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(encoded)
}

// foldPath returns Path.Folded for a routing path.
func foldPath(routing string) (string, error) {
	if !strings.ContainsAny(routing, `%;\`) {
		return routing, nil
	}
	text := make([]byte, 0, len(routing))
	for i := 0; i < len(routing); {
		c := routing[i]
		i++
		if c == '%' {
			for strings.HasPrefix(routing[i:], "25") { // an encoded "%": whatever follows may be encoded once more
				i += len("25")
			}
			if b, ok := unhex(routing[i:]); ok {
				c = b
				i += 2
			}
		}
		if c == '\\' {
			c = '/'
		}
		text = append(text, c)
	}
	if err := checkText(text); err != nil {
		return "", err
	}
	return foldSegments(strings.Split(string(text), "/"))
}

// foldSegments finishes foldPath for the decoded segments of a path.
func foldSegments(segments []string) (string, error) {
	kept := segments[:0]
	ended := false // a "?" or "#" was passed; dot segments behind it still count, because not every back end ends the path there
	for _, s := range segments {
		name := s
		if i := strings.IndexAny(s, ";?#"); i >= 0 {
			name = s[:i]
		}
		if name == "." || name == ".." {
			return "", refuse("a dot segment in disguise")
		}
		if !ended {
			kept = append(kept, name)
		}
		ended = ended || strings.ContainsAny(s, "?#")
	}
	return cleanPath(strings.Join(kept, "/")), nil
}
