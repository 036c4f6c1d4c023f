package redistest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store/redis/redistest"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	if got := s.Do("SET", "a", "1"); got != "OK" {
		t.Fatalf("SET said %q", got)
	}
	began := time.Now()
	s.Freeze(300 * time.Millisecond)
	if got := s.Do("GET", "a"); got != "1" || time.Since(began) < 250*time.Millisecond {
		t.Errorf("GET said %q after %v", got, time.Since(began))
	}
	s.Kill()
	s.Restart()
	if got := s.Do("GET", "a"); got != "1" {
		t.Errorf("after a restart GET said %q", got)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	for i, node := range redistest.StartCluster(t) {
		if info := node.Do("CLUSTER", "INFO"); !strings.Contains(info, "cluster_size:3") {
			t.Errorf("node %d: %s", i, info)
		}
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	w := redistest.StartSentinel(t)
	w.Primary.Do("SET", "a", "1")
	w.AwaitReplica()
	w.Primary.Kill()
	w.AwaitFailover()
	if got := w.Replica.Do("GET", "a"); got != "1" {
		t.Errorf("GET said %q", got)
	}
}
