package app

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
)

// hidden is what is shown of a message when the variable V has a value, and texts were written in the document.
func hidden(tb interface{ Fatal(...any) }, value, message string, texts ...string) string {
	r := newReferences("/etc/jotgate")
	lookup := r.lookup(func(string) (string, bool) { return value, true })
	expand := r.expand(func(text string) (string, []string, error) {
		v, ok := lookup("V")
		if !ok {
			return "", nil, errors.New("not set")
		}
		return strings.ReplaceAll(text, "${env:V}", v), nil, nil
	})
	for _, text := range texts {
		if _, _, err := expand(text); err != nil {
			tb.Fatal(err)
		}
	}
	shown := r.hide(gate.Problems{{Message: message, Hint: message}})
	if shown[0].Message != shown[0].Hint {
		tb.Fatal(shown)
	}
	return shown[0].Message
}

func TestHide(t *testing.T) {
	const alone, within = "${env:V}", "http://${env:V}.example.com:80"
	for _, c := range []struct {
		name, value, text, message, want string
	}{
		{"whole", "Hunter2", alone, `unknown "Hunter2"`, `unknown "${env:V}"`},
		{"not quoted", "Hunter2", alone, `there is Hunter2, and Hunter2`, `there is ${env:V}, and ${env:V}`},
		{"in another case", "Hunter2", alone, `host hunter2`, `host ${env:V}`},
		{"the text around it", "Hunter2", within, `"http://Hunter2.example.com:80" is wrong`, `"http://${env:V}.example.com:80" is wrong`},
		{"in another text", "Hunter2", within, `"ftp://Hunter2" is wrong`, `"ftp://[reference]" is wrong`},
		{"a piece of it", "user:Hunter2@host", within, `the port "Hunter2" is wrong`, `the port "[reference]" is wrong`},
		{"in backquotes", "(Hunter2", alone, "unclosed: `Hunter2`", "unclosed: `[reference]`"},
		{"cut off", "Hunter2", within, `"http://Hunt"... is wrong`, `"[reference]"... is wrong`},
		{"the part that the document shows", "Hunter2", within, `the host "example.com" is wrong`, `the host "example.com" is wrong`},
		{"escaped", "a\"b\nc", alone, `"a\"b\nc" is wrong`, `"${env:V}" is wrong`},
		{"quoted twice", "Hunter2\x01é", alone, strconv.Quote(fmt.Sprintf("%+q", "Hunter2\x01é")), `"\"${env:V}\""`},
		{"spaces around it", " Hunter2 ", alone, `"Hunter2"`, `"${env:V}"`},
		{"a path", "../Hunter2//x", alone, `open /etc/Hunter2/x: no such file`, `open ${env:V}: no such file`},
		{"short", "up", alone, `there is no "up", "UP" or up in "upstream"`, `there is no "${env:V}", "${env:V}" or up in "upstream"`},
		{"short, in a text", "up", within, `"http://up.example.com:80" and "up"`, `"http://${env:V}.example.com:80" and "[reference]"`},
		{"nothing", "", alone, `there is no ""`, `there is no ""`},
		{"nothing, in a text", "", within, `"http://.example.com:80"`, `"http://${env:V}.example.com:80"`},
		{"invalid text", "\xffHunter2\xff", alone, "\xff \xffHunter2\xff \xff", "\xff ${env:V} \xff"},
		{"the name in what is shown", "env:V", alone, `"env:V" is env:V`, `"${env:V}" is ${env:V}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hidden(t, c.value, c.message, c.text); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if got := hidden(t, "Hunter2", `no "Hunter2"`, alone, within, alone); got != `no "${env:V}"` {
		t.Error(got)
	}
	r := newReferences("")
	same := r.expand(func(string) (string, []string, error) { return "Hunter2", nil, nil })
	for _, text := range []string{"${env:A}", "${env:B}"} {
		if _, _, err := same(text); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.hide(gate.Problems{{Message: `no "Hunter2"`}})[0].Message; got != `no "[reference]"` {
		t.Errorf("two references with one value: %s", got)
	}
}

// In whatever way a message holds a value, it is not seen.
func TestHideProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune{'x', 'Q', '7', '"', '\\', '`', 'é', '\n', '\'', ' ', '\u2028'}), 4, 20, -1).
			Filter(func(s string) bool { return len(strings.TrimSpace(s)) >= shortest }).Draw(t, "value")
		text := rapid.SampledFrom([]string{"${env:V}", "http://${env:V}/", "${env:V}${env:V}"}).Draw(t, "text")
		expanded := strings.ReplaceAll(text, "${env:V}", value)
		format := rapid.SampledFrom([]string{"it is %s", "it is %q", "%+q is it", "the word \"word\" and %q", "%s", "in `%s`", "%[1]q and %[1]s"}).Draw(t, "format")
		message := fmt.Sprintf(format, rapid.SampledFrom([]string{value, expanded, strings.TrimSpace(value), strings.ToLower(expanded)}).Draw(t, "shown"))
		if rapid.Bool().Draw(t, "quoted again") {
			message = fmt.Sprintf("in %q", message)
		}
		shown := strings.ToLower(hidden(t, value, message, text))
		for _, form := range []string{value, strings.TrimSpace(value), unmarked(strconv.Quote(value))} {
			if strings.Contains(shown, strings.ToLower(form)) {
				t.Fatalf("%q is seen in %s, made of %s", form, shown, message)
			}
		}
	})
}
