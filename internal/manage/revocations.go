package manage

import (
	"net/http"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/revoke"
)

// revocation is a revocation with its ID.
type revocation struct {
	ID string `json:"id"`
	revoke.Revocation
}

func (a *API) revocationRoutes() []route {
	const path = Prefix + "revocations"
	return []route{
		{http.MethodGet, path, pageQuery, a.listRevocations},
		{http.MethodPost, path, nil, a.addRevocation},
		{http.MethodDelete, path + "/{kind}/{hash}", nil, a.removeRevocation},
	}
}

func (a *API) removeRevocation(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("kind") + "/" + r.PathValue("hash")
	if err := a.options.Revocations.Remove(r.Context(), revoke.KeyOf(id)); err != nil {
		a.failWith(w, r, "revocation "+id, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) listRevocations(w http.ResponseWriter, r *http.Request) {
	after, limit, err := page(r)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	if after != "" {
		after = revoke.KeyOf(after)
	}
	found, err := a.options.Revocations.Page(r.Context(), after, limit+1)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	items := make([]revocation, len(found))
	for i := range found {
		items[i] = revocation{strings.TrimPrefix(found[i].Key(), revoke.KeyOf("")), found[i]}
	}
	answer(w, http.StatusOK, pageOf(items, limit, func(r revocation) string { return r.ID }))
}

// newRevocation is what is sent to take tokens back.
type newRevocation struct {
	Kind         revoke.Kind `json:"kind"`
	Value        string      `json:"value"`
	Issuer       string      `json:"issuer"`
	IssuedBefore time.Time   `json:"issued_before"`
	Expires      time.Time   `json:"expires"`
	Reason       string      `json:"reason"`
}

func (a *API) addRevocation(w http.ResponseWriter, r *http.Request) {
	var sent newRevocation
	if err := read(r, &sent); err != nil {
		a.failWith(w, r, "", err)
		return
	}
	now := a.options.Now()
	made := revoke.Revocation{
		Kind: sent.Kind, Value: sent.Value, Issuer: sent.Issuer, IssuedBefore: sent.IssuedBefore, Expires: sent.Expires, Reason: sent.Reason,
		By: by(r.Context()), Created: now.UTC(),
	}
	if err := made.Check(now); err != nil {
		a.failWith(w, r, "", badRequest("%w", err))
		return
	}
	if err := a.options.Revocations.Add(r.Context(), made, now); err != nil {
		a.failWith(w, r, "", err)
		return
	}
	id := strings.TrimPrefix(made.Key(), revoke.KeyOf(""))
	w.Header().Set("Location", Prefix+"revocations/"+id)
	answer(w, http.StatusCreated, revocation{id, made})
}
