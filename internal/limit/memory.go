package limit

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"sync"
	"time"
)

// DefaultMaxCounters is the number of counters that a Memory keeps unless it is told otherwise: about half a gigabyte if all of them are used.
const DefaultMaxCounters = 8 << 20

// Memory are counters in this process: exact, and bounded in memory. Counters that are as if they had never been used are forgotten little by little, when new ones are made. If there is no room even
// so, no counter that holds something is given up, for that would be a way to get rid of one's own; instead Take returns ErrFull where it needs a new one. All others go on.
type Memory struct {
	seed   uint64
	shards [shards]shard
}

// shards is the number of locks, one bit each of a word.
const shards = 64

// NewMemory makes counters, at most maximum; DefaultMaxCounters if that is 0.
func NewMemory(maximum int) *Memory {
	if maximum <= 0 {
		maximum = DefaultMaxCounters
	}
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // it never fails
	m := &Memory{seed: binary.LittleEndian.Uint64(seed[:]) | 1}
	for i := range m.shards {
		m.shards[i].index = make(map[Key]uint32)
		m.shards[i].maximum = max(maximum/shards, 1)
	}
	return m
}

// shardOf is where a key is kept. Whoever makes keys cannot choose it.
func (m *Memory) shardOf(k *Key) uint64 {
	return (binary.LittleEndian.Uint64(k[:8]) * m.seed) >> (64 - 6)
}

// lock locks the shards of uses, always in the same order, and returns them as bits.
func (m *Memory) lock(uses []Use) uint64 {
	var set uint64
	for i := range uses {
		set |= 1 << m.shardOf(&uses[i].Key)
	}
	for rest := set; rest != 0; rest &= rest - 1 {
		m.shards[bits.TrailingZeros64(rest)].mu.Lock()
	}
	return set
}

func (m *Memory) unlock(set uint64) {
	for ; set != 0; set &= set - 1 {
		m.shards[bits.TrailingZeros64(set)].mu.Unlock()
	}
}

// visit is a use on its way through Take.
type visit struct {
	terms  terms
	ok     bool // the rule allows something at all
	passes bool
	slot   *slot
	state  state // settled
	after  state // if it passes
}

// Take implements Counters. It does not allocate for known counters and up to eight uses.
func (m *Memory) Take(_ context.Context, now time.Time, uses []Use, out []Outcome) (refused int, err error) {
	var few [8]visit
	visits := few[:]
	if len(uses) > len(few) {
		visits = make([]visit, len(uses))
	}
	us := micros(now)
	set := m.lock(uses)
	defer m.unlock(set)
	m.makeRoom(set, len(uses), us)
	refused = -1
	for i := range uses {
		u, v := &uses[i], &visits[i]
		if !m.judge(u, v, us) {
			return -1, ErrFull
		}
		if !v.passes && !u.DryRun && refused < 0 {
			refused = i
		}
	}
	for i := range uses {
		v := &visits[i]
		switch {
		case !v.ok:
			out[i] = never()
		case refused < 0 && v.passes:
			v.slot.state = v.after
			out[i] = v.terms.left(&v.after, us)
		default:
			out[i] = v.terms.outcome(&v.state, us, uses[i].count())
			if v.slot != nil && v.state.until < v.slot.state.until {
				v.slot.state = v.state // the clock went back, or the rule has changed: what is left counts from now on, and not from each request on
			}
		}
	}
	return refused, nil
}

// judge finds out whether the rule of u lets it pass, and makes a place for its counter if it does. It returns false if there is none.
func (m *Memory) judge(u *Use, v *visit, now int64) bool {
	if v.terms, v.ok = u.Rule.terms(); !v.ok {
		return true
	}
	s := &m.shards[m.shardOf(&u.Key)]
	v.slot = s.find(&u.Key)
	if v.slot != nil {
		v.state = v.terms.settle(v.slot.state, now)
	}
	v.after, v.passes = v.terms.take(v.state, now, u.count())
	if v.passes && v.slot == nil {
		v.slot = s.insert(&u.Key)
		return v.slot != nil
	}
	return true
}

// makeRoom forgets idle counters where that is needed for n new ones.
func (m *Memory) makeRoom(set uint64, n int, now int64) {
	for ; set != 0; set &= set - 1 {
		if s := &m.shards[bits.TrailingZeros64(set)]; s.grown > 0 || len(s.index)+n > s.maximum {
			s.tidy(n, now)
		}
	}
}

// Peek implements Counters.
func (m *Memory) Peek(_ context.Context, now time.Time, uses []Use, out []Outcome) error {
	us := micros(now)
	set := m.lock(uses)
	defer m.unlock(set)
	for i := range uses {
		u := &uses[i]
		t, ok := u.Rule.terms()
		if !ok {
			out[i] = never()
			continue
		}
		var s state
		if slot := m.shards[m.shardOf(&u.Key)].find(&u.Key); slot != nil {
			s = t.settle(slot.state, us)
		}
		out[i] = t.outcome(&s, us, u.count())
	}
	return nil
}

// Return implements Counters.
func (m *Memory) Return(_ context.Context, now time.Time, held time.Duration, uses []Use) error {
	us := micros(now)
	set := m.lock(uses)
	defer m.unlock(set)
	for i := range uses {
		u := &uses[i]
		t, ok := u.Rule.terms()
		if slot := m.shards[m.shardOf(&u.Key)].find(&u.Key); ok && slot != nil {
			slot.state = t.giveBack(t.settle(slot.state, us), us, wholeMicros(held), u.count())
		}
	}
	return nil
}

// Reset implements Counters.
func (m *Memory) Reset(_ context.Context, uses []Use) error {
	set := m.lock(uses)
	defer m.unlock(set)
	for i := range uses {
		if slot := m.shards[m.shardOf(&uses[i].Key)].find(&uses[i].Key); slot != nil {
			slot.state = state{}
		}
	}
	return nil
}

// Len is the number of counters that are kept.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.index)
		s.mu.Unlock()
	}
	return n
}

// shard is a part of the counters with a lock of its own.
type shard struct {
	mu      sync.Mutex
	index   map[Key]uint32 // to slots, without pointers: the garbage collector does not look into it
	chunks  []*[chunk]slot
	free    []uint32
	maximum int
	grown   int    // counters that were made since some were looked at
	next    uint32 // the slot to be looked at next
	_       [64]byte
}

// chunk is the number of slots that are allocated at once.
const chunk = 128

type slot struct {
	key   Key
	state state
}

// vacant is the until of a slot that nothing is in.
const vacant = -1

func (s *shard) slot(i uint32) *slot { return &s.chunks[i/chunk][i%chunk] }

func (s *shard) find(k *Key) *slot {
	i, ok := s.index[*k]
	if !ok {
		return nil
	}
	return s.slot(i)
}

// insert makes a place for a counter that is not there; nil if there is none. No place that was found before is given up for it.
func (s *shard) insert(k *Key) *slot {
	if len(s.index) >= s.maximum {
		return nil
	}
	if len(s.free) == 0 {
		first := uint32(len(s.chunks) * chunk)
		s.chunks = append(s.chunks, new([chunk]slot))
		for i := first + chunk; i > first; i-- {
			s.slot(i - 1).state.until = vacant
			s.free = append(s.free, i-1)
		}
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.index[*k] = i
	s.grown++
	place := s.slot(i)
	*place = slot{key: *k}
	return place
}

// tidy looks at a few counters, more if n new ones have no room, and forgets those that are idle.
func (s *shard) tidy(n int, now int64) {
	const often, much = 2, 128 // each new counter pays for two looks; a full shard for as many as are cheap
	looks := s.grown * often
	s.grown = 0
	if len(s.index)+n > s.maximum {
		looks = max(looks, much)
	}
	for total := uint32(len(s.chunks) * chunk); looks > 0 && total > 0; looks-- {
		if s.next >= total {
			s.next = 0
		}
		if place := s.slot(s.next); place.state.until != vacant && place.state.until <= now-slack { // nobody who is late finds it fresh
			delete(s.index, place.key)
			*place = slot{state: state{until: vacant}}
			s.free = append(s.free, s.next)
		}
		s.next++
	}
}
