package keys

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// errAddress: the address is one that no key set is fetched from.
var errAddress = errors.New("refused address")

// guard decides about addresses at the moment of dialling, after names are resolved, so that no DNS answer and no redirect gets around it.
type guard struct {
	denyPrivate bool
}

// control is a net.Dialer.Control.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errAddress, err)
	}
	return g.check(ap.Addr())
}

// checkHost decides about the host of a URL if it is an address. Names are decided about when they are dialled, or by the proxy that dials them.
func (g guard) checkHost(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		return g.check(a)
	}
	return nil
}

// check returns an error for link-local, multicast, unspecified, reserved and cloud metadata addresses, and for private and loopback ones if those are denied. An
// IPv4 address in an IPv6 one counts as itself.
func (g guard) check(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	for _, inner := range embedded(a) {
		if err := g.check(inner); err != nil {
			return err
		}
	}
	switch {
	case a.IsLinkLocalUnicast():
		return fmt.Errorf("%w: %s is link-local", errAddress, a)
	case isMetadata(a):
		return fmt.Errorf("%w: %s is a cloud metadata service", errAddress, a)
	case a.IsMulticast(), within(a, "255.255.255.255/32"):
		return fmt.Errorf("%w: %s is multicast or broadcast", errAddress, a)
	case a.IsUnspecified(), within(a, "0.0.0.0/8", "240.0.0.0/4"):
		return fmt.Errorf("%w: %s is unspecified or reserved", errAddress, a)
	case g.denyPrivate && (a.IsLoopback() || a.IsPrivate() || within(a, "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "fec0::/10")):
		return fmt.Errorf("%w: %s is loopback or private, and fetch.denyPrivate is set", errAddress, a)
	}
	return nil
}

// isMetadata knows the metadata services that are not at link-local addresses.
func isMetadata(a netip.Addr) bool {
	switch a.String() {
	case "fd00:ec2::254", // Amazon EC2 over IPv6
		"fd20:ce::254",    // Google Compute Engine over IPv6
		"100.100.100.200", // Alibaba Cloud
		"168.63.129.16",   // Azure host agent
		"192.0.0.192":     // Oracle Cloud, classic
		return true
	}
	return false
}

// embedded returns the IPv4 addresses that an IPv4-compatible (RFC 4291 section 2.5.5.1), NAT64 (RFC 6052) or 6to4 (RFC 3056) address may stand for. The local-use
// prefix of NAT64 (RFC 8215) does not say where the address is in it: what is in any of the places counts, unless it begins with 0 as an unused place does.
func embedded(a netip.Addr) []netip.Addr {
	if a.Is4() || a.IsUnspecified() || a.IsLoopback() {
		return nil
	}
	b := a.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case within(a, "::/96", "64:ff9b::/96"):
		return []netip.Addr{last}
	case within(a, "2002::/16"):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[2:]))}
	case within(a, "64:ff9b:1::/48"):
		var all []netip.Addr
		// RFC 6052 section 2.2, for prefixes of 48, 56, 64 and 96 bits: the ninth byte is never a part of the address.
		for _, place := range [...][4]byte{{b[6], b[7], b[9], b[10]}, {b[7], b[9], b[10], b[11]}, {b[9], b[10], b[11], b[12]}, [4]byte(b[12:])} {
			if place[0] != 0 {
				all = append(all, netip.AddrFrom4(place))
			}
		}
		if all == nil {
			return []netip.Addr{last}
		}
		return all
	}
	return nil
}

func within(a netip.Addr, prefixes ...string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

// isLoopbackHost reports whether the host of a URL is this machine without asking a resolver.
func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
