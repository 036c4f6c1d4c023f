package app

import (
	"log/slog"
	"time"

	"github.com/jotgate/jotgate/internal/engine"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/server"
)

// Status is what /status shows.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Ready   bool      `json:"ready"`
	// Configuration is the one in force.
	Configuration ConfigurationStatus `json:"configuration"`
	// LastReload is the last attempt to take over a configuration.
	LastReload ReloadStatus           `json:"last_reload"`
	Listeners  []server.Status        `json:"listeners"`
	APIs       []engine.APIStatus     `json:"apis"`
	Providers  []gate.KeySourceStatus `json:"providers"`
	Upstreams  []gate.UpstreamStatus  `json:"upstreams"`
	TokenCache gate.TokenCacheStatus  `json:"token_cache"`
	Store      gate.StoreStatus       `json:"store"`
	Limits     gate.LimitStatus       `json:"limits"`
}

// ConfigurationStatus says which configuration is in force.
type ConfigurationStatus struct {
	Source     string    `json:"source"`
	Hash       string    `json:"hash"` // SHA-256 of the documents
	Generation uint64    `json:"generation"`
	Since      time.Time `json:"since"`
	Warnings   []string  `json:"warnings,omitempty"`
}

// ReloadStatus is the result of an attempt to take over a configuration.
type ReloadStatus struct {
	Time    time.Time `json:"time"`
	Success bool      `json:"success"`
	Hash    string    `json:"hash"`
	Errors  []string  `json:"errors,omitempty"`
}

// Status is the state of the gateway now.
func (a *App) Status() Status {
	a.mu.Lock()
	s := a.status
	a.mu.Unlock()
	s.Version, s.Started, s.Ready = a.version, a.started, a.readiness() == nil
	s.Listeners = a.server.Status()
	s.APIs = a.engine.Current()
	s.Providers = a.keys.Status()
	s.Upstreams = a.proxy.Status()
	s.TokenCache = a.engine.TokenCache()
	s.Store, s.Limits = a.state.status(), a.state.limitStatus()
	return s
}

// taken records that a configuration is in force.
func (a *App) taken(loaded Loaded) {
	now := time.Now()
	warnings := loaded.Problems // errors would have kept it from being taken over
	a.mu.Lock()
	a.config = loaded.Config
	generation := a.status.Configuration.Generation + 1
	a.status.Configuration = ConfigurationStatus{Source: loaded.Source, Hash: loaded.Hash, Generation: generation, Since: now, Warnings: texts(warnings)}
	a.status.LastReload = ReloadStatus{Time: now, Success: true, Hash: loaded.Hash}
	a.mu.Unlock()
	a.metrics.Reloaded(loaded.Hash, generation, now)
	for _, w := range warnings {
		a.log.Warn("configuration", slog.String("warning", w.Error()))
	}
	a.log.Info("configuration taken over", slog.String("source", loaded.Source), slog.String("hash", loaded.Hash), slog.Uint64("generation", generation))
}

// refused records that a configuration was not taken over.
func (a *App) refused(loaded Loaded, err error) {
	var lines []string
	if problems, ok := err.(gate.Problems); ok { //nolint:errorlint // the loaders and the engine return it unwrapped
		lines = texts(problems)
	} else {
		lines = []string{err.Error()}
	}
	a.mu.Lock()
	a.status.LastReload = ReloadStatus{Time: time.Now(), Hash: loaded.Hash, Errors: lines}
	a.mu.Unlock()
	a.metrics.ReloadFailed()
	for _, line := range lines {
		a.log.Error("configuration refused, the former stays in force", slog.String("source", loaded.Source), slog.String("error", line))
	}
}

func texts(problems gate.Problems) []string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Error())
	}
	return out
}
