// Package h2spec runs h2spec, the conformance tests for HTTP/2, against the real program: over TLS, and without it (h2c). The cases that fail are listed with the reason why they are left so;
// whatever else fails, and what is listed and does not fail, is an error.
package h2spec_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/test/program"
)

const configuration = `
listeners:
  - name: tls
    address: "127.0.0.1:0"
    tls: {certificates: [{certFile: %[1]s/api.test.pem, keyFile: %[1]s/api.test.key}]}
  - {name: h2c, address: "127.0.0.1:0"}
upstreams:
  - {name: up, servers: [{url: %[2]q}]}
apis:
  - {name: all, match: "PathPrefix(` + "`/`" + `)", upstream: up, auth: {anonymous: true}}
`

// page tells the results to readers.
const page = "../../docs/reference/http2.md"

// failure is a case that fails, and why that is left so.
type failure struct {
	id     string // of h2spec: section, and number of the case in it
	h2c    bool   // it fails without TLS only
	reason string
}

// known is the closed list of failures: a new line is a decision. A table in page says the same.
var known = []failure{
	{"http2/3.5/2", true, "What does not start with the preface of HTTP/2 is HTTP/1.1 on this listener, and is answered as such: 400, and the connection ends."},
	{"http2/4.2/3", false, "The frame is not too large: it has 20 kB, and the gateway announces SETTINGS_MAX_FRAME_SIZE of 1 MiB. A header above `maxHeaderBytes` is answered with 431."},
	{"http2/6.5.3/1", false, "A SETTINGS frame that sets the same parameter twice ends the connection with PROTOCOL_ERROR: no client sends one."},
	{"http2/8.1.2.2/1", false, "A request with a field of the connection is answered with 400 and not forwarded, in the place of a stream error (RFC 9113 section 8.1.1 allows an answer)."},
	{"http2/8.1.2.2/2", false, "The same, for `TE` that says more than `trailers`."},
}

// enough is the number of cases of h2spec at the version in go.mod, with those that it calls strict.
const enough = 146

// report is what h2spec says about its run, in the form of JUnit.
type report struct {
	Suites []struct {
		Cases []struct {
			Package string    `xml:"package,attr"`
			Failure *struct{} `xml:"failure"`
			Skipped *struct{} `xml:"skipped"`
			Error   *struct{} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestConformance(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)                       // some cases break it off
		_, _ = io.WriteString(w, strings.Repeat("jotgate ", 64)) // enough for the cases about flow control
	}))
	t.Cleanup(upstream.Close)
	folder := t.TempDir()
	program.WriteCertificate(t, folder, "api.test")
	gateway := program.Run(t, program.Build(t), fmt.Sprintf(configuration, folder, upstream.URL))
	t.Run("doors", func(t *testing.T) { // a group, which ends before the gateway is stopped
		for _, door := range []string{"tls", "h2c"} {
			t.Run(door, func(t *testing.T) {
				t.Parallel()
				conform(t, door, gateway.Addresses[door])
			})
		}
	})
	if log := gateway.Log.Text(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") {
		t.Error(log)
	}
}

// conform runs all cases against a listener, and compares what fails with what is known to.
func conform(t *testing.T, door, address string) {
	t.Helper()
	cases, failed := run(t, door, address)
	if cases != enough {
		t.Errorf("%d cases were run, %d are known", cases, enough)
	}
	var want []string
	for _, f := range known {
		if !f.h2c || door == "h2c" {
			want = append(want, f.id)
		}
	}
	// h2spec waits for two seconds, whatever else the machine does: a case that fails unexpectedly is run once more, alone.
	failed = slices.DeleteFunc(failed, func(id string) bool {
		if slices.Contains(want, id) {
			return false
		}
		t.Logf("%s failed", id)
		_, again := run(t, door, address, id)
		return len(again) == 0
	})
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("cases that fail (-known +now):\n%s", diff)
	}
}

// run runs cases, or all of them, and returns how many there were and those that failed.
func run(t *testing.T, door, address string, cases ...string) (count int, failed []string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.xml")
	arguments := append([]string{"tool", "h2spec", "--strict", "--host", host, "--port", port, "--timeout", "2", "--junit-report", file}, cases...)
	if door == "tls" {
		arguments = append(arguments, "--tls", "--insecure")
	}
	out, err := exec.CommandContext(t.Context(), "go", arguments...).CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r report
	if err := xml.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for _, suite := range r.Suites {
		for i, c := range suite.Cases {
			switch id := fmt.Sprintf("%s/%d", c.Package, i+1); {
			case c.Skipped != nil:
				if len(cases) == 0 {
					t.Errorf("%s was skipped", id)
				}
				continue
			case c.Failure != nil, c.Error != nil:
				failed = append(failed, id)
			}
			count++
		}
	}
	if count == 0 {
		t.Fatalf("nothing was run:\n%s", out)
	}
	return count, failed
}

// The page has a row for each failure, and no other.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, f := range known {
		door := "both"
		if f.h2c {
			door = "h2c"
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", f.id, door, f.reason))
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-tests +page):\n%s", page, diff)
	}
	both := len(known)
	for _, f := range known {
		if f.h2c {
			both--
		}
	}
	for _, number := range []string{fmt.Sprintf("%d cases", enough), fmt.Sprintf("%d pass over TLS", enough-both), fmt.Sprintf("%d pass without", enough-len(known))} {
		if !strings.Contains(string(text), number) {
			t.Errorf("%s does not say %q", page, number)
		}
	}
}
