package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// gonePoll is how often a client that cannot make itself felt is asked whether it is still there.
const gonePoll = time.Second

var errClosing = errors.New("the gateway is stopping")

// pool keeps the links to one server: those that are idle, to be used again, and those in use, to be ended.
type pool struct {
	open     func(context.Context) (*link, error)
	maxIdle  int
	maxLinks int // 0: no limit
	idleTime time.Duration

	mu      sync.Mutex
	idle    []*link      // the one used last at the end, which is taken first
	busy    *link        // a list
	links   int          // idle, in use and being opened
	waiting []chan *link // those who wait for their turn, the first at the front; they get a link, or nil for the right to open one
	retired bool         // nothing is kept
	killed  bool         // nothing is used
	sweeper *time.Timer  // closes what is idle for too long; nil until something was
	armed   bool         // sweeper runs
}

// get returns a link. It waits while there are as many as there may be, until limit is over, ctx ends or client is gone; client may be nil. Every link goes back by put or drop.
func (p *pool) get(ctx context.Context, now time.Time, limit time.Duration, client direct) (*link, error) {
	for {
		l, turn, err := p.take(now)
		if err != nil {
			return nil, err
		}
		if turn != nil {
			if l, err = p.await(ctx, turn, limit, client); err != nil {
				return nil, err
			}
		}
		if l == nil {
			return p.grow(ctx)
		}
		if l.fit() {
			return l, nil
		}
		p.drop(l)
	}
}

// take returns an idle link, or a turn to wait for, or neither: then a link may be opened.
func (p *pool) take(now time.Time) (*link, chan *link, error) {
	p.mu.Lock()
	if len(p.idle) > 0 && now.Sub(p.idle[0].since) >= p.idleTime {
		defer closeAll(p.expired(now))
	}
	defer p.mu.Unlock()
	if p.killed {
		return nil, nil, errClosing
	}
	if n := len(p.idle); n > 0 {
		l := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.use(l)
		return l, nil, nil
	}
	if p.maxLinks == 0 || p.links < p.maxLinks {
		p.links++
		return nil, nil, nil
	}
	turn := make(chan *link, 1)
	p.waiting = append(p.waiting, turn)
	return nil, turn, nil
}

// await waits for its turn.
func (p *pool) await(ctx context.Context, turn chan *link, limit time.Duration, client direct) (*link, error) {
	patience := time.NewTimer(limit)
	defer patience.Stop()
	var tick <-chan time.Time
	if client != nil {
		ticker := time.NewTicker(gonePoll)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		var err error
		select {
		case l, ok := <-turn:
			if !ok {
				return nil, errClosing
			}
			return l, nil
		case <-ctx.Done():
			err = errEnded
		case <-patience.C:
			err = errQueued
		case <-tick:
			if !client.Gone() {
				continue
			}
			err = errGone
		}
		p.giveUp(turn)
		return nil, err
	}
}

// giveUp passes on what came too late.
func (p *pool) giveUp(turn chan *link) {
	p.mu.Lock()
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	switch l, ok := <-turn; {
	case l != nil:
		p.put(l, time.Now())
	case ok:
		p.shrink()
	}
}

// grow opens a link, for which there is room.
func (p *pool) grow(ctx context.Context) (*link, error) {
	l, err := p.open(ctx)
	if err != nil {
		p.shrink()
		return nil, err
	}
	p.mu.Lock()
	killed := p.killed
	p.use(l)
	p.mu.Unlock()
	if killed {
		p.drop(l)
		return nil, errClosing
	}
	return l, nil
}

// put takes back a link that can be used again.
func (p *pool) put(l *link, now time.Time) {
	l.used, l.since = true, now
	p.mu.Lock()
	switch {
	case p.killed:
	case len(p.waiting) > 0:
		p.next() <- l // it stays in use
		p.mu.Unlock()
		return
	case !p.retired && len(p.idle) < p.maxIdle:
		p.unuse(l)
		p.idle = append(p.idle, l)
		p.arm()
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.drop(l)
}

// drop closes a link in use, without a goodbye of TLS: the server may take nothing any more.
func (p *pool) drop(l *link) {
	p.mu.Lock()
	p.unuse(l)
	p.mu.Unlock()
	_ = l.raw.Close()
	p.shrink()
}

// shrink notes that there is a link less, and lets somebody open another one.
func (p *pool) shrink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) > 0 {
		p.next() <- nil
		return
	}
	p.links--
}

// next is the turn of the one who waits longest. p.mu is held.
func (p *pool) next() chan *link {
	turn := p.waiting[0]
	p.waiting = slices.Delete(p.waiting, 0, 1)
	return turn
}

// use and unuse keep the list of links in use. p.mu is held.
func (p *pool) use(l *link) {
	l.prev, l.next = nil, p.busy
	if p.busy != nil {
		p.busy.prev = l
	}
	p.busy = l
}

func (p *pool) unuse(l *link) {
	if l.prev != nil {
		l.prev.next = l.next
	} else if p.busy == l {
		p.busy = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	l.prev, l.next = nil, nil
}

// expired takes out what has been idle for too long: the links at the front. p.mu is held.
func (p *pool) expired(now time.Time) []*link {
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= p.idleTime {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.links -= n
	return old
}

// closeAll closes idle links. It may write (TLS says goodbye), so that no lock is held.
func closeAll(links []*link) {
	for _, l := range links {
		_ = l.Close()
	}
}

// arm makes sure that idle links expire also when nobody comes any more. p.mu is held.
func (p *pool) arm() {
	switch {
	case p.armed:
	case p.sweeper == nil:
		p.sweeper = time.AfterFunc(p.idleTime, p.sweep)
	default:
		p.sweeper.Reset(p.idleTime)
	}
	p.armed = true
}

func (p *pool) sweep() {
	p.mu.Lock()
	now := time.Now()
	old := p.expired(now)
	if p.armed = len(p.idle) > 0; p.armed {
		p.sweeper.Reset(p.idle[0].since.Add(p.idleTime).Sub(now))
	}
	p.mu.Unlock()
	closeAll(old)
}

// retire closes what is idle, now and from now on.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	idle := p.idle
	p.links -= len(idle)
	p.idle = nil
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	p.mu.Unlock()
	closeAll(idle)
}

// kill is retire that also ends what is in use.
func (p *pool) kill() {
	p.retire()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	for _, turn := range p.waiting {
		close(turn)
	}
	p.waiting = nil
	for l := p.busy; l != nil; l = l.next {
		l.interrupt()
	}
}
