package limits

import (
	"fmt"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// CheckSettings returns what is wrong with the settings that hold for all limits.
func CheckSettings(s *gate.LimitSettings) gate.Problems {
	var problems gate.Problems
	switch s.Headers {
	case gate.LimitHeadersIETF, gate.LimitHeadersRate, gate.LimitHeadersQuota, gate.LimitHeadersNone:
	default:
		problems = append(problems, s.Origin.Problem("headers", "ietf, x-ratelimit, quota or none", "%q is no style of headers", s.Headers))
	}
	if _, err := gate.ParseFailure(s.OnStoreFailure); err != nil || s.OnStoreFailure == "" {
		problems = append(problems, s.Origin.Problem("onStoreFailure", "local, allow or deny", "%q says nothing about what happens", s.OnStoreFailure))
	}
	if s.StoreTimeout < time.Millisecond || s.StoreTimeout > time.Minute {
		problems = append(problems, s.Origin.Problem("storeTimeout", "", "it is from 1ms to 1m, not %v", s.StoreTimeout))
	}
	return problems
}

// ownLimit is a limit of the API.
type ownLimit struct {
	use      limit.Use // with the key and group of all callers
	text     []byte    // the start of the text of keys
	per      []part
	identity bool // it is counted where the identity's limits are
	groups   bool // each of the identity's groups has a counter
	requests Requests
}

// part is a thing that has a counter of its own.
type part struct {
	kind  partKind
	claim claims.Name
	name  string
}

type partKind uint8

const (
	perIdentity partKind = iota
	perApplication
	perGroup
	perClient
	perAddress
	perClaim
	perHeader
)

type compiler struct {
	api      *gate.API
	options  Options
	problems gate.Problems
}

func (c *compiler) report(path, hint, format string, args ...any) {
	c.problems = append(c.problems, c.api.Origin.Problem(path, hint, format, args...))
}

func (c *compiler) limits(own []gate.APILimit) []ownLimit {
	var all []ownLimit
	names := make(map[string]bool)
	for i := range own {
		l, at := &own[i], fmt.Sprintf("limits[%d]", i)
		switch {
		case l.Name == "":
			c.report(at+".name", "", "a limit has a name")
		case names[l.Name]:
			c.report(at+".name", "", "another limit of the API is called %q", l.Name)
		}
		names[l.Name] = true
		if made, ok := c.limit(l, at); ok {
			all = append(all, made)
		}
	}
	return all
}

// maxRatePeriod is the longest period of a rate.
const maxRatePeriod = 24 * time.Hour

// limit compiles a limit; ok is false if there is nothing to count.
func (c *compiler) limit(l *gate.APILimit, at string) (made ownLimit, ok bool) {
	made.use = limit.Use{Name: l.Name, DryRun: l.DryRun, Throttle: l.Throttle.Hold()}
	limited, kind := true, "rate"
	switch {
	case (l.Rate == nil) == (l.Quota == nil):
		c.report(at, "keep one of them, or make two limits", "a limit has either a rate or a quota")
		return made, false
	case l.Rate != nil:
		made.use.Rule = l.Rate.Rule()
		if l.Rate.Period < limit.MinPeriod || l.Rate.Period > maxRatePeriod {
			c.report(at+".rate.period", "a limit of a longer time is a quota", "the period of a rate is from 1ms to 24h, not %v", l.Rate.Period)
			return made, false
		}
	default:
		kind = "quota"
		made.use.Quota = true
		made.use.Rule, limited = l.Quota.Rule()
	}
	if err := made.use.Rule.Valid(); limited && err != nil {
		c.report(at+"."+kind, "", "%v", err)
	}
	if l.Throttle != nil {
		if err := made.use.Throttle.Valid(); err != nil || made.use.Throttle.Retries == 0 {
			c.report(at+".throttle", "an interval from 1ms to 1m, and 1 to 100 retries", "it holds nothing or too long")
		} else if l.Quota != nil {
			c.report(at+".throttle", "", "only a rate can hold requests")
		}
	}
	failure, err := gate.ParseFailure(l.OnStoreFailure)
	if err != nil {
		c.report(at+".onStoreFailure", "", "%v", err)
	}
	made.use.OnFailure = failure
	api := c.api.Name
	for n, text := range l.Per {
		if text == "identity" {
			api = "" // the same counter at all APIs that have a limit of this name
		}
		c.part(&made, text, fmt.Sprintf("%s.per[%d]", at, n))
	}
	made.text = keyText("api "+kind, algorithmName(made.use.Rule.Algorithm), l.Name, api)
	made.use.Key = limit.SumKey(made.text)
	made.use.Group = made.use.Key.Group()
	if len(l.Operations) > 0 && c.options.Operations != nil {
		made.requests = c.options.Operations(l.Operations, at+".operations", c.report)
	} else if len(l.Operations) > 0 {
		c.report(at+".operations", "", "there is nothing here that knows operations")
	}
	return made, limited
}

func keyText(parts ...string) []byte {
	var text []byte
	for _, p := range parts {
		text = limit.AppendPart(text, p)
	}
	return text
}

// algorithmName is a part of keys, because counters of different algorithms hold different states. It must not change.
func algorithmName(a limit.Algorithm) string {
	switch a {
	case limit.Bucket:
		return "bucket"
	case limit.FixedWindow:
		return "fixed"
	}
	return "sliding"
}

func (c *compiler) part(l *ownLimit, text, at string) {
	const hint = "identity, identity-api, application, group, client, address, claim:PATH or header:NAME"
	p := part{}
	switch kind, rest, _ := strings.Cut(text, ":"); {
	case text == "identity", text == "identity-api":
		p.kind, l.identity = perIdentity, true
	case text == "application":
		p.kind = perApplication
	case text == "group":
		if l.groups {
			return
		}
		p.kind, l.groups = perGroup, true
	case text == "client":
		p.kind = perClient
	case text == "address":
		p.kind = perAddress
	case kind == "claim" && rest != "":
		claim, err := claims.ParseName(rest)
		if err != nil {
			c.report(at, "", "%v", err)
		}
		p.kind, p.claim = perClaim, claim
	case kind == "header" && isToken(rest):
		p.kind, p.name = perHeader, rest
	default:
		c.report(at, hint, "%q has no counters", text)
	}
	l.per = append(l.per, p)
}

// isToken reports whether s can be the name of a header field (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
