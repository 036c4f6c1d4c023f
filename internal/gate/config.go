package gate

import (
	"net/netip"
	"time"
)

// Config is everything that a running gateway is made from: plain data, no behaviour. Dialects produce it, the engine compiles it; it is
// read-only once it left its dialect. The yaml tags are the native spelling and, with the comments, the source of the reference page.
type Config struct {
	// Listeners are the addresses where clients connect.
	Listeners []Listener `yaml:"listeners"`
	// Admin is the operators' door: metrics, health and status. Without an address it is closed.
	Admin Admin `yaml:"admin"`
	// StateDirectory is a folder that the gateway may write to; the last known good key sets are kept there, so that a restart during an outage
	// of a provider rejects no good token. Empty: nothing is kept.
	StateDirectory string `yaml:"stateDirectory" path:"dir"`
	// Log says what is logged.
	Log Log `yaml:"log"`
	// Providers are those whose tokens are believed.
	Providers []Provider `yaml:"providers"`
	// Upstreams are the groups of servers that requests are forwarded to.
	Upstreams []Upstream `yaml:"upstreams"`
	// APIs say which requests go to which upstream, and what they need to get there.
	APIs []API `yaml:"apis"`
	// Policies say what those may do to whom tokens give them.
	Policies []Policy `yaml:"policies"`
	// AccessRules let groups call APIs.
	AccessRules []AccessRule `yaml:"access"`
	// Plans are limits for access rules and subscriptions.
	Plans []Plan `yaml:"plans"`
	// GroupRates limit members of groups.
	GroupRates []GroupRate `yaml:"groupRates"`
	// Applications are the programs that call APIs.
	Applications []Application `yaml:"applications"`
	// Subscriptions let applications call APIs.
	Subscriptions []Subscription `yaml:"subscriptions"`
	// Limits hold for all limits of APIs, policies, plans and group rates.
	Limits LimitSettings `yaml:"limits"`
	// Store is where counters, API keys, revocations and what the management API was told are kept.
	Store Store `yaml:"store"`
	// Usage says what becomes of usage records.
	Usage Usage `yaml:"usage"`
	// TokenCache remembers verified tokens.
	TokenCache TokenCache `yaml:"tokenCache"`
	// Shutdown says how the gateway stops.
	Shutdown Shutdown `yaml:"shutdown"`
}

// Listener is an address where clients connect.
type Listener struct {
	Origin Origin `yaml:"-"`
	// Name is how APIs refer to the listener.
	Name string `yaml:"name" required:"true"`
	// Address is host:port or :port.
	Address string `yaml:"address" required:"true"`
	// TLS makes the listener speak HTTPS.
	TLS *ListenerTLS `yaml:"tls"`
	// HTTP2 offers HTTP/2: by ALPN with TLS, and with prior knowledge (h2c) without.
	HTTP2 bool `yaml:"http2"`
	// Engine serves HTTP/1.1: jotgate (the gateway's own) or net/http (Go's). HTTP/2 is always served by net/http.
	Engine string `yaml:"engine"`
	// TrustedProxies are the addresses (CIDR or single) from which X-Forwarded-* and Forwarded are believed. From all others these headers are removed.
	TrustedProxies []netip.Prefix `yaml:"trustedProxies"`
	// ProxyProtocol are the addresses (CIDR or single) that must start every connection with a PROXY protocol header, version 1 or 2.
	// Connections from other addresses are taken as they are.
	ProxyProtocol []netip.Prefix `yaml:"proxyProtocol"`
	// MaxHeaderBytes is the limit of a request's line and header together; above it the answer is 431.
	MaxHeaderBytes Bytes `yaml:"maxHeaderBytes"`
	// MaxBodyBytes is the limit of a request body; above it the answer is 413. 0 means no limit.
	MaxBodyBytes Bytes `yaml:"maxBodyBytes"`
	// HeaderTimeout is how long a client may take to send the header.
	HeaderTimeout time.Duration `yaml:"headerTimeout"`
	// IdleTimeout is how long a connection may stay open between requests.
	IdleTimeout time.Duration `yaml:"idleTimeout"`
	// BodyTimeout is how long a client may stay silent in the middle of sending a body or of reading an answer. It starts anew with every byte that moves.
	BodyTimeout time.Duration `yaml:"bodyTimeout"`
}

// SetDefaults fills in what a configuration leaves out.
func (l *Listener) SetDefaults() {
	l.HTTP2 = true
	l.Engine = EngineOwn
	l.MaxHeaderBytes = 64 << 10
	l.HeaderTimeout = 10 * time.Second
	l.IdleTimeout = 3 * time.Minute
	l.BodyTimeout = time.Minute
}

// The engines that serve HTTP/1.1.
const (
	EngineOwn     = "jotgate"
	EngineNetHTTP = "net/http"
)

// ListenerTLS is what a listener needs to speak TLS. The files are watched; a changed pair is taken over without a reload, a broken one is reported
// and the former kept.
type ListenerTLS struct {
	// Certificates are tried by the name that the client asks for (SNI); the first is used when none fits.
	Certificates []Certificate `yaml:"certificates" required:"true"`
	// MinVersion is "1.2" or "1.3".
	MinVersion string `yaml:"minVersion"`
	// ClientCAFile is a PEM file of certificate authorities. If set, a client must show a certificate of one of them.
	ClientCAFile string `yaml:"clientCAFile" path:"file"`
}

// SetDefaults fills in what a configuration leaves out.
func (t *ListenerTLS) SetDefaults() { t.MinVersion = "1.2" }

// Certificate is a pair of PEM files.
type Certificate struct {
	// CertFile is the certificate chain, leaf first.
	CertFile string `yaml:"certFile" required:"true" path:"file"`
	// KeyFile is the private key.
	KeyFile string `yaml:"keyFile" required:"true" path:"file"`
}

// Admin is the operators' door.
type Admin struct {
	Origin Origin `yaml:"-"`
	// Address is host:port or :port of a plain HTTP listener with /metrics, /healthz, /readyz, /status and, if there are tokens, the management API below /v1/. Keep it away from clients.
	Address string `yaml:"address"`
	// Tokens open the management API. Without any it is closed.
	Tokens []AdminToken `yaml:"tokens"`
}

// Log says what is logged. Logs are JSON lines on standard error; access lines go to standard output.
type Log struct {
	Origin Origin `yaml:"-"`
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Access writes one line for each request.
	Access bool `yaml:"access"`
	// AccessSubject adds the subject claim to access lines. It is personal data: off unless asked for.
	AccessSubject bool `yaml:"accessSubject"`
}

// SetDefaults fills in what a configuration leaves out.
func (l *Log) SetDefaults() { l.Level, l.Access = "info", true }

// TokenCache remembers tokens that an API has let in, so that their signature is checked once and not with every request. A remembered token is still judged by
// its times at every request, and is forgotten when its provider's keys change and when a configuration is taken over.
type TokenCache struct {
	Origin Origin `yaml:"-"`
	// Disabled has every token of every request verified anew.
	Disabled bool `yaml:"disabled"`
	// MaxBytes is the memory that remembered tokens may take, all APIs together; at least 1MiB. A usual token takes 2 or 3 KiB.
	MaxBytes Bytes `yaml:"maxBytes"`
}

// SetDefaults fills in what a configuration leaves out.
func (t *TokenCache) SetDefaults() { t.MaxBytes = 64 << 20 }

// Shutdown says how the gateway stops.
type Shutdown struct {
	Origin Origin `yaml:"-"`
	// Delay is how long /readyz already answers 503 before the listeners close, so that load balancers notice.
	Delay time.Duration `yaml:"delay"`
	// Timeout is how long requests under way may take to finish before they are cut off.
	Timeout time.Duration `yaml:"timeout"`
}

// SetDefaults fills in what a configuration leaves out.
func (s *Shutdown) SetDefaults() { s.Timeout = 30 * time.Second }
