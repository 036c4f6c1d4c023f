package keys

import (
	"errors"
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	const (
		always  = "always"
		private = "if private addresses are denied"
		never   = "never"
	)
	for address, refused := range map[string]string{
		"8.8.8.8":              never,
		"2606:4700::1111":      never,
		"64:ff9b::808:808":     never,
		"2002:808:808::1":      never,
		"127.0.0.1":            private,
		"::1":                  private,
		"10.1.2.3":             private,
		"172.31.0.1":           private,
		"192.168.1.1":          private,
		"100.64.0.1":           private,
		"198.18.0.1":           private,
		"fc00::1":              private,
		"fd12:3456::1":         private,
		"fec0::1":              private,
		"::ffff:10.0.0.1":      private,
		"64:ff9b::a00:1":       private,
		"::ffff:127.0.0.1":     private,
		"169.254.169.254":      always,
		"169.254.170.2":        always,
		"169.254.0.1":          always,
		"::ffff:169.254.1.1":   always,
		"::169.254.169.254":    always,
		"64:ff9b::a9fe:a9fe":   always,
		"64:ff9b:1::a9fe:a9fe": always,
		// 169.254.169.254 under 64:ff9b:1::/48, ::/56 and ::/64, with any bits after it.
		"64:ff9b:1:a9fe:a9:fe00::":      always,
		"64:ff9b:1:a9fe:a9:feff:ff:ff":  always,
		"64:ff9b:1:a9:fe:a9fe::":        always,
		"64:ff9b:1:7a9:fe:a9fe:101:101": always,
		"64:ff9b:1::a9:fea9:fe00:0":     always,
		"64:ff9b:1:1:a9:fea9:fe08:808":  always,
		"64:ff9b:1:2:3:4:a9fe:a9fe":     always,
		"64:ff9b:1::808:808":            never,
		"64:ff9b:1:808:8:800::":         never,
		"64:ff9b:1:8:8:808::":           never,
		"64:ff9b:1:1:8:808:800::":       never,
		"64:ff9b:1::a00:1":              private,
		"64:ff9b:1:a00:0:100::":         private,
		"64:ff9b:1::":                   always,
		"2002:a9fe:a9fe::1":             always,
		"fe80::1":                       always,
		"fe80::1%eth0":                  always,
		"fd00:ec2::254":                 always,
		"fd20:ce::254":                  always,
		"100.100.100.200":               always,
		"168.63.129.16":                 always,
		"192.0.0.192":                   always,
		"::ffff:100.100.100.200":        always,
		"0.0.0.0":                       always,
		"0.1.2.3":                       always,
		"::":                            always,
		"224.0.0.1":                     always,
		"239.1.1.1":                     always,
		"ff02::1":                       always,
		"ff0e::1":                       always,
		"240.0.0.1":                     always,
		"255.255.255.255":               always,
	} {
		a := netip.MustParseAddr(address)
		if err := (guard{}).check(a); (err != nil) != (refused == always) {
			t.Errorf("%s: %v, but it is refused %s", address, err, refused)
		} else if err != nil && !errors.Is(err, errAddress) {
			t.Errorf("%s: %v", address, err)
		}
		if err := (guard{denyPrivate: true}).check(a); (err != nil) != (refused != never) {
			t.Errorf("%s, without private addresses: %v, but it is refused %s", address, err, refused)
		}
	}
}

func TestGuardControl(t *testing.T) {
	g := guard{}
	for address, ok := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true,
		"169.254.169.254:80": false, "[fe80::1%lo]:80": false, "[::ffff:169.254.169.254]:443": false, "localhost:80": false, "": false,
	} {
		if err := g.control("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}
