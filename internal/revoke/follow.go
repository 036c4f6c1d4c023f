package revoke

import (
	"context"
	"log/slog"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

const (
	// pageSize is how many revocations are read at once.
	pageSize = 1000
	// retryAfter is how long a store that failed is left alone.
	retryAfter = 500 * time.Millisecond
	// sweepEvery is how often revocations that have ended are forgotten.
	sweepEvery = time.Minute
)

// follow keeps the list like the store. While the store cannot be asked, what was known stays in force.
func (l *List) follow(ctx context.Context) {
	defer close(l.done)
	resync := make(chan struct{}, 1)
	again := func() {
		select {
		case resync <- struct{}{}:
		default: // one is waiting already
		}
	}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for ctx.Err() == nil {
			if err := l.store.Watch(ctx, prefix, again, l.changed); err != nil && ctx.Err() == nil {
				l.log.Warn("the revocation list is not followed", slog.Any("error", err))
				pause(ctx)
			}
		}
	}()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			<-watching
			return
		case now := <-sweep.C:
			l.forget(now)
		case <-resync:
			if err := l.load(ctx); err != nil {
				if ctx.Err() == nil {
					l.log.Error("the revocation list cannot be read; what was known of it stays in force", slog.Any("error", err))
				}
				pause(ctx)
				again()
			}
		}
	}
}

func pause(ctx context.Context) {
	timer := time.NewTimer(retryAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// load reads the whole list. What is changed meanwhile is told by the watch, which began before, and counts more than what was read.
func (l *List) load(ctx context.Context) error {
	l.mu.Lock()
	l.meanwhile = make(map[name]*entry)
	l.mu.Unlock()
	fresh, err := l.read(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	meanwhile := l.meanwhile
	l.meanwhile = nil
	if err != nil {
		return err
	}
	for n, e := range meanwhile {
		if e != nil {
			fresh[n] = *e
		} else {
			delete(fresh, n)
		}
	}
	l.entries = fresh
	l.generation.Add(1)
	l.once.Do(func() { close(l.loaded) })
	return nil
}

func (l *List) read(ctx context.Context) (map[name]entry, error) {
	fresh := make(map[name]entry)
	for after := ""; ; {
		items, err := l.store.List(ctx, prefix, after, pageSize)
		if err != nil {
			return nil, err
		}
		for i := range items {
			if n, e, ok := l.parse(&items[i]); ok {
				fresh[n] = e
			}
		}
		if len(items) < pageSize {
			return fresh, nil
		}
		after = items[len(items)-1].Key
	}
}

// changed takes over what another gateway has done.
func (l *List) changed(c store.Change) {
	if c.Gone {
		if n, ok := parseKey(c.Item.Key); ok {
			l.drop(n)
		}
		return
	}
	if n, e, ok := l.parse(&c.Item); ok {
		l.put(n, e)
	}
}

// parse reads a stored revocation. One that cannot be read is in force without its limits: whoever wrote it wanted something taken back.
func (l *List) parse(item *store.Item) (name, entry, bool) {
	n, ok := parseKey(item.Key)
	if !ok {
		l.log.Error("the store holds a revocation under an unknown key, which has no effect")
		return n, entry{}, false
	}
	r, err := decode(item.Value)
	if err != nil {
		l.log.Error("a stored revocation cannot be read; all that it names is refused", slog.Any("error", err))
		r = Revocation{}
	}
	return n, r.entry(), true
}

// put puts a revocation in force.
func (l *List) put(n name, e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, found := l.entries[n]; found && known == e && l.meanwhile == nil {
		return // it is our own change that the store tells us
	}
	l.entries[n] = e
	if l.meanwhile != nil {
		l.meanwhile[n] = &e
	}
	if l.generation.Load() != 0 { // a list that is not loaded yet stays unknown: nothing may pass before
		l.generation.Add(1)
	}
}

// drop ends a revocation.
func (l *List) drop(n name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, n)
	if l.meanwhile != nil {
		l.meanwhile[n] = nil
	}
}

// forget drops what has ended.
func (l *List) forget(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n, e := range l.entries {
		if !e.lasts(now) {
			delete(l.entries, n)
		}
	}
}
