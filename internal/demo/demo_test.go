package demo

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTemplate keeps the configuration that people copy free of mistakes, and in step with the default ports.
func TestTemplate(t *testing.T) {
	loaded := app.File("demo.yaml")(os.ReadFile)
	for _, problem := range loaded.Problems {
		t.Error(problem)
	}
	for _, port := range []int{GatewayPort, AdminPort, ProviderPort, UpstreamPort} {
		if n := strings.Count(template, local(port)); n != 1 {
			t.Errorf("%s is in the template %d times", local(port), n)
		}
	}
}

// TestGuideFits keeps the lines short enough to be copied from a narrow terminal.
func TestGuideFits(t *testing.T) {
	p := Places{
		Gateway: "127.0.0.1:8080", Admin: "127.0.0.1:8081", Provider: "127.0.0.1:9100", Upstream: "127.0.0.1:9000",
		Config: "/tmp/jotgate-demo-1234567890/demo.yaml", Program: "jotgate",
	}
	for line := range strings.Lines(p.Guide()) {
		if len(line) > 100 {
			t.Errorf("%d characters: %s", len(line), line)
		}
	}
}

// TestFallback starts a demonstration whose default ports are all in use.
func TestFallback(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := Port{Number: taken.Addr().(*net.TCPAddr).Port, Fallback: true}
	var access, log bytes.Buffer
	d, err := Start(t.Context(), Options{
		Gateway: port, Admin: port, Provider: port, Upstream: port, Program: "jotgate", Version: "test", Access: &access, Log: &log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	places := d.Places()
	seen := map[string]bool{taken.Addr().String(): true}
	for _, address := range []string{places.Gateway, places.Admin, places.Provider, places.Upstream} {
		if seen[address] {
			t.Errorf("%s is used twice", address)
		}
		seen[address] = true
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(places.Config)); !os.IsNotExist(err) {
		t.Errorf("the folder of the configuration is still there: %v", err)
	}
}

// TestStoppedWhileStarting leaves nothing behind.
func TestStoppedWhileStarting(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, access, log bytes.Buffer
	if err := Run(ctx, &out, Options{Program: "jotgate", Version: "test", Access: &access, Log: &log}); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) > 0 || out.Len() > 0 {
		t.Errorf("left behind: %v, printed: %q", left, &out)
	}
}
