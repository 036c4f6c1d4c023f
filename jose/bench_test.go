package jose

import (
	"encoding/json"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	for _, alg := range []Algorithm{HS256, RS256, MLDSA87} {
		b.Run(alg.String(), func(b *testing.B) {
			token := sign(b, testKeys()[alg], `{"sub":"alice","aud":"tickets","exp":1900000000,"scope":"tickets:read"}`)
			b.ReportAllocs()
			b.SetBytes(int64(len(token)))
			for b.Loop() {
				if _, err := Parse(token, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for alg := HS256; alg < algorithmEnd; alg++ {
		b.Run(alg.String(), func(b *testing.B) {
			key := testKeys()[alg]
			m, err := Parse(sign(b, key, `{"sub":"alice","aud":"tickets","exp":1900000000,"scope":"tickets:read"}`), Limits{})
			if err != nil {
				b.Fatal(err)
			}
			public, allowed := key.Public(), NewAlgorithms(alg)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Verify(m, public, allowed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseSet(b *testing.B) {
	for _, alg := range []Algorithm{RS256, ES256, EdDSA, MLDSA65} {
		b.Run(alg.String(), func(b *testing.B) {
			set, _ := NewSet(testKeys()[alg].Public())
			text, err := json.Marshal(set)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ParseSet(text, SetOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCandidates(b *testing.B) {
	set, _ := NewSet(testKeys()[RS256].Public().WithKeyID("a"), testKeys()[ES256].Public().WithKeyID("b"))
	b.ReportAllocs()
	for b.Loop() {
		if len(set.Candidates("b", ES256)) != 1 {
			b.Fatal("not found")
		}
	}
}
