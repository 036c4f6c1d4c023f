package jose

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	// headerPlaces is how many headers a Parser remembers: a few for each key and kind of token.
	headerPlaces = 32
	// headerWays is how many places a header may be in.
	headerWays = 4
	// headerTurns is how many headers want a taken place before one of them gets it.
	headerTurns = 256
	// maxStoredHeader is the longest encoded header that is remembered. Those with certificates are longer.
	maxStoredHeader = 512
)

// Parser is [Parse] under limits that stay the same. It remembers headers: the tokens of an
// issuer have only a few, so that most need not be read again. It is safe for concurrent use.
//
// What it remembers is the result for exactly these bytes, so a token is read the same way
// with and without. A header gets in when [Verify] finds the signature of its token good, and
// a place that is taken is seldom given to another, so that whoever makes up headers changes
// nothing, and an issuer that does so for each token costs little. The memory is bounded.
type Parser struct {
	limits Limits
	seed   maphash.Seed
	// table is made for the first header: many parsers never see a token.
	table atomic.Pointer[headerTable]
}

// headerTable holds a header in one of the headerWays places from the one that its hash names.
// A place that is taken stays so: a search ends at the first that is free.
type headerTable struct {
	places [headerPlaces]atomic.Pointer[knownHeader]
	wanted atomic.Uint32
}

// knownHeader is immutable.
type knownHeader struct {
	hash    uint64
	encoded string
	header  Header
}

// NewParser returns a parser of tokens within limits.
func NewParser(limits Limits) *Parser {
	return &Parser{limits: limits.withDefaults(), seed: maphash.MakeSeed()}
}

// Parse reads token by the rules of the function [Parse], with the same errors, and makes m
// its message. m may be new, or have been another message before: its memory is used again
// then, so payload and signature of that must not be, and nobody else may be using m. Headers
// that it had stay good. After an error m is a message that nothing verifies.
func (p *Parser) Parse(token string, m *Message) error { return m.parse(token, p.limits, p) }

// find returns the remembered header of these bytes, or nil.
func (p *Parser) find(encoded string) *knownHeader {
	if p == nil || len(encoded) > maxStoredHeader {
		return nil
	}
	t := p.table.Load()
	if t == nil {
		return nil
	}
	hash := maphash.String(p.seed, encoded)
	for i := range headerWays {
		known := t.place(hash, i).Load()
		if known == nil {
			return nil
		}
		if known.hash == hash && known.encoded == encoded {
			return known
		}
	}
	return nil
}

// remember keeps the header of a verified message, if p is not nil and has read it itself.
func (p *Parser) remember(m *Message) {
	if p == nil || m.parser != p || len(m.encoded) > maxStoredHeader {
		return
	}
	t := p.table.Load()
	if t == nil {
		p.table.CompareAndSwap(nil, new(headerTable))
		t = p.table.Load()
	}
	hash := maphash.Bytes(p.seed, m.encoded)
	for i := range headerWays {
		known := t.place(hash, i).Load()
		if known == nil {
			t.place(hash, i).CompareAndSwap(nil, newKnownHeader(hash, m))
			return
		}
		if known.hash == hash && known.encoded == string(m.encoded) {
			return // by another token at the same time
		}
	}
	if n := t.wanted.Add(1); n%headerTurns == 0 {
		t.place(hash, int(n/headerTurns%headerWays)).Store(newKnownHeader(hash, m))
	}
}

func (t *headerTable) place(hash uint64, i int) *atomic.Pointer[knownHeader] {
	return &t.places[(hash+uint64(i))%headerPlaces]
}

func newKnownHeader(hash uint64, m *Message) *knownHeader {
	return &knownHeader{hash: hash, encoded: string(m.encoded), header: m.header}
}
