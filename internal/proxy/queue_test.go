package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// Requests that wait for a free connection do not wait for ever, and the server is not to blame.
func TestWaitForAFreeConnectionIsBounded(t *testing.T) {
	eachEngine(t, testBoundedWait)
}

func testBoundedWait(t *testing.T, e engine) {
	t.Helper()
	release := make(chan struct{})
	u := e.group(backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-release
	}))
	defer close(release)
	u.MaxConnections, u.ConnectTimeout, u.ResponseTimeout = 1, 100*time.Millisecond, 200*time.Millisecond
	d := openDoor(t, u, nil)
	first, err := d.client.Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Body.Close()
	second, err := d.client.Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, second.Body)
	_ = second.Body.Close()
	if r := d.result(); r.Reason != gate.ReasonNoServer || second.StatusCode != 503 {
		t.Errorf("%d, %v", second.StatusCode, r.Err)
	}
	if s := d.up.Status().Servers[0]; s.Failures != 0 {
		t.Errorf("%d failures are laid at the server's door", s.Failures)
	}
}
