package proxy

import (
	"slices"
	"sync"
)

// balancer chooses servers by smooth weighted round robin: in every sequence of as many choices as the weights add up to, each server comes exactly as often as its weight
// says, spread as evenly as possible. It is deterministic.
type balancer struct {
	entries []*entry // read-only after the last add

	mu sync.Mutex // guards entry.current
}

type entry struct {
	server  *server
	weight  int
	current int // how far the server is behind its share
}

func (b *balancer) add(s *server, weight int) {
	b.entries = append(b.entries, &entry{server: s, weight: weight})
}

// pick returns the next healthy server that is not in tried, or nil if there is none.
func (b *balancer) pick(tried []*server) *server {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := 0
	var best *entry
	for _, e := range b.entries {
		if e.weight == 0 || !e.server.healthy.Load() || slices.Contains(tried, e.server) {
			continue
		}
		total += e.weight
		e.current += e.weight
		if best == nil || e.current > best.current {
			best = e
		}
	}
	if best == nil {
		return nil
	}
	best.current -= total
	return best.server
}
