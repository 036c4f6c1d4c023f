package jwt_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/jose"
)

// tenClaims is the payload of a usual access token; with its signature the token has 700 to 800 bytes.
func tenClaims(n int) []byte {
	return fmt.Appendf(nil, `{"aud":"tickets","azp":"tickets-web","exp":%d,"grp":"admin","iat":%d,"iss":"%s","jti":"f81d4fae-7dec-11d0-a765-%012d",`+
		`"pol":"5f1b2c3d4e5f6a7b8c9d0e1f","scope":"openid profile email tickets:read tickets:write","sub":"7c9e6679-7425-40de-944b-%012d",`+
		`"name":"Alice Example of the Tickets Department of the Example Company"}`, now.Add(time.Hour).Unix(), now.Add(-time.Minute).Unix(), issuerA, n, n)
}

// minted are signed tokens that are all different. RSA keys sign slowly, so each list is made once.
var minted sync.Map

func mint(tb testing.TB, key *jose.SigningKey, n int) []string {
	tb.Helper()
	kept, _ := minted.LoadOrStore(key, new([]string))
	tokens := kept.(*[]string)
	for i := len(*tokens); i < n; i++ {
		token, err := key.Sign(tenClaims(i), jose.SigningHeader{Type: "at+jwt"})
		if err != nil {
			tb.Fatal(err)
		}
		*tokens = append(*tokens, token)
	}
	return (*tokens)[:n]
}

// missed is an API that forwards nothing, with a provider of one key.
func missed(tb testing.TB, key *jose.SigningKey, cache *jwt.Cache) *jwt.Admission {
	tb.Helper()
	algorithm := func(p *gate.Provider) { p.Algorithms = []string{key.Algorithm().String()} }
	v := verifier(tb, compile(tb, provider(algorithm), silent{ring(tb, key)}))
	return jwt.NewAdmission(v, func(*gate.Identity, *gate.Trace) (gate.Header, error) { return nil, nil }, cache, nil)
}

// missAlgorithms are those whose misses are measured, and how many tokens of each.
var missAlgorithms = []struct {
	alg    jose.Algorithm
	tokens int
}{
	{jose.HS256, 100_000}, {jose.RS256, 1000}, {jose.ES256, 5000},
}

// signatureAllocations is what checking the signature alone costs: nothing where this module's code does it, more with that of the standard library.
func signatureAllocations(tb testing.TB, key *jose.Key, token string) float64 {
	tb.Helper()
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		tb.Fatal(err)
	}
	return testing.AllocsPerRun(100, func() {
		if err := key.VerifyBytes(key.Algorithm(), []byte(token[:dot]), signature); err != nil {
			tb.Fatal(err)
		}
	}) - 1 // the message
}

// TestMissAllocations: a token that was not seen before costs the entry, its text and its claims, whether it is remembered or not and also where others must go
// for it.
func TestMissAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations cannot be counted")
	}
	for _, m := range missAlgorithms {
		key := signer(t, m.alg, "k1")
		tokens := mint(t, key, 1000)
		for name, cache := range map[string]*jwt.Cache{"without a cache": nil, "with room": jwt.NewCache(64<<20, new(jwt.CacheCounters)), "full": jwt.NewCache(0, new(jwt.CacheCounters))} {
			a := missed(t, key, cache)
			i := 0
			admit := func() {
				if _, _, err := a.Admit(t.Context(), tokens[i], now, nil); err != nil {
					t.Fatal(err)
				}
				i++
			}
			for range 700 { // more than the full one takes
				admit()
			}
			got, signature := testing.AllocsPerRun(200, admit), signatureAllocations(t, key.Public(), tokens[0])
			t.Logf("%v, %s: %v allocations, %v of them for the signature", m.alg, name, got, signature)
			if m.alg == jose.HS256 && signature != 0 || got > 3+signature {
				t.Errorf("%v, %s: %v allocations, 3 and %v for the signature are allowed", m.alg, name, got, signature)
			}
		}
	}
}

// cpuTime is what the process has used: unlike the time on the wall it tells of the collector's work too, and not of other programs.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkMiss is a token that was not seen before: in a cache that has room for it and one that is full, of the usual size.
func BenchmarkMiss(b *testing.B) {
	for _, m := range missAlgorithms {
		key := signer(b, m.alg, "k1")
		tokens := mint(b, key, m.tokens)
		for _, bench := range []struct {
			name  string
			cache func() *jwt.Cache
		}{
			{"without a cache", func() *jwt.Cache { return nil }},
			{"cached", func() *jwt.Cache { return jwt.NewCache(64<<20, new(jwt.CacheCounters)) }},
		} {
			b.Run(m.alg.String()+"/"+bench.name, func(b *testing.B) {
				var a *jwt.Admission
				i := 0
				b.ReportAllocs()
				before := cpuTime(b)
				defer func() { b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op") }()
				for b.Loop() {
					if i%len(tokens) == 0 {
						b.StopTimer()
						if a == nil || m.tokens < 100_000 { // otherwise the first have gone when their turn comes again
							a = missed(b, key, bench.cache())
						}
						b.StartTimer()
					}
					if _, _, err := a.Admit(b.Context(), tokens[i%len(tokens)], now, nil); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		}
	}
}
