package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/jose"
)

// turning is a provider's keys that can be replaced, as a key source replaces its own, and that count the signatures.
type turning struct {
	set        atomic.Pointer[jose.Set]
	generation atomic.Uint64
	signatures atomic.Int64
	accepted   atomic.Int64
}

func (r *turning) use(tb testing.TB, signers ...*jose.SigningKey) {
	tb.Helper()
	r.set.Store(ring(tb, signers...).set)
	r.generation.Add(1)
}

func (r *turning) Keys(_ context.Context, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	if found := r.set.Load().Candidates(kid, alg); len(found) > 0 {
		r.signatures.Add(1) // keys are asked for only to verify one
		return found, nil
	}
	return nil, keys.ErrUnknownKey
}

func (r *turning) Generation() uint64 { return r.generation.Load() }
func (r *turning) Verified(*jose.Key) { r.accepted.Add(1) }

// cached is an API with a cache.
type cached struct {
	tb       testing.TB
	key      *jose.SigningKey
	keys     *turning
	counters *jwt.CacheCounters
	cache    *jwt.Cache
	*jwt.Admission
}

func newCached(tb testing.TB, alg jose.Algorithm, change ...func(*gate.Provider)) *cached {
	tb.Helper()
	c := &cached{tb: tb, key: signer(tb, alg, "k1"), keys: new(turning), counters: new(jwt.CacheCounters)}
	c.keys.use(tb, c.key)
	c.cache = jwt.NewCache(jwt.MinCacheBytes, c.counters)
	c.Admission = c.api(subjectHeader, change...)
	return c
}

// api is another API with the same cache and keys.
func (c *cached) api(rules jwt.Rules, change ...func(*gate.Provider)) *jwt.Admission {
	c.tb.Helper()
	algorithm := func(p *gate.Provider) { p.Algorithms = []string{c.key.Algorithm().String()} }
	v := verifier(c.tb, compile(c.tb, provider(append([]func(*gate.Provider){algorithm}, change...)...), c.keys))
	return jwt.NewAdmission(v, rules, c.cache, nil)
}

func (c *cached) token(change object) string { return sign(c.tb, c.key, jose.SigningHeader{}, change) }

func (c *cached) status() gate.TokenCacheStatus { return c.counters.Status(c.cache) }

// subjectHeader are the rules of an API that forwards the subject.
func subjectHeader(id *gate.Identity, _ *gate.Trace) (gate.Header, error) {
	return gate.Header{{Name: "X-User", Value: id.Subject}}, nil
}

// admit admits and checks how it went and whether a signature was verified for it.
func (c *cached) admit(a *jwt.Admission, token string, at time.Time, want gate.Reason, signature bool) {
	c.tb.Helper()
	before := c.keys.signatures.Load()
	_, _, err := a.Admit(context.Background(), token, at, nil)
	if got := reasonOf(c.tb, err); got != want {
		c.tb.Errorf("reason %q, want %q", got, want)
	}
	if got := c.keys.signatures.Load() > before; got != signature {
		c.tb.Errorf("signature verified: %v, want %v", got, signature)
	}
}

func TestCacheRemembers(t *testing.T) {
	c := newCached(t, jose.ES256)
	token := c.token(nil)
	id, fields, err := c.Admit(t.Context(), token, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, fieldsAgain, err := c.Admit(t.Context(), strings.Clone(token), now, nil)
	if err != nil || again != id {
		t.Errorf("another identity, %v", err)
	}
	want := gate.Header{{Name: "X-User", Value: "alice"}}
	if diff := cmp.Diff([]gate.Header{want, want}, []gate.Header{fields, fieldsAgain}); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if n := c.keys.signatures.Load(); n != 1 {
		t.Errorf("%d signatures verified", n)
	}
	if got := c.status(); got.Hits != 1 || got.Misses != 1 || got.Entries != 1 || got.Bytes <= int64(len(token)) || got.MaxBytes != jwt.MinCacheBytes {
		t.Errorf("%+v", got)
	}
}

func TestCacheIsBypassed(t *testing.T) {
	t.Run("by explanations", func(t *testing.T) {
		c := newCached(t, jose.ES256)
		token := c.token(nil)
		c.admit(c.Admission, token, now, "", true)
		trace := new(gate.Trace)
		if _, _, err := c.Admit(t.Context(), token, now, trace); err != nil || c.keys.signatures.Load() != 2 || len(trace.Checks) < 10 {
			t.Errorf("%v, %d signatures, %d checks", err, c.keys.signatures.Load(), len(trace.Checks))
		}
	})
	t.Run("by what was refused", func(t *testing.T) {
		c := newCached(t, jose.ES256)
		refusing := c.api(func(*gate.Identity, *gate.Trace) (gate.Header, error) { return nil, gate.Deny(gate.ReasonClaims, nil) })
		for range 2 {
			c.admit(c.Admission, c.token(object{"aud": "other"}), now, gate.ReasonAudienceMismatch, true)
			c.admit(c.Admission, c.token(object{"exp": 1}), now, gate.ReasonExpired, true)
			c.admit(refusing, c.token(nil), now, gate.ReasonClaims, true)
		}
		if got := c.status(); got.Entries != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("by long tokens", func(t *testing.T) {
		c := newCached(t, jose.ES256)
		token := c.token(object{"text": strings.Repeat("x", 7<<10)})
		for range 2 {
			c.admit(c.Admission, token, now, "", true)
		}
		if got := c.status(); got.Entries != 0 || len(token) < 8<<10 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("by short tokens that unfold", func(t *testing.T) {
		c := newCached(t, jose.ES256)
		token := c.token(object{"list": slices.Repeat([]int{1}, 1000)})
		for range 2 {
			c.admit(c.Admission, token, now, "", true)
		}
		if got := c.status(); got.Entries != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestCacheExpiredEntriesGo: what nobody asks for any more goes too, while others come.
func TestCacheExpiredEntriesGo(t *testing.T) {
	c := newCached(t, jose.HS256)
	for i := range 200 {
		c.admit(c.Admission, c.token(object{"jti": fmt.Sprint(i), "exp": now.Unix() + 60}), now, "", true)
	}
	for i := range 400 { // they look at all places, and some
		c.admit(c.Admission, c.token(object{"jti": fmt.Sprint("later ", i)}), now.Add(2*time.Minute), "", true)
	}
	if got := c.status(); got.Entries > 410 {
		t.Errorf("expired entries are still there: %+v", got)
	}
}

// TestCacheMemory: what the cache says that it takes is what it takes.
func TestCacheMemory(t *testing.T) {
	c := newCached(t, jose.HS256)
	const mib = 16
	cache := jwt.NewCache(mib<<20, c.counters)
	a := jwt.NewAdmission(verifier(t, compile(t, provider(func(p *gate.Provider) { p.Algorithms = []string{"HS256"} }), c.keys)), subjectHeader, cache, nil)
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, said := heap(), c.counters.Status(cache).Bytes
	for i := range 4000 {
		token := c.token(object{"jti": fmt.Sprint(i), "realm_access": object{"roles": []string{"user", "editor"}}, "name": "Zo\u00eb \"quoted\""})
		if _, _, err := a.Admit(t.Context(), token, now, nil); err != nil {
			t.Fatal(err)
		}
	}
	status := c.counters.Status(cache)
	grown := heap() - before
	said = status.Bytes - said
	t.Logf("%d entries, %d bytes each; said %d", status.Entries, grown/int64(status.Entries), said/int64(status.Entries))
	if status.Entries < 3900 || said < grown*9/10 || said > grown*14/10 {
		t.Errorf("the heap has grown by %d bytes, the cache says %d: %+v", grown, said, status)
	}
	runtime.KeepAlive(cache)
}

// TestCacheIsConcurrent: requests, key changes and the end of the cache, all at once; everybody gets the identity of his own token.
func TestCacheIsConcurrent(t *testing.T) {
	c := newCached(t, jose.HS256)
	second := c.api(func(*gate.Identity, *gate.Trace) (gate.Header, error) {
		return gate.Header{{Name: "X-Second", Value: "1"}}, nil
	})
	tokens := make([]string, 100)
	for i := range tokens {
		tokens[i] = c.token(object{"sub": fmt.Sprint("user ", i)})
	}
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range 2000 {
				n := (i*7 + g) % len(tokens)
				a, name := c.Admission, "X-User"
				if i%3 == 0 {
					a, name = second, "X-Second"
				}
				id, fields, err := a.Admit(context.Background(), tokens[n], now, nil)
				if err != nil || id.Subject != fmt.Sprint("user ", n) || len(fields) != 1 || fields[0].Name != name {
					t.Errorf("token %d: %+v, %v, %v", n, id, fields, err)
					return
				}
				switch {
				case g == 0 && i%100 == 0:
					c.keys.use(t, c.key)
				case g == 1 && i == 1500:
					c.cache.Close()
				case g == 2 && i%50 == 0:
					c.status()
				}
			}
		})
	}
	group.Wait()
	if got := c.status(); got.Entries != 0 || got.Hits == 0 {
		t.Errorf("%+v", got)
	}
}

// TestCacheAgainstNone: with a cache every verdict is what it is without one, whatever happens to clocks and keys.
func TestCacheAgainstNone(t *testing.T) {
	first, second := signer(t, jose.HS256, "k1"), signer(t, jose.HS256, "k2")
	rapid.Check(t, func(rt *rapid.T) {
		c := newCached(t, jose.HS256)
		lax := func(id *gate.Identity, _ *gate.Trace) (gate.Header, error) {
			return gate.Header{{Name: "X-Lax", Value: id.Subject}}, nil
		}
		strict := func(id *gate.Identity, _ *gate.Trace) (gate.Header, error) {
			if id.Subject != "0" {
				return nil, gate.Deny(gate.ReasonClaims, nil)
			}
			return gate.Header{{Name: "X-Strict", Value: id.Subject}}, nil
		}
		plain := verifier(t, compile(t, provider(func(p *gate.Provider) { p.Algorithms = []string{"HS256"} }), c.keys))
		var with, without []*jwt.Admission
		for _, rules := range []jwt.Rules{lax, strict} {
			with = append(with, c.api(rules))
			without = append(without, jwt.NewAdmission(plain, rules, nil, nil))
		}
		var tokens []string
		for i := range 6 {
			key := []*jose.SigningKey{first, second}[i%2]
			tokens = append(tokens, sign(t, key, jose.SigningHeader{}, object{
				"sub": fmt.Sprint(i % 3), "exp": now.Unix() + int64(i*30), "nbf": now.Unix() - int64(i*20), "iat": nil,
			}))
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if rapid.IntRange(0, 9).Draw(rt, "what") == 0 {
				sets := [][]*jose.SigningKey{{first}, {second}, {first, second}}
				c.keys.use(t, sets[rapid.IntRange(0, 2).Draw(rt, "keys")]...)
				continue
			}
			i := rapid.IntRange(0, 1).Draw(rt, "api")
			token := rapid.SampledFrom(tokens).Draw(rt, "token")
			at := now.Add(time.Duration(rapid.IntRange(-150, 200).Draw(rt, "at")) * time.Second)
			wantID, wantFields, wantErr := without[i].Admit(context.Background(), token, at, nil)
			id, fields, err := with[i].Admit(context.Background(), token, at, nil)
			if reasonOf(t, err) != reasonOf(t, wantErr) {
				rt.Fatalf("%v, without a cache %v", err, wantErr)
			}
			if err == nil && (id.Subject != wantID.Subject || id.KeyID != wantID.KeyID || !slices.Equal(fields, wantFields)) {
				rt.Fatalf("%+v %v, without a cache %+v %v", id, fields, wantID, wantFields)
			}
		}
	})
}

// TestCacheHitAllocations: a token seen before costs no memory.
func TestCacheHitAllocations(t *testing.T) {
	c := newCached(t, jose.RS256)
	token := c.token(object{"scope": "a b", "nbf": now.Unix()})
	if n := testing.AllocsPerRun(200, func() {
		if _, _, err := c.Admit(context.Background(), token, now, nil); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCacheClientGone: a request that ended while it waited for keys leaves nothing behind that another could be given.
func TestCacheClientGone(t *testing.T) {
	c := newCached(t, jose.ES256)
	v := verifier(t, compile(t, provider(), waiting{c.keys}))
	a := jwt.NewAdmission(v, subjectHeader, c.cache, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := a.Admit(ctx, c.token(nil), now, nil); reasonOf(t, err) != gate.ReasonClientGone {
		t.Error(err)
	}
	c.admit(a, c.token(nil), now, "", true)
}

// waiting are keys that a request which has ended does not get.
type waiting struct{ *turning }

func (w waiting) Keys(ctx context.Context, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(keys.ErrUnavailable, err)
	}
	return w.turning.Keys(ctx, kid, alg)
}

// TestCacheCountsEveryToken: that a key is still in use shows, also where its tokens are remembered.
func TestCacheCountsEveryToken(t *testing.T) {
	c := newCached(t, jose.ES256)
	token := sign(t, c.key, jose.SigningHeader{}, nil)
	for range 5 {
		if _, _, err := c.Admit(t.Context(), token, now, nil); err != nil {
			t.Fatal(err)
		}
	}
	if accepted, signatures := c.keys.accepted.Load(), c.keys.signatures.Load(); accepted != 5 || signatures != 1 {
		t.Errorf("%d tokens counted and %d signatures verified, want 5 and 1", accepted, signatures)
	}
}
