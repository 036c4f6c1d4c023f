package observe_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/observe"
)

func TestCloseDoesNotWaitForAReaderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stuck{make(chan struct{})}
		access := observe.NewAccessLog(w)
		access.Configure(gate.Log{Access: true})
		access.Record(exchange(), time.Millisecond)
		access.Record(exchange(), time.Millisecond)
		synctest.Wait() // the writer hangs in the first line
		start := time.Now()
		access.Close()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("Close took %v, want 2s", took)
		}
		close(w.release)
	})
}

// slow is a writer that takes a second for each line.
type slow struct {
	mu    sync.Mutex
	lines int
}

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines++
	return len(p), nil
}

func TestCloseWaitsForAReaderThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(slow)
		access := observe.NewAccessLog(w)
		access.Configure(gate.Log{Access: true})
		for range 10 {
			access.Record(exchange(), time.Millisecond)
		}
		access.Close()
		if w.lines != 10 {
			t.Errorf("%d lines written, want 10", w.lines)
		}
	})
}
