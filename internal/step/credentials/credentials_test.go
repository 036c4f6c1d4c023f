package credentials_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/jwt"
	"github.com/jotgate/jotgate/internal/keys"
	"github.com/jotgate/jotgate/internal/step/credentials"
	"github.com/jotgate/jotgate/jose"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// oneKey is a provider's only key.
type oneKey struct{ key *jose.Key }

func (k oneKey) Keys(_ context.Context, kid string, alg jose.Algorithm) ([]*jose.Key, error) {
	if kid != k.key.KeyID() || !k.key.Fits(alg) {
		return nil, keys.ErrUnknownKey
	}
	return []*jose.Key{k.key}, nil
}

func (oneKey) Verified(*jose.Key) {}

func (oneKey) Generation() uint64 { return 1 }

// anyone are the rules of an API that every good token will do for.
func anyone(*gate.Identity, *gate.Trace) (gate.Header, error) { return nil, nil }

// setup is a verifier and tokens that it accepts.
type setup struct {
	verifier          *jwt.Verifier
	good, other, fake string
}

func prepare(tb testing.TB) setup {
	tb.Helper()
	p := &gate.Provider{Name: "a", Issuer: "https://a.example.com", AnyAudience: true, Algorithms: []string{"EdDSA"}}
	p.SetDefaults()
	sign := func(key *jose.SigningKey, sub string) string {
		payload := fmt.Sprintf(`{"iss":"https://a.example.com","sub":%q,"exp":%d}`, sub, now.Unix()+60)
		token, err := key.Sign([]byte(payload), jose.SigningHeader{})
		if err != nil {
			tb.Fatal(err)
		}
		return token
	}
	key, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		tb.Fatal(err)
	}
	attacker, err := jose.GenerateKey(jose.EdDSA)
	if err != nil {
		tb.Fatal(err)
	}
	compiled, problems := jwt.NewProvider(p, oneKey{key.Public()})
	if problems != nil {
		tb.Fatal(problems)
	}
	v, err := jwt.New([]*jwt.Provider{compiled})
	if err != nil {
		tb.Fatal(err)
	}
	return setup{v, sign(key, "alice"), sign(key, "bob"), sign(attacker.WithKeyID(key.KeyID()), "alice")}
}

func api(strip bool, from ...gate.TokenSource) *gate.API {
	return &gate.API{
		Name: "tickets", Origin: gate.Origin{Object: "apis[0]"},
		Auth: gate.Auth{JWT: &gate.JWT{Providers: []string{"a"}, From: from, StripAuthorization: strip}},
	}
}

// everywhere is an API that looks in all kinds of places.
func everywhere(strip bool) *gate.API {
	return api(strip,
		gate.TokenSource{Header: "Authorization"}, gate.TokenSource{Header: "X-Token"},
		gate.TokenSource{Cookie: "access_token"}, gate.TokenSource{Query: "jwt"}, gate.TokenSource{Form: "jwt"})
}

func step(tb testing.TB, s setup, api *gate.API) *credentials.Step {
	tb.Helper()
	made, problems := credentials.New(api, jwt.NewAdmission(s.verifier, anyone, nil, nil), nil)
	if problems.Err() != nil {
		tb.Fatal(problems)
	}
	return made
}

// body is a request body that knows whether it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

// request is what a test sends. G, O and F in it stand for a good token, another good one, and a forged one.
type request struct {
	method string
	header string
	query  string
	form   string
	length int64 // 0: that of form
}

func (r request) exchange(s setup) *gate.Exchange {
	fill := func(text string) string {
		return regexp.MustCompile(`\b[GOF]\b`).ReplaceAllStringFunc(text, func(name string) string {
			return map[string]string{"G": s.good, "O": s.other, "F": s.fake}[name]
		})
	}
	x := &gate.Exchange{Method: r.method, Context: context.Background(), Start: now, OutQuery: fill(r.query)}
	for line := range strings.SplitSeq(r.header, "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			x.In.Add(name, fill(value))
		}
	}
	x.Out = append(x.Out, x.In...)
	text := fill(r.form)
	x.Body, x.Length = &body{Reader: strings.NewReader(text)}, int64(len(text))
	if r.length != 0 {
		x.Length = r.length
	}
	return x
}

const formType = "Content-Type: application/x-www-form-urlencoded\n"

func TestFindsTheToken(t *testing.T) {
	s := prepare(t)
	strict := step(t, s, api(false))
	all := step(t, s, everywhere(false))
	for _, tt := range []struct {
		name string
		step *credentials.Step
		request
		want gate.Reason // "" for alice
	}{
		{"Authorization", strict, request{header: "Authorization: Bearer G"}, ""},
		{"scheme in lower case", strict, request{header: "authorization: bearer G"}, ""},
		{"scheme in upper case, more spaces", strict, request{header: "Authorization: BEARER   G"}, ""},
		{"nothing", strict, request{}, gate.ReasonTokenMissing},
		{"nothing anywhere", all, request{}, gate.ReasonTokenMissing},
		{"forged", strict, request{header: "Authorization: Bearer F"}, gate.ReasonSignature},
		{"no token", strict, request{header: "Authorization: Bearer "}, gate.ReasonTokenMalformed},
		{"only the scheme", strict, request{header: "Authorization: Bearer"}, gate.ReasonTokenMalformed},
		{"no scheme", strict, request{header: "Authorization: G"}, gate.ReasonSchemeUnsupported},
		{"no space", strict, request{header: "Authorization: BearerG"}, gate.ReasonSchemeUnsupported},
		{"tab", strict, request{header: "Authorization: Bearer\tG"}, gate.ReasonSchemeUnsupported},
		{"Basic", strict, request{header: "Authorization: Basic YTpi"}, gate.ReasonSchemeUnsupported},
		{"attack: two tokens in one field", strict, request{header: "Authorization: Bearer G, Bearer O"}, gate.ReasonTokenMalformed},
		{"attack: two tokens by space", strict, request{header: "Authorization: Bearer G O"}, gate.ReasonTokenMalformed},
		{"attack: parameter", strict, request{header: `Authorization: Bearer token="G"`}, gate.ReasonTokenMalformed},
		{"attack: JSON", strict, request{header: `Authorization: Bearer {"payload":"x"}`}, gate.ReasonTokenMalformed},
		{"attack: Authorization twice", strict, request{header: "Authorization: Bearer G\nAuthorization: Bearer F"}, gate.ReasonTokenAmbiguous},
		{"attack: Authorization twice, equal", strict, request{header: "Authorization: Bearer G\nauthorization: Bearer G"}, gate.ReasonTokenAmbiguous},
		{"attack: Authorization twice, other scheme", strict, request{header: "Authorization: Bearer G\nAuthorization: Basic YTpi"}, gate.ReasonTokenAmbiguous},
		{"places that are not configured", strict, request{method: "POST", header: formType + "Cookie: access_token=G", query: "jwt=G", form: "jwt=G"}, gate.ReasonTokenMissing},
		{"other places do not matter where they are not configured", strict, request{header: "Authorization: Bearer G\nCookie: access_token=F", query: "jwt=F"}, ""},

		{"own header", all, request{header: "X-Token: G"}, ""},
		{"own header with scheme", all, request{header: "X-Token: Bearer G"}, ""},
		{"own header with another scheme", all, request{header: "X-Token: Basic YTpi"}, gate.ReasonTokenMalformed},
		{"attack: own header twice", all, request{header: "X-Token: G\nX-Token: G"}, gate.ReasonTokenAmbiguous},
		{"attack: own header in another spelling", all, request{header: "X-Token: G\nX_Token: F"}, gate.ReasonTokenAmbiguous},
		{"attack: own header in another spelling, alone", all, request{header: "Authorization: Bearer G\nx.token: F"}, gate.ReasonTokenAmbiguous},

		{"cookie", all, request{header: "Cookie: a=b; access_token=G; c=d"}, ""},
		{"cookie in quotes", all, request{header: `Cookie: access_token="G"`}, ""},
		{"cookie in the second line", all, request{header: "Cookie: a=b\nCookie: access_token=G"}, ""},
		{"cookie in another case", all, request{header: "Cookie: Access_Token=G"}, gate.ReasonTokenMissing},
		{"cookie with the name inside", all, request{header: "Cookie: xaccess_token=G; access_token2=G"}, gate.ReasonTokenMissing},
		{"cookie forged", all, request{header: "Cookie: access_token=F"}, gate.ReasonSignature},
		{"cookie emptied by a logout", all, request{header: "Cookie: access_token=\nAuthorization: Bearer G"}, ""},
		{"attack: cookie twice", all, request{header: "Cookie: access_token=G; access_token=G"}, gate.ReasonTokenAmbiguous},
		{"attack: cookie twice, once empty", all, request{header: "Cookie: access_token=; access_token=G"}, gate.ReasonTokenAmbiguous},
		{"attack: cookie twice in two lines", all, request{header: "Cookie: access_token=G\nCookie: access_token=F"}, gate.ReasonTokenAmbiguous},

		{"query", all, request{query: "a=b&jwt=G&c"}, ""},
		{"query encoded", all, request{query: "%6Awt=G"}, ""},
		{"query in another case", all, request{query: "JWT=G"}, gate.ReasonTokenMissing},
		{"query forged", all, request{query: "jwt=F"}, gate.ReasonSignature},
		{"query value with a bad escape", all, request{query: "jwt=%zz"}, gate.ReasonTokenMalformed},
		{"attack: query twice", all, request{query: "jwt=G&jwt=F"}, gate.ReasonTokenAmbiguous},
		{"attack: query twice, equal", all, request{query: "jwt=G&jwt=G"}, gate.ReasonTokenAmbiguous},
		{"attack: query twice, encoded", all, request{query: "jwt=G&j%77t=F"}, gate.ReasonTokenAmbiguous},
		{"attack: query twice by semicolon", all, request{query: "jwt=G&a=b;jwt=F"}, gate.ReasonTokenAmbiguous},
		{"attack: query hidden by semicolon", all, request{query: "a=b;jwt=F"}, gate.ReasonTokenAmbiguous},
		{"attack: query with something after a semicolon", all, request{query: "jwt=G;a=b"}, gate.ReasonTokenMalformed},
		{"attack: a name that cannot be decoded", all, request{query: "jwt=G&j%7=F"}, gate.ReasonBadTarget},
		{"broken escapes in other values are the upstream's", all, request{query: "jwt=G&a=%zz"}, ""},

		{"form", all, request{method: "POST", header: formType, form: "a=b&jwt=G"}, ""},
		{"form with charset", all, request{method: "PUT", header: "Content-Type: Application/X-WWW-Form-Urlencoded ; charset=utf-8", form: "jwt=G"}, ""},
		{"form of unknown length", all, request{method: "POST", header: formType, form: "jwt=G", length: -1}, ""},
		{"form forged", all, request{method: "POST", header: formType, form: "jwt=F"}, gate.ReasonSignature},
		{"form by GET", all, request{method: "GET", header: formType, form: "jwt=G"}, gate.ReasonTokenMissing},
		{"form of another type", all, request{method: "POST", header: "Content-Type: text/plain", form: "jwt=G"}, gate.ReasonTokenMissing},
		{"attack: form parameter twice", all, request{method: "POST", header: formType, form: "jwt=G&jwt=G"}, gate.ReasonTokenAmbiguous},
		{"attack: form parameter that cannot be decoded", all, request{method: "POST", header: formType, form: "jwt=G&%=1"}, gate.ReasonBodyForm},
		{"attack: two Content-Types", all, request{method: "POST", header: formType + "Content-Type: text/plain", form: "jwt=G"}, gate.ReasonBodyForm},
		{"attack: encoded form", all, request{method: "POST", header: formType + "Content-Encoding: gzip\nAuthorization: Bearer G", form: "xx"}, gate.ReasonBodyForm},
		{"form too large by length", all, request{method: "POST", header: formType + "Authorization: Bearer G", length: 64<<10 + 1}, gate.ReasonBodyLarge},
		{"form too large", all, request{method: "POST", header: formType, form: "jwt=G&a=" + strings.Repeat("x", 64<<10), length: -1}, gate.ReasonBodyLarge},

		{"attack: header and query", all, request{header: "Authorization: Bearer G", query: "jwt=F"}, gate.ReasonTokenAmbiguous},
		{"attack: header and query, equal", all, request{header: "Authorization: Bearer G", query: "jwt=G"}, gate.ReasonTokenAmbiguous},
		{"attack: header and cookie", all, request{header: "Authorization: Bearer G\nCookie: access_token=O"}, gate.ReasonTokenAmbiguous},
		{"attack: bad header and good cookie", all, request{header: "Authorization: Bearer F\nCookie: access_token=G"}, gate.ReasonTokenAmbiguous},
		{"attack: header and form", all, request{method: "POST", header: formType + "Authorization: Bearer G", form: "jwt=F"}, gate.ReasonTokenAmbiguous},
		{"attack: query and form", all, request{method: "POST", header: formType, query: "jwt=G", form: "jwt=G"}, gate.ReasonTokenAmbiguous},
		{"attack: two headers", all, request{header: "Authorization: Bearer G\nX-Token: G"}, gate.ReasonTokenAmbiguous},
		{"attack: Basic and a cookie", all, request{header: "Authorization: Basic YTpi\nCookie: access_token=G"}, gate.ReasonTokenAmbiguous},
		{"Basic alone", all, request{header: "Authorization: Basic YTpi"}, gate.ReasonSchemeUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := tt.exchange(s)
			x.Trace = new(gate.Trace)
			err := tt.step.Handle(x)
			got := gate.Reason("")
			if err != nil {
				got = gate.AsDenial(err).Reason
			}
			if got != tt.want {
				t.Fatalf("reason %q, want %q (%v)", got, tt.want, err)
			}
			if tt.want == "" && (x.Identity == nil || x.Identity.Subject != "alice") || tt.want != "" && x.Identity != nil {
				t.Errorf("identity %+v", x.Identity)
			}
			if tt.want != "" {
				if last := x.Trace.Checks[len(x.Trace.Checks)-1]; last.Reason != tt.want {
					t.Errorf("the explanation ends with %+v", last)
				}
			}
			for _, c := range x.Trace.Checks {
				if strings.Contains(c.Got+c.Expected, s.good) || strings.Contains(c.Got+c.Expected, s.fake) {
					t.Errorf("a token is in the explanation: %+v", c)
				}
			}
		})
	}
}

// TestStrip: the token goes, wherever it was, and nothing else does.
func TestStrip(t *testing.T) {
	s := prepare(t)
	for _, tt := range []struct {
		name        string
		request     request
		header      string // of x.Out
		query, form string
	}{
		{"Authorization", request{header: "A: 1\nAuthorization: Bearer G\nB: 2", query: "a=b"}, "A: 1\nB: 2\n", "a=b", ""},
		{"own header", request{header: "x-token: G\nB: 2"}, "B: 2\n", "", ""},
		{"cookie between others", request{header: "Cookie: a=b; access_token=G;c=d"}, "Cookie: a=b; c=d\n", "", ""},
		{"cookie alone", request{header: "A: 1\nCookie: access_token=G"}, "A: 1\n", "", ""},
		{"cookie in its own line", request{header: "Cookie: a=b;c=\"x y\"\nCookie: access_token=G\nCookie: d=e"}, "Cookie: a=b;c=\"x y\"\nCookie: d=e\n", "", ""},
		{"query first", request{query: "jwt=G&a=%zz&&b=+"}, "", "a=%zz&&b=+", ""},
		{"query between", request{query: "a=1&%6awt=G&b"}, "", "a=1&b", ""},
		{"query last", request{query: "a=1&jwt=G"}, "", "a=1", ""},
		{"query alone", request{query: "jwt=G"}, "", "", ""},
		{"form", request{method: "POST", header: formType, form: "a=%20b&jwt=G&c=%c3%a4+"}, formType, "", "a=%20b&c=%c3%a4+"},
		{"form alone", request{method: "POST", header: formType, form: "jwt=G"}, formType, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := tt.request.exchange(s)
			source := x.Body.(*body)
			if err := step(t, s, everywhere(true)).Handle(x); err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(x.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{print(x.Out), x.OutQuery, string(text), fmt.Sprint(x.Length)}
			if diff := cmp.Diff([]string{strings.ReplaceAll(tt.header, "\n\n", "\n"), tt.query, tt.form, fmt.Sprint(len(tt.form))}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(strings.Join(got, ""), s.good) {
				t.Error("the token is still there")
			}
			if err := x.Body.Close(); err != nil || !source.closed {
				t.Errorf("closing the body: %v, source closed: %v", err, source.closed)
			}
		})
	}
}

func print(h gate.Header) string {
	var b strings.Builder
	for _, f := range h {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

// TestFormIsReplayed: a form that was looked into reaches the upstream byte for byte, with the framing it came with.
func TestFormIsReplayed(t *testing.T) {
	s := prepare(t)
	form := "a=%20+b&jwt=" + s.good + "&c=\xff"
	for _, length := range []int64{0, -1} {
		x := request{method: "POST", header: formType, form: "a=%20+b&jwt=G&c=\xff", length: length}.exchange(s)
		if err := step(t, s, everywhere(false)).Handle(x); err != nil {
			t.Fatal(err)
		}
		want := int64(len(form))
		if length < 0 {
			want = -1
		}
		text, _ := io.ReadAll(x.Body)
		if string(text) != form || x.Length != want {
			t.Errorf("length %d: %d bytes, Length %d", length, len(text), x.Length)
		}
	}
}

// TestFormBodyErrors: what the server says about a body that cannot be read is passed on.
func TestFormBodyErrors(t *testing.T) {
	s := prepare(t)
	for _, tt := range []struct {
		err  error
		want gate.Reason
	}{
		{gate.Deny(gate.ReasonSlowRequest, nil), gate.ReasonSlowRequest},
		{fmt.Errorf("reading: %w", gate.Deny(gate.ReasonBodyLarge, nil)), gate.ReasonBodyLarge},
		{io.ErrUnexpectedEOF, gate.ReasonBodyForm},
	} {
		x := request{method: "POST", header: formType, length: 100}.exchange(s)
		x.Body = &body{Reader: io.MultiReader(strings.NewReader("jwt="), errorReader{tt.err})}
		err := step(t, s, everywhere(false)).Handle(x)
		if gate.AsDenial(err).Reason != tt.want || !errors.Is(err, tt.err) && tt.want == gate.ReasonBodyForm {
			t.Errorf("%v: %v", tt.err, err)
		}
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		from []gate.TokenSource
		want []string
	}{
		{"default", nil, nil},
		{"all kinds", everywhere(false).Auth.JWT.From, []string{
			"warning: apis[0].auth.jwt.from[3].query: tokens in addresses end up in logs and histories (OAuth 2.1 forbids it)",
		}},
		{"empty and double", []gate.TokenSource{{}, {Header: "A", Cookie: "b"}}, []string{
			"apis[0].auth.jwt.from[0]: needs exactly one of header, cookie, query and form (make one element for each place)",
			"apis[0].auth.jwt.from[1]: needs exactly one of header, cookie, query and form (make one element for each place)",
		}},
		{"repeated", []gate.TokenSource{{Header: "X-A"}, {Header: "x_a"}, {Cookie: "a"}, {Cookie: "A"}, {Cookie: "a"}}, []string{
			"apis[0].auth.jwt.from[1]: header x_a is listed twice",
			"apis[0].auth.jwt.from[4]: cookie a is listed twice",
		}},
		{"bad names", []gate.TokenSource{{Header: "X A"}, {Header: "Cookie"}, {Cookie: "a=b"}}, []string{
			"apis[0].auth.jwt.from[0].header: is not a header name",
			"apis[0].auth.jwt.from[1].header: Cookie cannot carry a token",
			"apis[0].auth.jwt.from[2].cookie: is not a cookie name",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			problems := credentials.Check(api(false, tt.from...))
			for _, p := range problems {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			made, again := credentials.New(api(false, tt.from...), nil, nil)
			if diff := cmp.Diff(problems, again); diff != "" {
				t.Errorf("New and Check differ:\n%s", diff)
			}
			if (made == nil) != (problems.Err() != nil) {
				t.Errorf("step %v with %v", made, problems)
			}
		})
	}
}

// TestQueryTokenIsNotCached: shared caches would keep the address, with the token in it.
func TestQueryTokenIsNotCached(t *testing.T) {
	s := prepare(t)
	for _, tt := range []struct {
		query, header string
		status        int
		reply, want   string
	}{
		{"jwt=G", "", 200, "A: b", "A: b\nCache-Control: private\n"},
		{"jwt=G", "", 200, "Cache-Control: max-age=60", "Cache-Control: max-age=60\nCache-Control: private\n"},
		{"jwt=G", "", 200, "cache-control: max-age=60, Private", "cache-control: max-age=60, Private\n"},
		{"jwt=G", "", 206, "Cache-Control: no-store", "Cache-Control: no-store\n"},
		{"jwt=G", "", 404, "A: b", "A: b\n"},
		{"", "Authorization: Bearer G", 200, "A: b", "A: b\n"},
	} {
		x := request{query: tt.query, header: tt.header}.exchange(s)
		if err := step(t, s, everywhere(false)).Handle(x); err != nil {
			t.Fatal(err)
		}
		x.Writer, x.Reply = discard{}, request{header: tt.reply}.exchange(s).In
		if err := x.WriteHead(tt.status, 0); err != nil {
			t.Fatal(err)
		}
		if got := print(x.Reply); got != tt.want {
			t.Errorf("%+v: reply %q", tt, got)
		}
	}
}

// discard is a client that does not look at the response.
type discard struct{ gate.Writer }

func (discard) Head(int, gate.Header, int64) error { return nil }

// FuzzOneTokenOnly: however a query is written, the step never takes a token from one in which a lenient reader sees a second.
func FuzzOneTokenOnly(f *testing.F) {
	s := prepare(f)
	handler := step(f, s, api(true, gate.TokenSource{Query: "jwt"}))
	for _, seed := range []string{"a=b&%6awt=x", "jwt=x;jwt=y", "&&=&jwt", "j%7", "jwt%", "+jwt=1", "jwt[]=x"} {
		f.Add(seed, "c=d")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		x := request{}.exchange(s)
		x.OutQuery = before + "&jwt=" + s.good + "&" + after
		err := handler.Handle(x)
		if err != nil {
			return
		}
		for _, lenient := range []string{before, after} {
			for part := range strings.FieldsFuncSeq(lenient, func(r rune) bool { return r == '&' || r == ';' }) {
				if name, _, _ := strings.Cut(part, "="); name == "jwt" {
					t.Fatalf("%q was taken", x.OutQuery)
				}
			}
		}
		if x.OutQuery != before+"&"+after {
			t.Fatalf("%q became of %q and %q", x.OutQuery, before, after)
		}
	})
}

func BenchmarkHandle(b *testing.B) {
	s := prepare(b)
	handler := step(b, s, everywhere(true))
	x := request{header: "User-Agent: x\nAccept: */*\nCookie: a=b; c=d\nAuthorization: Bearer G", query: "a=b"}.exchange(s)
	out := x.Out
	b.ReportAllocs()
	for b.Loop() {
		x.Out = append(out[:0], x.In...)
		if err := handler.Handle(x); err != nil {
			b.Fatal(err)
		}
	}
}
