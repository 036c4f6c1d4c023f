package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// A server that has begun its response and takes what the client sends does not stall, although it has nothing more to say before the end.
func TestUploadAfterTheHeadOfTheResponse(t *testing.T) {
	eachEngine(t, testUploadAfterTheHeadOfTheResponse)
}

func testUploadAfterTheHeadOfTheResponse(t *testing.T, e engine) {
	t.Helper()
	serve := func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_ = control.Flush()
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the upstream got %q, %v", got, err)
		}
		_, _ = w.Write(got)
	}
	for name, url := range map[string]string{"HTTP/1.1": backend(t, serve), "HTTP/2": backendHTTP2(t, serve)} {
		t.Run(name, func(t *testing.T) {
			u := e.group(url)
			u.IdleTimeout = 500 * time.Millisecond
			d := openDoor(t, u, nil)
			out, in := io.Pipe()
			go func() {
				for range 8 {
					time.Sleep(150 * time.Millisecond)
					_, _ = in.Write([]byte("x"))
				}
				_ = in.Close()
			}()
			resp, err := d.client.Post(d.url, "text/plain", out)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); string(got) != "xxxxxxxx" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			if r := d.result(); r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}
