package keys

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, []byte(text), 0o600)
		return path
	}
	pemOf := func(keys ...*jose.Key) string {
		var all strings.Builder
		for _, k := range keys {
			text, err := k.MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
		return all.String()
	}
	private, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	privatePEM, err := private.PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	es256 := testKey(t, "a", jose.ES256)
	ec := pemOf(es256)
	const long = "0123456789abcdef0123456789abcdef"
	secretSet := `{"keys":[{"kty":"oct","kid":"s","k":"` + base64.RawURLEncoding.EncodeToString([]byte(long)) + `"}]}`
	certFile, keyFile := clientCertificate(t, dir)
	provider := func(change func(p *gate.Provider)) *gate.Provider {
		p := &gate.Provider{Origin: gate.Origin{Object: "providers[0]"}, Name: "p", Issuer: "https://id.example", Algorithms: []string{"ES256"}, Fetch: fetchLimits()}
		change(p)
		return p
	}
	url := func(u ...string) func(p *gate.Provider) { return func(p *gate.Provider) { p.JWKSURLs = u } }
	fetch := func(change func(f *gate.Fetch)) func(p *gate.Provider) {
		return func(p *gate.Provider) { p.Discovery = true; change(&p.Fetch) }
	}

	for _, tc := range []struct {
		name   string
		change func(p *gate.Provider)
		want   []string
	}{
		{"no source", func(*gate.Provider) {}, []string{"providers[0]: the provider has no source of keys (set one of secret, publicKey, jwksFile, jwksURLs, discovery and individual)"}},
		{"two sources", func(p *gate.Provider) { p.PublicKey = ec; p.Discovery = true },
			[]string{"providers[0].discovery: the provider has more than one source of keys: publicKey, discovery (keep one of them)"}},
		{"secret beside addresses", func(p *gate.Provider) { p.Secret = gate.NewSecret(long); p.JWKSURLs = []string{"https://a/"} },
			[]string{"providers[0].secret: a shared secret beside jwksURLs: whoever knows the public keys must not be able to pass them off as the secret (remove one of them; to take tokens of both kinds, make two providers)"}},

		{"secret", func(p *gate.Provider) { p.Secret = gate.NewSecret(long); p.Algorithms = []string{"HS256"} }, nil},
		{"secret with public algorithm", func(p *gate.Provider) { p.Secret = gate.NewSecret(long); p.Algorithms = []string{"HS256", "RS256"} },
			[]string{"providers[0].algorithms[1]: RS256 needs a public key, and the provider has a shared secret (use HS256, HS384 or HS512)"}},
		{"short for all", func(p *gate.Provider) { p.Secret = gate.NewSecret("xyzzy"); p.Algorithms = []string{"HS256"} },
			[]string{"providers[0].secret: a secret that short can be guessed from one token (RFC 7518 section 3.2): weak key: secret of 5 bytes, HS256 needs 32 (use a longer secret, or set allowShortSecret)"}},
		{"short for one", func(p *gate.Provider) { p.Secret = gate.NewSecret(long); p.Algorithms = []string{"HS256", "HS512"} },
			[]string{"providers[0].algorithms[1]: the secret is shorter than the hash of HS512, so it can be guessed from one token (RFC 7518 section 3.2) (use a longer secret, or set allowShortSecret)"}},
		{"short allowed", func(p *gate.Provider) {
			p.Secret = gate.NewSecret("xyzzy")
			p.AllowShortSecret = true
			p.Algorithms = []string{"HS256"}
		},
			[]string{"warning: providers[0].algorithms[0]: the secret is shorter than the hash of HS256, so it can be guessed from one token (RFC 7518 section 3.2) (use a longer secret)"}},
		{"PEM as secret", func(p *gate.Provider) {
			p.Secret = gate.NewSecret(ec)
			p.Algorithms = []string{"HS256"}
			p.AllowShortSecret = true
		},
			[]string{"providers[0].secret: the secret is a key or certificate in PEM, DER or JWK form, which others may know (use publicKey or jwksFile)"}},
		{"JWK Set as secret", func(p *gate.Provider) { p.Secret = gate.NewSecret(setOf(t, "a")); p.Algorithms = []string{"HS256"} },
			[]string{"providers[0].secret: the secret is a key or certificate in PEM, DER or JWK form, which others may know (use publicKey or jwksFile)"}},
		{"base64", func(p *gate.Provider) {
			p.Secret, p.SecretBase64 = gate.NewSecret(base64.URLEncoding.EncodeToString([]byte(long+"?"))), true
			p.Algorithms = []string{"HS256"}
		}, nil},
		{"bad base64", func(p *gate.Provider) {
			p.Secret, p.SecretBase64 = gate.NewSecret("not base64!"), true
			p.Algorithms = []string{"HS256"}
		}, []string{"providers[0].secret: the secret is not base64"}},
		{"base64 makes it short", func(p *gate.Provider) {
			p.Secret, p.SecretBase64 = gate.NewSecret(long), true
			p.Algorithms = []string{"HS256"}
		}, []string{"providers[0].secret: a secret that short can be guessed from one token (RFC 7518 section 3.2): weak key: secret of 24 bytes, HS256 needs 32 (use a longer secret, or set allowShortSecret)"}},
		{"base64 of nothing", func(p *gate.Provider) { p.SecretBase64 = true; p.Discovery = true },
			[]string{"providers[0].secretBase64: there is no secret that it could be about (remove it)"}},

		{"public key", func(p *gate.Provider) { p.PublicKey = ec }, nil},
		{"public key with secret algorithm", func(p *gate.Provider) { p.PublicKey = ec; p.Algorithms = []string{"ES256", "HS256"} },
			[]string{"providers[0].algorithms[1]: HS256 needs a shared secret, and the provider has public keys (remove it)"}},
		{"no key for an algorithm", func(p *gate.Provider) { p.PublicKey = ec; p.Algorithms = []string{"ES256", "RS256"} },
			[]string{"providers[0].algorithms[1]: no key of publicKey is for RS256 (remove it, or add a key)"}},
		{"not PEM", func(p *gate.Provider) { p.PublicKey = "key" },
			[]string{"providers[0].publicKey: block 1: invalid key: no PEM block, or a broken one (PEM blocks PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE are understood)"}},
		{"private key", func(p *gate.Provider) { p.PublicKey = string(privatePEM) },
			[]string{"providers[0].publicKey: block 1: private key where a public key belongs (give the public key only, and replace this one if others have seen it)"}},
		{"too many public keys", func(p *gate.Provider) {
			p.PublicKey = pemOf(testKey(t, "1", jose.ES256), testKey(t, "2", jose.ES256), testKey(t, "3", jose.ES256), testKey(t, "4", jose.ES256), es256)
		}, []string{"providers[0].publicKey: 5 keys fit ES256, and a token is tried with at most 4 (use jwksFile, where keys have a kid)"}},

		{"file", func(p *gate.Provider) { p.JWKSFile = file("good", setOf(t, "a")) }, nil},
		{"file of secrets", func(p *gate.Provider) { p.JWKSFile = file("secrets", secretSet); p.Algorithms = []string{"HS256"} }, nil},
		{"file without fetch settings", func(p *gate.Provider) { p.JWKSFile = file("good", setOf(t, "a")); p.Fetch = gate.Fetch{} }, nil},
		{"missing file", func(p *gate.Provider) { p.JWKSFile = "/nonexistent/keys" },
			[]string{"providers[0].jwksFile: reading the JWK Set: stat /nonexistent/keys: no such file or directory"}},
		{"directory", func(p *gate.Provider) { p.JWKSFile = "/" }, []string{"providers[0].jwksFile: reading the JWK Set: not a regular file"}},
		{"file without keys", func(p *gate.Provider) { p.JWKSFile = file("none", `{"keys":[]}`) },
			[]string{"providers[0].jwksFile: " + dir + "/none: the set holds no usable key: it is empty"}},
		{"file with an unknown key", func(p *gate.Provider) {
			p.JWKSFile = file("mixed", strings.Replace(setOf(t, "a"), `[`, `[{"kty":"X","kid":"x"},`, 1))
		}, []string{"warning: providers[0].jwksFile: " + dir + `/mixed: not used: key 0 (kid "x"): unsupported key: kty "X"`}},
		{"file with no key for an algorithm", func(p *gate.Provider) { p.JWKSFile = file("good", setOf(t, "a")); p.Algorithms = []string{"HS256"} },
			[]string{"providers[0].algorithms[0]: no key of jwksFile is for HS256 (remove it, or add a key)"}},

		{"addresses", url("https://a.example/jwks?x=y", "http://127.0.0.1:80/", "http://localhost/", "http://[::1]/"), nil},
		{"plain http", url("http://a.example/jwks"),
			[]string{"warning: providers[0].jwksURLs[0]: over plain http, whoever is in between can replace the keys, and so forge tokens (use https)"}},
		{"bad addresses", url("a.example", "ftp://a.example/", "https://u:p@a.example/", "https://a.example/#", "https://", "https://a.example/%zz", "https://:443/"), []string{
			"providers[0].jwksURLs[0]: not a URL",
			"providers[0].jwksURLs[1]: the URL is neither https nor http (use https)",
			"providers[0].jwksURLs[2]: the URL has user information (remove it)",
			"providers[0].jwksURLs[3]: the URL has a fragment (remove it)",
			"providers[0].jwksURLs[4]: not a URL",
			"providers[0].jwksURLs[5]: not a URL",
			"providers[0].jwksURLs[6]: not a URL",
		}},
		{"metadata address", url("https://169.254.169.254/", "https://[fd00:ec2::254]/"), []string{
			"providers[0].jwksURLs[0]: refused address: 169.254.169.254 is link-local",
			"providers[0].jwksURLs[1]: refused address: fd00:ec2::254 is a cloud metadata service",
		}},
		{"same address", url("https://a.example/", "https://a.example/"), []string{"providers[0].jwksURLs[1]: the address is listed twice (remove it)"}},
		{"addresses with secret algorithm", func(p *gate.Provider) { p.JWKSURLs = []string{"https://a.example/"}; p.Algorithms = []string{"HS256"} },
			[]string{"providers[0].algorithms[0]: HS256 needs a shared secret, and the provider has public keys (remove it)"}},

		{"discovery", func(p *gate.Provider) { p.Discovery = true }, nil},
		{"discovery by address", func(p *gate.Provider) { p.DiscoveryURL = "https://a.example/"; p.Issuer = "urn:x" }, nil},
		{"discovery without issuer", func(p *gate.Provider) { p.Discovery, p.Issuer = true, "" },
			[]string{"providers[0].issuer: discovery needs the issuer: the discovery document must name it"}},
		{"discovery of no URL", func(p *gate.Provider) { p.Discovery, p.Issuer = true, "urn:x" },
			[]string{"providers[0].issuer: the discovery document cannot be found: the issuer is not an http or https URL (or set discoveryURL)"}},
		{"discovery over http", func(p *gate.Provider) { p.Discovery, p.Issuer = true, "http://id.example" },
			[]string{"warning: providers[0].issuer: over plain http, whoever is in between can replace the keys, and so forge tokens (use https)"}},

		{"private address", fetch(func(f *gate.Fetch) { f.DenyPrivate = true }), nil},
		{"private address denied", func(p *gate.Provider) { p.JWKSURLs = []string{"https://10.0.0.1/"}; p.Fetch.DenyPrivate = true },
			[]string{"providers[0].jwksURLs[0]: refused address: 10.0.0.1 is loopback or private, and fetch.denyPrivate is set"}},
		{"no settings", fetch(func(f *gate.Fetch) { *f = gate.Fetch{} }), []string{
			"providers[0].fetch.timeout: must be more than 0",
			"providers[0].fetch.minRefresh: must be more than 0",
			"providers[0].fetch.maxRefresh: must be more than 0",
			"providers[0].fetch.unknownKeyInterval: must be more than 0",
			"providers[0].fetch.maxBytes: must be between 1 and 16777216",
			"providers[0].fetch.maxKeys: must be between 1 and 10000",
		}},
		{"bad settings", fetch(func(f *gate.Fetch) {
			f.MaxStale, f.MinRefresh, f.Timeout, f.MaxRedirects = -1, time.Hour, time.Hour, 11
		}), []string{
			"providers[0].fetch.timeout: must be at most 2m0s",
			"providers[0].fetch.maxStale: must not be negative",
			"providers[0].fetch.minRefresh: is more than maxRefresh (10m0s)",
			"providers[0].fetch.maxRedirects: must be between 0 and 10",
		}},
		{"short wait", fetch(func(f *gate.Fetch) { f.UnknownKeyWait = time.Second }),
			[]string{"warning: providers[0].fetch.unknownKeyWait: while others send unknown kids, tokens of a new key may be refused, because they do not wait for the next fetch (make it longer than unknownKeyInterval)"}},
		{"insecure", fetch(func(f *gate.Fetch) { f.TLS = &gate.ClientTLS{InsecureSkipVerify: true} }),
			[]string{"warning: providers[0].fetch.tls.insecureSkipVerify: server certificates are not checked: whoever is in between can replace the keys, and so forge tokens (use caFile)"}},
		{"certificates", fetch(func(f *gate.Fetch) {
			f.TLS = &gate.ClientTLS{CAFile: certFile, CertFile: certFile, KeyFile: keyFile, ServerName: "x"}
		}), nil},
		{"bad certificates", fetch(func(f *gate.Fetch) { f.TLS = &gate.ClientTLS{CAFile: keyFile, CertFile: certFile} }), []string{
			"providers[0].fetch.tls.caFile: the file of certificate authorities holds no certificate in PEM",
			"providers[0].fetch.tls.certFile: certFile and keyFile belong together (set both)",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			p := provider(tc.change)
			for _, problem := range Check(p) {
				got = append(got, problem.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			for _, line := range got {
				if secret := p.Secret.Reveal(); secret != "" && strings.Contains(line, secret) {
					t.Errorf("the secret is in %q", line)
				}
			}
		})
	}
}

func TestCheckUnreadableFile(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "keys")
	write(t, closed, []byte(setOf(t, "a")), 0)
	for _, test := range []struct{ name, path, want string }{
		{"folder", t.TempDir(), "not a regular file"},
		{"no permission", closed, "permission denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.path == closed && os.Geteuid() == 0 {
				t.Skip("root can read every file")
			}
			if err := Check(&gate.Provider{JWKSFile: test.path, Algorithms: []string{"ES256"}}).Err(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Error(err)
			}
		})
	}
}
