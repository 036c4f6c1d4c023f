package jwt

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/jotgate/jotgate/internal/claims"
)

// neverChanging is a provider's keys that stay.
type neverChanging struct{ source }

type source = Keys

func (neverChanging) Generation() uint64 { return 0 }

// made is an entry that stays good.
func made(tb testing.TB, owner *Admission, hash uint64, text string) *entry {
	tb.Helper()
	e := &entry{owner: owner, hash: hash, text: text, window: window{end: forever()}}
	e.provider = &Provider{allowMissingExpiry: true, keys: neverChanging{}}
	if err := e.claims.Parse(`{}`, claims.Limits{}); err != nil {
		tb.Fatal(err)
	}
	return e
}

// TestAttackHashFlooding: tokens that all fall on one place, which nobody can make, would push out each other and cost a lookup sixteen comparisons of a number;
// none is ever taken for another.
func TestAttackHashFlooding(t *testing.T) {
	c := NewCache(MinCacheBytes, new(CacheCounters))
	owner, other := new(Admission), new(Admission)
	const hash = 0x123456789abcdef0
	now := time.Now()
	for i := range 1000 {
		e := made(t, owner, hash, fmt.Sprint("token ", i))
		c.store(e, now)
		if c.find(owner, hash, e.text) != e {
			t.Fatalf("token %d is not there", i)
		}
		if c.find(other, hash, e.text) != nil || c.find(owner, hash, e.text+"x") != nil || c.find(owner, hash^1<<20, e.text) != nil {
			t.Fatal("found for another API, text or hash")
		}
	}
	kept := 0
	for i := range 1000 {
		if c.find(owner, hash, fmt.Sprint("token ", i)) != nil {
			kept++
		}
	}
	if status := c.counters.Status(c); kept != 2*ways || status.Entries != 2*ways || status.Evictions != 1000-2*ways {
		t.Errorf("%d found; %+v", kept, status)
	}
}

// TestSeeds: places differ from API to API and cannot be known.
func TestSeeds(t *testing.T) {
	seen := make(map[uint64]bool)
	for range 100 {
		seen[maphash.String(NewAdmission(nil, nil, nil, nil).seed, "token")] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different hashes of 100", len(seen))
	}
}

// TestSecondChance: among entries of one set the one that was not hit goes.
func TestSecondChance(t *testing.T) {
	c := NewCache(MinCacheBytes, new(CacheCounters))
	owner := new(Admission)
	now := time.Now()
	for i := range 2 * ways { // those after the first eight go to the second set
		c.store(made(t, owner, 1, fmt.Sprint(i)), now)
	}
	for i := range ways {
		if i != 5 {
			c.hit(c.find(owner, 1, fmt.Sprint(i)), now)
		}
	}
	c.store(made(t, owner, 1, "new"), now)
	if c.find(owner, 1, "5") != nil || c.find(owner, 1, "new") == nil || c.find(owner, 1, "0") == nil {
		t.Error("another one went")
	}
}

// TestNoConflicts: while there is memory for all, no token pushes out another, as would happen to one of 10,000 now and then if each had the eight places
// of one set only.
func TestNoConflicts(t *testing.T) {
	now := time.Now()
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 12 { // with one set for each token two of them would lose one
		c := NewCache(64<<20, new(CacheCounters))
		owner := new(Admission)
		hashes := make([]uint64, 10_000)
		for i := range hashes {
			hashes[i] = random.Uint64()
			c.store(made(t, owner, hashes[i], "token"), now)
		}
		for _, hash := range hashes {
			if c.find(owner, hash, "token") == nil {
				t.Errorf("round %d: a token is gone", round)
			}
		}
		if status := c.counters.Status(c); status.Evictions != 0 || status.Bytes > status.MaxBytes/2 {
			t.Errorf("round %d: %+v", round, status)
		}
	}
}

// TestSecondSet: who is in its second set is found, hit, replaced and forgotten there, and leaves no trace; what is not there is looked for in one set only.
func TestSecondSet(t *testing.T) {
	c := NewCache(MinCacheBytes, new(CacheCounters))
	owner := new(Admission)
	now := time.Now()
	const hash = 7
	for i := range ways + 1 {
		c.store(made(t, owner, hash, fmt.Sprint(i)), now)
	}
	s := c.shard(hash)
	first, second := s.first(hash), s.second(hash)
	e := c.find(owner, hash, "8")
	if first == second || e == nil || first.away.Load() != 1 || second.guest != 1 {
		t.Fatalf("%p %p: %+v, %d away", first, second, e, first.away.Load())
	}
	c.hit(e, now)
	if second.used.Load() != 1 || first.used.Load() != 0 {
		t.Error("another place is marked")
	}
	c.store(made(t, owner, hash, "8"), now)
	again := c.find(owner, hash, "8")
	if status := c.counters.Status(c); again == nil || again == e || first.away.Load() != 1 || status.Entries != ways+1 || status.Evictions != 0 {
		t.Errorf("after it was replaced: %p, %p, %+v", e, again, status)
	}
	c.forget(e) // it is not there any more
	c.forget(again)
	if status := c.counters.Status(c); c.find(owner, hash, "8") != nil || first.away.Load() != 0 || second.guest != 0 || status.Entries != ways {
		t.Errorf("after it was forgotten: %+v", status)
	}
	c.store(made(t, owner, hash, "8"), now)
	c.Close()
	if status := c.counters.Status(c); status.Entries != 0 || status.Bytes != cacheShards*int64(len(s.sets))*cacheSetSize || first.away.Load() != 0 {
		t.Errorf("after the end: %+v, %d away", status, first.away.Load())
	}
}

// TestSizeOfEntry: what is counted for an entry is what it takes.
func TestSizeOfEntry(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > sizeOfEntry || size < sizeOfEntry*8/10 {
		t.Errorf("an entry has %d bytes, counted are %d", size, sizeOfEntry)
	}
	if size := unsafe.Sizeof(cacheSet{}); size != cacheSetSize {
		t.Errorf("a set has %d bytes, counted are %d", size, cacheSetSize)
	}
}

// TestCacheSizes: the tables take a small part of the memory, whatever its size.
func TestCacheSizes(t *testing.T) {
	for _, size := range []int64{0, MinCacheBytes, 3 << 20, 64 << 20, 1 << 30} {
		c := NewCache(size, new(CacheCounters))
		status := c.counters.Status(c)
		if status.MaxBytes != max(size, MinCacheBytes) || status.Bytes > status.MaxBytes/50 || status.Entries != 0 {
			t.Errorf("%d: %+v", size, status)
		}
	}
}

// BenchmarkLookup is what a token that was not seen before costs on top of its verification.
func BenchmarkLookup(b *testing.B) {
	c := NewCache(64<<20, new(CacheCounters))
	a := NewAdmission(nil, nil, c, nil)
	now := time.Now()
	texts := make([]string, 20_000)
	for i := range texts {
		texts[i] = fmt.Sprintf("%0748d", i)
	}
	b.Run("absent", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			text := texts[i%len(texts)]
			if c.find(a, maphash.String(a.seed, text), text) != nil {
				b.Fatal("found")
			}
		}
	})
	b.Run("store", func(b *testing.B) {
		entries := make([]*entry, len(texts))
		for i, text := range texts {
			entries[i] = made(b, a, maphash.String(a.seed, text), text)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c.store(entries[i%len(entries)], now)
		}
	})
}
