package manage

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
)

// caller is whose session is meant: whoever has a token of a provider with these claims, or an API key, at an API.
type caller struct {
	API      string          `json:"api"`
	Provider string          `json:"provider"`
	Claims   json.RawMessage `json:"claims"`
	APIKey   string          `json:"api_key"`
}

// session is what somebody may do, and what is left of it.
type session struct {
	Policies     []string          `json:"policies,omitempty"`
	Application  string            `json:"application,omitempty"`
	Subscription string            `json:"subscription,omitempty"`
	Plan         string            `json:"plan,omitempty"`
	Allows       string            `json:"allows"`
	Tags         []string          `json:"tags,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	Limits       []limitState      `json:"limits"`
}

// limitState is a limit and what is left of it.
type limitState struct {
	Name      string `json:"name"`
	Quota     bool   `json:"quota"`
	DryRun    bool   `json:"dry_run,omitempty"`
	Limit     int64  `json:"limit"`
	Remaining int64  `json:"remaining"`
	Period    string `json:"period"`
	// Reset is in how many seconds all is there again, -1 for never.
	Reset float64 `json:"reset_seconds"`
}

// inspectPath is a POST that changes nothing: claims do not belong into a path, which is logged.
const inspectPath = Prefix + "sessions/inspect"

func (a *API) sessionRoutes() []route {
	return []route{
		{http.MethodPost, inspectPath, nil, func(w http.ResponseWriter, r *http.Request) { a.session(w, r, false) }},
		{http.MethodPost, Prefix + "sessions/reset", nil, func(w http.ResponseWriter, r *http.Request) { a.session(w, r, true) }},
	}
}

func (a *API) session(w http.ResponseWriter, r *http.Request, reset bool) {
	var sent caller
	if err := read(r, &sent); err != nil {
		a.failWith(w, r, "", err)
		return
	}
	made, own, shared, err := a.sessionOf(r, &sent)
	var denied *gate.Denial
	switch {
	case errors.As(err, &denied):
		fail(w, problem{Status: http.StatusConflict, Detail: string(denied.Reason) + ": " + denied.Reason.Text()})
		return
	case err != nil:
		a.failWith(w, r, "API key "+sent.APIKey, err)
		return
	}
	if reset {
		if err := a.options.Counters.Reset(r.Context(), own); err != nil {
			a.failWith(w, r, "", err)
			return
		}
	}
	uses := append(own, shared...)
	outcomes := make([]limit.Outcome, len(uses))
	if err := a.options.Counters.Peek(r.Context(), a.options.Now(), uses, outcomes); err != nil {
		a.failWith(w, r, "", err)
		return
	}
	answer(w, http.StatusOK, describe(made, uses, outcomes))
}

func (a *API) sessionOf(r *http.Request, sent *caller) (s *gate.Session, own, shared []limit.Use, err error) {
	if (sent.APIKey == "") == (sent.Claims == nil) {
		return nil, nil, nil, badRequest("send either api_key, or provider and claims")
	}
	if sent.APIKey == "" {
		return a.options.Sessions.Session(sent.API, sent.Provider, sent.Claims)
	}
	key, err := a.options.Keys.Get(r.Context(), sent.APIKey)
	if err != nil {
		return nil, nil, nil, err
	}
	return a.options.Sessions.KeySession(sent.API, key)
}

func describe(s *gate.Session, uses []limit.Use, outcomes []limit.Outcome) session {
	out := session{Allows: "every request", Limits: make([]limitState, len(uses))}
	if s != nil {
		out.Policies, out.Application, out.Subscription, out.Plan = s.Policies, s.Application, s.Subscription, s.Plan
		out.Tags, out.Metadata = s.Tags, s.Metadata
		if s.Grant != nil {
			out.Allows = s.Grant.Describe()
		}
	}
	for i := range uses {
		state := limitState{
			Name: uses[i].Name, Quota: uses[i].Quota, DryRun: uses[i].DryRun, Limit: outcomes[i].Limit, Remaining: outcomes[i].Remaining,
			Period: uses[i].Rule.Period.String(), Reset: outcomes[i].Reset.Seconds(),
		}
		if outcomes[i].Reset < 0 {
			state.Reset = -1
		}
		out.Limits[i] = state
	}
	return out
}
