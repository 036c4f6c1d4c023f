package manage_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/source/api"
)

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, c := range []struct {
		name, method, path string
		header             []string
		status             int
	}{
		{"no token", "GET", "/v1/plans", []string{"Authorization: "}, 401},
		{"no token, no route", "GET", "/v1/nothing", []string{"Authorization: "}, 401},
		{"no token, a path with dots", "GET", "/v1/../metrics", []string{"Authorization: "}, 401},
		{"a wrong token", "GET", "/v1/plans", []string{"Authorization: Bearer the-writer-has-this-tokem"}, 401},
		{"an empty token", "GET", "/v1/plans", []string{"Authorization: Bearer"}, 401},
		{"a prefix", "GET", "/v1/plans", []string{"Authorization: Bearer the-writer"}, 401},
		{"another scheme", "GET", "/v1/plans", []string{"Authorization: Basic " + writer}, 401},
		{"two tokens", "GET", "/v1/plans", []string{"Authorization: Bearer " + writer, "Authorization: Bearer " + writer}, 401},
		{"two in one line", "GET", "/v1/plans", []string{"Authorization: Bearer " + writer + ", Bearer " + writer}, 401},
		{"a name", "GET", "/v1/plans", []string{"Authorization: Bearer alice"}, 401},
		{"in the query", "GET", "/v1/plans?access_token=" + writer, []string{"Authorization: "}, 401},
		{"the reader reads", "GET", "/v1/plans", []string{"Authorization: Bearer " + reader}, 200},
		{"the scheme in small letters", "GET", "/v1/plans", []string{"Authorization: bearer " + reader}, 200},
		{"the reader asks for the header", "HEAD", "/v1/plans", []string{"Authorization: Bearer " + reader}, 200},
		{"the reader puts", "PUT", "/v1/plans/a", []string{"Authorization: Bearer " + reader}, 403},
		{"the reader deletes", "DELETE", "/v1/plans/fixed", []string{"Authorization: Bearer " + reader}, 403},
		{"the reader looks at a session", "POST", "/v1/sessions/inspect", []string{"Authorization: Bearer " + reader}, 400},
		{"the reader resets one", "POST", "/v1/sessions/reset", []string{"Authorization: Bearer " + reader}, 403},
		{"the reader makes a key", "POST", "/v1/api-keys", []string{"Authorization: Bearer " + reader}, 403},
		{"the reader with a method of his own", "BREW", "/v1/plans", []string{"Authorization: Bearer " + reader}, 403},
		{"the writer reads", "GET", "/v1/plans", nil, 200},
		{"the document is for all", "GET", "/v1/openapi.json", []string{"Authorization: "}, 200},
		{"to read", "PUT", "/v1/openapi.json", []string{"Authorization: "}, 405},
	} {
		a := g.do(c.method, c.path, "", c.header...)
		if a.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.status)
		}
		if challenge := a.header.Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
			t.Errorf("%s: the challenge is %q", c.name, challenge)
		}
	}
	for _, line := range []string{
		`"msg":"management request refused","by":"","method":"GET","path":"/v1/plans","status":401`,
		`"msg":"management request refused","by":"grafana","method":"PUT","path":"/v1/plans/a","status":403`,
	} {
		if !strings.Contains(g.log.String(), line) {
			t.Errorf("the log does not say %s", line)
		}
	}
}

// lives are nouns of each kind, at first and changed.
var lives = map[api.Kind][2]string{
	api.Policies:      {`{"name": "NAME", "access": [{"api": "tickets"}], "rate": {"limit": 5}}`, `{"name": "NAME", "quota": {"limit": -1}, "tags": ["x"], "metadata": {"a": "b"}}`},
	api.Plans:         {`{"name": "NAME", "rate": {"limit": 5}}`, "name: NAME\ntitle: Gold\nquota: {limit: 7, period: 24h}\n"},
	api.AccessRules:   {`{"name": "NAME", "groups": ["staff"], "apis": ["orders"], "operations": []}`, `{"name": "NAME", "everyone": true, "apis": ["*"], "plan": "fixed", "weight": 3}`},
	api.GroupRates:    {`{"name": "NAME", "groups": ["staff"], "apis": ["orders"], "rate": {"limit": 1}}`, `{"name": "NAME", "everyone": true, "apis": ["*"], "rate": {"limit": 9, "period": "1m"}}`},
	api.Applications:  {`{"name": "NAME", "id": "a-1"}`, `{"name": "NAME", "id": "a-2", "owner": "bob"}`},
	api.Subscriptions: {`{"name": "NAME", "applications": ["web"], "apis": ["orders"]}`, "name: NAME\napplications: [web]\napis: ['*']\nclaims: Equals(`grp`, `admin`)\n"},
}

func TestLifeOfNouns(t *testing.T) {
	t.Parallel()
	g := start(t)
	for kind, bodies := range lives {
		for _, name := range []string{"plain", "with/slashes", "with spaces, ünïcode & more?#%2F", "a//../b", "..", strings.Repeat("n", 200)} {
			path := "/v1/" + string(kind) + "/" + strings.ReplaceAll(url.PathEscape(name), ".", "%2E")
			first, second := strings.ReplaceAll(bodies[0], "NAME", name), strings.ReplaceAll(bodies[1], "name: NAME", "name: "+quoted(name))
			second = strings.ReplaceAll(second, "NAME", name)
			made := g.want(201, quoted(name), "PUT", path, first, "If-None-Match: *")
			tag := made.header.Get("ETag")
			if made.header.Get("Location") != path || tag == "" || made.member(t, "etag") != tag || made.member(t, "origin") != "api" {
				t.Errorf("%v", made)
			}
			g.want(412, "", "PUT", path, first, "If-None-Match: *")
			if got := g.want(200, quoted(name), "GET", path, ""); got.header.Get("ETag") != tag {
				t.Errorf("it is at %s, but was made at %s", got.header.Get("ETag"), tag)
			}
			g.want(304, "", "GET", path, "", "If-None-Match: "+tag)
			g.want(200, "", "GET", path, "", `If-None-Match: "1"`)
			g.want(200, quoted(name), "GET", "/v1/"+string(kind), "")
			changed := g.want(200, quoted(name), "PUT", path, second, "If-Match: "+tag)
			next := changed.header.Get("ETag")
			g.want(412, "", "PUT", path, first, "If-Match: "+tag)
			g.want(412, "", "DELETE", path, "", "If-Match: "+tag)
			g.want(200, "", "PUT", path, second) // no condition
			g.want(412, "", "DELETE", path, "", "If-Match: "+next)
			if a := g.want(204, "", "DELETE", path, ""); a.header.Get("Content-Type") != "" {
				t.Errorf("%v", a.header)
			}
			g.want(404, "", "GET", path, "")
			g.want(404, "", "DELETE", path, "")
			g.want(412, "", "PUT", path, first, "If-Match: "+next)
		}
	}
	if !strings.Contains(g.log.String(), `"msg":"management change","by":"alice","method":"DELETE","path":"/v1/plans/plain","status":204`) {
		t.Errorf("the deletion is not in the log:\n%s", g.log.String())
	}
}

// TestConfiguredNouns: those of the documents are shown and cannot be changed.
func TestConfiguredNouns(t *testing.T) {
	t.Parallel()
	g := start(t)
	a := g.want(200, `"origin":"configuration"`, "GET", "/v1/plans/fixed", "")
	if a.header.Get("ETag") != "" {
		t.Error("what cannot be changed here has an ETag")
	}
	g.want(409, "documents", "PUT", "/v1/plans/fixed", `{"name": "fixed"}`)
	g.want(409, "documents", "PUT", "/v1/plans/fixed", `{"name": "fixed"}`, "If-None-Match: *")
	g.want(409, "documents", "DELETE", "/v1/plans/fixed", "")
	g.want(409, "documents", "DELETE", "/v1/applications/web", "")
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, c := range []struct {
		method, path, body, header string
		status                     int
		contains                   string
	}{
		{"PUT", "/v1/plans/a", `{"name": "a", "rat": {}}`, "", 422, `"path":"plans[a].rat","message":"unknown key`},
		{"PUT", "/v1/plans/a", "name: a\nrate: {limit: five}\n", "", 422, `"line":2`},
		{"PUT", "/v1/plans/a", "name: a\nrate: {limit: 1}\nrat: 5\n", "", 422, `"hint":`},
		{"PUT", "/v1/plans/a", `{"name": "b"}`, "", 422, `called \"b\"`},
		{"PUT", "/v1/plans/a", `{"name": "a", "name": "a"}`, "", 422, "twice"},
		{"PUT", "/v1/plans/a", `{}`, "", 422, "name"},
		{"PUT", "/v1/plans/a", ``, "", 422, "empty"},
		{"PUT", "/v1/plans/a", `[]`, "", 422, ""},
		{"PUT", "/v1/plans/a", "\x00", "", 422, ""},
		{"PUT", "/v1/plans/a", `{"name": "a", "title": "${env:HOME}"}`, "", 422, "references are not allowed"},
		{"PUT", "/v1/plans/a", `{"name": "a", "rate": {"limit": -5}}`, "", 422, "plans"},
		{"PUT", "/v1/access/a", `{"name": "a", "everyone": true, "apis": ["orders"], "plan": "no-such"}`, "", 422, "no-such"},
		{"PUT", "/v1/subscriptions/a", "name: a\napplications: [web]\napis: [orders]\nclaims: 'Equals(`'\n", "", 422, "claims"},
		{"PUT", "/v1/plans/", `{"name": ""}`, "", 422, ""},
		{"PUT", "/v1/plans/a%00b", `{"name": "a\u0000b"}`, "", 422, "name"},
		{"PUT", "/v1/plans/%FF", `{"name": "a"}`, "", 422, "name"},
		{"GET", "/v1/plans/a%00b", "", "", 404, ""},
		{"DELETE", "/v1/plans/a%00b", "", "", 404, ""},
		{"PUT", "/v1/plans/" + strings.Repeat("n", 600), `{"name": "a"}`, "", 422, "name"},
		{"PUT", "/v1/plans/a", strings.Repeat(" ", 1<<20+1), "", 413, "1048576"},
		{"PUT", "/v1/plans/a", `{"name": "a"}`, "If-Match: a", 400, "If-Match"},
		{"PUT", "/v1/plans/a", `{"name": "a"}`, `If-Match: W/"1"`, 400, "If-Match"},
		{"PUT", "/v1/plans/a", `{"name": "a"}`, `If-Match: "1", "2"`, 400, "If-Match"},
		{"PUT", "/v1/plans/a", `{"name": "a"}`, `If-None-Match: "1"`, 400, "If-None-Match"},
		{"GET", "/v1/plans?limit=0", "", "", 400, "limit"},
		{"GET", "/v1/plans?limit=1001", "", "", 400, "limit"},
		{"GET", "/v1/plans?limit=ten", "", "", 400, "limit"},
		{"GET", "/v1/plans?limt=10", "", "", 400, "limt"},
		{"GET", "/v1/plans?limit=1&limit=2", "", "", 400, "twice"},
		{"GET", "/v1/plans?after=%ZZ", "", "", 400, "query"},
		{"GET", "/v1/api-keys?after=%00", "", "", 200, ""},
		{"GET", "/v1/revocations?after=%FF%00", "", "", 200, ""},
		{"GET", "/v1/providers", "", "", 404, ""},
		{"GET", "/v1/", "", "", 404, ""},
		{"GET", "/v1/plans//a", "", "", 400, "%2F"},
		{"PUT", "/v1/plans/a//b", `{"name": "a/b"}`, "", 400, "%2F"},
		{"PUT", "/v1/plans/x/../a", `{"name": "a"}`, "", 400, "%2F"},
		{"GET", "/v1/../metrics", "", "", 400, ""},
		{"POST", "/v1/plans", `{"name": "a"}`, "", 405, ""},
		{"PATCH", "/v1/plans/a", `{}`, "", 405, ""},
		{"OPTIONS", "/v1/plans", "", "", 405, ""},
		{"TRACE", "/v1/plans", "", "", 405, ""},
		{"POST", "/v1/api-keys", `{"name": "x", "nam": "y"}`, "", 400, "nam"},
		{"POST", "/v1/api-keys", `{"name": "x"} {}`, "", 400, "after"},
		{"POST", "/v1/api-keys", `{"name": 5}`, "", 400, "JSON"},
		{"POST", "/v1/api-keys", `null`, "", 400, "name"},
		{"POST", "/v1/api-keys", `{`, "", 400, "JSON"},
		{"POST", "/v1/api-keys", `{"name": "x", "secret": "short"}`, "", 400, "secret"},
		{"POST", "/v1/api-keys", `{"name": "x", "expires": "2020-01-01T00:00:00Z"}`, "", 400, "past"},
		{"POST", "/v1/api-keys", strings.Repeat(" ", 1<<20+1), "", 413, ""},
		{"GET", "/v1/api-keys/00", "", "", 404, ""},
		{"GET", "/v1/api-keys/" + strings.Repeat("%00", 32), "", "", 404, ""},
		{"DELETE", "/v1/api-keys/" + strings.Repeat("0", 32), "", "", 404, ""},
		{"POST", "/v1/revocations", `{"kind": "token"}`, "", 400, "value"},
		{"POST", "/v1/revocations", `{"kind": "person", "value": "x"}`, "", 400, "kind"},
		{"DELETE", "/v1/revocations/token/00", "", "", 404, ""},
		{"DELETE", "/v1/revocations/%2E%2E/x", "", "", 404, ""},
		{"POST", "/v1/sessions/inspect", `{"api": "tickets"}`, "", 400, "either"},
		{"POST", "/v1/sessions/inspect", `{"api": "no-such", "provider": "idp", "claims": {"sub": "alice"}}`, "", 422, "no-such"},
		{"POST", "/v1/sessions/inspect", `{"api": "tickets", "provider": "no-such", "claims": {"sub": "alice"}}`, "", 422, "no-such"},
		{"POST", "/v1/sessions/inspect", `{"api": "tickets", "provider": "idp", "claims": 5}`, "", 422, ""},
		{"POST", "/v1/sessions/inspect", `{"api": "orders", "provider": "idp", "claims": {"sub": "alice"}}`, "", 409, "group_missing"},
		{"GET", "/v1/usage?from=yesterday", "", "", 400, "from"},
		{"GET", "/v1/usage?from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "", "", 400, "before"},
		{"GET", "/v1/usage?from=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", "", "", 400, "before"},
		{"GET", "/v1/usage?from=2000-01-01T00:00:00Z", "", "", 400, "steps"},
		{"GET", "/v1/usage?from=0001-01-01T00:00:00Z&step=2562047h", "", "", 400, ""},
		{"GET", "/v1/usage?step=-5m", "", "", 400, "step"},
	} {
		var header []string
		if c.header != "" {
			header = append(header, c.header)
		}
		g.want(c.status, c.contains, c.method, c.path, c.body, header...)
	}
	if a := g.do("PATCH", "/v1/plans/a", ""); a.header.Get("Allow") != "DELETE, GET, HEAD, PUT" {
		t.Errorf("Allow: %s", a.header.Get("Allow"))
	}
	for _, kind := range api.Kinds() { // nothing of all that was taken over
		if a := g.do("GET", "/v1/"+string(kind), ""); strings.Contains(a.body, `"origin":"api"`) {
			t.Errorf("%s: %s", kind, a.body)
		}
	}
	if strings.Contains(g.log.String(), `"level":"ERROR"`) {
		t.Errorf("what clients do wrong is in the log as an error:\n%s", g.log.String())
	}
}

// TestPages: lists of thousands come in pages, without gaps and without anything twice.
func TestPages(t *testing.T) {
	t.Parallel()
	g := configure(t, "{driver: memory}")
	var plans strings.Builder
	for i := range 2100 {
		fmt.Fprintf(&plans, "{name: plan-%d}, ", i)
	}
	g.text = strings.Replace(g.text, "plans: [", "plans: ["+plans.String(), 1)
	g.start()
	for i := range 1100 {
		g.do("POST", "/v1/revocations", fmt.Sprintf(`{"kind": "subject", "value": "user-%d", "issuer": "*"}`, i))
		g.do("POST", "/v1/api-keys", fmt.Sprintf(`{"name": "key-%d"}`, i))
	}
	for path, want := range map[string]int{"/v1/plans": 2101, "/v1/revocations": 1100, "/v1/api-keys": 1100} {
		for _, limit := range []string{"", "&limit=1000", "&limit=7"} {
			if limit == "&limit=7" && path != "/v1/api-keys" {
				continue
			}
			seen, after := make(map[any]bool), ""
			for {
				a := g.do("GET", path+"?after="+url.QueryEscape(after)+limit, "")
				items, _ := a.member(t, "items").([]any)
				for _, item := range items {
					one := item.(map[string]any)
					id := one["id"]
					if id == nil {
						id = one["name"]
					}
					if seen[id] {
						t.Fatalf("%s: %v is there twice", path, id)
					}
					seen[id] = true
				}
				next, more := a.member(t, "next").(string)
				if !more {
					break
				}
				after = next
			}
			if len(seen) != want {
				t.Errorf("%s%s: %d, want %d", path, limit, len(seen), want)
			}
		}
	}
}

// TestSlowBodies: a body that does not come is given up, and is the client's fault; one of unknown length is taken, if it is not too long.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	g := start(t)
	dial := func() net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", g.app.AdminAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	read := func(conn net.Conn) (int, string) {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body) // the connection is closed
		return response.StatusCode, string(body)
	}
	const head = "PUT /v1/plans/a HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer " + writer + "\r\n"
	slow := dial()
	fmt.Fprint(slow, head, "Content-Length: 100\r\n\r\n{")

	chunked := dial()
	fmt.Fprint(chunked, head, "Transfer-Encoding: chunked\r\n\r\n", "d\r\n{\"name\": \"a\"}\r\n0\r\n\r\n")
	if status, body := read(chunked); status != 201 {
		t.Errorf("%d %s", status, body)
	}
	endless := dial()
	go func() {
		fmt.Fprint(endless, head, "Transfer-Encoding: chunked\r\n\r\n")
		for range 20 {
			fmt.Fprintf(endless, "10000\r\n%s\r\n", strings.Repeat(" ", 0x10000))
		}
	}()
	if status, body := read(endless); status != 413 {
		t.Errorf("%d %s", status, body)
	}
	if status, body := read(slow); status != 400 || !strings.Contains(body, "did not arrive") {
		t.Errorf("%d %s", status, body)
	}
}
