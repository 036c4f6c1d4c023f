package framing_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// judge compares what became of the messages.
type judge struct {
	messages []string
	backends []*backend
	through  results
	access   string    // the gateway's access log
	direct   []outcome // of net/http without a gateway
}

// refusals are why a back end refuses what is forwarded to it. That is no harm: the request has ended where it should. The list is closed, and every line of it must be of use.
var refusals = []struct {
	back   string
	status int
	reason string
	fits   func(raw string, r reading) bool // r is of a back end that takes it
	mute   bool                             // now and then there is no answer at all, until the client gives up
}{
	{"nginx", 400, "a method is of capital letters, - and _", func(_ string, r reading) bool { return regexp.MustCompile(`[^A-Z_-]`).MatchString(r.Method) }, false},
	{"nginx", 400, "there is one Authorization field", func(raw string, _ reading) bool { return strings.Count(raw, "\r\nAuthorization: ") == 2 }, false},
	{"node", 400, "a method is one that it knows", func(_ string, r reading) bool { return !slices.Contains(nodeMethods, r.Method) }, true},
	{"haproxy", 400, "the name of a field has at most 255 bytes", func(raw string, _ reading) bool { return strings.Contains(raw, strings.Repeat("X", 256)) }, false},
	{"haproxy", 400, "an upgrade to WebSocket has a key", func(raw string, _ reading) bool {
		return strings.Contains(raw, "Upgrade: websocket") && !strings.Contains(raw, "Sec-WebSocket-Key")
	}, false},
}

// unanswered is the gateway's status for a client that has given up.
const unanswered = 499

// nodeMethods are the methods in the messages that Node.js knows.
var nodeMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "NOTIFY", "SUBSCRIBE", "SOURCE", "LINK", "PURGE", "SEARCH", "REPORT", "MKACTIVITY", "LOCK", "QUERY"}

// cell is what became of one request of a message at a back end.
type cell struct {
	kind    string // served, refused (by the back end), gateway (it has refused) or cut (the client was taken for gone)
	status  int
	reading reading
}

func (c cell) String() string {
	if c.kind == "served" {
		return fmt.Sprintf("%.400q", fmt.Sprintf("%+v", c.reading))
	}
	return fmt.Sprintf("%s %d", c.kind, c.status)
}

// cells are the requests of an outcome in their order. id is what the back end must have read in X-Forwarded-For; "" if the client said anything there. net/http takes a client for gone, and cancels its request, when what follows on the connection is malformed or the end: such a request may have
// been read before.
func (o outcome) cells(engine, id string) (all []cell, err error) {
	read := o.readings
	for _, a := range o.answers {
		c := cell{kind: "refused", status: a.status}
		switch {
		case a.back == "" && a.status == 499 && engine == "net/http":
			if c.kind = "cut"; len(read) > 0 {
				c.reading, read = read[0], read[1:]
			}
		case a.back == "":
			c.kind = "gateway"
		case a.status == 200 && len(read) == 0:
			return nil, fmt.Errorf("an answer %+v to a request that was not read", a)
		case a.status == 200 && id != "" && a.seen != id:
			return nil, fmt.Errorf("an answer to %q", a.seen)
		case a.status == 200:
			c.kind, c.reading, read = "served", read[0], read[1:]
		}
		all = append(all, c)
	}
	if len(read) > 0 {
		return nil, fmt.Errorf("no answer to what was read: %q", fmt.Sprintf("%+v", read))
	}
	return all, nil
}

// alike: each request that is forwarded is read alike by all back ends that take it.
func (j *judge) alike(t *testing.T) {
	used := make(map[int]int)
	served := 0
	for e, engine := range engines {
		for n, raw := range j.messages {
			var reference []cell
			for i, b := range j.backends {
				o := j.through[engine][b.name][n]
				if i > 0 && o.answers == nil && o.readings == nil && len(reference) > 0 && reference[0].kind == "gateway" {
					continue // it was not sent there
				}
				cells, err := o.cells(engine, identity(e, n))
				if err != nil {
					t.Errorf("%s, %s: %.300q: %v\n%+v", engine, b.name, raw, err, o)
					continue
				}
				if i == 0 {
					reference = cells
					for _, c := range cells {
						if c.kind == "served" {
							served++
						}
					}
					continue
				}
				if why := compare(raw, reference, cells, b, used); why != "" {
					t.Errorf("%s: %.300q: %s and %s: %s\n%v\n%v\n%s", engine, raw, j.backends[0].name, b.name, why, reference, cells, j.logged(identity(e, n)))
				}
			}
		}
	}
	for i, r := range refusals {
		if used[i] == 0 && j.has(r.back) {
			t.Errorf("%s refuses nothing any more because of %q", r.back, r.reason)
		}
	}
	t.Logf("%d requests were served; refused by back ends: %v", served, used)
}

// logged are the access lines of a client.
func (j *judge) logged(id string) string {
	var all strings.Builder
	for line := range strings.Lines(j.access) {
		if strings.Contains(line, fmt.Sprintf("%q", id)) {
			all.WriteString(line)
		}
	}
	return all.String()
}

func (j *judge) has(name string) bool {
	for _, b := range j.backends {
		if b.name == name {
			return true
		}
	}
	return false
}

// compare says what is different between what two back ends have read; "" if nothing is.
func compare(raw string, want, got []cell, b *backend, used map[int]int) string {
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		if !b.trailers {
			w.reading.Trailer = ""
		}
		switch {
		case w.kind == "cut" || g.kind == "cut":
			if none := (reading{}); w.reading != none && g.reading != none && w.reading != g.reading {
				return fmt.Sprintf("request %d", i)
			}
			return ""
		case (g.kind == "refused" || g.kind == "gateway" && g.status == unanswered) && w.kind == "served":
			reason := -1
			for k, r := range refusals {
				if r.back == b.name && (r.status == g.status || r.mute && g.kind == "gateway") && r.fits(raw, w.reading) {
					reason = k
				}
			}
			if reason < 0 {
				return fmt.Sprintf("request %d is refused without a known reason", i)
			}
			used[reason]++
		case w != g:
			return fmt.Sprintf("request %d", i)
		}
	}
	if len(want) != len(got) && !over(want) && !over(got) {
		return "another number of requests"
	}
	return ""
}

// over reports whether the connection may have ended for another reason than the message: its last request was refused by a back end, or one was cut.
func over(cells []cell) bool {
	return len(cells) > 0 && cells[len(cells)-1].kind == "refused" || slices.ContainsFunc(cells, func(c cell) bool { return c.kind == "cut" })
}

type exception struct {
	reason string
	fits   *regexp.Regexp
}

// exceptions are why the gateway serves a request that net/http's server refuses. The list is closed, and every line of it must be of use.
var exceptions = []exception{
	{"RFC 9112 section 2.2 wants at least one empty line before a request line ignored; net/http does so only behind the body of a POST", regexp.MustCompile(`(^|\r\n\r\n)\r\n[^\r\n]`)},
}

// strict: what the gateway serves, net/http serves too, and reads alike. Targets are left out: the gateway writes them in their canonical form.
func (j *judge) strict(t *testing.T) {
	used := make(map[int]int)
	for e, engine := range engines {
		for n, raw := range j.messages {
			mine, err := j.through[engine]["go"][n].cells(engine, identity(e, n))
			theirs, err2 := j.direct[n].cells(engine, "")
			if err := errors.Join(err, err2); err != nil {
				t.Errorf("%s: %.300q: %v", engine, raw, err)
				continue
			}
			for i, m := range mine {
				if m.kind != "served" {
					continue
				}
				if i < len(theirs) && theirs[i].kind == "served" && equivalent(m.reading, theirs[i].reading) {
					continue
				}
				reason := slices.IndexFunc(exceptions, func(e exception) bool { return e.fits.MatchString(raw) })
				if used[reason]++; reason < 0 || i < len(theirs) && theirs[i].kind == "served" {
					t.Errorf("%s: %.300q: request %d is %v, and by net/http\n%v", engine, raw, i, m, theirs)
				}
				break
			}
		}
	}
	for i, e := range exceptions {
		if used[i] == 0 {
			t.Errorf("nothing is served any more that net/http refuses because of %q", e.reason)
		}
	}
	t.Logf("messages of which more is served than by net/http: %v", used)
}

// equivalent reports whether the gateway has forwarded what net/http reads. The dot at the end of a host is dropped.
func equivalent(forwarded, read reading) bool {
	return forwarded.Method == read.Method && forwarded.Body == read.Body && forwarded.Coding == read.Coding && strings.EqualFold(forwarded.Host, strings.TrimSuffix(read.Host, "."))
}

// The page tells readers of the same exceptions and refusals, and of no others.
func TestPage(t *testing.T) {
	const page = "../../docs/reference/http1.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, tables, found := strings.Cut(string(text), "\n| because |\n")
	if !found {
		t.Fatal("no table of exceptions")
	}
	var want, got []string
	for _, e := range exceptions {
		want = append(want, "| "+e.reason+" |")
	}
	for _, r := range refusals {
		want = append(want, "| "+r.back+" | "+r.reason+" |")
	}
	for line := range strings.Lines(tables) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| back end |") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-tests +page):\n%s", page, diff)
	}
}
