package revoke

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
)

func open(t *testing.T, s store.Store) *List {
	t.Helper()
	l := Open(s, slog.New(slog.DiscardHandler))
	t.Cleanup(l.Close)
	if err := l.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCheck(t *testing.T) {
	const claims = `{"iss":"https://id.example","sub":"alice","jti":"t-1","sid":"s-1","client_id":"spa","iat":1795435200.5}`
	issued := time.Unix(1795435200, 5e8)
	for _, test := range []struct {
		name string
		r    Revocation
		want bool
	}{
		{"token", Revocation{Kind: Token, Issuer: "https://id.example", Value: "t-1"}, true},
		{"session", Revocation{Kind: Session, Issuer: "https://id.example", Value: "s-1"}, true},
		{"client", Revocation{Kind: Client, Issuer: "https://id.example", Value: "spa"}, true},
		{"key", Revocation{Kind: Key, Issuer: "https://id.example", Value: "key-1"}, true},
		{"subject", Revocation{Kind: Subject, Issuer: "https://id.example", Value: "alice"}, true},
		{"any issuer", Revocation{Kind: Subject, Issuer: AnyIssuer, Value: "alice"}, true},
		{"other issuer", Revocation{Kind: Subject, Issuer: "https://other.example", Value: "alice"}, false},
		{"no issuer", Revocation{Kind: Subject, Value: "alice"}, false},
		{"other kind", Revocation{Kind: Token, Issuer: "https://id.example", Value: "alice"}, false},
		{"other case", Revocation{Kind: Subject, Issuer: "https://id.example", Value: "Alice"}, false},
		{"issued before", Revocation{Kind: Subject, Issuer: "https://id.example", Value: "alice", IssuedBefore: issued.Add(time.Second)}, true},
		{"issued in that second", Revocation{Kind: Subject, Issuer: "https://id.example", Value: "alice", IssuedBefore: issued.Truncate(time.Second)}, true},
		{"issued after", Revocation{Kind: Subject, Issuer: "https://id.example", Value: "alice", IssuedBefore: issued.Add(-time.Second)}, false},
		{"issued before 1970", Revocation{Kind: Subject, Issuer: "https://id.example", Value: "alice", IssuedBefore: time.Unix(-5, 0)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := memory.New(0)
			defer s.Close()
			l := open(t, s)
			id := identity(t, claims)
			before, err := l.Check(id, now)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Add(t.Context(), test.r, now); err != nil {
				t.Fatal(err)
			}
			if l.Generation() == before {
				t.Error("the generation is the same: who passed before is not asked again")
			}
			_, err = l.Check(id, now)
			if (err != nil) != test.want || err != nil && gate.AsDenial(err).Reason != gate.ReasonRevoked {
				t.Errorf("%v", err)
			}
			if err := l.Remove(t.Context(), test.r.Key()); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Check(id, now); err != nil {
				t.Errorf("after it was removed: %v", err)
			}
			if err := l.Remove(t.Context(), test.r.Key()); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("removed twice: %v", err)
			}
		})
	}
}

// TestCheckWithoutTime: a token that does not say when it was issued was issued before anything.
func TestCheckWithoutTime(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	l := open(t, s)
	if err := l.Add(t.Context(), Revocation{Kind: Subject, Value: "alice", IssuedBefore: time.Unix(1, 0)}, now); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Check(identity(t, `{"sub":"alice"}`), now); err == nil {
		t.Error("it passes")
	}
	if _, err := l.Check(identity(t, `{"sub":"bob"}`), now); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

// TestCheckCredentials: an API key and an individual key are taken back by the ID that the gateway gave them, whatever their tokens say of an issuer and a key.
func TestCheckCredentials(t *testing.T) {
	created := time.Unix(1795435200, 0)
	apiKey := &gate.Identity{Subject: "alice", Credential: "c-1", Issued: created}
	individual := &gate.Identity{Issuer: "https://made-up.example", Subject: "alice", KeyID: "c-1", Credential: "c-1", Issued: created}
	for _, test := range []struct {
		name string
		id   *gate.Identity
		r    Revocation
		want bool
	}{
		{"API key", apiKey, Revocation{Kind: Key, Value: "c-1"}, true},
		{"API key, any issuer", apiKey, Revocation{Kind: Key, Issuer: AnyIssuer, Value: "c-1"}, true},
		{"API key, an issuer's key of that name", apiKey, Revocation{Kind: Key, Issuer: "https://id.example", Value: "c-1"}, false},
		{"API key, another", apiKey, Revocation{Kind: Key, Value: "c-2"}, false},
		{"API key as a token", apiKey, Revocation{Kind: Token, Value: "c-1"}, false},
		{"API key made before", apiKey, Revocation{Kind: Key, Value: "c-1", IssuedBefore: created}, true},
		{"API key made after", apiKey, Revocation{Kind: Key, Value: "c-1", IssuedBefore: created.Add(-time.Second)}, false},
		{"API keys of an owner", apiKey, Revocation{Kind: Subject, Value: "alice"}, true},
		{"individual key", individual, Revocation{Kind: Key, Value: "c-1"}, true},
		{"individual key, any issuer", individual, Revocation{Kind: Key, Issuer: AnyIssuer, Value: "c-1"}, true},
		{"individual key, its issuer", individual, Revocation{Kind: Key, Issuer: "https://made-up.example", Value: "c-1"}, true},
		{"individual key, another", individual, Revocation{Kind: Key, Value: "c-2"}, false},
		{"token of no credential", &gate.Identity{Issuer: "https://id.example", KeyID: "c-1"}, Revocation{Kind: Key, Value: "c-1"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := memory.New(0)
			defer s.Close()
			l := open(t, s)
			if err := l.Add(t.Context(), test.r, now); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Check(test.id, now); (err != nil) != test.want || err != nil && gate.AsDenial(err).Reason != gate.ReasonRevoked {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestOtherGateways: what one gateway takes back is in force at the others that share the store within a second, and after a restart.
func TestOtherGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		here, there := open(t, s), open(t, s)
		r := Revocation{Kind: Subject, Issuer: "https://id.example", Value: "alice", Expires: time.Now().Add(time.Hour)}
		id := identity(t, `{"iss":"https://id.example","sub":"alice"}`)
		if err := here.Add(t.Context(), r, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for name, l := range map[string]*List{"here": here, "there": there, "later": open(t, s)} {
			if _, err := l.Check(id, time.Now()); err == nil {
				t.Errorf("%s it passes", name)
			}
			if _, err := l.Check(id, time.Now().Add(2*time.Hour)); err != nil {
				t.Errorf("%s after its end: %v", name, err)
			}
		}
		page, err := there.Page(t.Context(), "", 10)
		if err != nil || len(page) != 1 || page[0].Value != "alice" {
			t.Errorf("%v, %v", page, err)
		}
		if err := there.Remove(t.Context(), r.Key()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := here.Check(id, time.Now()); err != nil {
			t.Errorf("after it was removed there: %v", err)
		}
	})
}

// TestUnknownList: nothing passes before the list is known.
func TestUnknownList(t *testing.T) {
	s := memory.New(0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l := Open(s, slog.New(slog.DiscardHandler))
	defer l.Close()
	if _, err := l.Check(identity(t, `{}`), now); err == nil || gate.AsDenial(err).Reason != gate.ReasonRevocationsUnknown {
		t.Errorf("%v", err)
	}
}

// TestUnreadable: a stored revocation that makes no sense takes back all that its key names.
func TestUnreadable(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	r := Revocation{Kind: Subject, Value: "alice", IssuedBefore: time.Unix(1, 0)}
	if _, err := s.Put(t.Context(), r.Key(), []byte(`{"kind":`), 0, store.Always()); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, s).Check(identity(t, `{"sub":"alice","iat":1000}`), now); err == nil {
		t.Error("it passes")
	}
}

func BenchmarkCheck(b *testing.B) {
	s := memory.New(0)
	defer s.Close()
	l := Open(s, slog.New(slog.DiscardHandler))
	defer l.Close()
	if err := l.WaitLoaded(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := l.Add(b.Context(), Revocation{Kind: Subject, Value: "bob"}, time.Now()); err != nil {
		b.Fatal(err)
	}
	id := &gate.Identity{Issuer: "https://id.example", Subject: "alice", KeyID: "key-1", ClientID: "spa"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Check(id, now); err != nil {
			b.Fatal(err)
		}
	}
}
