package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
	"github.com/jotgate/jotgate/jose"
)

const secret = "a secret of more than thirty-two bytes"

func open(t *testing.T, s store.Store, log *slog.Logger) *Directory {
	t.Helper()
	d := Open(s, log)
	t.Cleanup(d.Close)
	if err := d.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func publicPEM(t *testing.T, alg jose.Algorithm) string {
	t.Helper()
	key, err := jose.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A credential is made, found by its ID, changed and deleted; its secret is in nothing that is shown.
func TestLife(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	var logged bytes.Buffer
	d, now := open(t, s, slog.New(slog.NewTextHandler(&logged, nil))), time.Now()
	made, err := d.Create(t.Context(), Credential{ID: "alice-laptop", Name: "laptop", Subject: "alice", Groups: []string{"staff"}, PublicKey: ""}, secret, now)
	if err != nil {
		t.Fatal(err)
	}
	before := d.Generation()
	if found := d.Find("alice-laptop"); found == nil || found.Subject != "alice" || !found.Key().Fits(jose.HS256) || found.Key().Fits(jose.RS256) {
		t.Errorf("%+v", found)
	}
	if d.Find("alice") != nil || d.Find("") != nil || d.Find("alice-laptop ") != nil {
		t.Error("found by another name")
	}
	if _, err := d.Create(t.Context(), Credential{ID: "alice-laptop", Name: "again"}, secret, now); !errors.Is(err, ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	changed := *made
	changed.Suspended = true
	after, err := d.Update(t.Context(), made.ID, changed, "", store.IfVersion(made.Version), now)
	if err != nil || !after.Suspended || after.Key() == nil || d.Generation() == before {
		t.Fatalf("%+v, %v", after, err)
	}
	if _, err := d.Update(t.Context(), made.ID, changed, "", store.IfVersion(made.Version), now); !errors.Is(err, store.ErrConflict) {
		t.Errorf("at the old version: %v", err)
	}
	// From a secret to a public key, and back.
	changed.Suspended, changed.PublicKey = false, publicPEM(t, jose.EdDSA)
	if after, err = d.Update(t.Context(), made.ID, changed, "", store.Always(), now); err != nil || !after.Key().Fits(jose.EdDSA) || after.Key().Fits(jose.HS256) {
		t.Fatalf("%+v, %v", after, err)
	}
	if after, err = d.Update(t.Context(), made.ID, *after, secret, store.Always(), now); err != nil || after.PublicKey != "" || !after.Key().Fits(jose.HS256) {
		t.Fatalf("%+v, %v", after, err)
	}
	shown, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	page, err := d.Page(t.Context(), "", 10)
	if err != nil || len(page) != 1 {
		t.Fatal(page, err)
	}
	if all := string(shown) + fmt.Sprintf("%+v %#v %v", after, after, page[0]) + logged.String(); strings.Contains(all, secret) {
		t.Error("the secret is shown")
	}
	if err := d.Delete(t.Context(), made.ID, store.Always()); err != nil {
		t.Fatal(err)
	}
	if d.Find("alice-laptop") != nil {
		t.Error("found after it was deleted")
	}
	if _, err := d.Get(t.Context(), made.ID); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// That a credential has ended is no reason to leave it as it is; its end may be moved, but not to the past.
func TestEndedCanBeChanged(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	d, now := open(t, s, discard()), time.Now()
	made, err := d.Create(t.Context(), Credential{ID: "brief", Name: "n", Expires: now.Add(time.Hour)}, secret, now)
	if err != nil {
		t.Fatal(err)
	}
	later, changed := now.Add(2*time.Hour), *made
	changed.Suspended = true
	if after, err := d.Update(t.Context(), made.ID, changed, "", store.Always(), later); err != nil || !after.Suspended {
		t.Errorf("%+v, %v", after, err)
	}
	changed.Expires = now.Add(90 * time.Minute)
	if _, err := d.Update(t.Context(), made.ID, changed, "", store.Always(), later); err == nil || !strings.Contains(err.Error(), "past") {
		t.Errorf("moved to another moment of the past: %v", err)
	}
	changed.Expires = later.Add(time.Hour)
	if after, err := d.Update(t.Context(), made.ID, changed, "", store.Always(), later); err != nil || !after.Expires.Equal(changed.Expires) {
		t.Errorf("%+v, %v", after, err)
	}
}

func TestCheckNew(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		c      Credential
		secret string
		want   string
	}{
		{Credential{ID: "a", Name: "n"}, secret, ""},
		{Credential{ID: "a", Name: "n", PublicKey: publicPEM(t, jose.ES256)}, "", ""},
		{Credential{Name: "n"}, secret, "id: is missing"},
		{Credential{ID: "a"}, secret, "name: is missing"},
		{Credential{ID: "a\n", Name: "n"}, secret, "id: holds"},
		{Credential{ID: strings.Repeat("a", 257), Name: "n"}, secret, "id: longer"},
		{Credential{ID: "a", Name: "n"}, "", "secret or public_key: one"},
		{Credential{ID: "a", Name: "n"}, "short", "secret: "},
		{Credential{ID: "a", Name: "n"}, strings.Repeat("a", 1025), "secret: longer"},
		{Credential{ID: "a", Name: "n"}, publicPEM(t, jose.ES256), "secret: "},
		{Credential{ID: "a", Name: "n", PublicKey: publicPEM(t, jose.ES256)}, secret, "secret and public_key: only"},
		{Credential{ID: "a", Name: "n", PublicKey: "no key"}, "", "public_key: "},
		{Credential{ID: "a", Name: "n", PublicKey: publicPEM(t, jose.ES256) + publicPEM(t, jose.EdDSA)}, "", "public_key: 2 keys"},
		{Credential{ID: "a", Name: "n", Expires: now}, secret, "expires: is in the past"},
		{Credential{ID: "a", Name: "n", Groups: []string{""}}, secret, "groups[0]: is empty"},
		{Credential{ID: "a", Name: "n", Policies: make([]string, 101)}, secret, "policies: more than 100"},
	} {
		err := CheckNew(&test.c, test.secret, now)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.c.ID, err, test.want)
		}
		if err == nil && test.c.Subject != "a" {
			t.Errorf("subject %q", test.c.Subject)
		}
		if err != nil && test.secret != "" && strings.Contains(err.Error(), test.secret) {
			t.Error("the error repeats the secret")
		}
	}
}

// What is stored and cannot be read verifies nothing, and neither does what has no material, or is stored under the name of another; the log does not repeat it.
func TestUnreadable(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	for id, text := range map[string]string{
		"broken":  `{"id":"broken","secret":"` + secret,
		"typed":   `{"id":"typed","secret":["` + secret + `"]}`,
		"nothing": `{"id":"nothing","name":"n","subject":"nothing"}`,
		"empty":   `{"id":"empty","name":"n","subject":"empty","secret":""}`,
		"short":   `{"id":"short","name":"n","subject":"short","secret":"x"}`,
		"other":   `{"id":"admin","name":"n","subject":"admin","secret":"` + secret + `"}`,
	} {
		if _, err := s.Put(t.Context(), prefix+id, []byte(text), 0, store.Always()); err != nil {
			t.Fatal(err)
		}
	}
	var logged bytes.Buffer
	d := open(t, s, slog.New(slog.NewTextHandler(&logged, nil)))
	for _, id := range []string{"broken", "typed", "nothing", "empty", "short", "other", "admin"} {
		if c := d.Find(id); c != nil && (c.Key() != nil || !c.Suspended) {
			t.Errorf("%s verifies something", id)
		}
	}
	if strings.Contains(logged.String(), secret) || !strings.Contains(logged.String(), "verifies nothing") {
		t.Error("the log holds a secret, or nothing of the failure")
	}
}

// Whoever makes up names costs nothing.
func TestFindAllocatesNothing(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	d := open(t, s, discard())
	if n := testing.AllocsPerRun(100, func() {
		if d.Find("unknown") != nil {
			t.Error("found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
