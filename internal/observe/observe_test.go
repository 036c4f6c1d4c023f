package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/observe"
)

const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

func TestLoggerHidesTokens(t *testing.T) {
	var out bytes.Buffer
	log := observe.NewLogger(&out, slog.LevelInfo)
	log.Info("message", slog.String("text", "got "+token+" there"), slog.Any("error", fmt.Errorf("parsing %s: %w", token, errors.New("bad"))))
	if strings.Contains(out.String(), "eyJ") || !strings.Contains(out.String(), "got [token] there") {
		t.Errorf("log line: %s", out.String())
	}
}

func exchange() *gate.Exchange {
	return &gate.Exchange{
		Context: context.Background(), API: "tickets", Listener: "web", Method: "GET", Proto: 11, Host: "api.example.com",
		Target: "/tickets?jwt=" + token, Status: 200, Sent: 12, Client: netip.MustParseAddrPort("192.0.2.1:1234"),
		Identity: &gate.Identity{Provider: "idp", Subject: "alice", KeyID: "k1"},
	}
}

func TestAccessLine(t *testing.T) {
	for _, test := range []struct {
		name    string
		config  gate.Log
		subject bool
		lines   int
	}{
		{"off", gate.Log{}, false, 0},
		{"on", gate.Log{Access: true}, false, 1},
		{"with subject", gate.Log{Access: true, AccessSubject: true}, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			access := observe.NewAccessLog(&out)
			access.Configure(test.config)
			x := exchange()
			x.Denial = gate.Deny(gate.ReasonExpired, errors.New("token "+token))
			x.DryRun = gate.ReasonRateLimited
			access.Record(x, 1500*time.Microsecond)
			access.Close()
			if got := strings.Count(out.String(), "\n"); got != test.lines {
				t.Fatalf("%d lines, want %d", got, test.lines)
			}
			if test.lines == 0 {
				return
			}
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), "eyJ") || line["path"] != "/tickets" || line["reason"] != "token_expired" || line["dry_run"] != "rate_limited" || line["api"] != "tickets" || line["duration_ns"] != 1.5e6 {
				t.Errorf("line: %s", out.String())
			}
			if _, ok := line["subject"]; ok != test.subject {
				t.Errorf("subject in the line: %v, want %v", ok, test.subject)
			}
		})
	}
}

func scrape(t *testing.T, m *observe.Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(answer.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Code != 200 {
		t.Fatalf("scrape answered %d: %s", answer.Code, body)
	}
	return string(body)
}

func TestMetrics(t *testing.T) {
	m := observe.NewMetrics("v1.2.3")
	now := time.Unix(1_700_000_000, 0)
	m.Collect(observe.Sources{
		Keys: func() []gate.KeySourceStatus {
			s := gate.KeySourceStatus{
				Provider: "idp", Ready: true, Generation: 3, UnknownKeyFetches: 2, UnknownKeyRefused: 7,
				Keys:  []gate.KeyStatus{{KeyID: "k1", Type: "RSA", Tokens: 5}, {KeyID: "k1", Type: "RSA", Tokens: 1}},
				Parts: []gate.KeyPartStatus{{Location: "https://id.example.com/jwks", Fetches: 4, Failures: 1, LastSuccess: now, LastChange: now}},
			}
			return []gate.KeySourceStatus{s, s} // the same provider twice, as during a reload
		},
		Upstreams: func() []gate.UpstreamStatus {
			return []gate.UpstreamStatus{{Upstream: "u", Servers: []gate.ServerStatus{{URL: "http://a", Healthy: true, Requests: 9, Failures: 1, Active: 2}}}}
		},
		Tokens: func() gate.TokenCacheStatus {
			return gate.TokenCacheStatus{MaxBytes: 1 << 20, Bytes: 4096, Entries: 3, Hits: 13, Misses: 5, Evictions: 2}
		},
		AccessDropped: func() uint64 { return 11 },
		Limits: func() gate.LimitStatus {
			return gate.LimitStatus{Counters: 12, Held: 3, StoreOpen: true, StoreFailures: 6, StoreFallbacks: 8}
		},
		Store: func() gate.StoreStatus { return gate.StoreStatus{Driver: "redis", Healthy: true} },
		Usage: func() (uint64, uint64) { return 21, 22 }, Revocations: func() int { return 23 }, APIKeys: func() int { return 24 },
		Management: func() (uint64, uint64) { return 25, 26 },
	})
	api := m.API("tickets")
	if api != m.API("tickets") {
		t.Error("the handle of an API is not kept")
	}
	passed, refused := exchange(), exchange()
	refused.Denial = gate.Deny(gate.ReasonExpired, nil)
	passed.DryRun = gate.ReasonQuotaExhausted
	api.Begin()
	api.Record(passed, 2*time.Millisecond)
	api.Begin()
	api.Record(refused, time.Millisecond)
	api.Begin()
	m.Reloaded("aaa", 1, now)
	m.Reloaded("bbb", 2, now)
	m.ReloadFailed()
	text := scrape(t, m)
	for _, want := range []string{
		`jotgate_requests_total{api="tickets",code="200",reason="passed"} 1`,
		`jotgate_requests_total{api="tickets",code="401",reason="token_expired"} 1`,
		`jotgate_request_duration_seconds_count{api="tickets"} 2`,
		`jotgate_requests_in_flight 1`,
		`jotgate_config_reloads_total{result="success"} 2`,
		`jotgate_config_reloads_total{result="failure"} 1`,
		`jotgate_config_last_reload_successful 0`,
		`jotgate_config_generation 2`,
		`jotgate_config_info{hash="bbb"} 1`,
		`jotgate_build_info{version="v1.2.3"} 1`,
		`jotgate_key_source_ready{provider="idp"} 1`,
		`jotgate_key_source_keys{provider="idp"} 2`,
		`jotgate_key_source_unknown_key_fetches_total{provider="idp"} 2`,
		`jotgate_key_source_fetch_failures_total{location="https://id.example.com/jwks",provider="idp"} 1`,
		`jotgate_key_source_last_success_timestamp_seconds{location="https://id.example.com/jwks",provider="idp"} 1.7e+09`,
		`jotgate_key_tokens_total{kid="k1",kty="RSA",provider="idp"} 6`,
		`jotgate_upstream_server_healthy{server="http://a",upstream="u"} 1`,
		`jotgate_token_cache_hits_total 13`,
		`jotgate_token_cache_misses_total 5`,
		`jotgate_token_cache_evictions_total 2`,
		`jotgate_token_cache_entries 3`,
		`jotgate_token_cache_bytes 4096`,
		`jotgate_token_cache_max_bytes 1.048576e+06`,
		`jotgate_access_log_dropped_total 11`,
		`jotgate_dry_run_refusals_total{api="tickets",reason="quota_exhausted"} 1`,
		`jotgate_limit_counters 12`,
		`jotgate_limit_held_requests 3`,
		`jotgate_limit_store_open 1`,
		`jotgate_limit_store_failures_total 6`,
		`jotgate_limit_store_fallbacks_total 8`,
		`jotgate_store_healthy{driver="redis"} 1`,
		`jotgate_usage_dropped_total{cause="overload"} 21`,
		`jotgate_usage_dropped_total{cause="failure"} 22`,
		`jotgate_revocations 23`,
		`jotgate_api_keys 24`,
		`jotgate_management_changes_total{result="done"} 25`,
		`jotgate_management_changes_total{result="refused"} 26`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(text, `hash="aaa"`) {
		t.Error("the hash of the former configuration is still there")
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	api := observe.NewMetrics("v").API("tickets")
	x := exchange()
	api.Begin()
	api.Record(x, time.Millisecond) // the counter of the status is resolved on its first use
	if n := testing.AllocsPerRun(100, func() {
		api.Begin()
		api.Record(x, time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}
