package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// Ceilings of the time between attempts that fail: without keys, tokens are refused, so it pays to try more often.
const (
	retryWithKeys    = time.Minute
	retryWithoutKeys = 10 * time.Second
	// saveInterval is how often an unchanged document's new age is written to disk.
	saveInterval = time.Minute
	// fileInterval is how often a file is read without being told that it changed: symbolic links and network disks do not always tell.
	fileInterval = 15 * time.Second
)

// part is one document that keys come from, and the schedule by which it is renewed. Parts of a source do not wait for each other.
type part struct {
	kind    string
	loader  loader
	records []*record // of the document, and before it that of the discovery document if there is one
	others  []*record // of the source, whose locations come before this one's
	limits  gate.Fetch
	log     *slog.Logger
	random  func() float64 // in [0, 1), for jitter
	disk    *disk          // nil: nothing is kept
	// binding is a hash of everything that the document is good for: kind, issuer, address and how the server is authenticated.
	binding string
	// changed is called after the document was replaced or dropped.
	changed func()

	// ask demands an attempt now and gets the result. It has room for the one question that the seeker has.
	ask chan chan<- error
	// wake demands an attempt now.
	wake chan struct{}

	// What follows belongs to run.
	failures int
	next     time.Time
	savedAt  time.Time

	mu  sync.Mutex // guards doc
	doc *document  // nil: no keys
}

func (p *part) record() *record { return p.records[len(p.records)-1] }

// shown is a location of the document, fit for display. What is shown of different addresses may be the same; the later ones of a source are then numbered.
func (p *part) shown(location string) string {
	text := location
	if p.kind != kindFile {
		text = display(location)
	}
	unique := text
	for n := 2; slices.ContainsFunc(p.others, func(r *record) bool { return r.snapshot().Location == unique }); n++ {
		unique = fmt.Sprintf("%s (%d)", text, n)
	}
	return unique
}

func (p *part) document() *document {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.doc
}

func (p *part) replace(doc *document) {
	p.mu.Lock()
	p.doc = doc
	p.mu.Unlock()
	p.changed()
}

// run keeps the part current until the context is done. The first attempt is at p.next.
func (p *part) run(ctx context.Context) {
	for {
		timer := time.NewTimer(time.Until(p.wakeTime()))
		var asker chan<- error
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			p.expire(ctx, time.Now())
			if time.Now().Before(p.next) {
				continue
			}
		case asker = <-p.ask:
		case <-p.wake:
		}
		timer.Stop()
		err := p.attempt(ctx, asker != nil)
		p.expire(ctx, time.Now())
		if asker != nil {
			asker <- err
		}
	}
}

// wakeTime is the next attempt, or the end of the document if that is sooner.
func (p *part) wakeTime() time.Time {
	if doc := p.document(); doc != nil && doc.lifetime > 0 {
		if end := doc.expires(p.limits.MaxStale); end.Before(p.next) {
			return end
		}
	}
	return p.next
}

// expire drops a document that could not be renewed for too long.
func (p *part) expire(ctx context.Context, now time.Time) {
	doc := p.document()
	if doc == nil || doc.lifetime == 0 || now.Before(doc.expires(p.limits.MaxStale)) {
		return
	}
	p.log.ErrorContext(ctx, "keys are too old to be used any longer", "location", p.shown(doc.location), "fetched", doc.fetched)
	p.replace(nil)
	p.next = now // worth another attempt, and then more of them
	p.failures = 0
}

// attempt loads the document once and sets the time of the next attempt.
func (p *part) attempt(ctx context.Context, asked bool) error {
	former := p.document()
	p.record().begin(time.Now())
	doc, err := p.loader.load(ctx, former, asked)
	if err != nil {
		if ctx.Err() == nil {
			p.fail(ctx, err)
		}
		return err
	}
	if p.failures > 0 {
		p.log.InfoContext(ctx, "fetching keys works again", "location", p.shown(doc.location), "failures", p.failures)
	}
	p.failures = 0
	wait := fileInterval
	if p.kind != kindFile {
		wait = refreshAfter(doc.lifetime, p.limits.MinRefresh, p.random())
	}
	p.next = time.Now().Add(wait)
	changed := former == nil || string(former.body) != string(doc.body)
	p.record().located(p.shown(doc.location))
	p.record().succeeded(doc.fetched, changed, p.next)
	p.replace(doc)
	p.save(ctx, doc, changed)
	return nil
}

func (p *part) fail(ctx context.Context, err error) {
	p.failures++
	ceiling := retryWithKeys
	if p.document() == nil {
		ceiling = retryWithoutKeys
	}
	wait := fileInterval
	if p.kind != kindFile {
		wait = retryAfter(p.failures, min(ceiling, p.limits.MaxRefresh), p.random())
	}
	p.next = time.Now().Add(wait)
	reported := err
	if errors.Is(err, errDiscovery) {
		reported = errDiscovery // the record of the discovery document has the rest
	}
	p.record().failed(reported, p.next)
	p.log.WarnContext(ctx, "fetching keys failed", "location", p.record().snapshot().Location,
		"error", err, "failures", p.failures, "next_attempt", p.next, "keys_kept", p.document() != nil)
}

// save writes the document to disk if it changed, or if the file's idea of its age is old.
func (p *part) save(ctx context.Context, doc *document, changed bool) {
	if p.disk == nil || !changed && doc.fetched.Sub(p.savedAt) < saveInterval {
		return
	}
	if err := p.disk.save(p.binding, doc, p.limits.MaxStale); err != nil {
		p.log.WarnContext(ctx, "keys cannot be kept on disk", "location", p.shown(doc.location), "error", err)
		return
	}
	p.savedAt = doc.fetched
}

// seed puts in what an earlier run or another configuration left, if it is young enough.
func (p *part) seed(doc *document, now time.Time) bool {
	if doc == nil || doc.lifetime == 0 || !now.Before(doc.expires(p.limits.MaxStale)) {
		return false
	}
	p.doc = doc
	return true
}

// status returns the state of the part's documents.
func (p *part) status(now time.Time) []gate.KeyPartStatus {
	var all []gate.KeyPartStatus
	for _, r := range p.records {
		all = append(all, r.snapshot())
	}
	if doc := p.document(); doc != nil {
		last := &all[len(all)-1]
		last.FromDisk = doc.fromDisk
		last.Stale = doc.stale(now)
	}
	return all
}
