package claims

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The ways in which a claim can be unfit for a header, for errors.Is.
var (
	ErrHeaderKind = errors.New("a claim of this kind has no header form")
	ErrHeaderText = errors.New("a claim holds text that a header cannot carry unchanged")
)

// HeaderValues returns the header lines that carry a claim: a string as it is, a number as written, true or false, and one line for each element of an
// array. An absent or null claim and an empty array give none.
//
// What cannot be carried is an error, never altered: ErrHeaderKind for an object, and for an array that holds anything but strings, numbers and
// booleans; ErrHeaderText for a control character anywhere, and for a space at either end, which the recipient would drop (RFC 9110 section 5.5), making
// two different identities one. The error does not hold the claim's text.
//
// A recipient may join lines of one name with commas (RFC 9110 section 5.3), and elements that contain a comma then look like several.
func HeaderValues(v Value) ([]string, error) {
	switch v.Kind() {
	case Absent, Null:
		return nil, nil
	case Array:
		lines := make([]string, 0, v.Len())
		for e := range v.Elements() {
			line, err := headerValue(e)
			if err != nil {
				return nil, fmt.Errorf("rendering an array: %w", err)
			}
			lines = append(lines, line)
		}
		return lines, nil
	default:
		line, err := headerValue(v)
		if err != nil {
			return nil, err
		}
		return []string{line}, nil
	}
}

func headerValue(v Value) (string, error) {
	text, ok := v.Scalar()
	if !ok {
		return "", fmt.Errorf("%w: %v", ErrHeaderKind, v.Kind())
	}
	if err := CheckHeaderText(text); err != nil {
		return "", err
	}
	return text, nil
}

// CheckHeaderText returns nil for text that a header carries unchanged, and ErrHeaderText with what is wrong otherwise, as [HeaderValues] does for a string.
func CheckHeaderText(text string) error {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%w: a control character", ErrHeaderText)
	}
	if strings.Trim(text, " ") != text {
		return fmt.Errorf("%w: a space at one end", ErrHeaderText)
	}
	return nil
}
