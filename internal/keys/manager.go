package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// Options are for a Manager.
type Options struct {
	// Log gets what happens to keys. It must not be nil.
	Log *slog.Logger
	// StateDir is where the last known good sets are kept over restarts; "" keeps none. It is made if it is not there.
	StateDir string
}

// Manager owns the sources of all providers.
type Manager struct {
	log  *slog.Logger
	disk *disk
	dial dialer // nil: the network

	mu      sync.Mutex // guards what follows
	sources map[string]*Source
	pruned  time.Time // when old files were last removed
	closed  bool
}

// NewManager returns a Manager, to be closed.
func NewManager(o Options) *Manager {
	m := &Manager{log: o.Log, sources: make(map[string]*Source)}
	if o.StateDir != "" {
		m.disk = &disk{dir: filepath.Join(o.StateDir, "keys")}
	}
	m.prune(time.Now())
	return m
}

// Acquire returns the source of the provider's keys, to be released. Providers that say the same about their keys get the same one. A new source begins to fetch at
// once; [Source.WaitReady] waits for it. The problems are those of [Check]; with an error among them, or after Close, the source is nil.
func (m *Manager) Acquire(p *gate.Provider) (*Source, gate.Problems) {
	static, problems := check(p)
	if problems.Err() != nil {
		return nil, problems
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, append(problems, p.Origin.Problem("", "", "the gateway is stopping"))
	}
	content := contentOf(p)
	s := m.sources[content]
	if s == nil {
		s = m.open(p, static)
		s.content = content
		m.sources[content] = s
		s.start()
	}
	s.references++
	return s, problems
}

func (m *Manager) release(s *Source) {
	m.mu.Lock()
	s.references--
	last := s.references == 0
	if last && m.sources[s.content] == s {
		delete(m.sources, s.content)
	}
	m.mu.Unlock()
	if last {
		s.close()
		m.prune(time.Now())
	}
}

// prune removes from disk what is left of the sources of former configurations, unless it has just done so.
func (m *Manager) prune(now time.Time) {
	m.mu.Lock()
	due := m.disk != nil && now.Sub(m.pruned) >= pruneInterval
	if due {
		m.pruned = now
	}
	m.mu.Unlock()
	if !due {
		return
	}
	removed, err := m.disk.prune(now)
	if err != nil {
		m.log.Warn("old keys on disk cannot be removed", "error", err)
	}
	if removed > 0 {
		m.log.Info("old keys on disk were removed", "files", removed)
	}
}

// Status returns the state of every source, by provider.
func (m *Manager) Status() []gate.KeySourceStatus {
	m.mu.Lock()
	sources := make([]*Source, 0, len(m.sources))
	for _, s := range m.sources {
		sources = append(sources, s)
	}
	m.mu.Unlock()
	all := make([]gate.KeySourceStatus, 0, len(sources))
	for _, s := range sources {
		all = append(all, s.Status())
	}
	slices.SortStableFunc(all, func(a, b gate.KeySourceStatus) int { return strings.Compare(a.Provider, b.Provider) })
	return all
}

// Close stops the background work of every source and waits for it. Sources that are not released yet answer from the keys they have.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	sources := m.sources
	m.sources = make(map[string]*Source)
	m.mu.Unlock()
	for _, s := range sources {
		s.stop()
	}
	for _, s := range sources {
		s.close()
	}
}

// open makes a source with what can be known without the network.
func (m *Manager) open(p *gate.Provider, static []*jose.Key) *Source {
	kind := kindOf(p)
	s := &Source{
		manager: m, provider: p.Name, kind: kind, started: time.Now(), patience: p.Fetch.StartWait,
		log:   m.log.With("provider", p.Name, "kind", kind),
		ready: make(chan struct{}),
	}
	s.view.Store(&view{anyKid: kind == kindSecret || kind == kindPublicKey})
	if kind == kindSecret || kind == kindPublicKey {
		s.view.Store(s.view.Load().next(static, true))
		close(s.ready)
		return s
	}
	interval, wait := p.Fetch.UnknownKeyInterval, p.Fetch.UnknownKeyWait
	if kind == kindFile {
		interval, wait = fileUnknownInterval, fileUnknownWait
	}
	s.seeker = newSeeker(interval, wait, &s.view, s.fetchAll)
	s.parts = m.partsOf(p, kind, s)
	if t := p.Fetch.TLS; kind != kindFile && t != nil && t.InsecureSkipVerify {
		s.log.Warn("SERVER CERTIFICATES ARE NOT CHECKED: whoever is between the gateway and the provider can forge its keys, and so its tokens",
			"setting", "fetch.tls.insecureSkipVerify")
	}
	now := time.Now()
	for _, part := range s.parts {
		if kind == kindFile {
			_ = part.attempt(context.Background(), false) // an error is in the part's record and log
		} else {
			m.seed(part, now)
			part.next = now
		}
	}
	s.refresh()
	return s
}

// partsOf makes the parts of a source whose keys can change.
func (m *Manager) partsOf(p *gate.Provider, kind string, s *Source) []*part {
	var others []*record
	newPart := func(location string, l loader) *part {
		n := &part{
			kind: kind, loader: l, others: slices.Clone(others), limits: p.Fetch, log: s.log, random: rand.Float64, changed: s.refresh,
			ask: make(chan chan<- error, 1), wake: make(chan struct{}, 1),
		}
		n.records = []*record{newRecord(n.shown(location))}
		others = append(others, n.record())
		if kind != kindFile {
			n.disk, n.binding = m.disk, bindingOf(p, kind, location)
		}
		return n
	}
	switch kind {
	case kindFile:
		return []*part{newPart(p.JWKSFile, &fileLoader{p.JWKSFile, fileOptions(p)})}
	case kindURLs:
		var parts []*part
		for _, address := range p.JWKSURLs {
			parts = append(parts, newPart(address, &urlLoader{newFetcher(p.Fetch, m.dial), address}))
		}
		return parts
	default:
		places, _ := placesOf(p) // checked before
		found := newRecord(display(places[0]))
		l := &discoveryLoader{fetcher: newFetcher(p.Fetch, m.dial), issuer: p.Issuer, places: places, record: found}
		others = append(others, found)
		n := newPart(places[0], l)
		n.records = append([]*record{found}, n.records...)
		l.moved = func(jwksURI string) { n.record().located(n.shown(jwksURI)) }
		return []*part{n}
	}
}

// seed gives a part what another source of the same binding has, or what is on disk.
func (m *Manager) seed(p *part, now time.Time) {
	for _, s := range m.sources {
		for _, other := range s.parts {
			if other.binding == p.binding && p.seed(other.document(), now) {
				return
			}
		}
	}
	if p.disk == nil {
		return
	}
	doc, err := p.disk.load(p.binding, setOptions(p.limits), now)
	if err != nil {
		p.log.Warn("keys on disk cannot be used", "location", p.record().snapshot().Location, "file", p.disk.path(p.binding), "error", err)
		return
	}
	if doc != nil && !p.seed(doc, now) {
		p.log.Warn("keys on disk are too old to be used", "location", p.record().snapshot().Location, "fetched", doc.fetched)
	}
}

// contentOf is a hash of all that a source depends on. The secret is in it, so it stays in memory.
func contentOf(p *gate.Provider) string {
	return hash(p.Name, p.Issuer, []byte(p.Secret.Reveal()), p.SecretBase64, p.AllowShortSecret, []byte(p.PublicKey), p.JWKSFile, p.JWKSURLs, p.Discovery, p.DiscoveryURL, p.Fetch)
}

// bindingOf is a hash of what a fetched set is good for: whose tokens, where it is from, and how the server was known to be the right one. The provider's name is
// not in it, for it is only what the configuration calls it.
func bindingOf(p *gate.Provider, kind, location string) string {
	return hash(kind, p.Issuer, location, p.Fetch.TLS)
}

// hash returns a SHA-256 in hexadecimal of values in an unambiguous encoding. Text that may not be UTF-8 must be given as bytes.
func hash(values ...any) string {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(values); err != nil {
		panic(fmt.Sprintf("keys: configuration that cannot be encoded: %v", err)) // all are plain data
	}
	return hex.EncodeToString(h.Sum(nil))
}
