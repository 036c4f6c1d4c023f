package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/source/api"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
)

// check knows one rule: access rules name plans that there are.
func check(c *gate.Config) (problems gate.Problems) {
	plans := make(map[string]bool)
	for i := range c.Plans {
		plans[c.Plans[i].Name] = true
	}
	for i := range c.AccessRules {
		if r := &c.AccessRules[i]; r.Plan != "" && !plans[r.Plan] {
			problems = append(problems, r.Origin.Problem("plan", "", "there is no plan called %q", r.Plan))
		}
	}
	return problems
}

func open(t *testing.T, s store.Store, apply func(context.Context) error) *api.Nouns {
	t.Helper()
	n := api.Open(api.Options{Store: s, Log: slog.New(slog.DiscardHandler), Check: check, Apply: apply})
	t.Cleanup(n.Close)
	if err := n.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func applied(context.Context) error { return nil }

func namesOf(nouns []api.Noun) (out []string) {
	for _, n := range nouns {
		name := n.Name
		if n.Configured {
			name += " (configured)"
		}
		out = append(out, name)
	}
	return out
}

const rule = `{"name": "r1", "everyone": true, "apis": ["*"], "plan": "p1"}`

func TestNouns(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	times := 0
	n := open(t, s, func(context.Context) error { times++; return nil })
	documents := &gate.Config{Plans: []gate.Plan{{Name: "fixed"}}}
	n.Adopt(documents, 0)
	ctx := t.Context()

	// The rule needs its plan, and the plan stays while the rule needs it.
	_, err := n.Put(ctx, api.AccessRules, "r1", []byte(rule), store.Always())
	var problems gate.Problems
	if !errors.As(err, &problems) || problems[0].Error() != `management API:1:57: access[r1].plan: there is no plan called "p1"` {
		t.Errorf("%v", err)
	}
	plan, err := n.Put(ctx, api.Plans, "p1", []byte("name: p1\nrate: {limit: 5}\n"), store.IfVersion(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Put(ctx, api.AccessRules, "r1", []byte(rule), store.Always()); err != nil {
		t.Fatal(err)
	}
	if err := n.Delete(ctx, api.Plans, "p1", store.Always()); !errors.As(err, &problems) {
		t.Errorf("%v", err)
	}
	if times != 2 {
		t.Errorf("taken over %d times", times)
	}
	if diff := cmp.Diff([]string{"fixed (configured)", "p1"}, namesOf(n.List(api.Plans))); diff != "" {
		t.Error(diff)
	}
	joined, _, problems := n.Join(documents)
	if len(problems) > 0 || len(joined.Plans) != 2 || len(joined.AccessRules) != 1 || joined.Plans[1].Rate.Limit != 5 || joined.Plans[1].Rate.Period != time.Second {
		t.Errorf("%+v, %v", joined, problems)
	}
	if !n.Stale() {
		t.Error("what was only joined counts as in force")
	}
	if len(documents.Plans) != 1 {
		t.Error("the documents have changed")
	}

	// Versions.
	if _, err := n.Put(ctx, api.Plans, "p1", []byte(`{"name": "p1"}`), store.IfVersion(0)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("made twice: %v", err)
	}
	again, err := n.Put(ctx, api.Plans, "p1", []byte(`{"name": "p1", "rate": {"limit": 6}}`), store.IfVersion(plan.Version))
	if err != nil || again.Version == plan.Version {
		t.Fatal(again, err)
	}
	if err := n.Delete(ctx, api.AccessRules, "r1", store.IfVersion(plan.Version+1000)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("deleted at another version: %v", err)
	}
	if err := n.Delete(ctx, api.AccessRules, "r1", store.Always()); err != nil {
		t.Fatal(err)
	}
	if err := n.Delete(ctx, api.AccessRules, "r1", store.Always()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := n.Get(api.AccessRules, "r1"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// TestRefused: what is wrong is not stored, and says where.
func TestRefused(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	n := open(t, s, applied)
	n.Adopt(&gate.Config{Plans: []gate.Plan{{Name: "fixed"}}}, 0)
	for _, test := range []struct {
		kind       api.Kind
		name, text string
		want       string
	}{
		{api.Plans, "a", `{"name": "b"}`, `called "b"`},
		{api.Plans, "a", `{}`, "name: required, but missing"},
		{api.Plans, "a", `{"name": "a", "limit": 1}`, "plans[a].limit: unknown key"},
		{api.Plans, "a", `{"name": "a"`, "not valid YAML"},
		{api.Plans, "a", ``, "empty"},
		{api.Plans, "a", `{"name": "a", "title": "${env:HOME}"}`, "references are not allowed"},
		{api.Plans, "fixed", `{"name": "fixed"}`, api.ErrConfigured.Error()},
		{"providers", "a", `{"name": "a"}`, "not found"},
	} {
		_, err := n.Put(t.Context(), test.kind, test.name, []byte(test.text), store.Always())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: %v, want %q", test.kind, test.text, err, test.want)
		}
	}
	if items, err := s.List(t.Context(), "nouns/", "", 10); err != nil || len(items) > 0 {
		t.Errorf("%v, %v", items, err)
	}
	if err := n.Delete(t.Context(), api.Plans, "fixed", store.Always()); !errors.Is(err, api.ErrConfigured) {
		t.Error(err)
	}
	if err := n.Delete(t.Context(), "providers", "a", store.Always()); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// TestOtherGateway: a change reaches the other gateways within a second.
func TestOtherGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		here, there := open(t, s, applied), open(t, s, applied)
		<-there.Changed() // that it was loaded
		if _, err := here.Put(t.Context(), api.Plans, "p/1", []byte(`{"name": "p/1"}`), store.Always()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		<-there.Changed()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %s", took)
		}
		if joined, _, _ := there.Join(new(gate.Config)); len(joined.Plans) != 1 || joined.Plans[0].Name != "p/1" {
			t.Errorf("%+v", joined)
		}
	})
}

// TestJoinProblems: a stored noun that cannot be read is an error, for without it others might get more than they should; one whose name the documents use is a warning.
func TestJoinProblems(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	for key, text := range map[string]string{"nouns/plans/broken": `{"name": 5`, "nouns/plans/fixed": `{"name": "fixed"}`, "nouns/unknown/a": `{}`} {
		if _, err := s.Put(t.Context(), key, []byte(text), 0, store.Always()); err != nil {
			t.Fatal(err)
		}
	}
	n := open(t, s, applied)
	joined, _, problems := n.Join(&gate.Config{Plans: []gate.Plan{{Name: "fixed"}}})
	if len(joined.Plans) != 1 || len(problems) != 2 || len(problems.Errors()) != 1 || !strings.Contains(problems.Errors()[0].Path, "plans[broken]") {
		t.Errorf("%+v: %v", joined, problems)
	}
}

func TestNotInForce(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	n := open(t, s, func(context.Context) error { return errors.New("stopping") })
	if _, err := n.Put(t.Context(), api.Plans, "a", []byte(`{"name": "a"}`), store.Always()); !errors.Is(err, api.ErrNotInForce) {
		t.Error(err)
	}
}

func TestKinds(t *testing.T) {
	if diff := cmp.Diff([]api.Kind{"access", "applications", "groupRates", "plans", "policies", "subscriptions"}, api.Kinds()); diff != "" {
		t.Error(diff)
	}
	n := open(t, memory.New(0), applied)
	for _, kind := range api.Kinds() {
		if list := n.List(kind); len(list) != 0 {
			t.Errorf("%s: %v", kind, list)
		}
	}
}

// TestNamesNoStoreTakes: what cannot be the name of anything is said to be the name's fault, and is nowhere.
func TestNamesNoStoreTakes(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	n := open(t, s, applied)
	for _, name := range []string{"a\x00b", "a\nb", "\xff", "\u0085", strings.Repeat("n", 502)} {
		text, err := json.Marshal(map[string]string{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		var problems gate.Problems
		if _, err := n.Put(t.Context(), api.Plans, name, text, store.Always()); !errors.As(err, &problems) {
			t.Errorf("%q: %v", name, err)
		}
		if err := n.Delete(t.Context(), api.Plans, name, store.Always()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("deleting %q: %v", name, err)
		}
	}
	for _, name := range []string{"a/b", "a//../b", "..", "ü 日本", `a"b\c%2F`, "policies/x", strings.Repeat("n", 480)} {
		text, err := json.Marshal(map[string]string{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Put(t.Context(), api.Plans, name, text, store.IfVersion(0)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if got, err := n.Get(api.Plans, name); err != nil || got.Name != name {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestGatewaysChangeTogether: of two changes at two gateways that are good one by one and bad together, one is refused.
func TestGatewaysChangeTogether(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	here, there := open(t, s, applied), open(t, s, applied)
	ctx := t.Context()
	for round := range 20 {
		name := fmt.Sprint("r", round)
		text := fmt.Sprintf(`{"name": %q, "everyone": true, "apis": ["*"], "plan": %q}`, name, name)
		if _, err := here.Put(ctx, api.Plans, name, []byte(fmt.Sprintf(`{"name": %q}`, name)), store.Always()); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		var put, deleted error
		group.Go(func() { _, put = here.Put(ctx, api.AccessRules, name, []byte(text), store.Always()) })
		group.Go(func() { deleted = there.Delete(ctx, api.Plans, name, store.Always()) })
		group.Wait()
		var problems gate.Problems
		if (put == nil) == (deleted == nil) || !errors.As(errors.Join(put, deleted), &problems) {
			t.Fatalf("round %d: the rule: %v; its plan's end: %v", round, put, deleted)
		}
	}
	if _, err := s.Get(ctx, "locks/nouns"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the lock is still there: %v", err)
	}
}

// TestLockOfAGatewayThatDied: its lock ends by itself; who waits for it too briefly is told.
func TestLockOfAGatewayThatDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		n := open(t, s, applied)
		if _, err := s.Put(t.Context(), "locks/nouns", []byte("gone"), api.LockTime, store.Always()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Put(ctx, api.Plans, "a", []byte(`{"name": "a"}`), store.Always()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		begin := time.Now()
		if _, err := n.Put(t.Context(), api.Plans, "a", []byte(`{"name": "a"}`), store.Always()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > api.LockTime {
			t.Errorf("it took %s", took)
		}
	})
}
