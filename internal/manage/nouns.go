package manage

import (
	"encoding/json"
	"io"
	"net/http"
	"sort"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/source/api"
)

// noun is a noun in a list.
type noun struct {
	Name string `json:"name"`
	// Origin is configuration or api.
	Origin string `json:"origin"`
	ETag   string `json:"etag,omitempty"`
	// Value is the noun as in the configuration.
	Value json.RawMessage `json:"value"`
}

func nounOf(n *api.Noun) (noun, error) {
	value, err := native.EncodeNoun(n.Value)
	out := noun{Name: n.Name, Origin: "configuration", Value: value}
	if !n.Configured {
		out.Origin, out.ETag = "api", etag(n.Version)
	}
	return out, err
}

// nounRoutes are policies, plans, access rules, group rates, applications and subscriptions.
func (a *API) nounRoutes() (all []route) {
	for _, kind := range api.Kinds() {
		path := Prefix + string(kind)
		one := path + "/{name...}" // names may hold slashes
		with := func(serve func(http.ResponseWriter, *http.Request, api.Kind)) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { serve(w, r, kind) }
		}
		all = append(all,
			route{http.MethodGet, path, pageQuery, with(a.listNouns)},
			route{http.MethodGet, one, nil, with(a.getNoun)},
			route{http.MethodPut, one, nil, with(a.putNoun)},
			route{http.MethodDelete, one, nil, with(a.deleteNoun)},
		)
	}
	return all
}

func (a *API) listNouns(w http.ResponseWriter, r *http.Request, kind api.Kind) {
	after, limit, err := page(r)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	all := a.options.Nouns.List(kind)
	all = all[sort.Search(len(all), func(i int) bool { return all[i].Name > after }):]
	all = all[:min(len(all), limit+1)]
	items := make([]noun, len(all))
	for i := range all {
		if items[i], err = nounOf(&all[i]); err != nil {
			a.failWith(w, r, "", err)
			return
		}
	}
	answer(w, http.StatusOK, pageOf(items, limit, func(n noun) string { return n.Name }))
}

func (a *API) getNoun(w http.ResponseWriter, r *http.Request, kind api.Kind) {
	n, err := a.options.Nouns.Get(kind, r.PathValue("name"))
	if err != nil {
		a.failWith(w, r, what(kind, r), err)
		return
	}
	if !n.Configured && unchanged(w, r, n.Version) {
		return
	}
	a.answerNoun(w, r, http.StatusOK, &n)
}

func what(kind api.Kind, r *http.Request) string { return string(kind) + " " + r.PathValue("name") }

func (a *API) answerNoun(w http.ResponseWriter, r *http.Request, status int, n *api.Noun) {
	out, err := nounOf(n)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	if out.ETag != "" {
		w.Header().Set("ETag", out.ETag)
	}
	answer(w, status, out)
}

func (a *API) putNoun(w http.ResponseWriter, r *http.Request, kind api.Kind) {
	c, err := condition(r)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.failWith(w, r, "", unreadable(err))
		return
	}
	n, err := a.options.Nouns.Put(r.Context(), kind, r.PathValue("name"), body, c)
	if err != nil {
		a.failWith(w, r, what(kind, r), err)
		return
	}
	status := http.StatusOK
	if n.Created {
		status = http.StatusCreated
		w.Header().Set("Location", r.URL.EscapedPath())
	}
	a.answerNoun(w, r, status, &n)
}

func (a *API) deleteNoun(w http.ResponseWriter, r *http.Request, kind api.Kind) {
	c, err := condition(r)
	if err == nil {
		err = a.options.Nouns.Delete(r.Context(), kind, r.PathValue("name"), c)
	}
	if err != nil {
		a.failWith(w, r, what(kind, r), err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
