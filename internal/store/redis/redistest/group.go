package redistest

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

const slots = 16384

// Addresses are where servers listen.
func Addresses(servers ...*Server) []string {
	var out []string
	for _, s := range servers {
		out = append(out, s.Address)
	}
	return out
}

// StartCluster runs a Cluster of three primaries without replicas; it goes on serving the slots of those that are left when one is killed.
func StartCluster(tb testing.TB, settings ...string) []*Server {
	tb.Helper()
	var nodes []*Server
	for range 3 {
		nodes = append(nodes, Start(tb, append([]string{"cluster-enabled yes", "cluster-node-timeout 1000", "cluster-require-full-coverage no"}, settings...)...))
	}
	for i, node := range nodes {
		add := []string{"CLUSTER", "ADDSLOTS"}
		for slot := slots * i / 3; slot < slots*(i+1)/3; slot++ {
			add = append(add, strconv.Itoa(slot))
		}
		node.Do(add...)
		node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	host, port, _ := net.SplitHostPort(nodes[0].Address)
	for _, node := range nodes[1:] {
		node.Do("CLUSTER", "MEET", host, port)
	}
	for _, node := range nodes {
		node.Await(func() bool {
			info := node.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return nodes
}

// Watched is a primary with a replica, and the Sentinel that watches them.
type Watched struct {
	Primary, Replica, Sentinel *Server
	// Name is what the Sentinel calls the primary.
	Name string
}

// StartSentinel runs a primary, a replica and a Sentinel that makes the replica the primary about a second after the primary was killed.
func StartSentinel(tb testing.TB, settings ...string) *Watched {
	tb.Helper()
	w := &Watched{Name: "primary", Primary: Start(tb, append([]string{"repl-diskless-sync-delay 0"}, settings...)...)}
	host, port, _ := net.SplitHostPort(w.Primary.Address)
	w.Replica = Start(tb, append([]string{"replicaof " + host + " " + port, "repl-diskless-sync-delay 0"}, settings...)...)
	w.Replica.Await(func() bool { return strings.Contains(w.Replica.Do("INFO", "replication"), "master_link_status:up") })
	w.Sentinel = start(tb, w.Name, []string{
		"sentinel monitor " + w.Name + " " + host + " " + port + " 1",
		"sentinel down-after-milliseconds " + w.Name + " 400",
		"sentinel failover-timeout " + w.Name + " 3000",
	})
	w.Sentinel.Await(func() bool {
		return strings.Contains(w.Sentinel.Do("SENTINEL", "MASTER", w.Name), "num-slaves\n1")
	})
	return w
}

// AwaitReplica waits until the replica has what the primary has written so far. (WAIT would not do: it waits for the writes of one connection.)
func (w *Watched) AwaitReplica() {
	written := offset(w.Primary, "master_repl_offset:")
	w.Replica.Await(func() bool { return offset(w.Replica, "slave_repl_offset:") >= written })
}

// offset is how far a server is in the stream of changes.
func offset(s *Server, field string) int64 {
	_, after, _ := strings.Cut(s.Do("INFO", "replication"), field)
	digits, _, _ := strings.Cut(after, "\r")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return -1 // a replica that is connecting has none
	}
	return n
}

// AwaitFailover waits until the Sentinel names the replica as the primary, and the replica is one.
func (w *Watched) AwaitFailover() {
	_, port, _ := net.SplitHostPort(w.Replica.Address)
	w.Sentinel.Await(func() bool {
		return strings.HasSuffix(w.Sentinel.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", w.Name), "\n"+port) && strings.Contains(w.Replica.Do("INFO", "replication"), "role:master")
	})
}
