package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/jose"
)

func TestBodies(t *testing.T) {
	if n := len(smallBody()); n != 311 {
		t.Errorf("the small body has %d bytes, not 311", n)
	}
	if !json.Valid([]byte(smallBody())) {
		t.Errorf("not JSON: %s", smallBody())
	}
}

func TestTokens(t *testing.T) {
	now := time.Now()
	for _, algorithm := range []jose.Algorithm{jose.RS256, jose.ES256, jose.HS256} {
		t.Run(algorithm.String(), func(t *testing.T) {
			key, err := newIssuerKey(algorithm, t.TempDir(), now)
			if err != nil {
				t.Fatal(err)
			}
			verify := func(token string) (map[string]any, error) {
				m, err := jose.Parse(token, jose.DefaultLimits())
				if err != nil {
					return nil, err
				}
				payload, err := jose.Verify(m, key.key.Public(), jose.NewAlgorithms(algorithm))
				if err != nil {
					return nil, err
				}
				var claims map[string]any
				return claims, json.Unmarshal(payload, &claims)
			}
			few, err := key.pool(2)
			if err != nil {
				t.Fatal(err)
			}
			more, err := key.pool(5)
			if err != nil {
				t.Fatal(err)
			}
			fresh, err := key.fresh(5)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(few, more[:2]) {
				t.Error("a larger pool does not begin with the smaller one")
			}
			all := slices.Concat(more, fresh)
			ids := make(map[any]bool)
			for _, token := range all {
				claims, err := verify(token)
				if err != nil {
					t.Fatal(err)
				}
				ids[claims["jti"]] = true
				if claims["grp"] != group || claims["exp"].(float64) <= float64(now.Unix()) {
					t.Errorf("claims %v", claims)
				}
			}
			if len(ids) != len(all) {
				t.Errorf("%d tokens, %d ids", len(all), len(ids))
			}
			bad, err := key.bad()
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range bad {
				claims, err := verify(b.token)
				good := err == nil && claims["grp"] == group && claims["exp"].(float64) > float64(now.Unix())
				if good || !slices.Contains(b.status, 401) {
					t.Errorf("%s is not bad", b.name)
				}
			}
		})
	}
}

func TestSubjectNames(t *testing.T) {
	for engine, want := range map[string]string{ownEngine: "jotgate", "net/http": "jotgate-nethttp"} {
		if got := subjectName(engine); got != want {
			t.Errorf("subjectName(%q) = %q, want %q", engine, got, want)
		}
	}
}

func TestConfigurations(t *testing.T) {
	key, err := newIssuerKey(jose.HS256, t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &spec{folder: "/folder", address: loopback(1), admin: loopback(2), upstream: loopback(3), key: key, cpus: 2, scenario: scenario{APIs: 3, Limited: true, Full: true, TLS: true}, cert: &certificate{certFile: "C", keyFile: "K", bothFile: "B"}}
	text, err := jotgateConfig(s, "net/http")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Listeners []struct{ Engine, Address string }
		Log       struct{ Access bool }
		APIs      []struct {
			Name, Match string
			Limits      []struct {
				Per  []string
				Rate struct{ Limit int }
			}
			Auth struct {
				JWT struct {
					Claims         string
					ForwardHeaders map[string]string
				}
			}
		}
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if len(config.APIs) != 3 || config.APIs[2].Match != "PathPrefix(`/api-00002`)" || len(config.APIs[0].Auth.JWT.ForwardHeaders) != 2 || !config.Log.Access || config.Listeners[0].Engine != "net/http" {
		t.Errorf("jotgate: %s", text)
	}
	if limits := config.APIs[1].Limits; len(limits) != 1 || !slices.Equal(limits[0].Per, []string{"identity"}) || limits[0].Rate.Limit != unreached {
		t.Errorf("jotgate's limits: %+v", limits)
	}
	haproxy := haproxyConfig(s)
	for _, want := range []string{"bind 127.0.0.1:1 backlog 4096 ssl crt B", `jwt_verify("HS256","` + key.secret + `")`, "$.exp", "$.grp", "server up 127.0.0.1:3", "nbthread 2"} {
		if !strings.Contains(haproxy, want) {
			t.Errorf("haproxy lacks %q:\n%s", want, haproxy)
		}
	}
	s.key = nil
	if strings.Contains(haproxyConfig(s), "deny") {
		t.Error("HAProxy checks tokens where there are none")
	}
	for _, want := range []string{"listen 127.0.0.1:1 ssl", "server 127.0.0.1:3;", "worker_processes 2;"} {
		if !strings.Contains(nginxConfig(s), want) {
			t.Errorf("nginx lacks %q", want)
		}
	}
}
