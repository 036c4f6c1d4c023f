package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/match"
	"github.com/jotgate/jotgate/internal/policy"
	"github.com/jotgate/jotgate/internal/predicate"
	"github.com/jotgate/jotgate/internal/proxy"
	"github.com/jotgate/jotgate/internal/step/limits"
	"github.com/jotgate/jotgate/internal/step/sanitize"
)

// compiler carries one configuration on its way into a Snapshot.
type compiler struct {
	config   *gate.Config
	options  Options
	problems gate.Problems

	snapshot      *Snapshot // nil for a mere check
	tokenCounters *jwt.CacheCounters
	providers     map[string]*jwt.Provider
	upstreams     map[string]*proxy.Upstream
	book          *policy.Book
	protected     []string       // every header that some API sets, to be removed from every request
	sanitizer     *sanitize.Step // of all APIs: its table holds all of protected
}

// Check returns everything that is wrong with a configuration, without network and without starting anything. It may be given a draft that its dialect
// already found mistakes in.
func Check(config *gate.Config) gate.Problems {
	c := &compiler{config: config, providers: make(map[string]*jwt.Provider)}
	c.names()
	c.checkTokenCache()
	c.problems = append(c.problems, limits.CheckSettings(&config.Limits)...)
	for i := range config.Providers {
		p := &config.Providers[i]
		c.problems = append(c.problems, keys.Check(p)...)
		compiled, problems := jwt.NewProvider(p, nil) // without keys: it is only looked at
		c.problems = append(c.problems, problems...)
		c.providers[p.Name] = compiled
	}
	for i := range config.Upstreams {
		c.problems = append(c.problems, proxy.Check(&config.Upstreams[i])...)
	}
	c.collectProtected()
	c.makeBook()
	for i := range config.APIs {
		c.checkAPI(&config.APIs[i])
	}
	return c.problems.Sort()
}

func (c *compiler) checkTokenCache() {
	if t := &c.config.TokenCache; !t.Disabled && t.MaxBytes < jwt.MinCacheBytes {
		c.problem(&t.Origin, "maxBytes", "disabled: true turns the cache off", "must be at least %s", gate.Bytes(jwt.MinCacheBytes))
	}
}

// Prepare compiles a configuration. The snapshot is nil if the problems hold errors; otherwise it holds key sources and upstreams, which have begun to
// work, until it was put in force and retired, or discarded.
func (e *Engine) Prepare(config *gate.Config) (*Snapshot, gate.Problems) {
	if problems := Check(config); problems.Err() != nil {
		return nil, problems
	}
	c := &compiler{
		config: config, options: e.options, tokenCounters: &e.tokens,
		snapshot:  &Snapshot{tables: make(map[string]*match.Table[*api]), byName: make(map[string]*api, len(config.APIs))},
		providers: make(map[string]*jwt.Provider), upstreams: make(map[string]*proxy.Upstream),
	}
	c.snapshot.references.Store(1)
	c.acquire()
	c.collectProtected()
	c.makeBook()
	apis := make([]*api, len(config.APIs))
	for i := range config.APIs {
		apis[i] = c.api(&config.APIs[i])
		if apis[i] != nil {
			c.snapshot.byName[config.APIs[i].Name] = apis[i]
		}
	}
	c.snapshot.providers = c.providers
	c.tables(apis)
	c.problems = c.problems.Sort()
	if c.problems.Err() != nil {
		c.snapshot.Discard()
		return nil, c.problems
	}
	return c.snapshot, c.problems
}

// acquire takes hold of the long-lived resources.
func (c *compiler) acquire() {
	for i := range c.config.Providers {
		p := &c.config.Providers[i]
		if p.Individual != nil {
			compiled, problems := jwt.NewProvider(p, jwt.NewIndividual(p.Individual, c.options.Credentials))
			c.problems = append(c.problems, problems...)
			c.providers[p.Name] = compiled
			continue
		}
		source, problems := c.options.Keys.Acquire(p)
		c.problems = append(c.problems, problems...)
		if source == nil {
			continue
		}
		c.snapshot.sources = append(c.snapshot.sources, source)
		compiled, problems := jwt.NewProvider(p, source)
		c.problems = append(c.problems, problems...)
		c.providers[p.Name] = compiled
	}
	for i := range c.config.Upstreams {
		u := &c.config.Upstreams[i]
		upstream, problems := c.options.Proxy.Acquire(u)
		c.problems = append(c.problems, problems...)
		if upstream == nil {
			continue
		}
		c.snapshot.upstreams = append(c.snapshot.upstreams, upstream)
		c.upstreams[u.Name] = upstream
	}
}

// tables makes one routing table for each listener, and one for connections of listeners that are no more.
func (c *compiler) tables(apis []*api) {
	rules := make([]*match.Rule, len(apis))
	for i := range c.config.APIs {
		rules[i], _ = match.Parse(c.config.APIs[i].Match) // Check has reported it
	}
	listeners := []string{anyListener}
	for i := range c.config.Listeners {
		listeners = append(listeners, c.config.Listeners[i].Name)
	}
	for _, name := range listeners {
		var entries []match.Entry[*api]
		for i := range c.config.APIs {
			a := &c.config.APIs[i]
			if apis[i] != nil && rules[i] != nil && (len(a.Listeners) == 0 || slices.Contains(a.Listeners, name)) {
				entries = append(entries, match.Entry[*api]{Name: a.Name, Rule: rules[i], Priority: a.Priority, Value: apis[i]})
			}
		}
		c.snapshot.tables[name] = match.NewTable(entries)
	}
}

// names checks that names are there, differ, and lead somewhere.
func (c *compiler) names() {
	config := c.config
	if len(config.Listeners) == 0 {
		c.problems = append(c.problems, gate.Problem{Path: "listeners", Message: "there is no listener", Hint: "for example: listeners: [{name: web, address: \":8080\"}]"})
	}
	addresses := make(map[string]bool)
	listeners := unique(c, "listener", len(config.Listeners), func(i int) (string, *gate.Origin) { return config.Listeners[i].Name, &config.Listeners[i].Origin })
	for i := range config.Listeners {
		l := &config.Listeners[i]
		if addresses[l.Address] && !strings.HasSuffix(l.Address, ":0") {
			c.problem(&l.Origin, "address", "", "another listener already has the address %s", l.Address)
		}
		addresses[l.Address] = true
	}
	providers := unique(c, "provider", len(config.Providers), func(i int) (string, *gate.Origin) { return config.Providers[i].Name, &config.Providers[i].Origin })
	upstreams := unique(c, "upstream", len(config.Upstreams), func(i int) (string, *gate.Origin) { return config.Upstreams[i].Name, &config.Upstreams[i].Origin })
	unique(c, "api", len(config.APIs), func(i int) (string, *gate.Origin) { return config.APIs[i].Name, &config.APIs[i].Origin })
	for i := range config.APIs {
		a := &config.APIs[i]
		for k, name := range a.Listeners {
			c.refer(&a.Origin, fmt.Sprintf("listeners[%d]", k), "listener", name, listeners)
		}
		if a.Upstream != "" {
			c.refer(&a.Origin, "upstream", "upstream", a.Upstream, upstreams)
		}
		if a.Auth.JWT == nil {
			continue
		}
		for k, name := range a.Auth.JWT.Providers {
			c.refer(&a.Origin, fmt.Sprintf("auth.jwt.providers[%d]", k), "provider", name, providers)
		}
	}
}

// names are those of one sort of noun.
type names struct {
	known map[string]bool
	list  []string
}

// unique reports names that are taken or unfit, and returns them all.
func unique(c *compiler, noun string, n int, at func(int) (string, *gate.Origin)) names {
	out := names{known: make(map[string]bool, n)}
	for i := range n {
		name, origin := at(i)
		switch {
		case name == "": // the dialect has reported what is required
			continue
		case len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
			c.problem(origin, "name", "", "a name has at most 200 characters, and no control characters")
		case out.known[name]:
			c.problem(origin, "name", "", "another %s is already called %q", noun, name)
		}
		out.known[name] = true
		out.list = append(out.list, name)
	}
	return out
}

// refer reports a name that leads nowhere.
func (c *compiler) refer(origin *gate.Origin, path, noun, name string, defined names) {
	if defined.known[name] {
		return
	}
	hint := ""
	if n := len(defined.list); n > 0 && n <= 20 {
		hint = "known: " + strings.Join(defined.list, ", ")
	}
	c.problem(origin, path, hint, "there is no %s called %q", noun, name)
}

func (c *compiler) problem(origin *gate.Origin, path, hint, format string, args ...any) {
	c.problems = append(c.problems, origin.Problem(path, hint, format, args...))
}

// syntaxProblem reports a mistake in an expression, with its column in the expression.
func (c *compiler) syntaxProblem(origin *gate.Origin, path string, err error) {
	var syntax *predicate.SyntaxError
	if errors.As(err, &syntax) {
		c.problem(origin, path, syntax.Hint, "column %d of the expression: %s", syntax.Column, syntax.Message)
		return
	}
	c.problem(origin, path, "", "%v", err)
}
