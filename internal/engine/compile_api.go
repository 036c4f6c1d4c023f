package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/match"
)

// checkAPI reports what is wrong with an API by itself.
func (c *compiler) checkAPI(a *gate.API) {
	if a.Match != "" {
		if _, err := match.Parse(a.Match); err != nil {
			c.syntaxProblem(&a.Origin, "match", err)
		}
	}
	if a.Answers != gate.AnswersProblem && a.Answers != gate.AnswersBare {
		c.problem(&a.Origin, "answers", "use problem or bare", "unknown form of answers %q", a.Answers)
	}
	if a.Timeout < 0 {
		c.problem(&a.Origin, "timeout", "0 means no limit", "a timeout cannot be negative")
	}
	for i := range a.Public {
		_, problems := compilePublic(a, i)
		c.problems = append(c.problems, problems...)
	}
	c.checkLimitsPath(a)
	switch {
	case a.Auth.JWT != nil && a.Auth.Anonymous:
		c.problem(&a.Origin, "auth", "keep one of them", "jwt and anonymous contradict each other")
	case a.Auth.APIKey != nil && a.Auth.Anonymous:
		c.problem(&a.Origin, "auth", "keep one of them", "apiKey and anonymous contradict each other")
	case a.Auth.JWT == nil && a.Auth.APIKey == nil && !a.Auth.Anonymous:
		c.problem(&a.Origin, "auth", "name jwt or apiKey, or say anonymous: true to let everybody in", "it is not said who may call the API")
	}
	if a.Auth.JWT != nil {
		c.checkIndividual(a)
		c.verifier(a)
	}
	_, problems := c.steps(a, nil)
	c.problems = append(c.problems, problems...)
}

// api compiles an API that checkAPI has found nothing wrong with.
func (c *compiler) api(a *gate.API) *api {
	made := &api{name: a.Name, rule: a.Match, broken: a.Broken != ""}
	status := APIStatus{Name: a.Name, State: "serving", Error: a.Broken, Match: a.Match, Listeners: a.Listeners, Upstream: a.Upstream}
	if len(a.Listeners) == 0 {
		for i := range c.config.Listeners {
			status.Listeners = append(status.Listeners, c.config.Listeners[i].Name)
		}
	}
	if a.Auth.JWT != nil {
		status.Providers = a.Auth.JWT.Providers
	}
	if made.broken {
		status.State = "quarantined"
	}
	c.snapshot.status = append(c.snapshot.status, status)

	base := route{
		api: made, metrics: c.options.Metrics.API(a.Name), bare: a.Answers == gate.AnswersBare, named: a.Realm, scheme: schemeOf(a),
		timeout: a.Timeout, maxBody: int64(a.MaxBodyBytes),
	}
	if base.named == "" {
		base.named = a.Name
	}
	if !made.broken {
		upstream := c.upstreams[a.Upstream]
		if upstream == nil {
			return nil // Check has reported it
		}
		base.upstream = upstream
	}
	protected, public := base, base
	var verifier *jwt.Verifier
	if a.Auth.JWT != nil && !made.broken {
		verifier = c.verifier(a)
		if verifier == nil {
			return nil
		}
	}
	steps, problems := c.steps(a, verifier)
	c.problems = append(c.problems, problems...)
	protected.steps, public.steps = compiled(steps.protected), compiled(steps.public)
	made.protected, made.public = &protected, &public
	made.selector, made.limits = steps.selector, steps.limits
	if a.LimitsPath != "" {
		limited := base
		limited.steps, limited.upstream = compiled(steps.known), ownLimits{steps.limits}
		made.limited, made.limitsAt = &limited, a.LimitsPath
	}
	for i := range a.Public {
		p, _ := compilePublic(a, i)
		made.open = append(made.open, p)
	}
	return made
}

// verifier joins the providers of an API.
func (c *compiler) verifier(a *gate.API) *jwt.Verifier {
	var providers []*jwt.Provider
	for _, name := range a.Auth.JWT.Providers {
		p := c.providers[name]
		if p == nil {
			return nil // it is unknown or broken, which is reported elsewhere
		}
		providers = append(providers, p)
	}
	if len(providers) == 0 {
		return nil
	}
	verifier, err := jwt.New(providers)
	if err != nil {
		c.problem(&a.Origin, "auth.jwt.providers", "", "%v", err)
		return nil
	}
	return verifier
}

// compilePublic compiles the public path i of a.
func compilePublic(a *gate.API, i int) (publicPath, gate.Problems) {
	p := a.Public[i]
	at := fmt.Sprintf("public[%d]", i)
	var problems gate.Problems
	add := func(path, hint, format string, args ...any) {
		problems = append(problems, a.Origin.Problem(path, hint, format, args...))
	}
	out := publicPath{methods: p.Methods, path: p.Path}
	where := at + ".path"
	if p.PathPrefix != "" {
		out.path, out.prefix, where = p.PathPrefix, true, at+".pathPrefix"
	}
	switch {
	case p.Path != "" && p.PathPrefix != "":
		add(at, "keep one of them", "path and pathPrefix contradict each other")
	case out.path == "":
		add(at, "for example path: /health", "path or pathPrefix is missing")
	default:
		if !isCanonical(out.path) {
			add(where, "start with /, without . and .. segments, percent-encoding and ;", "%q is no canonical path, so no request could have it", out.path)
		}
	}
	if len(out.methods) == 0 {
		out.methods = []string{"GET", "HEAD"}
	}
	for k, method := range out.methods {
		if method == "" || strings.ToUpper(method) != method || strings.ContainsFunc(method, func(r rune) bool { return r <= ' ' || r > '~' }) {
			add(fmt.Sprintf("%s.methods[%d]", at, k), "write it in capitals, for example GET", "%q is no method", method)
		}
	}
	return out, problems
}

// isCanonical reports whether requests can have a path, as rules see it, and every back end reads it alike.
func isCanonical(path string) bool {
	canonical, err := match.CanonicalPath(path)
	return err == nil && canonical.Routing == path && !canonical.Ambiguous()
}

// checkLimitsPath reports what is wrong with the path at which callers are told their limits.
func (c *compiler) checkLimitsPath(a *gate.API) {
	if a.LimitsPath == "" {
		return
	}
	if !isCanonical(a.LimitsPath) {
		c.problem(&a.Origin, "limitsPath", "start with /, without . and .. segments, percent-encoding and ;", "%q is no canonical path, so no request could have it", a.LimitsPath)
	}
	if a.Auth.Anonymous {
		c.problem(&a.Origin, "limitsPath", "remove it, or ask for jwt or apiKey", "an anonymous API knows no caller whose limits it could tell")
	}
	for i := range a.Public {
		if p, problems := compilePublic(a, i); problems.Err() == nil && (p.matches("GET", a.LimitsPath) || p.matches("HEAD", a.LimitsPath)) {
			c.problem(&a.Origin, "limitsPath", "choose another path", "public[%d] opens this path for callers that nobody knows", i)
		}
	}
}

// collectProtected gathers every header in which some API tells who is calling. All of them are removed from the requests to all APIs, for two APIs may share an upstream.
func (c *compiler) collectProtected() {
	for i := range c.config.APIs {
		if j := c.config.APIs[i].Auth.JWT; j != nil {
			for name := range j.ForwardHeaders {
				c.protected = append(c.protected, name)
			}
		}
		if k := c.config.APIs[i].Auth.APIKey; k != nil {
			for name := range k.ForwardHeaders {
				c.protected = append(c.protected, name)
			}
		}
	}
	slices.Sort(c.protected)
	c.protected = slices.Compact(c.protected)
}
