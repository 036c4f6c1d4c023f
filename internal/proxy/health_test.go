package proxy

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestCheckSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		w := &watcher{
			check:  gate.HealthCheck{Interval: 10 * time.Second, Timeout: 2 * time.Second, UnhealthyAfter: 2, HealthyAfter: 1},
			probe:  func(context.Context) error { at = append(at, time.Since(start)); return nil },
			report: func(error, time.Time) {},
			change: func(bool, error) { t.Error("a healthy server changed") },
		}
		ctx, cancel := context.WithTimeout(context.Background(), 105*time.Second)
		defer cancel()
		w.run(ctx)
		if at[0] != 0 {
			t.Errorf("the first check came after %v", at[0])
		}
		spread := map[time.Duration]bool{}
		for i := 1; i < len(at); i++ {
			pause := at[i] - at[i-1]
			spread[pause] = true
			if pause < 9*time.Second || pause > 11*time.Second {
				t.Errorf("check %d came after %v", i, pause)
			}
		}
		if len(at) < 10 || len(spread) < 5 {
			t.Errorf("checks at %v", at)
		}
	})
}

func TestCheckTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs []error
		w := &watcher{
			check:  gate.HealthCheck{Interval: 10 * time.Second, Timeout: 2 * time.Second, UnhealthyAfter: 1, HealthyAfter: 1},
			probe:  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			report: func(err error, at time.Time) { errs = append(errs, err) },
			change: func(bool, error) {},
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		w.run(ctx)
		if len(errs) != 1 || errs[0].Error() != "no answer within 2s" {
			t.Errorf("got %v", errs)
		}
	})
}

func TestStreaks(t *testing.T) {
	type change struct {
		After   int
		Healthy bool
	}
	tests := []struct {
		name               string
		results            string // + good, - bad
		unhealthy, healthy int
		want               []change
	}{
		{"good from the start", "+++", 2, 1, nil},
		{"one failure is not enough", "-+-+-+", 2, 1, nil},
		{"two in a row are", "--", 2, 1, []change{{2, false}}},
		{"and one success ends it", "--+", 2, 1, []change{{2, false}, {3, true}}},
		{"more failures change nothing", "-----+", 2, 1, []change{{2, false}, {6, true}}},
		{"a single failure is enough if so wanted", "-+-", 1, 1, []change{{1, false}, {2, true}, {3, false}}},
		{"successes must be in a row too", "--+-++-+++", 2, 3, []change{{2, false}, {10, true}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []change
			n := 0
			w := &watcher{check: gate.HealthCheck{UnhealthyAfter: test.unhealthy, HealthyAfter: test.healthy}}
			w.change = func(healthy bool, err error) {
				if healthy != (err == nil) {
					t.Errorf("healthy %v with error %v", healthy, err)
				}
				got = append(got, change{n, healthy})
			}
			for _, r := range test.results {
				n++
				if r == '+' {
					w.note(nil)
				} else {
					w.note(errors.New("bad"))
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
