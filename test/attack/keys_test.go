package attack_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/jose"
	"github.com/jotgate/jotgate/test/program"
)

// keys attacks which key judges which token.
func (s *suite) keys(t *testing.T) {
	t.Run("kid", s.kids)
	t.Run("another issuer's key", s.issuerKeys)
	t.Run("a key that was taken back", s.retiredKey)
}

func (s *suite) kids(t *testing.T) {
	for name, kid := range map[string]string{
		"unknown": `"nobody's"`, "traversal": `"../../../../../../dev/null"`, "absolute path": `"/etc/passwd"`, "SQL": `"x' UNION SELECT 'secret"`, "SQL comment": `"key-rs256'--"`, "LDAP": `"*)(uid=*"`, "command": `"key-rs256; sleep 10"`,
		"template": `"${env:HOME}"`, "format": `"%s%n%x"`, "line break": `"a\r\nX-User: root"`, "zero byte": `"key-rs256\u0000"`, "in capitals": `"KEY-RS256"`, "with a space": `"key-rs256 "`, "a part": `"key-rs25"`, "pattern": `"*"`,
		"other letters": `"kеy-rs256"`, "emoji": `"🔑"`, "right to left": `"\u202e652sr-yek"`, "of 600 bytes": `"` + strings.Repeat("k", 600) + `"`, "of 4 KB": `"` + strings.Repeat("k", 4096) + `"`, "URL": fmt.Sprintf("%q", s.attacker.url), "of a key of another algorithm": `"key-es256"`,
	} {
		t.Run(name, func(t *testing.T) {
			token := s.token(s.alpha, jose.RS256, object{"kid": raw(kid)}, nil)
			s.refuse(t, s.get("/tickets", bearer(token)), refused(401, "key_unknown"))
		})
	}
	for name, kid := range map[string]any{"empty": "", "none": nil} {
		t.Run(name+" passes where one key fits", func(t *testing.T) {
			s.forwarded(t, s.get("/tickets", bearer(s.token(s.alpha, jose.RS256, object{"kid": kid}, nil))))
		})
		t.Run(name+" with a key of nobody", func(t *testing.T) {
			token := s.sign(s.attacker.keys[jose.RS256], object{"alg": "RS256"}.with(object{"kid": kid}).text(), s.alpha.goodClaims().text())
			s.refuse(t, s.get("/tickets", bearer(token)), refused(401, "signature_invalid"))
		})
	}
}

// issuerKeys: the kids of the issuers are the same; their keys are not.
func (s *suite) issuerKeys(t *testing.T) {
	for _, tt := range []struct {
		name     string
		signer   *issuer
		alg      jose.Algorithm
		says     object
		kid, why string
	}{
		{"signed by B, says A, kid of both", s.beta, jose.RS256, object{"iss": s.alpha.url}, "key-rs256", "signature_invalid"},
		{"signed by A, says B, kid of both", s.alpha, jose.RS256, object{"iss": s.beta.url}, "key-rs256", "signature_invalid"},
		{"signed by B with EC, says A", s.beta, jose.ES256, object{"iss": s.alpha.url}, "key-es256", "signature_invalid"},
		{"signed by A, says B, kid that only A has", s.alpha, jose.RS256, object{"iss": s.beta.url}, "key-ps256", "key_unknown"},
		{"signed by A, says B, algorithm that only A has", s.alpha, jose.PS256, object{"iss": s.beta.url}, "key-ps256", "algorithm_not_allowed"},
		{"signed by A, says the issuer with one key", s.alpha, jose.RS256, object{"iss": s.static.url}, "", "signature_invalid"},
		{"signed by the issuer with one key, says A", s.static, jose.RS256, object{"iss": s.alpha.url}, "key-rs256", "signature_invalid"},
		{"signed by A, says the issuer of HMACs", s.alpha, jose.RS256, object{"iss": "https://legacy.test"}, "key-rs256", "algorithm_not_allowed"},
		{"signed by B, says nobody", s.beta, jose.RS256, object{"iss": nil}, "key-rs256", "issuer_missing"},
		{"signed by B, says both", s.beta, jose.RS256, object{"iss": []string{s.alpha.url, s.beta.url}}, "key-rs256", "claim_invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := s.token(tt.signer, tt.alg, object{"kid": tt.kid}, tt.says)
			s.refuse(t, s.get("/tickets", bearer(token)), refused(401, tt.why))
		})
	}
	t.Run("a token of A at an API of B", func(t *testing.T) {
		s.refuse(t, s.get("/beta", bearer(s.good())), refused(401, "issuer_unknown"))
	})
	t.Run("a token of A that was good at an API of A and says B", func(t *testing.T) {
		s.refuse(t, s.get("/beta", bearer(s.token(s.alpha, jose.RS256, nil, object{"iss": s.beta.url}))), refused(401, "signature_invalid"))
	})
}

// retiredKey: once an issuer has taken a key back, and the set was fetched again, the key opens nothing.
func (s *suite) retiredKey(t *testing.T) {
	token := s.token(s.beta, jose.ES256, nil, nil)
	s.forwarded(t, s.get("/beta", bearer(token)))
	s.beta.mu.Lock()
	s.beta.retired[jose.ES256] = true
	s.beta.mu.Unlock()
	// Looking for another key fetches the set.
	s.refuse(t, s.get("/beta", bearer(s.token(s.beta, jose.RS256, object{"kid": "key-of-tomorrow"}, nil))), refused(401, "key_unknown"))
	s.refuse(t, s.get("/beta", bearer(token)), refused(401, "key_unknown"))
	s.refuse(t, s.get("/beta", bearer(s.token(s.beta, jose.ES256, object{"kid": nil}, nil))), refused(401, "key_unknown"))
}

// trap is a source of keys that an attacker has got hold of, in part. The gateway must not believe it.
type trap struct {
	name string
	// discovery answers everything on the issuer's host. If it is nil, set is the key set at a configured address.
	discovery http.HandlerFunc
	set       string
	want      verdict
}

// keySources starts a gateway of its own, with a provider and an API for each trap, and sends each API a token that would be good if the trap worked.
func (s *suite) keySources(t *testing.T) {
	traps := s.traps(t)
	var providers, apis strings.Builder
	urls := make([]string, len(traps))
	for i, tt := range traps {
		handler := tt.discovery
		if handler == nil {
			handler = serveText(tt.set)
		}
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		urls[i] = server.URL
		source := "discovery: true"
		if tt.discovery == nil {
			source = "jwksURLs: [" + server.URL + "/keys]"
		}
		fmt.Fprintf(&providers, "  - {name: trap%d, issuer: %q, %s, audiences: [tickets], algorithms: [RS256], fetch: {timeout: 2s, startWait: 500ms, unknownKeyInterval: 20ms, unknownKeyWait: 1s}}\n", i, server.URL, source)
		fmt.Fprintf(&apis, "  - {name: api%d, realm: trap, match: Host(`trap%[1]d.test`), upstream: tickets, auth: {jwt: {providers: [trap%[1]d]}}}\n", i)
	}
	config := "listeners: [{name: web, address: \"127.0.0.1:0\"}]\nlog: {level: debug}\nproviders:\n" + providers.String() +
		"upstreams: [{name: tickets, servers: [{url: \"http://" + s.upstream.address() + "\"}]}]\napis:\n" + apis.String()
	g := program.Run(t, s.binary, config)
	for i, tt := range traps {
		t.Run(tt.name, func(t *testing.T) {
			for _, signer := range []*issuer{s.attacker.issuer, s.alpha} {
				claims := signer.goodClaims().with(object{"iss": urls[i]})
				token := s.token(signer, jose.RS256, nil, claims)
				answers := parseAnswers(t, program.Exchange(t, program.Dial(t, g.Addresses["web"]), message("GET", "/", fmt.Sprintf("trap%d.test", i), bearer(token))))
				if tt.want.status == 200 && signer == s.attacker.issuer { // it shows that the traps are shut for their own reason
					s.reached(t, answers)
					continue
				}
				s.untouched(t)
				if len(answers) != 1 {
					t.Fatalf("%d answers", len(answers))
				}
				want := tt.want
				if want.status == 200 {
					want = refused(401, "signature_invalid")
				}
				check(t, answers[0], want)
			}
		})
	}
	if peak := g.PeakMemory(t); peak > maxMemory && !program.RaceEnabled {
		t.Errorf("the gateway took %d MiB", peak>>20)
	}
	s.leaks.check(t, "log of the gateway with the traps", g.Log.Text()+g.Access.Text())
}

// traps are the sources. The good key in them is the attacker's, or alpha's where the attacker only changed what is said about it.
func (s *suite) traps(t *testing.T) []trap {
	t.Helper()
	evil := s.attacker.url
	publicKey, err := json.Marshal(s.attacker.keys[jose.RS256].Public())
	if err != nil {
		t.Fatal(err)
	}
	key := string(publicKey)
	whole := `{"keys":[` + key + `]}`
	// document answers with a discovery document, in which SELF is the issuer, and with keys elsewhere.
	document := func(text string, keys http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/.well-known") {
				serveText(strings.ReplaceAll(text, "SELF", "http://"+r.Host))(w, r)
				return
			}
			keys(w, r)
		}
	}
	discovery := func(jwksURI string) http.HandlerFunc {
		return document(`{"issuer":"SELF","jwks_uri":"`+jwksURI+`"}`, serveText(whole))
	}
	set := func(keys http.HandlerFunc) http.HandlerFunc {
		return document(`{"issuer":"SELF","jwks_uri":"SELF/keys"}`, keys)
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	with := func(change string) string { return `{"keys":[{` + change + "," + key[1:] + "]}" }
	const secret = `{"kty":"oct","kid":"key-rs256","alg":"HS256","k":"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}`
	closed := refused(503, "keys_unavailable")
	return []trap{
		{"discovery redirects to the attacker", redirect(evil + "/redirected"), "", closed},
		{"discovery redirects to metadata", redirect("http://169.254.169.254/latest/meta-data/"), "", closed},
		{"discovery redirects to a file", redirect("file:///etc/passwd"), "", closed},
		{"discovery is another issuer's", document(`{"issuer":"https://evil.test","jwks_uri":"SELF/keys"}`, serveText(whole)), "", closed},
		{"discovery is of the issuer with a slash", document(`{"issuer":"SELF/","jwks_uri":"SELF/keys"}`, serveText(whole)), "", closed},
		{"discovery names no issuer", document(`{"jwks_uri":"SELF/keys"}`, serveText(whole)), "", closed},
		{"discovery names two issuers", document(`{"issuer":"https://evil.test","issuer":"SELF","jwks_uri":"SELF/keys"}`, serveText(whole)), "", closed},
		{"discovery names the issuer in capitals", document(`{"ISSUER":"SELF","jwks_uri":"SELF/keys"}`, serveText(whole)), "", closed},
		{"discovery names two sets", document(`{"issuer":"SELF","jwks_uri":"`+evil+`/two","jwks_uri":"SELF/keys"}`, serveText(whole)), "", closed},
		{"discovery has a second document behind it", document(`{"issuer":"SELF","jwks_uri":"SELF/keys"}{}`, serveText(whole)), "", closed},
		{"discovery names a set on another host without TLS", discovery(evil + "/host"), "", closed},
		{"discovery names metadata", discovery("http://169.254.169.254/keys"), "", closed},
		{"discovery names metadata with TLS", discovery("https://169.254.169.254/keys"), "", closed},
		{"discovery names metadata in an IPv6 address", discovery("https://[::ffff:169.254.169.254]/keys"), "", closed},
		{"discovery names a file", discovery("file:///etc/passwd"), "", closed},
		{"discovery names a user", discovery("https://user:password@" + strings.TrimPrefix(evil, "http://") + "/user"), "", closed},
		{"discovery is endless", endless(`{"issuer":"SELF","jwks_uri":"SELF/keys"}`), "", closed},
		{"the set redirects to the attacker", set(redirect(evil + "/set")), "", closed},
		{"the set is endless", set(endless(whole)), "", closed},
		{"the set is compressed and endless", set(bomb(t, whole)), "", closed},
		{"the set of a good document is the attacker's, and passes", set(serveText(whole)), "", verdict{status: 200}},
		{"the set is HTML", nil, "<html>log in</html>", closed},
		{"the set is empty", nil, `{"keys":[]}`, closed},
		{"the set is nested deep", nil, `{"keys":` + strings.Repeat("[", 50000), closed},
		{"the set has a shared secret alone", nil, `{"keys":[` + secret + `]}`, closed},
		{"the set has keys twice", nil, `{"keys":[` + key + `],"keys":[` + key + `]}`, closed},
		{"the key is for encryption", nil, with(`"key_ops":["encrypt"]`), closed},
		{"the key has a member twice", nil, with(`"kty":"RSA"`), closed},
		{"the key has no modulus", nil, `{"keys":[{"kty":"RSA","kid":"key-rs256","alg":"RS256","e":"AQAB"}]}`, closed},
		{"the key's exponent is one", nil, `{"keys":[` + strings.Replace(key, `"e":"AQAB"`, `"e":"AQ"`, 1) + `]}`, closed},
		{"the key's modulus is short", nil, `{"keys":[{"kty":"RSA","kid":"key-rs256","alg":"RS256","e":"AQAB","n":"` + b64("\xc0"+strings.Repeat("\x01", 127)) + `"}]}`, closed},
	}
}

func serveText(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) } // a client that is gone needs no answer
}

// endless answers with a gigabyte, as far as it is taken: the start of it would do, and the rest is white space.
func endless(start string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(strings.ReplaceAll(start, "SELF", "http://"+r.Host)))
		piece := bytes.Repeat([]byte(" "), 64<<10)
		for range 16 << 10 {
			if _, err := w.Write(piece); err != nil || r.Context().Err() != nil {
				return
			}
		}
	}
}

// bomb answers with little that becomes a hundred megabytes.
func bomb(t *testing.T, start string) http.HandlerFunc {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	piece := bytes.Repeat([]byte(" "), 1<<20)
	_, err := z.Write([]byte(start))
	for range 100 {
		if err == nil {
			_, err = z.Write(piece)
		}
	}
	if err != nil || z.Close() != nil {
		t.Fatal("making the bomb: ", err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}
}

// configurations are files that would open the gateway; it must not start with them.
func (s *suite) configurations(t *testing.T) {
	base := func(provider string) string {
		return "listeners: [{name: web, address: \"127.0.0.1:0\"}]\nproviders:\n  - {name: p, issuer: \"https://p.test\", " + provider + "}\n" +
			"upstreams: [{name: u, servers: [{url: \"http://127.0.0.1:1\"}]}]\napis: [{name: a, match: PathPrefix(`/`), upstream: u, auth: {jwt: {providers: [p]}}}]\n"
	}
	public := fmt.Sprintf("%q", publicPEM(t, s.static.keys[jose.RS256]))
	long := strings.Repeat("s", 64)
	if out, err := s.check(t, base("secret: "+long+", audiences: [x], algorithms: [HS256]")); err != nil {
		t.Fatalf("the base of these is bad itself: %s", out)
	}
	for name, tt := range map[string]struct{ config, want string }{
		"algorithm none":                       {base("secret: " + long + ", audiences: [x], algorithms: [none]"), "algorithms[0]"},
		"secret shorter than its hash":         {base("secret: secret-of-a-human, audiences: [x], algorithms: [HS256]"), "short"},
		"empty secret":                         {base("secret: \"\", audiences: [x], algorithms: [HS256]"), "providers[0]"},
		"secret from a variable that is unset": {base("secret: \"${env:JOTGATE_TEST_UNSET}\", audiences: [x], algorithms: [HS256]"), "JOTGATE_TEST_UNSET"},
		"secret from a file that is missing":   {base("secret: \"${file:/nonexistent/secret}\", audiences: [x], algorithms: [HS256]"), "/nonexistent/secret"},
		"public key as the secret":             {base("secret: " + public + ", audiences: [x], algorithms: [HS256]"), "secret"},
		"HMAC with a public key":               {base("publicKey: " + public + ", audiences: [x], algorithms: [HS256, RS256]"), "HS256"},
		"HMAC with a key set by URL":           {base("jwksURLs: [\"https://p.test/keys\"], audiences: [x], algorithms: [HS256]"), "HS256"},
		"secret beside a key set by URL":       {base("jwksURLs: [\"https://p.test/keys\"], secret: " + long + ", audiences: [x], algorithms: [HS256]"), "secret"},
		"no algorithms":                        {base("publicKey: " + public + ", audiences: [x]"), "algorithms"},
		"no audience":                          {base("publicKey: " + public + ", algorithms: [RS256]"), "audiences"},
		"no keys":                              {base("audiences: [x], algorithms: [RS256]"), "source"},
		"key set at metadata":                  {base("jwksURLs: [\"http://169.254.169.254/keys\"], audiences: [x], algorithms: [RS256]"), "169.254.169.254"},
		"API that says nothing about tokens":   {strings.Replace(base("secret: "+long+", audiences: [x], algorithms: [HS256]"), ", auth: {jwt: {providers: [p]}}", "", 1), "auth"},
		"provider that does not exist":         {strings.Replace(base("secret: "+long+", audiences: [x], algorithms: [HS256]"), "providers: [p]", "providers: [q]", 1), "providers[0]"},
		"identity header that frames":          {strings.Replace(base("secret: "+long+", audiences: [x], algorithms: [HS256]"), "providers: [p]", "providers: [p], forwardHeaders: {Transfer_Encoding: sub}", 1), "Transfer_Encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := s.check(t, tt.config)
			var failed *exec.ExitError
			if !errors.As(err, &failed) || failed.ExitCode() != 1 || !strings.Contains(out, tt.want) {
				t.Errorf("check: %v, want exit code 1 and %q in:\n%s", err, tt.want, out)
			}
			for _, secret := range []string{long, "secret-of-a-human"} {
				if strings.Contains(out, secret) {
					t.Errorf("the secret is in the output:\n%s", out)
				}
			}
			out, err = s.command(t, "serve", "--config", tt.config)
			if !errors.As(err, &failed) || failed.ExitCode() == 0 || strings.Contains(out, `"msg":"serving"`) {
				t.Errorf("serve: %v:\n%s", err, out)
			}
		})
	}
}

func (s *suite) check(t *testing.T, config string) (string, error) {
	t.Helper()
	return s.command(t, "check", config)
}

// command runs a command of the program whose last argument is a configuration.
func (s *suite) command(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jotgate.yaml")
	last := len(arguments) - 1
	if err := os.WriteFile(file, []byte(arguments[last]), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), program.Patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.binary, append(arguments[:last:last], file)...).CombinedOutput()
	return string(out), err
}
