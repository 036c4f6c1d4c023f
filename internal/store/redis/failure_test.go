package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/redis"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

const (
	callTime = 100 * time.Millisecond
	// grace is how much longer than its context a call may take on a machine that is busy.
	grace = 2 * time.Second
)

// timed makes a call with a context of callTime, and fails the test if it takes longer.
func timed(t *testing.T, s store.Store) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTime)
	defer cancel()
	began := time.Now()
	_, err := s.Get(ctx, "things/a")
	if took := time.Since(began); took > callTime+grace {
		t.Errorf("a call took %v: %v", took, err)
	}
	return err
}

// answers waits until calls succeed, and fails the test if one of them takes too long.
func answers(t *testing.T, s store.Store) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := timed(t, s)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("calls go on to fail: %v", err)
		}
	}
}

// told collects what a watcher is told, resyncs as "resync".
func told(t *testing.T, s store.Store) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := make(chan string, 10_000)
	done := make(chan error, 1)
	go func() {
		done <- s.Watch(ctx, "things/", func() { out <- "resync" }, func(c store.Change) { out <- c.Item.Key })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrClosed) {
			t.Errorf("watching: %v", err)
		}
	})
	return out
}

func next(t *testing.T, what <-chan string, want string) {
	t.Helper()
	end := time.After(15 * time.Second)
	for {
		select {
		case got := <-what:
			if got == want {
				return
			}
		case <-end:
			t.Fatalf("waited in vain for %s", want)
		}
	}
}

// With appendfsync always a server that is killed loses nothing that was acknowledged.
func TestKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{Addresses: []string{server.Address}})
	put(t, s, "things/a")
	watched := told(t, s)
	next(t, watched, "resync")

	var mu sync.Mutex
	var keys []string
	var group sync.WaitGroup
	enough := make(chan struct{})
	for i := range 8 {
		group.Go(func() {
			err := storetest.WriteUntil(t.Context(), s, fmt.Sprintf("load/%d/", i), func(key string) {
				mu.Lock()
				defer mu.Unlock()
				keys = append(keys, key)
				if len(keys) == 300 {
					close(enough)
				}
			})
			if err == nil || errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrConflict) {
				t.Errorf("writing to a server that was killed: %v", err)
			}
		})
	}
	<-enough
	server.Kill()
	group.Wait()
	for range 20 {
		if err := timed(t, s); err == nil {
			t.Error("a server that is not there has answered")
		}
	}
	server.Restart()
	answers(t, s)
	storetest.Acknowledged(t, s, keys)
	next(t, watched, "resync")
	put(t, s, "things/b")
	next(t, watched, "things/b")
}

// While a server is frozen no call takes longer than its context, however many there are; afterwards all is well.
func TestFrozen(t *testing.T) {
	t.Parallel()
	for name, freeze := range map[string]func(*redistest.Server, time.Duration){
		"asleep": (*redistest.Server).Freeze,
		"stopped": func(s *redistest.Server, d time.Duration) {
			s.Stop()
			time.AfterFunc(d, s.Continue)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			s := open(t, redis.Options{Addresses: []string{server.Address}})
			version := put(t, s, "things/a")
			watched := told(t, s)
			next(t, watched, "resync")
			const frozen = 3500 * time.Millisecond // longer than a call may take here
			freeze(server, frozen)
			end := time.Now().Add(time.Second)
			var group sync.WaitGroup
			for range 700 { // more than may be under way
				group.Go(func() {
					for time.Now().Before(end) {
						if err := timed(t, s); !errors.Is(err, context.DeadlineExceeded) && time.Now().Before(end) {
							t.Errorf("a frozen server: %v", err)
							return
						}
					}
				})
			}
			group.Wait()
			answers(t, s)
			if item, err := s.Get(t.Context(), "things/a"); err != nil || item.Version != version {
				t.Errorf("%d, %v", item.Version, err)
			}
			put(t, s, "things/b")
			next(t, watched, "things/b")
		})
	}
}

// A call that waits ends with its context also when that has no deadline.
func TestCancelledWhileFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{Addresses: []string{server.Address}})
	server.Freeze(700 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, err := s.Put(ctx, "things/a", nil, 0, store.Always())
	if !errors.Is(err, context.Canceled) || time.Since(began) > 500*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	begun := make(chan error, 1)
	go func() { _, err := s.Get(t.Context(), "things/a"); begun <- err }()
	time.AfterFunc(20*time.Millisecond, func() { _ = s.Close() })
	if err := <-begun; !errors.Is(err, store.ErrClosed) {
		t.Errorf("closing a store that waits: %v", err)
	}
}

func TestServerThatComesLater(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	var log logged
	s := open(t, redis.Options{Addresses: []string{server.Address}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err := timed(t, s); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("a server that is not there: %v", err)
	}
	watched := told(t, s)
	server.Restart()
	put(t, awaited{t, s}, "things/a")
	answers(t, s)
	next(t, watched, "resync")
	put(t, s, "things/b")
	next(t, watched, "things/b")
	if text := log.String(); strings.Count(text, "redis cannot be asked") != 1 || strings.Count(text, "redis answers again") != 1 {
		t.Errorf("logged:\n%s", text)
	}
}

// awaited is a store that is asked until it answers.
type awaited struct {
	t *testing.T
	store.Store
}

func (a awaited) Put(ctx context.Context, key string, value []byte, ttl time.Duration, c store.Condition) (version uint64, err error) {
	a.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		short, cancel := context.WithTimeout(ctx, time.Second)
		version, err = a.Store.Put(short, key, value, ttl, c)
		cancel()
		if err == nil {
			break
		}
	}
	return version, err
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A server whose memory is used up says so, keeps what it has, and can be told to forget.
func TestFullMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "maxmemory 6mb", "maxmemory-policy noeviction", "appendfsync everysec")
	s := open(t, redis.Options{Addresses: []string{server.Address}})
	first := put(t, s, "things/a")
	versions := map[string]uint64{}
	value := bytes.Repeat([]byte("x"), 100_000)
	full := ""
	for i := 0; full == ""; i++ {
		key := fmt.Sprintf("load/%03d", i)
		version, err := s.Put(t.Context(), key, value, 0, store.Always())
		if errors.Is(err, store.ErrFull) {
			full = key
		} else if err != nil || i > 200 {
			t.Fatalf("item %d: %v", i, err)
		} else {
			versions[key] = version
		}
	}
	if _, err := s.Get(t.Context(), full); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused is there: %v", err)
	}
	if _, err := s.Put(t.Context(), "things/a", value, time.Hour, store.Always()); !errors.Is(err, store.ErrFull) {
		t.Errorf("growing: %v", err)
	}
	if item, err := s.Get(t.Context(), "things/a"); err != nil || item.Version != first {
		t.Errorf("what was refused has changed it: %v", err)
	}
	whole(t, s, versions)
	for key := range versions {
		if err := s.Delete(t.Context(), key, store.Always()); err != nil {
			t.Errorf("deleting from a full server: %v", err)
		}
	}
	whole(t, s, nil)
	put(t, awaited{t, s}, "load/again")
}

// whole fails the test unless the list of what is below load/ is what it should be.
func whole(t *testing.T, s store.Store, versions map[string]uint64) {
	t.Helper()
	n := 0
	for item, err := range store.All(t.Context(), s, "load/") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if versions[item.Key] != item.Version {
			t.Errorf("%s is listed at %d, not %d", item.Key, item.Version, versions[item.Key])
		}
	}
	if n != len(versions) {
		t.Errorf("%d items are listed, not %d", n, len(versions))
	}
}

func TestFlushed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{Addresses: []string{server.Address}})
	watched := told(t, s)
	next(t, watched, "resync")
	put(t, s, "things/a")
	next(t, watched, "things/a")
	before := put(t, s, "things/b")
	next(t, watched, "things/b")
	server.Do("SCRIPT", "FLUSH")
	if _, err := s.Get(t.Context(), "things/a"); err != nil {
		t.Errorf("after the scripts were flushed: %v", err)
	}
	server.Do("FLUSHALL")
	if _, err := s.Get(t.Context(), "things/a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after everything was flushed: %v", err)
	}
	next(t, watched, "resync")
	if after := put(t, s, "things/b"); after <= before {
		t.Errorf("version %d is given again", after)
	}
	next(t, watched, "things/b")
}

// A replica that becomes the primary goes on where the primary was, and watchers are told to read everything anew.
func TestFailover(t *testing.T) {
	t.Parallel()
	w := redistest.StartSentinel(t)
	s := open(t, redis.Options{Addresses: []string{w.Sentinel.Address}, PrimaryName: w.Name})
	version := put(t, s, "things/a")
	w.AwaitReplica()
	watched := told(t, s)
	next(t, watched, "resync")
	w.Primary.Kill()
	for range 10 {
		if err := timed(t, s); err == nil {
			t.Error("a server that is not there has answered")
		}
	}
	w.AwaitFailover()
	answers(t, s)
	if item, err := s.Get(t.Context(), "things/a"); err != nil || item.Version != version {
		t.Errorf("version %d, %v", item.Version, err)
	}
	next(t, watched, "resync")
	if after := put(t, awaited{t, s}, "things/b"); after <= version {
		t.Errorf("version %d comes after %d", after, version)
	}
	next(t, watched, "things/b")
}

// A node of a Cluster that is gone takes its spaces with it, and no others; they are back with it.
func TestClusterNodeKilled(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	s := open(t, redis.Options{Addresses: redistest.Addresses(nodes[0], nodes[1]), Cluster: true})
	spaces := map[int]string{} // by node
	for i := 0; len(spaces) < 3; i++ {
		space := fmt.Sprintf("space%d", i)
		put(t, s, space+"/a")
		for n, node := range nodes {
			if strings.Contains(node.Do("KEYS", "*"), "{"+space+"}") {
				spaces[n] = space
			}
		}
	}
	nodes[2].Kill()
	ask := func(n int) error {
		ctx, cancel := context.WithTimeout(t.Context(), callTime)
		defer cancel()
		_, err := s.Get(ctx, spaces[n]+"/a")
		return err
	}
	if err := ask(2); err == nil {
		t.Error("a node that is not there has answered")
	}
	for n := range 2 {
		for end := time.Now().Add(10 * time.Second); ask(n) != nil; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("node %d has gone with the other: %v", n, ask(n))
			}
		}
	}
	nodes[2].Restart()
	for end := time.Now().Add(15 * time.Second); ask(2) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the node is back and has not answered: %v", ask(2))
		}
	}
}
