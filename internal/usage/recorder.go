package usage

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/store"
)

const (
	// backlog is how many records may wait for the recorder before records are dropped.
	backlog = 16 << 10
	// saveEvery is how often the sums of the last minutes are written.
	saveEvery = 5 * time.Second
	// saveTimeout bounds one writing.
	saveTimeout = 10 * time.Second
	// openMinutes is how many minutes are summed up at once: records of long requests come late.
	openMinutes = 3
	// batchWait is how long a record waits for others at most before it goes to the sinks.
	batchWait = 200 * time.Millisecond
	// batchRecords is how many records go to the sinks at once.
	batchRecords = 512
)

// Options are what a Recorder needs. All fields must be set.
type Options struct {
	Log *slog.Logger
	// Store is where sums are kept.
	Store store.Store
	// Node is a name that no other process uses with the store, not even a former one of this gateway; it has no "/".
	Node string
	// Open makes a sink.
	Open func(gate.UsageSink) (Sink, error)
}

// Recorder takes records. It is safe for concurrent use.
type Recorder struct {
	options Options
	records atomic.Pointer[chan Record] // nil while nothing is recorded; its room is megabytes
	dropped atomic.Uint64
	// failed counts records that the store or a sink did not take.
	failed atomic.Uint64

	settings chan *settings
	stop     context.CancelFunc
	done     chan struct{}
	once     sync.Once
}

// settings are what a configuration says.
type settings struct {
	aggregate bool
	keep      time.Duration
	sinks     []*outlet
	taken     chan struct{}
}

// NewRecorder returns a recorder that records nothing until it is configured. Close ends it.
func NewRecorder(o Options) *Recorder {
	ctx, stop := context.WithCancel(context.Background())
	r := &Recorder{options: o, settings: make(chan *settings), stop: stop, done: make(chan struct{})}
	go r.run(ctx)
	return r
}

// Plan are sinks that are open, and settings that are not in force yet; exactly one of Commit and Discard must be called.
type Plan struct {
	recorder *Recorder
	settings *settings
}

// Prepare opens the sinks of a configuration.
func (r *Recorder) Prepare(u *gate.Usage) (*Plan, gate.Problems) {
	s := &settings{aggregate: u.Aggregate, keep: u.Keep, taken: make(chan struct{})}
	p := &Plan{r, s}
	if problems := Check(u); problems.Err() != nil {
		return nil, problems
	}
	for i, config := range u.Sinks {
		sink, err := r.options.Open(config)
		if err != nil {
			p.Discard()
			return nil, gate.Problems{u.Origin.Problem(sinkPath(i), "", "%v", err)}
		}
		s.sinks = append(s.sinks, newOutlet(sink, r.options.Log, &r.failed))
	}
	return p, nil
}

// Discard gives the plan up.
func (p *Plan) Discard() {
	for _, o := range p.settings.sinks {
		o.close()
	}
}

// Commit puts the settings in force.
func (p *Plan) Commit() {
	select {
	case p.recorder.settings <- p.settings:
		<-p.settings.taken
	case <-p.recorder.done:
		p.Discard()
	}
}

// Record takes the record of x, which took d. It keeps nothing of x, does not block, and allocates only if several policies applied.
func (r *Recorder) Record(x *gate.Exchange, d time.Duration) {
	if r == nil {
		return
	}
	records := r.records.Load()
	if records == nil {
		return
	}
	select {
	case *records <- recordOf(x, d):
	default:
		r.dropped.Add(1)
	}
}

// Dropped is how many records were lost because too many came at once, and how many because the store or a sink failed; a record may be lost at several sinks.
func (r *Recorder) Dropped() (overload, failed uint64) { return r.dropped.Load(), r.failed.Load() }

// Close writes what waits, for as long as the store and the sinks take it, and ends the recorder. Records that come later are dropped.
func (r *Recorder) Close() {
	r.once.Do(func() {
		r.records.Store(nil)
		r.stop()
	})
	<-r.done
}

// state is what the recorder's goroutine works on.
type state struct {
	recorder *Recorder
	records  chan Record // nil until something is to be recorded
	current  *settings
	minutes  []*minute
	batch    []Record
}

func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	s := &state{recorder: r, current: &settings{}}
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	send := time.NewTicker(batchWait)
	defer send.Stop()
	for {
		select {
		case record := <-s.records:
			s.take(record)
		case <-send.C:
			s.send()
		case now := <-save.C:
			s.save(now)
		case next := <-r.settings:
			s.configure(next)
		case <-ctx.Done():
			s.finish()
			return
		}
	}
}

func (s *state) take(r Record) {
	if len(s.current.sinks) > 0 {
		if s.batch = append(s.batch, r); len(s.batch) >= batchRecords {
			s.send()
		}
	}
	if !s.current.aggregate {
		return
	}
	number := minuteOf(r.Time)
	for _, m := range s.minutes {
		if m.number == number {
			m.add(&r)
			return
		}
	}
	m := &minute{number: number, keep: s.current.keep, callers: make(map[Caller]*Sum)}
	m.add(&r)
	s.minutes = append(s.minutes, m)
}

// send hands the records that wait to every sink.
func (s *state) send() {
	if len(s.batch) == 0 {
		return
	}
	var lines []byte
	for i := range s.batch {
		lines = s.batch[i].appendLine(lines)
	}
	for _, o := range s.current.sinks {
		o.offer(lines, len(s.batch))
	}
	clear(s.batch)
	s.batch = s.batch[:0]
}

// save writes the minutes that have changed, and forgets those that are over.
func (s *state) save(now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	kept := s.minutes[:0]
	for _, m := range s.minutes {
		over := m.number <= minuteOf(now)-openMinutes
		if m.dirty {
			if err := m.save(ctx, s.recorder.options.Store, s.recorder.options.Node); err != nil {
				s.recorder.options.Log.Warn("usage is not stored", slog.Any("error", err))
				if over {
					s.recorder.failed.Add(uint64(m.requests()))
				}
			} else {
				m.dirty = false
			}
		}
		if !over {
			kept = append(kept, m)
		}
	}
	clear(s.minutes[len(kept):])
	s.minutes = kept
}

func (m *minute) requests() (n int64) {
	for _, sum := range m.callers {
		n += sum.Requests
	}
	return n
}

func (s *state) configure(next *settings) {
	s.send()
	for _, o := range s.current.sinks {
		o.close()
	}
	s.current = next
	if next.aggregate || len(next.sinks) > 0 {
		if s.records == nil {
			s.records = make(chan Record, backlog)
		}
		s.recorder.records.Store(&s.records)
	} else {
		s.recorder.records.Store(nil)
	}
	close(next.taken)
}

func (s *state) finish() {
	for more := true; more; {
		select {
		case r := <-s.records:
			s.take(r)
		default:
			more = false
		}
	}
	s.send()
	s.save(time.Now())
	for _, o := range s.current.sinks {
		o.close()
	}
}
