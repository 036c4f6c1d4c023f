// Package api keeps the parts of the configuration that the management API was told, in the store, and joins them to those of the configuration's documents.
package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
)

// prefix is where nouns are kept in a store: prefix, kind, "/" and the name.
const prefix = "nouns/"

// Source is what nouns of the management API are called in problems, in place of a file.
const Source = "management API"

var (
	// ErrConfigured says that a noun is part of the configuration's documents.
	ErrConfigured = errors.New("it is part of the configuration's documents and can be changed only there")
	// ErrNotInForce says that a change was stored but could not be taken over.
	ErrNotInForce = errors.New("the change is stored, but could not be taken over")
)

// Noun is a noun of a kind.
type Noun struct {
	Kind Kind
	Name string
	// Value is a pointer to the noun, read-only.
	Value any
	// Configured says that it is part of the configuration's documents; Version is that of the stored noun otherwise.
	Configured bool
	Version    uint64
	// Created is set by [Nouns.Put] if there was none of the name.
	Created bool
}

// id is what a noun is known by.
type id struct {
	kind Kind
	name string
}

func (i id) key() string { return prefix + string(i.kind) + "/" + i.name }

func parseKey(key string) (id, bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	kind, name, cut := strings.Cut(rest, "/")
	i := id{Kind(kind), name}
	_, known := kinds[i.kind]
	return i, ok && cut && known && name != ""
}

// stored is a noun of the store; problems say why it cannot be read.
type stored struct {
	noun     Noun
	problems gate.Problems
}

// Options are what Nouns need. All fields must be set.
type Options struct {
	Store store.Store
	Log   *slog.Logger
	// Check says what is wrong with a configuration.
	Check func(*gate.Config) gate.Problems
	// Apply takes the nouns over; it returns when they are in force at this gateway.
	Apply func(context.Context) error
}

// Nouns are those of a store. They are safe for concurrent use.
type Nouns struct {
	options Options
	mirror  *store.Mirror[id, stored]

	change sync.Mutex // held while a noun is changed here; the lock in the store keeps other gateways away
	mu     sync.Mutex
	base   *gate.Config // what the documents say
	joined uint64       // the generation of the nouns that are in force with them
}

// Open returns the nouns of a store, which it reads in the background and then follows. The caller closes them.
func Open(o Options) *Nouns {
	return &Nouns{options: o, base: new(gate.Config), mirror: store.OpenMirror(o.Store, prefix, o.Log, parseKey, read)}
}

// read is what an item, which has the key of a noun, holds.
func read(item store.Item) stored {
	i, _ := parseKey(item.Key)
	s := stored{noun: Noun{Kind: i.kind, Name: i.name, Version: item.Version}}
	s.noun.Value, s.problems = decode(i, item.Value)
	return s
}

func compare(a, b stored) int {
	return cmp.Or(cmp.Compare(a.noun.Kind, b.noun.Kind), cmp.Compare(a.noun.Name, b.noun.Name))
}

// Close ends following the store.
func (n *Nouns) Close() { n.mirror.Close() }

// WaitLoaded waits until the nouns are known; the error is that of ctx.
func (n *Nouns) WaitLoaded(ctx context.Context) error { return n.mirror.WaitLoaded(ctx) }

// Changed receives something after nouns have changed, here or at another gateway.
func (n *Nouns) Changed() <-chan struct{} { return n.mirror.Changed() }

// Join returns the configuration of the documents with the nouns of the store added, and their generation, for [Nouns.Adopt]. The problems are stored nouns that cannot be read, and, as warnings, those whose
// names the documents use too, which have no effect.
func (n *Nouns) Join(config *gate.Config) (joined *gate.Config, generation uint64, problems gate.Problems) {
	generation = n.mirror.Generation()
	joined, problems = join(config, n.all())
	return joined, generation, problems
}

// Adopt says that a configuration of documents, which must not change, is in force, joined to the nouns of a generation: later changes are checked against it.
func (n *Nouns) Adopt(config *gate.Config, generation uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.base, n.joined = config, generation
}

// Stale reports whether nouns have changed since some were last adopted.
func (n *Nouns) Stale() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.joined != n.mirror.Generation()
}

// documents is the configuration without the nouns of the store.
func (n *Nouns) documents() *gate.Config {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.base
}

// all are the stored nouns by kind and name.
func (n *Nouns) all() []stored {
	all := n.mirror.Values(time.Now())
	slices.SortFunc(all, compare)
	return all
}

// names are the names of a configuration's nouns of a kind.
func names(config *gate.Config, kind Kind) map[string]bool {
	list := kinds[kind].list(config)
	known := make(map[string]bool, len(list))
	for i := range list {
		known[list[i].Name] = true
	}
	return known
}

func join(config *gate.Config, all []stored) (*gate.Config, gate.Problems) {
	joined := *config
	var problems gate.Problems
	taken := make(map[Kind]map[string]bool) // names that the documents use
	for _, s := range all {
		kind, name := s.noun.Kind, s.noun.Name
		problems = append(problems, s.problems...)
		if s.problems.Err() != nil {
			continue
		}
		if taken[kind] == nil {
			taken[kind] = names(config, kind)
			kinds[kind].clip(&joined)
		}
		if taken[kind][name] {
			problems = append(problems, gate.Problem{
				Source: Source, Path: object(kind, name), Warning: true,
				Message: "the documents of the configuration have one of this name, which counts", Hint: "delete this one with the management API",
			})
			continue
		}
		kinds[kind].add(&joined, s.noun.Value)
	}
	return &joined, problems
}

func object(kind Kind, name string) string { return fmt.Sprintf("%s[%s]", kind, name) }

// decode reads a noun that is to have a name.
func decode(i id, text []byte) (any, gate.Problems) {
	k := kinds[i.kind]
	value := k.make()
	name, origin := k.parts(value)
	problems := native.DecodeNoun(Source, text, value)
	for j := range problems {
		problems[j].Path = strings.TrimSuffix(object(i.kind, i.name)+"."+problems[j].Path, ".")
	}
	origin.Source, origin.Object = Source, object(i.kind, i.name)
	if *name != i.name && *name != "" {
		problems = append(problems, origin.Problem("name", "make both the same", "it is called %q, but sent to the place of %q", *name, i.name))
	}
	if problems.Err() != nil {
		return nil, problems
	}
	return value, problems
}

// List are the nouns of a kind, those of the documents and those of the store, by name.
func (n *Nouns) List(kind Kind) []Noun {
	k, ok := kinds[kind]
	if !ok {
		return nil
	}
	base := n.documents()
	out := k.list(base)
	for i := range out {
		out[i].Kind = kind
	}
	taken := names(base, kind)
	for _, s := range n.all() {
		if s.noun.Kind == kind && s.problems.Err() == nil && !taken[s.noun.Name] {
			out = append(out, s.noun)
		}
	}
	slices.SortFunc(out, func(a, b Noun) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Get returns the noun of a kind with a name. The error is store.ErrNotFound.
func (n *Nouns) Get(kind Kind, name string) (Noun, error) {
	all := n.List(kind)
	i, found := slices.BinarySearchFunc(all, name, func(noun Noun, name string) int { return cmp.Compare(noun.Name, name) })
	if !found {
		return Noun{}, store.ErrNotFound
	}
	return all[i], nil
}

// Put writes a noun, JSON or YAML, if the condition holds and the whole configuration is good with it, and puts it in force. The error is gate.Problems, ErrConfigured, store.ErrConflict, store.ErrNotFound for an
// unknown kind, or the store's, and nothing has changed then; or it wraps ErrNotInForce.
func (n *Nouns) Put(ctx context.Context, kind Kind, name string, text []byte, c store.Condition) (Noun, error) {
	if _, ok := kinds[kind]; !ok {
		return Noun{}, store.ErrNotFound
	}
	key := id{kind, name}.key()
	if err := store.CheckKey(key); err != nil {
		return Noun{}, gate.Problems{{Source: Source, Path: "name", Message: fmt.Sprintf("no noun can be called so: %v", err)}}
	}
	value, problems := decode(id{kind, name}, text)
	if problems.Err() != nil {
		return Noun{}, problems
	}
	canonical, err := native.EncodeNoun(value)
	if err != nil {
		return Noun{}, err
	}
	noun := Noun{Kind: kind, Name: name, Value: value}
	n.change.Lock()
	defer n.change.Unlock()
	err = n.locked(ctx, func(ctx context.Context) error {
		there, err := n.try(ctx, kind, name, &noun)
		if err != nil {
			return err
		}
		noun.Created = !there
		item := store.Item{Key: key, Value: canonical}
		if item.Version, err = n.options.Store.Put(ctx, item.Key, item.Value, 0, c); err != nil {
			return fmt.Errorf("storing it: %w", err)
		}
		noun.Version = item.Version
		return n.refresh(ctx)
	})
	if err != nil {
		return Noun{}, err
	}
	return noun, n.apply(ctx)
}

// refresh reads what is stored, after a change: it was checked against the store as it is, and must not be taken over with what this gateway knew of it a moment ago.
func (n *Nouns) refresh(ctx context.Context) error {
	if err := n.mirror.Refresh(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotInForce, err)
	}
	return nil
}

func (n *Nouns) apply(ctx context.Context) error {
	if err := n.options.Apply(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotInForce, err)
	}
	return nil
}

// try checks the whole configuration with a noun changed, or removed if changed is nil, and reports whether the store has one of the name.
func (n *Nouns) try(ctx context.Context, kind Kind, name string, changed *Noun) (there bool, err error) {
	base := n.documents()
	if names(base, kind)[name] {
		return false, ErrConfigured
	}
	var all []stored // as the store says now: what another gateway has changed may not be here yet
	for item, err := range store.All(ctx, n.options.Store, prefix) {
		if err != nil {
			return false, fmt.Errorf("reading what is there: %w", err)
		}
		switch i, ok := parseKey(item.Key); {
		case i == (id{kind, name}):
			there = true
		case ok:
			all = append(all, read(item))
		}
	}
	slices.SortFunc(all, compare)
	if changed != nil {
		all = append(all, stored{noun: *changed})
	}
	joined, problems := join(base, all)
	problems = append(problems, n.options.Check(joined)...)
	return there, problems.Err()
}

// Delete removes a noun, if the condition holds and the configuration is good without it. The errors are those of Put, and store.ErrNotFound.
func (n *Nouns) Delete(ctx context.Context, kind Kind, name string, c store.Condition) error {
	if _, ok := kinds[kind]; !ok {
		return store.ErrNotFound
	}
	key := id{kind, name}.key()
	if store.CheckKey(key) != nil {
		return store.ErrNotFound
	}
	n.change.Lock()
	defer n.change.Unlock()
	err := n.locked(ctx, func(ctx context.Context) error {
		if _, err := n.try(ctx, kind, name, nil); err != nil {
			return err
		}
		if err := n.options.Store.Delete(ctx, key, c); err != nil {
			return fmt.Errorf("deleting it: %w", err)
		}
		return n.refresh(ctx)
	})
	if err != nil {
		return err
	}
	return n.apply(ctx)
}
