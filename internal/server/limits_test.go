package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

func small(l *gate.Listener) { l.MaxHeaderBytes, l.MaxBodyBytes = 2<<10, 1000 }

func TestHeaderLimitIsExact(t *testing.T) {
	var served atomic.Int64
	for _, d := range doors(t, func(x *gate.Exchange) { served.Add(1); say(x, "") }, small) {
		t.Run(d.name, func(t *testing.T) {
			request := func(pad int) int {
				r := d.request(t, "GET", "/", nil)
				r.Header = http.Header{"User-Agent": nil, "Accept-Encoding": {"identity"}, "X": {repeat(pad)}}
				res, err := d.client.Do(r)
				text(t, res, err)
				return res.StatusCode
			}
			// GET / HTTP/1.1, Host: api.example.com, Accept-Encoding: identity, X: , and an empty line
			const rest = 16 + 23 + 27 + 5 + 2
			served.Store(0)
			if got := request(2<<10 - rest); got != 200 || served.Load() != 1 {
				t.Errorf("at the limit: %d", got)
			}
			if got := request(2<<10 - rest + 1); got != 431 {
				t.Errorf("one above the limit: %d", got)
			}
			if served.Load() != 1 {
				t.Errorf("%d requests were served", served.Load())
			}
			if strings.HasPrefix(d.name, "h2") {
				return // the client itself keeps to the advertised limit
			}
			if got := request(100 << 10); got != 431 {
				t.Errorf("far above the limit: %d", got)
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	var got atomic.Int64
	var failed atomic.Value
	for _, d := range doors(t, func(x *gate.Exchange) {
		n, err := io.Copy(io.Discard, x.Body)
		got.Store(n)
		if err != nil {
			failed.Store(err)
			_ = x.WriteHead(gate.AsDenial(err).Kind().Status(), 0)
			return
		}
		say(x, "")
	}, small) {
		for _, c := range []struct {
			size    int
			known   bool
			status  int
			refused bool // before the handler
		}{
			{1000, true, 200, false},
			{1000, false, 200, false},
			{1001, true, 413, true},
			{1001, false, 413, false},
			{100 << 10, true, 413, true},
			{100 << 10, false, 413, false},
		} {
			t.Run(fmt.Sprint(d.name, c), func(t *testing.T) {
				got.Store(-1)
				failed = atomic.Value{}
				body := io.Reader(strings.NewReader(repeat(c.size)))
				if !c.known {
					body = io.MultiReader(body)
				}
				r := d.request(t, "POST", "/", body)
				r.Header.Set("Expect", "100-continue") // so that a refusal is seen, whatever the client manages to send
				res, err := d.client.Do(r)
				text(t, res, err)
				if res.StatusCode != c.status {
					t.Errorf("status %d", res.StatusCode)
				}
				err, _ = failed.Load().(error)
				switch {
				case c.status == 200:
					if got.Load() != int64(c.size) {
						t.Errorf("%d bytes", got.Load())
					}
				case c.refused:
					if got.Load() != -1 {
						t.Error("the handler was called")
					}
				case !errors.Is(err, gate.ErrBodyTooLarge) || gate.AsDenial(err).Reason != gate.ReasonBodyLarge || got.Load() != 1000:
					t.Errorf("%d bytes, %v", got.Load(), err)
				}
			})
		}
	}
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			read := make(chan bool, 1)
			r := start(t, e.settings(), func(x *gate.Exchange) {
				if <-read {
					_, _ = io.Copy(io.Discard, x.Body)
				}
				say(x, "done")
			})
			request := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
			t.Run("read", func(t *testing.T) {
				c := r.dial()
				br := bufio.NewReader(c)
				read <- true
				if res := ask(t, c, br, "POST", request); res.StatusCode != 100 {
					t.Fatalf("first answer %d", res.StatusCode)
				}
				if res := ask(t, c, br, "POST", "body"); res.StatusCode != 200 || res.Close {
					t.Errorf("%d, close %v", res.StatusCode, res.Close)
				}
			})
			t.Run("not read", func(t *testing.T) {
				read <- false
				got := r.raw(request)
				if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "\r\nConnection: close\r\n") || strings.Contains(got, "100 Continue") {
					t.Errorf("%q", got)
				}
			})
			t.Run("other expectation", func(t *testing.T) {
				if got := r.raw("GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 417 ") {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

func TestSlowHeaderEndsTheConnection(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(func(l *gate.Listener) { l.HeaderTimeout = 150 * time.Millisecond }), func(*gate.Exchange) { t.Error("served") })
			for _, begin := range []string{"", "GET / HTTP/1.1\r\nHost: a\r\nX-", "PRI * HTTP/2.0\r\n"} {
				if got := r.raw(begin); strings.Contains(got, "200") {
					t.Errorf("%q", got)
				}
			}
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(func(l *gate.Listener) { l.IdleTimeout = 100 * time.Millisecond }), func(x *gate.Exchange) { say(x, "") })
			if got := r.raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("%q", got)
			}
		})
	}
}

// stalling is a request body that sends a little and then nothing.
type stalling struct {
	first string
	stop  <-chan struct{}
}

// Read sends first, then waits for stop.
func (s *stalling) Read(p []byte) (int, error) {
	if s.first != "" {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	<-s.stop
	return 0, io.EOF
}

func TestStalledBodyIsATimeout(t *testing.T) {
	var reason atomic.Value
	for _, d := range doors(t, func(x *gate.Exchange) {
		_, err := io.Copy(io.Discard, x.Body)
		reason.Store(gate.AsDenial(err).Reason)
		_ = x.WriteHead(408, 0)
	}, func(l *gate.Listener) { l.BodyTimeout = 150 * time.Millisecond }) {
		t.Run(d.name, func(t *testing.T) {
			reason.Store(gate.Reason(""))
			stop := make(chan struct{})
			res, err := d.client.Do(d.request(t, "POST", "/", &stalling{"ab", stop}))
			close(stop)
			text(t, res, err)
			if res.StatusCode != 408 || reason.Load() != gate.ReasonSlowRequest {
				t.Errorf("%d %v", res.StatusCode, reason.Load())
			}
		})
	}
}

func TestSlowButSteadyBodyPasses(t *testing.T) {
	for _, d := range doors(t, func(x *gate.Exchange) {
		n, err := io.Copy(io.Discard, x.Body)
		say(x, fmt.Sprint(n, err))
	}, func(l *gate.Listener) { l.BodyTimeout = time.Second }) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			pr, pw := io.Pipe()
			go func() {
				for range 5 {
					time.Sleep(300 * time.Millisecond)
					_, _ = pw.Write([]byte("x"))
				}
				pw.Close()
			}()
			res, err := d.client.Do(d.request(t, "POST", "/", pr))
			if got := text(t, res, err); got != "5 <nil>" {
				t.Error(got)
			}
		})
	}
}

func TestSlowReaderIsCutOff(t *testing.T) {
	failed := make(chan error, 1)
	for _, d := range doors(t, func(x *gate.Exchange) {
		_ = x.WriteHead(200, -1)
		block := make([]byte, 1<<20)
		for {
			if _, err := x.Writer.Write(block); err != nil {
				failed <- err
				x.Writer.Abort()
				return
			}
		}
	}, func(l *gate.Listener) { l.BodyTimeout = 200 * time.Millisecond }) {
		t.Run(d.name, func(t *testing.T) {
			res, err := d.client.Do(d.request(t, "GET", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			select { // the client reads nothing
			case <-failed:
			case <-time.After(15 * time.Second):
				t.Error("still writing")
			}
			res.Body.Close()
		})
	}
}

// TestSlowReaderIsReset: what a client does not read is not kept for it. Closing the connection would leave it to the kernel, megabytes of it, for as long as the client cares to stay.
func TestSlowReaderIsReset(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			failed := make(chan error, 1)
			r := start(t, e.settings(func(l *gate.Listener) { l.BodyTimeout = 200 * time.Millisecond }), func(x *gate.Exchange) {
				block := make([]byte, 1<<20)
				err := x.WriteHead(200, 100<<20)
				for err == nil {
					_, err = x.Writer.Write(block)
				}
				failed <- err
			})
			c := r.dial()
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			<-failed
			for begin := time.Now(); r.Status()[0].Connections > 0; time.Sleep(10 * time.Millisecond) {
				if time.Since(begin) > 15*time.Second {
					t.Fatal("the connection goes on")
				}
			}
			if n, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("after %d bytes the connection ended with %v", n, err)
			}
		})
	}
}

func TestRequestAfterUnreadBodyIsUnderstood(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			r := start(t, e.settings(), func(x *gate.Exchange) { say(x, x.Target) })
			c := r.dial()
			br := bufio.NewReader(c)
			for _, target := range []string{"/1", "/2"} {
				res := ask(t, c, br, "POST", "POST "+target+" HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /")
				if b, _ := io.ReadAll(res.Body); string(b) != target || res.Close {
					t.Errorf("%q, close %v", b, res.Close)
				}
			}
			res := ask(t, c, br, "POST", "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n")
			if b, _ := io.ReadAll(res.Body); string(b) != "/3" || !res.Close {
				t.Errorf("%q, close %v: a large body nobody wants ends the connection", b, res.Close)
			}
		})
	}
}

// What follows a body whose end cannot be found must not be taken for a request.
func TestNothingIsReadAfterABrokenBody(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			var served atomic.Int64
			r := start(t, e.settings(func(l *gate.Listener) { l.BodyTimeout = 200 * time.Millisecond }), func(x *gate.Exchange) {
				served.Add(1)
				_, err := io.Copy(io.Discard, x.Body)
				_ = x.WriteHead(gate.AsDenial(err).Kind().Status(), 0)
			})
			const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
			for name, c := range map[string]struct {
				request string
				status  int
			}{
				"chunk size":       {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + smuggled, 400},
				"chunk end":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n" + smuggled, 400},
				"bare lf in size":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n" + smuggled, 400},
				"bare lf in ext":   {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nab\r\n0\r\n\r\n" + smuggled, 400},
				"bare lf in end":   {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n" + smuggled, 400},
				"size signed":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n" + smuggled, 400},
				"size with spaces": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n" + smuggled, 400},
				"size too large":   {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\nab\r\n0\r\n\r\n" + smuggled, 400},
				"stalled":          {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9999\r\n" + smuggled, 408},
				"stalled, length":  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n" + smuggled, 408},
				"trailer":          {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n" + smuggled, 400},
				"trailer too long": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + repeat(8<<10) + "\r\n\r\n" + smuggled, 400},
			} {
				t.Run(name, func(t *testing.T) {
					judge := func(got string, most int64) {
						t.Helper()
						if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", c.status)) || strings.Count(got, "HTTP/1.1 ") != 1 || served.Load() > most {
							t.Errorf("%d served, %q", served.Load(), got)
						}
					}
					served.Store(0)
					judge(r.raw(c.request), 1) // it may be refused before it is served
					served.Store(0)
					head, rest, _ := strings.Cut(c.request, "\r\n\r\n")
					conn := r.dial()
					if _, err := io.WriteString(conn, head+"\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					eventually(t, "the request is served", func() bool { return served.Load() == 1 })
					_, _ = io.WriteString(conn, rest)
					got, _ := io.ReadAll(conn)
					judge(string(got), 1)
				})
			}
		})
	}
}

func TestBodyIsDeadAfterItsExchange(t *testing.T) {
	kept := make(chan io.Reader, 1)
	for _, d := range doors(t, func(x *gate.Exchange) {
		kept <- x.Body
		buf := make([]byte, 4)
		done := make(chan error)
		go func(b io.Reader) {
			_, _ = io.ReadFull(b, buf)
			done <- nil
			_, err := b.Read(buf) // stays behind when the handler returns
			done <- err
		}(x.Body)
		<-done
		go func() {
			if err := <-done; err == nil {
				t.Error("read went on")
			}
		}()
		say(x, "bye")
	}) {
		t.Run(d.name, func(t *testing.T) {
			stop := make(chan struct{})
			res, err := d.client.Do(d.request(t, "POST", "/", &stalling{"abcd", stop}))
			close(stop)
			if got := text(t, res, err); got != "bye" {
				t.Error(got)
			}
			b := <-kept
			eventually(t, "the body is dead", func() bool {
				_, err := b.Read(make([]byte, 1))
				return err != nil && !errors.Is(err, io.EOF)
			})
		})
	}
}

// untilGone waits until the client is gone, as a forwarder does: the context of net/http ends, and of the own engine the writer is asked.
func untilGone(x *gate.Exchange) {
	asked, _ := x.Writer.(interface{ Gone() bool })
	for {
		select {
		case <-x.Context.Done():
			return
		case <-time.After(5 * time.Millisecond):
			if asked != nil && asked.Gone() {
				return
			}
		}
	}
}

func TestClientThatLeavesIsNoticed(t *testing.T) {
	entered, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	for _, d := range doors(t, func(x *gate.Exchange) {
		_, _ = io.Copy(io.Discard, x.Body)
		entered <- struct{}{}
		untilGone(x)
		ended <- struct{}{}
	}) {
		t.Run(d.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			go func() {
				<-entered
				leave()
			}()
			res, err := d.client.Do(d.request(t, "POST", "/", strings.NewReader("x")).WithContext(ctx))
			if err == nil {
				res.Body.Close()
				t.Error("it was answered")
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the handler was not told")
			}
		})
	}
}

// The time limit of the request's body does not end a long answer.
func TestLongAnswerAfterABody(t *testing.T) {
	for _, d := range doors(t, func(x *gate.Exchange) {
		_, _ = io.Copy(io.Discard, x.Body)
		select {
		case <-x.Context.Done():
			t.Error("ended")
		case <-time.After(300 * time.Millisecond):
		}
		say(x, "done")
	}, func(l *gate.Listener) { l.BodyTimeout = 100 * time.Millisecond }) {
		res, err := d.client.Do(d.request(t, "POST", "/", strings.NewReader("x")))
		if got := text(t, res, err); got != "done" {
			t.Error(d.name, got)
		}
	}
}

// Nor is there one for a handler that has nothing to say for a while.
func TestQuietAnswer(t *testing.T) {
	for _, d := range doors(t, func(x *gate.Exchange) {
		_ = x.WriteHead(200, -1)
		for _, s := range []string{"first ", "second"} {
			_, _ = io.WriteString(x.Writer, s)
			_ = x.Writer.Flush()
			time.Sleep(400 * time.Millisecond)
		}
	}, func(l *gate.Listener) { l.BodyTimeout = 100 * time.Millisecond }) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			res, err := d.client.Do(d.request(t, "GET", "/", nil))
			if got := text(t, res, err); got != "first second" {
				t.Error(got)
			}
		})
	}
}

func TestAbortIsSeen(t *testing.T) {
	for _, e := range engines {
		t.Run(string(e), func(t *testing.T) {
			var length int64
			for _, d := range doors(t, func(x *gate.Exchange) {
				_ = x.WriteHead(200, length)
				_, _ = x.Writer.Write([]byte("part"))
				_ = x.Writer.Flush()
				x.Writer.Abort()
			}) {
				for _, length = range []int64{-1, 100} {
					res, err := d.client.Do(d.request(t, "GET", "/", nil))
					if err != nil {
						t.Fatal(err)
					}
					if b, err := io.ReadAll(res.Body); err == nil {
						t.Errorf("%s, length %d: %q came without an error", d.name, length, b)
					}
					res.Body.Close()
				}
			}
			length = -1
			r := start(t, e.settings(), func(x *gate.Exchange) {
				_ = x.WriteHead(200, -1)
				_, _ = x.Writer.Write([]byte("part"))
				_ = x.Writer.Flush()
				x.Writer.Abort()
			})
			c := r.dial()
			_, _ = io.WriteString(c, "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
			_, err := io.ReadAll(c)
			if ne := net.Error(nil); !errors.As(err, &ne) {
				t.Errorf("HTTP/1.0: %v", err)
			}
		})
	}
}
