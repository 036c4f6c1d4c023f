package docs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/gate"
)

// rest completes a fragment of a configuration: what it leaves out at the top is taken from here.
var rest = []struct{ key, text string }{
	{"listeners", `listeners: [{name: web, address: "127.0.0.1:0"}]`},
	{"providers", `providers: [{name: keycloak, issuer: "https://id.example.com", discovery: true, algorithms: [RS256], audiences: [tickets]}]`},
	{"upstreams", `upstreams: [{name: tickets, servers: [{url: "http://127.0.0.1:9000"}]}]`},
	{"apis", "apis: [{name: tickets, match: PathPrefix(`/tickets`), upstream: tickets, auth: {anonymous: true}}]"},
}

// complete makes a whole configuration of a fragment.
func complete(text string) string {
	for _, r := range rest {
		if !regexp.MustCompile(`(?m)^` + r.key + `:`).MatchString(text) {
			text += r.text + "\n"
		}
	}
	return text
}

// TestYAML loads every configuration in the guides, and every fragment of one. Blocks that are marked "broken" must be refused; only those marked "warned" may cause warnings.
func TestYAML(t *testing.T) {
	files := newFixtures(t)
	n := 0
	for _, path := range guides(t) {
		for _, f := range fences(t, path) {
			if f.kind != "yaml" {
				continue
			}
			n++
			text := f.text
			if f.is("fragment") {
				text = complete(text)
			}
			problems := load(t, files, text)
			if f.is("broken") {
				if problems.Err() == nil {
					t.Errorf("%s, block at line %d: nothing is wrong with it", path, f.line)
				}
				continue
			}
			for _, p := range problems {
				if !p.Warning || !f.is("warned") {
					t.Errorf("%s, block at line %d: %v", path, f.line, p)
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d configurations found", n)
	}
}

// load reads a configuration in a folder that has every file it names, and with every variable.
func load(t *testing.T, files fixtures, text string) gate.Problems {
	t.Helper()
	dir := t.TempDir()
	for _, name := range regexp.MustCompile(`(?:certFile|keyFile|caFile|clientCAFile|jwksFile): *"?([\w./-]+)|\$\{file:([\w./-]+)\}`).FindAllStringSubmatch(text, -1) {
		if file := name[1] + name[2]; !filepath.IsAbs(file) {
			files.write(t, dir, file)
		}
	}
	for _, name := range regexp.MustCompile(`\$\{env:(\w+)\}`).FindAllStringSubmatch(text, -1) {
		t.Setenv(name[1], strings.Repeat("secret", 12))
	}
	path := filepath.Join(dir, "jotgate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return app.File(path)(func(path string) ([]byte, error) {
		if strings.HasPrefix(path, "/run/secrets/") {
			return []byte(strings.Repeat("secret", 12)), nil
		}
		return os.ReadFile(path)
	}).Problems
}

// fixtures are the files that examples name, by the end of their names.
type fixtures map[string][]byte

func newFixtures(t *testing.T) fixtures {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api.example.com"}, DNSNames: []string{"api.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	shell(t, dir, "for a in RS256 ES256 EdDSA; do jotgate keys generate --alg $a --out $a.jwk; done; jotgate keys jwks *.jwk > set.json")
	set, err := os.ReadFile(filepath.Join(dir, "set.json"))
	if err != nil {
		t.Fatal(err)
	}
	return fixtures{
		".crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		".key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		".pem":  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		".json": set,
	}
}

// write makes the file that an example names; one whose name says nothing has a secret in it.
func (f fixtures) write(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	data := f[filepath.Ext(name)]
	if data == nil {
		data = []byte(strings.Repeat("secret", 12))
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
