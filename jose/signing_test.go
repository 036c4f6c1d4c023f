package jose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestSignHeader(t *testing.T) {
	key := testKeys()[EdDSA].WithKeyID(`k"1`)
	for _, test := range []struct {
		header SigningHeader
		want   string
		err    error
	}{
		{SigningHeader{}, `{"alg":"EdDSA","kid":"k\"1"}`, nil},
		{SigningHeader{Type: "at+jwt", ContentType: "x"}, `{"alg":"EdDSA","typ":"at+jwt","cty":"x","kid":"k\"1"}`, nil},
		{SigningHeader{Extra: map[string]any{"z": 1, "a": []string{"b"}}}, `{"alg":"EdDSA","kid":"k\"1","a":["b"],"z":1}`, nil},
		{SigningHeader{Extra: map[string]any{"alg": "none"}}, "", ErrHeaderInvalid},
		{SigningHeader{Extra: map[string]any{"crit": []string{"x"}}}, "", ErrHeaderInvalid},
		{SigningHeader{Extra: map[string]any{"b64": false}}, "", ErrHeaderInvalid},
		{SigningHeader{Extra: map[string]any{"x": make(chan int)}}, "", ErrHeaderInvalid},
	} {
		token, err := key.Sign([]byte("x"), test.header)
		if !errors.Is(err, test.err) {
			t.Errorf("%+v: %v, want %v", test.header, err, test.err)
			continue
		}
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(token, ".")
		if got, _ := base64.RawURLEncoding.DecodeString(first); string(got) != test.want {
			t.Errorf("header %s, want %s", got, test.want)
		}
		if _, err := verify(token, key.Public()); err != nil {
			t.Error(err)
		}
	}
}

func TestGenerateKey(t *testing.T) {
	for _, alg := range []Algorithm{0, algorithmEnd} {
		if _, err := GenerateKey(alg); !errors.Is(err, ErrUnsupportedAlgorithm) {
			t.Errorf("GenerateKey(%d): %v", alg, err)
		}
	}
	seen := make(map[string]bool)
	for alg, key := range testKeys() {
		if key.Algorithm() != alg || key.Public().Algorithm() != alg || key.KeyID() == "" || key.Public().KeyID() != key.KeyID() {
			t.Errorf("%s: %s, kid %q", alg, key.Algorithm(), key.KeyID())
		}
		if !alg.Symmetric() && key.KeyID() != key.Public().Thumbprint() {
			t.Errorf("%s: kid %s is not the thumbprint", alg, key.KeyID())
		}
		seen[key.KeyID()] = true
		if none := key.WithKeyID(""); none.KeyID() != "" || key.KeyID() == "" || strings.Contains(sign(t, none, ""), b64(`"kid"`)) {
			t.Errorf("%s: WithKeyID", alg)
		}
	}
	// The six RSA keys of the tests are one.
	if want := int(algorithmEnd) - 1 - 5; len(seen) != want {
		t.Errorf("%d different kids, want %d", len(seen), want)
	}
}

// The private part must belong to the public part, or the key signs what nobody accepts.
func TestParsePrivateJWK(t *testing.T) {
	other := make(map[Algorithm]map[string]any)
	for alg, key := range testKeys() {
		fresh := key
		if alg.family() != familyPSS && alg.family() != familyPKCS1 {
			var err error
			if fresh, err = GenerateKey(alg); err != nil {
				t.Fatal(err)
			}
		}
		other[alg] = privateJWK(t, fresh)
	}
	for alg, key := range testKeys() {
		for _, test := range []struct {
			name   string
			change func(j map[string]any)
			want   error
		}{
			{"unchanged", func(map[string]any) {}, nil},
			{"for signing", func(j map[string]any) { j["key_ops"] = []string{"sign"} }, nil},
			{"for verifying", func(j map[string]any) { j["key_ops"] = []string{"verify"} }, ErrKeyUse},
			{"for encryption", func(j map[string]any) { j["use"] = "enc" }, ErrKeyUse},
			{"other private part", func(j map[string]any) {
				for name, value := range other[alg] {
					if name == "d" || name == "priv" {
						j[name] = value
					}
				}
				if alg.family() == familyPKCS1 || alg.family() == familyPSS {
					j["d"] = j["p"]
				}
			}, ErrKeyInvalid},
			{"no private part", func(j map[string]any) { delete(j, "d"); delete(j, "priv") }, ErrKeyInvalid},
			{"empty private part", func(j map[string]any) { j["d"], j["priv"] = "", "" }, ErrKeyInvalid},
			{"long private part", func(j map[string]any) {
				j["d"], j["priv"] = strings.Repeat("AAAA", 2000), strings.Repeat("AAAA", 2000)
			}, ErrKeyInvalid},
		} {
			if alg.Symmetric() && strings.Contains(test.name, "private") {
				continue
			}
			j := privateJWK(t, key)
			test.change(j)
			again, err := ParsePrivateJWK(encodeJWK(t, j), Limits{})
			if !errors.Is(err, test.want) || (again == nil) != (test.want != nil) {
				t.Errorf("%s, %s: %v, want %v", alg, test.name, err, test.want)
			}
		}
	}
	three := privateJWK(t, testKeys()[RS256])
	three["oth"] = []any{}
	if _, err := ParsePrivateJWK(encodeJWK(t, three), Limits{}); !errors.Is(err, ErrKeyUnsupported) {
		t.Errorf("three primes: %v", err)
	}
	for name, want := range map[string]error{"alg": nil, "kid": nil, "kty": ErrKeyInvalid, "n": ErrKeyInvalid, "q": ErrKeyInvalid, "dp": nil} {
		j := privateJWK(t, testKeys()[RS384])
		delete(j, name)
		if _, err := ParsePrivateJWK(encodeJWK(t, j), Limits{}); !errors.Is(err, want) {
			t.Errorf("RSA without %s: %v, want %v", name, err, want)
		}
	}
	if _, err := ParsePrivateJWK(make([]byte, 2<<20), Limits{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("two megabytes: %v", err)
	}
}

func privateJWK(t *testing.T, key *SigningKey) map[string]any {
	t.Helper()
	text, err := key.PrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	members := make(map[string]any)
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}
