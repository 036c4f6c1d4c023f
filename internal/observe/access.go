package observe

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// accessBacklog is how many access lines may wait for a slow writer before lines are dropped: a request never waits for its log line.
const accessBacklog = 4096

// flushWait is how long Close waits while the writer takes nothing: what reads the lines may hang, and that must not keep the process from ending.
const flushWait = 2 * time.Second

// AccessLog writes one JSON line for each finished exchange. Lines hold paths but never queries, for tokens may be in them.
type AccessLog struct {
	log     *slog.Logger
	lines   chan []byte
	free    sync.Pool
	dropped atomic.Uint64
	written atomic.Uint64 // lines that the writer took or refused
	enabled atomic.Bool
	subject atomic.Bool
	done    chan struct{}
	once    sync.Once
	quit    chan struct{}
}

// NewAccessLog starts a writer to w. Close ends it.
func NewAccessLog(w io.Writer) *AccessLog {
	a := &AccessLog{lines: make(chan []byte, accessBacklog), done: make(chan struct{}), quit: make(chan struct{})}
	a.log = NewLogger(lineQueue{a}, slog.LevelInfo)
	go a.write(w)
	return a
}

// Configure says whether lines are written, and whether they name the subject.
func (a *AccessLog) Configure(c gate.Log) {
	a.enabled.Store(c.Access)
	a.subject.Store(c.AccessSubject)
}

// Dropped is how many lines were lost because the writer was too slow.
func (a *AccessLog) Dropped() uint64 { return a.dropped.Load() }

// Close writes the lines that wait and ends the writer. Lines recorded later are dropped. If the writer takes no line for two seconds, Close returns without it;
// the goroutine then lasts as long as the write that hangs.
func (a *AccessLog) Close() {
	a.once.Do(func() { close(a.quit) })
	progress := a.written.Load()
	for {
		timer := time.NewTimer(flushWait)
		select {
		case <-a.done:
			timer.Stop()
			return
		case <-timer.C:
		}
		now := a.written.Load()
		if now == progress {
			return
		}
		progress = now
	}
}

// Record writes the line of x, which took d.
func (a *AccessLog) Record(x *gate.Exchange, d time.Duration) {
	if !a.enabled.Load() {
		return
	}
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs,
		slog.String("api", x.API),
		slog.String("listener", x.Listener),
		slog.String("client", x.Client.Addr().String()),
		slog.String("method", x.Method),
		slog.String("host", x.Host),
		slog.String("path", pathOnly(x.Target)),
		slog.Int("proto", x.Proto),
		slog.Int("status", x.Status),
		slog.Int64("sent", x.Sent),
		slog.Int64("received", x.Received),
		slog.Duration("duration_ns", d),
	)
	if x.Server != "" {
		attrs = append(attrs, slog.String("server", x.Server), slog.Int("attempts", x.Attempts))
	}
	if id := x.Identity; id != nil {
		attrs = append(attrs, slog.String("provider", id.Provider), slog.String("kid", id.KeyID))
		if a.subject.Load() {
			attrs = append(attrs, slog.String("subject", id.Subject))
		}
	}
	if x.Denial != nil {
		attrs = append(attrs, slog.String("reason", string(x.Denial.Reason)))
	}
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}

// pathOnly cuts the query off.
func pathOnly(target string) string {
	for i := range len(target) {
		if target[i] == '?' {
			return target[:i]
		}
	}
	return target
}

// lineQueue hands whole lines to the writer goroutine; it never blocks.
type lineQueue struct{ a *AccessLog }

func (q lineQueue) Write(line []byte) (int, error) {
	buf, _ := q.a.free.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	*buf = append((*buf)[:0], line...)
	select {
	case <-q.a.quit:
		q.a.dropped.Add(1)
	case q.a.lines <- *buf:
	default:
		q.a.dropped.Add(1)
	}
	return len(line), nil
}

func (a *AccessLog) write(w io.Writer) {
	defer close(a.done)
	put := func(line []byte) {
		if _, err := w.Write(line); err != nil {
			a.dropped.Add(1)
		}
		a.written.Add(1)
		a.free.Put(&line)
	}
	for {
		select {
		case line := <-a.lines:
			put(line)
		case <-a.quit:
			for {
				select {
				case line := <-a.lines:
					put(line)
				default:
					return
				}
			}
		}
	}
}
