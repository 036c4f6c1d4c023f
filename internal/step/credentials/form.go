package credentials

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/jotgate/jotgate/internal/gate"
)

// maxForm is the largest form in which a token is looked for. A larger one is refused, for a second token could be in the part that was not read.
const maxForm = 64 << 10

// form is a place in an application/x-www-form-urlencoded body (RFC 6750 section 2.2). Such a body is read as a whole, to know whether it holds a token, and
// forwarded byte for byte unless the token is stripped.
type form struct{ parameter }

func (f *form) String() string { return "form parameter " + string(f.parameter) }

func (f *form) find(x *gate.Exchange) (string, error) {
	is, err := isForm(x)
	if !is || err != nil {
		return "", err
	}
	text, err := readForm(x)
	if err != nil {
		return "", err
	}
	replay(x, text)
	return f.in(text, f, gate.ReasonBodyForm)
}

// isForm reports whether the request has a body in which tokens are allowed: of a method that gives it a meaning, so not GET, and of a form's media type.
func isForm(x *gate.Exchange) (bool, error) {
	if !slices.Contains([]string{"POST", "PUT", "PATCH"}, x.Method) || x.Length == 0 {
		return false, nil
	}
	forms := 0
	for value := range x.In.Values("Content-Type") {
		media, _, _ := strings.Cut(value, ";")
		if gate.EqualName(strings.Trim(media, " \t"), "application/x-www-form-urlencoded") {
			forms++
		}
	}
	if forms == 0 {
		return false, nil
	}
	// Readers disagree about what a second Content-Type means, and an encoded body cannot be looked into.
	if x.In.Count("Content-Type") > 1 || x.In.Has("Content-Encoding") {
		return false, &gate.Denial{Reason: gate.ReasonBodyForm, Expected: "a form with one Content-Type and without Content-Encoding"}
	}
	return true, nil
}

// readForm reads the whole body.
func readForm(x *gate.Exchange) (string, error) {
	tooLarge := &gate.Denial{Reason: gate.ReasonBodyLarge, Expected: "a form of at most 64KiB, where a token may be in it"}
	if x.Length > maxForm {
		return "", tooLarge
	}
	var b strings.Builder
	if x.Length > 0 {
		b.Grow(int(x.Length))
	}
	_, err := io.Copy(&b, io.LimitReader(x.Body, maxForm+1))
	var d *gate.Denial
	switch {
	case errors.As(err, &d):
		return "", d
	case errors.Is(err, gate.ErrBodyTooLarge):
		return "", gate.Deny(gate.ReasonBodyLarge, err)
	case err != nil:
		return "", gate.Deny(gate.ReasonBodyForm, err)
	case b.Len() > maxForm:
		return "", tooLarge
	}
	return b.String(), nil
}

// replay makes text the body of the request. A length that was not known before stays so, for such a body may have trailers, which need that framing.
func replay(x *gate.Exchange, text string) {
	body := &replayed{text: text, source: x.Body}
	body.Reset(text)
	x.Body = body
	if x.Length >= 0 {
		x.Length = int64(len(text))
	}
}

// replayed is a body that was read already. Closing it closes the one that it was read from.
type replayed struct {
	strings.Reader
	text   string
	source io.ReadCloser
}

// Close closes the body that was read.
func (r *replayed) Close() error { return r.source.Close() }

func (f *form) strip(x *gate.Exchange) {
	if body, ok := x.Body.(*replayed); ok {
		body.text = f.without(body.text)
		body.Reset(body.text)
		if x.Length >= 0 {
			x.Length = int64(len(body.text))
		}
	}
}
