package app

import (
	"context"
	"io"
	"log/slog"

	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/proxy"
)

// Explainer judges requests as a gateway with a configuration would, without serving any and without reaching an upstream.
type Explainer struct {
	engine  *engine.Engine
	access  *observe.AccessLog
	keys    *keys.Manager
	proxy   *proxy.Manager
	missing bool
}

// NewExplainer compiles a configuration and fetches its keys, for which it waits as long as the providers' startWait allows. It opens no listener. Close ends it.
// The error of a bad configuration is gate.Problems.
func NewExplainer(ctx context.Context, loaded Loaded, log *slog.Logger) (*Explainer, error) {
	if err := loaded.Problems.Err(); err != nil {
		return nil, err
	}
	e := &Explainer{access: observe.NewAccessLog(io.Discard), keys: keys.NewManager(keys.Options{Log: log}), proxy: proxy.NewManager(proxy.Options{Log: log})}
	e.engine = engine.New(engine.Options{Log: log, Metrics: observe.NewMetrics(""), Access: e.access, Keys: e.keys, Proxy: e.proxy})
	snapshot, problems := e.engine.Prepare(loaded.Config)
	if snapshot == nil {
		e.Close()
		return nil, problems.Err()
	}
	e.missing = !snapshot.WaitReady(ctx)
	e.engine.Swap(snapshot)
	return e, nil
}

// KeysMissing reports whether some provider's keys could not be had.
func (e *Explainer) KeysMissing() bool { return e.missing }

// Explain judges x, whose Listener must be one of the configuration. It returns the refusal, or nil if x would be forwarded; the checks are in x.Trace.
func (e *Explainer) Explain(x *gate.Exchange) *gate.Denial { return e.engine.Explain(x) }

// Close gives everything back.
func (e *Explainer) Close() {
	e.engine.Close()
	e.keys.Close()
	e.proxy.Close()
	e.access.Close()
}
