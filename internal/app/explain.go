package app

import (
	"context"
	"io"
	"log/slog"

	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/proxy"
)

// Explainer judges requests as a gateway with a configuration would, without serving any and without reaching an upstream.
type Explainer struct {
	engine *engine.Engine
	access *observe.AccessLog
	keys   *keys.Manager
	proxy  *proxy.Manager
}

// NewExplainer compiles a configuration and fetches its keys, for which it waits as long as the providers' startWait allows; it logs nothing and keeps nothing on disk. Close
// ends it. The error of a bad configuration is gate.Problems.
func NewExplainer(ctx context.Context, config *gate.Config) (*Explainer, error) {
	log := slog.New(slog.DiscardHandler)
	e := &Explainer{access: observe.NewAccessLog(io.Discard), keys: keys.NewManager(keys.Options{Log: log}), proxy: proxy.NewManager(proxy.Options{Log: log})}
	e.engine = engine.New(engine.Options{Log: log, Metrics: observe.NewMetrics(""), Access: e.access, Keys: e.keys, Proxy: e.proxy, Counters: limit.NewMemory(0)})
	snapshot, problems := e.engine.Prepare(config)
	if snapshot == nil {
		e.Close()
		return nil, problems.Err()
	}
	snapshot.WaitReady(ctx) // without keys, the explanation says so
	e.engine.Swap(snapshot)
	return e, nil
}

// Explain judges x, whose Listener must be one of the configuration. It returns the refusal, or nil if x would be forwarded; the checks are in x.Trace.
func (e *Explainer) Explain(x *gate.Exchange) *gate.Denial { return e.engine.Explain(x) }

// Close gives everything back.
func (e *Explainer) Close() {
	e.engine.Close()
	e.keys.Close()
	e.proxy.Close()
	e.access.Close()
}
