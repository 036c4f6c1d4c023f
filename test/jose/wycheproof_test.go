package jose_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jotgate/jotgate/jose"
)

type tokenGroup struct {
	Comment string
	Public  json.RawMessage
	Private json.RawMessage
	Tests   []struct {
		TcID    int
		Comment string
		JWS     tokenText
		JWE     tokenText
		Result  string
	}
}

// tokenText is a token; those of the JSON serialization stand in the file as objects.
type tokenText string

func (s *tokenText) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		text = string(data)
	}
	*s = tokenText(text)
	return nil
}

// document is what a verifier of the group would be given: the public key or set if
// there is one, else the secrets.
func (g tokenGroup) document() []byte {
	if len(g.Public) > 0 {
		return g.Public
	}
	return g.Private
}

// verify judges a token by a set, as a gateway does: candidates by kid and algorithm.
func verify(token tokenText, set *jose.Set, allowed jose.Algorithms) error {
	m, err := jose.Parse(string(token), jose.Limits{})
	if err != nil {
		return err
	}
	err = jose.ErrKeyMismatch
	for _, key := range set.Candidates(m.Header().KeyID, m.Header().Algorithm) {
		if _, err = jose.Verify(m, key, allowed); err == nil {
			return nil
		}
	}
	return err
}

// everything allows all algorithms: the vectors must be judged by the keys alone.
func everything() jose.Algorithms {
	return jose.AsymmetricAlgorithms().Union(jose.NewAlgorithms(jose.HS256, jose.HS384, jose.HS512))
}

// TestWycheproofSignatures runs the 401 cases of json_web_signature_test.json. It
// rejects 353 of the 355 invalid ones and accepts 40 of the 46 valid ones; the
// differences are errors of the collection.
func TestWycheproofSignatures(t *testing.T) {
	var file struct{ TestGroups []tokenGroup }
	readVectors(t, "json_web_signature_test.json", &file)
	known := map[int]string{
		346: "labelled valid: PS384 with a key whose alg is PS256",
		347: "labelled valid: a key whose alg is ES521, which is not registered",
		350: "labelled valid: PS384 with a key whose alg is PS256",
		351: "labelled valid: a key whose alg is ES521, which is not registered",
		367: "labelled invalid: the bytes of case 357, which is valid",
		370: "labelled invalid: the bytes of case 357, which is valid",
		372: "labelled valid: a question mark in the header segment",
		373: "labelled valid: a question mark in the payload segment",
	}
	var acceptedValid, rejectedInvalid, valid, invalid int
	differs := make(map[int]string)
	for _, group := range file.TestGroups {
		document := fmt.Appendf(nil, `{"keys":[%s]}`, group.document())
		set, _, err := jose.ParseSet(document, jose.SetOptions{Secrets: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range group.Tests {
			accepted := verify(test.JWS, set, everything()) == nil
			if test.Result == "valid" {
				valid++
				if accepted {
					acceptedValid++
				}
			} else {
				invalid++
				if !accepted {
					rejectedInvalid++
				}
			}
			if accepted == (test.Result == "valid") {
				continue
			}
			if differs[test.TcID] = known[test.TcID]; differs[test.TcID] == "" {
				t.Errorf("case %d (%s, %s): accepted = %t, want %s", test.TcID, group.Comment, test.Comment, accepted, test.Result)
			}
		}
	}
	if diff := cmp.Diff(known, differs); diff != "" {
		t.Errorf("exceptions (-known +found):\n%s", diff)
	}
	got := [...]int{acceptedValid, valid, rejectedInvalid, invalid}
	if want := [...]int{40, 46, 353, 355}; got != want {
		t.Errorf("accepted %d of %d valid, rejected %d of %d invalid; want %v", got[0], got[1], got[2], got[3], want)
	}
}

// TestWycheproofKeys runs the 26 cases of json_web_key_test.json, once with secrets
// allowed, and once as a set from elsewhere, of which no secret is taken.
func TestWycheproofKeys(t *testing.T) {
	var file struct{ TestGroups []tokenGroup }
	readVectors(t, "json_web_key_test.json", &file)
	for _, secrets := range []bool{true, false} {
		t.Run(fmt.Sprintf("secrets=%t", secrets), func(t *testing.T) {
			verdicts := make(map[bool][]int)
			for _, group := range file.TestGroups {
				set, problems, err := jose.ParseSet(group.document(), jose.SetOptions{Secrets: secrets})
				if err != nil {
					t.Fatal(err)
				}
				for _, test := range group.Tests {
					accepted := verify(test.JWS, set, everything()) == nil
					verdicts[accepted] = append(verdicts[accepted], test.TcID)
					want := test.Result == "valid" && (secrets || len(group.Public) > 0)
					if accepted != want {
						t.Errorf("case %d (%s, %s): accepted = %t, want %t; problems: %v",
							test.TcID, group.Comment, test.Comment, accepted, want, problems)
					}
				}
			}
			want := []int{2, 5, 13, 14, 15}
			if !secrets {
				want = []int{5}
			}
			if diff := cmp.Diff(want, verdicts[true]); diff != "" {
				t.Errorf("accepted cases (-want +got):\n%s", diff)
			}
			if n := len(verdicts[true]) + len(verdicts[false]); n != 26 {
				t.Errorf("%d cases, want 26: %v", n, slices.Collect(maps.Values(verdicts)))
			}
		})
	}
}

// TestWycheproofEncryption runs the tokens of the two collections with encrypted tokens.
// None is accepted; what has the five segments of a JWE is told from a broken JWS. The
// signed ones among json_web_crypto_test.json are judged like the others.
func TestWycheproofEncryption(t *testing.T) {
	encrypted, valid := 0, 0
	for _, name := range []string{"json_web_encryption_test.json", "json_web_crypto_test.json"} {
		var file struct{ TestGroups []tokenGroup }
		readVectors(t, name, &file)
		for _, group := range file.TestGroups {
			document := group.document()
			if !bytes.Contains(document, []byte(`"keys"`)) {
				document = fmt.Appendf(nil, `{"keys":[%s]}`, document)
			}
			set, _, err := jose.ParseSet(document, jose.SetOptions{Secrets: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range group.Tests {
				if test.JWS != "" {
					accepted := verify(test.JWS, set, everything()) == nil
					if accepted != (test.Result == "valid") {
						t.Errorf("%s, case %d (%s): accepted = %t", name, test.TcID, test.Comment, accepted)
					}
					if accepted {
						valid++
					}
					continue
				}
				err := verify(test.JWE, set, everything())
				if err == nil || strings.Count(string(test.JWE), ".") == 4 != errors.Is(err, jose.ErrEncrypted) {
					t.Errorf("%s, case %d (%s): %v", name, test.TcID, test.Comment, err)
				}
				if errors.Is(err, jose.ErrEncrypted) {
					encrypted++
				}
			}
		}
	}
	if valid != 4 || encrypted != 151 {
		t.Errorf("%d signed tokens accepted, %d told to be encrypted; want 4 and 151", valid, encrypted)
	}
}
