package claimheaders

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
)

// keyHeader is a header that tells the upstream something of an API key.
type keyHeader struct{ name, what string }

// facts are what there is to tell of an API key.
func facts() []string { return []string{"id", "name", "owner", "application", "groups"} }

// values is what a fact is for an identity; nothing if it is not known.
func values(what string, id *gate.Identity) []string {
	text := ""
	switch what {
	case "id":
		text = id.Credential
	case "name":
		text = id.TokenName
	case "owner":
		text = id.Subject
	case "application":
		text = id.Application
	case "groups":
		return id.Groups
	}
	if text == "" {
		return nil
	}
	return []string{text}
}

// compileKey reads the headers that tell of API keys.
func compileKey(api *gate.API) ([]keyHeader, gate.Problems) {
	config := api.Auth.APIKey
	if config == nil {
		return nil, nil
	}
	var headers []keyHeader
	var problems gate.Problems
	names := newNames("auth.apiKey.forwardHeaders.", "what is known of a key", api, &problems)
	for _, name := range slices.Sorted(maps.Keys(config.ForwardHeaders)) {
		what := config.ForwardHeaders[name]
		if names.check(name) && !slices.Contains(facts(), what) {
			names.report(name, "there are "+strings.Join(facts(), ", "), "of an API key there is no %q to tell", what)
		}
		headers = append(headers, keyHeader{name, what})
	}
	return headers, problems
}

// KeyFields returns the fields that tell the upstream about the API key of an identity; they depend on nothing else. The error is always a *gate.Denial: what a header cannot carry unchanged is never
// altered.
func (s *Step) KeyFields(id *gate.Identity, trace *gate.Trace) (gate.Header, error) {
	if id == nil {
		return nil, errNobody()
	}
	var fields gate.Header
	for _, h := range s.keyHeaders {
		lines := values(h.what, id)
		for _, line := range lines {
			if err := claims.CheckHeaderText(line); err != nil {
				expected := fmt.Sprintf("%s of the API key in a form that %s can carry", h.what, h.name)
				trace.Record(gate.Check{Name: "forward_header", Reason: gate.ReasonForwardClaim, Expected: expected})
				return nil, &gate.Denial{Reason: gate.ReasonForwardClaim, Expected: expected, Err: err}
			}
			fields.Add(h.name, line)
		}
		if trace != nil {
			trace.Record(gate.Check{Name: "forward_header", Expected: h.name + " from " + h.what + " of the API key", Got: strings.Join(lines, ", "), Claim: true})
		}
	}
	return fields, nil
}
