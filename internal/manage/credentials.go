package manage

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/store"
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
	const one = path + "/{id}" // slashes in IDs are written %2F
	return []route{
		{http.MethodGet, path, pageQuery, a.listCredentials},
		{http.MethodPost, path, nil, a.createCredential},
		{http.MethodGet, one, nil, a.getCredential},
		{http.MethodPut, one, nil, a.putCredential},
		{http.MethodDelete, one, nil, a.deleteCredential},
		{http.MethodPost, one + "/suspend", nil, a.suspendCredential(true)},
		{http.MethodPost, one + "/resume", nil, a.suspendCredential(false)},
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
		w.Header().Set("Location", Prefix+"credentials/"+segment(c.ID))
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

// segment writes a text as one segment of a path, which nobody takes for a way up.
func segment(text string) string {
	if text == "." || text == ".." {
		return strings.ReplaceAll(text, ".", "%2E")
	}
	return url.PathEscape(text)
}

// putCredential replaces what a credential says. A key that is not sent stays.
func (a *API) putCredential(w http.ResponseWriter, r *http.Request) {
	var sent newCredential
	err := read(r, &sent)
	if err == nil && sent.ID != "" && sent.ID != r.PathValue("id") {
		err = badRequest("the ID of a credential cannot be changed; make another one")
	}
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	after, err := a.updateCredential(r, sent.Secret, func(old *credential.Credential) credential.Credential {
		changed := sent.credential()
		changed.Subject = cmp.Or(changed.Subject, old.Subject)
		return changed
	})
	a.answerCredential(w, r, http.StatusOK, after, err)
}

func (a *API) suspendCredential(suspended bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		after, err := a.updateCredential(r, "", func(old *credential.Credential) credential.Credential {
			changed := *old
			changed.Suspended = suspended
			return changed
		})
		a.answerCredential(w, r, http.StatusOK, after, err)
	}
}

// updateTries is how often a change that names no version is made anew, because somebody else changed the same meanwhile.
const updateTries = 10

// updateCredential changes a credential as change says, if it is at the version that the client knows. What others change meanwhile is never undone: who names no version changes the one that is there then.
func (a *API) updateCredential(r *http.Request, secret string, change func(old *credential.Credential) credential.Credential) (after *credential.Credential, err error) {
	c, err := condition(r)
	if err != nil {
		return nil, err
	}
	_, conditional := c.Version()
	for range updateTries {
		old, err := a.options.Credentials.Get(r.Context(), r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		if !c.Allows(old.Version) {
			return nil, store.ErrConflict
		}
		changed, now := change(old), a.options.Now()
		if err := checkChanged(old, changed, secret, now); err != nil {
			return nil, badRequest("%w", err)
		}
		after, err = a.options.Credentials.Update(r.Context(), old.ID, changed, secret, store.IfVersion(old.Version), now)
		if conditional || !errors.Is(err, store.ErrConflict) {
			return after, err
		}
	}
	return nil, store.ErrConflict
}

// checkChanged says what is wrong with what old is to become; nil if nothing is.
func checkChanged(old *credential.Credential, changed credential.Credential, secret string, now time.Time) error {
	changed.ID = old.ID
	if changed.Expires.Equal(old.Expires) {
		now = old.Created // what has ended may be suspended
	}
	if secret == "" && changed.PublicKey == "" { // its key stays
		return changed.Check(now)
	}
	return credential.CheckNew(&changed, secret, now)
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
