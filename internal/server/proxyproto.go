package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of the PROXY protocol header (HAProxy's specification, proxy-protocol.txt).
const (
	maxProxyV1 = 107  // with CRLF
	maxProxyV2 = 4096 // with TLVs; the format allows 64 KiB, which no sender needs
)

const proxyV2Signature = "\r\n\r\n\x00\r\nQUIT\n"

var (
	errProxyShort = errors.New("PROXY protocol header is not complete")
	errProxyBad   = errors.New("invalid PROXY protocol header")
)

// readProxyHeader takes the header off the start of the connection and the client's address from it. The caller sets a deadline.
func (c *conn) readProxyHeader() error {
	buf := make([]byte, 0, 256)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, readErr := c.TCPConn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		source, size, err := parseProxyHeader(buf)
		switch {
		case err == nil:
			if source.IsValid() {
				c.peer = source
			}
			c.ahead = buf[size:]
			return nil
		case !errors.Is(err, errProxyShort):
			return err
		case readErr != nil:
			return fmt.Errorf("%w: %w", errProxyShort, readErr)
		}
	}
}

// parseProxyHeader parses the PROXY protocol header at the start of b: the source address (not valid if the sender does not know or speaks for itself) and the size
// of the header. errProxyShort asks for more bytes; every other error is final.
func parseProxyHeader(b []byte) (source netip.AddrPort, size int, err error) {
	switch {
	case len(b) >= len(proxyV2Signature) && string(b[:len(proxyV2Signature)]) == proxyV2Signature:
		return parseProxyV2(b)
	case len(b) < len(proxyV2Signature) && bytes.HasPrefix([]byte(proxyV2Signature), b), len(b) < 6 && bytes.HasPrefix([]byte("PROXY "), b):
		return source, 0, errProxyShort
	case bytes.HasPrefix(b, []byte("PROXY ")):
		return parseProxyV1(b)
	}
	return source, 0, errProxyBad
}

func parseProxyV1(b []byte) (source netip.AddrPort, size int, err error) {
	line := b[:min(len(b), maxProxyV1)]
	end := bytes.IndexByte(line, '\n')
	if end < 0 {
		if len(line) == maxProxyV1 {
			return source, 0, errProxyBad
		}
		return source, 0, errProxyShort
	}
	text, ok := strings.CutSuffix(string(line[:end]), "\r")
	if !ok {
		return source, 0, errProxyBad
	}
	part := strings.Split(text, " ")
	if part[1] == "UNKNOWN" {
		return source, end + 1, nil
	}
	if len(part) != 6 || part[1] != "TCP4" && part[1] != "TCP6" {
		return source, 0, errProxyBad
	}
	source, ok1 := proxyV1Address(part[2], part[4], part[1] == "TCP4")
	_, ok2 := proxyV1Address(part[3], part[5], part[1] == "TCP4")
	if !ok1 || !ok2 {
		return netip.AddrPort{}, 0, errProxyBad
	}
	return source, end + 1, nil
}

func proxyV1Address(addr, port string, v4 bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is4() != v4 || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port { // no signs, no leading zeros
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

func parseProxyV2(b []byte) (source netip.AddrPort, size int, err error) {
	const fixed = len(proxyV2Signature) + 4
	if len(b) < fixed {
		return source, 0, errProxyShort
	}
	command, family := b[12], b[13]
	length := int(binary.BigEndian.Uint16(b[14:16]))
	if command != 0x20 && command != 0x21 || fixed+length > maxProxyV2 {
		return source, 0, errProxyBad
	}
	addresses := 0
	switch family {
	case 0x00: // unspecified
	case 0x11: // TCP over IPv4
		addresses = 12
	case 0x21: // TCP over IPv6
		addresses = 36
	default:
		return source, 0, errProxyBad
	}
	local := command == 0x20
	if !local && length < addresses {
		return source, 0, errProxyBad
	}
	if len(b) < fixed+length {
		return source, 0, errProxyShort
	}
	size = fixed + length
	if local || family == 0x00 { // its addresses and what follows have no meaning
		return source, size, nil
	}
	payload := b[fixed:size]
	if !validTLVs(payload[addresses:]) {
		return source, 0, errProxyBad
	}
	if family == 0x11 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(payload[:4])), binary.BigEndian.Uint16(payload[8:])), size, nil
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(payload[:16])).Unmap(), binary.BigEndian.Uint16(payload[32:])), size, nil
}

// validTLVs reports whether b is a sequence of whole type-length-value records. They are not used.
func validTLVs(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 3 {
			return false
		}
		n := 3 + int(binary.BigEndian.Uint16(b[1:3]))
		if len(b) < n {
			return false
		}
		b = b[n:]
	}
	return true
}
