package jwt_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// TestTimesAgainstArithmetic compares the verdict on time claims with the rules written down in whole milliseconds.
func TestTimesAgainstArithmetic(t *testing.T) {
	key := signer(t, jose.HS256, "k1")
	source := ring(t, key)
	rapid.Check(t, func(rt *rapid.T) {
		// Few values, so that boundaries are met often.
		offset := rapid.Int64Range(-5, 5)
		skew := rapid.Int64Range(0, 3)
		p := provider(func(p *gate.Provider) {
			p.Algorithms = []string{"HS256"}
			p.ClockSkew = gate.ClockSkew{
				Exp: time.Duration(skew.Draw(rt, "exp skew")) * time.Millisecond,
				Nbf: time.Duration(skew.Draw(rt, "nbf skew")) * time.Millisecond,
				Iat: time.Duration(skew.Draw(rt, "iat skew")) * time.Millisecond,
			}
			p.MaxAge = time.Duration(rapid.Int64Range(0, 5).Draw(rt, "max age")) * time.Millisecond
			p.MaxLifetime = time.Duration(rapid.Int64Range(0, 8).Draw(rt, "max lifetime")) * time.Millisecond
		})
		exp, nbf, iat := offset.Draw(rt, "exp"), offset.Draw(rt, "nbf"), offset.Draw(rt, "iat")
		at := func(ms int64) float64 { return float64(now.UnixMilli()+ms) / 1000 }
		v := verifier(t, compile(t, p, source))
		_, err := v.Verify(t.Context(), sign(t, key, jose.SigningHeader{}, object{"exp": at(exp), "nbf": at(nbf), "iat": at(iat)}), now, nil)

		want := gate.Reason("")
		switch {
		case exp+p.ClockSkew.Exp.Milliseconds() <= 0:
			want = gate.ReasonExpired
		case nbf > p.ClockSkew.Nbf.Milliseconds():
			want = gate.ReasonNotYetValid
		case iat > p.ClockSkew.Iat.Milliseconds():
			want = gate.ReasonIssuedInFuture
		case p.MaxAge > 0 && -iat > p.MaxAge.Milliseconds():
			want = gate.ReasonTooOld
		case p.MaxLifetime > 0 && exp-iat > p.MaxLifetime.Milliseconds():
			want = gate.ReasonLifetimeTooLong
		}
		if got := reasonOf(t, err); got != want {
			rt.Fatalf("reason %q, want %q", got, want)
		}
	})
}
