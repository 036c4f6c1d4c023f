package jwt_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/jose"
)

// prepared is a verifier with its keys in memory and a usual token for it.
func prepared(tb testing.TB, alg jose.Algorithm) (*jwt.Verifier, string) {
	tb.Helper()
	key := signer(tb, alg, "k1")
	source := silent{ring(tb, key)}
	v := verifier(tb, compile(tb, provider(func(p *gate.Provider) { p.Algorithms = []string{alg.String()} }), source))
	token := sign(tb, key, jose.SigningHeader{Type: "at+jwt"}, object{
		"scope": "tickets:read tickets:write", "grp": "admin", "email": "alice@example.com",
		"realm_access": object{"roles": []string{"user", "editor"}},
	})
	return v, token
}

// silent does not count the tokens, which would allocate.
type silent struct{ *keyRing }

func (silent) Verified(*jose.Key) {}

// TestVerifyAllocations holds the promise that verifying with keys at hand stays cheap beyond the signature itself.
func TestVerifyAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations cannot be counted")
	}
	for alg, signature := range map[jose.Algorithm]float64{ // with the code of the standard library
		jose.RS256: 10, jose.PS256: 16, jose.ES256: 24, jose.EdDSA: 0, jose.HS256: 0,
	} {
		most := 4 + signature
		v, token := prepared(t, alg)
		got := testing.AllocsPerRun(200, func() {
			if _, err := v.Verify(t.Context(), token, now, nil); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%v: %v allocations", alg, got)
		if got > most {
			t.Errorf("%v: %v allocations, at most %v are allowed", alg, got, most)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	all := jose.AsymmetricAlgorithms().Union(jose.NewAlgorithms(jose.HS256, jose.HS384, jose.HS512))
	for alg := range all.All() {
		b.Run(alg.String(), func(b *testing.B) {
			v, token := prepared(b, alg)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token, now, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefuse is what a forged token costs.
func BenchmarkRefuse(b *testing.B) {
	v, token := prepared(b, jose.ES256)
	for name, bad := range map[string]string{
		"malformed": token + ".",
		"signature": token[:len(token)-4] + "AAAA",
		"values":    b64(`{"alg":"ES256"}`) + "." + b64(`{"a":[`+strings.Repeat("[],", 3500)+`[]]}`) + ".AAAA",
		"members":   b64(`{"alg":"ES256"}`) + "." + b64(string(manyMembers(500))) + ".AAAA",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), bad, now, nil); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// BenchmarkAdmit is a token seen before, and one that was not, with a cache that it leaves behind for the next.
func BenchmarkAdmit(b *testing.B) {
	counters := new(jwt.CacheCounters)
	for _, alg := range []jose.Algorithm{jose.RS256, jose.HS256} {
		key := signer(b, alg, "k1")
		v := verifier(b, compile(b, provider(func(p *gate.Provider) { p.Algorithms = []string{alg.String()} }), silent{ring(b, key)}))
		tokens := make([]string, 10_000)
		for i := range tokens {
			if alg == jose.RS256 && i >= 1000 {
				tokens = tokens[:i] // slow to make
				break
			}
			tokens[i] = sign(b, key, jose.SigningHeader{Type: "at+jwt"}, object{
				"jti": i, "scope": "tickets:read tickets:write", "grp": "admin", "email": "alice@example.com",
				"realm_access": object{"roles": []string{"user", "editor"}},
			})
		}
		run := func(name string, tokens []string, cache *jwt.Cache) {
			a := jwt.NewAdmission(v, subjectHeader, cache, nil)
			b.Run(alg.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, _, err := a.Admit(b.Context(), tokens[i%len(tokens)], now, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("without a cache", tokens, nil)
		run("one token", tokens[:1], jwt.NewCache(64<<20, counters))
		run("many tokens", tokens, jwt.NewCache(64<<20, counters))
		run("never seen", tokens, jwt.NewCache(jwt.MinCacheBytes/1000, counters))
	}
	b.Run("parallel", func(b *testing.B) {
		c := newCached(b, jose.RS256)
		token := c.token(nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for at := now; pb.Next(); at = at.Add(37) {
				if _, _, err := c.Admit(context.Background(), token, at, nil); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
