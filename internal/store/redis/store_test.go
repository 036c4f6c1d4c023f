package redis_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/redis"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

// owning is a store that closes its connection.
type owning struct {
	*redis.Store
	client *redis.Client
}

func (o owning) Close() error {
	_ = o.Store.Close()
	return o.client.Close()
}

func open(t *testing.T, o redis.Options) owning {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = "test:"
	}
	c, err := redis.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return owning{redis.NewStore(c), c}
}

// fresh gives each test a prefix of its own on the same servers.
func fresh(o redis.Options) func(t *testing.T) func() store.Store {
	var n atomic.Int64
	return func(t *testing.T) func() store.Store {
		t.Helper()
		o := o
		o.Prefix = fmt.Sprintf("test%d:", n.Add(1))
		return func() store.Store { return open(t, o) }
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "appendfsync everysec")
	storetest.Run(t, storetest.Driver{Shared: true, Persists: true, Fresh: fresh(redis.Options{Addresses: []string{s.Address}})})
}

func TestClusterStore(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, "appendfsync everysec")
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, storetest.Driver{Shared: true, Persists: true, Fresh: fresh(redis.Options{Addresses: redistest.Addresses(nodes...), Cluster: true})})
	})
	for i, node := range nodes {
		if n := node.Do("DBSIZE"); n == "0" {
			t.Errorf("node %d has no keys: spaces are not spread", i)
		}
	}
}

func TestSentinelStore(t *testing.T) {
	t.Parallel()
	w := redistest.StartSentinel(t, "appendfsync everysec")
	s := open(t, redis.Options{Addresses: []string{w.Sentinel.Address}, PrimaryName: w.Name})
	put(t, s, "things/a")
	if got := w.Primary.Do("KEYS", "*"); !strings.Contains(got, "test:{things}:items") {
		t.Errorf("the primary has %q", got)
	}
}

func put(t *testing.T, s store.Store, key string) uint64 {
	t.Helper()
	version, err := s.Put(t.Context(), key, []byte(key), 0, store.Always())
	if err != nil {
		t.Fatalf("putting %s: %v", key, err)
	}
	return version
}
