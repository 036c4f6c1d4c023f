package gate

import "time"

// API says which requests go to which upstream, and what they need to get there.
type API struct {
	Origin Origin `yaml:"-"`
	// Name is the API's name in logs, metrics and answers.
	Name string `yaml:"name" required:"true"`
	// Listeners are the names of the listeners where the API is served. Empty: all.
	Listeners []string `yaml:"listeners"`
	// Match is the routing rule: Host, HostRegexp, Path, PathPrefix, PathRegexp, Method, Header, HeaderRegexp, Query, QueryRegexp and ClientIP, joined by &&, || and !.
	Match string `yaml:"match" required:"true"`
	// Priority decides between APIs that match the same request: the higher one wins, then the first by name. 0: the length of the rule.
	Priority int `yaml:"priority"`
	// Upstream is the name of the upstream.
	Upstream string `yaml:"upstream" required:"true"`
	// Auth says who may call. It is required, so that no API is open by oversight.
	Auth Auth `yaml:"auth" required:"true"`
	// Public are requests that need no token.
	Public []PublicPath `yaml:"public"`
	// Version is the API's version, which policies may ask for. Empty: it has none.
	Version string `yaml:"version"`
	// Operations are sets of requests, to which access rules and subscriptions refer by name.
	Operations []OperationSet `yaml:"operations"`
	// CORS answers browsers' cross-origin questions (preflights need no token).
	CORS *CORS `yaml:"cors"`
	// Answers is the form of refusals: problem (RFC 9457 application/problem+json) or bare (status and header only).
	Answers string `yaml:"answers"`
	// Realm is the realm of the WWW-Authenticate challenge. Empty: the API's name.
	Realm string `yaml:"realm"`
	// Limits hold for the API, whoever calls, public paths included.
	Limits []APILimit `yaml:"limits"`
	// LimitsPath is a path, one that match lets through, whose GET the gateway answers itself: with the caller's limits and what is left of them, as JSON. It takes from no limit and needs the API's credentials, but no grant of
	// a policy or rule for this path. Whatever the upstream has there cannot be read through this API. Empty: there is none.
	LimitsPath string `yaml:"limitsPath"`
	// MaxBodyBytes is the limit of a request body; above it the answer is 413. It can only lower the listener's limit. 0: the listener's limit alone.
	MaxBodyBytes Bytes `yaml:"maxBodyBytes"`
	// Timeout bounds the whole exchange, except for upgraded connections. 0: no limit.
	Timeout time.Duration `yaml:"timeout"`

	// Broken, if not empty, says why the API could not be built; its requests are answered 503. It is not a setting: dialects fill it in for objects that must fail closed.
	Broken string `yaml:"-"`
}

// SetDefaults fills in what a configuration leaves out.
func (a *API) SetDefaults() { a.Answers = AnswersProblem }

// The values of API.Answers.
const (
	AnswersProblem = "problem"
	AnswersBare    = "bare"
)

// Auth says who may call an API: whoever has a token, or an API key, or either if jwt and apiKey are both set; or everybody.
type Auth struct {
	// JWT asks for a JSON Web Token.
	JWT *JWT `yaml:"jwt"`
	// APIKey asks for an API key, or takes one instead of a token.
	APIKey *APIKeyAuth `yaml:"apiKey"`
	// Anonymous lets everybody in. It excludes the others.
	Anonymous bool `yaml:"anonymous"`
	// Access is what is asked for beside valid credentials: policies, groups (that access rules let in) and subscriptions (of the application). Each that is named must let the request through. Empty: valid credentials are enough.
	Access []string `yaml:"access"`
}

// The values of Auth.Access.
const (
	AccessPolicies      = "policies"
	AccessGroups        = "groups"
	AccessSubscriptions = "subscriptions"
)

// JWT says which tokens open an API, where they are looked for and what becomes of them.
type JWT struct {
	// Providers are the names of the providers whose tokens are taken; the token's issuer picks one.
	Providers []string `yaml:"providers" required:"true"`
	// From are the places where a token is looked for, all of them: a request with tokens in two places is refused. Empty: the Authorization header.
	From []TokenSource `yaml:"from"`
	// Scopes must all be in the token's scope (RFC 8693 section 4.2) or scp claim; otherwise the answer is 403 insufficient_scope.
	Scopes []string `yaml:"scopes"`
	// Claims is an expression over the token's claims: Equals, Prefix, Contains, SplitContains and OneOf, joined by &&, || and !. Otherwise the answer is 403.
	Claims string `yaml:"claims"`
	// Policies says which policies apply to a token.
	Policies *PolicySelection `yaml:"policies"`
	// ForwardHeaders maps names of request headers to claims (dot paths) whose values they carry to the upstream. What clients send under these names is removed, on public paths too.
	ForwardHeaders map[string]string `yaml:"forwardHeaders"`
	// StripAuthorization removes the token from the request, wherever it was found, before it is forwarded; on public paths too, where nobody has verified it.
	StripAuthorization bool `yaml:"stripAuthorization"`
}

// TokenSource is a place in a request where a token is looked for: exactly one of its members is set.
type TokenSource struct {
	// Header is a header's name. The value of Authorization starts with the scheme Bearer (RFC 6750 section 2.1); in other headers the scheme may be left out.
	Header string `yaml:"header"`
	// Cookie is a cookie's name, compared exactly.
	Cookie string `yaml:"cookie"`
	// Query is the name of a query parameter. Addresses end up in logs and histories: prefer a header (OAuth 2.1 forbids tokens in the query).
	Query string `yaml:"query"`
	// Form is the name of a parameter in an application/x-www-form-urlencoded body (RFC 6750 section 2.2).
	Form string `yaml:"form"`
}

// PublicPath names requests of an API that need no token. Exactly one of Path and PathPrefix is set.
type PublicPath struct {
	// Methods are the methods. Empty: GET and HEAD.
	Methods []string `yaml:"methods"`
	// Path is the whole path.
	Path string `yaml:"path"`
	// PathPrefix is the path or the start of it, up to a slash.
	PathPrefix string `yaml:"pathPrefix"`
}

// CORS is the answer to browsers' cross-origin questions (WHATWG Fetch).
type CORS struct {
	// AllowOrigins are the origins (scheme://host[:port]) that may call; "*" for all, which cannot be combined with allowCredentials.
	AllowOrigins []string `yaml:"allowOrigins" required:"true"`
	// AllowMethods are the methods that may be used.
	AllowMethods []string `yaml:"allowMethods"`
	// AllowHeaders are the request headers that may be used.
	AllowHeaders []string `yaml:"allowHeaders"`
	// ExposeHeaders are the response headers that scripts may read.
	ExposeHeaders []string `yaml:"exposeHeaders"`
	// AllowCredentials lets browsers send cookies and certificates.
	AllowCredentials bool `yaml:"allowCredentials"`
	// MaxAge is how long browsers may keep the answer to a preflight.
	MaxAge time.Duration `yaml:"maxAge"`
}

// SetDefaults fills in what a configuration leaves out.
func (c *CORS) SetDefaults() {
	c.AllowMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	c.AllowHeaders = []string{"Authorization", "Content-Type"}
	c.MaxAge = 10 * time.Minute
}
