package manage

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// documentPath is where the contract is; it needs no admin token, for it holds nothing of this gateway.
const documentPath = Prefix + "openapi.json"

// route is an operation of the API.
type route struct {
	method string
	// path is a pattern of [http.ServeMux].
	path string
	// query are the parameters that it has.
	query []string
	serve http.HandlerFunc
}

// routes are all operations.
func (a *API) routes() []route {
	return slices.Concat(
		[]route{{http.MethodGet, documentPath, nil, document}},
		a.nounRoutes(), a.keyRoutes(), a.credentialRoutes(), a.revocationRoutes(), a.sessionRoutes(), a.usageRoutes(),
	)
}

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // the client is gone if it fails
}

// strict serves a route, and refuses parameters that it does not have: one that is misspelt would be as if it were not there.
func (one route) strict() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			fail(w, problem{Status: http.StatusBadRequest, Detail: "the query cannot be read"})
			return
		}
		for name, values := range query {
			switch {
			case !slices.Contains(one.query, name):
				fail(w, problem{Status: http.StatusBadRequest, Detail: "there is no parameter of this name: " + name})
				return
			case len(values) > 1:
				fail(w, problem{Status: http.StatusBadRequest, Detail: "the parameter is there twice: " + name})
				return
			}
		}
		one.serve(w, r)
	}
}

// dispatch serves a route. What is none is answered as everything here is, and paths are never tidied up: a client that means a name with // or .. in it must not change another.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request) {
	if escaped := r.URL.EscapedPath(); path.Clean(escaped) != strings.TrimSuffix(escaped, "/") {
		fail(w, problem{Status: http.StatusBadRequest, Detail: "the path has empty segments or dots; in names, write %2F for / and %2E for ."})
		return
	}
	if _, pattern := a.mux.Handler(r); pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	probe := probe{header: make(http.Header)}
	a.mux.ServeHTTP(&probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		fail(w, problem{Status: http.StatusMethodNotAllowed, Detail: "there is no " + r.Method + " of " + r.URL.Path})
		return
	}
	fail(w, notFound(r.Method+" "+r.URL.Path))
}

// probe finds out how the mux would answer what is no route.
type probe struct {
	header http.Header
	status int
}

// Header implements [http.ResponseWriter].
func (p *probe) Header() http.Header { return p.header }

// Write implements [http.ResponseWriter].
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements [http.ResponseWriter].
func (p *probe) WriteHeader(status int) { p.status = status }
