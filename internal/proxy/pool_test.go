package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ends counts the links of a pool that are open, by the ends that they are connected to.
type ends struct {
	mu           sync.Mutex
	open, closed int
	fail         error
}

func (e *ends) dial(context.Context) (*link, error) {
	if e.fail != nil {
		return nil, e.fail
	}
	a, b := net.Pipe()
	_ = b.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open++
	c := &noted{Conn: a, ends: e}
	return &link{Conn: c, raw: c}, nil
}

type noted struct {
	net.Conn
	ends *ends
}

func (n *noted) Close() error {
	n.ends.mu.Lock()
	defer n.ends.mu.Unlock()
	n.ends.open--
	n.ends.closed++
	return n.Conn.Close()
}

// is reports whether so many links are open and closed.
func (e *ends) is(open, closed int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open == open && e.closed == closed
}

// holds is the number of links of the pool, and whether some are in use.
func (p *pool) holds() (links int, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links, p.busy != nil
}

func (p *pool) mustGet(t *testing.T) *link {
	t.Helper()
	l, err := p.get(t.Context(), time.Now(), time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPoolKeepsTheLastOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e ends
		p := &pool{open: e.dial, maxIdle: 2, idleTime: time.Minute}
		a, b, c := p.mustGet(t), p.mustGet(t), p.mustGet(t)
		p.put(a, time.Now())
		time.Sleep(20 * time.Second)
		p.put(b, time.Now())
		p.put(c, time.Now()) // one too many
		if n, busy := p.holds(); !e.is(2, 1) || n != 2 || busy {
			t.Errorf("%d links", n)
		}
		if got := p.mustGet(t); got != b || !got.used {
			t.Error("the link used last is not taken first")
		}
		p.put(b, time.Now())
		time.Sleep(41 * time.Second)
		synctest.Wait()
		if n, _ := p.holds(); !e.is(1, 2) || n != 1 {
			t.Errorf("a link outlived its time")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, _ := p.holds(); !e.is(0, 3) || n != 0 {
			t.Errorf("a link outlived its time")
		}
		p.put(p.mustGet(t), time.Now())
		p.retire()
		last := p.mustGet(t)
		p.put(last, time.Now())
		if n, _ := p.holds(); !e.is(0, 5) || n != 0 {
			t.Errorf("a retired pool keeps links")
		}
	})
}

func TestPoolTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e ends
		p := &pool{open: e.dial, maxIdle: 9, maxLinks: 2, idleTime: time.Minute}
		a, b := p.mustGet(t), p.mustGet(t)
		var order []int
		got := make([]*link, 4)
		errs := make([]error, 4)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wait := func(i int, ctx context.Context) {
			go func() {
				got[i], errs[i] = p.get(ctx, time.Now(), time.Minute, nil)
				order = append(order, i)
			}()
			synctest.Wait()
		}
		wait(0, t.Context())
		wait(1, ctx)
		wait(2, t.Context())
		wait(3, t.Context())
		cancel()
		synctest.Wait()
		p.put(a, time.Now()) // goes to the first
		synctest.Wait()
		p.drop(b) // makes room for the next one
		synctest.Wait()
		p.kill()
		synctest.Wait()
		if !slices.Equal(order, []int{1, 0, 2, 3}) || got[0] != a || got[2] == nil || got[2] == b || !errors.Is(errs[1], errEnded) || !errors.Is(errs[3], errClosing) {
			t.Errorf("order %v, errors %v", order, errs)
		}
		if !got[0].stopped.Load() || !got[2].stopped.Load() {
			t.Error("links in use outlive the pool")
		}
		p.put(got[0], time.Now())
		p.drop(got[2])
		if _, err := p.get(t.Context(), time.Now(), time.Minute, nil); !errors.Is(err, errClosing) || !e.is(0, 3) || p.links != 0 || p.busy != nil {
			t.Errorf("%v, %d links", err, p.links)
		}
	})
}

// A turn that comes at the moment in which somebody gives up is passed on.
func TestPoolGivesTurnsOn(t *testing.T) {
	var e ends
	p := &pool{open: e.dial, maxIdle: 9, maxLinks: 1, idleTime: time.Minute}
	defer p.kill()
	a := p.mustGet(t)
	_, turn, _ := p.take(time.Now())
	p.put(a, time.Now())
	p.giveUp(turn)
	if len(p.idle) != 1 || p.links != 1 || p.busy != nil {
		t.Errorf("%d idle, %d links", len(p.idle), p.links)
	}
	p.mustGet(t)
	_, turn, _ = p.take(time.Now())
	p.drop(a)
	p.giveUp(turn)
	if p.links != 0 || !e.is(0, 1) {
		t.Errorf("%d links", p.links)
	}
	e.fail = errors.New("no")
	if _, err := p.get(t.Context(), time.Now(), time.Minute, nil); err == nil || p.links != 0 {
		t.Errorf("%v, %d links", err, p.links)
	}
}
