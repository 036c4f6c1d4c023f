// Package authorize asks whether a verified token is enough for an API: by the scopes it must have, and by an expression over its claims.
package authorize

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/predicate"
)

// Step judges an identity, and nothing but that: what it says of a token may be remembered with it. It is read-only and safe for concurrent use.
type Step struct {
	scopes    []string
	scopeText string
	expr      *claims.Expr // nil: every token's claims will do
}

// New makes the step of an API that asks for tokens. The step is nil if the problems hold more than warnings.
func New(api *gate.API) (*Step, gate.Problems) {
	s, problems := compile(api)
	if problems.Err() != nil {
		return nil, problems
	}
	return s, problems
}

// Check returns what is wrong with an API's scopes and claims expression.
func Check(api *gate.API) gate.Problems {
	_, problems := compile(api)
	return problems
}

func compile(api *gate.API) (*Step, gate.Problems) {
	config := api.Auth.JWT
	if config == nil {
		return &Step{}, nil
	}
	s := &Step{scopes: config.Scopes, scopeText: strings.Join(config.Scopes, " ")}
	var problems gate.Problems
	for i, scope := range config.Scopes {
		if !isScope(scope) {
			path := fmt.Sprintf("auth.jwt.scopes[%d]", i)
			problems = append(problems, api.Origin.Problem(path, "one element for each scope", "%q is not a scope (RFC 6749 section 3.3)", scope))
		}
	}
	if config.Claims == "" {
		return s, problems
	}
	const path = "auth.jwt.claims"
	expr, err := claims.Compile(config.Claims)
	if err != nil {
		message, hint := err.Error(), ""
		var syntax *predicate.SyntaxError
		if errors.As(err, &syntax) {
			message, hint = fmt.Sprintf("column %d of the expression: %s", syntax.Column, syntax.Message), syntax.Hint
		}
		return s, append(problems, api.Origin.Problem(path, hint, "%s", message))
	}
	s.expr = expr
	for _, w := range expr.Warnings() {
		p := api.Origin.Problem(path, "", "column %d of the expression: %s", w.Column, w.Message)
		p.Warning = true
		problems = append(problems, p)
	}
	return s, problems
}

// isScope reports whether s is a scope-token (RFC 6749 section 3.3).
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// Judge refuses an identity whose token does not do. The error is always a *gate.Denial. With a trace everything is checked and recorded.
func (s *Step) Judge(id *gate.Identity, trace *gate.Trace) error {
	if id == nil {
		return gate.Deny(gate.ReasonInternal, errors.New("authorizing a request without an identity"))
	}
	denied := s.checkScopes(id.Claims, trace)
	if denied == nil || trace != nil { // an explanation goes on; the first refusal stays the answer
		if d := s.checkClaims(id.Claims, trace); denied == nil {
			denied = d
		}
	}
	if denied != nil {
		return denied
	}
	return nil
}

func (s *Step) checkScopes(set *claims.Set, trace *gate.Trace) *gate.Denial {
	missing := false
	for _, scope := range s.scopes {
		if !jwt.HasScope(set, scope) {
			missing = true
			break
		}
	}
	if trace != nil && len(s.scopes) > 0 {
		c := gate.Check{Name: "scope", Expected: s.scopeText, Got: granted(set), Claim: true}
		if missing {
			c.Reason = gate.ReasonScope
		}
		trace.Record(c)
	}
	if !missing {
		return nil
	}
	return &gate.Denial{Reason: gate.ReasonScope, Expected: s.scopeText, Scope: s.scopeText}
}

// granted is the token's scope as text.
func granted(set *claims.Set) string {
	var all []string
	for scope := range jwt.Scopes(set) {
		all = append(all, scope)
	}
	return strings.Join(all, " ")
}

func (s *Step) checkClaims(set *claims.Set, trace *gate.Trace) *gate.Denial {
	if s.expr == nil {
		return nil
	}
	allowed := s.expr.Eval(set)
	if trace != nil {
		explain(trace, s.expr.Explain(set), true, true)
		c := gate.Check{Name: "claims", Expected: s.expr.String()}
		if !allowed {
			c.Reason = gate.ReasonClaims
		}
		trace.Record(c)
	}
	if allowed {
		return nil
	}
	return &gate.Denial{Reason: gate.ReasonClaims, Expected: s.expr.String()}
}

// explain records every call of the expression with what it came to. A call is to blame if it, and all that it is a part of, came out other than wanted:
// in (A || B) && C a false A is not to blame where B is true.
func explain(trace *gate.Trace, e claims.Explanation, wanted, blame bool) {
	blame = blame && e.Result != wanted
	if len(e.Parts) == 1 { // only a negation has one part
		wanted = !wanted
	}
	for _, part := range e.Parts {
		explain(trace, part, wanted, blame)
	}
	if len(e.Parts) > 0 {
		return
	}
	c := gate.Check{Name: "claim_false", Expected: e.Text, Got: e.Value, Claim: true}
	if e.Result {
		c.Name = "claim_true"
	}
	if e.Found == claims.Absent {
		c.Got, c.Claim = e.Found.String(), false
	}
	if blame {
		c.Reason = gate.ReasonClaims
	}
	trace.Record(c)
}
