package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/observe"
)

// counting is a writer that is stuck until it is let go, and counts lines.
type counting struct {
	release chan struct{}
	lines   int
	writes  int
	fail    int // the write that fails half way
}

func (c *counting) Write(p []byte) (int, error) {
	<-c.release
	c.writes++
	if c.writes == c.fail {
		half := bytes.IndexByte(p, '\n') + 1
		c.lines += bytes.Count(p[:half], []byte("\n"))
		return half, errors.New("disk full")
	}
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// TestAccessLogNeverBlocksAndCountsWhatIsLost: every line is either written or counted.
func TestAccessLogNeverBlocksAndCountsWhatIsLost(t *testing.T) {
	for _, fail := range []int{0, 1, 2} {
		w := &counting{release: make(chan struct{}), fail: fail}
		access := observe.NewAccessLog(w)
		access.Configure(gate.Log{Access: true})
		const lines = 40_000
		for range lines {
			access.Record(exchange(), time.Millisecond)
		}
		waiting := lines - access.Dropped()
		if waiting < 5000 || waiting > 35_000 {
			t.Errorf("%d lines wait", waiting)
		}
		close(w.release)
		access.Close()
		access.Record(exchange(), time.Millisecond)
		if got := uint64(w.lines) + access.Dropped(); got != lines+1 {
			t.Errorf("write %d fails: %d lines written and %d dropped, of %d", fail, w.lines, access.Dropped(), lines+1)
		}
	}
}

// TestAccessLogIsPrompt: a lonely line is written at once, many together at most a moment later, with few writes.
func TestAccessLogIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &counting{release: make(chan struct{})}
		close(w.release)
		access := observe.NewAccessLog(w)
		defer access.Close()
		access.Configure(gate.Log{Access: true})
		access.Record(exchange(), 0)
		synctest.Wait()
		if w.lines != 1 {
			t.Errorf("%d lines", w.lines)
		}
		for range 100 {
			access.Record(exchange(), 0)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if w.lines != 101 || w.writes != 2 {
			t.Errorf("%d lines in %d writes", w.lines, w.writes)
		}
	})
}

// TestAccessLogIsConcurrent: lines of many requests at once stay whole.
func TestAccessLogIsConcurrent(t *testing.T) {
	var out bytes.Buffer
	access := observe.NewAccessLog(&out)
	access.Configure(gate.Log{Access: true})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				access.Record(exchange(), time.Millisecond)
			}
		})
	}
	group.Wait()
	access.Close()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("line %q", line)
		}
	}
	if len(lines) != 1600 || access.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", len(lines), access.Dropped())
	}
}

// asLogged is the line that the gateway's own log would write for x.
func asLogged(x *gate.Exchange, d time.Duration, subject bool) string {
	var out bytes.Buffer
	path, _, _ := strings.Cut(x.Target, "?")
	attrs := []slog.Attr{
		slog.String("api", x.API), slog.String("listener", x.Listener), slog.String("client", x.Client.Addr().String()), slog.String("method", x.Method),
		slog.String("host", x.Host), slog.String("path", path), slog.Int("proto", x.Proto), slog.Int("status", x.Status), slog.Int64("sent", x.Sent),
		slog.Int64("received", x.Received), slog.Duration("duration_ns", d),
	}
	if x.Server != "" {
		attrs = append(attrs, slog.String("server", x.Server), slog.Int("attempts", x.Attempts))
	}
	if id := x.Identity; id != nil {
		attrs = append(attrs, slog.String("provider", id.Provider), slog.String("kid", id.KeyID))
		if subject {
			attrs = append(attrs, slog.String("subject", id.Subject))
		}
	}
	if x.Denial != nil {
		attrs = append(attrs, slog.String("reason", string(x.Denial.Reason)))
	}
	record := slog.NewRecord(x.Start.Add(d), slog.LevelInfo, "request", 0)
	record.AddAttrs(attrs...)
	_ = observe.NewLogger(&out, slog.LevelInfo).Handler().Handle(context.Background(), record)
	return out.String()
}

// TestAccessLineIsALogLine: byte for byte what log/slog would have written, whatever clients send.
func TestAccessLineIsALogLine(t *testing.T) {
	text := rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.RuneFrom([]rune("\x00\x01\b\f\n\r\t\x1b \"\\/<>&\u007f\u0080é\u2027\u2028\u2029\u202a\ufffd\U0001f600"))),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{token, "/a/" + token + "/b", "eyJ", "eyJhbGci.", "x" + token + token}),
	)
	clients := rapid.SampledFrom([]netip.AddrPort{
		{}, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[::ffff:192.0.2.1]:1"),
		netip.AddrPortFrom(netip.MustParseAddr(`fe80::1%a"}`), 1),
	})
	rapid.Check(t, func(rt *rapid.T) {
		x := &gate.Exchange{
			Start: time.Unix(rapid.Int64Range(0, 1<<32).Draw(rt, "start"), rapid.Int64Range(0, 999_999_999).Draw(rt, "nanos")),
			API:   text.Draw(rt, "api"), Listener: text.Draw(rt, "listener"), Client: clients.Draw(rt, "client"), Method: text.Draw(rt, "method"),
			Host: text.Draw(rt, "host"), Target: text.Draw(rt, "target"), Server: text.Draw(rt, "server"),
			Proto: rapid.Int().Draw(rt, "proto"), Status: rapid.Int().Draw(rt, "status"), Attempts: rapid.Int().Draw(rt, "attempts"),
			Sent: rapid.Int64().Draw(rt, "sent"), Received: rapid.Int64().Draw(rt, "received"),
		}
		if rapid.Bool().Draw(rt, "identity") {
			x.Identity = &gate.Identity{Provider: text.Draw(rt, "provider"), KeyID: text.Draw(rt, "kid"), Subject: text.Draw(rt, "subject")}
		}
		if rapid.Bool().Draw(rt, "denial") {
			x.Denial = gate.Deny(gate.ReasonExpired, nil)
		}
		subject := rapid.Bool().Draw(rt, "with subject")
		d := time.Duration(rapid.Int64Range(0, 1<<40).Draw(rt, "duration"))
		var out bytes.Buffer
		access := observe.NewAccessLog(&out)
		access.Configure(gate.Log{Access: true, AccessSubject: subject})
		access.Record(x, d)
		access.Close()
		if want := asLogged(x, d, subject); out.String() != want {
			rt.Fatalf("got  %s\nwant %s", out.String(), want)
		}
	})
}

func BenchmarkAccessLine(b *testing.B) {
	w := &counting{release: make(chan struct{})}
	close(w.release)
	access := observe.NewAccessLog(w)
	defer access.Close()
	access.Configure(gate.Log{Access: true, AccessSubject: true})
	x := exchange()
	x.Start, x.Server = time.Now(), "http://192.0.2.9:9000"
	b.ReportAllocs()
	for b.Loop() {
		access.Record(x, time.Millisecond)
	}
}
