package gate

import "time"

// Upstream is a group of servers that answer alike.
type Upstream struct {
	Origin Origin `yaml:"-"`
	// Name is how APIs refer to the upstream.
	Name string `yaml:"name" required:"true"`
	// Servers share the requests by weighted round robin.
	Servers []Server `yaml:"servers" required:"true"`
	// HealthCheck asks the servers regularly whether they are well, and leaves out those that are not.
	HealthCheck *HealthCheck `yaml:"healthCheck"`
	// PassHost sends the client's Host header; otherwise the host of the server's URL is sent.
	PassHost bool `yaml:"passHost"`
	// ConnectTimeout bounds the opening of a connection, with its TLS handshake.
	ConnectTimeout time.Duration `yaml:"connectTimeout"`
	// ResponseTimeout bounds the wait for the header of the response, once the request is sent; above it the answer is 504.
	ResponseTimeout time.Duration `yaml:"responseTimeout"`
	// IdleTimeout is how long an unused connection is kept, and how long a response body may stall; 0 for no limit on a stalled body would leak connections, so it cannot be 0.
	IdleTimeout time.Duration `yaml:"idleTimeout"`
	// MaxIdleConnections is the number of unused connections kept for each server.
	MaxIdleConnections int `yaml:"maxIdleConnections"`
	// MaxConnections is the number of connections to each server; above it requests wait for one to become free, for at most connectTimeout and responseTimeout together; then the answer is 503. 0: no limit.
	MaxConnections int `yaml:"maxConnections"`
	// Retries is how many other tries a request gets, where nothing of it was sent, or where its method is idempotent (RFC 9110 section 9.2.2) and it has no body.
	Retries int `yaml:"retries"`
	// Engine speaks HTTP/1.1 to the servers: jotgate (the gateway's own) or net/http (Go's). HTTP/2 is always spoken by net/http.
	Engine string `yaml:"engine"`
	// TLS is for https servers.
	TLS *ClientTLS `yaml:"tls"`
}

// SetDefaults fills in what a configuration leaves out.
func (u *Upstream) SetDefaults() {
	u.PassHost = true
	u.Engine = EngineOwn
	u.ConnectTimeout = 5 * time.Second
	u.ResponseTimeout = time.Minute
	u.IdleTimeout = 90 * time.Second
	u.MaxIdleConnections = 200
	u.Retries = 2
}

// Server is one server of an upstream.
type Server struct {
	// URL is its address: http, https (HTTP/2 if the server offers it) or h2c (HTTP/2 without TLS, as gRPC uses), host, port and nothing else.
	URL string `yaml:"url" required:"true"`
	// Weight is its share of the requests, relative to the others. 0: none.
	Weight int `yaml:"weight"`
}

// SetDefaults fills in what a configuration leaves out.
func (s *Server) SetDefaults() { s.Weight = 1 }

// HealthCheck is a request that is made regularly to each server of an upstream.
type HealthCheck struct {
	// Path is what is asked for, with GET.
	Path string `yaml:"path" required:"true"`
	// Interval is the time between two checks.
	Interval time.Duration `yaml:"interval"`
	// Timeout bounds one check.
	Timeout time.Duration `yaml:"timeout"`
	// Status is the expected status; 0 means any 2xx or 3xx.
	Status int `yaml:"status"`
	// UnhealthyAfter is the number of failures in a row after which a server is left out.
	UnhealthyAfter int `yaml:"unhealthyAfter"`
	// HealthyAfter is the number of successes in a row after which it is taken back.
	HealthyAfter int `yaml:"healthyAfter"`
}

// SetDefaults fills in what a configuration leaves out.
func (h *HealthCheck) SetDefaults() {
	h.Interval, h.Timeout = 10*time.Second, 2*time.Second
	h.UnhealthyAfter, h.HealthyAfter = 2, 1
}
