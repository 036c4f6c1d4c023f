package docs_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain builds the program once, and puts it in the path of every example.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "jotgate-docs-")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(folder)
		build := exec.Command("go", "build", "-o", folder, "../cmd/jotgate")
		if out, err := build.CombinedOutput(); err != nil {
			log.Fatalf("building jotgate: %v\n%s", err, out)
		}
		if err := os.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
			log.Fatal(err)
		}
		return m.Run()
	}())
}

// patience bounds every command of an example.
const patience = 2 * time.Minute

// TestConsole runs the console blocks of the guides. A line that starts with "$ " is a command, the lines after it are what it prints; "..." stands for anything in a line, and alone in a line for any
// lines. The blocks of a page run one after the other in one shell, in a folder of their own with the files of the yaml blocks before them that a line like "`jotgate.yaml`:" introduces. Servers stay
// until the page ends, or until a block that is marked "fresh"; they must end well. Blocks marked "norun" are not run: what they need is not there.
func TestConsole(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", program)
			}
			t.Skipf("%s is not installed", program)
		}
	}
	n := 0
	for _, path := range guides(t) {
		found := fences(t, path)
		if !slices.ContainsFunc(found, func(f fence) bool { return f.kind == "console" }) {
			continue
		}
		n++
		t.Run(strings.TrimPrefix(path, "../"), func(t *testing.T) {
			t.Parallel()
			newConsole(t, path).play(found)
		})
	}
	if n < 2 {
		t.Errorf("only %d pages with consoles found", n)
	}
}

// console is the shell of a page.
type console struct {
	t       *testing.T
	page    string
	folder  string
	root    string
	ports   *strings.Replacer
	shell   *exec.Cmd
	input   *os.File
	n       int      // commands so far
	running []server // servers
	groups  []int    // the process groups of the servers that have not ended yet
}

// server is a program that a page has started.
type server struct {
	command, output string
	group           int // its process group
}

// examplePorts are those that pages use; each page gets free ones of its own in their place.
var examplePorts = []string{"8080", "8081", "8090", "8091", "9000", "9100"}

func newConsole(t *testing.T, page string) *console {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, page: page, folder: t.TempDir(), root: root}
	var pairs []string
	for _, port := range examplePorts {
		listener, err := net.Listen("tcp", "127.0.0.1:0") // stays open until all are found, so that they differ
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		_, free, _ := net.SplitHostPort(listener.Addr().String())
		pairs = append(pairs, ":"+port, ":"+free)
	}
	c.ports = strings.NewReplacer(pairs...)
	c.shell = exec.Command("bash", "--norc", "--noprofile")
	c.shell.Dir = c.folder
	c.shell.Env = append(os.Environ(), "TMPDIR="+c.folder, "no_proxy=*")
	c.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.shell.Stdin, c.input = read, write
	if err := c.shell.Start(); err != nil {
		t.Fatal(err)
	}
	_ = read.Close()   // the shell has it
	t.Cleanup(func() { // also if ending the servers well has failed
		_ = c.input.Close()
		for _, group := range append(c.groups, c.shell.Process.Pid) {
			_ = syscall.Kill(-group, syscall.SIGKILL) // what hangs, if anything does
		}
		_ = c.shell.Wait()
	})
	t.Cleanup(c.interrupt)
	c.run("set -m") // servers get process groups of their own, as in a terminal
	return c
}

func (c *console) play(found []fence) {
	c.t.Helper()
	for _, f := range found {
		if c.t.Failed() {
			return
		}
		switch {
		case f.kind == "yaml" && f.file != "":
			c.save(f)
		case f.kind == "console" && !f.is("norun"):
			if f.is("fresh") {
				c.interrupt()
			}
			for _, s := range steps(f) {
				c.step(s)
			}
		}
	}
}

// save writes a file of the page, and waits until a server that uses it has seen the change, as a reader does.
func (c *console) save(f fence) {
	c.t.Helper()
	path := filepath.Join(c.folder, f.file)
	reloads := func(s server) int {
		text, _ := os.ReadFile(s.output) // the file is there since the server was started
		return len(regexp.MustCompile(`"msg":"configuration (taken over|refused)`).FindAll(text, -1))
	}
	var user *server
	before := 0
	for i := range c.running {
		if strings.Contains(c.running[i].command, f.file) {
			user = &c.running[i]
			before = reloads(*user)
		}
	}
	if err := os.WriteFile(path+".new", []byte(c.ports.Replace(f.text)), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		c.t.Fatal(err)
	}
	if user == nil {
		return
	}
	for begin := time.Now(); reloads(*user) == before; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > patience {
			c.t.Fatalf("%s:%d: the gateway does not see the change", c.page, f.line)
		}
	}
}

// step is a command and what it prints.
type step struct {
	line              int
	command, expected string
}

func steps(f fence) []step {
	var all []step
	more := false
	for i, line := range strings.Split(strings.TrimSuffix(f.text, "\n"), "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isCommand:
			all = append(all, step{line: f.line + i, command: command})
		case len(all) == 0:
			all = append(all, step{line: f.line + i, expected: line + "\n"})
		case more:
			all[len(all)-1].command += "\n" + line
		default:
			all[len(all)-1].expected += line + "\n"
		}
		more = (isCommand || more) && strings.HasSuffix(line, `\`)
	}
	return all
}

func (c *console) step(s step) {
	c.t.Helper()
	where := fmt.Sprintf("%s:%d: %s", c.page, s.line, s.command)
	s.command, s.expected = c.ports.Replace(s.command), c.ports.Replace(s.expected)
	switch {
	case s.command == "":
		c.t.Errorf("%s: the block does not begin with a command", where)
	case strings.HasPrefix(s.command, "make "): // make test runs this test, and what make build builds is in the path
		if out, err := exec.Command("make", "-n", "-C", c.root, strings.TrimPrefix(s.command, "make ")).CombinedOutput(); err != nil {
			c.t.Errorf("%s: %v\n%s", where, err, out)
		}
	case regexp.MustCompile(`^(jotgate|go run \./cmd/jotgate) (serve|demo)\b`).MatchString(s.command):
		c.start(where, s)
	default:
		got, code := c.run(s.command)
		if !expression(s.expected, false).MatchString(got) {
			c.t.Errorf("%s\nwant\n%s\ngot\n%s", where, s.expected, got)
		}
		if s.expected == "" && code != "0" {
			c.t.Errorf("%s: exit code %s", where, code)
		}
	}
}

// expression is what an output must match; with some, only its beginning must.
func expression(expected string, some bool) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for line := range strings.Lines(expected) {
		if line == "...\n" {
			b.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(line, "\n")), `\.\.\.`, `[^\n]*`) + `\n`)
	}
	if !some {
		b.WriteString(`\z`)
	}
	return regexp.MustCompile(b.String())
}

// run executes a command in the page's shell, and returns what it printed and its exit code.
func (c *console) run(command string) (output, code string) {
	c.t.Helper()
	c.n++
	out, done := filepath.Join(c.folder, fmt.Sprintf(".out%d", c.n)), filepath.Join(c.folder, fmt.Sprintf(".done%d", c.n))
	_, err := fmt.Fprintf(c.input, "{\n%s\n} >%s 2>&1 </dev/null\necho $? >%s.new; mv %s.new %s\n", command, out, done, done, done)
	if err != nil {
		c.t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(10 * time.Millisecond) {
		if result, err := os.ReadFile(done); err == nil {
			text, err := os.ReadFile(out)
			if err != nil {
				c.t.Fatal(err)
			}
			if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
				text = append(text, '\n')
			}
			return strings.ReplaceAll(string(text), "\r\n", "\n"), strings.TrimSpace(string(result))
		}
	}
	text, _ := os.ReadFile(out) // what there is
	c.t.Fatalf("%s: %s does not end:\n%s", c.page, command, text)
	return "", ""
}

// start runs a server and waits until it has printed what is expected.
func (c *console) start(where string, s step) {
	c.t.Helper()
	ready := regexp.MustCompile(`"msg":"serving"|Ctrl-C`)
	if s.expected != "" {
		ready = expression(s.expected, true)
	}
	command := s.command
	if strings.HasSuffix(command, " demo") {
		command += c.ports.Replace(" --port :8080 --admin-port :8081 --idp-port :9100 --upstream-port :9000")
		command = strings.ReplaceAll(command, " :", " ")
	}
	if strings.HasPrefix(command, "go ") {
		command = "cd " + c.root + " && exec " + command
	}
	output := filepath.Join(c.folder, fmt.Sprintf(".server%d", len(c.running)))
	group, _ := c.run(fmt.Sprintf("( %s ) >%s 2>&1 </dev/null &\necho $!", command, output))
	var pid int
	if _, err := fmt.Sscan(group, &pid); err != nil {
		c.t.Fatalf("%s: %v in %q", where, err, group)
	}
	c.running, c.groups = append(c.running, server{s.command, output, pid}), append(c.groups, pid)
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(output); err == nil && ready.Match(text) {
			return
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			break
		}
	}
	text, _ := os.ReadFile(output) // what there is
	c.t.Errorf("%s\nwant\n%s\ngot\n%s", where, s.expected, text)
}

// interrupt ends the servers as Ctrl-C does, the last one first. They must say that all is well.
func (c *console) interrupt() {
	c.t.Helper()
	servers := c.running
	c.running = nil
	for _, s := range slices.Backward(servers) {
		if err := syscall.Kill(-s.group, syscall.SIGINT); err != nil {
			c.t.Errorf("%s: interrupting %s: %v", c.page, s.command, err)
			continue
		}
		if _, code := c.run(fmt.Sprintf("wait %d", s.group)); code != "0" && (code != "1" || !strings.HasPrefix(s.command, "go run")) { // which ends with 1 whenever it is interrupted
			text, _ := os.ReadFile(s.output)
			c.t.Errorf("%s: %s ended with exit code %s:\n%s", c.page, s.command, code, text)
		}
		c.groups = slices.DeleteFunc(c.groups, func(group int) bool { return group == s.group })
	}
}

// shell runs a command line that is no example.
func shell(t *testing.T, dir, command string) {
	t.Helper()
	cmd := exec.Command("bash", "-e", "-c", command)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}
