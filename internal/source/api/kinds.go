package api

import (
	"maps"
	"slices"

	"github.com/jotgate/jotgate/internal/gate"
)

// Kind is a kind of nouns, spelt as in the configuration.
type Kind string

// The kinds.
const (
	Policies      Kind = "policies"
	Plans         Kind = "plans"
	AccessRules   Kind = "access"
	GroupRates    Kind = "groupRates"
	Applications  Kind = "applications"
	Subscriptions Kind = "subscriptions"
)

// Kinds are all kinds, sorted.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

// kindInfo is how nouns of a kind are handled.
type kindInfo struct {
	make func() any
	// parts returns the name and the origin of a noun.
	parts func(noun any) (*string, *gate.Origin)
	// list are the nouns of a configuration.
	list func(*gate.Config) []Noun
	// clip makes the list of a configuration one that can be added to without changing another configuration.
	clip func(*gate.Config)
	add  func(*gate.Config, any)
}

var kinds = map[Kind]kindInfo{
	Policies: kindOf(
		func(c *gate.Config) *[]gate.Policy { return &c.Policies },
		func(p *gate.Policy) (*string, *gate.Origin) { return &p.Name, &p.Origin }),
	Plans: kindOf(
		func(c *gate.Config) *[]gate.Plan { return &c.Plans },
		func(p *gate.Plan) (*string, *gate.Origin) { return &p.Name, &p.Origin }),
	AccessRules: kindOf(
		func(c *gate.Config) *[]gate.AccessRule { return &c.AccessRules },
		func(r *gate.AccessRule) (*string, *gate.Origin) { return &r.Name, &r.Origin }),
	GroupRates: kindOf(
		func(c *gate.Config) *[]gate.GroupRate { return &c.GroupRates },
		func(r *gate.GroupRate) (*string, *gate.Origin) { return &r.Name, &r.Origin }),
	Applications: kindOf(
		func(c *gate.Config) *[]gate.Application { return &c.Applications },
		func(a *gate.Application) (*string, *gate.Origin) { return &a.Name, &a.Origin }),
	Subscriptions: kindOf(
		func(c *gate.Config) *[]gate.Subscription { return &c.Subscriptions },
		func(s *gate.Subscription) (*string, *gate.Origin) { return &s.Name, &s.Origin }),
}

// kindOf makes the handling of the nouns T, which are in a list of a configuration.
func kindOf[T any](list func(*gate.Config) *[]T, parts func(*T) (*string, *gate.Origin)) kindInfo {
	return kindInfo{
		make:  func() any { return new(T) },
		parts: func(noun any) (*string, *gate.Origin) { return parts(noun.(*T)) },
		list: func(c *gate.Config) []Noun {
			nouns := *list(c)
			out := make([]Noun, len(nouns))
			for i := range nouns {
				name, _ := parts(&nouns[i])
				out[i] = Noun{Name: *name, Value: &nouns[i], Configured: true}
			}
			return out
		},
		clip: func(c *gate.Config) { *list(c) = slices.Clip(*list(c)) },
		add:  func(c *gate.Config, noun any) { *list(c) = append(*list(c), *noun.(*T)) },
	}
}
