package claims_test

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/claims"
)

func TestNumericDate(t *testing.T) {
	tests := []struct {
		literal     string
		seconds, ns int64
	}{
		{"0", 0, 0}, {"-0", 0, 0}, {"0.0e99999999999999999999", 0, 0},
		{"1300819380", 1300819380, 0},
		{"1300819380.5", 1300819380, 500_000_000},
		{"1300819380.0", 1300819380, 0},
		{"1.30081938e9", 1300819380, 0},
		{"13008193805E-1", 1300819380, 500_000_000},
		{"1e3", 1000, 0}, {"1E+3", 1000, 0}, {"0.00001e5", 1, 0},
		{"-1", -1, 0}, {"-1.5", -2, 500_000_000}, {"-0.5", -1, 500_000_000},
		{"0.1234567899", 0, 123_456_789}, {"-0.1234567891", -1, 876_543_210},
		{"1e-9", 0, 1}, {"1e-10", 0, 0}, {"-1e-10", -1, 999_999_999}, {"-1e-400", -1, 999_999_999}, {"1e-99999999999999999999", 0, 0},
		{"-0.9999999999", -1, 0},
		{"253402300800", 253402300800, 0}, // the year 10000
		{"999999999999999", 999999999999999, 0}, {"-999999999999999", -999999999999999, 0},
		{"9007199254740993e-1", 900719925474099, 300_000_000}, // more digits than a float64 has
		{"000"[:1], 0, 0},
	}
	for _, tt := range tests {
		got, err := parse(t, `{"exp":`+tt.literal+`}`).Get("exp").NumericDate()
		if want := time.Unix(tt.seconds, tt.ns).UTC(); err != nil || !got.Equal(want) {
			t.Errorf("NumericDate(%s) = %v (%d), %v; want %v", tt.literal, got, got.Unix(), err, want)
		}
	}
	refused := []struct {
		value string
		want  error
	}{
		{"1e15", claims.ErrDateRange}, {"-1e15", claims.ErrDateRange}, {"1e400", claims.ErrDateRange}, {"-1e400", claims.ErrDateRange},
		{"9223372036854775808", claims.ErrDateRange}, {"1000000000000000", claims.ErrDateRange}, {"1e99999999999999999999", claims.ErrDateRange},
		{"1" + strings.Repeat("0", 1000), claims.ErrDateRange}, {"0.1e17", claims.ErrDateRange},
		{`"1300819380"`, claims.ErrNotNumber}, {"null", claims.ErrNotNumber}, {"true", claims.ErrNotNumber}, {"[1]", claims.ErrNotNumber}, {"{}", claims.ErrNotNumber},
	}
	for _, tt := range refused {
		if got, err := parse(t, `{"exp":`+tt.value+`}`).Get("exp").NumericDate(); !errors.Is(err, tt.want) {
			t.Errorf("NumericDate(%.30s) = %v, %v; want %v", tt.value, got, err, tt.want)
		}
	}
	if _, err := (claims.Value{}).NumericDate(); !errors.Is(err, claims.ErrNotNumber) {
		t.Errorf("an absent date gives %v", err)
	}
}

func TestNumericDateIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		literal := rapid.StringMatching(`-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "literal")
		exact, ok := new(big.Rat).SetString(literal)
		if !ok {
			t.Fatalf("big.Rat does not read %q", literal)
		}
		s, err := claims.Parse([]byte(`{"exp":`+literal+`}`), claims.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Get("exp").NumericDate()
		inRange := new(big.Rat).Abs(exact).Cmp(new(big.Rat).SetInt64(1e15)) < 0
		if (err == nil) != inRange {
			t.Fatalf("NumericDate(%s) = %v, in range: %v", literal, err, inRange)
		}
		if err != nil {
			return
		}
		nanos := new(big.Rat).Mul(exact, new(big.Rat).SetInt64(1e9))
		floor := new(big.Int).Div(nanos.Num(), nanos.Denom()) // Euclidean: down, as the denominator is positive
		have := new(big.Int).Add(new(big.Int).Mul(big.NewInt(got.Unix()), big.NewInt(1e9)), big.NewInt(int64(got.Nanosecond())))
		if have.Cmp(floor) != 0 {
			t.Fatalf("NumericDate(%s) is %v ns, want %v", literal, have, floor)
		}
	})
}

func TestStrings(t *testing.T) {
	tests := []struct {
		value string
		want  []string
		ok    bool
	}{
		{`"a"`, []string{"a"}, true}, {`["a","b"]`, []string{"a", "b"}, true}, {`[]`, []string{}, true}, {`""`, []string{""}, true},
		{`["a",1]`, nil, false}, {`[["a"]]`, nil, false}, {`["a",null]`, nil, false}, {`1`, nil, false}, {`null`, nil, false}, {`{"a":"a"}`, nil, false},
	}
	for _, tt := range tests {
		got, ok := parse(t, `{"aud":`+tt.value+`}`).Get("aud").Strings()
		if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
			t.Errorf("Strings of %s: ok %v (-want +got):\n%s", tt.value, ok, diff)
		}
	}
	if got, ok := (claims.Value{}).Strings(); got != nil || ok {
		t.Errorf("Strings of an absent claim = %v, %v", got, ok)
	}
}

func TestAbsent(t *testing.T) {
	s := parse(t, `{"a":1}`)
	for _, v := range []claims.Value{{}, s.Get("b"), s.Get("a").Member("x"), s.Get("A")} {
		_, isString := v.AsString()
		_, isNumber := v.AsNumber()
		_, isBool := v.AsBool()
		_, isScalar := v.Scalar()
		if v.Kind() != claims.Absent || isString || isNumber || isBool || isScalar || v.Len() != 0 || v.JSON() != "" {
			t.Errorf("%#v is not absent", v)
		}
		for range v.Elements() {
			t.Error("an absent value has elements")
		}
		for range v.Members() {
			t.Error("an absent value has members")
		}
	}
}

func TestValueOf(t *testing.T) {
	s := parse(t, `{"a":[ 1 , {"b" : null}],"c":false,"d":"\u0064"}`)
	if got := s.Get("a").JSON(); got != `[ 1 , {"b" : null}]` {
		t.Errorf("JSON() = %s", got)
	}
	if got := s.Get("a").Len(); got != 2 {
		t.Errorf("Len() = %d", got)
	}
	if value, ok := s.Get("c").AsBool(); value || !ok {
		t.Errorf("AsBool() = %v, %v", value, ok)
	}
	var kinds []string
	for name, v := range s.Root().Members() {
		kinds = append(kinds, name+" "+v.Kind().String())
	}
	if diff := cmp.Diff([]string{"a array", "c boolean", "d string"}, kinds); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for v := range s.Get("a").Elements() {
		if v.Kind() != claims.Number {
			t.Errorf("the first element is a %v", v.Kind())
		}
		break
	}
}

func TestParsePath(t *testing.T) {
	s := parse(t, `{"":"empty","a":{"b":"nested","":"a-empty","b.c":"inner dot"},"a.b":"dot","\\":"slash","a\\":{"b":"slash-nested"},"\\x":"sx",".":"only dot"}`)
	tests := []struct{ path, want string }{
		{"", "empty"}, {"a.b", "nested"}, {"a.", "a-empty"}, {`a\.b`, "dot"}, {`a.b\.c`, "inner dot"}, {`\`, "slash"}, {`\\`, "slash"}, {`a\\.b`, "slash-nested"}, {`\x`, "sx"},
		{`\\x`, "sx"}, {`\.`, "only dot"},
	}
	for _, tt := range tests {
		path, err := claims.ParsePath(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := s.Lookup(path).AsString(); got != tt.want {
			t.Errorf("Lookup(%q) = %q, want %q", tt.path, got, tt.want)
		}
		if path.String() != tt.path {
			t.Errorf("String() = %q, want %q", path, tt.path)
		}
	}
	if s.Lookup(claims.Path{}) != s.Root() {
		t.Error("the zero path does not lead to the payload")
	}
	if _, err := claims.ParsePath(strings.Repeat(".", claims.MaxPath+1)); !errors.Is(err, claims.ErrPathTooLong) {
		t.Errorf("a long path gives %v", err)
	}
}

func TestHeaderValues(t *testing.T) {
	tests := []struct {
		value string
		want  []string
		err   error
	}{
		{`"alice"`, []string{"alice"}, nil},
		{`""`, []string{""}, nil},
		{`"J\u00f6rg Smith"`, []string{"Jörg Smith"}, nil},
		{`1.50e1`, []string{"1.50e1"}, nil},
		{`true`, []string{"true"}, nil},
		{`["a",1,false,"b, c"]`, []string{"a", "1", "false", "b, c"}, nil},
		{`[]`, []string{}, nil},
		{`null`, nil, nil},
		{`{}`, nil, claims.ErrHeaderKind},
		{`{"a":1}`, nil, claims.ErrHeaderKind},
		{`["a",null]`, nil, claims.ErrHeaderKind},
		{`["a",[]]`, nil, claims.ErrHeaderKind},
		{`["a",{}]`, nil, claims.ErrHeaderKind},
		{`"a\r\nX-Admin: 1"`, nil, claims.ErrHeaderText},
		{`"a\r"`, nil, claims.ErrHeaderText},
		{`"a\nb"`, nil, claims.ErrHeaderText},
		{`"a\u0000"`, nil, claims.ErrHeaderText},
		{`"a\tb"`, nil, claims.ErrHeaderText},
		{`"a\u001b[31m"`, nil, claims.ErrHeaderText},
		{`"a\u007f"`, nil, claims.ErrHeaderText},
		{`"a\u0085b"`, nil, claims.ErrHeaderText},
		{`["ok","a\nb"]`, nil, claims.ErrHeaderText},
		{`" admin"`, nil, claims.ErrHeaderText},
		{`"admin "`, nil, claims.ErrHeaderText},
	}
	for _, tt := range tests {
		got, err := claims.HeaderValues(parse(t, `{"c":`+tt.value+`}`).Get("c"))
		if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
			t.Errorf("HeaderValues(%s): %v (-want +got):\n%s", tt.value, err, diff)
		}
		if err != nil && strings.Contains(err.Error(), "admin") {
			t.Errorf("the error %q holds the claim", err)
		}
	}
	if got, err := claims.HeaderValues(claims.Value{}); got != nil || err != nil {
		t.Errorf("HeaderValues of an absent claim = %q, %v", got, err)
	}
}
