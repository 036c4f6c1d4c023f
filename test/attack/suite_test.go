// Package attack attacks a running gateway: the real binary, with a real configuration file, between real loopback servers. Each attack is a subtest that
// is named in plain words, and says what the gateway must answer and what the upstream may see of it.
package attack_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/test/program"
)

// maxMemory bounds what the gateway may hold under all attacks: a token of 10 MB must not be read, a key set of gigabytes not be kept.
const maxMemory = 160 << 20

// suite is what the attacks share: the gateway, what stands around it, and who may sign.
type suite struct {
	binary       string
	gateway      *program.Gateway
	admin        string // address of the operators' door
	upstream     *upstream
	alpha, beta  *issuer
	legacySecret string
	static       *issuer
	attacker     *attacker
	client       tls.Certificate // of a client that the mutual listener knows
	leaks        *leaks
}

// TestAttack runs every attack against one gateway, and looks at the gateway afterwards.
func TestAttack(t *testing.T) {
	s := start(t)
	t.Run("good tokens pass", s.goodTokens)
	t.Run("token", s.tokens)
	t.Run("malleability", s.malleability)
	t.Run("keys and issuers", s.keys)
	t.Run("claims", s.claims)
	t.Run("credentials", s.credentials)
	t.Run("header", s.headers)
	t.Run("path", s.paths)
	t.Run("host", s.hosts)
	t.Run("message", s.messages)
	t.Run("HTTP 2", s.http2)
	t.Run("key sources", s.keySources)
	t.Run("configuration", s.configurations)
	t.Run("logs", s.logs)
	t.Run("flood", s.floods)
	t.Run("afterwards", s.afterwards)
}

// afterwards asks whether the gateway is still itself.
func (s *suite) afterwards(t *testing.T) {
	t.Run("a good token still passes", func(t *testing.T) {
		s.forwarded(t, s.get("/tickets", bearer(s.good())))
	})
	t.Run("nothing else reached the upstream", func(t *testing.T) {
		if late := s.upstream.take(); len(late) > 0 {
			t.Errorf("%d requests came late, the first is %s", len(late), late[0].line)
		}
		for _, complaint := range s.upstream.takeComplaints() {
			t.Error(complaint)
		}
	})
	t.Run("no header key was fetched", func(t *testing.T) {
		if hits := s.attacker.hits(); len(hits) > 0 {
			t.Errorf("the attacker's server was asked for %q", hits)
		}
	})
	t.Run("memory stayed small", func(t *testing.T) {
		peak := s.gateway.PeakMemory(t)
		t.Logf("peak %d MiB", peak>>20)
		if peak > maxMemory && !program.RaceEnabled { // the race detector takes a multiple
			t.Errorf("the gateway took %d MiB", peak>>20)
		}
	})
	t.Run("no panic was logged", func(t *testing.T) {
		if log := s.gateway.Log.Text(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") || strings.Contains(log, `"level":"ERROR"`) {
			t.Error(log)
		}
	})
	t.Run("no part of any token or secret was logged", func(t *testing.T) {
		for _, page := range []string{"/metrics", "/status"} {
			s.leaks.check(t, page, s.operators(t, page))
		}
		s.leaks.check(t, "log", s.gateway.Log.Text())
		s.leaks.check(t, "access log", s.gateway.Access.Text())
	})
}

// operators gets a page of the operators' door.
func (s *suite) operators(t *testing.T, page string) string {
	t.Helper()
	response, err := http.Get("http://" + s.admin + page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", page, response.StatusCode, err)
	}
	return string(body)
}

// verdict is what an attack must come to.
type verdict struct {
	status int
	// reason is the stable code in the body. It is "" for answers without a body of ours: those to messages that are no HTTP.
	reason string
	// logged is the reason code in the access log; "" if that is not looked at.
	logged string
}

// refused is the verdict of a refusal with a problem document.
func refused(status int, reason string) verdict { return verdict{status: status, reason: reason} }

// malformedMessage is the verdict of a message that the HTTP layer refuses before it is a request.
func malformedMessage(status int) verdict { return verdict{status: status} }

// unroutable is the verdict of a request that is HTTP, but that the listener refuses before any API is looked for.
func unroutable(status int, reason string) verdict {
	return verdict{status: status, reason: reason, logged: reason}
}

// problem is the body of a refusal.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// answer is a response with its whole body.
type answer struct {
	*http.Response
	body []byte
}

// send sends the message to the listener and returns the answers.
func (s *suite) send(t *testing.T, listener string, message []byte) []answer {
	t.Helper()
	return parseAnswers(t, program.Exchange(t, program.Dial(t, s.gateway.Addresses[listener]), message))
}

func parseAnswers(t *testing.T, got []byte) (all []answer) {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(got))
	for {
		if _, err := reader.Peek(1); err != nil {
			return all
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%v in the answer %.300q", err, got)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil && !response.Close {
			t.Fatalf("%v in the body of %.300q", err, got)
		}
		all = append(all, answer{response, body})
	}
}

// refuse sends a message that must be refused in the given way without the upstream noticing.
func (s *suite) refuse(t *testing.T, message []byte, want verdict) {
	t.Helper()
	s.refuseAt(t, "web", message, want)
}

func (s *suite) refuseAt(t *testing.T, listener string, message []byte, want verdict) {
	t.Helper()
	s.gateway.Access.SkipToEnd()
	answers := s.send(t, listener, message)
	s.untouched(t)
	if len(answers) != 1 {
		t.Fatalf("%d answers: %v", len(answers), answers)
	}
	check(t, answers[0], want)
	if want.logged == "" {
		return
	}
	if line := s.gateway.Access.Wait(func(line string) bool { return strings.Contains(line, `"reason":`) }); !strings.Contains(line, fmt.Sprintf(`"reason":%q`, want.logged)) {
		t.Errorf("logged %s, want reason %s", line, want.logged)
	}
}

// untouched fails the test if anything reached the upstream.
func (s *suite) untouched(t *testing.T) {
	t.Helper()
	for _, r := range s.upstream.take() {
		t.Errorf("the upstream was reached: %.300q", r.raw)
	}
}

// check compares an answer with the verdict.
func check(t *testing.T, got answer, want verdict) {
	t.Helper()
	if got.StatusCode != want.status {
		t.Errorf("status %d, want %d; body %s", got.StatusCode, want.status, got.body)
	}
	if want.reason == "" {
		return
	}
	var p problem
	decoder := json.NewDecoder(bytes.NewReader(got.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("the body is no problem document: %v: %.300q", err, got.body)
	}
	if p.Reason != want.reason || p.Status != want.status || p.Title == "" || p.Detail == "" {
		t.Errorf("problem %+v, want status %d and reason %s", p, want.status, want.reason)
	}
	if media := got.Header.Get("Content-Type"); media != "application/problem+json" {
		t.Errorf("Content-Type %q", media)
	}
	if cache := got.Header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("Cache-Control %q", cache)
	}
	checkChallenge(t, got.Header.Values("WWW-Authenticate"), want)
}

// The challenges of RFC 6750 section 3: without credentials there is no error code, and every attribute is there once.
var (
	plainChallenge = regexp.MustCompile(`^Bearer realm="[a-z]+"$`)
	errorChallenge = regexp.MustCompile(`^Bearer realm="[a-z]+", error="([a-z_]+)", error_description="[ !#-\[\]-~]+"(, scope="[ !#-\[\]-~]+")?$`)
)

func checkChallenge(t *testing.T, challenges []string, want verdict) {
	t.Helper()
	code := ""
	switch {
	case want.reason == "token_missing", want.reason == "authorization_scheme_unsupported":
		if len(challenges) != 1 || !plainChallenge.MatchString(challenges[0]) {
			t.Errorf("challenge %q, want one without an error", challenges)
		}
		return
	case want.status == http.StatusUnauthorized:
		code = "invalid_token"
	case want.reason == "scope_insufficient":
		code = "insufficient_scope"
	case want.reason == "token_ambiguous":
		code = "invalid_request"
	default:
		if len(challenges) > 0 {
			t.Errorf("challenge %q, want none", challenges)
		}
		return
	}
	if len(challenges) != 1 {
		t.Fatalf("challenge %q, want one", challenges)
	}
	m := errorChallenge.FindStringSubmatch(challenges[0])
	if m == nil || m[1] != code || (m[2] != "") != (code == "insufficient_scope") {
		t.Errorf("challenge %q, want %s", challenges[0], code)
	}
}

// forwarded sends a message that must reach the upstream once, and returns what did.
func (s *suite) forwarded(t *testing.T, message []byte) *received {
	t.Helper()
	return s.forwardedAt(t, "web", message)
}

func (s *suite) forwardedAt(t *testing.T, listener string, message []byte) *received {
	t.Helper()
	return s.reached(t, s.send(t, listener, message))
}

// reached checks that the answers are one of the upstream's, and returns the request that it was for.
func (s *suite) reached(t *testing.T, answers []answer) *received {
	t.Helper()
	got := s.upstream.take()
	for _, complaint := range s.upstream.takeComplaints() {
		t.Error(complaint)
	}
	if len(answers) != 1 || answers[0].StatusCode != http.StatusOK {
		text := "no answer"
		if len(answers) > 0 {
			text = fmt.Sprintf("%d %s", answers[0].StatusCode, answers[0].body)
		}
		t.Fatalf("%d answers (%s), want one 200", len(answers), text)
	}
	if len(got) != 1 || !got[0].complete {
		t.Fatalf("%d requests reached the upstream, want a complete one", len(got))
	}
	return got[0]
}

// sees fails the test unless the upstream sees exactly these values of a field, in whatever spelling.
func (r *received) sees(t *testing.T, name string, want ...string) {
	t.Helper()
	if got := r.values(name); !slices.Equal(got, want) {
		t.Errorf("the upstream sees %s %q, want %q", name, got, want)
	}
}

// message writes a request with the given lines after the Host line. Every request asks for the end of the connection, so that an answer too many shows.
func message(method, target, host string, lines ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, host)
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// get is a request to the API of tickets.
func (s *suite) get(target string, lines ...string) []byte {
	return message("GET", target, "api.test", lines...)
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// dialer opens a connection to a listener.
type dialer func(t *testing.T) net.Conn
