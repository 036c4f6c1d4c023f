package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/credential"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/revoke"
	"github.com/jotgate/jotgate/internal/source/api"
	"github.com/jotgate/jotgate/internal/step/limits"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/memory"
	"github.com/jotgate/jotgate/internal/store/redis"
	"github.com/jotgate/jotgate/internal/store/snapshot"
	"github.com/jotgate/jotgate/internal/store/sqlite"
	"github.com/jotgate/jotgate/internal/usage"
)

const (
	// loadWait is how long a start waits for what is in the store. Without it nothing may be let in, for it may have been taken back.
	loadWait     = 15 * time.Second
	snapshotFile = "state.snapshot"
	sqliteFile   = "state.sqlite"
)

// state is what outlives configurations and, if there is a place for it, the process: the store, the counters, and what is kept in them.
type state struct {
	config    gate.Store // as it was opened
	settings  gate.LimitSettings
	directory string
	store     store.Store
	counters  limit.Counters
	snapshot  *snapshot.File // nil if nothing is written to one
	client    *redis.Client  // nil without Redis
	leased    *limit.Leased  // nil without Redis, and if every request asks it
	guard     *limit.Guarded // nil without Redis
	local     *limit.Memory
	holds     *limits.Holds

	revocations *revoke.List
	keys        *apikey.Directory
	credentials *credential.Directory
	nouns       *api.Nouns
	usage       *usage.Recorder
}

// stateOptions are what opening the state needs beside the configuration.
type stateOptions struct {
	log    *slog.Logger
	stdout io.Writer
	check  func(*gate.Config) gate.Problems
	apply  func(context.Context) error
}

// openState opens the store of a configuration and waits until what is in it is known. After an error nothing is open.
func openState(ctx context.Context, config *gate.Config, o stateOptions) (*state, error) {
	s := &state{config: config.Store, settings: config.Limits, directory: config.StateDirectory}
	if err := s.openStore(ctx, config, o.log); err != nil {
		s.close(o.log)
		return nil, err
	}
	s.revocations = revoke.Open(s.store, o.log)
	s.keys = apikey.Open(s.store, o.log)
	s.credentials = credential.Open(s.store, o.log)
	s.nouns = api.Open(api.Options{Store: s.store, Log: o.log, Check: o.check, Apply: o.apply})
	s.usage = usage.NewRecorder(usage.Options{Log: o.log, Store: s.store, Node: rand.Text(), Open: s.openSink(o.stdout)})
	ctx, cancel := context.WithTimeout(ctx, loadWait)
	defer cancel()
	for _, wait := range []func(context.Context) error{s.revocations.WaitLoaded, s.keys.WaitLoaded, s.credentials.WaitLoaded, s.nouns.WaitLoaded} {
		if err := wait(ctx); err != nil {
			s.close(o.log)
			return nil, fmt.Errorf("the store (%s) could not be read within %s; without it nobody knows which tokens were revoked: %w", config.Store.Driver, loadWait, err)
		}
	}
	return s, nil
}

func (s *state) openStore(ctx context.Context, config *gate.Config, log *slog.Logger) error {
	if config.StateDirectory != "" {
		if err := os.MkdirAll(config.StateDirectory, 0o700); err != nil {
			return fmt.Errorf("making the state directory: %w", err)
		}
	}
	local := limit.NewMemory(0)
	s.local, s.holds = local, limits.NewHolds(0, 0)
	switch config.Store.Driver {
	case gate.StoreRedis:
		return s.openRedis(ctx, config, local, log)
	case gate.StoreSQLite:
		opened, err := sqlite.Open(ctx, filepath.Join(config.StateDirectory, sqliteFile), 0)
		if err != nil {
			return err
		}
		s.store, s.counters = opened, local
		return s.openSnapshot(log, section{"counters", saveCounters(local), loadCounters(local)})
	default:
		inMemory := memory.New(0)
		s.store, s.counters = inMemory, local
		return s.openSnapshot(log, section{"counters", saveCounters(local), loadCounters(local)}, section{"store", inMemory.Save, inMemory.Load})
	}
}

// checkState says what is wrong with the settings of the store.
func checkState(config *gate.Config) gate.Problems {
	s := &config.Store
	var problems gate.Problems
	add := func(path, hint, format string, args ...any) {
		problems = append(problems, s.Origin.Problem(path, hint, format, args...))
	}
	switch s.Driver {
	case gate.StoreMemory:
	case gate.StoreSQLite:
		if config.StateDirectory == "" {
			add("driver", "set stateDirectory", "the sqlite driver keeps its file in the state directory, and there is none")
		}
	case gate.StoreRedis:
		if s.Redis == nil {
			add("redis", "for example redis: {addresses: [\"127.0.0.1:6379\"]}", "it is not said where Redis is")
		}
	default:
		add("driver", "use memory, sqlite or redis", "unknown store driver %q", s.Driver)
	}
	if s.SnapshotInterval < 100*time.Millisecond || s.SnapshotInterval > time.Hour {
		add("snapshotInterval", "for example 10s", "must be from 100ms to 1h")
	}
	if s.Redis != nil {
		if s.Driver != gate.StoreRedis && s.Driver != "" {
			add("redis", "set driver: redis, or remove it", "the driver is %s, so Redis is not used", s.Driver)
		}
		if err := redisOptions(s.Redis).Check(); err != nil {
			add("redis", "", "%v", err)
		}
	}
	for i := range config.Usage.Sinks {
		if config.Usage.Sinks[i].RedisStream != "" && s.Driver != gate.StoreRedis {
			problems = append(problems, config.Usage.Origin.Problem(fmt.Sprintf("sinks[%d].redisStream", i), "set store.driver: redis", "the store is not in Redis"))
		}
	}
	return problems
}

func redisOptions(r *gate.RedisStore) redis.Options {
	return redis.Options{
		Addresses: r.Addresses, PrimaryName: r.PrimaryName, Cluster: r.Cluster, Username: r.Username, Password: r.Password.Reveal(),
		SentinelUsername: r.SentinelUsername, SentinelPassword: r.SentinelPassword.Reveal(), Database: r.Database, Prefix: r.Prefix, DialTimeout: r.DialTimeout,
	}
}

// section is a part of the snapshot.
type section struct {
	name string
	save func(io.Writer) error
	load func(io.Reader) error
}

func saveCounters(m *limit.Memory) func(io.Writer) error {
	return func(w io.Writer) error { return m.Save(w, time.Now()) }
}

func loadCounters(m *limit.Memory) func(io.Reader) error {
	return func(r io.Reader) error { return m.Load(r, time.Now()) }
}

// openSnapshot reads the snapshot of the state directory and writes it from now on. One that is broken holds revocations that nobody knows then: the gateway does not start without somebody having looked.
func (s *state) openSnapshot(log *slog.Logger, sections ...section) error {
	if s.directory == "" {
		return nil
	}
	file, err := snapshot.Open(filepath.Join(s.directory, snapshotFile), s.config.SnapshotInterval, log)
	if err != nil {
		return fmt.Errorf("%w; what it held, revocations and API keys among it, is not in force: mend it, or start again to go on without", err)
	}
	for _, part := range sections {
		if err := file.Section(part.name, part.save, part.load); err != nil {
			return fmt.Errorf("%w; what it held is not in force: mend it, or start again to go on without", err)
		}
	}
	file.Start()
	s.snapshot = file
	return nil
}

func (s *state) openRedis(ctx context.Context, config *gate.Config, local *limit.Memory, log *slog.Logger) error {
	r := config.Store.Redis
	options := redisOptions(r)
	options.Logger = log
	if r.TLS != nil {
		secure, err := keys.ClientTLS(r.TLS)
		if err != nil {
			return fmt.Errorf("store.redis.tls: %w", err)
		}
		options.TLS = secure
	}
	client, err := redis.Open(ctx, options)
	if err != nil {
		return err
	}
	s.client, s.store = client, redis.NewStore(client)
	var remote limit.Counters = redis.NewCounters(client)
	if !config.Limits.Exact {
		s.leased = limit.NewLeased(remote)
		remote = s.leased
	}
	onFailure, err := gate.ParseFailure(config.Limits.OnStoreFailure)
	if err != nil {
		return err
	}
	s.guard = limit.NewGuarded(remote, limit.GuardOptions{Timeout: config.Limits.StoreTimeout, OnFailure: onFailure, Local: local, Log: log})
	s.counters = s.guard
	return nil
}

func (s *state) openSink(stdout io.Writer) func(gate.UsageSink) (usage.Sink, error) {
	return func(config gate.UsageSink) (usage.Sink, error) {
		switch {
		case config.File != "":
			return usage.OpenFile(config.File, int64(config.MaxBytes), config.MaxFiles)
		case config.RedisStream != "":
			if s.client == nil {
				return nil, errors.New("a Redis stream needs store.driver: redis")
			}
			return redis.NewStream(s.client, config.RedisStream, config.MaxLength), nil
		}
		return usage.ToWriter(stdout), nil
	}
}

// fits says why a configuration cannot be taken over with this state, for which it would have to be opened anew; nil if it can.
func (s *state) fits(config *gate.Config) gate.Problems {
	was, is := s.config, config.Store
	was.Origin, is.Origin = gate.Origin{}, gate.Origin{}
	if config.StateDirectory != s.directory || !reflect.DeepEqual(was, is) {
		return gate.Problems{config.Store.Origin.Problem("", "restart the gateway to change it", "the store and the state directory cannot change while the gateway runs")}
	}
	if l := &config.Limits; s.guard != nil && (l.Exact != s.settings.Exact || l.StoreTimeout != s.settings.StoreTimeout || l.OnStoreFailure != s.settings.OnStoreFailure) {
		return gate.Problems{l.Origin.Problem("", "restart the gateway to change it", "how a shared store is asked cannot change while the gateway runs")}
	}
	return nil
}

// statusWait is how long the store may take to show that it is there.
const statusWait = 500 * time.Millisecond

// status asks the store for something that is never there.
func (s *state) status() gate.StoreStatus {
	ctx, cancel := context.WithTimeout(context.Background(), statusWait)
	defer cancel()
	status := gate.StoreStatus{Driver: s.config.Driver}
	_, err := s.store.Get(ctx, "status/none")
	if status.Healthy = errors.Is(err, store.ErrNotFound); !status.Healthy {
		status.Error = fmt.Sprint(err)
	}
	return status
}

func (s *state) limitStatus() gate.LimitStatus {
	status := gate.LimitStatus{Counters: s.local.Len(), Held: s.holds.Held()}
	if s.guard != nil {
		g := s.guard.State()
		status.StoreOpen, status.StoreFailures, status.StoreFallbacks = g.Open, g.Failures, g.Fallbacks
	}
	return status
}

// close lets go of everything; what has a place to be kept is kept.
func (s *state) close(log *slog.Logger) {
	if s == nil {
		return
	}
	if s.usage != nil { // first, for it writes into the store
		s.usage.Close()
	}
	if s.nouns != nil {
		s.nouns.Close()
	}
	if s.credentials != nil {
		s.credentials.Close()
	}
	if s.keys != nil {
		s.keys.Close()
	}
	if s.revocations != nil {
		s.revocations.Close()
	}
	report := func(what string, err error) {
		if err != nil {
			log.Error("closing the state", slog.String("what", what), slog.Any("error", err))
		}
	}
	if s.snapshot != nil {
		report("snapshot", s.snapshot.Close())
	}
	if s.leased != nil {
		s.leased.Close()
	}
	if s.store != nil {
		report("store", s.store.Close())
	}
	if s.client != nil {
		report("redis", s.client.Close())
	}
}
