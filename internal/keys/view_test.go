package keys

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jotgate/jotgate/jose"
)

// Without a kid, at most four keys are tried; with one, only keys of that kid, unless no key has any.
func TestFind(t *testing.T) {
	es := func(kid string) *jose.Key { return testKey(t, kid, jose.ES256) }
	plain := testKey(t, "plain", jose.ES256).WithKeyID("")
	bare := func(n int) *jose.Key { return testKey(t, fmt.Sprint("bare", n), jose.ES256).WithKeyID("") }
	for _, tc := range []struct {
		name   string
		keys   []*jose.Key
		anyKid bool
		kid    string
		alg    jose.Algorithm
		want   int
		err    error
	}{
		{"no keys", nil, false, "a", jose.ES256, 0, ErrUnavailable},
		{"kid", []*jose.Key{es("a"), es("b")}, false, "a", jose.ES256, 1, nil},
		{"unknown kid", []*jose.Key{es("a"), es("b")}, false, "c", jose.ES256, 0, ErrUnknownKey},
		{"kid of another algorithm", []*jose.Key{es("a")}, false, "a", jose.ES384, 0, ErrUnknownKey},
		{"key without kid beside one with a kid, token with another", []*jose.Key{plain, es("b")}, false, "a", jose.ES256, 0, ErrUnknownKey},
		{"key without kid beside one with a kid for another algorithm", []*jose.Key{plain, testKey(t, "b", jose.EdDSA)}, false, "a", jose.ES256, 0, ErrUnknownKey},
		{"no key has a kid, token with one", []*jose.Key{plain, bare(1)}, false, "a", jose.ES256, 2, nil},
		{"no key has a kid, algorithm of none", []*jose.Key{plain}, false, "a", jose.ES384, 0, ErrUnknownKey},
		{"no key has a kid, symmetric algorithm", []*jose.Key{plain}, false, "a", jose.HS256, 0, ErrUnknownKey},
		{"no key of five has a kid", []*jose.Key{plain, bare(1), bare(2), bare(3), bare(4)}, false, "a", jose.ES256, 0, ErrAmbiguous},
		{"key without kid, where kids do not matter", []*jose.Key{plain}, true, "a", jose.ES256, 1, nil},
		{"neither has a kid", []*jose.Key{plain}, false, "", jose.ES256, 1, nil},
		{"token without kid", []*jose.Key{es("a"), es("b"), plain}, false, "", jose.ES256, 3, nil},
		{"four", []*jose.Key{es("a"), es("b"), es("c"), es("d")}, false, "", jose.ES256, 4, nil},
		{"five", []*jose.Key{es("a"), es("b"), es("c"), es("d"), es("e")}, false, "", jose.ES256, 0, ErrAmbiguous},
		{"five, but one fits", []*jose.Key{es("a"), es("b"), es("c"), es("d"), es("e"), testKey(t, "x", jose.Ed25519)}, false, "", jose.EdDSA, 0, ErrUnknownKey},
		{"invalid algorithm", []*jose.Key{es("a")}, false, "", 255, 0, ErrUnknownKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := (&view{anyKid: tc.anyKid}).next(tc.keys, true)
			got, err := v.find(candidate{tc.kid, tc.alg})
			if len(got) != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%d keys, %v", len(got), err)
			}
		})
	}
}

func TestNextView(t *testing.T) {
	a, b := testKey(t, "a", jose.ES256), testKey(t, "b", jose.ES256)
	again := a.WithKeyID("a") // equal, and another pointer
	v1 := new(view).next([]*jose.Key{a, again}, false)
	if len(v1.keys) != 1 || v1.generation != 1 {
		t.Fatalf("%+v", v1)
	}
	v1.tokens[a].Add(7)
	if v1.next([]*jose.Key{again}, false) != v1 {
		t.Error("equal keys made another view")
	}
	v2 := v1.next([]*jose.Key{again, b}, true)
	if v2.generation != 2 || v2.keys[0] != a || v2.tokens[a].Load() != 7 || v2.tokens[b].Load() != 0 {
		t.Errorf("%+v", v2)
	}
	other := testKey(t, "other", jose.ES256).WithKeyID("a")
	v3 := v2.next([]*jose.Key{other}, true)
	if v3.generation != 3 || v3.keys[0] != other || v3.tokens[a] != nil {
		t.Errorf("another key under the same kid: %+v", v3)
	}
	v4 := v3.next(nil, false)
	if v4.generation != 4 || len(v4.keys) != 0 {
		t.Errorf("%+v", v4)
	}
}

func TestKeyTypes(t *testing.T) {
	for alg, want := range map[jose.Algorithm]string{
		jose.HS256: "oct", jose.RS256: "RSA", jose.PS512: "RSA", jose.ES256: "EC", jose.ES256K: "EC", jose.EdDSA: "OKP", jose.Ed25519: "OKP", jose.MLDSA65: "AKP",
	} {
		if got := keyType(testKey(t, "k", alg)); got != want {
			t.Errorf("%s: %q", alg, got)
		}
	}
}

// The hot path allocates nothing, for keys that are known and for sources whose keys cannot change.
func TestKeysAllocates(t *testing.T) {
	idp := newIDP(t, body(setOf(t, "a", "b", "c", "d", "e")))
	s := acquire(t, newManager(t, ""), urlProvider(idp.URL))
	ready(t, s)
	ctx := t.Context()
	for _, kid := range []string{"a", ""} {
		if n := testing.AllocsPerRun(100, func() {
			keys, err := s.Keys(ctx, kid, jose.ES256)
			if err == nil {
				s.Verified(keys[0])
			}
			_ = s.Generation()
		}); n != 0 {
			t.Errorf("kid %q: %v allocations", kid, n)
		}
	}
}

func BenchmarkKeys(b *testing.B) {
	kids := make([]string, 20)
	for i := range kids {
		kids[i] = fmt.Sprint("key-", i)
	}
	idp := newIDP(b, body(setOf(b, kids...)))
	s := acquire(b, newManager(b, ""), urlProvider(idp.URL))
	ready(b, s)
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			keys, err := s.Keys(ctx, "key-7", jose.ES256)
			if err != nil {
				b.Fatal(err)
			}
			s.Verified(keys[0])
		}
	})
}
