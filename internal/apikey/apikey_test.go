package apikey

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
)

func open(t *testing.T, s store.Store) *Directory {
	t.Helper()
	d := Open(s, slog.New(slog.DiscardHandler))
	t.Cleanup(d.Close)
	if err := d.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func reasonOf(err error) gate.Reason {
	if err == nil {
		return ""
	}
	return gate.AsDenial(err).Reason
}

// TestLife: a key is made, found, suspended, resumed, limited to an API, and deleted; and its secret is nowhere.
func TestLife(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	d, now := open(t, s), time.Now()
	made, secret, err := d.Create(t.Context(), Key{Name: "ci", Owner: "alice", Groups: []string{"staff"}}, "", now)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, made.Prefix) || len(made.Prefix) != 9 || len(secret) < 40 || !Possible(secret) {
		t.Errorf("secret of %d characters, prefix %q", len(secret), made.Prefix)
	}
	items, err := s.List(t.Context(), prefix, "", 10)
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	if all := items[0].Key + string(items[0].Value); strings.Contains(all, secret) || strings.Contains(all, secret[9:]) {
		t.Error("the secret is in the store")
	}
	find := func(api string) gate.Reason {
		k, err := d.Find(secret, api, now)
		if err == nil && (k.ID != made.ID || k.Owner != "alice" || !cmp.Equal(k.Groups, []string{"staff"})) {
			t.Errorf("%+v", k)
		}
		return reasonOf(err)
	}
	if got := find("orders"); got != "" {
		t.Error(got)
	}
	change := func(change func(*Key)) {
		t.Helper()
		k, err := d.Get(t.Context(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		changed := *k
		change(&changed)
		after, err := d.Update(t.Context(), k.ID, changed, store.IfVersion(k.Version), now)
		if err != nil || after.Version == k.Version || !after.Created.Equal(made.Created) {
			t.Fatalf("%+v, %v", after, err)
		}
		if _, err := d.Update(t.Context(), k.ID, changed, store.IfVersion(k.Version), now); !errors.Is(err, store.ErrConflict) {
			t.Errorf("at the old version: %v", err)
		}
	}
	change(func(k *Key) { k.Suspended = true })
	if got := find("orders"); got != gate.ReasonAPIKeySuspended {
		t.Error(got)
	}
	change(func(k *Key) { k.Suspended, k.APIs = false, []string{"tickets"} })
	if got := find("orders"); got != gate.ReasonAPIKeyElsewhere {
		t.Error(got)
	}
	if got := find("tickets"); got != "" {
		t.Error(got)
	}
	change(func(k *Key) { k.Expires = now.Add(time.Hour) })
	now = now.Add(time.Hour)
	if got := find("tickets"); got != gate.ReasonAPIKeyExpired {
		t.Error(got)
	}
	if err := d.Delete(t.Context(), made.ID, store.Always()); err != nil {
		t.Fatal(err)
	}
	if got := find("tickets"); got != gate.ReasonAPIKeyUnknown {
		t.Error(got)
	}
	if err := d.Delete(t.Context(), made.ID, store.Always()); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if _, err := d.Get(t.Context(), made.ID); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestGivenSecret(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	d, now := open(t, s), time.Now()
	const given = "0123456789-abcdefghij"
	if _, secret, err := d.Create(t.Context(), Key{Name: "a"}, given, now); err != nil || secret != given {
		t.Fatal(secret, err)
	}
	if k, err := d.Find(given, "orders", now); err != nil || k.Prefix != "" {
		t.Errorf("%+v, %v", k, err)
	}
	if _, _, err := d.Create(t.Context(), Key{Name: "b"}, given, now); !errors.Is(err, ErrExists) {
		t.Errorf("the same secret again: %v", err)
	}
	for _, bad := range []string{"short", strings.Repeat("a", 257), "has.dots.like-a-token-has", "has a space in the middle", "ümläüte-müssen-draußen-sein"} {
		if _, _, err := d.Create(t.Context(), Key{Name: "c"}, bad, now); err == nil {
			t.Errorf("%q is taken", bad)
		}
		if _, err := d.Find(bad, "orders", now); reasonOf(err) != gate.ReasonAPIKeyUnknown {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPage(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	d := open(t, s)
	for range 25 {
		if _, _, err := d.Create(t.Context(), Key{Name: "a"}, "", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	for after := ""; ; {
		keys, err := d.Page(t.Context(), after, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		for _, k := range keys {
			if seen[k.ID] {
				t.Errorf("%s is there twice", k.ID)
			}
			seen[k.ID] = true
			after = k.ID
		}
	}
	if len(seen) != 25 {
		t.Errorf("%d keys", len(seen))
	}
}

func TestCheckKey(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		k    Key
		want string
	}{
		{Key{Name: "a", Groups: []string{"g"}, Expires: now.Add(time.Second)}, ""},
		{Key{}, "name: is missing"},
		{Key{Name: "a\nb"}, "name: holds"},
		{Key{Name: "a", Owner: strings.Repeat("a", 257)}, "owner: longer"},
		{Key{Name: "a", Application: "\xff"}, "application: holds"},
		{Key{Name: "a", Groups: []string{"g", ""}}, "groups[1]: is empty"},
		{Key{Name: "a", APIs: make([]string, 101)}, "apis: more than 100"},
		{Key{Name: "a", Expires: now}, "expires: is in the past"},
	} {
		err := test.k.Check(now)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.k, err, test.want)
		}
	}
}

// TestUnknownKeys: no key opens anything before the keys are known, nor one that cannot be read.
func TestUnknownKeys(t *testing.T) {
	s := memory.New(0)
	const secret = "0123456789-abcdefghij"
	if _, err := s.Put(t.Context(), hashOf(secret).key(), []byte(`{"id":`), 0, store.Always()); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, s).Find(secret, "orders", time.Now()); reasonOf(err) != gate.ReasonAPIKeySuspended {
		t.Errorf("an unreadable key: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d := Open(s, slog.New(slog.DiscardHandler))
	defer d.Close()
	if _, err := d.Find(secret, "orders", time.Now()); reasonOf(err) != gate.ReasonKeysUnknown {
		t.Error(err)
	}
}
