package jwt

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
)

// TestWindow compares the window of a token with the checks that it stands for: a token that was good once is good whenever they say so.
func TestWindow(t *testing.T) {
	set, err := claims.Parse([]byte(`{}`), claims.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	origin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	// Few values, a nanosecond or ten apart, so that boundaries are met often.
	moment := func(rt *rapid.T, name string) time.Time {
		return origin.Add(time.Duration(rapid.Int64Range(-12, 12).Draw(rt, name)))
	}
	duration := func(rt *rapid.T, name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, 6).Draw(rt, name))
	}
	claim := func(rt *rapid.T, name string) date {
		if rapid.IntRange(0, 3).Draw(rt, name+" missing") == 0 {
			return date{}
		}
		return date{at: moment(rt, name), kind: claims.Number}
	}
	good := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := &Provider{
			allowMissingExpiry: true, anyAudience: true, maxAge: duration(rt, "max age"),
			skew: gate.ClockSkew{Exp: duration(rt, "exp skew"), Nbf: duration(rt, "nbf skew"), Iat: duration(rt, "iat skew")},
		}
		token := &Token{verified: &verified{provider: p}, exp: claim(rt, "exp"), nbf: claim(rt, "nbf"), iat: claim(rt, "iat")}
		token.identity.Claims = set
		if _, err := token.Judge(moment(rt, "first"), nil); err != nil {
			return // it would not be remembered
		}
		good++
		w := token.window()
		for range 10 {
			now := moment(rt, "then")
			if _, err := token.Judge(now, nil); (err == nil) != w.has(now) {
				rt.Fatalf("at %v: %v, in the window: %v", now, err, w.has(now))
			}
			if later := moment(rt, "later"); w.over(now) && !later.Before(now) && w.has(later) {
				rt.Fatalf("over at %v, not at %v", now, later)
			}
		}
	})
	if good == 0 {
		t.Error("no token was good")
	}
}
