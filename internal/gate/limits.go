package gate

import "time"

// APILimit is a limit of an API, whoever calls: what an identity may use besides is in policies, plans and group rates.
type APILimit struct {
	// Name is the limit's name in answers, logs and explanations.
	Name string `yaml:"name" required:"true"`
	// Per says what has a counter of its own: identity, identity-api, application, group, client, address, claim:PATH or header:NAME, several of them together. Empty: all callers share one.
	Per []string `yaml:"per"`
	// Operations are the requests that are counted. Empty: all.
	Operations []Operation `yaml:"operations"`
	// Rate is a limit for a short time. Exactly one of Rate and Quota is set.
	Rate *Rate `yaml:"rate"`
	// Quota is a limit for a long time.
	Quota *Quota `yaml:"quota"`
	// Throttle holds requests that the rate refuses.
	Throttle *Throttle `yaml:"throttle"`
	// DryRun counts and reports, but refuses nothing.
	DryRun bool `yaml:"dryRun"`
	// OnStoreFailure says what happens while a shared store cannot be asked: local (this gateway counts alone), allow or deny. Empty: as limits.onStoreFailure says.
	OnStoreFailure string `yaml:"onStoreFailure"`
}

// LimitSettings hold for all limits.
type LimitSettings struct {
	Origin Origin `yaml:"-"`
	// Headers is the style in which answers tell how much is left: ietf (RateLimit and RateLimit-Policy, draft-ietf-httpapi-ratelimit-headers), x-ratelimit (X-RateLimit-Limit, -Period, -Remaining and -Reset of the rate), quota (X-RateLimit-Limit, -Remaining and -Reset of the quota) or none.
	Headers string `yaml:"headers"`
	// OnStoreFailure says what happens while a shared store cannot be asked: local (this gateway counts alone), allow or deny.
	OnStoreFailure string `yaml:"onStoreFailure"`
	// StoreTimeout is how long a request waits for a shared store.
	StoreTimeout time.Duration `yaml:"storeTimeout"`
	// Exact asks a shared store at every request. Otherwise a busy counter is taken in portions, and all gateways together may let pass up to a portion for each of them more than a limit says.
	Exact bool `yaml:"exact"`
}

// SetDefaults fills in what a configuration leaves out.
func (l *LimitSettings) SetDefaults() {
	l.Headers, l.OnStoreFailure, l.StoreTimeout = LimitHeadersIETF, FailureLocal, 100*time.Millisecond
}

// The styles of limit headers.
const (
	LimitHeadersIETF  = "ietf"
	LimitHeadersRate  = "x-ratelimit"
	LimitHeadersQuota = "quota"
	LimitHeadersNone  = "none"
)

// What happens while a shared store cannot be asked.
const (
	FailureLocal = "local"
	FailureAllow = "allow"
	FailureDeny  = "deny"
)

// Store says where counters, API keys, revocations and what the management API was told are kept.
type Store struct {
	Origin Origin `yaml:"-"`
	// Driver is memory (this process, with a snapshot in the state directory if there is one), sqlite (a file in the state directory) or redis (shared by several gateways).
	Driver string `yaml:"driver"`
	// SnapshotInterval is how often the memory driver writes its snapshot; it also does when it stops.
	SnapshotInterval time.Duration `yaml:"snapshotInterval"`
	// Redis is how the redis driver connects.
	Redis *RedisStore `yaml:"redis"`
}

// SetDefaults fills in what a configuration leaves out.
func (s *Store) SetDefaults() { s.Driver, s.SnapshotInterval = StoreMemory, 10*time.Second }

// The store drivers.
const (
	StoreMemory = "memory"
	StoreSQLite = "sqlite"
	StoreRedis  = "redis"
)

// RedisStore says how to connect to Redis (6.2 or later): one server, a Cluster, or a primary that Sentinels name.
type RedisStore struct {
	// Addresses are host:port of the server, of some nodes of the Cluster, or of the Sentinels.
	Addresses []string `yaml:"addresses" required:"true"`
	// PrimaryName is the name of the primary that the Sentinels at the addresses watch. Empty: the addresses are no Sentinels.
	PrimaryName string `yaml:"primaryName"`
	// Cluster says that the addresses are nodes of a Redis Cluster.
	Cluster bool `yaml:"cluster"`
	// Username is the user to log in as (ACL). Empty: the default user.
	Username string `yaml:"username"`
	// Password is the user's password.
	Password Secret `yaml:"password"`
	// SentinelUsername is the user to log in as at the Sentinels.
	SentinelUsername string `yaml:"sentinelUsername"`
	// SentinelPassword is that user's password.
	SentinelPassword Secret `yaml:"sentinelPassword"`
	// Database is the number of the database; it must be 0 for a Cluster.
	Database int `yaml:"database"`
	// Prefix starts every key, so that several installations can share a server.
	Prefix string `yaml:"prefix"`
	// TLS connects with TLS.
	TLS *ClientTLS `yaml:"tls"`
	// DialTimeout bounds connecting.
	DialTimeout time.Duration `yaml:"dialTimeout"`
}

// SetDefaults fills in what a configuration leaves out.
func (r *RedisStore) SetDefaults() { r.Prefix, r.DialTimeout = "jotgate:", 2*time.Second }
