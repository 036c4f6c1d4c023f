package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// checkSpread is the part of the interval by which checks are moved at random, either way, so that many gateways do not ask in step.
const checkSpread = 0.1

// watch starts the health checks of the server: the first at once, the next one after an interval. A server counts as healthy until UnhealthyAfter checks in a row have failed, so that
// a start does not refuse requests. They end with retire.
func (s *server) watch(tasks *sync.WaitGroup, check gate.HealthCheck, log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopWatch = cancel
	w := &watcher{check: check, probe: func(ctx context.Context) error { return s.probe(ctx, check) }}
	w.report = func(err error, at time.Time) {
		s.mu.Lock()
		s.lastCheck = at
		s.mu.Unlock()
		if err != nil {
			s.noteError(fmt.Errorf("health check: %w", err))
		} else {
			s.succeeded()
		}
	}
	w.change = func(healthy bool, err error) {
		s.healthy.Store(healthy)
		if healthy {
			log.Info("upstream server is healthy again", "upstream", s.key.upstream, "server", s.url)
		} else {
			log.Warn("upstream server is unhealthy and left out", "upstream", s.key.upstream, "server", s.url, "error", err.Error())
		}
	}
	tasks.Go(func() { w.run(ctx) })
}

// probe makes one health check.
func (s *server) probe(ctx context.Context, check gate.HealthCheck) error {
	target, err := url.ParseRequestURI(check.Path)
	if err != nil {
		return err
	}
	target.Scheme, target.Host = s.scheme(), s.key.target.host
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "jotgate")
	resp, err := s.checks.RoundTrip(req)
	if err != nil {
		return err
	}
	// A short body is read so that the server sees a whole exchange; a long one is of no interest.
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
	switch {
	case check.Status != 0 && resp.StatusCode != check.Status:
		return fmt.Errorf("status %d, expected %d", resp.StatusCode, check.Status)
	case check.Status == 0 && (resp.StatusCode < 200 || resp.StatusCode > 399):
		return fmt.Errorf("status %d, expected 2xx or 3xx", resp.StatusCode)
	}
	return nil
}

// watcher turns the results of checks into a state of health.
type watcher struct {
	check  gate.HealthCheck
	probe  func(context.Context) error
	report func(err error, at time.Time)
	change func(healthy bool, err error)

	unhealthy bool
	streak    int // results in a row that speak against the present state
}

// run checks until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for {
		probe, cancel := context.WithTimeoutCause(ctx, w.check.Timeout, fmt.Errorf("no answer within %v", w.check.Timeout))
		err := w.probe(probe)
		if err != nil && probe.Err() != nil {
			err = context.Cause(probe)
		}
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.report(err, time.Now())
		w.note(err)
		spread := 1 - checkSpread + 2*checkSpread*rand.Float64() //nolint:gosec // nothing secret depends on it
		pause := time.NewTimer(time.Duration(float64(w.check.Interval) * spread))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// note takes the result of one check.
func (w *watcher) note(err error) {
	if (err != nil) == w.unhealthy {
		w.streak = 0
		return
	}
	w.streak++
	needed := w.check.UnhealthyAfter
	if w.unhealthy {
		needed = w.check.HealthyAfter
	}
	if w.streak >= needed {
		w.unhealthy, w.streak = !w.unhealthy, 0
		w.change(!w.unhealthy, err)
	}
}
