package keys

import (
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// record is what happened to one document, for status pages.
type record struct {
	mu     sync.Mutex
	status gate.KeyPartStatus
}

func newRecord(location string) *record {
	return &record{status: gate.KeyPartStatus{Location: location}}
}

func (r *record) begin(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Fetches++
	r.status.LastAttempt = now
}

func (r *record) failed(err error, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Failures++
	r.status.LastError = err.Error()
	r.status.NextFetch = next
}

func (r *record) succeeded(now time.Time, changed bool, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.LastSuccess = now
	r.status.LastError = ""
	r.status.NextFetch = next
	if changed {
		r.status.LastChange = now
	}
}

func (r *record) located(location string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Location = location
}

func (r *record) snapshot() gate.KeyPartStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}
