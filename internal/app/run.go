package app

import (
	"context"
)

// Run starts the gateway and serves until ctx is over; then it stops it as gently as the configuration allows. It reloads at every value of hangup (SIGHUP) and, if watch is set,
// when a file of the configuration has changed. The error is why the gateway could not start.
func (a *App) Run(ctx context.Context, hangup <-chan struct{}, watch bool) error {
	defer a.Stop(context.WithoutCancel(ctx)) // ctx is over by then; what bounds stopping is the configuration
	if err := a.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was told to stop before it had started
		}
		return err
	}
	var changed <-chan struct{}
	if watch {
		changed = a.files.Changed()
	}
	for {
		select {
		case <-a.state.nouns.Changed():
			_ = a.rejoin(ctx) // as below
			continue
		case <-ctx.Done():
			return nil
		case <-hangup:
			a.log.Info("reloading, as asked")
		case <-changed:
			a.log.Info("reloading, for a file has changed")
		}
		_ = a.Reload(ctx) // it has logged and counted what is wrong, and shows it in the status
	}
}
