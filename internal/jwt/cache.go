package jwt

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

const (
	// maxStoredToken is the longest token that is remembered. Longer ones are rare, and few of them would push many others out.
	maxStoredToken = 8 << 10
	// ways is how many places a set has. A token may be in one of two sets.
	ways = 8
	// cacheShards bounds how far inserts stand in each other's way.
	cacheShards = 16
	// smallestEntry decides the number of places: with entries of this size all are taken when the memory is.
	smallestEntry = 1 << 10
	// maxShare is the part of a shard's memory that one entry may take.
	maxShare = 8
	// maxReclaim bounds how many places an insert looks at to find memory. What finds none is not stored.
	maxReclaim = 512
	// endless is the end of what has none.
	endless = math.MaxUint32
	// sizeOfEntry is the memory of an entry without its text, claims and fields, as the allocator rounds it up.
	sizeOfEntry = 512
	// unit is what the memory of an entry is rounded up to.
	unit     = 64
	maxUnits = math.MaxUint16
)

// MinCacheBytes is the least memory that a Cache works with.
const MinCacheBytes = 1 << 20

// Cache remembers tokens that were verified, for the admissions of one configuration. Its memory is bounded. It is safe for concurrent use; lookups
// take no lock and do not allocate.
//
// It is a set-associative array of immutable entries. The hash only says where to look: an entry counts if it is of the same [Admission] and of
// the same text, byte by byte. The comparison need not take constant time: it is only made where all 64 bits of a hash with a secret seed are equal, which
// nobody can arrange for a text that is not the token itself.
//
// A token is in its first set, or, if that was full, in its second: with one set only, of 10,000 tokens one would now and then push out another while most of the
// memory is free. The second set is looked at only for those whose first set says that there is somebody of its own in another one.
//
// Places are given away by second chance: an entry that was hit since the hand last came by stays once more. A storm of tokens that are seen once
// therefore pushes out its own, and not those in use.
type Cache struct {
	shards   [cacheShards]cacheShard
	max      int64
	counters *CacheCounters
}

// cacheShard is a part of the cache with memory of its own. The places are read without the lock and written with it.
type cacheShard struct {
	sets []cacheSet
	max  int64

	mu      sync.Mutex
	bytes   int64
	entries int
	hand    int // the next place that is looked at for memory
	broom   int // the next set that is looked at for entries that have come to their end
	closed  bool
}

// cacheSet is the places of the tokens with one index. What is said of the entries here spares it from following every pointer, for what those lead to is seldom
// in the processor's cache. It decides nothing about a token. To readers the tags may be out of date for a moment.
type cacheSet struct {
	tags  [ways]atomic.Uint32
	slots [ways]atomic.Pointer[entry]
	used  atomic.Uint32 // a bit for each place: set when the entry is hit, and taken away when the hand comes by
	away  atomic.Uint32 // how many entries whose first set this is are in their second one

	// The rest is guarded by the shard's mu.
	ends  [ways]uint32 // when the entry comes to its end, in seconds since 1970
	sizes [ways]uint16 // its memory, in units
	hand  uint8
	guest uint8 // a bit for each place: the entry's first set is another one
}

// touch marks place i as used. It writes only if it has to, so that the hits of many processors share the line.
func (s *cacheSet) touch(i int) {
	if s.used.Load()>>i&1 == 0 {
		s.used.Or(1 << i)
	}
}

// spare takes the mark of place i away and reports whether it was there.
func (s *cacheSet) spare(i int) bool {
	return s.used.Load()>>i&1 != 0 && s.used.And(^uint32(1<<i))>>i&1 != 0
}

// over reports whether the entry of place i, if there is one, may have come to its end: for what is beyond the year 2106 too early.
func (s *cacheSet) over(i int, now int64) bool {
	return s.ends[i] != endless && int64(s.ends[i]) <= now
}

// NewCache makes a cache of at most maxBytes, tables included; less than MinCacheBytes is taken for that. The counters may be shared with other caches.
func NewCache(maxBytes int64, counters *CacheCounters) *Cache {
	maxBytes = max(maxBytes, MinCacheBytes)
	c := &Cache{max: maxBytes, counters: counters}
	perShard := maxBytes / cacheShards
	sets := 1 << (bits.Len64(uint64(min(perShard, 1<<36)/smallestEntry/ways)) - 1) // a power of two, at most as many as there is memory for
	for i := range c.shards {
		s := &c.shards[i]
		s.sets = make([]cacheSet, sets)
		s.bytes = int64(sets) * cacheSetSize
		s.max = perShard
	}
	return c
}

// cacheSetSize is the memory of a cacheSet.
const cacheSetSize = ways*(4+8+4+2) + 16

// shard returns the part in which tokens of this hash are.
func (c *Cache) shard(hash uint64) *cacheShard { return &c.shards[hash>>60%cacheShards] }

// first is the set in which a token of this hash is, if there was room in it.
func (s *cacheShard) first(hash uint64) *cacheSet { return &s.sets[s.index(hash)] }

// second is the set, always another one, in which it is otherwise.
func (s *cacheShard) second(hash uint64) *cacheSet {
	i, mask := s.index(hash), len(s.sets)-1
	if k := int(hash) & mask; k != i {
		return &s.sets[k]
	}
	return &s.sets[i^1]
}

func (s *cacheShard) index(hash uint64) int { return int(hash>>32) & (len(s.sets) - 1) }

// of returns the set and the place of an entry that is in it, or has been.
func (s *cacheShard) of(e *entry) (*cacheSet, int) {
	if e.place >= ways {
		return s.second(e.hash), int(e.place) - ways
	}
	return s.first(e.hash), int(e.place)
}

// find returns the entry of this very text and admission, nil if there is none.
func (c *Cache) find(owner *Admission, hash uint64, text string) *entry {
	s := c.shard(hash)
	set := s.first(hash)
	e := set.find(owner, hash, text)
	if e == nil && set.away.Load() > 0 {
		e = s.second(hash).find(owner, hash, text)
	}
	return e
}

func (s *cacheSet) find(owner *Admission, hash uint64, text string) *entry {
	for i := range s.slots {
		if s.tags[i].Load() != uint32(hash) {
			continue
		}
		if e := s.slots[i].Load(); e != nil && e.hash == hash && e.owner == owner && e.text == text {
			return e
		}
	}
	return nil
}

// hit counts a use of e, which find has returned.
func (c *Cache) hit(e *entry, now time.Time) {
	set, i := c.shard(e.hash).of(e)
	set.touch(i) // of another entry, if this one has just gone: no harm
	c.counters.hits.add(now)
}

// store puts e in, if there can be room for it.
func (c *Cache) store(e *entry, now time.Time) {
	size := entrySize(e)
	s := c.shard(e.hash)
	if size > s.max/maxShare || size > maxUnits*unit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.sweep(now.Unix())
	set, free, evicted := s.slot(e, now)
	reclaimed, enough := s.reclaim(size, now.Unix())
	if enough {
		s.put(set, free, e, size)
	}
	c.counters.evictions.Add(evicted + reclaimed)
}

// forget removes an entry that is no longer good.
func (c *Cache) forget(e *entry) {
	s := c.shard(e.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, i := s.of(e); set.slots[i].Load() == e {
		s.drop(set, i)
	}
}

// Close forgets everything, for good.
func (c *Cache) Close() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.closed = true
		for k := range s.sets {
			for i := range ways {
				if s.sets[k].slots[i].Load() != nil {
					s.drop(&s.sets[k], i)
				}
			}
		}
		s.mu.Unlock()
	}
}

// put fills a free place.
func (s *cacheShard) put(set *cacheSet, i int, e *entry, size int64) {
	e.place = uint8(i)
	if home := s.first(e.hash); home != set {
		e.place += ways
		set.guest |= 1 << i
		home.away.Add(1)
	}
	set.spare(i) // a mark of what was there before
	set.ends[i], set.sizes[i] = e.window.second(), uint16(size/unit)
	set.slots[i].Store(e)
	set.tags[i].Store(uint32(e.hash))
	s.bytes += size
	s.entries++
}

// drop empties a place.
func (s *cacheShard) drop(set *cacheSet, i int) {
	if set.guest>>i&1 != 0 {
		set.guest &^= 1 << i
		s.first(set.slots[i].Load().hash).away.Add(^uint32(0))
	}
	set.slots[i].Store(nil)
	s.bytes -= int64(set.sizes[i]) * unit
	s.entries--
}

// slot returns a free place for e in one of its sets, after it made one if it had to. Two requests may have verified the same token at once: the later one replaces.
func (s *cacheShard) slot(e *entry, now time.Time) (_ *cacheSet, free int, evicted uint64) {
	first, second := s.first(e.hash), s.second(e.hash)
	if old := first.find(e.owner, e.hash, e.text); old != nil {
		s.drop(first, int(old.place))
		return first, int(old.place), 0
	}
	if first.away.Load() > 0 {
		if old := second.find(e.owner, e.hash, e.text); old != nil {
			s.drop(second, int(old.place)-ways)
		}
	}
	for _, set := range [...]*cacheSet{first, second} {
		if i := set.free(); i >= 0 {
			return set, i, 0
		}
	}
	for _, set := range [...]*cacheSet{first, second} {
		for i := range set.slots {
			if set.slots[i].Load().lost(now) {
				s.drop(set, i)
				return set, i, 0
			}
		}
	}
	for range ways + 1 { // the second round finds what the first has unmarked, or takes what was hit again meanwhile
		free = int(first.hand % ways)
		first.hand++
		if !first.spare(free) {
			break
		}
	}
	s.drop(first, free)
	return first, free, 1
}

// free returns a place that nobody has, -1 if there is none.
func (s *cacheSet) free() int {
	for i := range s.slots {
		if s.slots[i].Load() == nil {
			return i
		}
	}
	return -1
}

// reclaim frees memory until size more bytes fit, and reports whether they do. Nobody asks any more for entries of keys that have changed, so those go too.
func (s *cacheShard) reclaim(size, now int64) (evicted uint64, ok bool) {
	for range maxReclaim {
		if s.bytes+size <= s.max {
			return evicted, true
		}
		set, i := &s.sets[s.hand/ways], s.hand%ways
		s.hand = (s.hand + 1) % (len(s.sets) * ways)
		switch {
		case set.slots[i].Load() == nil:
		case set.over(i, now):
			s.drop(set, i)
		case !set.spare(i):
			s.drop(set, i)
			evicted++
		}
	}
	return evicted, s.bytes+size <= s.max
}

// sweep looks at one set for entries that have come to their end. With every insert it moves on, so that what nobody asks for any more goes too.
func (s *cacheShard) sweep(now int64) {
	set := &s.sets[s.broom]
	s.broom = (s.broom + 1) % len(s.sets)
	for i := range set.ends {
		if set.over(i, now) && set.slots[i].Load() != nil {
			s.drop(set, i)
		}
	}
}

// entrySize is the memory that an entry holds on to, with what the allocator rounds up.
func entrySize(e *entry) int64 {
	const field = 32
	n := sizeOfEntry + len(e.text) + e.claims.Size() + e.identity.Size() + cap(e.fields)*field
	return (int64(n+n/8) + unit - 1) / unit * unit
}

// CacheCounters count what happens in a cache. They outlive it: one set of counters serves the caches of all configurations.
type CacheCounters struct {
	hits, misses spread
	evictions    atomic.Uint64
}

// Status is the state of c, which may be nil, with the counters.
func (n *CacheCounters) Status(c *Cache) gate.TokenCacheStatus {
	status := gate.TokenCacheStatus{Hits: n.hits.sum(), Misses: n.misses.sum(), Evictions: n.evictions.Load()}
	if c == nil {
		return status
	}
	status.MaxBytes = c.max
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		status.Bytes += s.bytes
		status.Entries += s.entries
		s.mu.Unlock()
	}
	return status
}

// spread is a counter in several cache lines, so that processors which count at once seldom meet.
type spread [16]struct {
	n atomic.Uint64
	_ [56]byte
}

// add counts one. The moment picks the line: all hits of a busy token would meet in one that the token picked.
func (s *spread) add(now time.Time) {
	s[uint32(now.Nanosecond())*0x9e3779b1>>28].n.Add(1)
}

func (s *spread) sum() (total uint64) {
	for i := range s {
		total += s[i].n.Load()
	}
	return total
}
