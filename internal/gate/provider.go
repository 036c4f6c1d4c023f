package gate

import "time"

// Provider is someone whose tokens are believed: an issuer, its keys, and what its tokens must be like. A key belongs to its provider: a token is
// judged only by keys of the provider that its issuer names.
type Provider struct {
	Origin Origin `yaml:"-"`
	// Name is how APIs refer to the provider.
	Name string `yaml:"name" required:"true"`
	// Issuer is the exact value of the iss claim (RFC 7519 section 4.1.1).
	Issuer string `yaml:"issuer"`
	// AnyIssuer takes tokens of every issuer, and tokens without one, instead of one issuer's. It cannot be combined with issuer or discovery, and an API
	// may have only one such provider.
	AnyIssuer bool `yaml:"anyIssuer"`

	// Secret is a shared secret for HS256, HS384 and HS512, as text.
	Secret Secret `yaml:"secret"`
	// SecretBase64 says that the secret is written in base64 (standard or URL alphabet, padded or not).
	SecretBase64 bool `yaml:"secretBase64"`
	// AllowShortSecret takes a secret that is shorter than the hash (RFC 7518 section 3.2 forbids it; such secrets are guessed offline).
	AllowShortSecret bool `yaml:"allowShortSecret"`
	// PublicKey is one or more public keys or certificates in PEM.
	PublicKey string `yaml:"publicKey"`
	// JWKSFile is a file with a JWK Set (RFC 7517). It is watched.
	JWKSFile string `yaml:"jwksFile" path:"file"`
	// JWKSURLs are addresses of JWK Sets, all of which are used.
	JWKSURLs []string `yaml:"jwksURLs"`
	// Discovery finds the JWK Set through the issuer's discovery document (OpenID Connect Discovery 1.0 or RFC 8414).
	Discovery bool `yaml:"discovery"`
	// DiscoveryURL is the address of the discovery document, if it is not at the issuer's well-known place (say, because the gateway reaches the provider under an internal name). It implies discovery.
	DiscoveryURL string `yaml:"discoveryURL"`
	// Individual takes tokens that callers sign themselves, each with a secret or key of his own, which the management API keeps. What such a token claims is the caller's own word, so only its sub, which must be the credential's, is believed:
	// groups, application and policies are those of the credential.
	Individual *Individual `yaml:"individual"`
	// Fetch tunes how key sets are fetched by URL.
	Fetch Fetch `yaml:"fetch"`

	// Algorithms are the accepted values of the alg header (RFC 7518 section 3.1, RFC 8812, RFC 9864, RFC 9964). There is no default: name them.
	Algorithms []string `yaml:"algorithms" required:"true"`
	// Audiences: the token's aud must hold at least one of them. Empty needs anyAudience.
	Audiences []string `yaml:"audiences"`
	// AnyAudience takes tokens made for any audience. A token that another service received can then be replayed here.
	AnyAudience bool `yaml:"anyAudience"`
	// Subjects, if not empty, are the only accepted values of sub.
	Subjects []string `yaml:"subjects"`
	// Types are the accepted values of the typ header (RFC 8725 section 3.11), compared without case and without "application/". Empty: absent, JWT or at+jwt.
	Types []string `yaml:"types"`
	// RequiredClaims must be in the token, as dot paths.
	RequiredClaims []string `yaml:"requiredClaims"`
	// AllowMissingExpiry takes tokens without exp, which never end.
	AllowMissingExpiry bool `yaml:"allowMissingExpiry"`
	// AllowBoundTokens takes tokens that are bound to a key of their client (cnf claim, RFC 7800; DPoP and mutual TLS) without asking for proof of it, as if they were plain
	// bearer tokens. A thief can then use them too.
	AllowBoundTokens bool `yaml:"allowBoundTokens"`
	// Identity says which claims tell who is calling.
	Identity IdentityClaims `yaml:"identity"`
	// ClockSkew is how far the provider's clock may be off.
	ClockSkew ClockSkew `yaml:"clockSkew"`
	// MaxAge is how long ago iat may be. 0: no limit. It makes iat required.
	MaxAge time.Duration `yaml:"maxAge"`
	// MaxLifetime is how far exp may be after iat. 0: no limit. It makes iat and exp required.
	MaxLifetime time.Duration `yaml:"maxLifetime"`
	// MaxTokenBytes is the longest token that is looked at.
	MaxTokenBytes Bytes `yaml:"maxTokenBytes"`
}

// SetDefaults fills in what a configuration leaves out.
func (p *Provider) SetDefaults() { p.MaxTokenBytes = 16 << 10 }

// Individual says how the credential of a caller who signs his tokens himself is found. At least one of the two is set; kid counts before sub.
type Individual struct {
	// ByKeyID finds the credential that is called like the token's kid.
	ByKeyID bool `yaml:"byKeyID"`
	// BySubject finds the credential that is called like the token's sub.
	BySubject bool `yaml:"bySubject"`
}

// SetDefaults fills in what a configuration leaves out.
func (i *Individual) SetDefaults() { i.ByKeyID, i.BySubject = true, true }

// ClockSkew is how far a provider's clock may be off, for each of the three time claims. At most 10 minutes each.
type ClockSkew struct {
	// Exp: a token is still taken this long after its exp.
	Exp time.Duration `yaml:"exp"`
	// Nbf: a token is already taken this long before its nbf.
	Nbf time.Duration `yaml:"nbf"`
	// Iat: a token's iat may be this far in the future.
	Iat time.Duration `yaml:"iat"`
}

// SetDefaults fills in what a configuration leaves out.
func (c *ClockSkew) SetDefaults() {
	c.Nbf, c.Iat = 10*time.Second, 10*time.Second
}

// Fetch says how key sets and discovery documents are fetched.
type Fetch struct {
	// Timeout bounds one attempt, from dialling to the last byte.
	Timeout time.Duration `yaml:"timeout"`
	// MinRefresh and MaxRefresh bound how long a fetched set is used before it is fetched again; between them the answer's Cache-Control decides.
	MinRefresh time.Duration `yaml:"minRefresh"`
	// MaxRefresh is also used when the answer does not say how long it may be kept.
	MaxRefresh time.Duration `yaml:"maxRefresh"`
	// MaxStale is how long a set is used when it cannot be renewed. After it, tokens are refused with 503.
	MaxStale time.Duration `yaml:"maxStale"`
	// UnknownKeyInterval is the shortest time between two fetches that are caused by tokens with an unknown kid.
	UnknownKeyInterval time.Duration `yaml:"unknownKeyInterval"`
	// UnknownKeyWait is how long a request with an unknown kid waits for such a fetch.
	UnknownKeyWait time.Duration `yaml:"unknownKeyWait"`
	// StartWait is how long the gateway waits at start for the first keys before it serves without them (503 for the APIs concerned).
	StartWait time.Duration `yaml:"startWait"`
	// MaxBytes is the largest document that is read.
	MaxBytes Bytes `yaml:"maxBytes"`
	// MaxKeys is the largest number of keys that is taken from one set.
	MaxKeys int `yaml:"maxKeys"`
	// MaxRedirects is how many redirects are followed. Only to https, or to the same host and scheme.
	MaxRedirects int `yaml:"maxRedirects"`
	// DenyPrivate refuses loopback and private addresses too. Link-local, multicast and cloud metadata addresses are refused always.
	DenyPrivate bool `yaml:"denyPrivate"`
	// TLS is for providers with a private certificate authority, or that ask for a client certificate.
	TLS *ClientTLS `yaml:"tls"`
}

// SetDefaults fills in what a configuration leaves out.
func (f *Fetch) SetDefaults() {
	f.Timeout = 5 * time.Second
	f.MinRefresh = 30 * time.Second
	f.MaxRefresh = 10 * time.Minute
	f.MaxStale = 24 * time.Hour
	f.UnknownKeyInterval = 5 * time.Second
	f.UnknownKeyWait = 6 * time.Second
	f.StartWait = 15 * time.Second
	f.MaxBytes = 512 << 10
	f.MaxKeys = 100
}

// ClientTLS is the client side of a TLS connection that the gateway opens.
type ClientTLS struct {
	// CAFile is a PEM file of certificate authorities to trust instead of the system's.
	CAFile string `yaml:"caFile" path:"file"`
	// CertFile is a client certificate to show, with KeyFile.
	CertFile string `yaml:"certFile" path:"file"`
	// KeyFile is the private key of CertFile.
	KeyFile string `yaml:"keyFile" path:"file"`
	// ServerName is the name to check the certificate against, if not the host of the URL.
	ServerName string `yaml:"serverName"`
	// InsecureSkipVerify does not check the server's certificate: whoever is in between can read and forge. For tests only; warned about at every start.
	InsecureSkipVerify bool `yaml:"insecureSkipVerify"`
}

// IdentityClaims say which claims of a provider's tokens tell who is calling. All are dot paths.
type IdentityClaims struct {
	// Subject are the claims that name the user; the first that is a string counts. If that is empty, the token names no user. Empty: sub.
	Subject []string `yaml:"subject"`
	// JoinIssuers takes the user of this provider for the same as the user of that name of every other provider that joins issuers.
	JoinIssuers bool `yaml:"joinIssuers"`
	// Groups is the claim with the user's groups: an array, of which the strings count, or one string.
	Groups string `yaml:"groups"`
	// Email is the claim with the user's e-mail address, for usage records.
	Email string `yaml:"email"`
	// TokenName is the claim that names the token, for usage records.
	TokenName string `yaml:"tokenName"`
	// ClientID are the claims that name the client; the first that is a string and not empty counts.
	ClientID []string `yaml:"clientID"`
	// Application is the claim with the ID of the calling application.
	Application string `yaml:"application"`
}

// SetDefaults fills in what a configuration leaves out.
func (c *IdentityClaims) SetDefaults() {
	c.Subject = []string{"sub"}
	c.Groups, c.Email, c.TokenName, c.Application = "groups", "email", "azp", "azp"
	c.ClientID = []string{"client_id", "cid", "clientId", "azp"}
}
