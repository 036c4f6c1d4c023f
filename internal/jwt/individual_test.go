package jwt_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
	"github.com/jotgate/jotgate/jose"
)

// callers are those who sign their tokens themselves.
type callers struct {
	directory *credential.Directory
	keys      map[string]*jose.SigningKey
	rsaPEM    string
}

func newCallers(t *testing.T) *callers {
	t.Helper()
	s := memory.New(0)
	d := credential.Open(s, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { d.Close(); _ = s.Close() })
	if err := d.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &callers{directory: d, keys: make(map[string]*jose.SigningKey)}
	for _, one := range []struct {
		id, subject string
		alg         jose.Algorithm
		expires     time.Duration
		suspended   bool
	}{
		{"alice-laptop", "alice", jose.HS256, 0, false},
		{"bob", "bob", jose.RS256, 0, false},
		{"carol", "carol", jose.EdDSA, 0, false},
		{"dave", "dave", jose.HS256, 30 * time.Second, false},
		{"eve", "eve", jose.HS256, 0, true},
	} {
		made := credential.Credential{ID: one.id, Name: one.id, Subject: one.subject, Suspended: one.suspended, Groups: []string{"g-" + one.subject}, Policies: []string{"p"}, Application: "app"}
		secret := ""
		if one.alg == jose.HS256 {
			secret = one.id + " has a secret of more than thirty-two bytes"
			key, err := jose.NewSecretSigningKey([]byte(secret), jose.SecretOptions{Algorithm: jose.HS256})
			if err != nil {
				t.Fatal(err)
			}
			c.keys[one.id] = key
		} else {
			key, err := jose.GenerateKey(one.alg)
			if err != nil {
				t.Fatal(err)
			}
			text, err := key.Public().MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			made.PublicKey = string(text)
			c.keys[one.id] = key
			if one.alg == jose.RS256 {
				c.rsaPEM = string(text)
			}
		}
		if one.expires > 0 {
			made.Expires = time.Now().Add(one.expires)
		}
		if _, err := d.Create(t.Context(), made, secret, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// provider takes the callers' tokens.
func (c *callers) provider(t *testing.T, change func(*gate.Provider)) *jwt.Verifier {
	t.Helper()
	p := &gate.Provider{
		Name: "own", Issuer: "https://own.example.com", AnyAudience: true, Algorithms: []string{"HS256", "RS256", "PS256", "EdDSA"}, Individual: &gate.Individual{ByKeyID: true, BySubject: true},
		Identity: gate.IdentityClaims{Subject: []string{"user", "sub"}, Groups: "groups", Application: "app", ClientID: []string{"client"}, Email: "email"},
	}
	p.SetDefaults()
	if change != nil {
		change(p)
	}
	compiled, problems := jwt.NewProvider(p, jwt.NewIndividual(p.Individual, c.directory))
	if problems != nil {
		t.Fatal(problems)
	}
	v, err := jwt.New([]*jwt.Provider{compiled})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sign makes a token of a caller with a kid, "" for none.
func (c *callers) sign(t *testing.T, caller, kid string, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": "https://own.example.com", "exp": time.Now().Add(time.Minute).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.keys[caller].WithKeyID(kid).Sign(payload, jose.SigningHeader{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forgedMAC makes a token with HS256 and any secret whatever.
func forgedMAC(kid, sub string, secret []byte) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	name, _ := json.Marshal(kid) // of a string it cannot fail
	signed := part(`{"alg":"HS256","kid":`+string(name)+`}`) + "." + part(fmt.Sprintf(`{"iss":"https://own.example.com","sub":%q,"exp":%d}`, sub, time.Now().Unix()+60))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// A caller is who his credential says, and only with its key.
func TestIndividualKeys(t *testing.T) {
	c := newCallers(t)
	both := c.provider(t, nil)
	byID := c.provider(t, func(p *gate.Provider) { p.Individual.BySubject = false })
	bySub := c.provider(t, func(p *gate.Provider) { p.Individual.ByKeyID = false })
	onlyMAC := c.provider(t, func(p *gate.Provider) { p.Algorithms = []string{"HS256"} })
	sub := func(name string) map[string]any { return map[string]any{"sub": name} }
	for _, test := range []struct {
		name     string
		verifier *jwt.Verifier
		token    string
		want     gate.Reason
	}{
		{"by kid", both, c.sign(t, "alice-laptop", "alice-laptop", sub("alice")), ""},
		{"by sub", both, c.sign(t, "bob", "", sub("bob")), ""},
		{"by sub, for nobody is called like the kid", both, c.sign(t, "carol", "another", sub("carol")), ""},
		{"kid alone", byID, c.sign(t, "carol", "carol", sub("carol")), ""},
		{"kid alone: sub does not help", byID, c.sign(t, "carol", "", sub("carol")), gate.ReasonKeyUnknown},
		{"sub alone", bySub, c.sign(t, "carol", "alice-laptop", sub("carol")), ""},
		{"sub alone: kid does not help", bySub, c.sign(t, "alice-laptop", "alice-laptop", sub("alice")), gate.ReasonKeyUnknown},
		{"nobody", both, c.sign(t, "carol", "mallory", sub("mallory")), gate.ReasonKeyUnknown},
		{"neither kid nor sub", both, c.sign(t, "carol", "", nil), gate.ReasonKeyUnknown},
		{"sub that is no text", both, c.sign(t, "carol", "", map[string]any{"sub": 7}), gate.ReasonKeyUnknown},
		{"attack: the kid of another, with one's own key", both, c.sign(t, "carol", "bob", sub("bob")), gate.ReasonKeyUnknown},
		{"attack: the kid of another, with one's own secret", both, forgedMAC("alice-laptop", "alice", []byte("eve has a secret of more than thirty-two bytes")), gate.ReasonSignature},
		{"attack: the sub of another, with one's own kid", both, c.sign(t, "carol", "carol", sub("bob")), gate.ReasonSubjectMismatch},
		{"attack: the sub of another, without a kid", both, c.sign(t, "carol", "", sub("bob")), gate.ReasonKeyUnknown},
		{"attack: no sub", both, c.sign(t, "carol", "carol", nil), gate.ReasonSubjectMismatch},
		{"attack: sub in another case", both, c.sign(t, "carol", "carol", sub("Carol")), gate.ReasonSubjectMismatch},
		{"attack: the public key as a secret", both, forgedMAC("bob", "bob", []byte(c.rsaPEM)), gate.ReasonKeyUnknown},
		{"attack: the public key as a secret, without its last line", both, forgedMAC("bob", "bob", []byte(strings.TrimSpace(c.rsaPEM))), gate.ReasonKeyUnknown},
		{"attack: an empty secret", both, forgedMAC("alice-laptop", "alice", nil), gate.ReasonSignature},
		{"attack: an empty secret for a public key", both, forgedMAC("bob", "bob", nil), gate.ReasonKeyUnknown},
		{"attack: the ID as a secret", both, forgedMAC("alice-laptop", "alice", []byte("alice-laptop")), gate.ReasonSignature},
		{"attack: a kid with the space of the store", both, forgedMAC("credentials/alice-laptop", "x", nil), gate.ReasonKeyUnknown},
		{"attack: a kid that is a path", both, forgedMAC("../credentials/alice-laptop", "x", nil), gate.ReasonKeyUnknown},
		{"attack: a kid that asks a database", both, forgedMAC("alice-laptop' OR '1'='1", "x", nil), gate.ReasonKeyUnknown},
		{"attack: a kid with an end", both, forgedMAC("alice-laptop\x00", "x", nil), gate.ReasonKeyUnknown},
		{"attack: a kid with space around", both, forgedMAC(" alice-laptop", "alice", nil), gate.ReasonKeyUnknown},
		{"attack: a long kid", both, forgedMAC(strings.Repeat("a", 4000), "x", nil), gate.ReasonKeyUnknown},
		{"attack: kid is used by an algorithm that the provider does not take", onlyMAC, c.sign(t, "carol", "carol", sub("carol")), gate.ReasonAlgNotAllowed},
		{"attack: another issuer", both, c.sign(t, "carol", "carol", map[string]any{"sub": "carol", "iss": "https://id.example.com"}), gate.ReasonIssuerUnknown},
		{"expired token", both, c.sign(t, "carol", "carol", map[string]any{"sub": "carol", "exp": 1}), gate.ReasonExpired},
		{"suspended", both, c.sign(t, "eve", "eve", sub("eve")), gate.ReasonCredentialSuspended},
		{"attack: suspended and forged: nothing is told of it", both, forgedMAC("eve", "eve", nil), gate.ReasonSignature},
	} {
		id, err := test.verifier.Verify(t.Context(), test.token, time.Now(), nil)
		reason := gate.Reason("")
		if err != nil {
			reason = gate.AsDenial(err).Reason
		}
		if reason != test.want {
			t.Errorf("%s: %q, want %q", test.name, reason, test.want)
		}
		if (id == nil) != (err != nil) {
			t.Errorf("%s: %v with %v", test.name, id, err)
		}
	}
}

// What such a token claims beside its sub gives nothing: the caller could claim anything.
func TestIndividualClaimsAreNotBelieved(t *testing.T) {
	c := newCallers(t)
	loose := c.provider(t, func(p *gate.Provider) { p.Issuer, p.AnyIssuer = "", true })
	identity := func(claims map[string]any) *gate.Identity {
		claims["sub"] = "carol"
		id, err := loose.Verify(t.Context(), c.sign(t, "carol", "carol", claims), time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := identity(map[string]any{"user": "admin", "groups": []string{"admins"}, "app": "theirs", "client": "c", "email": "admin@example.com", "azp": "x"})
	if id.User != "carol" || !cmp.Equal(id.Groups, []string{"g-carol"}) || !cmp.Equal(id.Policies, []string{"p"}) || id.Application != "app" || id.ClientID+id.Email != "" || id.Credential != "carol" || id.TokenName != "carol" {
		t.Errorf("%+v", id)
	}
	if other := identity(map[string]any{"iss": "https://other.example.com"}); other.UserKey() != id.UserKey() || other.UserKey() == gate.NewUserKey("https://other.example.com", "carol", false) {
		t.Error("who calls decides by his issuer whose limits he uses")
	}
}

// A verdict is remembered as long as the credential stays as it is, and not beyond its end.
func TestIndividualVerdictsAreDropped(t *testing.T) {
	c := newCallers(t)
	cache := jwt.NewCache(jwt.MinCacheBytes, new(jwt.CacheCounters))
	a := jwt.NewAdmission(c.provider(t, nil), func(*gate.Identity, *gate.Trace) (gate.Header, error) { return nil, nil }, cache, nil)
	now := time.Now()
	expect := func(token string, at time.Time, want gate.Reason) {
		t.Helper()
		for range 2 {
			_, _, err := a.Admit(context.Background(), token, at, nil)
			reason := gate.Reason("")
			if err != nil {
				reason = gate.AsDenial(err).Reason
			}
			if reason != want {
				t.Errorf("%q, want %q", reason, want)
			}
		}
	}
	dave := c.sign(t, "dave", "dave", map[string]any{"sub": "dave"})
	expect(dave, now, "")
	expect(dave, now.Add(29*time.Second), "")
	expect(dave, now.Add(31*time.Second), gate.ReasonCredentialExpired)

	carol := c.sign(t, "carol", "carol", map[string]any{"sub": "carol"})
	expect(carol, now, "")
	change := func(change func(*credential.Credential)) {
		t.Helper()
		k, err := c.directory.Get(t.Context(), "carol")
		if err != nil {
			t.Fatal(err)
		}
		changed := *k
		change(&changed)
		if _, err := c.directory.Update(t.Context(), "carol", changed, "", store.Always(), now); err != nil {
			t.Fatal(err)
		}
	}
	change(func(k *credential.Credential) { k.Suspended = true })
	expect(carol, now, gate.ReasonCredentialSuspended)
	change(func(k *credential.Credential) { k.Suspended = false })
	expect(carol, now, "")
	change(func(k *credential.Credential) { k.Subject = "someone" })
	expect(carol, now, gate.ReasonSubjectMismatch)
	change(func(k *credential.Credential) { k.Subject = "carol" })
	expect(carol, now, "")
	other, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	text, err := other.Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	change(func(k *credential.Credential) { k.PublicKey = string(text) })
	expect(carol, now, gate.ReasonSignature)
	if err := c.directory.Delete(t.Context(), "carol", store.Always()); err != nil {
		t.Fatal(err)
	}
	expect(carol, now, gate.ReasonKeyUnknown)
}

// Before the credentials are known nobody is let in, and nobody is told that his key is unknown.
func TestIndividualKeysUnknown(t *testing.T) {
	c := newCallers(t)
	s := memory.New(0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	unread := credential.Open(s, slog.New(slog.DiscardHandler))
	defer unread.Close()
	token := c.sign(t, "carol", "carol", map[string]any{"sub": "carol"})
	c.directory = unread
	if _, err := c.provider(t, nil).Verify(t.Context(), token, time.Now(), nil); gate.AsDenial(err).Reason != gate.ReasonKeysUnavailable {
		t.Error(err)
	}
	compiled, problems := jwt.NewProvider(&gate.Provider{Name: "own", AnyIssuer: true, AnyAudience: true, Algorithms: []string{"EdDSA"}, MaxTokenBytes: 16 << 10}, jwt.NewIndividual(&gate.Individual{ByKeyID: true}, nil))
	if problems != nil {
		t.Fatal(problems)
	}
	v, err := jwt.New([]*jwt.Provider{compiled})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), token, time.Now(), nil); gate.AsDenial(err).Reason != gate.ReasonKeysUnavailable {
		t.Error(err)
	}
}
