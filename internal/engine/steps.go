package engine

import (
	"slices"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/step/authorize"
	"github.com/jotgate/jotgate/internal/step/bearer"
	"github.com/jotgate/jotgate/internal/step/claimheaders"
	"github.com/jotgate/jotgate/internal/step/cors"
	"github.com/jotgate/jotgate/internal/step/sanitize"
)

// stepLists are the steps of an API's two routes.
type stepLists struct{ protected, public []gate.Step }

// steps makes the steps of an API. This is the one place where their order is written. The lists are fit for use only
// if there are no problems beyond warnings. The verifier may be nil when the lists are only made for their problems.
func (c *compiler) steps(a *gate.API, verifier *jwt.Verifier) (stepLists, gate.Problems) {
	var problems gate.Problems
	lists := stepLists{public: []gate.Step{sanitize.New(c.protected)}}
	if a.CORS != nil {
		answer, more := cors.New(a)
		problems = append(problems, more...)
		lists.public = append(lists.public, answer)
	}
	lists.protected = slices.Clone(lists.public)
	if a.Auth.JWT == nil {
		return lists, problems
	}
	find, more := bearer.New(a, verifier)
	problems = append(problems, more...)
	allow, more := authorize.New(a)
	problems = append(problems, more...)
	forward, more := claimheaders.New(a, claimheaders.Omit)
	problems = append(problems, more...)
	lists.protected = append(lists.protected, find, allow, forward)
	return lists, problems
}
