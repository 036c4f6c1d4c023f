package native

import (
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/jotgate/jotgate/internal/gate"
)

// text is a scalar and what its references stand for.
type text struct {
	*yaml.Node
	value      string // with the references replaced
	referenced bool   // value came from elsewhere: it must not be shown
}

// shown is the value as it may appear in a problem: as it was written, and not all of it if it is long.
func (t text) shown() string {
	const longest = 64
	s := t.Value
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return strconv.Quote(s)
}

// is reports whether the scalar has the tag, or gets its type from a reference only.
func (t text) is(tag string) bool { return t.Tag == tag || t.referenced }

// scalar reads a node into a value that is written as one text.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, tag reflect.StructTag, at place) {
	if n.Kind != yaml.ScalarNode {
		want, _ := expectation(v.Type())
		d.wrongType(n, at, want, "")
		return
	}
	t, ok := d.resolve(n, at)
	if !ok {
		return
	}
	switch v.Type() {
	case durationType:
		d.duration(t, v, at)
		return
	case prefixType:
		d.prefix(t, v, at)
		return
	case bytesType:
		var size gate.Bytes
		if err := size.UnmarshalText([]byte(t.value)); err != nil {
			d.refuse(t, v, at, "")
		} else {
			v.SetInt(int64(size))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		d.boolean(t, v, at)
	case reflect.Int, reflect.Int64:
		d.integer(t, v, at)
	default:
		d.string(t, v, tag, at)
	}
}

// expectation names what a type takes, and how it is written.
func expectation(t reflect.Type) (want, hint string) {
	switch t {
	case durationType:
		return "a duration", "write 10s, 5m or 1h30m"
	case prefixType:
		return "an address", "write 10.0.0.0/8 or 192.0.2.1"
	case bytesType:
		return "a size", "write 512KiB or 10MiB; the units are B, KiB, MiB, GiB, kB, MB and GB"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false", "write true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number", "write decimal digits"
	}
	return "text", ""
}

// resolve replaces the references of a scalar.
func (d *decoder) resolve(n *yaml.Node, at place) (text, bool) {
	t := text{Node: n, value: n.Value}
	if !strings.Contains(n.Value, "${") {
		return t, true
	}
	if d.expand == nil {
		d.problem(n, at, "", "references are not allowed here")
		return t, false
	}
	expanded, files, err := d.expand(n.Value)
	d.files = append(d.files, files...)
	if err != nil {
		d.problem(n, at, "", err.Error())
		return t, false
	}
	t.value, t.referenced = expanded, true
	return t, true
}

// refuse notes that the scalar is not of the type of v.
func (d *decoder) refuse(t text, v reflect.Value, at place, hint string) {
	want, usual := expectation(v.Type())
	if hint == "" {
		hint = usual
	}
	got := t.shown()
	if t.referenced {
		got = "what " + got + " stands for"
	}
	d.problem(t.Node, at, hint, want+" was expected, not "+got)
}

// string takes numbers and dates by their literal text, so that minVersion: 1.2 means what it looks like. It refuses true and false, which are more
// likely to be a mistake.
func (d *decoder) string(t text, v reflect.Value, tag reflect.StructTag, at place) {
	if t.is("!!bool") && !t.referenced {
		d.wrongType(t.Node, at, "text", "quote it, if it is meant as text")
		return
	}
	if t.referenced && t.value == "" && tag.Get("required") == "true" {
		d.problem(t.Node, at, "", "required, but the reference stands for nothing")
		return
	}
	if v.Type() == secretType {
		v.Set(reflect.ValueOf(gate.NewSecret(t.value)))
		return
	}
	value := t.value
	if !utf8.ValidString(value) {
		d.refuse(t, v, at, "only a secret may be other than UTF-8")
		return
	}
	if tag.Get("path") != "" && value != "" && !filepath.IsAbs(value) {
		value = filepath.Join(d.dir, value)
	}
	v.SetString(value)
}

func (d *decoder) boolean(t text, v reflect.Value, at place) {
	if t.is("!!bool") {
		switch strings.ToLower(t.value) {
		case "true", "false":
			v.SetBool(strings.EqualFold(t.value, "true"))
			return
		}
	}
	hint := ""
	if !t.referenced {
		switch strings.ToLower(t.value) {
		case "true", "false":
			hint = "remove the quotes"
		case "yes", "on", "y":
			hint = "write true"
		case "no", "off", "n":
			hint = "write false"
		}
	}
	d.refuse(t, v, at, hint)
}

func (d *decoder) integer(t text, v reflect.Value, at place) {
	digits := strings.TrimPrefix(t.value, "-")
	n, err := strconv.ParseInt(t.value, 10, v.Type().Bits())
	switch {
	case !t.is("!!int") && err == nil:
		d.refuse(t, v, at, "remove the quotes")
	case !t.is("!!int") || err != nil:
		d.refuse(t, v, at, "")
	case len(digits) > 1 && digits[0] == '0' || strings.HasPrefix(t.value, "+"):
		d.refuse(t, v, at, "write decimal digits without a leading zero or sign")
	default:
		v.SetInt(n)
	}
}

func (d *decoder) duration(t text, v reflect.Value, at place) {
	length, err := time.ParseDuration(t.value)
	switch {
	case err == nil && length < 0:
		d.refuse(t, v, at, "it cannot be negative")
	case err == nil:
		v.SetInt(int64(length))
	case t.Tag == "!!int" || t.Tag == "!!float":
		d.refuse(t, v, at, "say the unit: "+t.Value+"s for seconds")
	case !t.referenced && strings.HasSuffix(t.value, "d"):
		d.refuse(t, v, at, "hours are the longest unit: 24h for a day")
	default:
		d.refuse(t, v, at, "")
	}
}

// prefix takes a CIDR, or one address as a CIDR that holds only it.
func (d *decoder) prefix(t text, v reflect.Value, at place) {
	p, err := netip.ParsePrefix(t.value)
	if addr, single := netip.ParseAddr(t.value); single == nil && addr.Zone() == "" {
		p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	hint := ""
	switch {
	case err != nil:
	case p.Addr().Is4In6():
		hint = "write it as an IPv4 address"
	case p.Masked() != p && !t.referenced:
		hint = "the network is " + p.Masked().String() + "; for the one address, leave out the length"
	case p.Masked() == p:
		v.Set(reflect.ValueOf(p))
		return
	}
	d.refuse(t, v, at, hint)
}
