// Package app wires the gateway: it loads a configuration, starts everything in order, takes over new configurations and stops without losing a request.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/admin"
	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/manage"
	"github.com/jotgate/jotgate/internal/observe"
	"github.com/jotgate/jotgate/internal/proxy"
	"github.com/jotgate/jotgate/internal/server"
	"github.com/jotgate/jotgate/internal/source/file"
)

// Options are what an App needs. All fields must be set.
type Options struct {
	// Load reads the configuration; it is called at the start and at each reload.
	Load Load
	// Log gets the gateway's own log, Access the access lines; both are JSON lines.
	Log, Access io.Writer
	// Version is shown in metrics and status.
	Version string
}

// App is a gateway. New, Start, then Reload as often as needed, then Stop.
type App struct {
	load    Load
	version string
	started time.Time
	level   *slog.LevelVar
	log     *slog.Logger
	access  *observe.AccessLog
	metrics *observe.Metrics
	keys    *keys.Manager // made by the first configuration, for it knows the state directory
	proxy   *proxy.Manager
	engine  *engine.Engine
	server  *server.Set
	admin   *admin.Server
	files   *file.Watcher
	state   *state                     // made by the first configuration
	manage  atomic.Pointer[manage.API] // nil before the state is there
	stdout  io.Writer
	ready   atomic.Pointer[string] // why the gateway is not ready; nil when it is

	reload sync.Mutex // held while a configuration is taken over and while the gateway stops
	last   Loaded     // what was taken over last, without the nouns of the store; guarded by reload
	mu     sync.Mutex // guards status
	status Status
	config *gate.Config
	closed bool
}

// errStopped is returned by Reload after Stop.
var errStopped = errors.New("the gateway is stopped")

// New makes an App that does nothing yet.
func New(o Options) *App {
	a := &App{load: o.Load, version: o.Version, started: time.Now(), level: new(slog.LevelVar), stdout: o.Access}
	a.log = observe.NewLogger(o.Log, a.level)
	a.access = observe.NewAccessLog(o.Access)
	a.metrics = observe.NewMetrics(o.Version)
	a.proxy = proxy.NewManager(proxy.Options{Log: a.log})
	a.files = file.Watch(context.Background(), file.Options{Log: a.log})
	a.admin = admin.New(admin.Options{
		Log: a.log, Metrics: a.metrics.Handler(), Ready: a.readiness, Status: func() any { return a.Status() }, Manage: http.HandlerFunc(a.serveManagement),
	})
	a.notReady("starting")
	return a
}

func (a *App) notReady(why string) { a.ready.Store(&why) }

func (a *App) readiness() error {
	if why := a.ready.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

// Start loads the configuration, opens the admin door, waits for the first keys (for as long as the providers' startWait allows) and then opens the listeners.
// The error of a bad configuration is gate.Problems. After an error, Stop must still be called.
func (a *App) Start(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	loaded := a.read()
	if err := loaded.Problems.Err(); err != nil {
		return err
	}
	a.setLevel(loaded.Config) // already for what the key sources say while they start
	a.keys = keys.NewManager(keys.Options{Log: a.log, StateDir: loaded.Config.StateDirectory})
	if err := a.openState(ctx, loaded.Config); err != nil {
		return err
	}
	a.engine = engine.New(engine.Options{
		Log: a.log, Metrics: a.metrics, Access: a.access, Keys: a.keys, Proxy: a.proxy,
		Counters: a.state.counters, Holds: a.state.holds, Revocations: a.state.revocations, Usage: a.state.usage, APIKeys: a.state.keys, Credentials: a.state.credentials,
	})
	a.server = server.New(server.Options{Handler: a.engine, Log: a.log, Refused: a.engine.Refused})
	a.metrics.Collect(observe.Sources{
		Keys: a.keys.Status, Upstreams: a.proxy.Status, Tokens: a.engine.TokenCache, AccessDropped: a.access.Dropped, Limits: a.state.limitStatus, Store: a.state.status,
		Usage: a.state.usage.Dropped, Revocations: a.state.revocations.Len, APIKeys: a.state.keys.Len, Management: a.manage.Load().Changes,
	})
	if err := a.take(ctx, loaded); err != nil {
		return err
	}
	a.ready.Store(nil)
	places := []any{slog.String("version", a.version), slog.Any("listeners", a.addresses())}
	if door := a.AdminAddr(); door != nil {
		places = append(places, slog.String("admin", door.String()))
	}
	a.log.Info("serving", places...)
	return nil
}

// Reload loads the configuration again and takes it over. If it is bad, nothing changes, and the error says what is wrong.
func (a *App) Reload(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	if a.closed {
		return errStopped
	}
	loaded := a.read()
	err := loaded.Problems.Err()
	if err == nil {
		err = a.take(ctx, loaded)
	}
	if err != nil {
		a.refused(loaded, err)
	}
	return err
}

// read loads the configuration and watches its files from now on, also those of a bad one: they may be mended.
func (a *App) read() Loaded {
	reading := a.files.Begin()
	loaded := a.load(reading.ReadFile)
	reading.Watch()
	return loaded
}

// take puts a loaded configuration in force. Everything above the line may fail and touches nothing; nothing below it can fail.
func (a *App) take(ctx context.Context, loaded Loaded) error {
	if problems := a.state.fits(loaded.Config); problems != nil {
		return problems
	}
	config, generation, problems := a.state.nouns.Join(loaded.Config)
	if problems.Err() != nil {
		return problems
	}
	recording, more := a.state.usage.Prepare(&config.Usage)
	if recording == nil {
		return more.Err()
	}
	snapshot, more := a.engine.Prepare(config)
	if snapshot == nil {
		recording.Discard()
		return more.Err()
	}
	listeners, err := a.server.Prepare(config.Listeners)
	if err != nil {
		recording.Discard()
		snapshot.Discard()
		return fmt.Errorf("opening the listeners: %w", err)
	}
	door, err := a.admin.Prepare(&config.Admin)
	if err != nil {
		recording.Discard()
		listeners.Discard()
		snapshot.Discard()
		return err
	}
	if first := a.current() == nil; first {
		door.Commit() // so that the wait for the first keys can be watched
		door = nil
	}
	complete := snapshot.WaitReady(ctx)
	if err := ctx.Err(); err != nil {
		if door != nil {
			door.Discard()
		}
		recording.Discard()
		listeners.Discard()
		snapshot.Discard()
		return err
	}
	if !complete {
		a.log.Warn("not all keys are known yet; the requests that need them are answered 503")
	}
	// ---- the line ----
	a.setLevel(config)
	a.access.Configure(config.Log)
	a.manage.Load().Configure(config.Admin.Tokens)
	recording.Commit()
	a.engine.Swap(snapshot)
	listeners.Commit()
	if door != nil {
		door.Commit()
	}
	a.last = loaded
	a.state.nouns.Adopt(loaded.Config, generation)
	loaded.Config = config
	loaded.Problems = append(loaded.Problems, problems...)
	a.taken(loaded)
	return nil
}

// openState opens what outlives configurations, and the management API over it.
func (a *App) openState(ctx context.Context, config *gate.Config) error {
	opened, err := openState(ctx, config, stateOptions{log: a.log, stdout: a.stdout, check: Check, apply: a.rejoin})
	if err != nil {
		return err
	}
	a.state = opened
	a.manage.Store(manage.New(manage.Options{
		Log: a.log, Nouns: opened.nouns, Keys: opened.keys, Credentials: opened.credentials, Revocations: opened.revocations, Sessions: sessions{a}, Counters: opened.counters, Store: opened.store, Now: time.Now,
	}))
	return nil
}

// rejoin takes the configuration over again, with the nouns that the store has now.
func (a *App) rejoin(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	switch {
	case a.closed:
		return errStopped
	case a.last.Config == nil || !a.state.nouns.Stale():
		return nil
	}
	err := a.take(ctx, a.last)
	if err != nil {
		a.refused(a.last, err)
	}
	return err
}

// serveManagement serves the management API, once it is there.
func (a *App) serveManagement(w http.ResponseWriter, r *http.Request) {
	if m := a.manage.Load(); m != nil {
		m.ServeHTTP(w, r)
		return
	}
	http.Error(w, "starting", http.StatusServiceUnavailable)
}

func (a *App) setLevel(config *gate.Config) {
	if level, ok := observe.ParseLevel(config.Log.Level); ok {
		a.level.Set(level)
	}
}

// addresses are the addresses of the listeners in text.
func (a *App) addresses() map[string]string {
	out := make(map[string]string)
	for name, addr := range a.Addrs() {
		out[name] = addr.String()
	}
	return out
}

// Addrs are the addresses of the listeners by name, once the gateway has started.
func (a *App) Addrs() map[string]net.Addr { return a.server.Addrs() }

// AdminAddr is the address of the admin door, nil if it is closed.
func (a *App) AdminAddr() net.Addr { return a.admin.Addr() }

// Stop stops the gateway: it says that it is not ready, waits for the configured delay, stops accepting, lets requests under way finish for as long as the
// configuration allows or until ctx is over, and closes everything. It may be called more than once.
func (a *App) Stop(ctx context.Context) {
	a.notReady("stopping")
	a.reload.Lock()
	defer a.reload.Unlock()
	if a.closed {
		return
	}
	a.closed = true
	config := a.current()
	if config != nil {
		wait(ctx, config.Shutdown.Delay)
		a.state.holds.Close()
		ctx, cancel := context.WithTimeout(ctx, config.Shutdown.Timeout)
		defer cancel()
		if err := a.server.Shutdown(ctx); err != nil {
			a.log.Warn("requests were cut off", slog.Any("error", err))
		}
	}
	if a.engine != nil {
		a.engine.Close()
		a.keys.Close()
	}
	a.admin.Close()
	a.files.Close()
	a.proxy.Close()
	a.state.close(a.log)
	if config != nil { // what never served has nothing to say about its end
		a.log.Info("stopped")
	}
	a.access.Close()
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (a *App) current() *gate.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}
