package app_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/app"
)

// referring is a document with names in place of the values that a test is about.
const referring = `
listeners: [{name: web, address: ADDRESS}]
log: {level: LEVEL}
providers:
  - {name: idp, issuer: "https://id.example.com", SOURCE, audiences: [tickets], algorithms: [ALGORITHM]}
upstreams:
  - {name: up, servers: [{url: SERVER}], healthCheck: {path: HEALTH}}
apis:
  - name: tickets
    match: MATCH
    upstream: UPSTREAM
    answers: ANSWERS
    public: [{path: PUBLIC}]
    auth: {jwt: {providers: [idp], scopes: [SCOPE], claims: CLAIMS, forwardHeaders: {X-User: FORWARD}}}
    cors: {allowOrigins: [ORIGIN]}
`

// goodValues make referring a good document.
var goodValues = map[string]string{
	"ADDRESS": `"127.0.0.1:0"`, "LEVEL": "info", "SOURCE": `secret: "a secret of more than thirty-two bytes"`, "ALGORITHM": "HS256", "SERVER": `"http://127.0.0.1:1"`,
	"HEALTH": "/healthz", "MATCH": "PathPrefix(`/tickets`)", "UPSTREAM": "up", "ANSWERS": "problem", "PUBLIC": "/tickets/public", "SCOPE": "read",
	"CLAIMS": "'Equals(`sub`, `a`)'", "FORWARD": "sub", "ORIGIN": `"https://example.com"`,
}

// refer is referring with some values replaced.
func refer(values map[string]string) string {
	all := maps.Clone(goodValues)
	maps.Copy(all, values)
	var pairs []string
	for name, value := range all {
		pairs = append(pairs, name, value)
	}
	return strings.NewReplacer(pairs...).Replace(referring)
}

// problemsOf loads a document beside a file named value, and returns what is wrong with it.
func problemsOf(t *testing.T, document, value string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "jotgate.yaml")
	for name, text := range map[string]string{path: document, filepath.Join(dir, "value"): value} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded := app.File(path)(os.ReadFile)
	return strings.ReplaceAll(loaded.Problems.Error(), path, "jotgate.yaml")
}

// Whatever is wrong with a value that a reference stands for, the problem shows the reference and not the value.
func TestProblemsDoNotShowReferences(t *testing.T) {
	if shown := problemsOf(t, refer(nil), ""); shown != "" {
		t.Fatal(shown)
	}
	for _, value := range []string{"Hunter2", "hunter2:hunter2@hunter2", "Hunter2/ \"ü\"#`"} {
		t.Setenv("JOTGATE_TEST_VALUE", value)
		for field := range goodValues {
			for _, written := range []string{`${env:JOTGATE_TEST_VALUE}`, `${file:value}`, `before ${env:JOTGATE_TEST_VALUE}`, `${file:value}${file:value}`, `http://example.com:1/${file:value}`} {
				sources := []string{"'" + written + "'"}
				if field == "SOURCE" {
					sources = []string{"publicKey: '" + written + "'", "jwksFile: '" + written + "'", "jwksURLs: ['" + written + "']", "discovery: true, discoveryURL: '" + written + "'"}
				}
				for _, source := range sources {
					shown := problemsOf(t, refer(map[string]string{field: source}), value+"\n")
					if field != "HEALTH" && field != "SCOPE" && field != "FORWARD" && shown == "" {
						t.Errorf("%s: %s has no problem", field, source)
					}
					if strings.Contains(strings.ToLower(shown), "hunter2") {
						t.Errorf("%s: %s: %s", field, source, shown)
					}
				}
			}
		}
	}
}
