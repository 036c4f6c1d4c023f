package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
)

// selection says which policies apply to an identity. It is compiled from a gate.PolicySelection; the zero value takes the policies that API keys name, and knows no defaults.
type selection struct {
	claims   []claims.Name
	scopes   []claims.Name
	byScope  map[string]*policy
	commas   bool
	byClient map[string]*policy
	values   []valuePolicies
	defaults []*policy
	text     string
}

// valuePolicies are the policies by the values of one claim.
type valuePolicies struct {
	claim    claims.Name
	policies map[string][]*policy
}

// compileSelection reads how the tokens of an API select policies.
func (b *Book) compileSelection(from *gate.PolicySelection, report reporter) selection {
	const at = "auth.jwt.policies"
	var s selection
	if from == nil {
		return s
	}
	name := func(text, path string) (claims.Name, bool) {
		n, err := claims.ParseName(text)
		if err == nil && text == "" {
			err = errors.New("must not be empty")
		}
		if err != nil {
			report(path, "", "%v", err)
		}
		return n, err == nil
	}
	find := func(text, path string) *policy {
		p := b.policies[text]
		if p == nil {
			known := make([]string, 0, len(b.policies))
			for name := range b.policies {
				known = append(known, name)
			}
			report(path, suggest(text, known), "there is no policy called %q", text)
		}
		return p
	}
	for i, text := range from.Claims {
		if n, ok := name(text, fmt.Sprintf("%s.claims[%d]", at, i)); ok {
			s.claims = append(s.claims, n)
		}
	}
	if from.Scopes != nil {
		s.compileScopes(from.Scopes, name, find)
	}
	if len(from.Clients) > 0 {
		s.byClient = make(map[string]*policy, len(from.Clients))
		for client, text := range from.Clients {
			s.byClient[client] = find(text, at+".clients."+client)
		}
	}
	for i := range from.Values {
		v, path := &from.Values[i], fmt.Sprintf("%s.values[%d]", at, i)
		n, ok := name(v.Claim, path+".claim")
		if p := find(v.Policy, path+".policy"); ok && p != nil {
			s.addValue(n, v.Value, p)
		}
	}
	for i, text := range from.Default {
		if p := find(text, fmt.Sprintf("%s.default[%d]", at, i)); p != nil {
			s.defaults = append(s.defaults, p)
		}
	}
	checkTogether(s.defaults, at+".default", report)
	s.text = selectionText(from)
	return s
}

func (s *selection) compileScopes(from *gate.ScopePolicies, name func(text, path string) (claims.Name, bool), find func(text, path string) *policy) {
	const at = "auth.jwt.policies.scopes"
	names := from.Claims
	if len(names) == 0 {
		names = []string{"scope", "scp"}
	}
	for i, text := range names {
		if n, ok := name(text, fmt.Sprintf("%s.claims[%d]", at, i)); ok {
			s.scopes = append(s.scopes, n)
		}
	}
	s.commas = from.Commas
	s.byScope = make(map[string]*policy, len(from.Policies))
	for scope, text := range from.Policies {
		s.byScope[scope] = find(text, at+".policies."+scope)
	}
}

func (s *selection) addValue(claim claims.Name, value string, p *policy) {
	i := slices.IndexFunc(s.values, func(v valuePolicies) bool { return v.claim.String() == claim.String() })
	if i < 0 {
		i = len(s.values)
		s.values = append(s.values, valuePolicies{claim: claim, policies: make(map[string][]*policy)})
	}
	s.values[i].policies[value] = append(s.values[i].policies[value], p)
}

// checkTogether reports policies that always apply together and contradict each other.
func checkTogether(list []*policy, at string, report reporter) {
	var all terms
	for _, p := range list {
		all = merge(all, p.at(allAPIs))
	}
	if all.perAPI != "" && all.partitioned != "" {
		report(at, "use policies that all say perAPI, or none", "%s says perAPI and %s decides other parts only: they cannot apply together", all.perAPI, all.partitioned)
	}
}

// selectionText says where policies may come from.
func selectionText(from *gate.PolicySelection) string {
	var parts []string
	if len(from.Claims) > 0 {
		parts = append(parts, "a policy in "+strings.Join(from.Claims, ", "))
	}
	if from.Scopes != nil {
		parts = append(parts, "a scope that has a policy")
	}
	if len(from.Clients) > 0 {
		parts = append(parts, "a client that has a policy")
	}
	for i, v := range from.Values {
		if !slices.ContainsFunc(from.Values[:i], func(w gate.ValuePolicy) bool { return w.Claim == v.Claim }) {
			parts = append(parts, "a value of "+v.Claim+" that has a policy")
		}
	}
	if len(from.Default) > 0 {
		parts = append(parts, "or nothing of it, for "+strings.Join(from.Default, ", "))
	}
	return strings.Join(parts, ", ")
}

// chosen is what an identity selects.
type chosen struct {
	policies []*policy // sorted by name, each once
	unknown  []string  // names that the identity brings and that no policy has
	// malformed says that a claim which names policies is of a kind that cannot.
	malformed bool
	// scopes says that the token has a claim for scopes, so that no default applies.
	scopes bool
	// isDefault says that the policies are the defaults.
	isDefault bool
}

// reason is why nothing is selected, "" if something is.
func (c *chosen) reason() gate.Reason {
	switch {
	case len(c.policies) > 0:
		return ""
	case len(c.unknown) > 0 || c.malformed:
		return gate.ReasonPolicyUnknown
	}
	return gate.ReasonPolicyMissing
}

// choose returns the policies of an identity. Names that no policy has give nothing: next to known ones they are passed over, alone they are refused, and never do they let a default in.
func (s *selection) choose(b *Book, id *gate.Identity) chosen {
	var c chosen
	for _, name := range id.Policies {
		c.add(b, name)
	}
	if id.Claims != nil && id.Credential == "" { // whoever has a credential of his own says in its claims what he likes
		s.fromClaims(b, id, &c)
	}
	if len(c.policies)+len(c.unknown) == 0 && !c.malformed && !c.scopes {
		c.policies, c.isDefault = append(c.policies, s.defaults...), len(s.defaults) > 0
	}
	slices.SortFunc(c.policies, func(a, b *policy) int { return strings.Compare(a.Name, b.Name) })
	c.policies = slices.Compact(c.policies)
	return c
}

func (s *selection) fromClaims(b *Book, id *gate.Identity, c *chosen) {
	named := s.named(b, id.Claims, c)
	if p := s.byClient[id.ClientID]; !named && p != nil && id.ClientID != "" {
		c.policies = append(c.policies, p)
	}
	s.fromScopes(id.Claims, c)
	for _, v := range s.values {
		found := id.Claims.Find(v.claim)
		for text := range scalars(found) {
			c.policies = append(c.policies, v.policies[text]...)
		}
	}
}

func (c *chosen) add(b *Book, name string) {
	if p := b.policies[name]; p != nil {
		c.policies = append(c.policies, p)
	} else {
		c.unknown = append(c.unknown, name)
	}
}

// named adds the policies of the first claim that names some, and reports whether one does. A claim that is empty, or null, names none, and the next is looked at; a number, a boolean or an
// object was meant to name some and does not, which is refused.
func (s *selection) named(b *Book, set *claims.Set, c *chosen) bool {
	for _, name := range s.claims {
		v := set.Find(name)
		found := false
		switch v.Kind() {
		case claims.Absent, claims.Null:
			continue
		case claims.String:
			if text, _ := v.AsString(); text != "" {
				found = true
				c.add(b, text)
			}
		case claims.Array:
			for e := range v.Elements() {
				text, ok := e.AsString()
				switch {
				case !ok:
					found, c.malformed = true, true
				case text != "":
					found = true
					c.add(b, text)
				}
			}
		default:
			found, c.malformed = true, true
		}
		if found {
			return true
		}
	}
	return false
}

// fromScopes adds the policies of the scopes in the first claim that is there. An empty array says nothing; a text says which scopes there are even if it is empty.
func (s *selection) fromScopes(set *claims.Set, c *chosen) {
	for _, name := range s.scopes {
		v := set.Find(name)
		switch v.Kind() {
		case claims.Absent, claims.Null:
			continue
		case claims.String:
			c.scopes = true
			text, _ := v.AsString()
			split := func(r rune) bool { return r == ' ' || s.commas && r == ',' }
			for scope := range strings.FieldsFuncSeq(text, split) {
				c.addScope(s, scope)
			}
		case claims.Array:
			c.scopes = v.Len() > 0
			s.scopesIn(v, c)
		default:
			c.scopes = true
		}
		return
	}
}

// scopesIn adds the policies of an array's texts, and of those of arrays in it.
func (s *selection) scopesIn(v claims.Value, c *chosen) {
	for e := range v.Elements() {
		if text, ok := e.AsString(); ok {
			c.addScope(s, text)
		} else {
			s.scopesIn(e, c)
		}
	}
}

func (c *chosen) addScope(s *selection, scope string) {
	if p := s.byScope[scope]; p != nil {
		c.policies = append(c.policies, p)
	}
}

// scalars yields the text of a string, number or boolean, or those of an array's elements.
func scalars(v claims.Value) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if text, ok := v.Scalar(); ok {
			yield(text)
			return
		}
		for e := range v.Elements() {
			if text, ok := e.Scalar(); ok && !yield(text) {
				return
			}
		}
	}
}
