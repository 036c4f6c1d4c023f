package gate

import "time"

// Policy says what those to whom it applies may do, and how much. Tokens name policies (by a claim, a scope, a client or any other value), and several policies
// are merged: the most permissive wins, for each partition and each API.
type Policy struct {
	Origin Origin `yaml:"-"`
	// Name is how tokens and mappings refer to the policy.
	Name string `yaml:"name" required:"true"`
	// Inactive refuses everybody to whom the policy applies, whatever their other policies say.
	Inactive bool `yaml:"inactive"`
	// DryRun evaluates the policy and counts what it would refuse, but refuses nothing. Where policies that are not in dry-run apply too, they decide.
	DryRun bool `yaml:"dryRun"`
	// Partitions are the parts that the policy decides: access, rate, quota, or perAPI alone. Empty: everything.
	Partitions []string `yaml:"partitions"`
	// Access are the APIs that may be called. Empty grants none. What two entries for one API grant is granted together.
	Access []Access `yaml:"access"`
	// Rate holds for all APIs of the policy together; with the partition perAPI, for each of them by itself. Only the APIs of Access are meant, if there are any.
	Rate *Rate `yaml:"rate"`
	// Quota holds as Rate does. A limit of -1 means no limit, and takes away that of other policies.
	Quota *Quota `yaml:"quota"`
	// Throttle holds what the rate refuses.
	Throttle *Throttle `yaml:"throttle"`
	// GrantFor is how long the policy grants something, from the moment on in which the token was issued (iat), or the API key made; what has no such moment is granted nothing. 0: for as
	// long as the token is valid.
	GrantFor time.Duration `yaml:"grantFor"`
	// Tags are written to usage records.
	Tags []string `yaml:"tags"`
	// Metadata can be used by other steps; of several policies, the later by name wins.
	Metadata map[string]string `yaml:"metadata"`
}

// The partitions of a policy.
const (
	PartitionAccess = "access"
	PartitionRate   = "rate"
	PartitionQuota  = "quota"
	PartitionPerAPI = "perAPI"
)

// Access lets a policy's holders call one API.
type Access struct {
	// API is the API's name, or "*" for all.
	API string `yaml:"api" required:"true"`
	// Versions are the API's versions. Empty: all.
	Versions []string `yaml:"versions"`
	// Operations are the requests that may be made. Empty: all.
	Operations []Operation `yaml:"operations"`
	// Rate holds for this API in place of the policy's; with "*", for each API by itself.
	Rate *Rate `yaml:"rate"`
	// Quota holds for this API in place of the policy's.
	Quota *Quota `yaml:"quota"`
	// Throttle holds for this API in place of the policy's.
	Throttle *Throttle `yaml:"throttle"`
	// Endpoints limit single operations, besides the other limits.
	Endpoints []EndpointLimit `yaml:"endpoints"`
}

// Operation is a set of requests. At most one of Path, PathPrefix, PathPattern and PathRegex is set; none means every path.
type Operation struct {
	// Methods are the methods. Empty: all.
	Methods []string `yaml:"methods"`
	// Path is the whole path.
	Path string `yaml:"path"`
	// PathPrefix is the path or the start of it, up to a slash.
	PathPrefix string `yaml:"pathPrefix"`
	// PathPattern is a path in which {name} stands for one segment and a final /* for the rest.
	PathPattern string `yaml:"pathPattern"`
	// PathRegex is an RE2 expression that must match somewhere in the path; write ^ and $ to bind it.
	PathRegex string `yaml:"pathRegex"`
}

// OperationSet is a set of requests with a name, to which access rules and subscriptions refer.
type OperationSet struct {
	// Name is how rules refer to the set.
	Name string `yaml:"name" required:"true"`
	// Operations are the requests; any of them will do.
	Operations []Operation `yaml:"operations" required:"true"`
}

// EndpointLimit is a rate for some requests of an API.
type EndpointLimit struct {
	// Operation says which requests are counted, all together.
	Operation Operation `yaml:"operation"`
	// Rate is their limit.
	Rate Rate `yaml:"rate"`
}

// Rate is a limit of requests in a short time.
type Rate struct {
	// Limit is how many requests a period has.
	Limit int64 `yaml:"limit" required:"true"`
	// Period is the time that the limit is for, from 1ms to 24h.
	Period time.Duration `yaml:"period"`
	// Burst is how many requests may come at once. 0: the limit.
	Burst int64 `yaml:"burst"`
	// Algorithm is bucket (evenly refilled), fixedWindow (from the first request on) or slidingWindow.
	Algorithm string `yaml:"algorithm"`
}

// SetDefaults fills in what a configuration leaves out.
func (r *Rate) SetDefaults() { r.Period, r.Algorithm = time.Second, AlgorithmBucket }

// Quota is a limit of requests in a long time.
type Quota struct {
	// Limit is how many requests a period has; -1 for no limit.
	Limit int64 `yaml:"limit" required:"true"`
	// Period is the time that the limit is for. 0: for ever.
	Period time.Duration `yaml:"period"`
	// Algorithm is fixedWindow (from the first request on) or slidingWindow.
	Algorithm string `yaml:"algorithm"`
}

// SetDefaults fills in what a configuration leaves out.
func (q *Quota) SetDefaults() { q.Algorithm = AlgorithmFixedWindow }

// The algorithms of limits.
const (
	AlgorithmBucket        = "bucket"
	AlgorithmFixedWindow   = "fixedWindow"
	AlgorithmSlidingWindow = "slidingWindow"
)

// Throttle holds requests that a rate refuses, and tries them again, before they are refused.
type Throttle struct {
	// Interval is how long a request is held before each try.
	Interval time.Duration `yaml:"interval" required:"true"`
	// Retries is how often it is tried again.
	Retries int `yaml:"retries" required:"true"`
}

// PolicySelection says which policies apply to a token.
type PolicySelection struct {
	// Claims are claims (dot paths) whose value names policies: a string or an array of them. The first that is there, and not empty, counts.
	Claims []string `yaml:"claims"`
	// Scopes maps scopes of the token to policies, beside those that Claims name.
	Scopes *ScopePolicies `yaml:"scopes"`
	// Clients maps the token's client to a policy, if Claims name none.
	Clients map[string]string `yaml:"clients"`
	// Values map values of claims to policies, beside those that Claims name.
	Values []ValuePolicy `yaml:"values"`
	// Default are the policies of a token that brings none: no policy claim, no scope, no client or value with a policy. A token with scopes, of which none has a policy, is refused. Empty: all such tokens are.
	Default []string `yaml:"default"`
}

// ScopePolicies maps scopes to policies.
type ScopePolicies struct {
	// Claims are the claims (dot paths) that may hold the scopes; the first that is there counts. Empty: scope, then scp.
	Claims []string `yaml:"claims"`
	// Commas splits scopes in text at commas as well as at spaces.
	Commas bool `yaml:"commas"`
	// Policies maps a scope, compared exactly, to the name of a policy.
	Policies map[string]string `yaml:"policies" required:"true"`
}

// ValuePolicy gives a policy to tokens with a value in a claim.
type ValuePolicy struct {
	// Claim is the claim's dot path; of an array, one element must fit.
	Claim string `yaml:"claim" required:"true"`
	// Value is compared exactly; numbers and booleans by their JSON text.
	Value string `yaml:"value" required:"true"`
	// Policy is the policy's name.
	Policy string `yaml:"policy" required:"true"`
}
