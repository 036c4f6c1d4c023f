package jwt_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// TestAttackCacheStricterRoute: what one API lets in is nothing to another, whichever comes first.
func TestAttackCacheStricterRoute(t *testing.T) {
	c := newCached(t, jose.ES256)
	strict := c.api(func(id *gate.Identity, _ *gate.Trace) (gate.Header, error) {
		if grp, _ := id.Claims.Get("grp").AsString(); grp != "admin" {
			return nil, gate.Deny(gate.ReasonClaims, nil)
		}
		return gate.Header{{Name: "X-Admin", Value: id.Subject}}, nil
	})
	user, admin := c.token(nil), c.token(object{"grp": "admin"})
	c.admit(c.Admission, user, now, "", true)
	for range 3 {
		c.admit(c.Admission, user, now, "", false)
		c.admit(strict, user, now, gate.ReasonClaims, true)
	}
	c.admit(strict, admin, now, "", true)
	c.admit(strict, admin, now, "", false)
	if _, fields, _ := c.Admit(t.Context(), admin, now, nil); fields.Has("X-Admin") {
		t.Errorf("the fields of another API: %v", fields)
	}
}

// TestAttackCacheRemovedKey: a key that is gone takes its tokens with it, at once.
func TestAttackCacheRemovedKey(t *testing.T) {
	c := newCached(t, jose.ES256)
	token := c.token(nil)
	c.admit(c.Admission, token, now, "", true)
	c.admit(c.Admission, token, now, "", false)
	c.keys.use(t, signer(t, jose.ES256, "k2"))
	c.admit(c.Admission, token, now, gate.ReasonKeyUnknown, false)
	if got := c.status(); got.Entries != 0 {
		t.Errorf("the entry is still there: %+v", got)
	}
	c.keys.use(t, c.key)
	c.admit(c.Admission, token, now, "", true)
	c.admit(c.Admission, token, now, "", false)
}

// TestAttackCacheKeyRemovedMeanwhile: a token that was verified just before its key went is not remembered as if it was verified after.
func TestAttackCacheKeyRemovedMeanwhile(t *testing.T) {
	c := newCached(t, jose.ES256)
	removing := c.api(func(*gate.Identity, *gate.Trace) (gate.Header, error) {
		c.keys.use(t, signer(t, jose.ES256, "k2")) // between the signature and the cache
		return nil, nil
	})
	token := c.token(nil)
	c.admit(removing, token, now, "", true)
	c.admit(removing, token, now, gate.ReasonKeyUnknown, false)
}

// TestAttackCacheReload: a configuration that was taken over starts with nothing, and the former one forgets.
func TestAttackCacheReload(t *testing.T) {
	c := newCached(t, jose.ES256)
	token := c.token(nil)
	c.admit(c.Admission, token, now, "", true)
	after := c.api(subjectHeader, func(p *gate.Provider) { p.Audiences = []string{"billing"} }) // even with the same cache
	c.admit(after, token, now, gate.ReasonAudienceMismatch, true)
	c.cache.Close()
	for range 2 { // a request under way goes on, without being remembered
		c.admit(c.Admission, token, now, "", true)
	}
	if got := c.status(); got.Entries != 0 {
		t.Errorf("%+v", got)
	}
}

// TestAttackCacheTime: every check of time is made for every request.
func TestAttackCacheTime(t *testing.T) {
	const skew = 10 * time.Second
	for _, tt := range []struct {
		name      string
		change    object
		maxAge    time.Duration
		good, bad time.Time
		want      gate.Reason
	}{
		{"expiry", object{"exp": now.Unix() + 60}, 0, now.Add(time.Minute + skew - 1), now.Add(time.Minute + skew), gate.ReasonExpired},
		{"age", object{"iat": now.Unix()}, time.Minute, now.Add(time.Minute), now.Add(time.Minute + 1), gate.ReasonTooOld},
		{"clock set back before nbf", object{"nbf": now.Unix()}, 0, now.Add(-skew), now.Add(-skew - 1), gate.ReasonNotYetValid},
		{"clock set back before iat", object{"iat": now.Unix()}, 0, now.Add(-skew), now.Add(-skew - 1), gate.ReasonIssuedInFuture},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCached(t, jose.ES256, func(p *gate.Provider) {
				p.ClockSkew, p.MaxAge = gate.ClockSkew{Exp: skew, Nbf: skew, Iat: skew}, tt.maxAge
			})
			token := c.token(tt.change)
			c.admit(c.Admission, token, now, "", true)
			c.admit(c.Admission, token, tt.good, "", false)
			c.admit(c.Admission, token, tt.bad, tt.want, true)
			if got := c.status(); got.Entries != 0 || got.Evictions != 0 {
				t.Errorf("the entry is still there: %+v", got)
			}
		})
	}
}

// TestAttackCacheOtherEncoding: a signature (r, n-s) is as good as (r, s), but it makes another token, of the same identity.
func TestAttackCacheOtherEncoding(t *testing.T) {
	c := newCached(t, jose.ES256)
	token := c.token(nil)
	other := flipS(t, token)
	c.admit(c.Admission, token, now, "", true)
	c.admit(c.Admission, other, now, "", true)
	a, _, _ := c.Admit(t.Context(), token, now, nil)
	b, _, _ := c.Admit(t.Context(), other, now, nil)
	if a == b || a.Issuer != b.Issuer || a.Claims.Get("jti").JSON() != b.Claims.Get("jti").JSON() {
		t.Errorf("%+v and %+v", a, b)
	}
	if got := c.status(); got.Hits != 2 || got.Entries != 2 {
		t.Errorf("%+v", got)
	}
}

// TestAttackCacheSimilarToken: a token that differs in one bit, is a part of the remembered one, or holds it, is never taken for it.
func TestAttackCacheSimilarToken(t *testing.T) {
	c := newCached(t, jose.HS256)
	token := c.token(nil)
	c.admit(c.Admission, token, now, "", true)
	try := func(text string) {
		t.Helper()
		if _, _, err := c.Admit(t.Context(), text, now, nil); err == nil {
			t.Errorf("accepted: %q", text)
		}
	}
	for i := range token {
		try(token[:i])
		try(token[i+1:])
		for bit := range 8 {
			changed := []byte(token)
			changed[i] ^= 1 << bit
			try(string(changed))
		}
	}
	for _, text := range []string{" ", "\n", ".", "=", "A", "\x00", token, "." + token} {
		try(token + text)
		try(text + token)
	}
	if got := c.status(); got.Hits != 0 || got.Entries != 1 {
		t.Errorf("%+v", got)
	}
	c.admit(c.Admission, token, now, "", false)
}

// TestAttackCacheStorm: any number of good tokens that are seen once stays within the memory, and leaves those in use alone.
func TestAttackCacheStorm(t *testing.T) {
	c := newCached(t, jose.HS256)
	hot := make([]string, 64)
	for i := range hot {
		hot[i] = c.token(object{"jti": fmt.Sprint("hot ", i)})
		c.admit(c.Admission, hot[i], now, "", true)
		c.admit(c.Admission, hot[i], now, "", false)
	}
	const storm = 20_000
	var again int64
	for i := range storm {
		if _, _, err := c.Admit(t.Context(), c.token(object{"jti": fmt.Sprint("storm ", i)}), now, nil); err != nil {
			t.Fatal(err)
		}
		before := c.keys.signatures.Load()
		if _, _, err := c.Admit(t.Context(), hot[i%len(hot)], now, nil); err != nil {
			t.Fatal(err)
		}
		again += c.keys.signatures.Load() - before
		if got := c.status(); i%1000 == 0 && got.Bytes > got.MaxBytes {
			t.Fatalf("too large: %+v", got)
		}
	}
	got := c.status()
	t.Logf("%+v; %d of %d requests with a token in use had to verify it again", got, again, storm)
	if again > storm/50 || got.Entries < 100 || got.Evictions < storm/2 || got.Bytes > got.MaxBytes {
		t.Errorf("%d of %d requests with a token in use had to verify it again; %+v", again, storm, got)
	}
}

// flipS turns the signature (r, s) of an ES256 token into (r, n-s).
func flipS(tb testing.TB, token string) string {
	tb.Helper()
	header, body, signature := parts(token)
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		tb.Fatal(err)
	}
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
	return header + "." + body + "." + base64.RawURLEncoding.EncodeToString(raw)
}
