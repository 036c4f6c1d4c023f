package usage

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// Sink takes records as lines of JSON. It is used by one goroutine.
type Sink interface {
	// Write takes whole lines; it may wait.
	Write(lines []byte) error
	// Close lets go of the sink; all that was written is kept.
	Close() error
}

const (
	// outletBatches is how many batches may wait for a sink before batches are dropped.
	outletBatches = 64
	// closeWait is how long closing waits for a sink to take what waits.
	closeWait = 5 * time.Second
)

// outlet is a sink with a queue, so that a slow one keeps nobody waiting.
type outlet struct {
	batches chan batch
	done    chan struct{}
	failed  *atomic.Uint64
	log     *slog.Logger
}

type batch struct {
	lines   []byte
	records int
}

func newOutlet(s Sink, log *slog.Logger, failed *atomic.Uint64) *outlet {
	o := &outlet{batches: make(chan batch, outletBatches), done: make(chan struct{}), failed: failed, log: log}
	go o.run(s)
	return o
}

func (o *outlet) run(s Sink) {
	defer close(o.done)
	broken := false
	for b := range o.batches {
		err := s.Write(b.lines)
		if err != nil {
			o.failed.Add(uint64(b.records))
			if !broken { // once for each outage
				o.log.Warn("usage records are lost", slog.Any("error", err))
			}
		}
		broken = err != nil
	}
	if err := s.Close(); err != nil {
		o.log.Warn("closing a sink of usage records", slog.Any("error", err))
	}
}

// offer hands a batch over, if there is room. The lines are shared and must not change.
func (o *outlet) offer(lines []byte, records int) {
	select {
	case o.batches <- batch{lines, records}:
	default:
		o.failed.Add(uint64(records))
	}
}

// close lets the sink take what waits, for a while.
func (o *outlet) close() {
	close(o.batches)
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
	}
}

func sinkPath(i int) string { return fmt.Sprintf("sinks[%d]", i) }

// Check says what is wrong with the settings of usage records.
func Check(u *gate.Usage) gate.Problems {
	var problems gate.Problems
	if u.Aggregate && (u.Keep < time.Minute || u.Keep > 5*365*24*time.Hour) {
		problems = append(problems, u.Origin.Problem("keep", "for example 720h", "must be from 1m to five years"))
	}
	files := make(map[string]bool)
	for i := range u.Sinks {
		s := &u.Sinks[i]
		given := 0
		for _, set := range []bool{s.File != "", s.Stdout, s.RedisStream != ""} {
			if set {
				given++
			}
		}
		if given != 1 {
			problems = append(problems, u.Origin.Problem(sinkPath(i), "make one element for each sink", "needs exactly one of file, stdout and redisStream"))
		}
		if s.File != "" && files[s.File] {
			problems = append(problems, u.Origin.Problem(sinkPath(i)+".file", "", "another sink already writes to this file"))
		}
		files[s.File] = true
		if s.File != "" && (s.MaxBytes < 4096 || s.MaxFiles < 0 || s.MaxFiles > 1000) {
			problems = append(problems, u.Origin.Problem(sinkPath(i), "", "maxBytes must be at least 4KiB, and maxFiles from 0 to 1000"))
		}
		if s.RedisStream != "" && s.MaxLength < 1 {
			problems = append(problems, u.Origin.Problem(sinkPath(i)+".maxLength", "", "must be at least 1"))
		}
	}
	return problems
}
