// Package soak lets many clients misuse a running gateway for a long time, in front of servers that misbehave as well, and looks at what is left of it afterwards: nothing.
package soak_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/jotgate/jotgate/jose"
	"github.com/jotgate/jotgate/test/program"
)

var (
	requests = flag.Int("requests", 10_000, "how many requests TestSoak sends with each engine")
	workers  = flag.Int("workers", 32, "how many of them at a time")
	seed     = flag.Uint64("seed", 1, "what decides on the order of everything")
)

// configuration of the gateway: %s are the engine, the operators' address, a key, the two servers, and limits of the listener. Idle connections to servers are closed soon, for that is waited for.
const configuration = `
listeners:
  - {name: web, address: "127.0.0.1:0", engine: %[1]s, %[6]s}
admin: {address: %[2]q}
log: {level: info, access: false}
providers:
  - {name: id, issuer: "https://id.test", secret: %[3]q, audiences: [soak], algorithms: [HS256]}
upstreams:
  - {name: good, servers: [{url: %[4]q}], engine: %[1]s, idleTimeout: 3s}
  - {name: bad, servers: [{url: %[5]q}], engine: %[1]s, idleTimeout: 3s}
shutdown: {timeout: 5s}
apis:
  - {name: good, match: Host(` + "`good.test`" + `), upstream: good, auth: {jwt: {providers: [id], forwardHeaders: {X-User: sub}}}}
  - {name: bad, match: Host(` + "`bad.test`" + `), upstream: bad, timeout: 1m, auth: {jwt: {providers: [id], forwardHeaders: {X-User: sub}}}}
  - {name: slow, match: Host(` + "`slow.test`" + `), upstream: good, timeout: 4s, auth: {jwt: {providers: [id], forwardHeaders: {X-User: sub}}}}
`

// engines are the values of engine, of the listener and of the upstreams.
var engines = []string{"jotgate", "net/http"}

// world is a gateway, what is behind it, and a token that it believes.
type world struct {
	gateway   *program.Gateway
	admin     string
	good, bad *upstream
	token     string
}

func start(t *testing.T, binary, engine string) *world {
	t.Helper()
	return startWith(t, binary, engine, "headerTimeout: 10s")
}

// startWith starts a gateway whose listener has the limits.
func startWith(t *testing.T, binary, engine, limits string) *world {
	t.Helper()
	secret := "a secret of this test only, of more than thirty-two bytes"
	key, err := jose.NewSecretSigningKey([]byte(secret), jose.SecretOptions{Algorithm: jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{admin: program.FreeAddress(t), good: startUpstream(t), bad: startUpstream(t)}
	claims := fmt.Sprintf(`{"iss":"https://id.test","aud":"soak","sub":"alice","exp":%d}`, time.Now().Add(24*time.Hour).Unix())
	if w.token, err = key.Sign([]byte(claims), jose.SigningHeader{}); err != nil {
		t.Fatal(err)
	}
	w.gateway = program.Run(t, binary, fmt.Sprintf(configuration, engine, w.admin, secret, "http://"+w.good.address(), "http://"+w.bad.address(), limits))
	return w
}

// TestSoak sends requests of which about every other one is broken off, by the client or by the server, and asks afterwards whether goroutines, descriptors, connections and memory are what they were
// before. Requests that nobody breaks off are answered, each with its own answer, all the time.
func TestSoak(t *testing.T) {
	binary := program.Build(t)
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // most of the time it waits for connections to end
			w := start(t, binary, engine)
			fresh := read(t, w.admin)
			w.run(t, len(actions)**workers, 0) // everything that is made once is made
			before := w.settled(t, fresh)
			if t.Failed() {
				return
			}
			t.Logf("before: %s", before)
			begin := time.Now()
			w.run(t, *requests, 1)
			took := time.Since(begin)
			during := read(t, w.admin)
			after := w.settled(t, before)
			t.Logf("after %d requests in %s: %s; it took %.1f s of CPU time, and %d MiB at most",
				*requests, took.Round(100*time.Millisecond), after, during.cpu-before.cpu, w.gateway.PeakMemory(t)>>20)
			if after.heap > before.heap+heapSlack && !program.RaceEnabled { // the race detector has memory of its own
				t.Errorf("memory was lost: %s; before %s", after, before)
			}
			w.complaints(t)
		})
	}
}
