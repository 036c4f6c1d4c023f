package credentials_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/step/credentials"
)

// An upstream must not get a token that nobody has verified, just because the path is public.
func TestStripOnPublicPaths(t *testing.T) {
	step, problems := credentials.NewStrip(&gate.API{Auth: gate.Auth{JWT: &gate.JWT{StripAuthorization: true, From: []gate.TokenSource{
		{Header: "Authorization"}, {Header: "X-Token"}, {Cookie: "tok"}, {Query: "jwt"}, {Form: "jwt"},
	}}}})
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	for _, test := range []struct {
		name        string
		method      string
		in          gate.Header
		query, body string
		out         gate.Header
		outQuery    string
		outBody     string
		reason      gate.Reason
	}{
		{name: "nothing", in: gate.Header{{Name: "A", Value: "b"}}, out: gate.Header{{Name: "A", Value: "b"}}},
		{name: "forged header", in: gate.Header{{Name: "Authorization", Value: "Bearer forged"}, {Name: "A", Value: "b"}}, out: gate.Header{{Name: "A", Value: "b"}}},
		{name: "two headers", in: gate.Header{{Name: "Authorization", Value: "Bearer a"}, {Name: "Authorization", Value: "Bearer b"}}, out: gate.Header{}},
		{name: "other credentials stay", in: gate.Header{{Name: "Authorization", Value: "Basic eDp5"}}, out: gate.Header{{Name: "Authorization", Value: "Basic eDp5"}}},
		{name: "other header, cookie and query at once", in: gate.Header{{Name: "X-Token", Value: "forged"}, {Name: "Cookie", Value: "a=b; tok=forged; c=d"}}, query: "jwt=forged&x=1",
			out: gate.Header{{Name: "Cookie", Value: "a=b; c=d"}}, outQuery: "x=1"},
		{name: "query twice", query: "jwt=a&x=1&jwt=b", out: gate.Header{}, outQuery: "x=1"},
		{name: "form", method: "POST", in: gate.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}, body: "a=1&jwt=forged",
			out: gate.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}, outBody: "a=1"},
		{name: "a form that cannot be read", method: "POST", in: gate.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}, body: "jwt%zz=x",
			reason: gate.ReasonBodyForm},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := &gate.Exchange{Method: test.method, In: test.in, OutQuery: test.query, Out: append(gate.Header{}, test.in...), Body: http.NoBody}
			if x.Method == "" {
				x.Method = "GET"
			}
			if test.body != "" {
				x.Body, x.Length = io.NopCloser(strings.NewReader(test.body)), int64(len(test.body))
			}
			x.Target = "/p?" + test.query
			err := step.Handle(x)
			if test.reason != "" {
				if err == nil || gate.AsDenial(err).Reason != test.reason {
					t.Fatalf("err = %v, want %s", err, test.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(x.Body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.out, x.Out); diff != "" || x.OutQuery != test.outQuery || string(body) != test.outBody || x.Length != int64(len(test.outBody)) {
				t.Errorf("query %q, body %q (length %d), header (-want +got):\n%s", x.OutQuery, body, x.Length, diff)
			}
		})
	}
}
