package claims_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/claims"
)

func parse(tb testing.TB, payload string) *claims.Set {
	tb.Helper()
	s, err := claims.Parse([]byte(payload), claims.Limits{})
	if err != nil {
		tb.Fatalf("Parse(%q): %v", payload, err)
	}
	return s
}

// native converts a value to what encoding/json makes of it with UseNumber.
func native(v claims.Value) any {
	switch v.Kind() {
	case claims.String:
		text, _ := v.AsString()
		return text
	case claims.Number:
		literal, _ := v.AsNumber()
		return json.Number(literal)
	case claims.Bool:
		b, _ := v.AsBool()
		return b
	case claims.Array:
		elements := []any{}
		for e := range v.Elements() {
			elements = append(elements, native(e))
		}
		return elements
	case claims.Object:
		members := map[string]any{}
		for name, m := range v.Members() {
			members[name] = native(m)
		}
		return members
	}
	return nil
}

func TestParse(t *testing.T) {
	tests := []struct {
		payload string
		want    map[string]any
	}{
		{`{}`, map[string]any{}},
		{" \t\r\n{ \"a\" : 1 , \"b\" : [ ] } \n", map[string]any{"a": json.Number("1"), "b": []any{}}},
		{`{"n":-0.10e+2,"t":true,"f":false,"z":null}`, map[string]any{"n": json.Number("-0.10e+2"), "t": true, "f": false, "z": nil}},
		{`{"big":123456789012345678901234567890}`, map[string]any{"big": json.Number("123456789012345678901234567890")}},
		{`{"a":[1,["x",{}],{"b":{"c":"d"}}],"e":"f"}`, map[string]any{
			"a": []any{json.Number("1"), []any{"x", map[string]any{}}, map[string]any{"b": map[string]any{"c": "d"}}}, "e": "f",
		}},
		{`{"esc":"\"\\\/\b\f\n\r\t\u00e9\u0000","pair":"\ud83d\ude00!","\u0061":"k"}`, map[string]any{
			"esc": "\"\\/\b\f\n\r\té\x00", "pair": "😀!", "a": "k",
		}},
		{`{"one":"\u0031","two":"plain","three":"3\u0033\u00333"}`, map[string]any{"one": "1", "two": "plain", "three": "3333"}},
		{`{"":"empty"}`, map[string]any{"": "empty"}},
		{`{"sub":1,"SUB":2,"Sub":3}`, map[string]any{"sub": json.Number("1"), "SUB": json.Number("2"), "Sub": json.Number("3")}},
		{`{"a":{"x":1},"b":{"x":1}}`, map[string]any{"a": map[string]any{"x": json.Number("1")}, "b": map[string]any{"x": json.Number("1")}}},
		{"{\"del\":\"\x7f\u2028\uFFFD\"}", map[string]any{"del": "\x7f\u2028\uFFFD"}},
	}
	for _, tt := range tests {
		s := parse(t, tt.payload)
		if diff := cmp.Diff(any(tt.want), native(s.Root())); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.payload, diff)
		}
	}
}

// manyMembers returns an object with members "0", "1" and so on, without its closing brace.
func manyMembers(n int) string {
	b := []byte(`{"0":0`)
	for i := 1; i < n; i++ {
		b = fmt.Appendf(b, `,"%d":0`, i)
	}
	return string(b)
}

func TestParseRefuses(t *testing.T) {
	var (
		malformed, duplicate = claims.ErrMalformed, claims.ErrDuplicate
		limit, notObject     = claims.ErrLimit, claims.ErrNotObject
		many                 = strings.Repeat(`{"k":`, 33) + "1" + strings.Repeat("}", 33)
	)
	tests := []struct {
		name, payload string
		kind          error
		offset        int
	}{
		{"empty", "", malformed, 0},
		{"space", "  ", malformed, 2},
		{"null", "null", notObject, 0},
		{"array", "[1]", notObject, 0},
		{"string", `"x"`, notObject, 0},
		{"number", "1", notObject, 0},
		{"broken array", "[1", malformed, 2},
		{"byte order mark", "\xef\xbb\xbf{}", malformed, 0},
		{"second value", "{}{}", malformed, 2},
		{"second value after space", "{} 1", malformed, 3},
		{"trailing NUL", "{}\x00", malformed, 2},
		{"invalid UTF-8 in a value", "{\"a\":\"\xff\"}", malformed, 6},
		{"invalid UTF-8 in a name", "{\"\xc0\x80\":1}", malformed, 2},
		{"surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", malformed, 6},
		{"UTF-16", "\xff\xfe{\x00}\x00", malformed, 0},
		{"duplicate", `{"sub":"a","sub":"b"}`, duplicate, 17},
		{"duplicate, same value", `{"sub":"a","sub":"a"}`, duplicate, 17},
		{"duplicate by escape", `{"s\u0075b":"a","sub":"b"}`, duplicate, 22},
		{"duplicate by two escapes", `{"\u0073ub":"a","su\u0062":"b"}`, duplicate, 27},
		{"duplicate, nested", `{"a":[{"b":{"c":1,"d":[],"c":2}}]}`, duplicate, 29},
		{"duplicate empty name", `{"":1,"":2}`, duplicate, 9},
		{"duplicate among many", manyMembers(40) + `,"7":1}`, duplicate, 275},
		{"lone high surrogate", `{"a":"\ud800"}`, malformed, 6},
		{"lone low surrogate", `{"a":"\udc00"}`, malformed, 6},
		{"two high surrogates", `{"a":"\ud800\ud800"}`, malformed, 6},
		{"high surrogate and text", `{"a":"\ud800\n"}`, malformed, 6},
		{"lone surrogate in a name", `{"\udfff":1}`, malformed, 2},
		{"short escape", `{"a":"\u12"}`, malformed, 6},
		{"unknown escape", `{"a":"\x41"}`, malformed, 6},
		{"quote escape", `{"a":"\'"}`, malformed, 6},
		{"escape at the end", `{"a":"\`, malformed, 6},
		{"raw line break", "{\"a\":\"\n\"}", malformed, 6},
		{"raw NUL", "{\"a\":\"\x00\"}", malformed, 6},
		{"raw tab after escape", "{\"a\":\"\\n\t\"}", malformed, 8},
		{"open string", `{"a":"x`, malformed, 7},
		{"open string after escape", `{"a":"\n`, malformed, 8},
		{"single quotes", `{'a':1}`, malformed, 1},
		{"bare name", `{a:1}`, malformed, 1},
		{"number as name", `{1:1}`, malformed, 1},
		{"no colon", `{"a" 1}`, malformed, 5},
		{"no value", `{"a":}`, malformed, 5},
		{"no comma", `{"a":1 "b":2}`, malformed, 7},
		{"trailing comma", `{"a":1,}`, malformed, 7},
		{"trailing comma in array", `{"a":[1,]}`, malformed, 8},
		{"leading comma", `{,"a":1}`, malformed, 1},
		{"wrong bracket", `{"a":[1}`, malformed, 7},
		{"open object", `{"a":1`, malformed, 6},
		{"comment", `{"a":1/**/}`, malformed, 6},
		{"form feed", "{\f}", malformed, 1},
		{"no-break space", "{\u00a0}", malformed, 1},
		{"leading zero", `{"a":01}`, malformed, 6},
		{"leading plus", `{"a":+1}`, malformed, 5},
		{"leading dot", `{"a":.5}`, malformed, 5},
		{"trailing dot", `{"a":1.}`, malformed, 7},
		{"no exponent", `{"a":1e}`, malformed, 7},
		{"no exponent after sign", `{"a":1e-}`, malformed, 8},
		{"minus only", `{"a":-}`, malformed, 6},
		{"hexadecimal", `{"a":0x10}`, malformed, 6},
		{"NaN", `{"a":NaN}`, malformed, 5},
		{"Infinity", `{"a":-Infinity}`, malformed, 6},
		{"True", `{"a":True}`, malformed, 5},
		{"truex", `{"a":truex}`, malformed, 9},
		{"nul", `{"a":nul}`, malformed, 5},
		{"too deep", many, limit, 160},
		{"very deep", strings.Repeat("[", 200_000), limit, 32},
		{"too large", `{"a":"` + strings.Repeat("x", 1<<18) + `"}`, limit, 1 << 18},
	}
	for _, tt := range tests {
		_, err := claims.Parse([]byte(tt.payload), claims.Limits{})
		var at *claims.ParseError
		if !errors.As(err, &at) || !errors.Is(err, tt.kind) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.kind)
			continue
		}
		if at.Offset != tt.offset {
			t.Errorf("%s: offset %d (%v), want %d", tt.name, at.Offset, err, tt.offset)
		}
	}
}

// TestParseCutOff cuts a payload with everything in it at each byte, which every part of the parser must notice, and not by reading on.
func TestParseCutOff(t *testing.T) {
	payload := `{"sub":"alice and a longer text","n":[-1.5e+3,0,12,{"a":{}},[]],"w":[true,false,null],"é":"\u00e9\ud83d\ude00\n\"\\ and more","\u0061\/":{"x":"y"} } `
	parse(t, payload)
	for end := range len(payload) - 1 {
		if _, err := claims.Parse([]byte(payload[:end]), claims.Limits{}); !errors.Is(err, claims.ErrMalformed) {
			t.Errorf("%q: %v, want %v", payload[:end], err, claims.ErrMalformed)
		}
		for _, c := range []byte{0, '\n', 0x1f, 0x80, 0xff} { // in the place of each byte in turn, so at each of the eight that are looked at together
			agree(t, payload[:end]+string([]byte{c})+payload[end+1:])
		}
	}
}

// TestStringEnds puts each byte that ends a run of plain text at each distance from the others, and what must not end it too.
func TestStringEnds(t *testing.T) {
	for before := range 20 {
		for after := range 10 {
			for _, middle := range []string{``, `\"`, `\\`, `\u0041`, "é", "\x7f", "\u2028", "!", "#", "[", "]", " ", `"`, `\`, "\x1f", "\x00", "\xff"} {
				agree(t, `{"`+strings.Repeat("n", before)+`":"`+strings.Repeat("a", before)+middle+strings.Repeat("b", after)+`","z":1}`)
			}
		}
	}
}

// TestSetIsPartOfText: a set that parses a text keeps it and adds only its nodes, and an error leaves it as it was.
func TestSetIsPartOfText(t *testing.T) {
	var s claims.Set
	allocations := testing.AllocsPerRun(100, func() {
		if err := s.Parse(`{"iss":"https://id.example.com","sub":"alice","exp":1790000000,"scope":"a b"}`, claims.Limits{}); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 1 {
		t.Errorf("%v allocations", allocations)
	}
	if err := s.Parse(`{"sub":"bob"`, claims.Limits{}); !errors.Is(err, claims.ErrMalformed) {
		t.Error(err)
	}
	if text, _ := s.Get("sub").AsString(); text != "alice" || s.Root().Len() != 4 {
		t.Errorf("the set became %v", native(s.Root()))
	}
}

// TestLen counts children, not what is below them.
func TestLen(t *testing.T) {
	s := parse(t, `{"a":[[1,2],{"x":[3]},4],"b":{},"c":"text","d":{"x":1,"y":[5,6]}}`)
	for name, want := range map[string]int{"a": 3, "b": 0, "c": 0, "d": 2, "absent": 0} {
		if got := s.Get(name).Len(); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if got := s.Root().Len(); got != 4 {
		t.Errorf("the payload: %d, want 4", got)
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name    string
		limits  claims.Limits
		within  string
		outside string
	}{
		{"bytes", claims.Limits{Bytes: 7}, `{"a":1}`, `{"a":1} `},
		{"depth", claims.Limits{Depth: 2}, `{"a":[1]}`, `{"a":[[]]}`},
		{"depth of objects", claims.Limits{Depth: 1}, `{"a":1}`, `{"a":{}}`},
		{"members", claims.Limits{Members: 2}, `{"a":{"x":1,"y":2},"b":{"x":1,"y":2}}`, `{"a":1,"b":2,"c":3}`},
		{"values", claims.Limits{Values: 3}, `{"a":1,"b":2}`, `{"a":1,"b":[2]}`},
		{"string", claims.Limits{String: 3}, `{"a":"xyz"}`, `{"a":"wxyz"}`},
		{"escaped string", claims.Limits{String: 6}, `{"a":"\u0041"}`, `{"a":"\u0041b"}`},
		{"name", claims.Limits{String: 3}, `{"xyz":1}`, `{"wxyz":1}`},
		{"number", claims.Limits{String: 3}, `{"a":123}`, `{"a":1234}`},
	}
	for _, tt := range tests {
		if _, err := claims.Parse([]byte(tt.within), tt.limits); err != nil {
			t.Errorf("%s: within the limit: %v", tt.name, err)
		}
		if _, err := claims.Parse([]byte(tt.outside), tt.limits); !errors.Is(err, claims.ErrLimit) {
			t.Errorf("%s: beyond the limit: %v", tt.name, err)
		}
	}
	deep := strings.Repeat(`{"k":`, 1001) + "1" + strings.Repeat("}", 1001)
	if _, err := claims.Parse([]byte(deep), claims.Limits{Depth: 1 << 30}); !errors.Is(err, claims.ErrLimit) {
		t.Errorf("the depth limit has no ceiling: %v", err)
	}
}

// TestErrorHoldsNoClaims keeps claim values and names out of logs.
func TestErrorHoldsNoClaims(t *testing.T) {
	for _, payload := range []string{`{"secretname":"s3cr3t","secretname":1}`, `{"secretname":s3cr3t}`, `{"secretname":"s3cr3t\q"}`, `"s3cr3t`} {
		_, err := claims.Parse([]byte(payload), claims.Limits{})
		if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "secretname") {
			t.Errorf("Parse(%q) = %v", payload, err)
		}
	}
}

func TestSetOwnsItsMemory(t *testing.T) {
	payload := []byte(`{"sub":"alice","esc":"b\u006fb"}`)
	s, err := claims.Parse(payload, claims.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if diff := cmp.Diff(any(map[string]any{"sub": "alice", "esc": "bob"}), native(s.Root())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConcurrentReaders(t *testing.T) {
	s := parse(t, `{"grp":["a","b"],"n":{"x":"y"}}`)
	e, err := claims.Compile("OneOf(`grp`, `b`) && Equals(`n.x`, `y`)")
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 100 {
				if !e.Eval(s) || !e.Explain(s).Result {
					t.Error("the expression is false")
				}
			}
		})
	}
	readers.Wait()
}

// drawJSON writes any JSON value whose objects have no duplicate names, in any spelling.
func drawJSON(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 3).Draw(t, "kind")
	if depth > 0 {
		kind = rapid.IntRange(0, 5).Draw(t, "kind")
	}
	space := func() string { return rapid.SampledFrom([]string{"", "", " ", "\n\t", "\r"}).Draw(t, "space") }
	switch kind {
	case 0:
		return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word")
	case 1:
		return rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
	case 2, 3:
		return drawString(t, rapid.String().Draw(t, "text"))
	case 4:
		var elements []string
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			elements = append(elements, space()+drawJSON(t, depth-1)+space())
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	return drawObject(t, depth)
}

func drawObject(t *rapid.T, depth int) string {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c.\\é]{0,3}`), 0, 20, rapid.ID[string]).Draw(t, "names")
	var members []string
	for _, name := range names {
		members = append(members, drawString(t, name)+" : "+drawJSON(t, depth-1))
	}
	return "{" + strings.Join(members, " ,") + "}"
}

func drawString(t *rapid.T, text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "escape letters") {
		return strings.ReplaceAll(string(encoded), "a", `\u0061`)
	}
	return string(encoded)
}

func TestParseAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := drawObject(t, 3)
		if rapid.Bool().Draw(t, "damage") { // most damaged texts are not JSON, some still are
			at := rapid.IntRange(0, len(payload)).Draw(t, "at")
			payload = payload[:at] + rapid.SampledFrom([]string{"", "\"", ",", "}", "[", "0", "-", "e", "\\", "\x00", "nul"}).Draw(t, "junk") +
				payload[min(len(payload), at+rapid.IntRange(0, 2).Draw(t, "removed")):]
		}
		agree(t, payload)
	})
}

// agree checks that what encoding/json accepts as one object, Parse reads alike, unless it has a reason that encoding/json does not know; and that Parse accepts
// nothing else.
func agree(t interface{ Fatalf(string, ...any) }, payload string) {
	s, err := claims.Parse([]byte(payload), claims.Limits{})
	var want any
	d := json.NewDecoder(strings.NewReader(payload))
	d.UseNumber()
	reference := d.Decode(&want)
	if reference == nil && d.Decode(new(any)) != io.EOF {
		reference = errors.New("text after the value")
	}
	_, isObject := want.(map[string]any)
	switch {
	case err == nil && (reference != nil || !isObject):
		t.Fatalf("Parse(%q) accepts what encoding/json does not: %v", payload, reference)
	case err == nil:
		if diff := cmp.Diff(want, native(s.Root())); diff != "" {
			t.Fatalf("Parse(%q) (-want +got):\n%s", payload, diff)
		}
	case reference == nil && isObject && errors.Is(err, claims.ErrMalformed) && !lenient(payload):
		t.Fatalf("Parse(%q) = %v, but encoding/json accepts it", payload, err)
	}
}

// lenient reports whether encoding/json may have replaced text that stands for no character.
func lenient(payload string) bool {
	return strings.ToValidUTF8(payload, "") != payload || strings.Contains(strings.ToLower(payload), `\ud`)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"a","aud":["x","y"],"exp":1.5e9,"n":{"a":null,"b":true}}`, `{"s\u0075b":1,"sub":2}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ud800"}`,
		"\xef\xbb\xbf{}", `{"a":[[[[[]]]]]}`, `{"a":-0.0E-0}`, `null`, `{"a":1}{}`, "{\"a\":\"\xff\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		agree(t, payload)
		s, err := claims.Parse([]byte(payload), claims.Limits{})
		if err != nil {
			return
		}
		for _, v := range s.Root().Members() {
			_, _ = v.NumericDate()
			_, _ = claims.HeaderValues(v)
			_, _ = v.Strings()
		}
		again := parse(t, s.Root().JSON())
		if diff := cmp.Diff(native(s.Root()), native(again.Root())); diff != "" {
			t.Fatalf("JSON() of %q (-want +got):\n%s", payload, diff)
		}
	})
}

const typicalPayload = `{"iss":"https://id.example.com/realms/demo","sub":"f3b1c0de-8a4e-4a5e-9f3c-0f4b6a1b2c3d","aud":["tickets","account"],` +
	`"exp":1790000000,"iat":1789996400,"jti":"0d5c5e0a-3b57-4f6c-8a43-9a8c8a3f8a0e","typ":"Bearer","azp":"web","acr":"1",` +
	`"realm_access":{"roles":["offline_access","uma_authorization","default-roles-demo"]},` +
	`"resource_access":{"account":{"roles":["manage-account","view-profile"]}},"scope":"openid email profile tickets:write",` +
	`"email_verified":true,"name":"J\u00f6rg Example","preferred_username":"joerg","email":"joerg@example.com","grp":"admin"}`

func TestParseAllocations(t *testing.T) {
	payload := []byte(typicalPayload)
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := claims.Parse(payload, claims.Limits{}); err != nil {
			t.Fatal(err)
		}
	})
	// The copy of the text, the nodes, the set, the escapes as they are resolved and what is kept of them.
	if allocations > 5 {
		t.Errorf("Parse allocates %v times", allocations)
	}
}

// TestSize: what a set says that it takes is what it takes.
func TestSize(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for name, payload := range map[string]string{
		"usual": typicalPayload, "empty": `{}`, "numbers": `{"a":[` + strings.Repeat("1,", 500) + `1]}`, "escapes": `{"a":"` + strings.Repeat(`\u0041`, 500) + `"}`,
	} {
		sets := make([]*claims.Set, 1000)
		before, said := heap(), int64(0)
		for i := range sets {
			set, err := claims.Parse([]byte(payload), claims.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			sets[i] = set
			said += int64(set.Size())
		}
		const fixed = 1000 * 64 // the set itself, and what the allocator rounds up
		if grown := heap() - before; said+fixed < grown*9/10 || said > grown*11/10+fixed {
			t.Errorf("%s: the heap has grown by %d, the sets say %d", name, grown, said)
		}
		runtime.KeepAlive(sets)
	}
}

func BenchmarkParse(b *testing.B) {
	payload := []byte(typicalPayload)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := claims.Parse(payload, claims.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
