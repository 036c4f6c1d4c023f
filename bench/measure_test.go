package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 17 4242 4242 0 -1 4194304 100 200 3 4 1234 567 89 10 20 0 8 0 5555 100000 300"
	for _, tt := range []struct{ name, line string }{
		{"plain", "4242 (nginx)" + rest},
		{"spaces", "4242 (tmux: server)" + rest},
		{"parentheses", "4242 (a) R 1 (b)" + rest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat(tt.line)
			if want := (stat{pid: 4242, parent: 17, user: 1234, system: 567}); err != nil || got != want {
				t.Errorf("parseStat = %+v, %v, want %+v", got, err, want)
			}
		})
	}
	for _, line := range []string{"", "x (y)" + rest, "1 no name", "1 (short) S 1 2", "1 (a)" + strings.Replace(rest, "1234", "-1", 1), "1 (a)" + strings.Replace(rest, "567", "x", 1), "1 (a)" + strings.Replace(rest, "17", "x", 1)} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", line, got)
		}
	}
}

// The clock and /proc/PID/stat are two views of one thing.
func TestUsageAgreesWithStat(t *testing.T) {
	for begin := time.Now(); time.Since(begin) < 100*time.Millisecond; {
		_ = strings.Repeat("x", 1000)
	}
	u, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ticks := time.Duration(u.user+u.system) * tick
	if difference := (u.total - ticks).Abs(); difference > 5*tick || u.total < 50*time.Millisecond {
		t.Errorf("the clock says %s, /proc says %s", u.total, ticks)
	}
	if len(u.pids) == 0 || u.pids[0] != os.Getpid() {
		t.Errorf("processes %v, want %d first", u.pids, os.Getpid())
	}
}

func TestUsageOfChildren(t *testing.T) {
	before, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var all servers
	defer all.close()
	child, err := all.start(nil, nil, "sh", "-c", "sleep 60 & while :; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	var u usage
	for u.total < 20*time.Millisecond || len(u.pids) < 2 {
		if u, err = usageOf(child.pid()); err != nil {
			t.Fatal(err)
		}
	}
	after, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.since(before); err == nil {
		t.Error("a process that came during the measurement was not noticed")
	}
	child.stop()
	if _, err := usageOf(child.pid()); err == nil {
		t.Error("the CPU time of a process that has ended was read")
	}
	if len(all.running) != 0 {
		t.Error("a process that has ended counts as running")
	}
	all.close()
	if _, err := all.start(nil, nil, "sh", "-c", "sleep 60"); err == nil {
		t.Error("a process was started after the end")
	}
}

func TestUsageSince(t *testing.T) {
	got, err := usage{[]int{1, 2}, 5 * time.Second, 400, 100}.since(usage{[]int{1, 2}, 2 * time.Second, 300, 0})
	if err != nil || got.total != 3*time.Second || got.user != 100 || got.system != 100 {
		t.Errorf("since = %+v, %v", got, err)
	}
	if share, ok := got.userShare(); !ok || share != 0.5 {
		t.Errorf("userShare = %v, %t, want 0.5", share, ok)
	}
	if _, ok := (usage{user: 3, system: 4}).userShare(); ok {
		t.Error("seven ticks are enough for a share")
	}
}

func TestParsePSS(t *testing.T) {
	text := "5581e8400000-7ffd1b5e1000 ---p 00000000 00:00 0   [rollup]\nRss:   1234 kB\nPss:                1021 kB\nPss_Dirty:  77 kB\n"
	if got, err := parsePSS([]byte(text)); err != nil || got != 1021<<10 {
		t.Errorf("parsePSS = %d, %v, want %d", got, err, 1021<<10)
	}
	for _, bad := range []string{"", "Rss: 3 kB\n", "Pss: many kB\n"} {
		if got, err := parsePSS([]byte(bad)); err == nil {
			t.Errorf("parsePSS(%q) = %d, want an error", bad, got)
		}
	}
	if got, err := pssOf(os.Getpid()); err != nil || got < 1<<20 {
		t.Errorf("pssOf(self) = %d, %v", got, err)
	}
}

func TestParseBusy(t *testing.T) {
	if got, err := parseBusy("cpu  10 2 30 4000 500 6 7 88 0 0\ncpu0 1 2 3\n"); err != nil || got != 55 {
		t.Errorf("parseBusy = %d, %v, want 55: all but idle, iowait and steal", got, err)
	}
	for _, bad := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3", "cpu 1 2 x 4 5 6 7 8"} {
		if got, err := parseBusy(bad); err == nil {
			t.Errorf("parseBusy(%q) = %d, want an error", bad, got)
		}
	}
}

func TestParseStubStatus(t *testing.T) {
	text := "Active connections: 2 \nserver accepts handled requests\n 16 16 4031 \nReading: 0 Writing: 1 Waiting: 1 \n"
	if got, err := parseStubStatus(text); err != nil || got != 4031 {
		t.Errorf("parseStubStatus = %d, %v, want 4031", got, err)
	}
	for _, bad := range []string{"", "a\nb\n", "a\nb\n1 2\n", "a\nb\n1 2 x\n"} {
		if got, err := parseStubStatus(bad); err == nil {
			t.Errorf("parseStubStatus(%q) = %d, want an error", bad, got)
		}
	}
}

func TestParseWrk(t *testing.T) {
	const good = "Running 3s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  123456 requests in 3.00s, 50.00MB read\nRequests/sec:  41152.00\n"
	if got, err := parseWrk(good); err != nil || got != 123456 {
		t.Errorf("parseWrk = %d, %v, want 123456", got, err)
	}
	for _, bad := range []string{"", good + "  Non-2xx or 3xx responses: 7\n", good + "  Socket errors: connect 0, read 1, write 0, timeout 0\n"} {
		if got, err := parseWrk(bad); err == nil {
			t.Errorf("parseWrk(%q) = %d, want an error", bad, got)
		}
	}
}

func TestMetricValue(t *testing.T) {
	const text = "# HELP a_total x\na_total_more 1\na_total{b=\"c\"} 2\na_total 1.5e+06\n"
	var got float64
	if err := metricValue([]byte(text), "a_total", &got); err != nil || got != 1.5e6 {
		t.Errorf("metricValue = %v, %v, want 1.5e6", got, err)
	}
	for _, name := range []string{"missing", "a"} {
		if err := metricValue([]byte(text), name, &got); err == nil {
			t.Errorf("metricValue(%q) found something", name)
		}
	}
	if err := metricValue([]byte("a x\n"), "a", &got); err == nil {
		t.Error("a value that is no number was taken")
	}
}

func TestParseProcessor(t *testing.T) {
	const one = "processor\t: %d\nmodel name\t: Some CPU\nflags\t\t: fpu avx512ifma sse adx\n\n"
	name, flags := parseProcessor(fmt.Sprintf(one+one, 0, 1))
	if name != "Some CPU" || strings.Join(flags, " ") != "adx avx512ifma" {
		t.Errorf("parseProcessor = %q, %q", name, flags)
	}
	if !(machine{Flags: flags}).ifma() || (machine{}).ifma() {
		t.Error("ifma does not follow the flags")
	}
}
