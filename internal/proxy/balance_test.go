package proxy

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func servers(weights ...int) *balancer {
	b := &balancer{}
	for _, w := range weights {
		s := &server{}
		s.healthy.Store(true)
		b.add(s, w)
	}
	return b
}

func (b *balancer) indexOf(s *server) int {
	return slices.IndexFunc(b.entries, func(e *entry) bool { return e.server == s })
}

func TestPickIsSmooth(t *testing.T) {
	b := servers(5, 1, 0, 1)
	var got []int
	for range 14 {
		got = append(got, b.indexOf(b.pick(nil)))
	}
	want := []int{0, 0, 1, 0, 3, 0, 0, 0, 0, 1, 0, 3, 0, 0}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPickShares: after every round of as many choices as the weights add up to, each healthy server was chosen exactly as often as its weight says.
func TestPickShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 8).Draw(t, "weights")
		healthy := rapid.SliceOfN(rapid.Bool(), len(weights), len(weights)).Draw(t, "healthy")
		b := servers(weights...)
		total := 0
		for i, w := range weights {
			b.entries[i].server.healthy.Store(healthy[i])
			if healthy[i] {
				total += w
			}
		}
		if total == 0 {
			if b.pick(nil) != nil {
				t.Fatal("a server without weight or health was chosen")
			}
			return
		}
		for range 3 {
			count := make([]int, len(weights))
			for range total {
				count[b.indexOf(b.pick(nil))]++
			}
			for i, w := range weights {
				if !healthy[i] {
					w = 0
				}
				if count[i] != w {
					t.Fatalf("server %d of weight %d was chosen %d times in %d", i, w, count[i], total)
				}
			}
		}
	})
}

// TestPickStaysBounded: whatever happens to the servers, none is chosen against its state, and no debt grows.
func TestPickStaysBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 5).Draw(t, "weights")
		b := servers(weights...)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		for range 200 {
			i := rapid.IntRange(0, len(weights)-1).Draw(t, "server")
			b.entries[i].server.healthy.Store(rapid.Bool().Draw(t, "healthy"))
			var tried []*server
			for range len(weights) + 1 {
				s := b.pick(tried)
				if s == nil {
					break
				}
				if slices.Contains(tried, s) || !s.healthy.Load() {
					t.Fatal("a server was chosen that is out of the question")
				}
				tried = append(tried, s)
			}
			for _, e := range b.entries {
				if e.current > 10*sum || e.current < -10*sum {
					t.Fatalf("a server is %d behind", e.current)
				}
			}
		}
	})
}

func TestPickAllocatesNothing(t *testing.T) {
	b := servers(1, 2, 3)
	if n := testing.AllocsPerRun(100, func() { b.pick(nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
