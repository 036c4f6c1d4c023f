package main

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3, 1}},
		{[]float64{9, 1, 5}, spread{5, 1, 9, 3}},
		{[]float64{4, 1, 2, 8}, spread{3, 1, 8, 4}},
	} {
		before := slices.Clone(tt.values)
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("spreadOf(%v) = %v, want %v", tt.values, got, tt.want)
		}
		if !slices.Equal(before, tt.values) {
			t.Error("spreadOf has changed its argument")
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	for _, tt := range []struct {
		sorted []int64
		p      float64
		want   int64
	}{
		{nil, 0.5, 0}, {[]int64{7}, 0.99, 7}, {hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0, 1}, {[]int64{1, 2, 3}, 0.5, 2},
	} {
		if got := percentile(tt.sorted, tt.p); got != tt.want {
			t.Errorf("percentile(%d values, %v) = %d, want %d", len(tt.sorted), tt.p, got, tt.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.876: "0.88", 15.04: "15.0", 237.6: "238", 61999.6: "62,000", 1234567: "1,234,567"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

// cellOf finds a cell of the real table.
func cellOf(t *testing.T, sub subject, scenario string) cell {
	t.Helper()
	for _, s := range scenarios() {
		if s.Name == scenario {
			return cell{sub, s}
		}
	}
	t.Fatalf("no scenario %q", scenario)
	return cell{}
}

var (
	testOwn  = subject{Name: "jotgate", Kind: kindJotgate, Engine: ownEngine}
	testPeer = subject{Name: kindHAProxy, Kind: kindHAProxy}
)

func testResults(t *testing.T) []result {
	t.Helper()
	cpu := func(values ...float64) (samples []sample) {
		for _, v := range values {
			samples = append(samples, sample{metricCPU: v, metricUser: 0.25, metricThroughput: 50_000, metricP50: 900, metricP99: 2000, metricForeign: 0.01})
		}
		return samples
	}
	results := []result{
		{cell: cellOf(t, testPeer, "plain"), samples: cpu(20, 10, 16)},
		{cell: cellOf(t, testOwn, "plain"), samples: cpu(10, 9, 20)},
		{cell: cellOf(t, testPeer, "rs256-seen"), samples: cpu(50, 50, 50)},
		{cell: cellOf(t, testOwn, "rs256-seen"), samples: cpu(19, 20, 21)},
		{cell: cellOf(t, testOwn, "memory"), samples: []sample{{metricIdle: 5e6, metricLoaded: 9e6, metricConnection: 4000, metricFirst: 12}}},
	}
	for i := range results[2].samples {
		results[2].samples[i]["20000/"+metricP99] = 6000
		results[2].samples[i]["20000/"+metricHeld] = 1
		results[3].samples[i]["20000/"+metricP99] = 3000
		results[3].samples[i]["20000/"+metricHeld] = 0.8
	}
	return results
}

func TestJudge(t *testing.T) {
	results := testResults(t)
	find := func(text string) target {
		for _, target := range targets(machine{}) {
			if strings.HasPrefix(target.text, text) {
				return target
			}
		}
		t.Fatalf("no target %q", text)
		return target{}
	}
	// 10/16: the ratio of the medians; the extremes are 10/20 and 20/16, round by round.
	v := judge(find("no token / HAProxy, at saturation"), "jotgate", results)
	if want := (spread{0.625, 0.5, 1.25, 3}); v.value != want || !v.met || v.late != "" {
		t.Errorf("plain: %+v, want %v and met", v, want)
	}
	if v = judge(find("RS256, token seen / HAProxy RS256"), "jotgate", results); v.value.Median != 0.4 || v.met {
		t.Errorf("RS256: %+v, want 0.4 and missed", v)
	}
	if v = judge(find("p99"), "jotgate", results); v.value.Median != 0.5 || v.met || v.late != "jotgate" {
		t.Errorf("p99: %+v, want it missed, as the rate was not held", v)
	}
	if v = judge(find("idle keep-alive"), "jotgate", results); v.value.Median != 4 || !v.met {
		t.Errorf("connection: %+v, want 4 kB and met", v)
	}
	for _, name := range []string{"HS256", "bodies", "from exec"} {
		if v = judge(find(name), "jotgate", results); v.known || v.met {
			t.Errorf("%s: %+v, want it not measured", name, v)
		}
	}
}

func TestTargetsNameCases(t *testing.T) {
	kinds := func(name string) []string {
		for _, s := range scenarios() {
			if s.Name == name {
				return s.Kinds
			}
		}
		return nil
	}
	for _, m := range []machine{{}, {Flags: []string{"avx512ifma"}}} {
		for _, target := range targets(m) {
			if !slices.Contains(kinds(target.scenario), kindJotgate) {
				t.Errorf("%s: no case %q of jotgate", target.text, target.scenario)
			}
			over := target.over
			if over == overSelf {
				over = kindJotgate
			}
			if over != "" && !slices.Contains(kinds(target.overCase), over) {
				t.Errorf("%s: no case %q of %s", target.text, target.overCase, over)
			}
		}
	}
}

func TestPlan(t *testing.T) {
	subjects := []subject{{Name: kindNginx, Kind: kindNginx}, testPeer, testOwn}
	all, err := plan(subjects, regexp.MustCompile(""))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, c := range all {
		if seen[c.name()] {
			t.Errorf("%s is there twice", c.name())
		}
		seen[c.name()] = true
	}
	if seen["nginx/rs256-seen"] || !seen["haproxy/es256-unseen"] || !seen["jotgate/rs256-apis-10000"] {
		t.Errorf("wrong cases: %v", seen)
	}
	some, err := plan(subjects, regexp.MustCompile("^haproxy/.*seen"))
	if err != nil || len(some) != 8 {
		t.Errorf("%d cases, %v, want 8", len(some), err)
	}
	if _, err := plan(subjects, regexp.MustCompile("nobody")); err == nil {
		t.Error("nothing to measure is no error")
	}
}

func TestMarkdown(t *testing.T) {
	r := report{machine: machine{Processor: "Some CPU", Cores: 2}, sizes: sizes{rounds: 3, requests: 15000, connections: 64, idle: 9500}, own: []string{"jotgate"}, skipped: []string{"wrk: not installed"}, results: testResults(t)}
	text := r.markdown(r.charts())
	for _, want := range []string{
		"Left out: wrk: not installed.",
		"| no token / HAProxy, at saturation | 0.95 | 0.62 (0.50-1.25) | ✓ |",
		"| RS256, token seen / HAProxy RS256 | 0.36 | 0.40 (0.38-0.42) | ✗ |",
		"0.50 (0.50-0.50), but jotgate did not keep up with the rate | ✗ |",
		"| HS256, each token once / HAProxy HS256 | 0.75 | not measured | |",
		"| no token | haproxy | 16.0 (10.0-20.0) | 75 % | 50,000 (50,000-50,000) | 900 | 2,000 (2,000-2,000) |  |",
		"| memory and start | jotgate | 5.00 | 9.00 | 4.00 | 12.0 |",
		"![CPU time of a request without a token, at saturation](plain.svg)",
		"Other programs used 1 % of the processors",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	first := r.results[0].samples[0]
	first[metricForeign] = 0.9 // one of many is enough
	if !strings.Contains(r.markdown(nil), "not to be quoted") {
		t.Error("a noisy round was not noticed")
	}
	first[metricForeign] = 0.01
	if strings.Contains(text, "not quiet") {
		t.Error("a quiet machine was called noisy")
	}
	for _, result := range r.results {
		for _, s := range result.samples {
			s[metricForeign] = 0.4
		}
	}
	if !strings.Contains(r.markdown(nil), "not to be quoted") {
		t.Error("a noisy machine was not noticed")
	}
	failed := report{results: []result{{cell: r.results[0].cell, failure: errors.New("haproxy/plain: the upstream's marker is missing\nand more")}}, own: r.own}
	if page := failed.markdown(nil); !strings.Contains(page, "- **Failed: haproxy/plain: the upstream's marker is missing.**\n") {
		t.Errorf("the failure is not named:\n%s", page)
	}
	columns := 0
	for line := range strings.Lines(text) {
		switch n := strings.Count(line, "|"); {
		case n == 0:
			columns = 0
		case columns == 0:
			columns = n
		case n != columns:
			t.Errorf("a row of %d columns in a table of %d: %s", n, columns, line)
		}
	}
}

func TestChartsAreXML(t *testing.T) {
	r := report{results: testResults(t)}
	charts := r.charts()
	if len(charts) < 4 {
		t.Fatalf("%d charts", len(charts))
	}
	charts = append(charts, chart{title: `<"&`, bars: []bar{{label: "<a&b>", value: spread{}}}})
	for _, c := range charts {
		decoder := xml.NewDecoder(strings.NewReader(c.svg()))
		rects := 0
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", c.file, err)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
				rects++
			}
		}
		if rects != len(c.bars) {
			t.Errorf("%s: %d bars, not %d", c.file, rects, len(c.bars))
		}
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-requests", "-1"}, {"-run", "("}, {"extra"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
