package jose

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stored returns how many headers p remembers.
func stored(p *Parser) (n int) {
	t := p.table.Load()
	if t == nil {
		return 0
	}
	for i := range t.places {
		if t.places[i].Load() != nil {
			n++
		}
	}
	return n
}

// parseAndVerify parses token with p and verifies it with the key's algorithms.
func parseAndVerify(p *Parser, token string, m *Message, key *Key) error {
	if err := p.Parse(token, m); err != nil {
		return err
	}
	_, err := Verify(m, key, key.Algorithms())
	return err
}

// signRaw makes a token with a header of these bytes.
func signRaw(tb testing.TB, key *SigningKey, header, payload string) string {
	tb.Helper()
	token, err := key.SignRaw([]byte(header), []byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestParserReadsAlike(t *testing.T) {
	key := testKeys()[HS256]
	p := NewParser(Limits{})
	m := new(Message)
	for i, token := range []string{
		sign(t, key, `{"n":1}`), sign(t, key, `{"n":2,"more":"text"}`), signRaw(t, key, `{"alg":"HS256","kid":"a\/b","cty":"x","x":[1]}`, ""),
		sign(t, key, `{}`), signRaw(t, key, `{"alg":"HS256","kid":"a\/b","cty":"x","x":[1]}`, "{}"), unsigned(`{"alg":"none"}`), "..", sign(t, key, "{}") + "\n",
		signRaw(t, key, `{"alg":"HS256"}{}`, "{}"), sign(t, key, `{"n":1}`),
	} {
		want, wantErr := Parse(token, Limits{})
		err := p.Parse(token, m)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%d: error %v, want %v", i, err, wantErr)
		}
		if err != nil {
			if m.input != nil || m.header.Algorithm != 0 || m.payload != nil || m.signature != nil {
				t.Errorf("%d: something is left of %+v", i, m)
			}
			if _, err := Verify(m, key.Public(), NewAlgorithms(HS256)); !errors.Is(err, ErrAlgorithmNotAllowed) {
				t.Errorf("%d: what could not be read verifies: %v", i, err)
			}
			continue
		}
		if diff := cmp.Diff([]any{want.Header().Names(), want.Header().Algorithm, want.Header().KeyID, want.Header().Type, want.Header().ContentType, want.payload, want.signature, want.input},
			[]any{m.Header().Names(), m.Header().Algorithm, m.Header().KeyID, m.Header().Type, m.Header().ContentType, m.payload, m.signature, m.input}); diff != "" {
			t.Errorf("%d (-want +got):\n%s", i, diff)
		}
		if _, err := Verify(m, key.Public(), NewAlgorithms(HS256)); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := stored(p); n != 2 {
		t.Errorf("%d headers are remembered, want 2", n)
	}
}

// A header that was got from a message is good for longer than the message.
func TestParserHeaderOutlivesMessage(t *testing.T) {
	key := testKeys()[HS256]
	p := NewParser(Limits{})
	m := new(Message)
	if err := p.Parse(signRaw(t, key, `{"alg":"HS256","kid":"first","typ":"one"}`, "{}"), m); err != nil {
		t.Fatal(err)
	}
	h := m.Header()
	if err := p.Parse(signRaw(t, key, `{"alg":"HS256","kid":"other","typ":"two"}`, "{}"), m); err != nil {
		t.Fatal(err)
	}
	if h.KeyID != "first" || h.Type != "one" || !h.Has("kid") {
		t.Errorf("header became %+v", h)
	}
}

// Nobody without a key gets a header in.
func TestParserRemembersVerifiedOnly(t *testing.T) {
	key := testKeys()[ES256]
	p := NewParser(Limits{})
	m := new(Message)
	token := sign(t, key, "{}")
	for _, bad := range []string{token[:len(token)-4] + "AAAA", unsigned(`{"alg":"ES256"}`), unsigned(`{"alg":"RS256"}`), strings.Replace(token, ".", ".AAAA", 1)} {
		if err := parseAndVerify(p, bad, m, key.Public()); err == nil {
			t.Fatal("accepted")
		}
	}
	if err := p.Parse(token, m); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(m, key.Public(), NewAlgorithms(HS256)); err == nil {
		t.Fatal("accepted")
	}
	if n := stored(p); n != 0 {
		t.Errorf("%d headers are remembered", n)
	}
	if err := parseAndVerify(p, token, m, key.Public()); err != nil {
		t.Fatal(err)
	}
	if err := parseAndVerify(p, token, m, key.Public()); err != nil {
		t.Fatal(err)
	}
	if n := stored(p); n != 1 || p.find(token[:strings.IndexByte(token, '.')]) == nil {
		t.Errorf("%d headers are remembered", n)
	}
}

// An issuer with another header in each token neither grows the memory nor pays for each, and what was there mostly stays.
func TestParserManyHeaders(t *testing.T) {
	key := testKeys()[HS256]
	p := NewParser(Limits{})
	m := new(Message)
	const many = 4000
	tokens := make([]string, many)
	for i := range tokens {
		tokens[i] = signRaw(t, key, fmt.Sprintf(`{"alg":"HS256","n":%d}`, i), "{}")
	}
	taken := 0
	for i, token := range tokens {
		if err := parseAndVerify(p, token, m, key.Public()); err != nil {
			t.Fatal(err)
		}
		if p.find(token[:strings.IndexByte(token, '.')]) != nil && i >= 10*headerPlaces {
			taken++
		}
	}
	if n := stored(p); n > headerPlaces {
		t.Errorf("%d headers are remembered", n)
	}
	if most := many / headerTurns; taken > most || taken == 0 {
		t.Errorf("%d headers took the place of another, want 1 to %d", taken, most)
	}
	long := signRaw(t, key, `{"alg":"HS256","x5c":["`+strings.Repeat("A", 2*maxStoredHeader)+`"]}`, "{}")
	q := NewParser(Limits{})
	if err := parseAndVerify(q, long, m, key.Public()); err != nil || stored(q) != 0 {
		t.Errorf("a long header: %v, %d remembered", err, stored(q))
	}
	// A header that is not there costs what it costs without a memory: the header itself.
	i := 0
	unknown := testing.AllocsPerRun(1000, func() { _ = parseAndVerify(p, tokens[i], m, key.Public()); i++ })
	i = 0
	fresh := testing.AllocsPerRun(1000, func() { _ = NewParser(Limits{}).Parse(tokens[i], m); i++ })
	if unknown > fresh && !raceEnabled {
		t.Errorf("%v allocations for a header that is not remembered, %v by a new parser", unknown, fresh)
	}
}

func TestParserConcurrently(t *testing.T) {
	key := testKeys()[HS256]
	p := NewParser(Limits{})
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			m := new(Message)
			for i := range 200 {
				kid := fmt.Sprint((i + w) % 60)
				if err := parseAndVerify(p, signRaw(t, key, `{"alg":"HS256","kid":"`+kid+`"}`, "{}"), m, key.Public()); err != nil || m.Header().KeyID != kid {
					t.Errorf("kid %s: %v, %+v", kid, err, m.Header())
				}
			}
		})
	}
	group.Wait()
}

// A token whose header is known, verified by a key that was used before, costs no memory.
func TestParserAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations cannot be counted")
	}
	for _, alg := range []Algorithm{HS256, HS512, RS256} {
		key, p, m := testKeys()[alg], NewParser(Limits{}), new(Message)
		token := sign(t, key, `{"sub":"alice"}`)
		if got := testing.AllocsPerRun(100, func() {
			if err := parseAndVerify(p, token, m, key.Public()); err != nil {
				t.Fatal(err)
			}
		}); got > 0 {
			t.Errorf("%v: %v allocations", alg, got)
		}
	}
}

// TestParseHeaderCutOff cuts a header with everything in it at each byte, which all the readers of the text must notice.
func TestParseHeaderCutOff(t *testing.T) {
	header := `{"alg":"ES256","kid":"\u00e9\ud83d\ude00\n","n":[-1.5e+3,0,{"a":{}}],"w":[true,false,null],"typ":"é","x":["\"\\",[]]} `
	if _, err := Parse(unsigned(header), Limits{}); err != nil {
		t.Fatalf("the whole header: %v", err)
	}
	for end := range len(header) - 1 {
		if _, err := Parse(unsigned(header[:end]), Limits{}); !errors.Is(err, ErrHeaderInvalid) {
			t.Errorf("%q: %v, want %v", header[:end], err, ErrHeaderInvalid)
		}
	}
	token := sign(t, testKeys()[ES256], `{"sub":"alice"}`)
	dot := strings.LastIndexByte(token, '.')
	for end := range token {
		_, err := verify(token[:end], testKeys()[ES256].Public())
		if want := ErrMalformed; end <= dot+1 && !errors.Is(err, want) || err == nil {
			t.Errorf("token cut at %d of %d: %v", end, len(token), err)
		}
	}
}

func BenchmarkParser(b *testing.B) {
	key := testKeys()[RS256]
	p, m := NewParser(Limits{}), new(Message)
	token := sign(b, key, `{"sub":"alice","aud":"tickets","exp":1900000000,"scope":"tickets:read"}`)
	if err := parseAndVerify(p, token, m, key.Public()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(token)))
	for b.Loop() {
		if err := p.Parse(token, m); err != nil {
			b.Fatal(err)
		}
	}
}

// TestParserRemembersWhatItRead: a message whose header was remembered already, or that another has read, teaches a parser nothing.
func TestParserRemembersWhatItRead(t *testing.T) {
	p, m := NewParser(Limits{}), new(Message)
	token := unsigned(`{"alg":"ES256"}`)
	for range 2 {
		if err := p.Parse(token, m); err != nil {
			t.Fatal(err)
		}
		p.remember(m)
	}
	if p.find("") != nil {
		t.Error("the empty header is remembered")
	}
	if err := NewParser(Limits{}).Parse(unsigned(`{"alg":"HS256"}`), m); err != nil {
		t.Fatal(err)
	}
	p.remember(m)
	if p.find(string(m.encoded)) != nil {
		t.Error("the header that another parser read is remembered")
	}
}
