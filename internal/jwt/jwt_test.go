package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/jose"
)

const (
	issuerA = "https://a.example.com"
	issuerB = "https://b.example.com"
)

// now is the moment of all tests.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// keyRing is a provider's keys without a place they come from.
type keyRing struct {
	set *jose.Set
	err error

	generation atomic.Uint64

	mu       sync.Mutex
	verified []string
}

func ring(tb testing.TB, signers ...*jose.SigningKey) *keyRing {
	tb.Helper()
	public := make([]*jose.Key, len(signers))
	for i, s := range signers {
		public[i] = s.Public()
	}
	set, problems := jose.NewSet(public...)
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	return &keyRing{set: set}
}

func (r *keyRing) Keys(_ context.Context, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	if r.err != nil {
		return nil, r.err
	}
	found := r.set.Candidates(kid, alg)
	if len(found) == 0 {
		return nil, keys.ErrUnknownKey
	}
	return found, nil
}

func (r *keyRing) Generation() uint64 { return r.generation.Load() }

func (r *keyRing) Verified(key *jose.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verified = append(r.verified, key.KeyID())
}

// generated caches one signing key for each algorithm and kid: RSA keys are slow to make.
var generated sync.Map

func signer(tb testing.TB, alg jose.Algorithm, kid string) *jose.SigningKey {
	tb.Helper()
	type id struct {
		alg jose.Algorithm
		kid string
	}
	if k, ok := generated.Load(id{alg, kid}); ok {
		return k.(*jose.SigningKey)
	}
	k, err := jose.GenerateKey(alg)
	if err != nil {
		tb.Fatal(err)
	}
	k = k.WithKeyID(kid)
	generated.Store(id{alg, kid}, k)
	return k
}

type object = map[string]any

// payload is a good payload of issuer A, changed by the given members; nil removes one.
func payload(tb testing.TB, change object) []byte {
	tb.Helper()
	all := object{
		"iss": issuerA, "sub": "alice", "aud": "tickets", "client_id": "web", "jti": "1",
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(all)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func sign(tb testing.TB, key *jose.SigningKey, header jose.SigningHeader, change object) string {
	tb.Helper()
	token, err := key.Sign(payload(tb, change), header)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func signRaw(tb testing.TB, key *jose.SigningKey, header string, payload []byte) string {
	tb.Helper()
	token, err := key.SignRaw([]byte(header), payload)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// provider is the configuration of issuer A, changed by the given functions.
func provider(change ...func(*gate.Provider)) *gate.Provider {
	p := &gate.Provider{Name: "a", Issuer: issuerA, Audiences: []string{"tickets"}, Algorithms: []string{"ES256"}}
	p.SetDefaults()
	p.ClockSkew.SetDefaults()
	for _, c := range change {
		c(p)
	}
	return p
}

func compile(tb testing.TB, p *gate.Provider, source jwt.Keys) *jwt.Provider {
	tb.Helper()
	made, problems := jwt.NewProvider(p, source)
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	return made
}

func verifier(tb testing.TB, providers ...*jwt.Provider) *jwt.Verifier {
	tb.Helper()
	v, err := jwt.New(providers)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// reasonOf returns the reason of a refusal, "" for none.
func reasonOf(tb testing.TB, err error) gate.Reason {
	tb.Helper()
	if err == nil {
		return ""
	}
	var d *gate.Denial
	if !errors.As(err, &d) {
		tb.Fatalf("error is a %T, not a refusal: %v", err, err)
	}
	if d.Reason.Text() == "" {
		tb.Errorf("reason %q is not in the table", d.Reason)
	}
	return d.Reason
}

func TestVerifyGivesTheIdentity(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	source := ring(t, key)
	v := verifier(t, compile(t, provider(), source))
	id, err := v.Verify(t.Context(), sign(t, key, jose.SigningHeader{Type: "at+jwt"}, nil), now, nil)
	if err != nil {
		t.Fatal(err)
	}
	grp, _ := id.Claims.Get("client_id").AsString()
	got := []any{id.Provider, id.Issuer, id.Subject, id.KeyID, id.Algorithm, id.Expires.Equal(now.Add(time.Hour)), grp}
	want := []any{"a", issuerA, "alice", "k1", "ES256", true, "web"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"k1"}, source.verified); diff != "" {
		t.Errorf("keys reported as used (-want +got):\n%s", diff)
	}
}

func TestVerifyEveryAlgorithm(t *testing.T) {
	all := jose.AsymmetricAlgorithms().Union(jose.NewAlgorithms(jose.HS256, jose.HS384, jose.HS512))
	for alg := range all.All() {
		t.Run(alg.String(), func(t *testing.T) {
			key := signer(t, alg, "k1")
			v := verifier(t, compile(t, provider(func(p *gate.Provider) { p.Algorithms = []string{alg.String()} }), ring(t, key)))
			id, err := v.Verify(t.Context(), sign(t, key, jose.SigningHeader{}, nil), now, nil)
			if err != nil {
				t.Fatal(err)
			}
			if id.Algorithm != alg.String() {
				t.Errorf("algorithm %q", id.Algorithm)
			}
		})
	}
}

// TestClaims is the table of what a token with a good signature is judged by.
func TestClaims(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	at := func(d time.Duration) float64 { return float64(now.Add(d).UnixMilli()) / 1000 }
	skewed := func(p *gate.Provider) {
		p.ClockSkew = gate.ClockSkew{Exp: 30 * time.Second, Nbf: 20 * time.Second, Iat: 10 * time.Second}
	}
	noExpiry := func(p *gate.Provider) { p.AllowMissingExpiry = true }
	anyAudience := func(p *gate.Provider) { p.AnyAudience, p.Audiences = true, nil }
	subjects := func(p *gate.Provider) { p.Subjects = []string{"alice", "carol"} }
	maxAge := func(p *gate.Provider) { p.MaxAge = time.Minute }
	maxLifetime := func(p *gate.Provider) { p.MaxLifetime = time.Hour }
	required := func(p *gate.Provider) { p.RequiredClaims = []string{"client_id", `realm.role`} }
	for _, tt := range []struct {
		name     string
		provider func(*gate.Provider)
		claims   object
		want     gate.Reason
	}{
		{"good", nil, nil, ""},
		{"attack: exp missing", nil, object{"exp": nil}, gate.ReasonExpiryMissing},
		{"exp missing but allowed", noExpiry, object{"exp": nil}, ""},
		{"exp passed although it may be missing", noExpiry, object{"exp": at(-time.Second)}, gate.ReasonExpired},
		{"exp is now", nil, object{"exp": at(0)}, gate.ReasonExpired},
		{"exp is in a millisecond", nil, object{"exp": at(time.Millisecond)}, ""},
		{"exp within skew", skewed, object{"exp": at(-29999 * time.Millisecond)}, ""},
		{"exp at the end of skew", skewed, object{"exp": at(-30 * time.Second)}, gate.ReasonExpired},
		{"exp zero is a date, not absence", nil, object{"exp": 0}, gate.ReasonExpired},
		{"exp negative", nil, object{"exp": -1}, gate.ReasonExpired},
		{"attack: exp string", nil, object{"exp": "9999999999"}, gate.ReasonTimeInvalid},
		{"exp null", nil, object{"exp": json.RawMessage("null")}, gate.ReasonTimeInvalid},
		{"attack: exp null although it may be missing", noExpiry, object{"exp": json.RawMessage("null")}, gate.ReasonTimeInvalid},
		{"exp array", nil, object{"exp": []int64{now.Unix() + 60}}, gate.ReasonTimeInvalid},
		{"attack: exp overflow", nil, object{"exp": json.RawMessage("1e400")}, gate.ReasonTimeInvalid},
		{"attack: exp in upper case is another claim", nil, object{"exp": nil, "EXP": at(time.Hour)}, gate.ReasonExpiryMissing},
		{"nbf is now", nil, object{"nbf": at(0)}, ""},
		{"nbf later", func(p *gate.Provider) { p.ClockSkew.Nbf = 0 }, object{"nbf": at(time.Millisecond)}, gate.ReasonNotYetValid},
		{"nbf within skew", skewed, object{"nbf": at(20 * time.Second)}, ""},
		{"nbf beyond skew", skewed, object{"nbf": at(20001 * time.Millisecond)}, gate.ReasonNotYetValid},
		{"nbf string", nil, object{"nbf": "0"}, gate.ReasonTimeInvalid},
		{"iat within skew", skewed, object{"iat": at(10 * time.Second)}, ""},
		{"iat beyond skew", skewed, object{"iat": at(10001 * time.Millisecond)}, gate.ReasonIssuedInFuture},
		{"iat boolean", nil, object{"iat": true}, gate.ReasonTimeInvalid},
		{"iat missing", nil, object{"iat": nil}, ""},
		{"age at the limit", maxAge, object{"iat": at(-time.Minute)}, ""},
		{"age beyond the limit", maxAge, object{"iat": at(-60001 * time.Millisecond)}, gate.ReasonTooOld},
		{"age without iat", maxAge, object{"iat": nil}, gate.ReasonClaimMissing},
		{"lifetime at the limit", maxLifetime, object{"iat": at(0), "exp": at(time.Hour)}, ""},
		{"lifetime beyond the limit", maxLifetime, object{"iat": at(0), "exp": at(3600001 * time.Millisecond)}, gate.ReasonLifetimeTooLong},
		{"lifetime without iat", maxLifetime, object{"iat": nil}, gate.ReasonClaimMissing},
		{"attack: aud missing", nil, object{"aud": nil}, gate.ReasonAudienceMissing},
		{"aud empty array", nil, object{"aud": []string{}}, gate.ReasonAudienceMissing},
		{"attack: aud of another service", nil, object{"aud": "billing"}, gate.ReasonAudienceMismatch},
		{"aud in another case", nil, object{"aud": "Tickets"}, gate.ReasonAudienceMismatch},
		{"attack: aud with ours inside", nil, object{"aud": "tickets-admin"}, gate.ReasonAudienceMismatch},
		{"aud several", nil, object{"aud": []string{"billing", "tickets"}}, ""},
		{"aud several without ours", nil, object{"aud": []string{"billing", "ticket"}}, gate.ReasonAudienceMismatch},
		{"aud number", nil, object{"aud": 1}, gate.ReasonClaimInvalid},
		{"aud null", nil, object{"aud": json.RawMessage("null")}, gate.ReasonClaimInvalid},
		{"aud object", nil, object{"aud": object{"tickets": true}}, gate.ReasonClaimInvalid},
		{"attack: aud array with a number", nil, object{"aud": []any{"tickets", 1}}, gate.ReasonClaimInvalid},
		{"any aud", anyAudience, object{"aud": "billing"}, ""},
		{"any aud, none", anyAudience, object{"aud": nil}, ""},
		{"any aud, but no audience at all", anyAudience, object{"aud": []any{1}}, gate.ReasonClaimInvalid},
		{"sub one of several", subjects, object{"sub": "carol"}, ""},
		{"attack: sub other", subjects, object{"sub": "mallory"}, gate.ReasonSubjectMismatch},
		{"sub missing", subjects, object{"sub": nil}, gate.ReasonSubjectMismatch},
		{"sub missing and not asked for", nil, object{"sub": nil}, ""},
		{"sub number", nil, object{"sub": 7}, gate.ReasonClaimInvalid},
		{"required claims", required, object{"realm": object{"role": "x"}}, ""},
		{"required claim missing", required, object{"realm": object{"roles": "x"}}, gate.ReasonClaimMissing},
		{"required claim null", required, object{"realm": object{"role": json.RawMessage("null")}}, gate.ReasonClaimMissing},
		{"the first failure counts", required, object{"exp": at(-time.Hour), "aud": "x", "sub": 1}, gate.ReasonExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := provider()
			if tt.provider != nil {
				tt.provider(p)
			}
			v := verifier(t, compile(t, p, ring(t, key)))
			token := sign(t, key, jose.SigningHeader{}, tt.claims)
			id, err := v.Verify(t.Context(), token, now, nil)
			if got := reasonOf(t, err); got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
			if (id == nil) != (tt.want != "") {
				t.Errorf("identity %v with reason %q", id, tt.want)
			}
			// An explanation comes to the same verdict.
			if _, explained := v.Verify(t.Context(), token, now, new(gate.Trace)); reasonOf(t, explained) != tt.want {
				t.Errorf("explained: %v, want %q", explained, tt.want)
			}
		})
	}
}

// TestAttackTypeConfusion: a token that was made for another purpose is none for this one (RFC 8725 section 3.11).
func TestAttackTypeConfusion(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	only := func(types ...string) func(*gate.Provider) {
		return func(p *gate.Provider) { p.Types = types }
	}
	for _, tt := range []struct {
		provider func(*gate.Provider)
		header   string
		want     gate.Reason
	}{
		{nil, `{"alg":"ES256"}`, ""},
		{nil, `{"alg":"ES256","typ":"JWT"}`, ""},
		{nil, `{"alg":"ES256","typ":"jwt"}`, ""},
		{nil, `{"alg":"ES256","typ":"at+jwt"}`, ""},
		{nil, `{"alg":"ES256","typ":"AT+JWT"}`, ""},
		{nil, `{"alg":"ES256","typ":"application/at+jwt"}`, ""},
		{nil, `{"alg":"ES256","typ":"Application/At+Jwt"}`, ""},
		{nil, `{"alg":"ES256","typ":""}`, gate.ReasonTypeMismatch},
		{nil, `{"alg":"ES256","typ":"logout+jwt"}`, gate.ReasonTypeMismatch},
		{nil, `{"alg":"ES256","typ":"dpop+jwt"}`, gate.ReasonTypeMismatch},
		{nil, `{"alg":"ES256","typ":"secevent+jwt"}`, gate.ReasonTypeMismatch},
		{nil, `{"alg":"ES256","typ":"text/at+jwt"}`, gate.ReasonTypeMismatch},
		{nil, `{"alg":"ES256","typ":"application/"}`, gate.ReasonTypeMismatch},
		{nil, `{"alg":"ES256","typ":"application/application/jwt"}`, gate.ReasonTypeMismatch},
		{nil, `{"alg":"ES256","typ":"JWT "}`, gate.ReasonTypeMismatch},
		{only("at+jwt"), `{"alg":"ES256","typ":"at+jwt"}`, ""},
		{only("application/AT+jwt"), `{"alg":"ES256","typ":"at+jwt"}`, ""},
		{only("at+jwt"), `{"alg":"ES256"}`, gate.ReasonTypeMismatch},
		{only("at+jwt"), `{"alg":"ES256","typ":"JWT"}`, gate.ReasonTypeMismatch},
		// The Kelvin sign is a k to Unicode, not to a media type.
		{only("k+jwt"), `{"alg":"ES256","typ":"` + "\u212a" + `+jwt"}`, gate.ReasonTypeMismatch},
	} {
		t.Run(tt.header, func(t *testing.T) {
			p := provider()
			if tt.provider != nil {
				tt.provider(p)
			}
			v := verifier(t, compile(t, p, ring(t, key)))
			_, err := v.Verify(t.Context(), signRaw(t, key, tt.header, payload(t, nil)), now, nil)
			if got := reasonOf(t, err); got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
}

func TestKeySourceErrors(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	token := sign(t, key, jose.SigningHeader{}, object{"exp": nil})
	ended := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ctx
	}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		err  error
		want gate.Reason
	}{
		{"unknown", t.Context(), keys.ErrUnknownKey, gate.ReasonKeyUnknown},
		{"ambiguous", t.Context(), keys.ErrAmbiguous, gate.ReasonKeyAmbiguous},
		{"unavailable", t.Context(), keys.ErrUnavailable, gate.ReasonKeysUnavailable},
		{"a fetch took too long", t.Context(), context.DeadlineExceeded, gate.ReasonKeysUnavailable},
		{"anything else", t.Context(), errors.New("anything else"), gate.ReasonKeysUnavailable},
		{"client gone while waiting", ended(nil), keys.ErrUnavailable, gate.ReasonClientGone},
		{"no time left while waiting", ended(context.DeadlineExceeded), keys.ErrUnavailable, gate.ReasonDeadline},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source := ring(t, key)
			source.err = tt.err
			v := verifier(t, compile(t, provider(), source))
			_, err := v.Verify(tt.ctx, token, now, nil)
			if got := reasonOf(t, err); got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

// TestTokenIsJudgedAnew: what Authenticate returned may be remembered; time and claims are still checked on each use.
func TestTokenIsJudgedAnew(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	v := verifier(t, compile(t, provider(), ring(t, key)))
	token, err := v.Authenticate(t.Context(), sign(t, key, jose.SigningHeader{}, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Judge(now, nil); err != nil {
		t.Error(err)
	}
	if _, err := token.Judge(now.Add(2*time.Hour), nil); reasonOf(t, err) != gate.ReasonExpired {
		t.Errorf("two hours later: %v", err)
	}
	if allocs := testing.AllocsPerRun(100, func() { _, _ = token.Judge(now, nil) }); allocs > 0 {
		t.Errorf("Judge allocates %v times", allocs)
	}
}

// TestBoundTokenIsNoBearerToken: a token that is bound to a key of its client proves nothing by itself (RFC 9449 section 7.1).
func TestBoundTokenIsNoBearerToken(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	token := sign(t, key, jose.SigningHeader{}, object{"cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})
	v := verifier(t, compile(t, provider(), ring(t, key)))
	_, err := v.Verify(t.Context(), token, now, nil)
	if d := gate.AsDenial(err); err == nil || d.Reason != gate.ReasonTokenBound {
		t.Errorf("err = %v, want %s", err, gate.ReasonTokenBound)
	}
	v = verifier(t, compile(t, provider(func(p *gate.Provider) { p.AllowBoundTokens = true }), ring(t, key)))
	if _, err := v.Verify(t.Context(), token, now, nil); err != nil {
		t.Errorf("with allowBoundTokens: %v", err)
	}
}
