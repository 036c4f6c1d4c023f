package manage

import (
	"net/http"
	"net/url"
	"time"

	"github.com/jotgate/jotgate/internal/credential"
)

// newCredential is what is sent to make or change a credential.
type newCredential struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Subject     string    `json:"subject"`
	PublicKey   string    `json:"public_key"`
	Secret      string    `json:"secret"`
	Application string    `json:"application"`
	Groups      []string  `json:"groups"`
	Policies    []string  `json:"policies"`
	Suspended   bool      `json:"suspended"`
	Expires     time.Time `json:"expires"`
}

func (n *newCredential) credential() credential.Credential {
	return credential.Credential{
		ID: n.ID, Name: n.Name, Subject: n.Subject, PublicKey: n.PublicKey, Application: n.Application, Groups: n.Groups, Policies: n.Policies, Suspended: n.Suspended, Expires: n.Expires,
	}
}

func (a *API) credentialRoutes() []route {
	const path = Prefix + "credentials"
	const one = path + "/{id...}" // IDs may hold slashes
	return []route{
		{http.MethodGet, path, pageQuery, a.listCredentials},
		{http.MethodPost, path, nil, a.createCredential},
		{http.MethodGet, one, nil, a.getCredential},
		{http.MethodPut, one, nil, a.putCredential},
		{http.MethodDelete, one, nil, a.deleteCredential},
	}
}

func (a *API) answerCredential(w http.ResponseWriter, r *http.Request, status int, c *credential.Credential, err error) {
	if err != nil {
		a.failWith(w, r, "credential "+r.PathValue("id"), err)
		return
	}
	w.Header().Set("ETag", etag(c.Version))
	answer(w, status, c)
}

func (a *API) listCredentials(w http.ResponseWriter, r *http.Request) {
	after, limit, err := page(r)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	found, err := a.options.Credentials.Page(r.Context(), after, limit+1)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	answer(w, http.StatusOK, pageOf(found, limit, func(c *credential.Credential) string { return c.ID }))
}

func (a *API) createCredential(w http.ResponseWriter, r *http.Request) {
	var sent newCredential
	if err := read(r, &sent); err != nil {
		a.failWith(w, r, "", err)
		return
	}
	made, now := sent.credential(), a.options.Now()
	made.CreatedBy = by(r.Context())
	if err := credential.CheckNew(&made, sent.Secret, now); err != nil {
		a.failWith(w, r, "", badRequest("%w", err))
		return
	}
	c, err := a.options.Credentials.Create(r.Context(), made, sent.Secret, now)
	if err == nil {
		w.Header().Set("Location", Prefix+"credentials/"+url.PathEscape(c.ID))
	}
	a.answerCredential(w, r, http.StatusCreated, c, err)
}

func (a *API) getCredential(w http.ResponseWriter, r *http.Request) {
	c, err := a.options.Credentials.Get(r.Context(), r.PathValue("id"))
	if err == nil && unchanged(w, r, c.Version) {
		return
	}
	a.answerCredential(w, r, http.StatusOK, c, err)
}

// putCredential replaces what a credential says. A key that is not sent stays.
func (a *API) putCredential(w http.ResponseWriter, r *http.Request) {
	var sent newCredential
	c, err := condition(r)
	if err == nil {
		err = read(r, &sent)
	}
	id := r.PathValue("id")
	if err == nil && sent.ID != "" && sent.ID != id {
		err = badRequest("the ID of a credential cannot be changed; make another one")
	}
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	sent.ID = id
	old, err := a.options.Credentials.Get(r.Context(), id)
	if err != nil {
		a.answerCredential(w, r, 0, nil, err)
		return
	}
	changed := sent.credential()
	if changed.Subject == "" {
		changed.Subject = old.Subject
	}
	check := a.options.Now()
	if changed.Expires.Equal(old.Expires) {
		check = old.Created // what has ended may be suspended
	}
	err = changed.Check(check)
	if err == nil && (sent.Secret != "" || sent.PublicKey != "") {
		err = credential.CheckNew(&changed, sent.Secret, check)
	}
	if err != nil {
		a.failWith(w, r, "", badRequest("%w", err))
		return
	}
	after, err := a.options.Credentials.Update(r.Context(), id, changed, sent.Secret, c, a.options.Now())
	a.answerCredential(w, r, http.StatusOK, after, err)
}

func (a *API) deleteCredential(w http.ResponseWriter, r *http.Request) {
	c, err := condition(r)
	if err == nil {
		err = a.options.Credentials.Delete(r.Context(), r.PathValue("id"), c)
	}
	if err != nil {
		a.failWith(w, r, "credential "+r.PathValue("id"), err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
