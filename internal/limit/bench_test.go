package limit_test

import (
	"encoding/binary"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/limit"
)

// session is what requests of identity number i take from: a rate, a quota and a rate of one API.
func session(i uint64, uses []limit.Use) []limit.Use {
	for n, rule := range []limit.Rule{
		{Algorithm: limit.Bucket, Limit: 1_000_000_000, Period: time.Second},
		{Algorithm: limit.FixedWindow, Limit: 1 << 50, Period: 30 * 24 * time.Hour},
		{Algorithm: limit.SlidingWindow, Limit: 1 << 31, Period: time.Minute},
	} {
		u := limit.Use{Rule: rule, Name: "limit"}
		binary.LittleEndian.PutUint64(u.Key[:], i*0x9e3779b97f4a7c15)
		u.Key[8], u.Key[9], u.Key[10] = byte(n), byte(i), byte(i>>8)
		uses = append(uses, u)
	}
	return uses
}

// BenchmarkTake is the cost of a request that takes from three counters: of one identity, of many, and from all processors at once.
func BenchmarkTake(b *testing.B) {
	ctx, now := b.Context(), time.Now()
	for _, identities := range []uint64{1, 10_000} {
		b.Run("identities="+strconv.FormatUint(identities, 10), func(b *testing.B) {
			m := limit.NewMemory(0)
			all := make([][]limit.Use, identities)
			for i := range all {
				all[i] = session(uint64(i), nil)
			}
			var out [3]limit.Outcome
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if refused, err := m.Take(ctx, now, all[i%len(all)], out[:]); refused >= 0 || err != nil {
					b.Fatal(refused, err)
				}
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		m := limit.NewMemory(0)
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			uses := session(uint64(time.Now().UnixNano()), nil)
			var out [3]limit.Outcome
			for p.Next() {
				if refused, err := m.Take(ctx, now, uses, out[:]); refused >= 0 || err != nil {
					b.Fatal(refused, err)
				}
			}
		})
	})
}

// BenchmarkMillion states the memory of an identity that is idle, of a million, with one to three counters that hold something.
func BenchmarkMillion(b *testing.B) {
	const identities = 1_000_000
	for counters := 1; counters <= 3; counters++ {
		b.Run("counters="+strconv.Itoa(counters), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				m := limit.NewMemory(0)
				var out [3]limit.Outcome
				var uses []limit.Use
				for i := range uint64(identities) {
					uses = session(i, uses[:0])
					uses[0].Rule.Limit = 10_000
					uses[0].Rule.Period = time.Hour
					if _, err := m.Take(b.Context(), time.Unix(1_800_000_000, 0), uses[:counters], out[:]); err != nil {
						b.Fatal(err)
					}
				}
				perIdentity := float64(heap()-before) / identities
				runtime.KeepAlive(m)
				if m.Len() != identities*counters {
					b.Fatalf("%d counters are kept", m.Len())
				}
				b.ReportMetric(perIdentity, "B/identity")
				if perIdentity >= 300 {
					b.Errorf("%.0f bytes for each identity", perIdentity)
				}
			}
		})
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
