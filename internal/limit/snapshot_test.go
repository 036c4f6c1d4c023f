package limit_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/limit"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func saved(tb testing.TB, identities uint64) []byte {
	tb.Helper()
	m := limit.NewMemory(0)
	out := make([]limit.Outcome, 3)
	for i := range identities {
		for range 1 + i%3 {
			if _, err := m.Take(tb.Context(), noon, session(i, nil), out); err != nil {
				tb.Fatal(err)
			}
		}
	}
	var b bytes.Buffer
	if err := m.Save(&b, noon); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestSnapshot(t *testing.T) {
	const identities = 1000
	data := saved(t, identities)
	m := limit.NewMemory(0)
	if err := m.Load(iotest.OneByteReader(bytes.NewReader(data)), noon); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(identities) {
		want, got := make([]limit.Outcome, 3), make([]limit.Outcome, 3)
		other := limit.NewMemory(0)
		for range 1 + i%3 {
			if _, err := other.Take(t.Context(), noon, session(i, nil), want); err != nil {
				t.Fatal(err)
			}
		}
		later := noon.Add(time.Second / 2)
		for m, out := range map[*limit.Memory][]limit.Outcome{m: got, other: want} {
			if err := m.Peek(t.Context(), later, session(i, nil), out); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("identity %d (-before +after):\n%s", i, diff)
		}
	}
	muchLater := limit.NewMemory(0)
	if err := muchLater.Load(bytes.NewReader(data), noon.AddDate(1, 0, 0)); err != nil || muchLater.Len() != 0 {
		t.Errorf("%d counters were loaded that say nothing any more, %v", muchLater.Len(), err)
	}
	small := limit.NewMemory(64)
	if err := small.Load(bytes.NewReader(data), noon); err != nil || small.Len() > 64 {
		t.Errorf("%d counters of 64, %v", small.Len(), err)
	}
}

func TestBrokenSnapshots(t *testing.T) {
	data := saved(t, 5)
	check := func(name string, b []byte) {
		m := limit.NewMemory(0)
		if err := m.Load(bytes.NewReader(b), noon); !errors.Is(err, limit.ErrSnapshot) || m.Len() != 0 {
			t.Errorf("%s: %v, %d counters", name, err, m.Len())
		}
	}
	for n := range data {
		check("cut off", data[:n])
		b := bytes.Clone(data)
		b[n] ^= 1
		check("changed", b)
	}
	check("longer", append(bytes.Clone(data), 0))
	m := limit.NewMemory(0)
	if err := m.Load(iotest.ErrReader(errors.New("boom")), noon); err == nil || errors.Is(err, limit.ErrSnapshot) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// FuzzLoad loads anything; counters from it must work.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{})
	f.Add(saved(f, 2))
	f.Add(saved(f, 1)[22:]) // the records of a block, and what follows
	f.Fuzz(func(t *testing.T, data []byte) {
		m := limit.NewMemory(0)
		_ = m.Load(bytes.NewReader(data), noon)
		m = limit.NewMemory(0)
		if err := m.Load(bytes.NewReader(limit.Sealed(data)), noon); err != nil {
			return
		}
		out := make([]limit.Outcome, 3)
		for i := range uint64(2) {
			uses := session(i, nil)
			if _, err := m.Take(t.Context(), noon, uses, out); err != nil {
				t.Fatal(err)
			}
			for _, o := range out {
				if o.Remaining < 0 || o.Remaining > o.Limit || o.Reset < -1 || o.RetryAfter < -1 || o.Allowed != (o.RetryAfter == 0) {
					t.Fatalf("%+v", o)
				}
			}
		}
	})
}
