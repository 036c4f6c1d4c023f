package match

import (
	"cmp"
	"slices"
)

// Entry is one line of a Table.
type Entry[T any] struct {
	Name     string
	Rule     *Rule // not nil
	Priority int   // 0 means Rule.Len()
	Value    T
}

// Table finds the entry that a request belongs to. It is read-only and safe for concurrent use.
type Table[T any] struct {
	entries []Entry[T] // in order of precedence
	rules   []*Rule    // theirs
	index   index
}

// NewTable makes a table. Entries of higher priority come first, and among equals the name decides, in byte order, so that the answer never depends on
// the order in which entries are given. Names should differ.
func NewTable[T any](entries []Entry[T]) *Table[T] {
	t := &Table[T]{entries: slices.Clone(entries)}
	for i, e := range t.entries {
		if e.Priority == 0 {
			t.entries[i].Priority = e.Rule.Len()
		}
	}
	slices.SortStableFunc(t.entries, func(a, b Entry[T]) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
	})
	for _, e := range t.entries {
		t.rules = append(t.rules, e.Rule)
	}
	t.index = newIndex(t.rules)
	return t
}

// Lookup returns the first entry whose rule matches, and its name. Its cost depends on how many entries have to do with the request's host and path, not on how many there
// are. It allocates nothing beyond what Rule.Match does.
func (t *Table[T]) Lookup(r *Request) (value T, name string, ok bool) {
	s := search{request: r, rules: t.rules, best: len(t.rules)}
	t.index.search(&s)
	if s.best == len(t.rules) {
		return value, "", false
	}
	e := &t.entries[s.best]
	return e.Value, e.Name, true
}

// Len is the number of entries.
func (t *Table[T]) Len() int { return len(t.entries) }
