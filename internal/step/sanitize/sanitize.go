// Package sanitize is the step that builds the header that is forwarded from the one that was received. It is the first step of every route: whatever it
// lets through is what the upstream can be made to see by a client, and whatever later steps add cannot be taken away by one.
package sanitize

import (
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// Step builds x.Out. It is read-only and safe for concurrent use.
type Step struct {
	names   map[string]rule // by folded name
	longest int
	// lengths are those that the names with a first byte have, a bit for each, the last one for all from 63 on: most fields of a request need not be looked up.
	lengths [256]uint64
}

// rule says what becomes of a field of the request.
type rule uint8

const (
	forward   rule = iota
	drop           // never forwarded: it concerns the connection, or it is ours to set
	vouched        // forwarded in its exact spelling from trusted proxies only
	te             // forwarded as far as it says that trailers are welcome
	rewritten      // like vouched, and then written anew
)

// maxOptions is how many connection options a request may name: each is looked for in the whole header.
const maxOptions = 32

// New returns the step. protected are the names of the fields that carry identity, in any spelling; the gateway alone sets them.
func New(protected []string) *Step {
	s := &Step{names: make(map[string]rule)}
	for r, names := range map[rule]string{
		// RFC 9110 section 7.6.1. Content-Length goes too, for the forwarder frames the message by what is known of the body; Expect was answered by the
		// server; Proxy would become the variable HTTP_PROXY of CGI programs.
		drop: "connection keep-alive proxy-connection proxy-authenticate proxy-authorization proxy transfer-encoding upgrade trailer http2-settings " +
			"content-length expect host " +
			// Back ends take the method from these, so that a rule about methods could be passed by.
			"x-http-method-override x-http-method x-method-override",
		te:        "te",
		rewritten: "forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-real-ip",
		// What other proxies say about the client and its request, under names that back ends believe.
		vouched: "x-forwarded true-client-ip x-client-ip client-ip x-cluster-client-ip x-original-uri x-original-url x-original-host x-original-method " +
			"x-original-for x-rewrite-url",
	} {
		for name := range strings.FieldsSeq(names) {
			s.add(name, r)
		}
	}
	for _, name := range protected {
		s.add(gate.FoldName(name), drop)
	}
	return s
}

func (s *Step) add(folded string, r rule) {
	s.names[folded] = r
	s.longest = max(s.longest, len(folded))
	if folded != "" {
		s.lengths[folded[0]] |= lengthBit(folded)
	}
}

func lengthBit(name string) uint64 { return 1 << min(len(name), 63) }

// known reports whether a name may have a rule.
func (s *Step) known(name string) bool {
	if name == "" {
		return false
	}
	first, _ := foldByte(name[0])
	return s.lengths[first]&lengthBit(name) != 0 || first == family[0] && len(name) > len(family)
}

// family is the start of the names that proxies forward by, whatever follows.
const family = "x-forwarded-"

// rule returns what becomes of a field, and whether its name is spelt with dashes. The name is a token (RFC 9110 section 5.6.2).
func (s *Step) rule(name string) (r rule, plain bool) {
	if !s.known(name) {
		return forward, true
	}
	var buffer [128]byte
	folded, plain := fold(buffer[:0], name)
	if len(name) <= s.longest {
		if r, ok := s.names[string(folded)]; ok {
			return r, plain
		}
	}
	if len(folded) > len(family) && string(folded[:len(family)]) == family {
		return vouched, plain
	}
	return forward, plain
}

// fold appends gate.FoldName(name) to dst, without allocating for usual names.
func fold(dst []byte, name string) (folded []byte, plain bool) {
	plain = true
	for i := range len(name) {
		c, same := foldByte(name[i])
		plain = plain && same
		dst = append(dst, c)
	}
	return dst, plain
}

// foldByte is fold of one byte.
func foldByte(c byte) (folded byte, plain bool) {
	switch {
	case c == '_' || c == '.':
		return '-', false
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A', true
	}
	return c, true
}

// Handle replaces x.Out by what may be forwarded of x.In, and writes the fields that tell the upstream where the request came from.
func (s *Step) Handle(x *gate.Exchange) error {
	var buffer [maxOptions]string
	options, err := connectionOptions(buffer[:0], x.In)
	if err != nil {
		return err
	}
	out := x.Out[:0]
	trailers := false
	for _, f := range x.In {
		if !validName(f.Name) || !validValue(f.Value) {
			return refuse(x, "field names and values as in RFC 9110 section 5", "")
		}
		switch r, plain := s.rule(f.Name); r {
		case drop:
			continue
		case te:
			trailers = trailers || acceptsTrailers(f.Value)
			continue
		case vouched, rewritten:
			if !x.PeerTrusted || !plain {
				continue
			}
		case forward:
		}
		if !named(options, f.Name) {
			out = append(out, f)
		}
	}
	if trailers {
		out.Add("TE", "trailers")
	}
	x.Out = out
	if x.Trailer != nil && x.Length < 0 { // a body of known length has none
		x.Trailer = s.trailer(x.Trailer)
		s.announce(x)
	}
	trace(x, options)
	describe(x)
	return nil
}

// trailer leaves out of the trailer what is not forwarded in the header: a back end that merges the two would take a client's word for ours, above all
// where ours was left out because the token lacks the claim.
func (s *Step) trailer(received func() gate.Header) func() gate.Header {
	return func() gate.Header {
		var kept gate.Header
		for _, f := range received() {
			if r, _ := s.rule(f.Name); r == forward {
				kept = append(kept, f)
			}
		}
		return kept
	}
}

// announce writes the names of the trailer fields that the client has announced and that may be forwarded. The forwarder frames the message; it takes them as
// what it may announce itself.
func (s *Step) announce(x *gate.Exchange) {
	var names []string
	for line := range x.In.Values("Trailer") {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if r, _ := s.rule(name); r == forward && validName(name) {
				names = append(names, name)
			}
		}
	}
	if len(names) > 0 {
		x.Out.Add("Trailer", strings.Join(names, ", "))
	}
}

func trace(x *gate.Exchange, options []string) {
	if x.Trace != nil {
		x.Trace.Record(gate.Check{Name: "header_fields", Got: strings.Join(options, ", ")})
	}
}

func refuse(x *gate.Exchange, expected, got string) error {
	x.Trace.Record(gate.Check{Name: "header_fields", Reason: gate.ReasonBadForwarding, Expected: expected, Got: got})
	return &gate.Denial{Reason: gate.ReasonBadForwarding, Expected: expected, Got: got}
}

// connectionOptions appends the fields that the client wants to be dropped with its connection (RFC 9110 section 7.6.1) to dst.
func connectionOptions(dst []string, in gate.Header) ([]string, error) {
	for i := range in {
		if !gate.EqualName(in[i].Name, "Connection") {
			continue
		}
		for option := range strings.SplitSeq(in[i].Value, ",") {
			option = strings.Trim(option, " \t")
			if option == "" || gate.EqualName(option, "close") {
				continue
			}
			if len(dst) == maxOptions {
				return nil, &gate.Denial{Reason: gate.ReasonBadForwarding, Expected: "at most 32 connection options"}
			}
			dst = append(dst, option)
		}
	}
	return dst, nil
}

func named(options []string, name string) bool {
	for _, option := range options {
		if gate.EqualName(option, name) {
			return true
		}
	}
	return false
}

// acceptsTrailers reports whether a TE field has the member trailers (RFC 9110 section 10.1.4).
func acceptsTrailers(value string) bool {
	for member := range strings.SplitSeq(value, ",") {
		if gate.EqualName(strings.Trim(member, " \t"), "trailers") {
			return true
		}
	}
	return false
}

// validName reports whether name is a token (RFC 9110 section 5.6.2).
func validName(name string) bool {
	for i := range len(name) {
		if !tokenBytes[name[i]] {
			return false
		}
	}
	return name != ""
}

var tokenBytes = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = true
	}
	return t
}()

// validValue reports whether value is a field value (RFC 9110 section 5.5): no control characters but tabs, no space around.
func validValue(value string) bool {
	i := 0
	for ; i+32 <= len(value); i += 32 {
		w := value[i : i+32]
		if suspicious(w[:8])|suspicious(w[8:16])|suspicious(w[16:24])|suspicious(w[24:]) != 0 && holdsControl(w) {
			return false
		}
	}
	for ; i+8 <= len(value); i += 8 {
		if suspicious(value[i:i+8]) != 0 && holdsControl(value[i:i+8]) {
			return false
		}
	}
	return !holdsControl(value[i:]) && (value == "" || !blank(value[0]) && !blank(value[len(value)-1]))
}

func holdsControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// suspicious is not 0 if one of eight bytes is below ' ', which a tab is too, or DEL. All eight are looked at at once, for tokens are long: subtracting
// ' ' from a byte below it, or one from what a DEL becomes, borrows into its highest bit.
func suspicious(s string) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	del := v ^ 0x7f*ones
	return ((v-' '*ones)&^v | (del-ones)&^del) & high
}

func blank(c byte) bool { return c == ' ' || c == '\t' }
