package main

import (
	"fmt"
	"regexp"

	"github.com/jotgate/jotgate/jose"
)

// Kinds of subjects.
const (
	kindNginx        = "nginx"
	kindHAProxy      = "haproxy"
	kindReverseProxy = "reverseproxy"
	kindJotgate      = "jotgate"
)

// subject is a proxy that is measured.
type subject struct {
	Name   string // as it stands in reports
	Kind   string
	Engine string // the value of listeners[].engine of jotgate; "" leaves the key out
}

// What pool of tokens a scenario sends.
const (
	tokensNone   = 0  // no token at all
	tokensUnseen = -1 // each token once
)

// scenario is what a subject is asked to do.
type scenario struct {
	Name      string
	Text      string         // in the words of the report
	Algorithm jose.Algorithm // zero: everybody is let in
	Tokens    int            // the size of the pool, or tokensUnseen
	TLS       bool
	APIs      int   // the number of APIs of jotgate, all of which are called in turn
	Large     bool  // bodies of 128 kB
	Limited   bool  // two forwarded headers and a rate limit for each user
	Full      bool  // that, and the access log
	One       bool  // jotgate may use one processor only
	Rates     []int // open loop, requests a second, besides saturation
	Memory    bool  // memory, connections and start instead of CPU time
	Hostile   bool  // latency of good requests while there are hostile clients, instead of CPU time
	Wrk       bool  // driven by wrk instead of our own generator
	Kinds     []string
}

// runs reports whether a kind of subject is asked to do s.
func (s scenario) runs(kind string) bool {
	for _, k := range s.Kinds {
		if k == kind {
			return true
		}
	}
	return false
}

// cell is one scenario with one subject: what a round measures one after the other.
type cell struct {
	subject  subject
	scenario scenario
}

// name is what -run is matched with.
func (c cell) name() string { return c.subject.Name + "/" + c.scenario.Name }

// scenarios is the table of everything that is measured.
func scenarios() []scenario {
	everybody := []string{kindNginx, kindHAProxy, kindReverseProxy, kindJotgate}
	verifiers := []string{kindHAProxy, kindJotgate}
	own := []string{kindJotgate}
	fixed := []int{5_000, 20_000}

	list := []scenario{{Name: "plain", Text: "no token", Rates: fixed, Kinds: everybody}}
	for _, a := range []struct {
		name      string
		algorithm jose.Algorithm
	}{{"rs256", jose.RS256}, {"es256", jose.ES256}, {"hs256", jose.HS256}} {
		seen := scenario{Name: a.name + "-seen", Text: a.algorithm.String() + ", one token", Algorithm: a.algorithm, Tokens: 1, Kinds: verifiers}
		if a.algorithm == jose.RS256 {
			seen.Rates = fixed
		}
		list = append(list, seen,
			scenario{Name: a.name + "-10000", Text: a.algorithm.String() + ", 10,000 tokens", Algorithm: a.algorithm, Tokens: 10_000, Kinds: verifiers},
			scenario{Name: a.name + "-unseen", Text: a.algorithm.String() + ", each token once", Algorithm: a.algorithm, Tokens: tokensUnseen, Kinds: verifiers})
	}
	return append(list,
		scenario{Name: "rs256-limits", Text: "RS256, one token, two forwarded headers and a rate limit", Algorithm: jose.RS256, Tokens: 1, Limited: true, Kinds: own},
		scenario{Name: "rs256-full", Text: "RS256, one token, two forwarded headers, a rate limit, metrics and access log", Algorithm: jose.RS256, Tokens: 1, Limited: true, Full: true, Kinds: own},
		scenario{Name: "rs256-unseen-one", Text: "RS256, each token once, on one processor", Algorithm: jose.RS256, Tokens: tokensUnseen, One: true, Kinds: own},
		scenario{Name: "plain-one", Text: "no token, on one processor", One: true, Kinds: own},
		scenario{Name: "rs256-seen-one", Text: "RS256, one token, on one processor", Algorithm: jose.RS256, Tokens: 1, One: true, Kinds: own},
		scenario{Name: "tls-plain", Text: "TLS, no token", TLS: true, Kinds: []string{kindNginx, kindHAProxy, kindJotgate}},
		scenario{Name: "tls-rs256-seen", Text: "TLS, RS256, one token", TLS: true, Algorithm: jose.RS256, Tokens: 1, Kinds: verifiers},
		scenario{Name: "apis-10", Text: "10 APIs, no token", APIs: 10, Kinds: own},
		scenario{Name: "apis-10000", Text: "10,000 APIs, no token", APIs: 10_000, Kinds: own},
		scenario{Name: "rs256-apis-10", Text: "10 APIs, RS256, one token", APIs: 10, Algorithm: jose.RS256, Tokens: 1, Kinds: own},
		scenario{Name: "rs256-apis-10000", Text: "10,000 APIs, RS256, one token", APIs: 10_000, Algorithm: jose.RS256, Tokens: 1, Kinds: own},
		scenario{Name: "large", Text: "no token, bodies of 128 kB", Large: true, Kinds: everybody},
		scenario{Name: "wrk-plain", Text: "no token, driven by wrk", Wrk: true, Kinds: verifiers},
		scenario{Name: "wrk-rs256-seen", Text: "RS256, one token, driven by wrk", Wrk: true, Algorithm: jose.RS256, Tokens: 1, Kinds: verifiers},
		scenario{Name: "hostile", Text: "RS256, one token, beside hostile clients", Hostile: true, Algorithm: jose.RS256, Tokens: 1, Kinds: own},
		scenario{Name: "memory", Text: "memory and start", Memory: true, Kinds: everybody},
		scenario{Name: "rs256-memory", Text: "memory and start, RS256 with a static key", Memory: true, Algorithm: jose.RS256, Tokens: 1, Kinds: verifiers},
	)
}

// plan returns the cells in the order of a round: scenario by scenario, so that what is compared is measured close together.
func plan(subjects []subject, only *regexp.Regexp) ([]cell, error) {
	var cells []cell
	for _, s := range scenarios() {
		for _, sub := range subjects {
			c := cell{sub, s}
			if s.runs(sub.Kind) && only.MatchString(c.name()) {
				cells = append(cells, c)
			}
		}
	}
	if len(cells) == 0 {
		return nil, fmt.Errorf("no case matches %q", only)
	}
	return cells, nil
}
