package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/jose"
)

const notVerified = "NOT VERIFIED: nobody has checked the signature. Anyone can have written this."

func newTokenInspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect TOKEN | @FILE | -",
		Short: "Show what a token says, without verifying it",
		Long: `Show the header and the payload of a token, its times in words, and everything that keeps it from being a well-formed JSON Web Token.

Nothing is verified: never decide anything by what is shown. "jotgate token verify" judges a token, "jotgate explain" judges it as the gateway would.
The exit code is 1 if the token is malformed.`,
		Example: `  jotgate token inspect @token.txt
  curl -s https://id.example.com/token | jotgate token inspect -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := newInput(cmd).token(args[0])
			if err != nil {
				return err
			}
			var out bytes.Buffer
			problems := inspect(&out, token, time.Now())
			if _, err := cmd.OutOrStdout().Write(out.Bytes()); err != nil {
				return err
			}
			if problems > 0 {
				return errReported
			}
			return nil
		},
	}
}

// inspect writes what the token says and returns how many problems it has. It shows as much as can be read, also of a token that the gateway would refuse.
func inspect(out *bytes.Buffer, token string, now time.Time) (problems int) {
	fmt.Fprintf(out, "%s\n\n", notVerified)
	var found []error
	if _, err := jose.Parse(token, jose.Limits{}); err != nil {
		found = append(found, err)
	}
	segments := strings.SplitN(token, ".", 6)
	show(out, "Header", segments[0])
	switch {
	case len(segments) == 5:
		fmt.Fprint(out, "Payload\nencrypted\n\n")
	case len(segments) > 1:
		payload := show(out, "Payload", segments[1])
		set, err := claims.Parse(payload, claims.Limits{})
		if err != nil {
			found = append(found, fmt.Errorf("payload: %w", err))
		} else {
			found = append(found, showTimes(out, set, now)...)
		}
	}
	if len(found) > 0 {
		fmt.Fprintln(out, "Problems")
		for _, err := range found {
			fmt.Fprintf(out, "  %s\n", printable(err.Error()))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, notVerified)
	return len(found)
}

// show writes a decoded segment: as JSON if it is JSON, else as a quoted string.
func show(out *bytes.Buffer, title, segment string) []byte {
	fmt.Fprintln(out, title)
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(segment, "="))
	var pretty bytes.Buffer
	switch {
	case err != nil:
		fmt.Fprintln(out, "not base64url")
	case json.Indent(&pretty, data, "", "  ") == nil:
		fmt.Fprintln(out, printable(pretty.String()))
	default:
		fmt.Fprintf(out, "not JSON: %s\n", strconv.QuoteToASCII(string(data)))
	}
	fmt.Fprintln(out)
	return data
}

// showTimes writes the time claims in words, and returns those that are no times.
func showTimes(out *bytes.Buffer, set *claims.Set, now time.Time) (wrong []error) {
	fmt.Fprintln(out, "Times")
	for _, name := range []string{"auth_time", "iat", "nbf", "exp"} {
		value := set.Get(name)
		if value.Kind() == claims.Absent {
			continue
		}
		at, err := value.NumericDate()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s is not a time: %w", name, err))
			continue
		}
		fmt.Fprintf(out, "  %-9s  %s  %s\n", name, at.UTC().Format(time.RFC3339), relative(at, now))
	}
	if set.Get("exp").Kind() == claims.Absent {
		fmt.Fprintln(out, "  exp        none: the token never ends")
	}
	fmt.Fprintln(out)
	return wrong
}

// relative says how far at is from now, in two units at most.
func relative(at, now time.Time) string {
	d := at.Sub(now).Round(time.Second)
	if d < 0 {
		return inWords(-d) + " ago"
	}
	return "in " + inWords(d)
}

func inWords(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}

// printable escapes what could control a terminal or hide text: tokens are written by strangers.
func printable(s string) string {
	if !strings.ContainsFunc(s, hostile) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hostile(r) || r == utf8.RuneError {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hostile(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
