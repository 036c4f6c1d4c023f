package policy_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/policy"
)

var issued = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a configuration and its selectors.
type world struct {
	config    *gate.Config
	book      *policy.Book
	selectors map[string]*policy.Selector
}

func newWorld(tb testing.TB, text string) *world {
	tb.Helper()
	loaded := native.Load("test.yaml", []byte(text), tb.TempDir(), nil)
	if err := loaded.Problems.Err(); err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	w := &world{config: loaded.Config, selectors: make(map[string]*policy.Selector)}
	book, problems := policy.NewBook(sources(loaded.Config))
	if err := problems.Err(); err != nil {
		tb.Fatal(err)
	}
	w.book = book
	for i := range w.config.APIs {
		s, problems := book.Selector(&w.config.APIs[i])
		if err := problems.Err(); err != nil {
			tb.Fatal(err)
		}
		w.selectors[w.config.APIs[i].Name] = s
	}
	return w
}

func sources(c *gate.Config) policy.Sources {
	return policy.Sources{
		Policies: c.Policies, Access: c.AccessRules, Plans: c.Plans, GroupRates: c.GroupRates, Applications: c.Applications, Subscriptions: c.Subscriptions, APIs: c.APIs,
	}
}

// identity is what the gateway makes of a token with its usual claims, issued at the moment issued.
func identity(tb testing.TB, token string) *gate.Identity {
	tb.Helper()
	set, err := claims.Parse([]byte(token), claims.Limits{})
	if err != nil {
		tb.Fatalf("%v: %s", err, token)
	}
	id := &gate.Identity{Issuer: "https://id.example.com", Claims: set, Issued: issued}
	text := func(name string) string { s, _ := set.Get(name).AsString(); return s }
	id.User, id.ClientID, id.Application = text("sub"), text("client_id"), text("azp")
	id.Groups, _ = set.Get("groups").Strings()
	if set.Get("iat").Kind() == claims.Null {
		id.Issued = time.Time{}
	}
	return id
}

// verdict renders what becomes of a request: a reason, or ok and everything that follows.
func (w *world) verdict(t *testing.T, id *gate.Identity, api, method, path, version string, now time.Time, trace *gate.Trace) map[string]string {
	t.Helper()
	refused := func(reason gate.Reason) map[string]string { return map[string]string{"": string(reason)} }
	session, err := w.selectors[api].Session(id, trace)
	if err != nil {
		return refused(gate.AsDenial(err).Reason)
	}
	if session = session.At(now); session == nil {
		return refused(gate.ReasonGrantExpired)
	}
	uses, verdict := slices.Clone(session.Limits), "ok"
	if session.Grant != nil {
		var ok, dry bool
		if uses, ok, dry = session.Grant.Allows(method, path, version, uses); !ok {
			return refused(gate.ReasonOperationNotGranted)
		}
		if dry {
			verdict = "dry"
		}
	}
	var texts, throttles []string
	for _, use := range uses {
		texts = append(texts, useText(use))
		if use.Throttle != (limit.Throttle{}) {
			throttles = append(throttles, fmt.Sprintf("%v*%d", use.Throttle.Wait, use.Throttle.Retries))
		}
	}
	slices.Sort(texts)
	var metadata []string
	for name, value := range session.Metadata {
		metadata = append(metadata, name+":"+value)
	}
	slices.Sort(metadata)
	return map[string]string{
		"": verdict, "policies": strings.Join(session.Policies, ","), "uses": strings.Join(texts, ","), "throttle": strings.Join(throttles, ","),
		"tags": strings.Join(session.Tags, ","), "meta": strings.Join(metadata, ","),
		"app": session.Application, "sub": session.Subscription, "plan": session.Plan,
	}
}

// useText is NAME:LIMIT/PERIOD, with q before the limit of a quota, the burst behind it, ~ before what is in dry-run, and s behind what slides.
func useText(use limit.Use) string {
	text := use.Name + ":"
	if use.DryRun {
		text = "~" + text
	}
	if use.Quota {
		text += "q"
	}
	text += fmt.Sprintf("%d/%v", use.Rule.Limit, use.Rule.Period)
	text = strings.TrimSuffix(strings.TrimSuffix(text, "0s"), "0m")
	if strings.HasSuffix(text, "/") {
		text += "ever"
	}
	if use.Rule.Burst != 0 {
		text += fmt.Sprintf("b%d", use.Rule.Burst)
	}
	if use.Rule.Algorithm == limit.SlidingWindow {
		text += "s"
	}
	return text
}

// TestTable runs testdata/table.txt. A part "# name" is followed by a configuration, up to "---"; each line after it is a case:
//
//	section | what it shows | claims of the token | request | verdict
//
// The sections are those of the specifications of policies (P) and of groups, plans and subscriptions (G). The request is METHOD PATH, and may be followed by @API, =VERSION and +AGE of the token. The
// verdict is a reason, ok, or dry for what passes only because of a dry-run; after it, what else must be so.
func TestTable(t *testing.T) {
	data, err := os.ReadFile("testdata/table.txt")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]int)
	n := 0
	for part := range bytes.SplitSeq(data, []byte("\n# ")) {
		name, rest, _ := strings.Cut(string(part), "\n")
		config, cases, ok := strings.Cut(rest, "\n---\n")
		if !ok {
			continue // the heading
		}
		w := newWorld(t, config)
		for line := range strings.Lines(cases) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			n++
			fields := strings.Split(line, " | ")
			if len(fields) != 5 {
				t.Fatalf("%q has %d fields", line, len(fields))
			}
			sections[fields[0]]++
			t.Run(name+"/"+strings.TrimSpace(fields[1]), func(t *testing.T) { runCase(t, w, fields[2], fields[3], fields[4]) })
		}
	}
	if n < 120 {
		t.Errorf("only %d cases", n)
	}
	for _, section := range []string{"P2.1", "P2.3", "P2.4", "P2.5", "P2.6", "G2.3", "G2.5", "G2.6"} {
		if sections[section] == 0 {
			t.Errorf("no case of section %s", section)
		}
	}
}

var requestSyntax = regexp.MustCompile(`^(\S+) (\S+?)(?: @(\S+))?(?: =(\S+))?(?: \+(\S+))?$`)

func runCase(t *testing.T, w *world, token, request, want string) {
	t.Helper()
	r := requestSyntax.FindStringSubmatch(strings.TrimSpace(request))
	if r == nil {
		t.Fatalf("bad request %q", request)
	}
	method, path, api, version := r[1], r[2], r[3], r[4]
	if api == "" {
		api = "tickets"
	}
	age := time.Duration(0)
	if r[5] != "" {
		var err error
		if age, err = time.ParseDuration(r[5]); err != nil {
			t.Fatal(err)
		}
	}
	// An explanation must come to the same end.
	for _, trace := range []*gate.Trace{nil, {}} {
		got := w.verdict(t, identity(t, token), api, method, path, version, issued.Add(age), trace)
		for field := range strings.FieldsSeq(want) {
			name, value, isField := strings.Cut(field, "=")
			if !isField {
				name, value = "", field
			}
			if got[name] != value {
				t.Errorf("explained %v: %s is %q, want %q", trace != nil, name, got[name], value)
			}
		}
	}
}
