package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ownEngine is jotgate's default engine, among the values of listeners[].engine.
const ownEngine = "jotgate"

// unreached is a rate a second that no load reaches: it is counted, and refuses nobody.
const unreached = 1_000_000

type object = map[string]any

// jotgateConfig is the gateway's configuration, in the JSON part of YAML. The checks of tokens are those of haproxyConfig.
func jotgateConfig(s *spec, engine string) ([]byte, error) {
	listener := object{"name": "web", "address": s.address.String()}
	if engine != "" {
		listener["engine"] = engine
	}
	if s.scenario.TLS {
		listener["tls"] = object{"certificates": []object{{"certFile": s.cert.certFile, "keyFile": s.cert.keyFile}}}
	}
	if s.scenario.Hostile {
		hostileLimits(listener)
	}
	config := object{
		"listeners": []object{listener},
		"admin":     object{"address": s.admin.String()},
		"log":       object{"level": "warn", "access": s.scenario.Full},
		"upstreams": []object{{"name": "back", "servers": []object{{"url": "http://" + s.upstream.String()}}}},
		"shutdown":  object{"timeout": "1s"},
	}
	if s.scenario.Hostile {
		config["upstreams"] = []object{{"name": "back", "servers": []object{{"url": "http://" + s.upstream.String()}}, "idleTimeout": "3s"}}
	}
	if s.scenario.Memory {
		config["tokenCache"] = object{"disabled": true}
	}
	auth := object{"anonymous": true}
	if s.key != nil {
		provider := object{"name": "id", "issuer": issuer, "audiences": []string{audience}, "algorithms": []string{s.key.algorithm.String()}}
		if s.key.secret != "" {
			provider["secret"] = s.key.secret
		} else {
			provider["publicKey"] = s.key.pem
		}
		config["providers"] = []object{provider}
		rules := object{"providers": []string{"id"}, "claims": fmt.Sprintf("Equals(`grp`, `%s`)", group)}
		if s.scenario.Limited {
			rules["forwardHeaders"] = map[string]string{"X-User": "sub", "X-Group": "grp"}
		}
		auth = object{"jwt": rules}
	}
	api := object{"name": "api", "match": "PathPrefix(`/`)", "upstream": "back", "auth": auth}
	if s.scenario.Limited {
		api["limits"] = []object{{"name": "each-user", "per": []string{"identity"}, "rate": object{"limit": unreached, "period": "1s"}}}
	}
	if s.scenario.Hostile {
		api["timeout"] = "10s" // who drips a body stays for as long
	}
	if s.scenario.APIs == 0 {
		config["apis"] = []object{api}
		return json.Marshal(config)
	}
	apis := make([]object, s.scenario.APIs)
	for i := range apis {
		apis[i] = maps.Clone(api)
		apis[i]["name"] = fmt.Sprintf("api-%05d", i)
		apis[i]["match"] = fmt.Sprintf("PathPrefix(`%s`)", apiPath(i))
	}
	config["apis"] = apis
	return json.Marshal(config)
}

// apiPath is the path of the i-th API of many.
func apiPath(i int) string { return fmt.Sprintf("/api-%05d", i) }

// jotgateSubjects returns a subject for each engine that the program knows. One that has no choice of engines is a single subject; the engines that are asked for and
// are not known are named in skipped.
func jotgateSubjects(program string, engines []string, folder string) (subjects []subject, skipped []string, err error) {
	for _, engine := range engines {
		ok, err := accepts(program, engine, folder)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			subjects = append(subjects, subject{Name: subjectName(engine), Kind: kindJotgate, Engine: engine})
		} else {
			skipped = append(skipped, "jotgate with the engine "+engine+": this build does not know it")
		}
	}
	if len(subjects) > 0 {
		return subjects, skipped, nil
	}
	ok, err := accepts(program, "", folder)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, fmt.Errorf("%s refuses a configuration without a choice of the engine", program)
	}
	return []subject{{Name: kindJotgate, Kind: kindJotgate}}, skipped, nil
}

// subjectName is how jotgate with an engine is called: jotgate with its own one, and jotgate-nethttp.
func subjectName(engine string) string {
	if engine == ownEngine {
		return kindJotgate
	}
	return kindJotgate + "-" + strings.ReplaceAll(engine, "/", "")
}

// accepts asks the program whether it takes a configuration with this engine.
func accepts(program, engine, folder string) (bool, error) {
	address := loopback(1)
	config, err := jotgateConfig(&spec{address: address, admin: loopback(2), upstream: loopback(3)}, engine)
	if err != nil {
		return false, err
	}
	path := filepath.Join(folder, "probe.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return false, err
	}
	check := exec.Command(program, "check", path)
	check.WaitDelay = 10 * time.Second
	output, err := check.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if engine == "" {
			return false, fmt.Errorf("checking a configuration: %s", strings.TrimSpace(string(output)))
		}
		return false, nil
	}
	return err == nil, err
}
