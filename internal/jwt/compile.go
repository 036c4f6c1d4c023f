package jwt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/predicate"
	"github.com/jotgate/jotgate/jose"
)

const (
	// maxSkew is the widest clock skew: RFC 7519 section 4.1.4 has "a few minutes" in mind.
	maxSkew = 10 * time.Minute
	// maxTokenBytes bounds what a configuration may allow; a token has to fit into a request's header, or nearly so into a form.
	maxTokenBytes = 256 << 10
)

// compiler collects the problems of one provider.
type compiler struct {
	from     *gate.Provider
	to       *Provider
	problems gate.Problems
}

func compile(p *gate.Provider) (*Provider, gate.Problems) {
	c := &compiler{from: p, to: &Provider{
		name:               p.Name,
		issuer:             p.Issuer,
		anyIssuer:          p.AnyIssuer,
		audiences:          p.Audiences,
		audienceText:       strings.Join(p.Audiences, ", "),
		anyAudience:        p.AnyAudience,
		subjects:           p.Subjects,
		allowMissingExpiry: p.AllowMissingExpiry,
		allowBound:         p.AllowBoundTokens,
		skew:               p.ClockSkew,
		maxAge:             p.MaxAge,
		maxLifetime:        p.MaxLifetime,
		maxBytes:           int(p.MaxTokenBytes),
	}}
	c.issuer()
	c.algorithms()
	c.audiences()
	c.types()
	c.requiredClaims()
	c.times()
	c.identity()
	if p.MaxTokenBytes < 1 || p.MaxTokenBytes > maxTokenBytes {
		c.problem("maxTokenBytes", "", "must be between 1 and %s", gate.Bytes(maxTokenBytes))
	}
	return c.to, c.problems
}

func (c *compiler) problem(path, hint, format string, args ...any) {
	c.problems = append(c.problems, c.from.Origin.Problem(path, hint, format, args...))
}

// texts reports empty elements of a list: they are never meant.
func (c *compiler) texts(path string, list []string) {
	for i, text := range list {
		if text == "" {
			c.problem(fmt.Sprintf("%s[%d]", path, i), "", "must not be empty")
		}
	}
}

func (c *compiler) issuer() {
	p := c.from
	switch {
	case p.AnyIssuer && p.Issuer != "":
		c.problem("anyIssuer", "remove one of them", "cannot be combined with issuer")
	case p.AnyIssuer && (p.Discovery || p.DiscoveryURL != ""):
		c.problem("anyIssuer", "name the issuer", "cannot be combined with discovery")
	case !p.AnyIssuer && p.Issuer == "":
		c.problem("issuer", "the exact value of the tokens' iss, or anyIssuer: true", "is missing")
	case strings.TrimSpace(p.Issuer) != p.Issuer:
		c.problem("issuer", "iss is compared exactly", "has space at one end")
	}
}

func (c *compiler) algorithms() {
	if len(c.from.Algorithms) == 0 {
		c.problem("algorithms", "for example [RS256]", "is missing")
	}
	for i, name := range c.from.Algorithms {
		path := fmt.Sprintf("algorithms[%d]", i)
		alg, err := jose.ParseAlgorithm(name)
		switch {
		case errors.Is(err, jose.ErrUnsupportedAlgorithm) && strings.EqualFold(name, "none"):
			c.problem(path, "", "tokens without a signature are never accepted")
			continue
		case err != nil:
			c.problem(path, nearestAlgorithm(name), "unknown algorithm %q", name)
			continue
		case c.to.algorithms.Has(alg):
			c.problem(path, "", "%s is listed twice", name)
		}
		c.to.algorithms = c.to.algorithms.Union(jose.NewAlgorithms(alg))
	}
}

func nearestAlgorithm(name string) string {
	var known []string
	for a := range jose.AsymmetricAlgorithms().Union(jose.NewAlgorithms(jose.HS256, jose.HS384, jose.HS512)).All() {
		known = append(known, a.String())
	}
	if near := predicate.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

func (c *compiler) audiences() {
	p := c.from
	switch {
	case p.AnyAudience && len(p.Audiences) > 0:
		c.problem("anyAudience", "remove one of them", "cannot be combined with audiences")
	case !p.AnyAudience && len(p.Audiences) == 0:
		c.problem("audiences", "what the tokens' aud says for this gateway, or anyAudience: true", "is missing")
	}
	c.texts("audiences", p.Audiences)
	c.texts("subjects", p.Subjects)
}

func (c *compiler) types() {
	c.to.typeText = "JWT or at+jwt, or none"
	for _, typ := range c.from.Types {
		c.to.types = append(c.to.types, mediaType(typ))
	}
	if len(c.to.types) > 0 {
		c.to.typeText = strings.Join(c.to.types, ", ")
	}
	c.texts("types", c.from.Types)
}

func (c *compiler) requiredClaims() {
	c.texts("requiredClaims", c.from.RequiredClaims)
	for i, text := range c.from.RequiredClaims {
		path, err := claims.ParsePath(text)
		if err != nil {
			c.problem(fmt.Sprintf("requiredClaims[%d]", i), "", "%v", err)
			continue
		}
		c.to.required = append(c.to.required, path)
	}
}

func (c *compiler) times() {
	p := c.from
	for _, skew := range []struct {
		path  string
		value time.Duration
	}{
		{"clockSkew.exp", p.ClockSkew.Exp}, {"clockSkew.nbf", p.ClockSkew.Nbf}, {"clockSkew.iat", p.ClockSkew.Iat},
	} {
		if skew.value < 0 || skew.value > maxSkew {
			c.problem(skew.path, "", "must be between 0s and %v", maxSkew)
		}
	}
	if p.MaxAge < 0 {
		c.problem("maxAge", "0 for no limit", "must not be negative")
	}
	if p.MaxLifetime < 0 {
		c.problem("maxLifetime", "0 for no limit", "must not be negative")
	}
	if p.MaxLifetime > 0 && p.AllowMissingExpiry {
		c.problem("allowMissingExpiry", "remove one of them", "cannot be combined with maxLifetime, which makes exp required")
	}
}
