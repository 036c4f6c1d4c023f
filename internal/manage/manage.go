// Package manage is the management API: policies, plans, access rules, applications, subscriptions, API keys, credentials, revocations, sessions and usage over HTTP, for operators and their
// programs. The contract is the OpenAPI document that it serves.
package manage

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed" // the OpenAPI document
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/revoke"
	"github.com/jotgate/jotgate/internal/source/api"
	"github.com/jotgate/jotgate/internal/store"
)

// Prefix is where the API is on its listener.
const Prefix = "/v1/"

// maxBody is the most that a request may send.
const maxBody = 1 << 20

//go:embed openapi.json
var openAPI []byte

// Sessions say what somebody may do.
type Sessions interface {
	// Session returns what the claims of a provider's token, a JSON object, come to at an API, and what each request takes from: the counters that are the caller's own, and those that he shares. The error is a *gate.Denial with what refuses, or gate.Problems for what is unknown.
	Session(apiName, provider string, claims []byte) (s *gate.Session, own, shared []limit.Use, err error)
	// KeySession is Session for an API key.
	KeySession(apiName string, key *apikey.Key) (s *gate.Session, own, shared []limit.Use, err error)
}

// Options are what the API needs. All fields must be set.
type Options struct {
	Log         *slog.Logger
	Nouns       *api.Nouns
	Keys        *apikey.Directory
	Credentials *credential.Directory
	Revocations *revoke.List
	Sessions    Sessions
	Counters    limit.Counters
	Store       store.Store
	// Now is the clock.
	Now func() time.Time
}

// API is the management API. It is safe for concurrent use.
type API struct {
	options Options
	mux     *http.ServeMux
	tokens  atomic.Pointer[[]token]
	// How many requests to change something were done, and how many were refused.
	done, refused atomic.Uint64
}

// token is an admin token; of the secret only the hash is kept.
type token struct {
	name  string
	hash  [sha256.Size]byte
	write bool
}

// New returns an API that refuses everybody until it is configured.
func New(o Options) *API {
	a := &API{options: o, mux: http.NewServeMux()}
	for _, one := range a.routes() {
		a.mux.HandleFunc(one.method+" "+one.path, one.strict())
	}
	return a
}

// Changes are how many requests to change something were done, and how many were refused or failed, those without an admin token that may do so included.
func (a *API) Changes() (done, refused uint64) { return a.done.Load(), a.refused.Load() }

// Configure sets the admin tokens.
func (a *API) Configure(tokens []gate.AdminToken) {
	list := make([]token, len(tokens))
	for i := range tokens {
		list[i] = token{tokens[i].Name, sha256.Sum256([]byte(tokens[i].Secret.Reveal())), tokens[i].Role == gate.RoleWrite}
	}
	a.tokens.Store(&list)
}

// minSecret is the length of the shortest admin token.
const minSecret = 16

// Check says what is wrong with the admin tokens of a configuration.
func Check(tokens []gate.AdminToken) gate.Problems {
	var problems gate.Problems
	names := make(map[string]bool)
	for i := range tokens {
		t := &tokens[i]
		if names[t.Name] && t.Name != "" {
			problems = append(problems, t.Origin.Problem("name", "", "another admin token is already called %q", t.Name))
		}
		names[t.Name] = true
		if secret := t.Secret.Reveal(); secret != "" && (len(secret) < minSecret || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' })) {
			problems = append(problems, t.Origin.Problem("secret", "for example what openssl rand -hex 32 prints", "an admin token has at least %d visible ASCII characters", minSecret))
		}
		if t.Role != gate.RoleRead && t.Role != gate.RoleWrite && t.Role != "" {
			problems = append(problems, t.Origin.Problem("role", "use read or write", "unknown role %q", t.Role))
		}
	}
	return problems
}

// find returns the admin token with a secret. It takes the same time whichever it is, and if it is none.
func (a *API) find(secret string) (found token, ok bool) {
	list := a.tokens.Load()
	if list == nil || secret == "" {
		return token{}, false
	}
	hash := sha256.Sum256([]byte(secret))
	for i := range *list {
		if subtle.ConstantTimeCompare(hash[:], (*list)[i].hash[:]) == 1 {
			found, ok = (*list)[i], true
		}
	}
	return found, ok
}

type callerKey struct{}

// by is the name of the admin token of a request.
func by(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// ServeHTTP serves what is below Prefix.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Path == documentPath {
		a.dispatch(w, r)
		return
	}
	changes := r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions && r.URL.Path != inspectPath
	counted := &counter{ResponseWriter: w, status: http.StatusOK}
	by := a.serve(counted, r, changes)
	attributes := []any{
		slog.String("by", by), slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", counted.status), slog.String("remote", r.RemoteAddr),
	}
	switch {
	case counted.status == http.StatusUnauthorized, counted.status == http.StatusForbidden:
		a.options.Log.Warn("management request refused", attributes...)
	case changes:
		a.options.Log.Info("management change", attributes...)
	}
	switch {
	case !changes:
	case counted.status < http.StatusMultipleChoices:
		a.done.Add(1)
	default:
		a.refused.Add(1)
	}
}

// serve answers a request, if its admin token allows it, and returns the token's name, "" if it has none.
func (a *API) serve(w http.ResponseWriter, r *http.Request, changes bool) (by string) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	caller, ok := a.find(strings.TrimSpace(secret))
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(r.Header.Values("Authorization")) != 1 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="jotgate management"`)
		fail(w, problem{Status: http.StatusUnauthorized, Detail: "an admin token is needed (admin.tokens of the configuration), as Authorization: Bearer TOKEN"})
		return ""
	}
	if changes && !caller.write {
		fail(w, problem{Status: http.StatusForbidden, Detail: "the admin token has the role read"})
		return caller.name
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller.name))
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	a.dispatch(w, r)
	return caller.name
}

// counter remembers the status of an answer.
type counter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *counter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController], which closes connections whose body was too long.
func (w *counter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
