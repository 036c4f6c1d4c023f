package limits

import (
	"net/netip"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/match"
)

// maxGroups is how many groups of an identity have counters of their own in a limit per group; further ones have one together.
const maxGroups = 16

// collect adds the API's own limits to x.Uses.
func (s *Step) collect(x *gate.Exchange) {
	for i := range s.own {
		l := &s.own[i]
		if l.requests != nil && !l.counts(x) {
			continue
		}
		if !l.groups {
			s.add(x, l, "")
			continue
		}
		groups := groupsOf(x)
		for n, group := range groups {
			if n == maxGroups {
				group = ""
			}
			if n > maxGroups {
				break
			}
			s.add(x, l, group)
		}
		if len(groups) == 0 {
			s.add(x, l, "")
		}
	}
}

func groupsOf(x *gate.Exchange) []string {
	if x.Identity == nil {
		return nil
	}
	return x.Identity.Groups
}

// counts reports whether the request is one of the limit's operations. One whose path can be read in two ways is if either reading is: otherwise writing a path in another way would be a way around the limit.
func (l *ownLimit) counts(x *gate.Exchange) bool {
	path, err := match.CanonicalPath(x.OutPath)
	if err != nil {
		return true
	}
	return l.requests.Has(x.Method, path.Routing) || path.Ambiguous() && l.requests.Has(x.Method, path.Folded)
}

// add adds a use of l for the request, and for one of the identity's groups if it is counted by these.
func (s *Step) add(x *gate.Exchange, l *ownLimit, group string) {
	u := l.use
	if len(l.per) > 0 {
		text := append(x.Taken.Text[:0], l.text...)
		for i := range l.per {
			text = l.per[i].append(text, x, group)
		}
		u.Key = limit.SumKey(text)
		u.Group = u.Key.Group()
		x.Taken.Text = text[:0]
		if l.identity && x.Identity != nil && x.Identity.User != "" {
			u.Group = x.Identity.UserKey().Group()
		}
	}
	for i := range x.Uses {
		if x.Uses[i].Key == u.Key {
			return // a group that is named twice
		}
	}
	x.Uses = append(x.Uses, u)
}

// append appends what tells the counters apart: what kind of value there is, and the value. Requests without one share a counter.
func (p *part) append(text []byte, x *gate.Exchange, group string) []byte {
	id := x.Identity
	if p.kind != perAddress && p.kind != perHeader && id == nil {
		return limit.AppendPart(text, "")
	}
	value := ""
	switch p.kind {
	case perIdentity:
		text = limit.AppendPart(text, "identity")
		key := id.UserKey()
		return limit.AppendPart(text, key[:])
	case perApplication:
		value = id.Application
	case perGroup:
		value = group
	case perClient:
		value = id.ClientID
	case perAddress:
		return appendAddress(text, x.Client.Addr())
	case perClaim:
		if id.Claims != nil {
			value = id.Claims.Find(p.claim).JSON()
		}
	case perHeader:
		if gate.EqualName(p.name, "Host") { // is kept elsewhere
			return limit.AppendPart(text, x.RoutingHost)
		}
		for i := range x.In {
			if gate.EqualName(x.In[i].Name, p.name) {
				text = limit.AppendPart(text, "line")
				text = limit.AppendPart(text, x.In[i].Value)
			}
		}
		return limit.AppendPart(text, "")
	}
	if value == "" {
		return limit.AppendPart(text, "")
	}
	text = limit.AppendPart(text, "value")
	return limit.AppendPart(text, value)
}

// appendAddress appends an address; of IPv6 the network of 64 bits, of which a client has all addresses.
func appendAddress(text []byte, a netip.Addr) []byte {
	a = a.Unmap()
	bits := a.As16()
	if a.Is6() {
		return limit.AppendPart(text, bits[:8])
	}
	return limit.AppendPart(text, bits[:])
}
