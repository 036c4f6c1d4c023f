package manage

import (
	"errors"
	"net/http"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/store"
)

// newKey is what is sent to make or change an API key.
type newKey struct {
	Name        string    `json:"name"`
	Owner       string    `json:"owner"`
	Application string    `json:"application"`
	Groups      []string  `json:"groups"`
	Policies    []string  `json:"policies"`
	APIs        []string  `json:"apis"`
	Suspended   bool      `json:"suspended"`
	Expires     time.Time `json:"expires"`
	// Secret, when a key is made, is a secret that was made elsewhere.
	Secret string `json:"secret"`
}

func (n *newKey) key() apikey.Key {
	return apikey.Key{
		Name: n.Name, Owner: n.Owner, Application: n.Application, Groups: n.Groups, Policies: n.Policies, APIs: n.APIs, Suspended: n.Suspended, Expires: n.Expires,
	}
}

// madeKey is a key that was just made, with its secret.
type madeKey struct {
	*apikey.Key
	Secret string `json:"secret"`
}

func (a *API) keyRoutes() []route {
	const path = Prefix + "api-keys"
	const one = path + "/{id}"
	return []route{
		{http.MethodGet, path, pageQuery, a.listKeys},
		{http.MethodPost, path, nil, a.createKey},
		{http.MethodGet, one, nil, a.getKey},
		{http.MethodPut, one, nil, a.putKey},
		{http.MethodDelete, one, nil, a.deleteKey},
		{http.MethodPost, one + "/suspend", nil, a.suspend(true)},
		{http.MethodPost, one + "/resume", nil, a.suspend(false)},
	}
}

func (a *API) getKey(w http.ResponseWriter, r *http.Request) {
	k, err := a.options.Keys.Get(r.Context(), r.PathValue("id"))
	if err == nil && unchanged(w, r, k.Version) {
		return
	}
	a.answerKey(w, r, k, err)
}

func (a *API) putKey(w http.ResponseWriter, r *http.Request) {
	var sent newKey
	err := read(r, &sent)
	if err == nil && sent.Secret != "" {
		err = badRequest("the secret of a key cannot be changed; make another key")
	}
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	a.updateKey(w, r, func(*apikey.Key) apikey.Key { return sent.key() })
}

func (a *API) deleteKey(w http.ResponseWriter, r *http.Request) {
	c, err := condition(r)
	if err == nil {
		err = a.options.Keys.Delete(r.Context(), r.PathValue("id"), c)
	}
	if err != nil {
		a.failWith(w, r, "API key "+r.PathValue("id"), err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) answerKey(w http.ResponseWriter, r *http.Request, k *apikey.Key, err error) {
	if err != nil {
		a.failWith(w, r, "API key "+r.PathValue("id"), err)
		return
	}
	w.Header().Set("ETag", etag(k.Version))
	answer(w, http.StatusOK, k)
}

func (a *API) listKeys(w http.ResponseWriter, r *http.Request) {
	after, limit, err := page(r)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	keys, err := a.options.Keys.Page(r.Context(), after, limit+1)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	answer(w, http.StatusOK, pageOf(keys, limit, func(k *apikey.Key) string { return k.ID }))
}

func (a *API) createKey(w http.ResponseWriter, r *http.Request) {
	var sent newKey
	if err := read(r, &sent); err != nil {
		a.failWith(w, r, "", err)
		return
	}
	key, now := sent.key(), a.options.Now()
	key.CreatedBy = by(r.Context())
	if err := apikey.CheckNew(&key, sent.Secret, now); err != nil {
		a.failWith(w, r, "", badRequest("%w", err))
		return
	}
	made, secret, err := a.options.Keys.Create(r.Context(), key, sent.Secret, now)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	w.Header().Set("Location", Prefix+"api-keys/"+made.ID)
	w.Header().Set("ETag", etag(made.Version))
	answer(w, http.StatusCreated, madeKey{made, secret})
}

func (a *API) suspend(suspended bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.updateKey(w, r, func(k *apikey.Key) apikey.Key {
			changed := *k
			changed.Suspended = suspended
			return changed
		})
	}
}

// updateKey changes a key as change says, if it is at the version that the client knows.
func (a *API) updateKey(w http.ResponseWriter, r *http.Request, change func(*apikey.Key) apikey.Key) {
	c, err := condition(r)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	_, conditional := c.Version()
	for range updateTries {
		var old, k *apikey.Key
		if old, err = a.options.Keys.Get(r.Context(), r.PathValue("id")); err != nil {
			break
		}
		if err = store.ErrConflict; !c.Allows(old.Version) {
			break
		}
		changed, now := change(old), a.options.Now()
		check := now
		if changed.Expires.Equal(old.Expires) {
			check = old.Created // what has ended may be suspended
		}
		if err := changed.Check(check); err != nil {
			a.failWith(w, r, "", badRequest("%w", err))
			return
		}
		// At the version that was read: changes that come at once never undo each other.
		k, err = a.options.Keys.Update(r.Context(), old.ID, changed, store.IfVersion(old.Version), now)
		if err == nil || conditional || !errors.Is(err, store.ErrConflict) {
			a.answerKey(w, r, k, err)
			return
		}
	}
	a.answerKey(w, r, nil, err)
}
