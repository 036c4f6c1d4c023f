package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

const (
	// maxURLs is how many addresses of sets a provider may have: each is fetched on its own.
	maxURLs = 16
	// maxSetBytes is the highest limit that a document may be given.
	maxSetBytes = 16 << 20
)

// Check returns what is wrong with where the provider's keys come from. It reads the files that are named and does not use the network. Names of algorithms that are
// not known are left to whoever reads the rest of the provider.
func Check(p *gate.Provider) gate.Problems {
	_, problems := check(p)
	return problems
}

// checker collects the problems of one provider.
type checker struct {
	p        *gate.Provider
	problems gate.Problems
}

func (c *checker) fail(path, hint, format string, args ...any) {
	c.problems = append(c.problems, c.p.Origin.Problem(path, hint, format, args...))
}

func (c *checker) warn(path, hint, format string, args ...any) {
	problem := c.p.Origin.Problem(path, hint, format, args...)
	problem.Warning = true
	c.problems = append(c.problems, problem)
}

// check also returns the keys of a source that cannot change.
func check(p *gate.Provider) (static []*jose.Key, problems gate.Problems) {
	c := &checker{p: p}
	switch kind := c.kind(); kind {
	case kindSecret:
		static = c.secret()
	case kindPublicKey:
		static = c.publicKey()
	case kindFile:
		c.file()
	case kindURLs:
		c.urls()
		c.fetch()
	case kindDiscovery:
		c.discovery()
		c.fetch()
	case kindIndividual:
		if !p.Individual.ByKeyID && !p.Individual.BySubject {
			c.fail("individual", "set one of byKeyID and bySubject", "no credential would ever be found")
		}
	}
	return static, c.problems
}

// kindsOf returns the kinds of source that the provider has, by the names of the settings.
func kindsOf(p *gate.Provider) (kinds []string) {
	for _, k := range [...]struct {
		kind string
		has  bool
	}{
		{kindSecret, !p.Secret.IsZero()},
		{kindPublicKey, p.PublicKey != ""},
		{kindFile, p.JWKSFile != ""},
		{kindURLs, len(p.JWKSURLs) > 0},
		{kindDiscovery, p.Discovery || p.DiscoveryURL != ""},
		{kindIndividual, p.Individual != nil},
	} {
		if k.has {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

func kindOf(p *gate.Provider) string { return kindsOf(p)[0] }

// kind returns the one kind of the provider, or "" after saying why there is none.
func (c *checker) kind() string {
	kinds := kindsOf(c.p)
	switch {
	case len(kinds) == 1:
		if kinds[0] != kindSecret && c.p.SecretBase64 {
			c.fail("secretBase64", "remove it", "there is no secret that it could be about")
		}
		return kinds[0]
	case len(kinds) == 0:
		c.fail("", "set one of secret, publicKey, jwksFile, jwksURLs, discovery and individual", "the provider has no source of keys")
	case kinds[0] == kindSecret:
		c.fail("secret", "remove one of them; to take tokens of both kinds, make two providers",
			"a shared secret beside %s: whoever knows the public keys must not be able to pass them off as the secret", strings.Join(kinds[1:], " and "))
	default:
		c.fail(kinds[1], "keep one of them", "the provider has more than one source of keys: %s", strings.Join(kinds, ", "))
	}
	return ""
}

// eachAlgorithm calls f with the known algorithms in their order.
func (c *checker) eachAlgorithm(f func(path string, alg jose.Algorithm)) {
	for i, name := range c.p.Algorithms {
		if alg, err := jose.ParseAlgorithm(name); err == nil {
			f(fmt.Sprintf("algorithms[%d]", i), alg)
		}
	}
}

// symmetric reports algorithms that the source's keys are not for.
func (c *checker) symmetric(wanted bool) {
	c.eachAlgorithm(func(path string, alg jose.Algorithm) {
		switch {
		case alg.Symmetric() == wanted:
		case wanted:
			c.fail(path, "use HS256, HS384 or HS512", "%s needs a public key, and the provider has a shared secret", alg)
		default:
			c.fail(path, "remove it", "%s needs a shared secret, and the provider has public keys", alg)
		}
	})
}

// secret checks the shared secret and returns it as a key.
func (c *checker) secret() []*jose.Key {
	c.symmetric(true)
	raw := []byte(c.p.Secret.Reveal())
	if c.p.SecretBase64 {
		var err error
		if raw, err = decodeBase64(c.p.Secret.Reveal()); err != nil {
			c.fail("secret", "", "the secret is not base64")
			return nil
		}
	}
	key, err := jose.NewSecretKey(raw, jose.SecretOptions{AllowShort: c.p.AllowShortSecret})
	switch {
	case errors.Is(err, jose.ErrKeySymmetric):
		c.fail("secret", "use publicKey or jwksFile", "the secret is a key or certificate in PEM, DER or JWK form, which others may know")
	case errors.Is(err, jose.ErrKeyWeak) && len(raw) > 0:
		c.fail("secret", "use a longer secret, or set allowShortSecret", "a secret that short can be guessed from one token (RFC 7518 section 3.2): %v", err)
	case err != nil:
		c.fail("secret", "", "the secret cannot be used: %v", err)
	}
	if err != nil {
		return nil
	}
	c.eachAlgorithm(func(path string, alg jose.Algorithm) {
		if _, err := jose.NewSecretKey(raw, jose.SecretOptions{Algorithm: alg}); !errors.Is(err, jose.ErrKeyWeak) {
			return
		}
		const rule = "the secret is shorter than the hash of %s, so it can be guessed from one token (RFC 7518 section 3.2)"
		if c.p.AllowShortSecret {
			c.warn(path, "use a longer secret", rule, alg)
		} else {
			c.fail(path, "use a longer secret, or set allowShortSecret", rule, alg)
		}
	})
	return []*jose.Key{key}
}

// decodeBase64 takes the standard and the URL alphabet, with and without padding.
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	return base64.RawStdEncoding.DecodeString(s)
}

// publicKey checks the PEM text and returns its keys.
func (c *checker) publicKey() []*jose.Key {
	c.symmetric(false)
	keys, err := jose.ParsePEM([]byte(c.p.PublicKey))
	switch {
	case errors.Is(err, jose.ErrKeyPrivate):
		c.fail("publicKey", "give the public key only, and replace this one if others have seen it", "%v", err)
	case err != nil:
		c.fail("publicKey", "PEM blocks PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE are understood", "%v", err)
	}
	if err != nil {
		return nil
	}
	c.fits(keys, "publicKey")
	c.eachAlgorithm(func(_ string, alg jose.Algorithm) {
		if n := countFitting(keys, alg); n > maxCandidates {
			c.fail("publicKey", "use jwksFile, where keys have a kid", "%d keys fit %s, and a token is tried with at most %d", n, alg, maxCandidates)
		}
	})
	return keys
}

func countFitting(keys []*jose.Key, alg jose.Algorithm) (n int) {
	for _, key := range keys {
		if key.Fits(alg) {
			n++
		}
	}
	return n
}

// fits reports algorithms that none of the keys is for.
func (c *checker) fits(keys []*jose.Key, path string) {
	c.eachAlgorithm(func(algPath string, alg jose.Algorithm) {
		if alg.Symmetric() && path == "publicKey" {
			return // reported before
		}
		if countFitting(keys, alg) == 0 {
			c.fail(algPath, "remove it, or add a key", "no key of %s is for %s", path, alg)
		}
	})
}

// file reads the JWK Set file once.
func (c *checker) file() {
	options := fileOptions(c.p)
	body, err := readFile(c.p.JWKSFile, options.Limits.SetBytes)
	if err != nil {
		c.fail("jwksFile", "", "reading the JWK Set: %v", err)
		return
	}
	d, err := parseDocument(body, options)
	if err != nil {
		c.fail("jwksFile", "", "%s: %v", c.p.JWKSFile, err)
		return
	}
	for _, skipped := range d.skipped {
		c.warn("jwksFile", "", "%s: not used: %s", c.p.JWKSFile, skipped)
	}
	c.fits(d.keys, "jwksFile")
}

// fileOptions are for a file of the operator's own: it may hold secrets.
func fileOptions(p *gate.Provider) jose.SetOptions {
	limits := p.Fetch
	var defaults gate.Fetch
	defaults.SetDefaults()
	if limits.MaxBytes <= 0 {
		limits.MaxBytes = defaults.MaxBytes
	}
	if limits.MaxKeys <= 0 {
		limits.MaxKeys = defaults.MaxKeys
	}
	options := setOptions(limits)
	options.Secrets, options.ShortSecrets = true, p.AllowShortSecret
	return options
}

func (c *checker) urls() {
	c.symmetric(false)
	if len(c.p.JWKSURLs) > maxURLs {
		c.fail("jwksURLs", "", "more than %d addresses", maxURLs)
	}
	seen := make(map[string]bool)
	for i, address := range c.p.JWKSURLs {
		path := fmt.Sprintf("jwksURLs[%d]", i)
		if seen[address] {
			c.fail(path, "remove it", "the address is listed twice")
		}
		seen[address] = true
		c.url(path, address)
	}
}

func (c *checker) discovery() {
	c.symmetric(false)
	if c.p.DiscoveryURL != "" {
		c.url("discoveryURL", c.p.DiscoveryURL)
	}
	if c.p.Issuer == "" {
		c.fail("issuer", "", "discovery needs the issuer: the discovery document must name it")
		return
	}
	if c.p.DiscoveryURL != "" {
		return
	}
	places, err := wellKnown(c.p.Issuer)
	if err != nil {
		c.fail("issuer", "or set discoveryURL", "the discovery document cannot be found: %v", err)
		return
	}
	c.url("issuer", places[0])
}

// placesOf returns where the discovery document may be.
func placesOf(p *gate.Provider) ([]string, error) {
	if p.DiscoveryURL != "" {
		return []string{p.DiscoveryURL}, nil
	}
	return wellKnown(p.Issuer)
}

// url checks an address that is fetched from.
func (c *checker) url(path, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		c.fail(path, "", "not a URL")
		return
	case u.User != nil:
		c.fail(path, "remove it", "the URL has user information")
		return
	case u.Fragment != "" || strings.HasSuffix(address, "#"):
		c.fail(path, "remove it", "the URL has a fragment")
	case u.Scheme == "https":
	case u.Scheme == "http":
		if !isLoopbackHost(u.Hostname()) {
			c.warn(path, "use https", "over plain http, whoever is in between can replace the keys, and so forge tokens")
		}
	default:
		c.fail(path, "use https", "the URL is neither https nor http")
	}
	if err := (guard{denyPrivate: c.p.Fetch.DenyPrivate}).checkHost(u.Hostname()); err != nil {
		c.fail(path, "", "%v", err)
	}
}

// fetch checks the limits of fetching.
func (c *checker) fetch() {
	f := c.p.Fetch
	for _, d := range [...]struct {
		name        string
		value       time.Duration
		least, most time.Duration
	}{
		{"timeout", f.Timeout, 1, 2 * time.Minute},
		{"minRefresh", f.MinRefresh, 1, 7 * 24 * time.Hour},
		{"maxRefresh", f.MaxRefresh, 1, 30 * 24 * time.Hour},
		{"maxStale", f.MaxStale, 0, 365 * 24 * time.Hour},
		{"unknownKeyInterval", f.UnknownKeyInterval, 1, 24 * time.Hour},
		{"unknownKeyWait", f.UnknownKeyWait, 0, time.Minute},
		{"startWait", f.StartWait, 0, 10 * time.Minute},
	} {
		switch {
		case d.value < d.least && d.least == 0:
			c.fail("fetch."+d.name, "", "must not be negative")
		case d.value < d.least:
			c.fail("fetch."+d.name, "", "must be more than 0")
		case d.value > d.most:
			c.fail("fetch."+d.name, "", "must be at most %s", d.most)
		}
	}
	if f.MinRefresh > f.MaxRefresh {
		c.fail("fetch.minRefresh", "", "is more than maxRefresh (%s)", f.MaxRefresh)
	}
	if f.UnknownKeyWait < f.UnknownKeyInterval {
		c.warn("fetch.unknownKeyWait", "make it longer than unknownKeyInterval",
			"while others send unknown kids, tokens of a new key may be refused, because they do not wait for the next fetch")
	}
	for _, n := range [...]struct {
		name               string
		value, least, most int64
	}{
		{"maxBytes", int64(f.MaxBytes), 1, maxSetBytes},
		{"maxKeys", int64(f.MaxKeys), 1, 10_000},
		{"maxRedirects", int64(f.MaxRedirects), 0, 10},
	} {
		if n.value < n.least || n.value > n.most {
			c.fail("fetch."+n.name, "", "must be between %d and %d", n.least, n.most)
		}
	}
	c.tls(f.TLS)
}

func (c *checker) tls(t *gate.ClientTLS) {
	if t == nil {
		return
	}
	if t.InsecureSkipVerify {
		c.warn("fetch.tls.insecureSkipVerify", "use caFile", "server certificates are not checked: whoever is in between can replace the keys, and so forge tokens")
	}
	if t.CAFile != "" {
		if _, err := readRoots(t.CAFile); err != nil {
			c.fail("fetch.tls.caFile", "", "%v", err)
		}
	}
	switch {
	case (t.CertFile == "") != (t.KeyFile == ""):
		c.fail("fetch.tls.certFile", "set both", "certFile and keyFile belong together")
	case t.CertFile != "":
		if _, err := readCertificate(t.CertFile, t.KeyFile); err != nil {
			c.fail("fetch.tls.certFile", "", "%v", err)
		}
	}
}
