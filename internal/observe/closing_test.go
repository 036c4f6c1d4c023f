package observe_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/observe"
)

// What reads standard output may hang: the gateway must stop all the same.
func TestClosingDoesNotWaitForAReaderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &counting{release: make(chan struct{})}
		access := observe.NewAccessLog(w)
		access.Configure(gate.Log{Access: true})
		access.Record(exchange(), time.Millisecond)
		synctest.Wait() // the writer hangs in the first line
		start := time.Now()
		access.Close()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("Close took %v, want 5s", took)
		}
		close(w.release)
	})
}
