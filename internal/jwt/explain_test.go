package jwt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// outcome is a check without its texts.
type outcome struct {
	Name   string
	Reason gate.Reason
}

func outcomes(trace *gate.Trace) []outcome {
	var all []outcome
	for _, c := range trace.Checks {
		all = append(all, outcome{c.Name, c.Reason})
	}
	return all
}

func passed(names string) []outcome {
	var all []outcome
	for name := range strings.FieldsSeq(names) {
		all = append(all, outcome{name, ""})
	}
	return all
}

const beforeClaims = "size format header algorithm payload issuer algorithm_allowed type key signature "

func TestExplainGood(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	v := verifier(t, compile(t, provider(func(p *gate.Provider) {
		p.RequiredClaims, p.MaxAge, p.MaxLifetime = []string{"client_id"}, time.Hour, 2*time.Hour
	}), ring(t, key)))
	trace := new(gate.Trace)
	if _, err := v.Verify(t.Context(), sign(t, key, jose.SigningHeader{}, nil), now, trace); err != nil {
		t.Fatal(err)
	}
	want := passed(beforeClaims + "expiry not_before issued_at age lifetime audience subject binding required_claim")
	if diff := cmp.Diff(want, outcomes(trace)); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

// TestExplainGoesOn: after a good signature an explanation lists all that is wrong, not only the first.
func TestExplainGoesOn(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	v := verifier(t, compile(t, provider(func(p *gate.Provider) {
		p.RequiredClaims, p.Subjects = []string{"grp"}, []string{"alice"}
	}), ring(t, key)))
	token := sign(t, key, jose.SigningHeader{}, object{
		"exp": now.Add(-90 * time.Second).Unix(), "nbf": now.Add(time.Minute).Unix(), "aud": "billing", "sub": "mallory-7",
	})
	trace := new(gate.Trace)
	_, err := v.Verify(t.Context(), token, now, trace)
	want := append(passed(beforeClaims),
		outcome{"expiry", gate.ReasonExpired},
		outcome{"not_before", gate.ReasonNotYetValid},
		outcome{"issued_at", ""},
		outcome{"audience", gate.ReasonAudienceMismatch},
		outcome{"subject", gate.ReasonSubjectMismatch},
		outcome{"binding", ""},
		outcome{"required_claim", gate.ReasonClaimMissing},
	)
	if diff := cmp.Diff(want, outcomes(trace)); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	texts := map[string][2]string{}
	for _, c := range trace.Checks {
		texts[c.Name] = [2]string{c.Expected, c.Got}
		if hidden := c.Name == "subject"; c.Claim != hidden {
			t.Errorf("%s: Claim is %v", c.Name, c.Claim)
		}
	}
	for name, want := range map[string][2]string{
		"issuer":         {issuerA, issuerA},
		"key":            {"a key of a", "k1"},
		"expiry":         {"exp after 2026-11-23T12:00:00Z", "2026-11-23T11:58:30Z, 1m30s ago"},
		"not_before":     {"nbf not after 2026-11-23T12:00:10Z", "2026-11-23T12:01:00Z, 50s too early"},
		"issued_at":      {"iat not after 2026-11-23T12:00:10Z", "2026-11-23T11:59:00Z"},
		"audience":       {"tickets", `"billing"`},
		"subject":        {"one of the provider's subjects", "mallory-7"},
		"required_claim": {"grp", "absent"},
	} {
		if diff := cmp.Diff(want, texts[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// The refusal is that of the first check.
	if reasonOf(t, err) != gate.ReasonExpired {
		t.Error(err)
	}
}

// TestRefusalHidesClaims: what is logged never holds the value of a claim that says who somebody is.
func TestRefusalHidesClaims(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	v := verifier(t, compile(t, provider(func(p *gate.Provider) { p.Subjects = []string{"alice"} }), ring(t, key)))
	for _, trace := range []*gate.Trace{nil, {}} {
		_, err := v.Verify(t.Context(), sign(t, key, jose.SigningHeader{}, object{"sub": "mallory-7"}), now, trace)
		d := gate.AsDenial(err)
		if d.Reason != gate.ReasonSubjectMismatch || strings.Contains(d.Got+d.Expected+d.Error(), "mallory") {
			t.Errorf("%+v", d)
		}
	}
}

// TestExplainIsBounded: long values from a token cannot blow up logs.
func TestExplainIsBounded(t *testing.T) {
	key := signer(t, jose.ES256, "k1")
	v := verifier(t, compile(t, provider(), ring(t, key)))
	for name, token := range map[string]string{
		"kid": signRaw(t, key, `{"alg":"ES256","kid":"`+strings.Repeat("ä", 2000)+`"}`, payload(t, nil)),
		"typ": signRaw(t, key, `{"alg":"ES256","typ":"`+strings.Repeat("ä", 2000)+`"}`, payload(t, nil)),
		"alg": signRaw(t, key, `{"alg":"`+strings.Repeat("ä", 2000)+`"}`, payload(t, nil)),
		"iss": sign(t, key, jose.SigningHeader{}, object{"iss": strings.Repeat("ä", 2000)}),
		"aud": sign(t, key, jose.SigningHeader{}, object{"aud": strings.Repeat("ä", 2000)}),
	} {
		d := gate.AsDenial(func() error { _, err := v.Verify(t.Context(), token, now, nil); return err }())
		if d.Reason == gate.ReasonInternal || len(d.Got) > 300 || len(d.Error()) > 400 {
			t.Errorf("%s: %d bytes in Got, %d in all", name, len(d.Got), len(d.Error()))
		}
	}
}
