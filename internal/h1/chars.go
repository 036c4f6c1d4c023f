package h1

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strings"
	"unsafe"
)

// Classes of characters.
const (
	classToken  = 1 << iota // RFC 9110 section 5.6.2
	classTarget             // visible ASCII but '#', which starts a fragment, and '%', which needs a look at what follows
	classHost               // letters, digits, '-', '.', '_'
	classHex
)

// classes has the classes of every byte.
var classes = makeClasses()

func makeClasses() (t [256]uint8) {
	for b := '!'; b <= '~'; b++ {
		if b != '#' && b != '%' {
			t[b] |= classTarget
		}
	}
	const hex = "0123456789abcdefABCDEF"
	const alphanumeric = hex + "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ"
	for _, set := range []struct {
		class uint8
		chars string
	}{{classToken, alphanumeric + "!#$%&'*+-.^_`|~"}, {classHost, alphanumeric + "-._"}, {classHex, hex}} {
		for i := range len(set.chars) {
			t[set.chars[i]] |= set.class
		}
	}
	return t
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if classes[s[i]]&classToken == 0 {
			return false
		}
	}
	return len(s) > 0
}

// Eight bytes at a time: one of each.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// visible sets the highest bit of each of eight bytes that is no control character, which are those below 0x20 and 0x7f. The other bits mean nothing. No addition carries from one byte to the next, so that the result
// is exact.
func visible(x uint64) uint64 {
	low := x & (0x7f * ones)
	return (low+0x60*ones)&^(low+ones) | x
}

// skipText returns the index of the first control character other than HTAB in b at or after i, or len(b).
func skipText(b []byte, i int) int {
	for {
		for ; i+32 <= len(b); i += 32 {
			w := b[i : i+32 : i+32]
			if visible(binary.LittleEndian.Uint64(w))&visible(binary.LittleEndian.Uint64(w[8:]))&
				visible(binary.LittleEndian.Uint64(w[16:]))&visible(binary.LittleEndian.Uint64(w[24:]))&highs != highs {
				break
			}
		}
		for ; i+8 <= len(b); i += 8 {
			if m := ^visible(binary.LittleEndian.Uint64(b[i:])) & highs; m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
		}
		for i < len(b) && b[i] >= ' ' && b[i] != 0x7f { // at most seven
			i++
		}
		if i == len(b) || b[i] != '\t' {
			return i
		}
		i++
	}
}

// isText reports whether s has no control character other than HTAB.
func isText(s string) bool {
	return skipText(unsafe.Slice(unsafe.StringData(s), len(s)), 0) == len(s) //nolint:gosec // read only, and not kept
}

// equalFold reports whether b is lower, but for the case of ASCII letters; lower has no upper-case letters.
func equalFold[T string | []byte](b T, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// trim returns b without white space (SP and HTAB) around it.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// validHost reports whether host is what can be routed by (RFC 9110 section 7.2): a domain name, an IPv4 address or an IPv6 literal, with an optional port. Escapes, user information
// and characters outside ASCII are not taken.
func validHost(host string) bool {
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(host[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		return validPort(host[end+1:])
	}
	i := 0
	for i < len(host) && classes[host[i]]&classHost != 0 {
		if host[i] == '.' && (i == 0 || host[i-1] == '.') {
			return false
		}
		i++
	}
	return i > 0 && i <= 254 && validPort(host[i:])
}

// validPort reports whether s is empty, or a colon and a port.
func validPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) < 2 || len(s) > 6 {
		return false
	}
	n := 0
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}
