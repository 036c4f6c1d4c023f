package policy

import (
	"slices"
	"strings"
	"unsafe"

	"github.com/jotgate/jotgate/internal/limit"
)

// grant is the gate.Grant of a session: each part that is asked must let a request through. It is read-only.
type grant struct {
	policies              *policyGrant
	groups, subscriptions *ruleGrant
}

// policyGrant is what policies let through.
type policyGrant struct {
	entries   []*access
	endpoints []endpointUse
	// dryRun says that all policies are in dry-run: everything passes, and entries only say what would.
	dryRun bool
	// refused says that the policies in dry-run would refuse everything: they are inactive, contradict others or do not grant the API.
	refused bool
}

// endpointUse is a limit of some requests.
type endpointUse struct {
	requests *requests
	use      limit.Use
}

// ruleGrant is what access rules, or subscriptions, let through: the first level that does decides what is taken from.
type ruleGrant struct {
	noun   string
	levels []level
}

// level is one access rule or subscription.
type level struct {
	name, plan string
	sets       []*requests // any of them will do
	uses       []limit.Use
}

// Allows implements gate.Grant.
func (g *grant) Allows(method, path, version string, uses []limit.Use) (_ []limit.Use, ok, dry bool) {
	if p := g.policies; p != nil {
		found := p.find(method, path, version) != nil
		if !found && !p.dryRun {
			return uses, false, false
		}
		dry = !found || p.refused
		for i := range p.endpoints {
			if e := &p.endpoints[i]; e.requests.has(method, path) {
				uses = append(uses, e.use)
			}
		}
	}
	for _, r := range [...]*ruleGrant{g.groups, g.subscriptions} {
		if r == nil {
			continue
		}
		l := r.find(method, path)
		if l == nil {
			return uses, false, false
		}
		uses = append(uses, l.uses...)
	}
	return uses, true, dry
}

func (p *policyGrant) find(method, path, version string) *access {
	for _, e := range p.entries {
		if e.allowsVersion(version) && e.requests.has(method, path) {
			return e
		}
	}
	return nil
}

func (e *access) allowsVersion(version string) bool {
	return len(e.Versions) == 0 || slices.Contains(e.Versions, version)
}

func (r *ruleGrant) find(method, path string) *level {
	for i := range r.levels {
		if l := &r.levels[i]; l.has(method, path) {
			return l
		}
	}
	return nil
}

func (l *level) has(method, path string) bool {
	for _, set := range l.sets {
		if set.has(method, path) {
			return true
		}
	}
	return false
}

// By implements gate.Grant.
func (g *grant) By(method, path, version string) string {
	var parts []string
	if p := g.policies; p != nil {
		text := "no policy"
		if e := p.find(method, path, version); e != nil {
			text = "policy " + e.policy.Name
		}
		if p.dryRun {
			text += " (in dry-run)"
		}
		parts = append(parts, text)
	}
	for _, r := range [...]*ruleGrant{g.groups, g.subscriptions} {
		if r == nil {
			continue
		}
		if l := r.find(method, path); l != nil {
			parts = append(parts, r.noun+" "+l.name)
		} else {
			parts = append(parts, "no "+r.noun)
		}
	}
	return strings.Join(parts, ", ")
}

// maxDescription bounds what Describe returns, in bytes.
const maxDescription = 1000

// Describe implements gate.Grant.
func (g *grant) Describe() string {
	var parts []string
	if p := g.policies; p != nil {
		var list []string
		for _, e := range p.entries {
			text := e.requests.String()
			if len(e.Versions) > 0 {
				text += " of " + strings.Join(e.Versions, ", ")
			}
			list = append(list, "policy "+e.policy.Name+": "+text)
		}
		parts = append(parts, strings.Join(list, "; "))
	}
	for _, r := range [...]*ruleGrant{g.groups, g.subscriptions} {
		if r == nil {
			continue
		}
		var list []string
		for _, l := range r.levels {
			var sets []string
			for _, set := range l.sets {
				sets = append(sets, set.String())
			}
			list = append(list, r.noun+" "+l.name+": "+strings.Join(sets, ", "))
		}
		parts = append(parts, strings.Join(list, "; "))
	}
	text := strings.Join(parts, "; and ")
	if len(text) > maxDescription {
		text = strings.ToValidUTF8(text[:maxDescription], "") + "..."
	}
	return text
}

// Size implements gate.Grant.
func (g *grant) Size() int {
	const (
		use     = int(unsafe.Sizeof(limit.Use{}))
		pointer = int(unsafe.Sizeof(uintptr(0)))
	)
	n := int(unsafe.Sizeof(*g))
	if p := g.policies; p != nil {
		n += int(unsafe.Sizeof(*p)) + cap(p.entries)*pointer + cap(p.endpoints)*int(unsafe.Sizeof(endpointUse{}))
	}
	for _, r := range [...]*ruleGrant{g.groups, g.subscriptions} {
		if r == nil {
			continue
		}
		n += int(unsafe.Sizeof(*r)) + cap(r.levels)*int(unsafe.Sizeof(level{}))
		for i := range r.levels {
			n += cap(r.levels[i].sets)*pointer + cap(r.levels[i].uses)*use
		}
	}
	return n
}
