package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/redis"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]redis.Options{
		"no address":              {},
		"no port":                 {Addresses: []string{"localhost"}},
		"several":                 {Addresses: []string{"a:1", "b:1"}},
		"Cluster with database":   {Addresses: []string{"a:1"}, Cluster: true, Database: 1},
		"Cluster with Sentinels":  {Addresses: []string{"a:1"}, Cluster: true, PrimaryName: "x"},
		"braces in the prefix":    {Addresses: []string{"a:1"}, Prefix: "{a}:"},
		"half a brace":            {Addresses: []string{"a:1"}, Prefix: "a}:"},
		"an address that is none": {Addresses: []string{"a:1:2"}},
	} {
		if _, err := redis.Open(t.Context(), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A user who may do what the guide says, and nothing else, is enough.
func TestAccessRules(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/guide/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindString(string(guide))
	if rule == "" {
		t.Fatal("the guide has no rule")
	}
	user := func(server *redistest.Server, more ...string) {
		server.Do(append(strings.Fields(strings.NewReplacer("jotgate:", "gate:", "jotgate", "gateway", "PASSWORD", "hidden-word").Replace(rule)), more...)...)
	}
	server := redistest.Start(t)
	user(server)
	s := open(t, redis.Options{Addresses: []string{server.Address}, Username: "gateway", Password: "hidden-word", Prefix: "gate:"})
	put(t, s, "things/a")
	if _, err := s.List(t.Context(), "things/", "", 10); err != nil {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), "things/b", nil, time.Millisecond, store.Always()); err != nil {
		t.Error(err)
	}
	watched := told(t, s)
	next(t, watched, "resync")
	put(t, s, "things/c")
	next(t, watched, "things/c")
	if err := s.Delete(t.Context(), "things/a", store.Always()); err != nil {
		t.Error(err)
	}
	other := open(t, redis.Options{Addresses: []string{server.Address}, Username: "gateway", Password: "hidden-word", Prefix: "other:"})
	if _, err := other.Put(t.Context(), "things/a", []byte("value-of-the-item"), 0, store.Always()); err == nil || errors.Is(err, store.ErrConflict) || strings.Contains(err.Error(), "value-of") {
		t.Errorf("writing under keys of somebody else: %v", err)
	}

	added := regexp.MustCompile(`(?m)^Add ` + "`([^`]+)`" + ` for a Cluster and ` + "`([^`]+)`" + ` with Sentinels. At the Sentinels .* it is ` + "`([^`]+)`" + ` and ` + "`([^`]+)`").FindStringSubmatch(string(guide))
	if added == nil {
		t.Fatal("the guide does not say what Clusters and Sentinels need")
	}
	nodes := redistest.StartCluster(t)
	for _, node := range nodes {
		user(node, strings.Fields(added[1])...)
	}
	put(t, open(t, redis.Options{Addresses: redistest.Addresses(nodes...), Cluster: true, Username: "gateway", Password: "hidden-word", Prefix: "gate:"}), "things/a")
	w := redistest.StartSentinel(t)
	user(w.Primary, strings.Fields(added[2])...)
	w.Sentinel.Do(append([]string{"ACL", "SETUSER", "watcher", "on", ">other-word", added[4]}, strings.Fields(added[3])...)...)
	put(t, open(t, redis.Options{
		Addresses: []string{w.Sentinel.Address}, PrimaryName: w.Name, Username: "gateway", Password: "hidden-word", SentinelUsername: "watcher", SentinelPassword: "other-word", Prefix: "gate:",
	}), "things/a")
}

// Neither errors nor logs nor the options themselves show a password.
func TestPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass right-word")
	for name, o := range map[string]redis.Options{
		"wrong":     {Password: "hidden-word"},
		"wrong too": {Username: "default", Password: "hidden-word"},
		"none":      {SentinelPassword: "hidden-word"},
	} {
		var log logged
		o.Addresses, o.Logger = []string{server.Address}, slog.New(slog.NewTextHandler(&log, nil))
		s := open(t, o)
		_, err := s.Get(t.Context(), "things/a")
		if err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		o.Logger.Info("options", "options", o, "store", s)
		shown := fmt.Sprintf("%v %+v %#v %s %q %v %v\n%s", o, o, o, o, o, &o, err, log.String())
		if strings.Contains(shown, "hidden-word") {
			t.Errorf("%s: %s", name, shown)
		}
		if !strings.Contains(log.String(), "redis cannot be asked") {
			t.Errorf("%s: logged %q", name, log.String())
		}
	}
	s := open(t, redis.Options{Addresses: []string{server.Address}, Password: "right-word"})
	put(t, s, "things/a")
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{Addresses: []string{server.Address}, Database: 3})
	if err := s.client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	put(t, s, "things/a")
	if _, err := open(t, redis.Options{Addresses: []string{server.Address}}).Get(t.Context(), "things/a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another database: %v", err)
	}
	if got := server.Do("INFO", "keyspace"); !strings.Contains(got, "db3:") {
		t.Errorf("there is %q", got)
	}
}

// certified writes a certificate for 127.0.0.1 that vouches for itself, and returns who trusts it.
func certified(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile, roots = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	roots.AppendCertsFromPEM(certPEM)
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, roots
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile, roots := certified(t)
	address := redistest.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	redistest.Start(t, "tls-port "+port, "tls-cert-file "+certFile, "tls-key-file "+keyFile, "tls-auth-clients no")
	put(t, open(t, redis.Options{Addresses: []string{address}, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}), "things/a")
	for name, config := range map[string]*tls.Config{
		"no TLS":            nil,
		"an unknown issuer": {RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12},
		"another name":      {RootCAs: roots, ServerName: "redis.example.com", MinVersion: tls.VersionTLS12},
	} {
		s := open(t, redis.Options{Addresses: []string{address}, TLS: config})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := s.Get(ctx, "things/a"); err == nil {
			t.Errorf("%s: connected", name)
		}
		cancel()
	}
}
