package credentials

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
)

// directory is a real one over a store of its own.
func directory(tb testing.TB) *apikey.Directory {
	tb.Helper()
	s := memory.New(0)
	d := apikey.Open(s, slog.New(slog.DiscardHandler))
	tb.Cleanup(func() { d.Close(); _ = s.Close() })
	if err := d.WaitLoaded(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return d
}

func create(tb testing.TB, d *apikey.Directory, k apikey.Key) (*apikey.Key, string) {
	tb.Helper()
	k.Name = "ci"
	made, secret, err := d.Create(tb.Context(), k, "", time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return made, secret
}

// counted are rules that count how often they are asked.
func counted(n *int) func(*gate.Identity, *gate.Trace) (gate.Header, error) {
	return func(id *gate.Identity, _ *gate.Trace) (gate.Header, error) {
		*n++
		id.Session = &gate.Session{Policies: []string{"p"}}
		return gate.Header{{Name: "X-Key", Value: id.Credential}}, nil
	}
}

// revocations refuse one owner from some generation on.
type revocations struct {
	generation uint64
	owner      string
}

func (r *revocations) Generation() uint64 { return r.generation }

func (r *revocations) Check(id *gate.Identity, _ time.Time) (uint64, error) {
	if id.Subject == r.owner {
		return r.generation, gate.Deny(gate.ReasonRevoked, nil)
	}
	return r.generation, nil
}

// What follows from a key is found out once, without allocating from then on; a change of the key, or a revocation, is in force at once.
func TestKnownKeys(t *testing.T) {
	d, now, asked := directory(t), time.Now(), 0
	k, secret := create(t, d, apikey.Key{Owner: "alice"})
	revoked := &revocations{generation: 1, owner: "bob"}
	keys := NewKeys(KeyOptions{API: "a", Directory: d, Revocations: revoked, Rules: counted(&asked), Cache: new(KeyCache)})
	admit := func() error {
		id, fields, err := keys.admit(secret, now, nil)
		if err == nil && (id.Credential != k.ID || id.Session == nil || fields.Get("X-Key") != k.ID) {
			t.Errorf("%+v, %v", id, fields)
		}
		return err
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := admit(); err != nil {
			t.Error(err)
		}
	}); n != 0 || asked != 1 {
		t.Errorf("%v allocations, rules asked %d times", n, asked)
	}
	changed := *k
	changed.Groups = []string{"g"}
	if _, err := d.Update(t.Context(), k.ID, changed, store.Always(), now); err != nil {
		t.Fatal(err)
	}
	if id, _, err := keys.admit(secret, now, nil); err != nil || len(id.Groups) != 1 || asked != 2 {
		t.Errorf("%+v, %v, rules asked %d times", id, err, asked)
	}
	revoked.generation, revoked.owner = 2, "alice"
	var denied *gate.Denial
	if err := admit(); !errors.As(err, &denied) || denied.Reason != gate.ReasonRevoked {
		t.Error(err)
	}
	trace := new(gate.Trace)
	if _, _, err := keys.admit(secret, now, trace); !errors.As(err, &denied) || denied.Reason != gate.ReasonRevoked {
		t.Error(err)
	}
	if text := fmt.Sprintf("%+v", trace); !strings.Contains(text, "token_revoked") || strings.Contains(text, secret) {
		t.Errorf("the trace lacks the refusal, or holds the key")
	}
	revoked.generation, revoked.owner = 3, "bob"
	if err := admit(); err != nil {
		t.Error(err)
	}
}

// Keys of different APIs do not share what follows, and however many keys there are, what is remembered is bounded.
func TestKeyCacheIsBounded(t *testing.T) {
	d, now, asked := directory(t), time.Now(), 0
	cache := new(KeyCache)
	a := NewKeys(KeyOptions{API: "a", Directory: d, Rules: counted(&asked), Cache: cache})
	b := NewKeys(KeyOptions{API: "b", Directory: d, Rules: counted(&asked), Cache: cache})
	_, secret := create(t, d, apikey.Key{})
	for range 3 {
		for _, keys := range []*Keys{a, b} {
			if _, _, err := keys.admit(secret, now, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if asked != 2 {
		t.Errorf("rules asked %d times", asked)
	}
	big := make([]string, 100)
	for i := range big {
		big[i] = fmt.Sprintf("%0100d", i)
	}
	_, huge := create(t, d, apikey.Key{Groups: big})
	asked = 0
	for range 3 {
		if id, _, err := a.admit(huge, now, nil); err != nil || len(id.Groups) != 100 {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("a key that is too large was remembered: rules asked %d times", asked)
	}
	full := 0
	for i := range 6 { // more than there are places in a set
		e := &knownKey{owner: a, key: &apikey.Key{ID: fmt.Sprint(i)}}
		cache.store(e, 7)
		if cache.find(a, e.key, 7) != e {
			t.Errorf("the entry just stored is not found")
		}
	}
	for i := range cache.sets[7] {
		if cache.sets[7][i].Load() != nil {
			full++
		}
	}
	if full != keyWays {
		t.Errorf("%d places are taken", full)
	}
}

// Requests with many keys, while these are changed, see each key as it is or was, and never another one's.
func TestKeysAreConcurrent(t *testing.T) {
	d, now := directory(t), time.Now()
	keys := NewKeys(KeyOptions{API: "a", Directory: d, Cache: new(KeyCache), Rules: func(id *gate.Identity, _ *gate.Trace) (gate.Header, error) {
		return gate.Header{{Name: "X-Owner", Value: id.Subject}}, nil
	}})
	var group sync.WaitGroup
	for i := range 8 {
		owner := fmt.Sprint("owner-", i)
		k, secret := create(t, d, apikey.Key{Owner: owner})
		for range 2 {
			group.Go(func() {
				for range 50 {
					id, fields, err := keys.admit(secret, now, nil)
					if err != nil || id.Subject != owner || fields.Get("X-Owner") != owner {
						t.Errorf("%s: %+v, %v, %v", owner, id, fields, err)
					}
				}
			})
		}
		group.Go(func() {
			for n := range 10 {
				changed := *k
				changed.Name = fmt.Sprint("name-", n)
				if _, err := d.Update(t.Context(), k.ID, changed, store.Always(), now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkKnownKey is what a key in use costs.
func BenchmarkKnownKey(b *testing.B) {
	d, now, asked := directory(b), time.Now(), 0
	_, secret := create(b, d, apikey.Key{Owner: "alice"})
	keys := NewKeys(KeyOptions{API: "a", Directory: d, Rules: counted(&asked), Cache: new(KeyCache)})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := keys.admit(secret, now, nil); err != nil {
			b.Fatal(err)
		}
	}
}
