package claims

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// The ways in which a claim can be no date, for errors.Is.
var (
	ErrNotNumber = errors.New("not a number")
	ErrDateRange = errors.New("a date out of range")
)

// nanoDigits is how many decimal digits of a second are kept.
const nanoDigits = 9

// maxDateDigits bounds a date to fewer than 10^15 seconds (about 31 million years) from 1970, so that no arithmetic with time.Time overflows.
const maxDateDigits = 15

// NumericDate returns the time that a number stands for as seconds since 1970-01-01T00:00:00Z (RFC 7519 section 2). Fractions and negative numbers are
// allowed. Whole seconds are exact; fractions are rounded down to the nanosecond. The error is ErrNotNumber for any other kind of value, Absent
// included, and ErrDateRange for a number of 10^15 seconds or more in either direction.
//
// Compare the result with time.Time.Before and After; time.Time.Sub saturates after 292 years.
func (v Value) NumericDate() (time.Time, error) {
	literal, ok := v.AsNumber()
	if !ok {
		return time.Time{}, ErrNotNumber
	}
	if seconds, ok := wholeSeconds(literal); ok {
		return time.Unix(seconds, 0).UTC(), nil
	}
	return numericDate(literal)
}

// wholeSeconds reads what nearly every date is: some digits, few enough.
func wholeSeconds(literal string) (seconds int64, ok bool) {
	if len(literal) > maxDateDigits {
		return 0, false
	}
	for i := range len(literal) {
		c := literal[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		seconds = seconds*10 + int64(c-'0')
	}
	return seconds, true
}

// numericDate converts a valid JSON number by its decimal digits; floating point would round dates that differ to the same one.
func numericDate(literal string) (time.Time, error) {
	literal, negative := strings.CutPrefix(literal, "-")
	mantissa, exponentText := literal, ""
	if e := strings.IndexAny(literal, "eE"); e >= 0 {
		mantissa, exponentText = literal[:e], literal[e+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	// The value is 0.digits times ten to the power of point.
	point := len(whole) - (len(whole+fraction) - len(digits)) + exponent(exponentText)
	if point > maxDateDigits {
		return time.Time{}, ErrDateRange
	}
	nanos, rest := digits, false
	switch want := point + nanoDigits; {
	case want <= 0:
		nanos, rest = "0", true
	case len(digits) > want:
		nanos, rest = digits[:want], strings.Trim(digits[want:], "0") != ""
	default:
		nanos += strings.Repeat("0", want-len(digits))
	}
	seconds, subsecond := split(nanos)
	if negative {
		if rest {
			subsecond++
		}
		seconds, subsecond = -seconds, -subsecond
	}
	return time.Unix(seconds, subsecond).UTC(), nil
}

// exponent reads the digits after "e". How large a very large one is does not matter: the digits before it are far fewer.
func exponent(text string) int {
	const enough = 1 << 30
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case text == "":
		return 0
	case err == nil:
		return int(max(-enough, min(n, enough)))
	case strings.HasPrefix(text, "-"):
		return -enough
	}
	return enough
}

// split turns a decimal count of nanoseconds, of at most 24 digits, into seconds and the rest.
func split(nanos string) (seconds, subsecond int64) {
	cut := max(0, len(nanos)-nanoDigits)
	for _, c := range nanos[:cut] {
		seconds = seconds*10 + int64(c-'0')
	}
	for _, c := range nanos[cut:] {
		subsecond = subsecond*10 + int64(c-'0')
	}
	return seconds, subsecond
}
