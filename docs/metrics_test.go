package docs_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/app"
)

const metricsHead = `<!-- Generated from a running gateway by ` + "`make generate`" + `. Do not edit. -->

# Metrics

The admin address serves them at ` + "`/metrics`" + `, in the formats of Prometheus. They hold names of the configuration, reason codes and key IDs, and nothing of tokens. What to alert on is in
[operation](../guide/operation.md#alerts-worth-having), what the reasons mean in [reasons.md](reasons.md).

| Metric | Type | Labels | Meaning |
|---|---|---|---|
`

const metricsFoot = `
The label ` + "`api`" + ` is empty for requests that belong to no API, ` + "`reason`" + ` is ` + "`passed`" + ` for requests that were forwarded. A series begins to exist with the first
request that it counts, so that thousands of APIs do not make thousands of series for nothing.

Besides, there are the usual metrics of Go programs and of processes (` + "`go_...`, `process_...`, `promhttp_...`" + `).
`

// metric is one as a scrape shows it.
type metric struct{ name, kind, help, labels string }

// scrape starts a gateway that has something of everything, and returns its metrics in the order of their names.
func scrape(t *testing.T) []metric {
	t.Helper()
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	dir := t.TempDir()
	newFixtures(t).write(t, dir, "jwks.json")
	config := filepath.Join(dir, "jotgate.yaml")
	text := `
listeners: [{name: web, address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
providers: [{name: id, issuer: "https://id.example.com", jwksFile: jwks.json, algorithms: [ES256], audiences: [tickets]}]
upstreams: [{name: up, servers: [{url: "` + upstream.URL + `"}]}]
apis:
  - {name: all, match: PathPrefix(` + "`/`" + `), upstream: up, auth: {jwt: {providers: [id]}}}
  - {name: tried, match: PathPrefix(` + "`/tried`" + `), upstream: up, auth: {anonymous: true}, limits: [{name: tried, dryRun: true, rate: {limit: 0}}]}
`
	gateway := serve(t, config, text, io.Discard)
	defer gateway.Stop(context.Background())
	get(t, "http://"+gateway.Addrs()["web"].String()+"/tried") // APIs have series once they have had requests
	get(t, "http://"+gateway.Addrs()["web"].String()+"/")
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(10 * time.Millisecond) {
		if text := get(t, "http://"+gateway.AdminAddr().String()+"/metrics"); strings.Contains(text, `jotgate_requests_total{api="all"`) && strings.Contains(text, `jotgate_requests_total{api="tried"`) {
			return parseMetrics(text)
		}
	}
	t.Fatal("the request is not counted")
	return nil
}

// serve runs a gateway with a configuration file; the caller stops it.
func serve(t *testing.T, file, text string, access io.Writer) *app.App {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway := app.New(app.Options{Load: app.File(file), Log: io.Discard, Access: access, Version: "v0"})
	if err := gateway.Start(context.Background()); err != nil {
		gateway.Stop(context.Background())
		t.Fatal(err)
	}
	return gateway
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func parseMetrics(text string) []metric {
	var all []metric
	label := regexp.MustCompile(`(\w+)="`)
	for _, head := range regexp.MustCompile(`(?m)^# HELP (jotgate_\w+) (.*)\n# TYPE \w+ (\w+)$`).FindAllStringSubmatch(text, -1) {
		m := metric{name: head[1], help: head[2], kind: head[3]}
		sample := regexp.MustCompile(`(?m)^` + m.name + `(?:_sum)?\{(.*)\} `).FindStringSubmatch(text)
		if sample != nil {
			var names []string
			for _, name := range label.FindAllStringSubmatch(sample[1], -1) {
				names = append(names, "`"+name[1]+"`")
			}
			m.labels = strings.Join(names, ", ")
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return all
}

// TestMetricsPage fails when docs/reference/metrics.md is not what a gateway shows.
func TestMetricsPage(t *testing.T) {
	all := scrape(t)
	if len(all) < 20 {
		t.Fatalf("only %d metrics found", len(all))
	}
	var b strings.Builder
	b.WriteString(metricsHead)
	for _, m := range all {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, m.labels, m.help)
	}
	b.WriteString(metricsFoot)
	path := filepath.Join("reference", "metrics.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("%s is not current, run make generate (-want +got)\n%s", path, diff)
	}
}

// TestMetricsInPages fails when a page names a metric that there is not.
func TestMetricsInPages(t *testing.T) {
	known := make(map[string]bool)
	for _, m := range scrape(t) {
		known[m.name] = true
		if m.kind == "histogram" {
			known[m.name+"_bucket"], known[m.name+"_sum"], known[m.name+"_count"] = true, true, true
		}
	}
	n := 0
	for _, path := range pages(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\bjotgate_[a-z_]+`).FindAllString(string(text), -1) {
			n++
			if !known[name] {
				t.Errorf("%s names the metric %s, which there is not", path, name)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d names of metrics found", n)
	}
}
