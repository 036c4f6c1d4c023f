// Package redistest runs real Redis servers for tests: one, a Cluster, or a primary that a Sentinel watches, on loopback and in folders of their own. They end with the test.
package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	program   = "redis-server"
	startWait = 10 * time.Second
	callWait  = 5 * time.Second
)

// Server is a running redis-server.
type Server struct {
	// Address is where it listens; it stays the same over Restart.
	Address string
	// Dir is its folder.
	Dir string

	tb      testing.TB
	args    []string
	command *exec.Cmd
	exited  chan struct{}
	auth    []string
}

// Start runs one server that keeps what it acknowledged over Kill and Restart, and allows DEBUG. settings are directives of redis.conf after that, such as "maxmemory 2mb". Without redis-server the test is skipped,
// or fails where CI=true.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return start(tb, "", append([]string{"appendonly yes", "appendfsync always"}, settings...))
}

// nextPort spreads the ports of the tests of one process; those of several are spread by its id.
var nextPort atomic.Uint32

// freePort finds a port that is free, as is the one for the bus of a Cluster, 10000 above it. Both lie below those that the system gives to clients.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 500 {
		port := 10000 + int((uint32(os.Getpid())*97+nextPort.Add(1)*3)%11000)
		if free(tb, port) && free(tb, port+10000) {
			return port
		}
	}
	tb.Fatal("there is no free port for redis-server")
	return 0
}

// FreeAddress is an address on loopback where nobody listens.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(tb)))
}

func free(tb testing.TB, port int) bool {
	tb.Helper()
	var config net.ListenConfig
	l, err := config.Listen(tb.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

func start(tb testing.TB, sentinel string, settings []string) *Server {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatal(program + " is not installed")
		}
		tb.Skip(program + " is not installed")
	}
	port := freePort(tb)
	s := &Server{tb: tb, Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Dir: tb.TempDir()}
	config := []string{"bind 127.0.0.1", "port " + strconv.Itoa(port), "dir " + s.Dir}
	args := []string{filepath.Join(s.Dir, "redis.conf")}
	if sentinel != "" {
		args = append(args, "--sentinel")
	} else {
		config = append(config, `save ""`)
		if major(tb, path) >= 7 {
			config = append(config, "enable-debug-command yes")
		}
	}
	config = append(config, settings...)
	for _, line := range settings {
		if word, password, ok := strings.Cut(line, " "); ok && word == "requirepass" {
			s.auth = []string{"AUTH", password}
		}
	}
	if err := os.WriteFile(args[0], []byte(strings.Join(config, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.args = append([]string{path}, args...)
	s.run()
	tb.Cleanup(s.Kill)
	return s
}

// major is the version of a redis-server; it says v=7.0.15, among other things.
func major(tb testing.TB, path string) int {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), path, "--version").Output()
	if err != nil {
		tb.Fatal(err)
	}
	_, version, _ := strings.Cut(string(out), " v=")
	number, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(number)
	if err != nil {
		tb.Fatalf("the version of redis-server in %q: %v", out, err)
	}
	return n
}

func (s *Server) run() {
	s.tb.Helper()
	s.command = exec.CommandContext(s.tb.Context(), s.args[0], s.args[1:]...) //nolint:gosec // the tests say what runs
	endWithParent(s.command)
	s.command.Dir = s.Dir
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(command *exec.Cmd, exited chan struct{}) {
		_ = command.Wait()
		close(exited)
	}(s.command, s.exited)
	s.Await(func() bool {
		answer, err := s.ask("PING")
		return err == nil && (answer == "PONG" || strings.HasPrefix(answer, "NOAUTH"))
	})
}

// Await waits until ok, or fails the test with what the server has logged.
func (s *Server) Await(ok func() bool) {
	s.tb.Helper()
	for end := time.Now().Add(startWait); !ok(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.exited:
		default:
			if time.Now().Before(end) {
				continue
			}
		}
		log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
		s.tb.Fatalf("redis-server at %s is not what was waited for:\n%s", s.Address, log)
	}
}

// Kill ends the server as kill -9 does.
func (s *Server) Kill() {
	_ = s.command.Process.Kill()
	<-s.exited
}

// Stop freezes the whole process, its network included, until Continue.
func (s *Server) Stop() { _ = s.command.Process.Signal(syscall.SIGSTOP) }

// Continue ends Stop.
func (s *Server) Continue() { _ = s.command.Process.Signal(syscall.SIGCONT) }

// Restart runs the server again after Kill, in the same folder and at the same address.
func (s *Server) Restart() {
	s.tb.Helper()
	s.run()
}

// Freeze makes the server answer nobody for d, by DEBUG SLEEP, and returns when it does.
func (s *Server) Freeze(d time.Duration) {
	s.tb.Helper()
	conn, err := s.dial()
	if err != nil {
		s.tb.Fatal(err)
	}
	if s.auth != nil {
		if _, err := exchange(conn, s.auth); err != nil {
			s.tb.Fatal(err)
		}
	}
	if _, err := conn.Write(command([]string{"DEBUG", "SLEEP", strconv.FormatFloat(d.Seconds(), 'f', 3, 64)})); err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	for {
		probe, err := s.dial() // the system accepts it
		if err != nil {
			s.tb.Fatal(err)
		}
		_ = probe.SetDeadline(time.Now().Add(20 * time.Millisecond))
		_, _ = probe.Write(command([]string{"PING"}))
		_, err = bufio.NewReader(probe).ReadString('\n')
		_ = probe.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// Do runs a command and returns its answer: a text or number as it is, a list as its elements in lines. An error fails the test.
func (s *Server) Do(args ...string) string {
	s.tb.Helper()
	answer, err := s.ask(args...)
	if err != nil {
		s.tb.Fatalf("%s at %s: %v", args[0], s.Address, err)
	}
	return answer
}

func (s *Server) ask(args ...string) (string, error) {
	conn, err := s.dial()
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(callWait))
	if s.auth != nil {
		if _, err := exchange(conn, s.auth); err != nil {
			return "", err
		}
	}
	return exchange(conn, args)
}

func (s *Server) dial() (net.Conn, error) {
	dialer := net.Dialer{Timeout: callWait}
	return dialer.DialContext(s.tb.Context(), "tcp", s.Address)
}

func command(args []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return []byte(b.String())
}

func exchange(conn net.Conn, args []string) (string, error) {
	if _, err := conn.Write(command(args)); err != nil {
		return "", err
	}
	return answer(bufio.NewReader(conn))
}

// answer reads one reply of RESP2.
func answer(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", errors.New("an empty reply")
	}
	switch rest := line[1:]; line[0] {
	case '-':
		return "", errors.New(rest)
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", err
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		return string(text[:n]), err
	case '*':
		n, err := strconv.Atoi(rest)
		if err != nil {
			return "", err
		}
		var parts []string
		for range n {
			part, err := answer(r)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, "\n"), nil
	default:
		return rest, nil
	}
}
