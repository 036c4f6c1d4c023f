package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
)

// sink keeps lines; while it is held it takes nothing.
type sink struct {
	mu    sync.Mutex
	lines bytes.Buffer
	hold  chan struct{}
	fails bool
}

func (s *sink) Write(lines []byte) error {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		return errors.New("full")
	}
	s.lines.Write(lines)
	return nil
}

func (s *sink) Close() error { return nil }

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Count(s.lines.Bytes(), []byte{'\n'})
}

func recorder(s store.Store, node string, out *sink) *Recorder {
	return NewRecorder(Options{
		Log: slog.New(slog.DiscardHandler), Store: s, Node: node,
		Open: func(gate.UsageSink) (Sink, error) {
			if out == nil {
				return nil, errors.New("no sink here")
			}
			return out, nil
		},
	})
}

func configure(t *testing.T, r *Recorder, u gate.Usage) {
	t.Helper()
	plan, problems := r.Prepare(&u)
	if problems != nil {
		t.Fatal(problems)
	}
	plan.Commit()
}

func exchange(user string, status int) *gate.Exchange {
	return &gate.Exchange{Start: time.Now(), API: "orders", Method: "GET", Status: status, Sent: 10, Identity: &gate.Identity{Issuer: "i", User: user}}
}

// TestSums: what several gateways recorded over some minutes adds up, is read in buckets, and ends.
func TestSums(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		begin := time.Now()
		one, two := recorder(s, "one", nil), recorder(s, "two", nil)
		for _, r := range []*Recorder{one, two} {
			configure(t, r, gate.Usage{Aggregate: true, Keep: time.Hour})
		}
		for minute := range 10 {
			for range minute {
				one.Record(exchange("alice", 200), time.Millisecond)
				two.Record(exchange("alice", 429), 3*time.Millisecond)
				two.Record(exchange("bob", 200), time.Second)
			}
			time.Sleep(time.Minute)
		}
		one.Close()
		two.Close()
		buckets, callers, err := Read(t.Context(), s, begin, begin.Add(10*time.Minute), 5*time.Minute, Filter{User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		if len(buckets) != 2 || buckets[0].Requests != 2*(0+1+2+3+4) || buckets[1].Requests != 2*(5+6+7+8+9) || !buckets[1].Start.Equal(begin.Add(5*time.Minute)) {
			t.Errorf("%+v", buckets)
		}
		if len(callers) != 1 || callers[0].User != "alice" || callers[0].Statuses[2] != 45 || callers[0].Statuses[4] != 45 || callers[0].Sent != 900 || callers[0].Latencies[2] != 45 {
			t.Errorf("%+v", callers)
		}
		if all, _, _ := Read(t.Context(), s, begin, begin.Add(10*time.Minute), time.Minute, Filter{}); len(all) != 10 || all[3].Requests != 9 {
			t.Errorf("%+v", all)
		}
		time.Sleep(time.Hour)
		if _, callers, _ := Read(t.Context(), s, begin, begin.Add(10*time.Minute), time.Minute, Filter{}); len(callers) != 0 {
			t.Errorf("after its time: %+v", callers)
		}
		for _, until := range []time.Time{begin, begin.Add(-time.Hour), begin.Add(MaxBuckets*time.Minute + time.Minute)} {
			if _, _, err := Read(t.Context(), s, begin, until, time.Minute, Filter{}); err == nil {
				t.Errorf("until %s was read", until)
			}
		}
	})
}

// TestSinks: every record arrives, in order, as a line; a change of the settings loses none.
func TestSinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		out := new(sink)
		r := recorder(s, "one", out)
		r.Record(exchange("nobody", 200), 0) // before it is configured
		u := gate.Usage{Sinks: []gate.UsageSink{{Stdout: true}}}
		configure(t, r, u)
		for i := range 1000 {
			r.Record(exchange(fmt.Sprint(i), 200), 0)
			if i == 500 {
				synctest.Wait()
				configure(t, r, u)
			}
		}
		r.Close()
		lines := bytes.Split(bytes.TrimSpace(out.lines.Bytes()), []byte{'\n'})
		if len(lines) != 1000 {
			t.Fatalf("%d lines", len(lines))
		}
		for i, line := range lines {
			var got Record
			if err := json.Unmarshal(line, &got); err != nil || got.User != fmt.Sprint(i) {
				t.Fatalf("line %d: %s", i, line)
			}
		}
		if overload, failed := r.Dropped(); overload+failed != 0 {
			t.Errorf("%d and %d are lost", overload, failed)
		}
	})
}

// TestSlowSink: a sink that hangs keeps nobody waiting, neither requests nor sums, and what it loses is counted.
func TestSlowSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		out := &sink{hold: make(chan struct{})}
		r := recorder(s, "one", out)
		configure(t, r, gate.Usage{Aggregate: true, Keep: time.Hour, Sinks: []gate.UsageSink{{Stdout: true}}})
		begin := time.Now()
		const n = 100 * batchRecords
		for i := range n {
			r.Record(exchange("alice", 200), 0)
			if i%batchRecords == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(10 * time.Second)
		_, callers, err := Read(t.Context(), s, begin, begin.Add(time.Minute), time.Minute, Filter{})
		if err != nil || len(callers) != 1 || callers[0].Requests != n {
			t.Errorf("%+v, %v", callers, err)
		}
		close(out.hold)
		r.Close()
		overload, failed := r.Dropped()
		if got := uint64(out.count()) + failed; overload != 0 || failed == 0 || got != n {
			t.Errorf("%d lines, %d lost at the sink, %d before: not %d", out.count(), failed, overload, n)
		}
	})
}

// TestOverload: requests never wait for the recorder.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(0)
		defer s.Close()
		r := recorder(s, "one", &sink{fails: true})
		configure(t, r, gate.Usage{Sinks: []gate.UsageSink{{Stdout: true}}})
		const n = 3 * backlog
		x := exchange("alice", 200)
		for range n {
			r.Record(x, 0)
		}
		r.Close()
		overload, failed := r.Dropped()
		if overload+failed != n {
			t.Errorf("%d and %d are lost, not %d", overload, failed, n)
		}
	})
}

func TestPrepareFails(t *testing.T) {
	s := memory.New(0)
	defer s.Close()
	r := recorder(s, "one", nil)
	defer r.Close()
	for _, u := range []gate.Usage{{Sinks: []gate.UsageSink{{Stdout: true}}}, {Sinks: []gate.UsageSink{{}}}} {
		if plan, problems := r.Prepare(&u); plan != nil || problems.Err() == nil {
			t.Errorf("%+v: %v", plan, problems)
		}
	}
	var nobody *Recorder
	nobody.Record(exchange("alice", 200), 0)
}

func BenchmarkRecord(b *testing.B) {
	s := memory.New(0)
	defer s.Close()
	r := recorder(s, "one", nil)
	defer r.Close()
	plan, problems := r.Prepare(&gate.Usage{Aggregate: true, Keep: time.Hour})
	if problems != nil {
		b.Fatal(problems)
	}
	plan.Commit()
	x := exchange("alice", 200)
	b.ReportAllocs()
	for b.Loop() {
		r.Record(x, time.Millisecond)
	}
}
