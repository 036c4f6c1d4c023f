package match

import (
	"maps"
	"slices"
	"strings"
)

// tree is a node of a radix tree that still grows.
type tree struct {
	edge          string
	first         string // first byte of each child's edge
	children      []*tree
	exact, prefix []candidate
}

// newIndex makes the index of rules, which are in order of precedence.
func newIndex(rules []*Rule) index {
	roots := map[hostKind]map[string]*tree{exactHost: {}, wildcardHost: {}, anyHost: {"": {}}}
	for rank, rule := range rules {
		for _, c := range rule.conditions {
			root := roots[c.hostKind][c.host]
			n := insert(&root, c.path)
			roots[c.hostKind][c.host] = root
			found := candidate{rank: int32(rank), sure: c.sufficient}
			if c.pathKind == exactPath {
				n.exact = append(n.exact, found)
			} else {
				n.prefix = append(n.prefix, found)
			}
		}
	}
	var b builder
	x := index{exact: b.hosts(roots[exactHost]), wildcard: b.hosts(roots[wildcardHost]), any: b.root(roots[anyHost][""])}
	x.nodes, x.texts, x.candidates = b.nodes, string(b.texts), b.candidates
	return x
}

// insert returns the node for path in the tree at *at, where path starts at the edge of that tree's root. It makes the node if there is none.
func insert(at **tree, path string) *tree {
	n := *at
	if n == nil {
		*at = &tree{edge: path}
		return *at
	}
	common := 0
	for common < min(len(n.edge), len(path)) && n.edge[common] == path[common] {
		common++
	}
	if common < len(n.edge) { // split the edge
		*at = &tree{edge: n.edge[:common], first: n.edge[common : common+1], children: []*tree{n}}
		n.edge = n.edge[common:]
		n = *at
	}
	if common == len(path) {
		return n
	}
	i := strings.IndexByte(n.first, path[common])
	if i < 0 {
		i = len(n.children)
		n.first += path[common : common+1]
		n.children = append(n.children, nil)
	}
	return insert(&n.children[i], path[common:])
}

// builder lays trees out for an index.
type builder struct {
	nodes      []node
	texts      []byte
	candidates []candidate
}

// hosts lays out the trees of all hosts, and copies the names into one piece.
func (b *builder) hosts(trees map[string]*tree) map[string]int32 {
	names := slices.Sorted(maps.Keys(trees))
	packed := strings.Join(names, "")
	roots := make(map[string]int32, len(names))
	for _, name := range names {
		roots[packed[:len(name)]] = b.root(trees[name])
		packed = packed[len(name):]
	}
	return roots
}

func (b *builder) root(t *tree) int32 {
	at := int32(len(b.nodes))
	b.nodes = append(b.nodes, node{})
	b.fill(at, -1, t)
	return at
}

// fill lays out t as the node at the given place, and everything below it.
func (b *builder) fill(at, above int32, t *tree) {
	n := node{text: int32(len(b.texts)), edge: int32(len(t.edge)), children: int32(len(t.children)), child: int32(len(b.nodes)), above: above}
	b.texts = append(append(b.texts, t.edge...), t.first...)
	n.exact = int32(len(b.candidates))
	b.candidates = append(b.candidates, t.exact...)
	n.prefix = int32(len(b.candidates))
	b.candidates = append(b.candidates, t.prefix...)
	n.end = int32(len(b.candidates))
	b.nodes[at] = n
	b.nodes = append(b.nodes, make([]node, len(t.children))...)
	if len(t.prefix) > 0 {
		above = at
	}
	for i, child := range t.children {
		b.fill(n.child+int32(i), above, child)
	}
}
