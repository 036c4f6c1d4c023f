package admin_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/admin"
	"github.com/jotgate/jotgate/internal/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type door struct {
	*admin.Server
	t     *testing.T
	ready error
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{t: t}
	d.Server = admin.New(admin.Options{
		Log:     slog.New(slog.DiscardHandler),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "some metrics") }),
		Manage:  http.NotFoundHandler(), Ready: func() error { return d.ready },
		Status: func() any { return map[string]string{"state": "fine"} },
	})
	t.Cleanup(d.Close)
	return d
}

func (d *door) take(address string) error {
	plan, err := d.Prepare(&gate.Admin{Address: address})
	if err == nil {
		plan.Commit()
	}
	return err
}

func (d *door) get(address, method, path string) (int, string) {
	d.t.Helper()
	request, err := http.NewRequest(method, "http://"+address+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(body))
}

func TestDoor(t *testing.T) {
	d := newDoor(t)
	if err := d.take("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	address := d.Addr().String()
	for _, test := range []struct {
		method, path string
		ready        error
		status       int
		body         string
	}{
		{"GET", "/metrics", nil, 200, "some metrics"},
		{"GET", "/healthz", errors.New("starting"), 200, "ok"},
		{"GET", "/readyz", nil, 200, "ready"},
		{"GET", "/readyz", errors.New("starting"), 503, "starting"},
		{"GET", "/status", nil, 200, "{\n  \"state\": \"fine\"\n}"},
		{"HEAD", "/healthz", nil, 200, ""},
		{"POST", "/status", nil, 405, "Method Not Allowed"},
		{"GET", "/", nil, 404, "404 page not found"},
	} {
		d.ready = test.ready
		if status, body := d.get(address, test.method, test.path); status != test.status || body != test.body {
			t.Errorf("%s %s = %d %q, want %d %q", test.method, test.path, status, body, test.status, test.body)
		}
	}
}

func TestDoorMoves(t *testing.T) {
	d := newDoor(t)
	if d.Addr() != nil {
		t.Error("a new door is open")
	}
	if err := d.take("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	first := d.Addr().String()
	if err := d.take("127.0.0.1:0"); err != nil || d.Addr().String() != first {
		t.Errorf("the same address was opened anew: %v", err)
	}
	if err := d.take("localhost:0"); err != nil {
		t.Fatal(err)
	}
	second := d.Addr().String()
	if status, text := d.get(first, "GET", "/healthz"); status != 0 {
		t.Errorf("the former address still answers: %d %s", status, text)
	}
	if status, _ := d.get(second, "GET", "/healthz"); status != 200 {
		t.Errorf("the new address answers %d", status)
	}
	if err := d.take(""); err != nil || d.Addr() != nil {
		t.Errorf("the door is not closed: %v %v", err, d.Addr())
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := newDoor(t)
	if err := d.take("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := d.take(taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "admin address") {
		t.Errorf("err = %v", err)
	}
	if status, _ := d.get(d.Addr().String(), "GET", "/healthz"); status != 200 {
		t.Errorf("after a plan that failed the door answers %d", status)
	}
	plan, err := d.Prepare(&gate.Admin{Address: "localhost:0"})
	if err != nil {
		t.Fatal(err)
	}
	plan.Discard()
	if status, _ := d.get(d.Addr().String(), "GET", "/healthz"); status != 200 {
		t.Errorf("after a plan that was given up the door answers %d", status)
	}
}

func TestCheck(t *testing.T) {
	if problems := admin.Check(&gate.Admin{Address: "8081"}); len(problems) != 1 || !strings.Contains(problems[0].Error(), `not host:port: "8081"`) {
		t.Errorf("problems: %v", problems)
	}
	for _, address := range []string{"", ":8081", "127.0.0.1:8081", "[::1]:8081"} {
		if problems := admin.Check(&gate.Admin{Address: address}); len(problems) != 0 {
			t.Errorf("%q: %v", address, problems)
		}
	}
}
