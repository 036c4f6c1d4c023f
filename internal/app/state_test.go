package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
	"github.com/jotgate/jotgate/internal/store/snapshot"
)

// stateConfig is a configuration with a store and the defaults of everything else.
func stateConfig(driver, directory string, change ...func(*gate.Config)) *gate.Config {
	config := &gate.Config{StateDirectory: directory}
	config.Store.SetDefaults()
	config.Limits.SetDefaults()
	config.Store.Driver = driver
	config.Limits.StoreTimeout = 5 * time.Second // the machine may be busy
	for _, f := range change {
		f(config)
	}
	return config
}

// at has the store in a Redis.
func at(address string) func(*gate.Config) {
	return func(config *gate.Config) {
		config.Store.Redis = new(gate.RedisStore)
		config.Store.Redis.SetDefaults()
		config.Store.Redis.Addresses = []string{address}
	}
}

func open(ctx context.Context, config *gate.Config) (*state, error) {
	return openState(ctx, config, stateOptions{
		log: slog.New(slog.DiscardHandler), stdout: io.Discard,
		check: func(*gate.Config) gate.Problems { return nil }, apply: func(context.Context) error { return nil },
	})
}

// run opens a state and closes it after it was used.
func run(t *testing.T, config *gate.Config, use func(*state)) {
	t.Helper()
	s, err := open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close(slog.New(slog.DiscardHandler))
	use(s)
}

// taken is how many of five requests pass a quota of four.
func taken(t *testing.T, s *state, n int) (passed int) {
	t.Helper()
	uses := []limit.Use{{Key: limit.Key{1}, Name: "q", Quota: true, Rule: limit.Rule{Algorithm: limit.FixedWindow, Limit: 4, Period: time.Hour}, OnFailure: limit.FailureDeny}}
	for range n {
		refused, err := s.counters.Take(t.Context(), time.Now(), uses, make([]limit.Outcome, 1))
		if err != nil {
			t.Fatal(err)
		}
		if refused < 0 {
			passed++
		}
	}
	return passed
}

// What is in the store and what was used of limits is there after a restart, with every driver that has a place for it.
func TestStateOutlivesTheProcess(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(t *testing.T) *gate.Config
		lost   bool
	}{
		{"memory", func(t *testing.T) *gate.Config {
			t.Helper()
			return stateConfig(gate.StoreMemory, filepath.Join(t.TempDir(), "new"))
		}, false},
		{"memory without a place", func(*testing.T) *gate.Config { return stateConfig(gate.StoreMemory, "") }, true},
		{"sqlite", func(t *testing.T) *gate.Config { t.Helper(); return stateConfig(gate.StoreSQLite, t.TempDir()) }, false},
		{"redis", func(t *testing.T) *gate.Config {
			t.Helper()
			return stateConfig(gate.StoreRedis, "", at(redistest.Start(t).Address))
		}, false},
		{"redis, exact", func(t *testing.T) *gate.Config {
			t.Helper()
			return stateConfig(gate.StoreRedis, t.TempDir(), at(redistest.Start(t).Address), func(c *gate.Config) { c.Limits.Exact = true })
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := test.config(t)
			run(t, config, func(s *state) {
				if _, err := s.store.Put(t.Context(), "things/a", []byte("1"), 0, store.Always()); err != nil {
					t.Fatal(err)
				}
				if got := taken(t, s, 3); got != 3 {
					t.Errorf("%d of 3 requests passed", got)
				}
				if diff := cmp.Diff(gate.StoreStatus{Driver: config.Store.Driver, Healthy: true}, s.status()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
			run(t, config, func(s *state) {
				item, err := s.store.Get(t.Context(), "things/a")
				if test.lost != errors.Is(err, store.ErrNotFound) || !test.lost && string(item.Value) != "1" {
					t.Errorf("after a restart: %q, %v", item.Value, err)
				}
				want := 1
				if test.lost {
					want = 4
				}
				if got := taken(t, s, 5); got != want {
					t.Errorf("after a restart %d requests passed, want %d", got, want)
				}
				if status := s.limitStatus(); config.Store.Driver != gate.StoreRedis && status.Counters != 1 || status.StoreOpen || status.Held != 0 {
					t.Errorf("status %+v", status)
				}
			})
		})
	}
}

func TestStateProblems(t *testing.T) {
	for _, test := range []struct {
		name, driver, directory string
		change                  func(*gate.Config)
		want                    []string
	}{
		{"memory", gate.StoreMemory, "", nil, nil},
		{"sqlite", gate.StoreSQLite, "/var/lib/jotgate", nil, nil},
		{"sqlite nowhere", gate.StoreSQLite, "", nil, []string{"store.driver: the sqlite driver keeps its file in the state directory, and there is none"}},
		{"redis", gate.StoreRedis, "", at("127.0.0.1:6379"), nil},
		{"redis nowhere", gate.StoreRedis, "", nil, []string{"store.redis: it is not said where Redis is"}},
		{"redis unused", gate.StoreMemory, "", at("127.0.0.1:6379"), []string{"store.redis: the driver is memory, so Redis is not used"}},
		{"no port", gate.StoreRedis, "", at("127.0.0.1"), []string{"store.redis: connecting to Redis: address 127.0.0.1: missing port in address"}},
		{"cluster with a database", gate.StoreRedis, "", func(c *gate.Config) { at("a:1")(c); c.Store.Redis.Cluster, c.Store.Redis.Database = true, 1 }, []string{"store.redis: connecting to Redis: a Cluster has only database 0"}},
		{"unknown", "paper", "", nil, []string{`store.driver: unknown store driver "paper"`}},
		{"too often", gate.StoreMemory, "", func(c *gate.Config) { c.Store.SnapshotInterval = time.Millisecond }, []string{"store.snapshotInterval: must be from 100ms to 1h"}},
		{"too seldom", gate.StoreMemory, "", func(c *gate.Config) { c.Store.SnapshotInterval = 2 * time.Hour }, []string{"store.snapshotInterval: must be from 100ms to 1h"}},
		{"stream without redis", gate.StoreMemory, "", func(c *gate.Config) { c.Usage.Sinks = []gate.UsageSink{{RedisStream: "s"}} }, []string{"usage.sinks[0].redisStream: the store is not in Redis"}},
		{"stream", gate.StoreRedis, "", func(c *gate.Config) { at("a:1")(c); c.Usage.Sinks = []gate.UsageSink{{RedisStream: "s"}} }, nil},
	} {
		config := stateConfig(test.driver, test.directory)
		config.Store.Origin.Object, config.Usage.Origin.Object = "store", "usage"
		if test.change != nil {
			test.change(config)
		}
		var got []string
		for _, p := range checkState(config) {
			got = append(got, p.Path+": "+p.Message)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// What cannot change while the gateway runs is refused by a reload, and said.
func TestStateFits(t *testing.T) {
	address := redistest.Start(t).Address
	const store, asked = "store: the store and the state directory cannot change while the gateway runs", "limits: how a shared store is asked cannot change while the gateway runs"
	for _, test := range []struct {
		name, driver string
		redis        bool
		change       func(*gate.Config)
		want         string
	}{
		{"the same", gate.StoreMemory, false, func(*gate.Config) {}, ""},
		{"driver", gate.StoreMemory, false, func(c *gate.Config) { c.Store.Driver = gate.StoreSQLite }, store},
		{"directory", gate.StoreMemory, false, func(c *gate.Config) { c.StateDirectory += "/other" }, store},
		{"interval", gate.StoreMemory, false, func(c *gate.Config) { c.Store.SnapshotInterval *= 2 }, store},
		{"place in the document", gate.StoreMemory, false, func(c *gate.Config) { c.Store.Origin.Object = "elsewhere" }, ""},
		{"style of headers", gate.StoreRedis, true, func(c *gate.Config) { c.Limits.Headers = gate.LimitHeadersNone }, ""},
		{"exact, where nothing is shared", gate.StoreMemory, false, func(c *gate.Config) { c.Limits.Exact = true }, ""},
		{"the same Redis, read anew", gate.StoreRedis, true, func(c *gate.Config) { at(address)(c) }, ""},
		{"another Redis", gate.StoreRedis, true, func(c *gate.Config) { at("127.0.0.1:1")(c) }, store},
		{"exact", gate.StoreRedis, true, func(c *gate.Config) { c.Limits.Exact = true }, asked},
		{"time", gate.StoreRedis, true, func(c *gate.Config) { c.Limits.StoreTimeout++ }, asked},
		{"failure", gate.StoreRedis, true, func(c *gate.Config) { c.Limits.OnStoreFailure = gate.FailureDeny }, asked},
	} {
		directory := t.TempDir()
		config := func() *gate.Config {
			c := stateConfig(test.driver, directory)
			c.Store.Origin.Object, c.Limits.Origin.Object = "store", "limits"
			if test.redis {
				at(address)(c)
			}
			return c
		}
		run(t, config(), func(s *state) {
			changed, got := config(), ""
			test.change(changed)
			for _, p := range s.fits(changed) {
				got += p.Path + ": " + p.Message
			}
			if got != test.want {
				t.Errorf("%s: %q, want %q", test.name, got, test.want)
			}
		})
	}
}

// A snapshot that is broken stops the start once, for revocations were in it. It is kept, and the next start goes on without.
func TestBrokenSnapshotStopsTheStartOnce(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"garbage": func(path string) error { return os.WriteFile(path, []byte("garbage"), 0o600) },
		"a bit": func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(path, data, 0o600)
		},
		"a part that is something else": func(path string) error {
			file, err := snapshot.Open(path+".other", time.Hour, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			save := func(w io.Writer) error { _, err := io.WriteString(w, "no counters"); return err }
			if err := file.Section("counters", save, nil); err != nil {
				return err
			}
			file.Start()
			if err := file.Close(); err != nil {
				return err
			}
			return os.Rename(path+".other", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			config := stateConfig(gate.StoreMemory, directory)
			run(t, config, func(s *state) { taken(t, s, 4) })
			if err := damage(filepath.Join(directory, snapshotFile)); err != nil {
				t.Fatal(err)
			}
			s, err := open(t.Context(), config)
			if err == nil {
				s.close(slog.New(slog.DiscardHandler))
				t.Fatal("a gateway starts with a broken snapshot")
			}
			if !errors.Is(err, snapshot.ErrBroken) || !strings.Contains(err.Error(), "start again to go on without") || !strings.Contains(err.Error(), ".broken-") {
				t.Errorf("the error does not help: %v", err)
			}
			run(t, config, func(s *state) {
				if got := taken(t, s, 5); got != 4 {
					t.Errorf("%d requests passed, want 4: nothing of a broken snapshot is believed", got)
				}
			})
			if kept, err := filepath.Glob(filepath.Join(directory, snapshotFile+".broken-*")); err != nil || len(kept) != 1 {
				t.Errorf("the broken file is not kept: %v %v", kept, err)
			}
		})
	}
}

// A gateway does not start while nobody knows what was revoked, says why, and leaves nothing behind.
func TestStateNeedsItsRedisToStart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	s, err := open(ctx, stateConfig(gate.StoreRedis, t.TempDir(), at(redistest.FreeAddress(t))))
	if err == nil {
		s.close(slog.New(slog.DiscardHandler))
		t.Fatal("a gateway starts without its store")
	}
	if !strings.HasPrefix(err.Error(), "the store (redis) could not be read") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v to give up", took)
	}
}

// The status says at once that a store has gone, and that it is back.
func TestStateStatusFollowsTheStore(t *testing.T) {
	server := redistest.Start(t)
	run(t, stateConfig(gate.StoreRedis, "", at(server.Address)), func(s *state) {
		server.Kill()
		if status := s.status(); status.Healthy || status.Error == "" || status.Driver != "redis" {
			t.Errorf("while Redis is away: %+v", status)
		}
		server.Restart()
		for end := time.Now().Add(20 * time.Second); !s.status().Healthy; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after Redis is back: %+v", s.status())
			}
		}
	})
}

// What cannot be opened is said, and nothing is left open.
func TestStateThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, sqliteFile), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*gate.Config{
		"a file where the directory should be": stateConfig(gate.StoreMemory, filepath.Join(file, "state")),
		"no database":                          stateConfig(gate.StoreSQLite, broken),
		"a failure that there is not": stateConfig(gate.StoreRedis, "", at(redistest.FreeAddress(t)), func(c *gate.Config) {
			c.Limits.OnStoreFailure, c.Store.Redis.DialTimeout = "panic", 100*time.Millisecond
		}),
	} {
		if s, err := open(t.Context(), config); err == nil {
			s.close(slog.New(slog.DiscardHandler))
			t.Errorf("%s: it was opened", name)
		}
	}
}
