package memory

import (
	"iter"
	"slices"
	"sort"
	"strings"
)

// blockSize is the most entries in a block. A change moves no more than that, and a place in the list of blocks.
const blockSize = 256

// index is the entries in byte order of their keys: sorted blocks, none of them empty, in order.
type index struct {
	blocks [][]*entry
}

func compareKey(e *entry, key string) int { return strings.Compare(e.key, key) }

// block is the number of the block where key is or belongs: the last one that does not begin after it, or the first.
func (x *index) block(key string) int {
	after := sort.Search(len(x.blocks), func(i int) bool { return x.blocks[i][0].key > key })
	return max(after-1, 0)
}

// insert adds an entry whose key is not in the index.
func (x *index) insert(e *entry) {
	if len(x.blocks) == 0 {
		x.blocks = [][]*entry{{e}}
		return
	}
	b := x.block(e.key)
	at, _ := slices.BinarySearchFunc(x.blocks[b], e.key, compareKey)
	block := slices.Insert(x.blocks[b], at, e)
	x.blocks[b] = block
	if len(block) <= blockSize {
		return
	}
	half := len(block) / 2
	if b == len(x.blocks)-1 && at == len(block)-1 {
		half = len(block) - 1 // keys that come in order leave full blocks behind
	}
	x.blocks = slices.Insert(x.blocks, b+1, slices.Clone(block[half:]))
	clear(block[half:])
	x.blocks[b] = block[:half]
}

// remove takes the entry of a key out.
func (x *index) remove(key string) {
	if len(x.blocks) == 0 {
		return
	}
	b := x.block(key)
	at, found := slices.BinarySearchFunc(x.blocks[b], key, compareKey)
	if !found {
		return
	}
	x.blocks[b] = slices.Delete(x.blocks[b], at, at+1)
	switch left := len(x.blocks[b]); {
	case left == 0:
		x.blocks = slices.Delete(x.blocks, b, b+1)
	case b+1 < len(x.blocks) && left+len(x.blocks[b+1]) <= blockSize/2:
		x.blocks[b] = append(x.blocks[b], x.blocks[b+1]...)
		x.blocks = slices.Delete(x.blocks, b+1, b+2)
	}
}

// from are the entries in order, from the first one that is not before prefix and greater than after.
func (x *index) from(prefix, after string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		start := max(prefix, after)
		for b := x.block(start); b < len(x.blocks); b++ {
			block := x.blocks[b]
			at, _ := slices.BinarySearchFunc(block, start, compareKey)
			for _, e := range block[at:] {
				if e.key > after && !yield(e) {
					return
				}
			}
		}
	}
}
