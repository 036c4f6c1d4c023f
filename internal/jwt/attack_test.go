package jwt_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func parts(token string) (header, payload, signature string) {
	p := strings.Split(token, ".")
	return p[0], p[1], p[2]
}

// TestAttackToken sends tokens that were made to fool a verifier. All of them would be good if the attack worked.
func TestAttackToken(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	rsa := signer(t, jose.RS256, "r1")
	v := verifier(t,
		compile(t, provider(), ring(t, key)),
		compile(t, provider(func(p *gate.Provider) { p.Name, p.Issuer, p.Algorithms = "b", issuerB, []string{"RS256"} }), ring(t, rsa)),
	)
	good := sign(t, key, jose.SigningHeader{}, nil)
	header, body, signature := parts(good)
	raw := func(header string, change object) string { return signRaw(t, key, header, payload(t, change)) }
	for _, tt := range []struct {
		name, token string
		want        gate.Reason
	}{
		{"the token itself is good", good, ""},
		{"empty", "", gate.ReasonTokenMalformed},
		{"alg none without signature", b64(`{"alg":"none"}`) + "." + body + ".", gate.ReasonAlgUnsupported},
		{"alg None", b64(`{"alg":"None"}`) + "." + body + "." + signature, gate.ReasonAlgUnsupported},
		{"alg NONE", b64(`{"alg":"NONE"}`) + "." + body + "." + signature, gate.ReasonAlgUnsupported},
		{"alg nOnE", b64(`{"alg":"nOnE"}`) + "." + body + "." + signature, gate.ReasonAlgUnsupported},
		{"alg in lower case", b64(`{"alg":"es256"}`) + "." + body + "." + signature, gate.ReasonAlgUnsupported},
		{"alg empty", b64(`{"alg":""}`) + "." + body + "." + signature, gate.ReasonAlgUnsupported},
		{"alg missing", b64(`{}`) + "." + body + "." + signature, gate.ReasonHeaderInvalid},
		{"alg null", b64(`{"alg":null}`) + "." + body + "." + signature, gate.ReasonHeaderInvalid},
		{"alg array", b64(`{"alg":["ES256"]}`) + "." + body + "." + signature, gate.ReasonHeaderInvalid},
		{"two segments", header + "." + body, gate.ReasonTokenMalformed},
		{"signature cut off", header + "." + body + ".", gate.ReasonTokenMalformed},
		{"signature of another length", header + "." + body + "." + signature[:40], gate.ReasonSignature},
		{"one million dots", strings.Repeat(".", 1_000_000), gate.ReasonTokenTooLarge},
		{"many dots", strings.Repeat(".", 16000), gate.ReasonTokenMalformed},
		{"extra dots", header + ".." + body + "." + signature, gate.ReasonTokenMalformed},
		{"trailing dot", good + ".", gate.ReasonTokenMalformed},
		{"huge token", header + "." + strings.Repeat("A", 1<<20) + "." + signature, gate.ReasonTokenTooLarge},
		{"JWE with five segments", b64(`{"alg":"RSA-OAEP-256","enc":"A256GCM"}`) + ".AAAA.AAAA.AAAA.AAAA", gate.ReasonTokenEncrypted},
		{"JWE in three segments", raw(`{"alg":"ES256","enc":"A256GCM"}`, nil), gate.ReasonHeaderInvalid},
		{"JSON serialization", `{"protected":"` + header + `","payload":"` + body + `","signature":"` + signature + `"}`, gate.ReasonTokenMalformed},
		{"JSON serialization with dots", `{"x":"` + good + `"}`, gate.ReasonTokenMalformed},
		{"padding", good + "==", gate.ReasonTokenMalformed},
		{"line break in the signature", good[:len(good)-2] + "\n" + good[len(good)-2:], gate.ReasonTokenMalformed},
		{"space in front", " " + good, gate.ReasonTokenMalformed},
		{"crit", raw(`{"alg":"ES256","kid":"k1","crit":["x"],"x":1}`, nil), gate.ReasonCritical},
		{"crit empty", raw(`{"alg":"ES256","kid":"k1","crit":[]}`, nil), gate.ReasonCritical},
		{"crit of exp", raw(`{"alg":"ES256","kid":"k1","crit":["exp"],"exp":1}`, nil), gate.ReasonCritical},
		{"b64 false", raw(`{"alg":"ES256","kid":"k1","b64":false}`, nil), gate.ReasonHeaderInvalid},
		{"b64 false and critical", raw(`{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}`, nil), gate.ReasonCritical},
		{"alg twice", raw(`{"alg":"ES256","alg":"none","kid":"k1"}`, nil), gate.ReasonHeaderInvalid},
		{"alg twice by escape", raw(`{"alg":"ES256","\u0061lg":"none","kid":"k1"}`, nil), gate.ReasonHeaderInvalid},
		{"header is an array", raw(`["ES256"]`, nil), gate.ReasonHeaderInvalid},
		{"sub twice", signRaw(t, key, `{"alg":"ES256"}`, []byte(`{"iss":"https://a.example.com","sub":"a","sub":"b"}`)), gate.ReasonPayloadInvalid},
		{"iss twice", signRaw(t, key, `{"alg":"ES256"}`, []byte(`{"iss":"https://a.example.com","iss":"https://b.example.com"}`)), gate.ReasonPayloadInvalid},
		{"payload null", signRaw(t, key, `{"alg":"ES256"}`, []byte(`null`)), gate.ReasonPayloadInvalid},
		{"payload array", signRaw(t, key, `{"alg":"ES256"}`, []byte(`[]`)), gate.ReasonPayloadInvalid},
		{"payload empty", signRaw(t, key, `{"alg":"ES256"}`, nil), gate.ReasonPayloadInvalid},
		{"payload with a second value", signRaw(t, key, `{"alg":"ES256"}`, append(payload(t, nil), "{}"...)), gate.ReasonPayloadInvalid},
		{"payload not UTF-8", signRaw(t, key, `{"alg":"ES256"}`, []byte("{\"iss\":\"\xff\"}")), gate.ReasonPayloadInvalid},
		{"payload with a byte order mark", signRaw(t, key, `{"alg":"ES256"}`, append([]byte("\ufeff"), payload(t, nil)...)), gate.ReasonPayloadInvalid},
		{"payload nested deep", signRaw(t, key, `{"alg":"ES256"}`, []byte(`{"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`)), gate.ReasonPayloadInvalid},
		{"payload of thousands of values", signRaw(t, key, `{"alg":"ES256"}`, []byte(`{"a":[`+strings.Repeat("[],", 3500)+`[]]}`)), gate.ReasonPayloadInvalid},
		{"payload of a thousand members", signRaw(t, key, `{"alg":"ES256"}`, manyMembers(1000)), gate.ReasonPayloadInvalid},
		{"psychic signature", header + "." + body + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), gate.ReasonSignature},
		{"signature in DER", header + "." + body + "." + derSignature(t, signature), gate.ReasonSignature},
		{"signature values of 2^256-1", header + "." + body + "." + base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 64)), gate.ReasonSignature},
		{"payload of another token", header + "." + b64(string(payload(t, object{"sub": "admin"}))) + "." + signature, gate.ReasonSignature},
		{"iss missing", raw(`{"alg":"ES256"}`, object{"iss": nil}), gate.ReasonIssuerMissing},
		{"iss unknown", raw(`{"alg":"ES256"}`, object{"iss": "https://evil.example.com"}), gate.ReasonIssuerUnknown},
		{"iss with a slash more", raw(`{"alg":"ES256"}`, object{"iss": issuerA + "/"}), gate.ReasonIssuerUnknown},
		{"iss in another case", raw(`{"alg":"ES256"}`, object{"iss": "https://A.example.com"}), gate.ReasonIssuerUnknown},
		{"iss empty", raw(`{"alg":"ES256"}`, object{"iss": ""}), gate.ReasonIssuerUnknown},
		{"iss array", raw(`{"alg":"ES256"}`, object{"iss": []string{issuerA}}), gate.ReasonClaimInvalid},
		{"iss null", raw(`{"alg":"ES256"}`, object{"iss": json.RawMessage("null")}), gate.ReasonClaimInvalid},
		{"issuer A's key for issuer B", raw(`{"alg":"ES256","kid":"k1"}`, object{"iss": issuerB}), gate.ReasonAlgNotAllowed},
		{"kid unknown", raw(`{"alg":"ES256","kid":"k2"}`, nil), gate.ReasonKeyUnknown},
		{"kid traversal", raw(`{"alg":"ES256","kid":"../../../dev/null"}`, nil), gate.ReasonKeyUnknown},
		{"kid SQL injection", raw(`{"alg":"ES256","kid":"' UNION SELECT 'k1"}`, nil), gate.ReasonKeyUnknown},
		{"kid in another case", raw(`{"alg":"ES256","kid":"K1"}`, nil), gate.ReasonKeyUnknown},
		{"kid number", raw(`{"alg":"ES256","kid":1}`, nil), gate.ReasonHeaderInvalid},
		{"kid huge", raw(`{"alg":"ES256","kid":"`+strings.Repeat("k", 9000)+`"}`, nil), gate.ReasonTokenTooLarge},
		{"kid empty is no kid", raw(`{"alg":"ES256","kid":""}`, nil), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, trace := range []*gate.Trace{nil, {}} {
				id, err := v.Verify(t.Context(), tt.token, now, trace)
				if got := reasonOf(t, err); got != tt.want {
					t.Fatalf("reason %q, want %q (%v)", got, tt.want, err)
				}
				if (id != nil) != (tt.want == "") {
					t.Fatalf("identity %v", id)
				}
			}
		})
	}
}

// manyMembers is an object of n members.
func manyMembers(n int) []byte {
	text := []byte(`{"iss":"` + issuerA + `"`)
	for i := range n {
		text = fmt.Appendf(text, `,"%d":0`, i)
	}
	return append(text, '}')
}

// derSignature is an ECDSA signature as other formats than JWS write it.
func derSignature(t *testing.T, signature string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	half := len(raw) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(der)
}

// TestAttackAlgorithmConfusion signs HMACs with everything that an attacker can know of a public key.
func TestAttackAlgorithmConfusion(t *testing.T) {
	public := signer(t, jose.RS256, "r1").Public()
	v := verifier(t, compile(t, provider(func(p *gate.Provider) { p.Algorithms = []string{"RS256"} }), ring(t, signer(t, jose.RS256, "r1"))))
	text, err := public.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	for name, secret := range map[string][]byte{
		"DER":                    block.Bytes,
		"PEM":                    text,
		"PEM without line break": bytes.TrimSpace(text),
		"JWK":                    jwk,
	} {
		for _, alg := range []jose.Algorithm{jose.HS256, jose.HS384, jose.HS512} {
			t.Run(name+" "+alg.String(), func(t *testing.T) {
				for _, kid := range []string{"", "r1"} {
					input := b64(`{"alg":"`+alg.String()+`","kid":"`+kid+`"}`) + "." + b64(string(payload(t, nil)))
					token := input + "." + base64.RawURLEncoding.EncodeToString(mac(alg, secret, input))
					if _, err := v.Verify(t.Context(), token, now, nil); reasonOf(t, err) != gate.ReasonAlgNotAllowed {
						t.Errorf("kid %q: %v", kid, err)
					}
				}
			})
		}
	}
	t.Run("RS256 key under PS256", func(t *testing.T) {
		token := signRaw(t, signer(t, jose.PS256, "r1"), `{"alg":"PS256","kid":"r1"}`, payload(t, nil))
		if _, err := v.Verify(t.Context(), token, now, nil); reasonOf(t, err) != gate.ReasonAlgNotAllowed {
			t.Error(err)
		}
	})
}

// TestAttackHeaderKey: a token that brings its own key, or says where to get it, is judged by the provider's keys all the same.
func TestAttackHeaderKey(t *testing.T) {
	v := verifier(t, compile(t, provider(), ring(t, signer(t, jose.ES256, "k1"))))
	attacker := signer(t, jose.ES256, "attacker")
	jwk, err := json.Marshal(attacker.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, extra := range map[string]object{
		"jwk":      {"jwk": json.RawMessage(jwk)},
		"jku":      {"jku": "https://evil.example.com/jwks"},
		"x5u":      {"x5u": "https://evil.example.com/cert"},
		"x5c":      {"x5c": []string{"MIIB"}},
		"x5t#S256": {"x5t#S256": "AAAA"},
	} {
		t.Run(name, func(t *testing.T) {
			for kid, want := range map[string]gate.Reason{
				"k1": gate.ReasonSignature, "": gate.ReasonSignature, "attacker": gate.ReasonKeyUnknown,
			} {
				token := sign(t, attacker.WithKeyID(kid), jose.SigningHeader{Extra: extra}, nil)
				if _, err := v.Verify(t.Context(), token, now, nil); reasonOf(t, err) != want {
					t.Errorf("kid %q: %v, want %q", kid, err, want)
				}
			}
		})
	}
}

// TestAttackErrorOrder: nothing about the claims of a forged token is told, not even that it has expired.
func TestAttackErrorOrder(t *testing.T) {
	v := verifier(t, compile(t, provider(func(p *gate.Provider) {
		p.Subjects, p.RequiredClaims, p.MaxAge = []string{"alice"}, []string{"grp"}, time.Minute
	}), ring(t, signer(t, jose.ES256, "k1"))))
	for name, change := range map[string]object{
		"expired":          {"exp": now.Add(-time.Hour).Unix()},
		"expiry missing":   {"exp": nil},
		"expiry no number": {"exp": "soon"},
		"not yet valid":    {"nbf": now.Add(time.Hour).Unix()},
		"other audience":   {"aud": "billing"},
		"audience number":  {"aud": 7},
		"other subject":    {"sub": "mallory"},
		"everything":       {"exp": nil, "aud": nil, "sub": nil, "iat": nil},
	} {
		t.Run(name, func(t *testing.T) {
			header, body, _ := parts(sign(t, signer(t, jose.ES256, "k1"), jose.SigningHeader{}, change))
			_, _, other := parts(sign(t, signer(t, jose.ES256, "k1"), jose.SigningHeader{}, object{"jti": "2"}))
			trace := new(gate.Trace)
			if _, err := v.Verify(t.Context(), header+"."+body+"."+other, now, trace); reasonOf(t, err) != gate.ReasonSignature {
				t.Error(err)
			}
			if last := trace.Checks[len(trace.Checks)-1]; last.Name != "signature" {
				t.Errorf("the explanation goes on to %q", last.Name)
			}
		})
	}
}

// TestAttackKeyOfAnotherIssuer: keys are bound to their provider, also where two issuers use one kid, and where a third takes any issuer.
func TestAttackKeyOfAnotherIssuer(t *testing.T) {
	a, b, c := signer(t, jose.ES256, "k1"), signer(t, jose.ES256, "b-key").WithKeyID("k1"), signer(t, jose.ES256, "other")
	v := verifier(t,
		compile(t, provider(), ring(t, a)),
		compile(t, provider(func(p *gate.Provider) { p.Name, p.Issuer = "b", issuerB }), ring(t, b)),
		compile(t, provider(func(p *gate.Provider) { p.Name, p.Issuer, p.AnyIssuer = "c", "", true }), ring(t, c)),
	)
	for _, tt := range []struct {
		name   string
		key    *jose.SigningKey
		issuer any
		want   gate.Reason
		by     string
	}{
		{"A signs for A", a, issuerA, "", "a"},
		{"B signs for B", b, issuerB, "", "b"},
		{"A signs for B with a shared kid", a, issuerB, gate.ReasonSignature, ""},
		{"A signs for B without a kid", a.WithKeyID(""), issuerB, gate.ReasonSignature, ""},
		{"B signs for A with a shared kid", b, issuerA, gate.ReasonSignature, ""},
		{"the any-issuer key signs for A", c, issuerA, gate.ReasonKeyUnknown, ""},
		{"the any-issuer key signs for A without a kid", c.WithKeyID(""), issuerA, gate.ReasonSignature, ""},
		{"the any-issuer key signs for itself", c, "https://elsewhere.example.com", "", "c"},
		{"the any-issuer key signs for nobody", c, nil, "", "c"},
		{"A signs for nobody", a, nil, gate.ReasonKeyUnknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := v.Verify(t.Context(), sign(t, tt.key, jose.SigningHeader{}, object{"iss": tt.issuer}), now, nil)
			if got := reasonOf(t, err); got != tt.want {
				t.Fatalf("reason %q, want %q", got, tt.want)
			}
			if err == nil && id.Provider != tt.by {
				t.Errorf("taken for a token of %s", id.Provider)
			}
		})
	}
}

// TestAttackKeyOfAnotherAlgorithm: a provider that accepts several algorithms uses each key for its own only.
func TestAttackKeyOfAnotherAlgorithm(t *testing.T) {
	es, rs := signer(t, jose.ES256, "k1"), signer(t, jose.RS256, "k2")
	v := verifier(t, compile(t, provider(func(p *gate.Provider) { p.Algorithms = []string{"ES256", "RS256"} }), ring(t, es, rs)))
	token := signRaw(t, es, `{"alg":"RS256","kid":"k1"}`, payload(t, nil))
	if _, err := v.Verify(t.Context(), token, now, nil); reasonOf(t, err) != gate.ReasonKeyUnknown {
		t.Error(err)
	}
	token = signRaw(t, es, `{"alg":"RS256"}`, payload(t, nil))
	if _, err := v.Verify(t.Context(), token, now, nil); reasonOf(t, err) != gate.ReasonSignature {
		t.Error(err)
	}
}

// FuzzVerify: whatever is sent, the answer is a refusal with a known reason, unless it is the one good token.
func FuzzVerify(f *testing.F) {
	key := signer(f, jose.ES256, "k1")
	v := verifier(f, compile(f, provider(), ring(f, key)))
	good := sign(f, key, jose.SigningHeader{}, nil)
	f.Add(good)
	f.Add(good + ".")
	f.Add(b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".")
	f.Add(b64(`{"alg":"ES256","kid":"k1"}`) + "." + b64(`{"iss":"https://a.example.com"}`) + ".AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := v.Verify(t.Context(), token, now, new(gate.Trace))
		if err == nil && token != good {
			t.Fatalf("accepted %q as %+v", token, id)
		}
		if reasonOf(t, err) == gate.ReasonInternal {
			t.Fatalf("%q: %v", token, err)
		}
	})
}
