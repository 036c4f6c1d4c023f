package match

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrHost says that a host is refused, for errors.Is.
var ErrHost = errors.New("host refused")

const maxHost = 253 // RFC 1035 section 2.3.4, as text

// CanonicalHost returns the one spelling under which rules know the host of a Host header or :authority (RFC 9110 section 7.2): in lower case, without port
// and without final dot, so that "API.Example.com.:443" is "api.example.com"; an IPv6 address in its shortest form and without brackets. An empty host
// stays empty. The error is ErrHost, for anything but a registered name of ASCII letters, digits, "-", "_" and ".", or an address.
func CanonicalHost(raw string) (string, error) {
	if strings.HasPrefix(raw, "[") {
		return canonicalIPv6(raw)
	}
	name, port, _ := strings.Cut(raw, ":")
	if !isPort(port) {
		return "", fmt.Errorf("%w: bad port", ErrHost)
	}
	if name == "" {
		return "", nil
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxHost {
		return "", fmt.Errorf("%w: too long", ErrHost)
	}
	lower := true
	label := 0 // bytes in the current label
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case 'A' <= c && c <= 'Z':
			lower = false
		case c == '.' && label > 0:
			label = -1
		case c == '.':
			return "", fmt.Errorf("%w: empty label", ErrHost)
		default:
			return "", fmt.Errorf("%w: a character that no host name has", ErrHost)
		}
		label++
	}
	if label == 0 {
		return "", fmt.Errorf("%w: empty label", ErrHost)
	}
	if !lower {
		name = strings.ToLower(name)
	}
	return name, nil
}

func canonicalIPv6(raw string) (string, error) {
	literal, port, closed := strings.Cut(raw[1:], "]")
	port, colon := strings.CutPrefix(port, ":")
	addr, err := netip.ParseAddr(literal)
	if err != nil || !closed || !addr.Is6() || addr.Zone() != "" || !colon && port != "" || !isPort(port) {
		return "", fmt.Errorf("%w: bad IPv6 address", ErrHost)
	}
	return addr.String(), nil
}

// isPort reports whether s may follow the colon (RFC 3986 section 3.2.3); it may be empty.
func isPort(s string) bool {
	const longest = len("65535")
	return len(s) <= longest && strings.Trim(s, "0123456789") == ""
}
