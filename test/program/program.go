// Package program starts the real program as users do, with a configuration file, for the tests that look at it from outside.
package program

import (
	"bytes"
	"context"
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

// Patience bounds every wait for something that must happen.
const Patience = 20 * time.Second

// Build compiles the program once; with the race detector if the tests have it.
func Build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "jotgate")
	arguments := []string{"build", "-o", binary}
	if RaceEnabled {
		arguments = append(arguments, "-race")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(arguments, "./cmd/jotgate")...) //nolint:gosec // the program of this repository
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	return binary
}

// Gateway is a running jotgate.
type Gateway struct {
	cmd       *exec.Cmd
	Addresses map[string]string // of the listeners, by name
	Log       *Recorder         // standard error
	Access    *Recorder         // standard output
	exited    chan error
	stopped   sync.Once
}

// Run starts jotgate serve and waits until it serves. It is stopped with the test, and must then end by itself.
func Run(t *testing.T, binary, config string) *Gateway {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jotgate.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), binary, "serve", "--config", file) //nolint:gosec // what Build has built; it ends in Cleanup, when the context of t is over
	g := &Gateway{cmd: cmd, Log: new(Recorder), Access: new(Recorder), exited: make(chan error, 1)}
	g.cmd.Stdout, g.cmd.Stderr = g.Access, g.Log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { g.exited <- g.cmd.Wait() }()
	t.Cleanup(func() { g.Stop(t) })
	line := g.Log.Wait(func(line string) bool { return strings.Contains(line, `"msg":"serving"`) })
	var serving struct {
		Listeners map[string]string `json:"listeners"`
	}
	if line == "" || json.Unmarshal([]byte(line), &serving) != nil {
		t.Fatalf("the gateway does not serve:\n%s", g.Log.Text())
	}
	g.Addresses = serving.Listeners
	return g
}

// Stop stops the gateway and waits until it has ended, which it must do by itself. It may be called again.
func (g *Gateway) Stop(t *testing.T) {
	t.Helper()
	g.stopped.Do(func() {
		_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which shows below
		select {
		case err := <-g.exited:
			if err != nil {
				t.Errorf("the gateway ended with %v:\n%s", err, g.Log.Text())
			}
		case <-time.After(Patience):
			_ = g.cmd.Process.Kill()
			t.Error("the gateway did not stop")
		}
	})
}

// PeakMemory is the most memory that the gateway has held so far, in bytes.
func (g *Gateway) PeakMemory(t *testing.T) int64 {
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

// Recorder keeps what a process writes, by lines.
type Recorder struct {
	mu      sync.Mutex
	all     bytes.Buffer
	read    int // how far wait has come
	changed chan struct{}
}

// Write takes what the process writes.
func (r *Recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	return r.all.Write(p)
}

// Text is all that was written so far.
func (r *Recorder) Text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.String()
}

// Wait returns the first line after the one that it returned before for which wanted is true, and waits for it if need be; "" if none comes.
func (r *Recorder) Wait(wanted func(line string) bool) string {
	deadline := time.After(Patience)
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

// SkipToEnd makes wait look only at lines that are not there yet.
func (r *Recorder) SkipToEnd() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = r.all.Len()
}

// Exchange sends bytes over a connection and returns what comes back until the other end closes it.
func Exchange(t *testing.T, conn net.Conn, message []byte) []byte {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
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

// Dial opens a connection.
func Dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: Patience}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
