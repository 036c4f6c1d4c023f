package gate

// APIKeyAuth asks for an API key: a secret of the gateway's own making, for callers that have no token. Keys are made with the management API; only their hash is kept.
//
// What auth.jwt says of scopes and claims is of tokens alone: a key has neither. What a key may do is said by its own policies, groups and application.
type APIKeyAuth struct {
	// From are the places where a key is looked for, all of them: a request with keys in two places is refused. In the Authorization header it follows the scheme Bearer. Empty: the header X-API-Key. Forms are not read.
	From []TokenSource `yaml:"from"`
	// ForwardHeaders maps names of request headers to what they tell the upstream of the key: id, name, owner, application or groups. What clients send under these names is removed.
	ForwardHeaders map[string]string `yaml:"forwardHeaders"`
	// Keep leaves the key in the request. Otherwise it is removed before the request is forwarded.
	Keep bool `yaml:"keep"`
}

// AdminToken is a bearer token for the management API.
type AdminToken struct {
	Origin Origin `yaml:"-"`
	// Name is who uses the token; it is written to the audit log.
	Name string `yaml:"name" required:"true"`
	// Secret is the token, of at least 16 characters.
	Secret Secret `yaml:"secret" required:"true"`
	// Role is read or write; write includes read.
	Role string `yaml:"role" required:"true"`
}

// The roles of the management API.
const (
	RoleRead  = "read"
	RoleWrite = "write"
)
