package native_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
)

func TestOrigin(t *testing.T) {
	r := load(t, "admin: {address: \":1\"}\n"+
		"upstreams:\n"+
		"  - name: u\n"+
		"    servers: [{url: \"http://a\"}, {url: \"http://b\", weight: 2}]\n"+
		"apis:\n"+
		"  - name: first\n"+
		"    match: PathPrefix(`/`)\n"+
		"    upstream: u\n"+
		"    auth: {anonymous: true}\n"+
		"  - name: second\n"+
		"    match: &m PathPrefix(`/`)\n"+
		"    upstream: u\n"+
		"    auth:\n"+
		"      jwt:\n"+
		"        providers: [p]\n"+
		"        claims: Equals(`a`, `b`)\n"+
		"        forwardHeaders:\n"+
		"          X-User: sub\n"+
		"          X.Dot: *m\n")
	if err := r.Problems.Err(); err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) gate.Position { return gate.Position{Line: line, Column: column} }
	want := []gate.Origin{
		{Source: "jotgate.yaml", Object: "admin", Position: at(1, 8), Fields: map[string]gate.Position{"address": at(1, 18)}},
		{Source: "jotgate.yaml", Object: "upstreams[0]", Position: at(3, 5), Fields: map[string]gate.Position{
			"name": at(3, 11), "servers": at(4, 14),
			"servers[0]": at(4, 15), "servers[0].url": at(4, 21),
			"servers[1]": at(4, 34), "servers[1].url": at(4, 40), "servers[1].weight": at(4, 60),
		}},
		{Source: "jotgate.yaml", Object: "apis[1]", Position: at(10, 5), Fields: map[string]gate.Position{
			"name": at(10, 11), "match": at(11, 12), "upstream": at(12, 15), "auth": at(14, 7), "auth.jwt": at(15, 9),
			"auth.jwt.providers": at(15, 20), "auth.jwt.providers[0]": at(15, 21), "auth.jwt.claims": at(16, 17),
			"auth.jwt.forwardHeaders": at(18, 11), "auth.jwt.forwardHeaders.X-User": at(18, 19), "auth.jwt.forwardHeaders.X.Dot": at(19, 18),
		}},
	}
	want = append(want, gate.Origin{Source: "jotgate.yaml", Object: "log"}) // left out
	got := []gate.Origin{r.Config.Admin.Origin, r.Config.Upstreams[0].Origin, r.Config.APIs[1].Origin, r.Config.Log.Origin}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	p := got[2].Problem("auth.jwt.claims", "hint", "message")
	if got, want := p.Error(), "jotgate.yaml:16:17: apis[1].auth.jwt.claims: message (hint)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDefaults(t *testing.T) {
	r := load(t, "providers: [{name: p, algorithms: [RS256], clockSkew: {exp: 1m}, fetch: {maxKeys: 7}}]\n"+
		"upstreams: [{name: u, servers: [{url: x}], healthCheck: {path: /}}]\n")
	if err := r.Problems.Err(); err != nil {
		t.Fatal(err)
	}
	var fetch gate.Fetch
	fetch.SetDefaults()
	fetch.MaxKeys = 7
	var check gate.HealthCheck
	check.SetDefaults()
	check.Path = "/"
	var log gate.Log
	log.SetDefaults()
	log.Origin = gate.Origin{Source: "jotgate.yaml", Object: "log"}
	p, u := r.Config.Providers[0], r.Config.Upstreams[0]
	for _, c := range []struct {
		name      string
		want, got any
	}{
		{"fetch", fetch, p.Fetch},
		{"maxTokenBytes", gate.Bytes(16 << 10), p.MaxTokenBytes},
		{"clockSkew.exp", "1m0s", p.ClockSkew.Exp.String()},
		{"clockSkew.nbf", "10s", p.ClockSkew.Nbf.String()},
		{"healthCheck", &check, u.HealthCheck},
		{"weight", 1, u.Servers[0].Weight},
		{"log", log, r.Config.Log},
		{"no tls", (*gate.ClientTLS)(nil), u.TLS},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
}

func TestFiles(t *testing.T) {
	r := load(t, "providers: [{name: p, algorithms: [\"${file:b}\", \"${file:/run/secrets/legacy}\", \"${file:b}\"]}]")
	if diff := cmp.Diff([]string{"/etc/jotgate/b", "/run/secrets/legacy"}, r.Files); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r.Config != nil || r.Draft == nil || len(r.Draft.Providers) != 1 {
		t.Errorf("a result with errors has a draft only, got %+v", r)
	}
	r = native.Load("x", []byte("log: {level: \"${env:A}\"}"), "", nil)
	if got, want := r.Problems.Error(), "x:1:14: log.level: references are not allowed here"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
