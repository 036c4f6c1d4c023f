package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/revoke"
	"github.com/jotgate/jotgate/internal/source/api"
	"github.com/jotgate/jotgate/internal/store"
)

// problem is an error answer (RFC 9457).
type problem struct {
	Status int      `json:"status"`
	Title  string   `json:"title"`
	Detail string   `json:"detail,omitempty"`
	Errors []detail `json:"errors,omitempty"`
}

// detail is one mistake.
type detail struct {
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

func notFound(what string) problem {
	return problem{Status: http.StatusNotFound, Detail: "there is no " + what}
}

func fail(w http.ResponseWriter, p problem) {
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone if it fails
}

// failWith answers an error of the packages below; what names the thing that was asked for.
func (a *API) failWith(w http.ResponseWriter, r *http.Request, what string, err error) {
	var problems gate.Problems
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &problems) && !errors.Is(err, api.ErrNotInForce):
		p := problem{Status: http.StatusUnprocessableEntity, Detail: "it is not taken over, because something is wrong with it"}
		for _, one := range problems.Errors() {
			p.Errors = append(p.Errors, detail{Path: one.Path, Message: one.Message, Hint: one.Hint, Line: one.Line, Column: one.Column})
		}
		fail(w, p)
	case errors.As(err, &tooLarge):
		fail(w, problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body is longer than %d bytes", maxBody)})
	case errors.Is(err, errBadRequest):
		fail(w, problem{Status: http.StatusBadRequest, Detail: strings.TrimPrefix(err.Error(), errBadRequest.Error()+": ")})
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrInvalid) && what != "": // nothing can be called so
		fail(w, notFound(what))
	case errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrTooLarge):
		fail(w, problem{Status: http.StatusUnprocessableEntity, Detail: err.Error()})
	case errors.Is(err, store.ErrConflict):
		fail(w, problem{Status: http.StatusPreconditionFailed, Detail: "it has been changed meanwhile; read it again and send its ETag as If-Match"})
	case errors.Is(err, api.ErrConfigured), errors.Is(err, apikey.ErrExists), errors.Is(err, credential.ErrExists):
		fail(w, problem{Status: http.StatusConflict, Detail: err.Error()})
	case errors.Is(err, apikey.ErrFull), errors.Is(err, credential.ErrFull), errors.Is(err, revoke.ErrFull), errors.Is(err, store.ErrFull):
		fail(w, problem{Status: http.StatusInsufficientStorage, Detail: err.Error()})
	default:
		a.options.Log.Error("management request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		fail(w, problem{Status: http.StatusServiceUnavailable, Detail: "the store did not answer as it should; the log says more"})
	}
}

// errBadRequest is a request that cannot be understood.
var errBadRequest = errors.New("bad request")

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errBadRequest}, args...)...)
}

// answer sends a value as JSON.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // the client is gone if it fails
}

// read decodes a JSON body strictly.
func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return badRequest("the body is not the JSON that was expected: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("there is something after the JSON of the body")
	}
	return nil
}

// unreadable is the error of a body that did not arrive.
func unreadable(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return badRequest("the body did not arrive: %w", err)
}

// etag is an entity tag (RFC 9110 section 8.8.3) of a version.
func etag(version uint64) string { return `"` + strconv.FormatUint(version, 16) + `"` }

// condition reads If-Match and If-None-Match (RFC 9110 section 13.1).
func condition(r *http.Request) (store.Condition, error) {
	match, none := r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	switch {
	case len(match)+len(none) > 1:
		return store.Condition{}, badRequest("more than one of If-Match and If-None-Match")
	case len(none) == 1 && none[0] == "*":
		return store.IfVersion(0), nil
	case len(none) == 1:
		return store.Condition{}, badRequest("If-None-Match can only be *")
	case len(match) == 0:
		return store.Always(), nil
	}
	text, ok := strings.CutPrefix(match[0], `"`)
	text, closed := strings.CutSuffix(text, `"`)
	version, err := strconv.ParseUint(text, 16, 64)
	if !ok || !closed || err != nil || version == 0 {
		return store.Condition{}, badRequest("If-Match must be one ETag that this API has given")
	}
	return store.IfVersion(version), nil
}

// unchanged answers a request that asks only for what is not at a version (RFC 9110 section 13.1.2), and reports whether it has.
func unchanged(w http.ResponseWriter, r *http.Request, version uint64) bool {
	known := strings.Join(r.Header.Values("If-None-Match"), ",")
	for tag := range strings.SplitSeq(known, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag(version) || tag == "*" {
			w.Header().Set("ETag", etag(version))
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// pageQuery are the parameters of a list.
var pageQuery = []string{"after", "limit"}

// The pages of lists.
const (
	defaultPage = 100
	maxPage     = 1000
)

// page reads the parameters of a list.
func page(r *http.Request) (after string, limit int, err error) {
	limit = defaultPage
	if text := r.FormValue("limit"); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxPage {
			return "", 0, badRequest("limit must be a number from 1 to %d", maxPage)
		}
	}
	return r.FormValue("after"), limit, nil
}

// list is a page of things; Next is what to send as after for the next page, "" if this is the last.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// pageOf makes a page from up to limit+1 items.
func pageOf[T any](items []T, limit int, next func(T) string) list[T] {
	if items == nil {
		items = []T{}
	}
	if len(items) <= limit {
		return list[T]{Items: items}
	}
	return list[T]{Items: items[:limit], Next: next(items[limit-1])}
}
