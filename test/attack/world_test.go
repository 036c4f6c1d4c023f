package attack_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/jose"
	"github.com/jotgate/jotgate/test/program"
)

// What the good tokens say. None of it may be found in a log.
const (
	subject = "subject-4f7c19aa3d"
	group   = "group-2d90be7155"
	role    = "role-83c1f6e0b2"
)

// configuration is the file that the gateway is started with; %s are filled in by start. The log level is the one that says most.
const configuration = `
listeners:
  - {name: web, address: "127.0.0.1:0"}
  - {name: edge, address: "127.0.0.1:0", trustedProxies: [127.0.0.1]}
  - name: tls
    address: "127.0.0.1:0"
    tls: {certificates: [{certFile: %[1]s/api.test.pem, keyFile: %[1]s/api.test.key}, {certFile: %[1]s/open.test.pem, keyFile: %[1]s/open.test.key}]}
  - name: mutual
    address: "127.0.0.1:0"
    tls: {certificates: [{certFile: %[1]s/api.test.pem, keyFile: %[1]s/api.test.key}], clientCAFile: %[1]s/client.pem}

admin: {address: %[9]q}
log: {level: debug}

providers:
  - name: alpha
    issuer: %[2]q
    discovery: true
    audiences: [tickets]
    algorithms: &asymmetric [RS256, PS256, ES256, ES384, ES512, ES256K, Ed25519, EdDSA, ML-DSA-44]
    fetch: &quick {unknownKeyInterval: 20ms, unknownKeyWait: 2s}
  - {name: beta, issuer: %[3]q, jwksURLs: [%[4]q], audiences: [tickets], algorithms: [RS256, ES256], fetch: *quick}
  - {name: legacy, issuer: "https://legacy.test", secret: %[5]q, audiences: [tickets], algorithms: [HS256, HS384, HS512]}
  - {name: static, issuer: "https://static.test", publicKey: %[6]q, audiences: [tickets], algorithms: [RS256]}
  # The same issuer as alpha, for another API.
  - {name: orders, issuer: %[2]q, discovery: true, audiences: [orders], algorithms: [RS256], fetch: *quick}
  # Access tokens as in RFC 9068.
  - {name: strict, issuer: %[2]q, discovery: true, audiences: [tickets], algorithms: [RS256], types: [at+jwt], fetch: *quick,
     requiredClaims: [sub, client_id, iat, jti], maxAge: 1h, maxLifetime: 2h, subjects: [%[7]s]}

upstreams:
  - {name: tickets, servers: [{url: %[8]q}], retries: 0}
  - {name: gone, servers: [{url: "http://127.0.0.1:1"}], retries: 0}

apis:
  - name: tickets
    match: Host(` + "`api.test`) && PathPrefix(`/tickets`)" + `
    upstream: tickets
    auth: &tickets
      jwt:
        providers: [alpha, beta, legacy, static]
        forwardHeaders: {X-User: sub, X-Group: grp, X-Role: realm_access.roles}
        stripAuthorization: true
    public: [{path: /tickets/health}, {pathPrefix: /tickets/public}]
    cors: {allowOrigins: ["https://app.test"], allowCredentials: true}
  - name: admin
    match: Host(` + "`api.test`) && PathPrefix(`/tickets/admin`)" + `
    upstream: tickets
    auth: {jwt: {providers: [alpha, beta, legacy, static], scopes: ["tickets:admin"], stripAuthorization: true}}
  - name: administrators
    match: Host(` + "`api.test`) && PathPrefix(`/administrators`)" + `
    upstream: tickets
    auth: {jwt: {providers: [alpha], claims: "` + "Equals(`grp`, `administrators`)" + `"}}
  - name: orders
    match: Host(` + "`api.test`) && PathPrefix(`/orders`)" + `
    upstream: tickets
    auth: {jwt: {providers: [orders]}}
  - name: strict
    match: Host(` + "`api.test`) && PathPrefix(`/strict`)" + `
    upstream: tickets
    auth: {jwt: {providers: [strict]}}
  - name: beta
    match: Host(` + "`api.test`) && PathPrefix(`/beta`)" + `
    upstream: tickets
    auth: {jwt: {providers: [beta]}}
  - name: internal
    match: Host(` + "`api.test`) && PathPrefix(`/internal`)" + `
    listeners: [tls]
    upstream: tickets
    auth: *tickets
  - name: places
    match: Host(` + "`places.test`)" + `
    upstream: tickets
    auth:
      jwt:
        providers: [alpha]
        from: [{header: Authorization}, {header: X-Token}, {cookie: access_token}, {query: jwt}, {form: jwt}]
        stripAuthorization: true
  - {name: open, match: ` + "Host(`open.test`)" + `, upstream: tickets, auth: {anonymous: true}}
  - name: gone
    match: Host(` + "`gone.test`)" + `
    upstream: gone
    auth: {jwt: {providers: [alpha], from: [{query: jwt}]}}
`

// issuer signs tokens and publishes its keys.
type issuer struct {
	url     string // what iss says
	keys    map[jose.Algorithm]*jose.SigningKey
	mu      sync.Mutex
	retired map[jose.Algorithm]bool
	fetches int // of the key set
}

// newIssuer makes an issuer with one key for each algorithm. The kid is the same at every issuer.
func newIssuer(t *testing.T, algorithms ...jose.Algorithm) *issuer {
	t.Helper()
	i := &issuer{keys: make(map[jose.Algorithm]*jose.SigningKey), retired: make(map[jose.Algorithm]bool)}
	for _, alg := range algorithms {
		key, err := jose.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		i.keys[alg] = key.WithKeyID(kidOf(alg))
	}
	return i
}

func kidOf(alg jose.Algorithm) string { return "key-" + strings.ToLower(alg.String()) }

// publish serves a discovery document and the key set.
func (i *issuer) publish(t *testing.T) *issuer {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.url, i.url+"/keys") // a client that is gone needs no answer
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(i.jwks(t)) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// jwks is the key set with what is published of it.
func (i *issuer) jwks(t *testing.T) []byte {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	var public []*jose.Key
	for alg, key := range i.keys {
		if !i.retired[alg] {
			public = append(public, key.Public())
		}
	}
	set, _ := jose.NewSet(public...)
	text, err := json.Marshal(set)
	if err != nil {
		t.Error(err)
	}
	return text
}

// attacker is a live server of an attacker with a good key set on every path, and a certificate of the attacker's key.
type attacker struct {
	*issuer
	mu      sync.Mutex
	visited []string
	server  *httptest.Server
}

func startAttacker(t *testing.T) *attacker {
	t.Helper()
	a := &attacker{issuer: newIssuer(t, jose.RS256, jose.ES256)}
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.visited = append(a.visited, r.URL.Path)
		a.mu.Unlock()
		_, _ = w.Write(a.jwks(t)) // a client that is gone needs no answer
	}))
	t.Cleanup(a.server.Close)
	a.url = a.server.URL
	return a
}

func (a *attacker) hits() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.visited
}

// start starts everything.
func start(t *testing.T) *suite {
	t.Helper()
	s := &suite{
		binary: program.Build(t), upstream: startUpstream(t), attacker: startAttacker(t), leaks: new(leaks), legacySecret: "legacy-secret-" + rand.Text() + rand.Text() + rand.Text(),
		alpha:  newIssuer(t, jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.ES512, jose.ES256K, jose.Ed25519, jose.EdDSA, jose.MLDSA44).publish(t),
		beta:   newIssuer(t, jose.RS256, jose.ES256).publish(t),
		static: newIssuer(t, jose.RS256),
	}
	s.static.url = "https://static.test"
	for _, text := range []string{subject, group, role, s.legacySecret} {
		s.leaks.remember(text)
	}
	s.admin = program.FreeAddress(t)
	folder := t.TempDir()
	program.WriteCertificate(t, folder, "api.test")
	program.WriteCertificate(t, folder, "open.test")
	s.client = program.WriteCertificate(t, folder, "client")
	config := fmt.Sprintf(configuration, folder, s.alpha.url, s.beta.url, s.beta.url+"/keys", s.legacySecret, publicPEM(t, s.static.keys[jose.RS256]), subject,
		"http://"+s.upstream.address(), s.admin)
	s.gateway = program.Run(t, s.binary, config)
	return s
}

func publicPEM(t *testing.T, key *jose.SigningKey) string {
	t.Helper()
	text, err := key.Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// object is JSON in the making; nil removes a member.
type object map[string]any

// raw is JSON as it is.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

// with returns o with the members of changes.
func (o object) with(changes object) object {
	all := maps.Clone(o)
	for name, value := range changes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

// text writes o as JSON. Values of type json.RawMessage that are no JSON stay as they are.
func (o object) text() string {
	var members []string
	for name, value := range o {
		text, ok := value.(json.RawMessage)
		if !ok {
			text, _ = json.Marshal(value) // texts, numbers and lists cannot fail
		}
		members = append(members, fmt.Sprintf("%q:%s", name, text))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// goodClaims is the payload of a good token of the issuer.
func (i *issuer) goodClaims() object {
	now := time.Now().Unix()
	return object{
		"iss": i.url, "sub": subject, "aud": "tickets", "iat": now, "exp": now + 3600, "jti": rand.Text(), "grp": group, "scope": "tickets:read",
		"client_id": "client", "realm_access": object{"roles": []string{role}},
	}
}

// goodHeader is the header of a good token.
func goodHeader(key *jose.SigningKey) object {
	return object{"alg": key.Algorithm().String(), "kid": key.KeyID(), "typ": "JWT"}
}

// sign makes a token, whatever its header and payload say.
func (s *suite) sign(key *jose.SigningKey, header, payload string) string {
	token, err := key.SignRaw([]byte(header), []byte(payload))
	if err != nil {
		panic(err) // our own keys sign anything
	}
	return s.leaks.remember(token)
}

// token makes a token of an issuer's key with changes to what a good one has.
func (s *suite) token(from *issuer, alg jose.Algorithm, header, payload object) string {
	key := from.keys[alg]
	return s.sign(key, goodHeader(key).with(header).text(), from.goodClaims().with(payload).text())
}

// good is a good token.
func (s *suite) good() string { return s.token(s.alpha, jose.RS256, nil, nil) }

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// split takes a compact token apart.
func split(token string) (header, payload, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

// leaks remembers what must not be found in logs: in pieces, so that a part of it is found too.
type leaks struct {
	mu     sync.Mutex
	pieces map[string]bool
}

const (
	pieceBytes = 10
	maxPieces  = 400 // of one text
)

// remember takes a text, or the segments of a token, and returns it.
func (l *leaks) remember(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pieces == nil {
		l.pieces = make(map[string]bool)
	}
	for segment := range strings.SplitSeq(text, ".") {
		for n := 0; len(segment) >= pieceBytes && n < maxPieces; n++ {
			l.pieces[segment[:pieceBytes]] = true
			segment = segment[pieceBytes:]
		}
	}
	return text
}

// check fails the test if a piece is in a log.
func (l *leaks) check(t *testing.T, name, log string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pieces) < 100 || log == "" {
		t.Fatalf("%d pieces in a log of %d bytes are nothing to look for", len(l.pieces), len(log))
	}
	for line := range strings.Lines(log) {
		for i := 0; i+pieceBytes <= len(line); i++ {
			if l.pieces[line[i:i+pieceBytes]] {
				t.Errorf("the %s holds %q of a token: %.400s", name, line[i:i+pieceBytes], line)
				break
			}
		}
	}
}
