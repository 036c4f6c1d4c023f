package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startDemo runs jotgate demo and returns what it printed up to the end of its guide.
func startDemo(t *testing.T, folder string, arguments ...string) (cmd *exec.Cmd, guide string) {
	t.Helper()
	cmd = exec.Command("jotgate", append([]string{"demo"}, arguments...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+folder)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended already if the test went well
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("standard error:\n%s", stderr.String())
		}
	})
	lines := bufio.NewReader(out)
	for !strings.Contains(guide, "Ctrl-C") {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the guide ends early: %v\n%s", err, guide)
		}
		guide += line
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // the access lines
	return cmd, guide
}

// anyPorts keeps demonstrations of concurrent tests apart.
func anyPorts() []string {
	return []string{"--port=0", "--admin-port=0", "--idp-port=0", "--upstream-port=0"}
}

func stopDemo(t *testing.T, cmd *exec.Cmd, signal os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after %s: %v", signal, err)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("still running 20 s after %s", signal)
	}
}

// needProgram skips a test for want of a program that make test installs; where all must be there it fails.
func needProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}

// TestDemoGuide pastes every command of the guide into a shell, and compares the answers with what the guide promises.
func TestDemoGuide(t *testing.T) {
	for _, shell := range []string{"bash", "zsh"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			needProgram(t, shell)
			needProgram(t, "curl")
			folder := t.TempDir()
			cmd, guide := startDemo(t, folder, anyPorts()...)

			steps := regexp.MustCompile(`(?m)^\d+\. (.*)\n((?:  .*\n)+)`).FindAllStringSubmatch(guide, -1)
			if len(steps) < 12 {
				t.Fatalf("%d steps in the guide:\n%s", len(steps), guide)
			}
			helper := regexp.MustCompile(`(?m)^  token\(\) \{(?:.*\n)(?:  .*\n)*`).FindString(guide)
			script := helper
			for i, step := range steps {
				script += fmt.Sprintf("echo '@@@%d'\n%s", i, step[2])
			}
			run := exec.Command(shell)
			run.Stdin = strings.NewReader(script)
			output, _ := run.CombinedOutput() // the last command decides the exit code; the answers are what counts
			answers := strings.Split(string(output), "@@@")[1:]
			if len(answers) != len(steps) {
				t.Fatalf("%d answers for %d steps:\n%s", len(answers), len(steps), output)
			}
			for i, step := range steps {
				checkAnswer(t, step[1], answers[i])
			}
			stopDemo(t, cmd, os.Interrupt)
			if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// checkAnswer compares a command's output with the step's text: the status, and what some of the steps are about.
func checkAnswer(t *testing.T, text, answer string) {
	t.Helper()
	if status := regexp.MustCompile(`Expect (\d+)\.$`).FindStringSubmatch(text); status != nil {
		if !strings.Contains(answer, "HTTP/1.1 "+status[1]+" ") {
			t.Errorf("%s\ngot:\n%s", text, answer)
		}
	}
	for about, want := range map[string]string{
		"A good token:":             `"X-User":"demo"`,
		"No token.":                 `"reason":"token_missing"`,
		"expired":                   `"reason":"token_expired"`,
		"another audience":          `"reason":"audience_mismatch"`,
		"not enough":                `"reason":"claims_refused"`,
		"the group that may write":  `"X-Group":"admin"`,
		"cannot pass itself off as": `"X-User":"demo"`,
		"change its keys":           `"signing"`,
		"Why is":                    "refused: 401 audience_mismatch",
		"The state":                 `"tickets-write"`,
		"What it counts":            `reason="token_expired"`,
	} {
		if strings.Contains(text, about) && !strings.Contains(answer, want) {
			t.Errorf("%s\nwant %s, got:\n%s", text, want, answer)
		}
	}
}

func TestDemoStops(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cmd, guide := startDemo(t, folder, append(anyPorts(), "--keep")...)
	config := regexp.MustCompile(`configuration +(\S+)`).FindStringSubmatch(guide)[1]
	stopDemo(t, cmd, syscall.SIGTERM)
	if out, err := exec.Command("jotgate", "check", config).CombinedOutput(); err != nil {
		t.Errorf("the kept configuration: %v\n%s", err, out)
	}
}

// TestDemoPorts takes a port that the demonstration wants.
func TestDemoPorts(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, name := range []string{"port", "admin-port", "idp-port", "upstream-port"} {
		cmd := exec.Command("jotgate", append([]string{"demo"}, append(anyPorts(), "--"+name+"="+port)...)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "address already in use") {
			t.Errorf("--%s in use: %v\n%s", name, err, out)
		}
	}
}
