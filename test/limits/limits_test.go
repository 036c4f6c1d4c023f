// Package limits lets several gateways share limits through real Redis servers, and takes these away from them under load.
package limits_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
	"github.com/jotgate/jotgate/jose"
	"github.com/jotgate/jotgate/test/program"
)

const (
	issuer = "https://id.test"
	secret = "a secret of this test only, of more than thirty-two bytes"
	// storeTimeout is how long a gateway waits for Redis that may be away, slack what a request may take besides on a machine that is busy with other tests.
	storeTimeout = 100 * time.Millisecond
	slack        = 1500 * time.Millisecond
	// reliable are the settings where Redis is always there, however busy the machine is: a request that is not counted is refused, and shows.
	reliable  = "storeTimeout: 10s, onStoreFailure: deny, "
	impatient = "storeTimeout: 100ms, "
)

// configuration of a gateway: %s are the upstream, how Redis is reached, settings of limits, and APIs.
const configuration = `
listeners: [{name: web, address: "127.0.0.1:0"}]
log: {access: false}
providers: [{name: id, issuer: "` + issuer + `", secret: "` + secret + `", audiences: [limits], algorithms: [HS256]}]
upstreams: [{name: up, servers: [{url: %q}]}]
store: {driver: redis, redis: {%s}}
limits: {%s}
shutdown: {timeout: 5s}
apis:
%s`

// api is an API that everybody may call, with one limit.
func api(name, limit string) string {
	return fmt.Sprintf("  - {name: %[1]s, match: PathPrefix(`/%[1]s`), upstream: up, auth: {anonymous: true}, limits: [{name: %[1]s, %[2]s}]}\n", name, limit)
}

// world is what the tests share: the program, a server behind it, and clients.
type world struct {
	binary, upstream string
	client           *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{binary: program.Build(t), upstream: startUpstream(t)}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	w.client = &http.Client{Transport: transport, Timeout: program.Patience}
	t.Cleanup(transport.CloseIdleConnections)
	return w
}

// gateway runs a gateway with APIs.
func (w *world) gateway(t *testing.T, reach, settings, apis string) *program.Gateway {
	t.Helper()
	return program.Run(t, w.binary, fmt.Sprintf(configuration, w.upstream, reach, settings, apis))
}

// ask sends a request and returns the status, and the reason of a refusal.
func (w *world) ask(t *testing.T, g *program.Gateway, path, token string) (status int, reason string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.Addresses["web"]+path, nil)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 0, "", nil
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	if _, after, ok := strings.Cut(string(body), `"reason":"`); ok {
		reason, _, _ = strings.Cut(after, `"`)
	}
	return answer.StatusCode, reason, answer.Header
}

// passes sends n requests, of callers at the same time, spread over gateways, and returns how many passed. All others must be answered 429 with a time to come back.
func (w *world) passes(t *testing.T, gateways []*program.Gateway, path, token string, callers, n int) int64 {
	t.Helper()
	var passed atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for k := range n / callers {
				switch status, reason, header := w.ask(t, gateways[(i+k)%len(gateways)], path, token); status {
				case http.StatusOK:
					passed.Add(1)
				case http.StatusTooManyRequests:
					if header.Get("Retry-After") == "" {
						t.Errorf("%s: 429 %s without Retry-After", path, reason)
					}
				default:
					t.Errorf("%s: %d %s", path, status, reason)
				}
			}
		})
	}
	all.Wait()
	return passed.Load()
}

func token(t *testing.T, subject string) string {
	t.Helper()
	key, err := jose.NewSecretSigningKey([]byte(secret), jose.SecretOptions{Algorithm: jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := key.Sign([]byte(fmt.Sprintf(`{"iss":%q,"aud":"limits","sub":%q,"exp":%d}`, issuer, subject, time.Now().Add(time.Hour).Unix())), jose.SigningHeader{})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	t.Run("shared", func(t *testing.T) { shared(t, w) })
	t.Run("failover", func(t *testing.T) { failover(t, w) })
	t.Run("outages", func(t *testing.T) { outages(t, w) })
}

// shared has three gateways, each a process of its own, keep one limit together.
func shared(t *testing.T, w *world) {
	t.Helper()
	server := redistest.Start(t)
	reach := fmt.Sprintf("addresses: [%q]", server.Address)
	const callers = 50
	t.Run("exact", func(t *testing.T) {
		apis := api("quota", "quota: {limit: 20, period: 1h}") + api("rate", "rate: {limit: 30, period: 1h}") +
			api("window", "rate: {limit: 10, period: 1h, algorithm: slidingWindow}") +
			"  - {name: own, match: PathPrefix(`/own`), upstream: up, auth: {jwt: {providers: [id]}}, limits: [{name: own, per: [identity], quota: {limit: 7, period: 1h}}]}\n"
		var gateways []*program.Gateway
		for range 3 {
			gateways = append(gateways, w.gateway(t, reach, reliable+"exact: true", apis))
		}
		for _, test := range []struct {
			path, token string
			want        int64
		}{
			{"/quota", "", 20}, {"/rate", "", 30}, {"/window", "", 10}, {"/own", token(t, "alice"), 7}, {"/own", token(t, "bob"), 7},
		} {
			server.Do("SCRIPT", "FLUSH") // a server that has forgotten the scripts is sent them again, and nobody notices
			if got := w.passes(t, gateways, test.path, test.token, callers, callers); got != test.want {
				t.Errorf("%s: %d of %d callers passed, want %d", test.path, got, callers, test.want)
			}
		}
		// What was used is used at a gateway that has just started, too.
		if got := w.passes(t, []*program.Gateway{w.gateway(t, reach, reliable+"exact: true", apis)}, "/quota", "", 5, 5); got != 0 {
			t.Errorf("%d requests passed at a new gateway after the quota was used up", got)
		}
	})
	t.Run("taken ahead", func(t *testing.T) {
		const limited = 400
		overshoot := limit.Overshoot(limit.Rule{Algorithm: limit.FixedWindow, Limit: limited, Period: time.Hour})
		if overshoot < 1 {
			t.Fatal("nothing is taken ahead")
		}
		var gateways []*program.Gateway
		for range 3 {
			gateways = append(gateways, w.gateway(t, reach, reliable+"exact: false", api("ahead", fmt.Sprintf("quota: {limit: %d, period: 1h}", limited))))
		}
		got := w.passes(t, gateways, "/ahead", "", callers, 1000)
		if bound := 3 * overshoot; got > limited+bound || got < limited-bound {
			t.Errorf("%d requests passed, want %d, give or take %d", got, limited, bound)
		}
	})
}

// failover: a limit goes on where it was when the replica becomes the primary.
func failover(t *testing.T, w *world) {
	t.Helper()
	watched := redistest.StartSentinel(t)
	const limited = 10
	g := w.gateway(t, fmt.Sprintf("addresses: [%q], primaryName: %s", watched.Sentinel.Address, watched.Name), impatient+"exact: true, onStoreFailure: deny", api("quota", fmt.Sprintf("quota: {limit: %d, period: 1h}", limited)))
	for passed := 0; passed < 4; passed++ {
		if status, reason, _ := w.ask(t, g, "/quota", ""); status != http.StatusOK {
			t.Fatalf("%d %s", status, reason)
		}
	}
	watched.AwaitReplica()
	watched.Primary.Kill()
	passed, refused := 4, 0
	for end := time.Now().Add(program.Patience); refused < 3; time.Sleep(10 * time.Millisecond) {
		begun := time.Now()
		status, reason, _ := w.ask(t, g, "/quota", "")
		if took := time.Since(begun); took > storeTimeout+slack {
			t.Errorf("a request took %v", took)
		}
		switch status {
		case http.StatusOK:
			passed++
		case http.StatusTooManyRequests:
			refused++
		case http.StatusServiceUnavailable:
			if reason != "store_unavailable" {
				t.Fatalf("%d %s", status, reason)
			}
		default:
			t.Fatalf("%d %s", status, reason)
		}
		if time.Now().After(end) {
			t.Fatalf("the limit is not kept again: %d passed, %d refused", passed, refused)
		}
	}
	if passed > limited || passed < limited-2 { // a request may be counted whose answer came too late
		t.Errorf("%d requests passed, want %d", passed, limited)
	}
}
