package gate

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckText says what is wrong with a text that somebody sends to be kept and shown, of at most so many bytes; nil if nothing is.
func CheckText(text string, maxBytes int) error {
	switch {
	case len(text) > maxBytes:
		return fmt.Errorf("longer than %d bytes", maxBytes)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }):
		return errors.New("holds control characters or is not UTF-8")
	}
	return nil
}

// CheckTexts is CheckText for a list of at most so many texts, none of them empty. Its error starts with the index of the text, or with a colon for the list as a whole: it is to be put after the list's name.
func CheckTexts(texts []string, maxTexts, maxBytes int) error {
	if len(texts) > maxTexts {
		return fmt.Errorf(": more than %d", maxTexts)
	}
	for i, text := range texts {
		if text == "" {
			return fmt.Errorf("[%d]: is empty", i)
		}
		if err := CheckText(text, maxBytes); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}
