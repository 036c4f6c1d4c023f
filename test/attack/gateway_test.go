// Package attack attacks a running gateway: the real binary, with a real configuration file, between real loopback servers. Each attack is a subtest that
// is named in plain words, and says what the gateway must answer and what the upstream may see of it.
package attack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// build compiles the program once; with the race detector if the tests have it.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "jotgate")
	arguments := []string{"build", "-o", binary}
	if raceEnabled {
		arguments = append(arguments, "-race")
	}
	cmd := exec.Command("go", append(arguments, "./cmd/jotgate")...)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	return binary
}

// gateway is a running jotgate.
type gateway struct {
	cmd       *exec.Cmd
	addresses map[string]string // of the listeners, by name
	log       *recorder         // standard error
	access    *recorder         // standard output
	exited    chan error
}

// run starts jotgate serve and waits until it serves. It is stopped with the test, and must then end by itself.
func run(t *testing.T, binary, config string) *gateway {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jotgate.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gateway{cmd: exec.Command(binary, "serve", "--config", file), log: new(recorder), access: new(recorder), exited: make(chan error, 1)}
	g.cmd.Stdout, g.cmd.Stderr = g.access, g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { g.exited <- g.cmd.Wait() }()
	t.Cleanup(func() { g.stop(t) })
	line := g.log.wait(func(line string) bool { return strings.Contains(line, `"msg":"serving"`) })
	var serving struct {
		Listeners map[string]string `json:"listeners"`
	}
	if line == "" || json.Unmarshal([]byte(line), &serving) != nil {
		t.Fatalf("the gateway does not serve:\n%s", g.log.text())
	}
	g.addresses = serving.Listeners
	return g
}

func (g *gateway) stop(t *testing.T) {
	t.Helper()
	_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which shows below
	select {
	case err := <-g.exited:
		if err != nil {
			t.Errorf("the gateway ended with %v:\n%s", err, g.log.text())
		}
	case <-time.After(patience):
		_ = g.cmd.Process.Kill()
		t.Error("the gateway did not stop")
	}
}

// peakMemory is the most memory that the gateway has held so far, in bytes.
func (g *gateway) peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil && runtime.GOOS == "linux" {
		t.Fatalf("the gateway's memory cannot be read: %v", err) // it may have ended
	}
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("no VmHWM in /proc/PID/status")
	return 0
}

// recorder keeps what a process writes, by lines.
type recorder struct {
	mu      sync.Mutex
	all     bytes.Buffer
	read    int // how far wait has come
	changed chan struct{}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	return r.all.Write(p)
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.String()
}

// wait returns the first line after the one that it returned before for which wanted is true, and waits for it if need be; "" if none comes.
func (r *recorder) wait(wanted func(line string) bool) string {
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		for {
			end := bytes.IndexByte(r.all.Bytes()[r.read:], '\n')
			if end < 0 {
				break
			}
			line := string(r.all.Bytes()[r.read : r.read+end])
			r.read += end + 1
			if wanted(line) {
				r.mu.Unlock()
				return line
			}
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			return ""
		}
	}
}

// skipToEnd makes wait look only at lines that are not there yet.
func (r *recorder) skipToEnd() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = r.all.Len()
}

// exchange sends bytes over a connection and returns what comes back until the other end closes it.
func exchange(t *testing.T, conn net.Conn, message []byte) []byte {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = conn.Write(message) // a message that is too large is not taken to its end
	}()
	got, err := io.ReadAll(conn)
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		t.Errorf("the gateway neither answered nor closed the connection; got %.200q", got)
	}
	_ = conn.Close() // everything was read
	<-sent
	return got
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
