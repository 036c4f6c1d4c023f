package limit

import (
	"context"
	"sync"
	"time"
)

const (
	// LeaseShare is the part of a limit that one process takes ahead at most: a twentieth.
	LeaseShare = 20
	// MaxLease is the most that one process takes ahead of any limit.
	MaxLease = 1000
	// LeaseTime is how long what was taken ahead is good; what is not needed by then is given back.
	LeaseTime = time.Second
	// maxLeases bounds the memory; counters beyond it are asked for at every request.
	maxLeases = 100_000
	// returnTimeout bounds giving back.
	returnTimeout = time.Second
)

// Overshoot is how many requests more than a rule says one process may let pass at a time, because it took them ahead; n processes n times that. It is 0 for limits below LeaseShare.
func Overshoot(r Rule) int64 {
	if t, ok := r.terms(); ok {
		return min(t.size/LeaseShare, MaxLease)
	}
	return 0
}

// Leased takes from counters that are slow to ask in portions: the busier a counter the larger, up to Overshoot of its rule, and the smaller the less is left. So a busy identity needs far fewer calls than requests.
// What was taken ahead is used within LeaseTime, and before a fixed window ends, or given back; meanwhile other processes may be refused for it. What outcomes say of Remaining and Reset is then as old as the portion. Uses
// in dry-run are not taken ahead. Close gives back what is left.
type Leased struct {
	remote Counters
	mu     sync.Mutex
	leases map[Key]*lease
	unused []portion // on their way back
	closed bool
	stop   chan struct{}
	once   sync.Once
	owned  sync.WaitGroup
}

// lease is what is known of a counter.
type lease struct {
	rule     Rule
	portion  portion
	expires  time.Time     // of the portion
	size     int64         // of the next portion
	seen     time.Time     // the last request
	fetching chan struct{} // closed when somebody has taken ahead; nil if nobody does now
	last     Outcome       // of the counter, when it was asked
	known    time.Time     // when that was
}

// portion is what was taken and not used.
type portion struct {
	use   Use // Count is what is left
	left  int64
	taken time.Time // no later than that
}

// NewLeased takes from remote. Its goroutine ends with Close.
func NewLeased(remote Counters) *Leased {
	l := &Leased{remote: remote, leases: make(map[Key]*lease), stop: make(chan struct{})}
	l.owned.Go(l.tidy)
	return l
}

// Take implements Counters.
func (l *Leased) Take(ctx context.Context, now time.Time, uses []Use, out []Outcome) (refused int, err error) {
	if err := l.await(ctx, uses); err != nil {
		return -1, err
	}
	begun := time.Now()
	asks, remote := l.plan(uses, out, begun)
	if len(asks) == 0 {
		return -1, nil
	}
	outcomes := make([]Outcome, len(remote))
	refused, err = l.remote.Take(ctx, now, remote, outcomes)
	if err == nil && refused >= 0 {
		if refused = l.trim(asks, remote, uses, outcomes); refused < 0 {
			refused, err = l.remote.Take(ctx, now, remote, outcomes)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range asks {
		a := &asks[n]
		if a.fetching {
			close(a.lease.fetching)
			a.lease.fetching = nil
		}
		if err != nil {
			if a.lease != nil {
				a.lease.size = 0 // what was to be taken ahead may be lost
			}
			continue
		}
		out[a.at] = outcomes[n]
		if a.lease != nil {
			l.learn(a, outcomes[n], refused < 0, &uses[a.at], begun)
			out[a.at].Remaining += a.lease.portion.left
		}
	}
	if err == nil && refused < 0 {
		return -1, nil
	}
	l.undo(asks, uses, out)
	if err != nil {
		return -1, err
	}
	return asks[refused].at, nil
}

// await waits until those who take ahead for the same counters have done so. What they get may not be enough for all who wait: these ask for themselves then.
func (l *Leased) await(ctx context.Context, uses []Use) error {
	now := time.Now()
	for i := range uses {
		l.mu.Lock()
		x := l.leases[uses[i].Key]
		var fetching chan struct{}
		if x != nil && !uses[i].DryRun && !x.covers(&uses[i], now) {
			fetching = x.fetching
		}
		l.mu.Unlock()
		if fetching == nil {
			continue
		}
		select {
		case <-fetching:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// takeHeld takes from what was taken ahead; it returns false, and takes nothing, if that is not enough for every use.
func (l *Leased) takeHeld(uses []Use, out []Outcome) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range uses {
		if !l.leases[uses[i].Key].covers(&uses[i], now) {
			return false
		}
	}
	for i := range uses {
		out[i] = l.leases[uses[i].Key].spend(&uses[i], now)
	}
	return true
}

// covers reports whether enough was taken ahead for u.
func (x *lease) covers(u *Use, now time.Time) bool {
	return x != nil && !u.DryRun && x.portion.left >= u.count() && x.rule == u.Rule && now.Before(x.expires)
}

// spend takes u from what was taken ahead; of several uses with one key there may be too little for the last.
func (x *lease) spend(u *Use, now time.Time) Outcome {
	x.portion.left = max(x.portion.left-u.count(), 0)
	x.seen = now
	o := x.last
	o.Remaining += x.portion.left
	if o.Reset > 0 {
		o.Reset = max(o.Reset-now.Sub(x.known), 0)
	}
	return o
}

// ask is a use for which the remote counters are asked.
type ask struct {
	at       int    // its place among the uses
	lease    *lease // nil if nothing is taken ahead
	fetching bool   // this one takes ahead
	extra    int64  // how much
}

// plan spends what was taken ahead, and says what to ask the remote counters for.
func (l *Leased) plan(uses []Use, out []Outcome, now time.Time) (asks []ask, remote []Use) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range uses {
		u := &uses[i]
		x := l.lease(u, now)
		if x.covers(u, now) {
			out[i] = x.spend(u, now)
			continue
		}
		a, asked := ask{at: i, lease: x}, *u
		if x != nil && x.fetching == nil && x.portion.left == 0 {
			x.fetching, a.fetching = make(chan struct{}), true
			if !l.closed {
				a.extra = x.ahead(now)
			}
			asked.Count = u.count() + a.extra
		}
		if x != nil {
			x.seen = now
		}
		asks, remote = append(asks, a), append(remote, asked)
	}
	return asks, remote
}

// lease is that of the counter of u, without what is no good any more; nil if it is to have none.
func (l *Leased) lease(u *Use, now time.Time) *lease {
	if u.DryRun || Overshoot(u.Rule) == 0 {
		return nil
	}
	x := l.leases[u.Key]
	switch {
	case x == nil:
		if len(l.leases) >= maxLeases {
			return nil
		}
		x = &lease{rule: u.Rule, seen: now}
		l.leases[u.Key] = x
	case x.rule != u.Rule:
		l.giveUp(x)
		x.rule, x.size, x.last = u.Rule, 0, Outcome{}
	case !now.Before(x.expires):
		l.giveUp(x)
	}
	return x
}

// giveUp puts what is left of a portion on its way back. The next one is as large as what was needed of this.
func (l *Leased) giveUp(x *lease) {
	if x.portion.left == 0 {
		return
	}
	x.size = max(x.size-x.portion.left, 0)
	l.unused = append(l.unused, x.portion)
	x.portion.left = 0
}

// ahead is how much is taken ahead now: twice as much as the last time, if that was not long ago, but less and less as the limit comes near, for others want some too.
func (x *lease) ahead(now time.Time) int64 {
	const part = 4
	if now.Sub(x.seen) >= LeaseTime {
		x.size = 0
		return 0
	}
	x.size = min(max(2*x.size, 1), Overshoot(x.rule), x.last.Remaining/part)
	return x.size
}

// trim finds the first use that has refused what is needed now. If there is none, only what was to be taken ahead was too much: then it returns -1, and remote are to be asked again, for no more than is needed.
// In the outcomes nothing looks refused for what was to be taken ahead.
func (l *Leased) trim(asks []ask, remote, uses []Use, outcomes []Outcome) (refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	refused = -1
	for n := range asks {
		a, o := &asks[n], &outcomes[n]
		if a.extra > 0 {
			if !o.Allowed {
				a.lease.size = 0
			}
			remote[n].Count, a.extra = uses[a.at].count(), 0
			if o.Remaining >= remote[n].Count {
				o.Allowed, o.RetryAfter = true, 0
			}
			continue
		}
		if refused < 0 && !o.Allowed && !remote[n].DryRun {
			refused = n
		}
	}
	return refused
}

// learn takes over what the remote counters have said.
func (l *Leased) learn(a *ask, o Outcome, taken bool, u *Use, begun time.Time) {
	x := a.lease
	ahead := portion{use: *u, left: a.extra, taken: begun}
	if x.rule != u.Rule { // it has changed meanwhile
		if taken && a.extra > 0 {
			l.unused = append(l.unused, ahead)
		}
		return
	}
	x.last, x.known = o, begun
	if !taken || a.extra == 0 {
		return
	}
	x.portion = ahead
	x.expires = begun.Add(LeaseTime)
	if u.Rule.Algorithm == FixedWindow && o.Reset >= 0 && o.Reset < LeaseTime {
		x.expires = begun.Add(o.Reset)
	}
}

// undo puts back what was spent of portions, of the uses that were not asked for: as far as there is room, which there is unless somebody has taken ahead meanwhile.
func (l *Leased) undo(asks []ask, uses []Use, out []Outcome) {
	next := 0
	for i := range uses {
		if next < len(asks) && asks[next].at == i {
			next++
			continue
		}
		if x := l.leases[uses[i].Key]; x != nil && x.rule == uses[i].Rule {
			x.portion.left = min(x.portion.left+uses[i].count(), Overshoot(x.rule))
		}
		out[i].Remaining += uses[i].count()
	}
}

// Peek implements Counters.
func (l *Leased) Peek(ctx context.Context, now time.Time, uses []Use, out []Outcome) error {
	if err := l.remote.Peek(ctx, now, uses, out); err != nil {
		return err
	}
	at := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range uses {
		if x := l.leases[uses[i].Key]; x != nil && x.rule == uses[i].Rule && at.Before(x.expires) {
			out[i].Remaining += x.portion.left
			if x.covers(&uses[i], at) {
				out[i].Allowed, out[i].RetryAfter = true, 0
			}
		}
	}
	return nil
}

// Return implements Counters.
func (l *Leased) Return(ctx context.Context, now time.Time, held time.Duration, uses []Use) error {
	return l.remote.Return(ctx, now, held, uses)
}

// Reset implements Counters. What other processes have taken ahead is good for LeaseTime.
func (l *Leased) Reset(ctx context.Context, uses []Use) error {
	l.mu.Lock()
	for i := range uses {
		delete(l.leases, uses[i].Key)
	}
	l.mu.Unlock()
	return l.remote.Reset(ctx, uses)
}

// Close gives back what was taken ahead. Afterwards nothing is.
func (l *Leased) Close() {
	l.once.Do(func() { close(l.stop) })
	l.owned.Wait()
}

// tidy gives back what is not needed and forgets counters that nobody asks for.
func (l *Leased) tidy() {
	ticker := time.NewTicker(LeaseTime / 2)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			l.giveBack(l.sweep(time.Now(), true))
			return
		case <-ticker.C:
			l.giveBack(l.sweep(time.Now(), false))
		}
	}
}

func (l *Leased) sweep(now time.Time, all bool) []portion {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = all
	for k, x := range l.leases {
		if all || !now.Before(x.expires) {
			l.giveUp(x)
		}
		if x.fetching == nil && x.portion.left == 0 && now.Sub(x.seen) > LeaseTime {
			delete(l.leases, k)
		}
	}
	unused := l.unused
	l.unused = nil
	return unused
}

// giveBack returns portions to the remote counters. What cannot be returned, because they cannot be asked, comes back with time.
func (l *Leased) giveBack(unused []portion) {
	ctx, cancel := context.WithTimeout(context.Background(), returnTimeout)
	defer cancel()
	for _, p := range unused {
		p.use.Count = p.left
		now := time.Now()
		if err := l.remote.Return(ctx, now, now.Sub(p.taken), []Use{p.use}); err != nil && ctx.Err() != nil {
			return
		}
	}
}
