package match

import "strings"

// index finds rules by their conditions. Rules are known by rank: a lower one goes before a higher one.
type index struct {
	exact    map[string]*pathNode // by host
	wildcard map[string]*pathNode // by host without its first label
	any      pathNode
}

// pathNode is a node of a radix tree over path prefixes. A request's path leads from the root to a leaf past all prefixes of it.
type pathNode struct {
	edge     string // the text between the parent and this node
	first    string // first bytes of the children's edges
	children []*pathNode
	prefix   []int32 // ranks, ascending, of rules for paths that start with the text up to here
	exact    []int32 // of rules for the path that ends here
}

// add must be called with ascending ranks.
func (x *index) add(c condition, rank int32) {
	root := &x.any
	switch c.hostKind {
	case exactHost:
		root = rootOf(&x.exact, c.host)
	case wildcardHost:
		root = rootOf(&x.wildcard, c.host)
	}
	n := root.insert(c.path)
	if c.pathKind == exactPath {
		n.exact = append(n.exact, rank)
	} else {
		n.prefix = append(n.prefix, rank)
	}
}

func rootOf(roots *map[string]*pathNode, host string) *pathNode {
	if *roots == nil {
		*roots = make(map[string]*pathNode)
	}
	if (*roots)[host] == nil {
		(*roots)[host] = &pathNode{}
	}
	return (*roots)[host]
}

// insert returns the node at path below n, and makes it if there is none.
func (n *pathNode) insert(path string) *pathNode {
	if path == "" {
		return n
	}
	i := strings.IndexByte(n.first, path[0])
	if i < 0 {
		leaf := &pathNode{edge: path}
		n.first += path[:1]
		n.children = append(n.children, leaf)
		return leaf
	}
	child := n.children[i]
	common := 1
	for common < min(len(path), len(child.edge)) && path[common] == child.edge[common] {
		common++
	}
	if common < len(child.edge) { // split the edge
		n.children[i] = &pathNode{edge: child.edge[:common], first: child.edge[common : common+1], children: []*pathNode{child}}
		child.edge = child.edge[common:]
		child = n.children[i]
	}
	return child.insert(path[common:])
}

// search is one lookup under way.
type search struct {
	request  *Request
	rules    []*Rule
	best     int // the lowest rank found to match; the number of rules if none was
	examined int // rules that were evaluated
}

// search goes from the special to the general, because what is special mostly has the higher priority and spares the rest.
func (x *index) search(s *search) {
	if n := x.exact[s.request.Host]; n != nil {
		n.search(s, s.request.Path)
	}
	if len(x.wildcard) > 0 {
		if n := x.wildcard[parentOf(s.request.Host)]; n != nil {
			n.search(s, s.request.Path)
		}
	}
	x.any.search(s, s.request.Path)
}

// search looks at n and what is below it; rest is the path from n on.
func (n *pathNode) search(s *search, rest string) {
	if rest == "" {
		s.try(n.exact)
	} else if i := strings.IndexByte(n.first, rest[0]); i >= 0 {
		child := n.children[i]
		if strings.HasPrefix(rest, child.edge) {
			child.search(s, rest[len(child.edge):])
		}
	}
	s.try(n.prefix)
}

// try evaluates rules until one matches, or no better one than the best can follow.
func (s *search) try(ranks []int32) {
	for _, rank := range ranks {
		if int(rank) >= s.best {
			return
		}
		s.examined++
		if s.rules[rank].test(s.request) {
			s.best = int(rank)
			return
		}
	}
}
