package native_test

import (
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/dialect/native"
	"github.com/jotgate/jotgate/internal/gate"
)

func TestEncode(t *testing.T) {
	var c gate.Config
	native.SetDefaults(&c)
	c.Providers = []gate.Provider{{Name: "p", Secret: gate.NewSecret("correct horse ${env:X} $${"), Algorithms: []string{"HS256"}}}
	c.APIs = []gate.API{{Name: "a", Match: "x", Upstream: "u", Answers: gate.AnswersProblem, Broken: "no such\nupstream"}}

	hidden, err := native.Encode(&c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(hidden), "horse") || !strings.Contains(string(hidden), `secret: "[secret]"`) {
		t.Errorf("the secret is to be hidden:\n%s", hidden)
	}
	if !strings.Contains(string(hidden), `# broken: "no such\nupstream"`) {
		t.Errorf("a broken API is to be marked:\n%s", hidden)
	}
	shown, err := native.Encode(&c, native.RevealSecrets())
	if err != nil {
		t.Fatal(err)
	}
	r := load(t, string(shown))
	if err := r.Problems.Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := r.Config.Providers[0].Secret.Reveal(), c.Providers[0].Secret.Reveal(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEncodeDefaults(t *testing.T) {
	var c gate.Config
	native.SetDefaults(&c)
	got, err := native.Encode(&c)
	if err != nil {
		t.Fatal(err)
	}
	if want := "{}\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEncodeRefusesBinary(t *testing.T) {
	c := gate.Config{Providers: []gate.Provider{{Secret: gate.NewSecret("\xff")}}}
	if _, err := native.Encode(&c, native.RevealSecrets()); err == nil {
		t.Error("a secret that is not text cannot be written")
	}
	if _, err := native.Encode(&c); err != nil {
		t.Error(err)
	}
}
