package engine

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// problem is the body of a refusal: RFC 9457 with the stable reason code as an extension member. Its type is about:blank, which is left out.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// answer writes the refusal d. route is nil if none was found. A status that a server has chosen, such as 501 for a transfer coding, is kept.
func answer(x *gate.Exchange, route *route, d *gate.Denial) {
	kind := d.Kind()
	status, title := kind.Status(), kind.Title()
	if x.Status != 0 && x.Status != status {
		status, title = x.Status, http.StatusText(x.Status)
	}
	x.Reply = x.Reply[:0]
	x.Reply.Add("Cache-Control", "no-store")
	if kind.Challenge() {
		x.Reply.Add("WWW-Authenticate", challenge(route, d))
	}
	if d.RetryAfter > 0 {
		seconds := int64((d.RetryAfter + 999_999_999) / 1_000_000_000)
		x.Reply.Add("Retry-After", strconv.FormatInt(seconds, 10))
	}
	var body []byte
	if route == nil || !route.bare {
		body, _ = json.Marshal(problem{Title: title, Status: status, Detail: d.Reason.Text(), Reason: string(d.Reason)}) // strings and a number: cannot fail
		x.Reply.Add("Content-Type", "application/problem+json")
	}
	if err := x.WriteHead(status, int64(len(body))); err != nil || x.Method == "HEAD" || len(body) == 0 {
		return // a client that is gone needs no answer
	}
	n, _ := x.Writer.Write(body)
	x.Sent += int64(n)
}

// challenge is the value of WWW-Authenticate: RFC 6750 section 3, each attribute at most once. Other schemes have a realm alone.
func challenge(route *route, d *gate.Denial) string {
	scheme := schemeBearer
	if route != nil {
		scheme = route.scheme
	}
	var b strings.Builder
	b.WriteString(scheme + " realm=")
	quote(&b, route.realm())
	if scheme != schemeBearer {
		return b.String()
	}
	if code := d.Kind().OAuthError(); code != "" {
		b.WriteString(`, error="` + code + `", error_description=`)
		quote(&b, d.Reason.Text())
	}
	if d.Scope != "" {
		b.WriteString(", scope=")
		quote(&b, d.Scope)
	}
	return b.String()
}

// quote writes s as a quoted-string of only those characters that RFC 6750 section 3 allows in challenge attributes, so that nothing that is put into one can
// end it or start a new header line.
func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if c := s[i]; c >= 0x20 && c <= 0x7e && c != '"' && c != '\\' {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
