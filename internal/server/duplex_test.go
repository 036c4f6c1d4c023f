package server

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// listen begins to send a body, and reads the whole response before it sends more.
func (d door) listen(t *testing.T) string {
	t.Helper()
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	res, err := d.client.Do(d.request(t, "POST", "/", &stalling{"ab", stop}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	end() // a client of HTTP/2 waits for its own body before it lets go of the response
	_ = res.Body.Close()
	return string(got)
}

// A client that listens is not silent: the time limit starts anew with every byte that moves, in whichever direction.
func TestClientMayListenForLongerThanItMayBeSilent(t *testing.T) {
	const pieces = 10
	for _, d := range doors(t, func(x *gate.Exchange) {
		read := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, x.Body)
			read <- err
		}()
		_ = x.WriteHead(200, -1)
		for range pieces {
			_, _ = x.Writer.Write([]byte("x"))
			_ = x.Writer.Flush()
			select {
			case err := <-read:
				_, _ = io.WriteString(x.Writer, " body ended: "+gate.AsDenial(err).Error())
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
		_ = x.Body.Close()
		<-read
	}, func(l *gate.Listener) { l.BodyTimeout = time.Second }) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if got := d.listen(t); got != "xxxxxxxxxx" {
				t.Error(got)
			}
		})
	}
}

// Nor does it get more time when nothing moves any more.
func TestClientThatOnlyListenedIsSilentInTheEnd(t *testing.T) {
	for _, d := range doors(t, func(x *gate.Exchange) {
		_ = x.WriteHead(200, -1)
		_, _ = x.Writer.Write([]byte("x"))
		_ = x.Writer.Flush()
		began := time.Now()
		_, err := io.Copy(io.Discard, x.Body)
		if took := time.Since(began); took > 5*time.Second || gate.AsDenial(err).Reason != gate.ReasonSlowRequest {
			_, _ = io.WriteString(x.Writer, "ended after "+took.String()+": "+gate.AsDenial(err).Error())
		}
	}, func(l *gate.Listener) { l.BodyTimeout = 150 * time.Millisecond }) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if got := d.listen(t); got != "x" {
				t.Error(got)
			}
		})
	}
}
