package match

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
)

func entry(tb testing.TB, name, source string, priority int) Entry[string] {
	tb.Helper()
	r, err := Parse(source)
	if err != nil {
		tb.Fatalf("Parse(%q): %v", source, err)
	}
	return Entry[string]{Name: name, Rule: r, Priority: priority, Value: "value of " + name}
}

func TestLookup(t *testing.T) {
	entries := []Entry[string]{
		entry(t, "all", "PathPrefix(`/`)", 0),
		entry(t, "tickets", "Host(`api.example.com`) && PathPrefix(`/tickets`)", 0),
		entry(t, "tickets-admin", "Host(`api.example.com`) && PathPrefix(`/tickets/admin`)", 0),
		entry(t, "b-twin", "Host(`twin.com`)", 0),
		entry(t, "a-twin", "Host(`twin.com`)", 0),
		entry(t, "c-twin", "Host(`twin.com`)", 0),
		entry(t, "first", "Header(`X-First`, `1`)", 1000),
		entry(t, "last", "Host(`*.example.com`)", -1),
		entry(t, "wildcard", "Host(`*.wild.com`) && Path(`/x`)", 0),
		entry(t, "either", "Host(`one.org`) || Host(`two.org`) && PathPrefix(`/two`)", 0),
		entry(t, "not", "!PathPrefix(`/`) && Host(`never.org`)", 5000),
	}
	tests := []struct {
		host, path, header string
		want               string
	}{
		{"api.example.com", "/tickets/1", "", "tickets"},
		{"api.example.com", "/tickets/admin", "", "tickets-admin"},
		{"api.example.com", "/tickets/adm", "", "tickets"},
		{"api.example.com", "/tickets/admin", "1", "first"},
		{"api.example.com", "/other", "", "all"},
		{"twin.com", "/", "", "a-twin"},
		{"a.wild.com", "/x", "", "wildcard"},
		{"a.wild.com", "/x/", "", "all"},
		{"a.b.wild.com", "/x", "", "all"},
		{"wild.com", "/x", "", "all"},
		{"one.org", "/", "", "either"},
		{"two.org", "/", "", "all"},
		{"two.org", "/two/x", "", "either"},
		{"never.org", "/", "", "all"},
		{"", "/", "", "all"},
	}
	for seed := range uint64(20) { // the order of the entries must not matter
		shuffled := slices.Clone(entries)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		table := NewTable(shuffled)
		for _, tt := range tests {
			request := Request{Method: "GET", Host: tt.host, Path: tt.path, Header: gate.Header{{Name: "X-First", Value: tt.header}}}
			value, name, ok := table.Lookup(&request)
			if name != tt.want || !ok || value != "value of "+tt.want {
				t.Errorf("Lookup(%q, %q) = %q, %q, %v; want %q", tt.host, tt.path, value, name, ok, tt.want)
			}
		}
	}
	if value, name, ok := NewTable(entries[1:]).Lookup(&Request{Host: "x.com", Path: "/"}); value != "" || name != "" || ok {
		t.Errorf("Lookup without a match = %q, %q, %v", value, name, ok)
	}
	if _, _, ok := NewTable[string](nil).Lookup(&Request{Path: "/"}); ok {
		t.Error("an empty table matches")
	}
	if got := NewTable(entries).Len(); got != len(entries) {
		t.Errorf("Len() = %d", got)
	}
}

// drawRule writes rules over few hosts and paths, so that they overlap.
func drawRule(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 9+2*depth).Draw(t, "kind")
	switch kind {
	case 0, 1:
		return "Host(`" + rapid.SampledFrom([]string{"a.com", "b.com", "x.a.com", "y.a.com", "*.a.com", "*.com", "*", "*.x.a.com"}).Draw(t, "host") + "`)"
	case 2, 3, 4:
		return "PathPrefix(`" + rapid.SampledFrom([]string{"/", "/a", "/ab", "/a/", "/a/b", "/abc", "/b", "/é", "/a%2F"}).Draw(t, "prefix") + "`)"
	case 5:
		return "Path(`" + rapid.SampledFrom([]string{"/", "/a", "/ab", "/a/b", "/abc", "/b"}).Draw(t, "path") + "`)"
	case 6:
		return "PathRegexp(`" + rapid.SampledFrom([]string{"^/a", "^/a?b", "b$", "^/(a|b)", "(?i)^/A", "^/a|c", "(?m)^/b", "^/ab*$", "^(/a)"}).Draw(t, "regexp") + "`)"
	case 7:
		return "HostRegexp(`" + rapid.SampledFrom([]string{"^a", "com$", "x"}).Draw(t, "regexp") + "`)"
	case 8:
		return "Method(`" + rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method") + "`)"
	case 9:
		return rapid.SampledFrom([]string{"Header(`X`, `1`)", "Query(`q`, `1`)", "ClientIP(`10.0.0.0/8`)", "QueryRegexp(`q`, `^.$`)", "HeaderRegexp(`X`, `[12]`)"}).Draw(t, "other")
	}
	x, y := drawRule(t, depth-1), drawRule(t, depth-1)
	return rapid.SampledFrom([]string{"!(" + x + ")", x + " && " + y, x + " && " + y, "(" + x + " || " + y + ")", "!(" + x + " && !" + "(" + y + "))"}).Draw(t, "operator")
}

func drawRequest(t *rapid.T) Request {
	return Request{
		Method: rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method"),
		Host:   rapid.SampledFrom([]string{"", "a.com", "b.com", "x.a.com", "y.a.com", "z.x.a.com", "com", "c.org", "::1"}).Draw(t, "host"),
		Path:   rapid.SampledFrom([]string{"/", "/a", "/ab", "/abc", "/abcd", "/a/", "/a/b", "/a/b/c", "/b", "/B", "/A", "/c", "/é/x", "/a%2Fb"}).Draw(t, "path"),
		Query:  rapid.SampledFrom([]string{"", "q=1", "q=22"}).Draw(t, "query"),
		Header: rapid.SampledFrom([]gate.Header{nil, {{Name: "x", Value: "1"}}, {{Name: "X", Value: "2"}}}).Draw(t, "header"),
		Client: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("::1")}).Draw(t, "client"),
	}
}

// TestLookupAgainstScan: the table gives what looking at all entries in order of precedence gives.
func TestLookupAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []Entry[int]
		for i := range rapid.IntRange(0, 12).Draw(t, "entries") {
			rule, err := Parse(drawRule(t, 2))
			if err != nil { // its parts exclude each other
				continue
			}
			entries = append(entries, Entry[int]{
				Name: fmt.Sprintf("%d-%d", rapid.IntRange(0, 9).Draw(t, "name"), i), Rule: rule, Priority: rapid.IntRange(-2, 2).Draw(t, "priority"), Value: i,
			})
		}
		table := NewTable(entries)
		for range 8 {
			request := drawRequest(t)
			want, found := scan(entries, &request)
			value, name, ok := table.Lookup(&request)
			if ok != found || name != want.Name || value != want.Value {
				t.Fatalf("%+v: the table says %q, %v; a scan says %q (%v), %v", request, name, ok, want.Name, want.Rule, found)
			}
		}
	})
}

// scan is what Lookup means, written down as directly as possible.
func scan(entries []Entry[int], request *Request) (best Entry[int], found bool) {
	priority := func(e Entry[int]) int {
		if e.Priority != 0 {
			return e.Priority
		}
		return len(e.Rule.String())
	}
	for _, e := range entries {
		if !e.Rule.Match(request) {
			continue
		}
		if !found || priority(e) > priority(best) || priority(e) == priority(best) && e.Name < best.Name {
			best, found = e, true
		}
	}
	return best, found
}

// TestConditionsAreNecessary: a contradiction is only reported where there is one.
func TestConditionsAreNecessary(t *testing.T) {
	for _, source := range []string{
		"Host(`a.com`) && (Host(`b.com`) || Host(`a.com`))", "Host(`*.a.com`) && Host(`x.a.com`)", "Host(`a.com`) && !Host(`b.com`)",
		"PathPrefix(`/a`) && PathPrefix(`/a/b`)", "Path(`/a`) && PathRegexp(`^/a`)", "Path(`/a`) && Path(`/a`)", "Host(`*`) && Host(`a.com`)",
	} {
		entry(t, "x", source, 0)
	}
}

// shape is a large configuration of one kind, and requests for it.
type shape struct {
	name    string
	rule    func(i int) string
	request func(i int) Request
}

func shapes() []shape {
	return []shape{
		{
			"hosts",
			func(i int) string { return fmt.Sprintf("Host(`api-%d.example.com`)", i) },
			func(i int) Request { return Request{Host: fmt.Sprintf("api-%d.example.com", i), Path: "/v1/items/17"} },
		}, {
			"hosts and prefixes",
			func(i int) string {
				return fmt.Sprintf("Host(`api-%d.example.com`) && PathPrefix(`/service-%d`)", i/10, i%10)
			},
			func(i int) Request {
				return Request{Host: fmt.Sprintf("api-%d.example.com", i/10), Path: fmt.Sprintf("/service-%d/items/17", i%10)}
			},
		}, {
			"prefixes of one host",
			func(i int) string { return fmt.Sprintf("Host(`api.example.com`) && PathPrefix(`/service-%d/`)", i) },
			func(i int) Request {
				return Request{Host: "api.example.com", Path: fmt.Sprintf("/service-%d/items/17", i)}
			},
		}, {
			"paths without host",
			func(i int) string { return fmt.Sprintf("Path(`/service-%d`) && (Method(`GET`) || Method(`POST`))", i) },
			func(i int) Request { return Request{Host: "api.example.com", Path: fmt.Sprintf("/service-%d", i)} },
		}, {
			"wildcard hosts",
			func(i int) string { return fmt.Sprintf("Host(`*.tenant-%d.example.com`) && PathPrefix(`/v1`)", i) },
			func(i int) Request {
				return Request{Host: fmt.Sprintf("www.tenant-%d.example.com", i), Path: "/v1/items/17"}
			},
		}, {
			"alternatives",
			func(i int) string {
				return fmt.Sprintf("(Host(`a-%d.com`) || Host(`b-%d.com`)) && (PathPrefix(`/x`) || Path(`/y`))", i, i)
			},
			func(i int) Request { return Request{Host: fmt.Sprintf("b-%d.com", i), Path: "/y"} },
		}, {
			"anchored expressions",
			func(i int) string { return fmt.Sprintf("PathRegexp(`^/service-%d/v[0-9]+/`)", i) },
			func(i int) Request {
				return Request{Host: "api.example.com", Path: fmt.Sprintf("/service-%d/v2/items", i)}
			},
		},
	}
}

// build makes a table of the shape, among a few entries that match everything or need a look every time.
func (s shape) build(tb testing.TB, size int) (*Table[string], []Request) {
	tb.Helper()
	entries := []Entry[string]{
		entry(tb, "rest", "PathPrefix(`/`)", -1),
		entry(tb, "canary", "Header(`X-Canary`, `1`)", 1000),
	}
	for i := range size {
		entries = append(entries, entry(tb, fmt.Sprintf("api-%d", i), s.rule(i), 0))
	}
	header := gate.Header{{Name: "Accept", Value: "*/*"}, {Name: "Authorization", Value: "Bearer x"}, {Name: "User-Agent", Value: "test"}}
	var requests []Request // made in the order of use, as requests that arrive are warm in the cache
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(size) {
		request := s.request(i)
		request.Method, request.Header = "GET", header
		requests = append(requests, request)
	}
	return NewTable(entries), requests
}

// TestWorkIsBounded counts the rules that a lookup evaluates: their number must not grow with the table.
func TestWorkIsBounded(t *testing.T) {
	const bound = 4 // the entry, the canary, and what a text that is a prefix of another may add
	for _, s := range shapes() {
		for _, size := range []int{10, 100, 10_000} {
			table, requests := s.build(t, size)
			for _, request := range requests {
				work := search{request: &request, rules: table.rules, best: len(table.rules)}
				table.index.search(&work)
				if work.examined > bound {
					t.Fatalf("%s, %d entries: %d rules evaluated for %s%s", s.name, size, work.examined, request.Host, request.Path)
				}
				if _, name, _ := table.Lookup(&request); !strings.HasPrefix(name, "api-") {
					t.Fatalf("%s, %d entries: %s%s leads to %q", s.name, size, request.Host, request.Path, name)
				}
			}
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	if RaceDetector {
		t.Skip("the race detector makes regular expressions allocate")
	}
	for _, s := range shapes() {
		table, requests := s.build(t, 100)
		for i := range requests {
			if n := testing.AllocsPerRun(10, func() { table.Lookup(&requests[i]) }); n != 0 {
				t.Errorf("%s: Lookup allocates %v times", s.name, n)
			}
		}
	}
}

// BenchmarkLookup has two kinds of traffic: "hot" is for ten of the entries, so that it shows the work done; "even" is for all of them in turn, so that it shows
// the cost of memory too.
func BenchmarkLookup(b *testing.B) {
	for _, s := range shapes() {
		for _, size := range []int{10, 100, 10_000} {
			table, requests := s.build(b, size)
			for _, traffic := range []struct {
				name     string
				requests []Request
			}{{"hot", requests[:10]}, {"even", requests}} {
				b.Run(fmt.Sprintf("shape=%s/traffic=%s/entries=%d", strings.ReplaceAll(s.name, " ", "-"), traffic.name, size), func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						if _, _, ok := table.Lookup(&traffic.requests[i]); !ok {
							b.Fatal("no match")
						}
						if i++; i == len(traffic.requests) {
							i = 0
						}
					}
				})
			}
		}
	}
}

func BenchmarkCanonicalPath(b *testing.B) {
	for _, path := range []string{"/v1/items/17/comments", "/v1/items/foo%20bar%2Fbaz"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := CanonicalPath(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
