package usage

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
)

var start = time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)

func TestRecordOf(t *testing.T) {
	x := &gate.Exchange{
		Start: start, API: "orders", Method: "GET", Status: 403, Received: 5, Sent: 7, Denial: gate.Deny(gate.ReasonScope, nil),
		Identity: &gate.Identity{
			Issuer: "https://id.example", User: strings.Repeat("ü", 200), Email: "a@b.example", TokenName: "portal", ClientID: "spa", Application: "app-1",
		},
		Session: &gate.Session{Policies: []string{"gold", "silver"}, Plan: "basic", Subscription: "s1"},
	}
	got := recordOf(x, time.Millisecond)
	want := Record{
		Time: start, Method: "GET", Status: 403, Reason: "scope_insufficient", Duration: time.Millisecond, Received: 5, Sent: 7, Email: "a@b.example", TokenName: "portal",
		Caller: Caller{
			API: "orders", Issuer: "https://id.example", User: strings.Repeat("ü", 128), Application: "app-1", ClientID: "spa",
			Policies: "gold,silver", Subscription: "s1", Plan: "basic",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	x.Session.Policies = x.Session.Policies[:1]
	if n := testing.AllocsPerRun(100, func() { got = recordOf(x, time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r := recordOf(&gate.Exchange{Method: "BREW\n"}, 0); r.Method != "OTHER" {
		t.Errorf("the method is %q", r.Method)
	}
	var back Record
	if err := json.Unmarshal(got.appendLine(nil), &back); err != nil || !cmp.Equal(got, back) {
		t.Errorf("%v: %s", err, cmp.Diff(got, back))
	}
}

func TestLatencyClass(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want int
	}{
		{-1, 0},
		{0, 0},
		{time.Millisecond, 0},
		{time.Millisecond + 1, 1},
		{2 * time.Millisecond, 1},
		{2*time.Millisecond + 1, 2},
		{32768 * time.Millisecond, 15},
		{32768*time.Millisecond + 1, 16},
		{time.Hour, 16},
	} {
		if got := latencyClass(test.d); got != test.want {
			t.Errorf("%s: class %d, want %d", test.d, got, test.want)
		}
	}
}

// TestMerge: sums of parts are the sum of all, however records are spread over parts.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var whole, left, right Sum
		for range rapid.IntRange(0, 20).Draw(t, "records") {
			r := Record{
				Status: rapid.IntRange(-1, 700).Draw(t, "status"), Duration: time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "duration")),
				Reason: rapid.SampledFrom([]string{"", "token_expired", "rate_limited"}).Draw(t, "reason"), Sent: rapid.Int64Range(0, 1e9).Draw(t, "sent"),
			}
			whole.add(&r)
			if rapid.Bool().Draw(t, "left") {
				left.add(&r)
			} else {
				right.add(&r)
			}
		}
		left.Merge(&right)
		if diff := cmp.Diff(whole, left); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestMinuteIsBounded: callers beyond the bound are summed up by their API.
func TestMinuteIsBounded(t *testing.T) {
	m := &minute{callers: make(map[Caller]*Sum)}
	for i := range maxCallers + 10 {
		m.add(&Record{Caller: Caller{API: "orders", User: time.Unix(int64(i), 0).String()}})
	}
	if n := len(m.callers); n != maxCallers+1 {
		t.Errorf("%d callers", n)
	}
	if rest := m.callers[Caller{API: "orders"}]; rest == nil || rest.Requests != 10 {
		t.Errorf("the rest is %+v", rest)
	}
	if n := m.requests(); n != maxCallers+10 {
		t.Errorf("%d requests", n)
	}
}

func TestFilter(t *testing.T) {
	caller := Caller{API: "orders", User: "alice", Policies: "gold,silver"}
	for _, test := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true},
		{Filter{API: "orders", User: "alice"}, true},
		{Filter{API: "orders", User: "bob"}, false},
		{Filter{Policies: "silver"}, true},
		{Filter{Policies: "gold,silver"}, false},
		{Filter{Policies: "gol"}, false},
		{Filter{Plan: "basic"}, false},
	} {
		if got := test.f.fits(&caller); got != test.want {
			t.Errorf("%+v: %v", test.f, got)
		}
	}
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "usage.jsonl")
	s, err := OpenFile(name, 10, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one 4567\n", "two\n", "three\n", "four is longer than the bound\n", "5\n"} {
		if err := s.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for suffix, want := range map[string]string{"": "5\n", ".1": "four is longer than the bound\n", ".2": "two\nthree\n"} {
		got, err := os.ReadFile(name + suffix)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", suffix, got, err)
		}
	}
	if _, err := os.Stat(name + ".3"); err == nil {
		t.Error("more files are kept than were asked for")
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// It goes on where it was left.
	s, err = OpenFile(name, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]byte("6\n")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(name); string(got) != "5\n6\n" {
		t.Errorf("%q", got)
	}
	if err := s.Write([]byte("7 89abcdef\n")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(name); string(got) != "7 89abcdef\n" {
		t.Errorf("%q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(filepath.Join(name, "no", "folder"), 10, 1); err == nil {
		t.Error("a file below a file was opened")
	}
}

func TestToWriter(t *testing.T) {
	var b bytes.Buffer
	s := ToWriter(&b)
	if err := s.Write([]byte("a\n")); err != nil || b.String() != "a\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	sink := func(change func(*gate.UsageSink)) gate.UsageSink {
		s := gate.UsageSink{}
		s.SetDefaults()
		change(&s)
		return s
	}
	for _, test := range []struct {
		name string
		u    gate.Usage
		want int
	}{
		{"nothing", gate.Usage{}, 0},
		{"aggregate", gate.Usage{Aggregate: true, Keep: time.Hour}, 0},
		{"no keep", gate.Usage{Aggregate: true}, 1},
		{"file", gate.Usage{Sinks: []gate.UsageSink{sink(func(s *gate.UsageSink) { s.File = "a" })}}, 0},
		{"file twice", gate.Usage{Sinks: []gate.UsageSink{sink(func(s *gate.UsageSink) { s.File = "a" }), sink(func(s *gate.UsageSink) { s.File = "a" })}}, 1},
		{"small file", gate.Usage{Sinks: []gate.UsageSink{sink(func(s *gate.UsageSink) { s.File, s.MaxBytes = "a", 1 })}}, 1},
		{"no sink", gate.Usage{Sinks: []gate.UsageSink{sink(func(*gate.UsageSink) {})}}, 1},
		{"two in one", gate.Usage{Sinks: []gate.UsageSink{sink(func(s *gate.UsageSink) { s.Stdout, s.RedisStream = true, "r" })}}, 1},
		{"stream without room", gate.Usage{Sinks: []gate.UsageSink{sink(func(s *gate.UsageSink) { s.RedisStream, s.MaxLength = "r", 0 })}}, 1},
	} {
		if problems := Check(&test.u); len(problems) != test.want {
			t.Errorf("%s: %v", test.name, problems)
		}
	}
}
