package match

import "strings"

// index finds rules by their conditions: first by host, then by path in a radix tree. It is laid out in a few large pieces without pointers, because with
// thousands of rules the time of a lookup is the time of its cache misses.
type index struct {
	exact      map[string]int32 // root nodes by host
	wildcard   map[string]int32 // root nodes by host without its first label
	any        int32            // root node of the rules of which no host is known
	nodes      []node
	texts      string // of the nodes
	candidates []candidate
}

// node is a node of a radix tree over paths. From the root, the path of a request leads past everything that is a prefix of it.
type node struct {
	text     int32 // offset into texts: the node's edge, then the first byte of each child's edge
	edge     int32 // length of the edge, the text between the parent and this node
	children int32
	child    int32 // the first child; the others follow it
	above    int32 // the nearest node on the way to the root that has candidates for every path that comes there; negative if there is none
	// Offsets into candidates: from exact to prefix those for the path that ends here, from prefix to end those for every path that comes here. Ranks ascend.
	exact, prefix, end int32
}

// candidate is a rule that may match the requests that lead to it; if it is sure, it does.
type candidate struct {
	rank int32 // a lower one goes before a higher one
	sure bool
}

// search is one lookup under way.
type search struct {
	request  *Request
	rules    []*Rule // by rank
	best     int     // the lowest rank found to match; the number of rules if none was
	examined int     // candidates looked at
}

// search goes from the special to the general, because what is special mostly has the higher priority and spares the rest.
func (x *index) search(s *search) {
	if root, ok := x.exact[s.request.Host]; ok {
		x.visit(s, root, s.request.Path)
	}
	if len(x.wildcard) > 0 {
		if root, ok := x.wildcard[parentOf(s.request.Host)]; ok {
			x.visit(s, root, s.request.Path)
		}
	}
	x.visit(s, x.any, s.request.Path)
}

// visit follows a path as far into a tree as it leads, and then tries candidates on the way back, those for the longest text first.
func (x *index) visit(s *search, at int32, rest string) {
	last := int32(-1) // the last node whose text the path starts with
	for {
		n := &x.nodes[at]
		text := x.texts[n.text : n.text+n.edge+n.children]
		if !strings.HasPrefix(rest, text[:n.edge]) {
			break
		}
		last, rest = at, rest[n.edge:]
		if rest == "" {
			s.try(x.candidates[n.exact:n.prefix])
			break
		}
		i := strings.IndexByte(text[n.edge:], rest[0])
		if i < 0 {
			break
		}
		at = n.child + int32(i)
	}
	for last >= 0 {
		n := &x.nodes[last]
		s.try(x.candidates[n.prefix:n.end])
		last = n.above
	}
}

// try evaluates candidates until one matches, or no better one than the best can follow.
func (s *search) try(candidates []candidate) {
	for _, c := range candidates {
		if int(c.rank) >= s.best {
			return
		}
		s.examined++
		if c.sure || s.rules[c.rank].test(s.request) {
			s.best = int(c.rank)
			return
		}
	}
}
