package observe

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

const (
	// accessBacklog is how many bytes of access lines may wait for a slow writer before lines are dropped: a request never waits for its line.
	accessBacklog = 4 << 20
	// accessPause is the time between two writes, and fullBatch what ends it early: under load lines are written many at once, at rest each at once.
	accessPause = 10 * time.Millisecond
	fullBatch   = 256 << 10
	// flushWait bounds how long Close waits for the writer: what reads the lines may hang, and that must not keep the process from ending.
	flushWait = 5 * time.Second
	// keptLine and keptBatch bound the memory that is kept for the next line and the next batch.
	keptLine, keptBatch = 16 << 10, 1 << 20
)

// AccessLog writes one JSON line for each finished exchange. Lines hold paths but never queries, for tokens may be in them. It is safe for concurrent use.
type AccessLog struct {
	enabled atomic.Bool
	subject atomic.Bool
	dropped atomic.Uint64
	scratch sync.Pool // of *line

	mu      sync.Mutex
	pending []byte // whole lines
	closed  bool

	wake chan struct{} // holds one when lines wait
	full chan struct{} // holds one when they should not wait any longer
	quit chan struct{}
	done chan struct{}
	once sync.Once
}

// NewAccessLog starts a writer to w. Close ends it.
func NewAccessLog(w io.Writer) *AccessLog {
	a := &AccessLog{wake: make(chan struct{}, 1), full: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go a.write(w)
	return a
}

// Configure says whether lines are written, and whether they name the subject.
func (a *AccessLog) Configure(c gate.Log) {
	a.enabled.Store(c.Access)
	a.subject.Store(c.AccessSubject)
}

// Dropped is how many lines were lost because the writer was too slow or failed.
func (a *AccessLog) Dropped() uint64 { return a.dropped.Load() }

// Close writes the lines that wait and ends the writer. Lines recorded later are dropped. If the writer has not taken them within five seconds, Close returns
// without it, and its goroutine lasts as long as the write that hangs.
func (a *AccessLog) Close() {
	a.once.Do(func() { close(a.quit) })
	timer := time.NewTimer(flushWait)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
	}
}

// Record writes the line of x, which took d. It keeps nothing of x and does not block or, as a rule, allocate.
func (a *AccessLog) Record(x *gate.Exchange, d time.Duration) {
	if !a.enabled.Load() {
		return
	}
	l, _ := a.scratch.Get().(*line)
	if l == nil {
		l = new(line)
	}
	l.access(x, d, a.subject.Load())
	if !a.queue(l.text) {
		a.dropped.Add(1)
	}
	if cap(l.text) <= keptLine {
		a.scratch.Put(l)
	}
}

// queue hands a line to the writer, if there is room.
func (a *AccessLog) queue(line []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.pending)+len(line) > accessBacklog {
		return false
	}
	if len(a.pending) == 0 {
		notify(a.wake)
	}
	if len(a.pending) < fullBatch && len(a.pending)+len(line) >= fullBatch {
		notify(a.full)
	}
	a.pending = append(a.pending, line...)
	return true
}

// notify fills a channel that has room for one.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take returns the lines that wait, for which it leaves the memory of spare.
func (a *AccessLog) take(spare []byte, last bool) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines := a.pending
	a.pending, a.closed = spare[:0], last
	return lines
}

func (a *AccessLog) write(w io.Writer) {
	defer close(a.done)
	var spare []byte
	flush := func(last bool) {
		lines := a.take(spare, last)
		if n, err := w.Write(lines); err != nil && len(lines) > 0 {
			a.dropped.Add(uint64(bytes.Count(lines[min(max(n, 0), len(lines)):], []byte{'\n'})))
		}
		if spare = lines; cap(spare) > keptBatch {
			spare = nil
		}
	}
	pause := time.NewTimer(accessPause)
	defer pause.Stop()
	for {
		select {
		case <-a.wake:
			flush(false)
		case <-a.quit:
			flush(true)
			return
		}
		pause.Reset(accessPause)
		select {
		case <-pause.C:
		case <-a.full:
		case <-a.quit:
		}
	}
}
