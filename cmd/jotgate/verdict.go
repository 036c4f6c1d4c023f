package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/gate"
)

// verdict is the outcome of checks, ready to be shown.
type verdict struct {
	Allowed bool        `json:"allowed"`
	API     string      `json:"api,omitempty"`
	Status  int         `json:"status,omitempty"` // what the gateway answers itself
	Reason  gate.Reason `json:"reason,omitempty"`
	Text    string      `json:"text,omitempty"`
	Cause   string      `json:"cause,omitempty"` // what operators would find in the log
	Checks  []check     `json:"checks"`

	hidden bool // values of claims were left out
}

// check is one line of a verdict.
type check struct {
	Name     string      `json:"name"`
	Passed   bool        `json:"passed"`
	Reason   gate.Reason `json:"reason,omitempty"`
	Expected string      `json:"expected,omitempty"`
	Got      string      `json:"got,omitempty"`
}

// hiddenClaim stands for the value of a claim.
const hiddenClaim = "[hidden]"

// newVerdict puts the verdict together; denial is nil if nothing was refused. Values of claims are left out unless showClaims is set.
func newVerdict(trace *gate.Trace, denial *gate.Denial, showClaims bool) verdict {
	v := verdict{Allowed: denial == nil, Checks: []check{}}
	for _, c := range trace.Checks {
		line := check{Name: c.Name, Passed: c.Reason == "", Reason: c.Reason, Expected: c.Expected, Got: c.Got}
		if c.Claim && c.Got != "" && !showClaims {
			line.Got, v.hidden = hiddenClaim, true
		}
		v.Checks = append(v.Checks, line)
	}
	if denial != nil {
		v.Status, v.Reason, v.Text = denial.Kind().Status(), denial.Reason, denial.Reason.Text()
		if denial.Err != nil {
			v.Cause = denial.Err.Error()
		}
	}
	return v
}

// writeJSON writes the verdict as one JSON document.
func (v *verdict) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// writeText writes the verdict for people; accepted says what it means if nothing was refused.
func (v *verdict) writeText(w io.Writer, accepted string) error {
	var b strings.Builder
	width := 0
	for _, c := range v.Checks {
		width = max(width, len(c.Name))
	}
	for _, c := range v.Checks {
		mark := "ok"
		if !c.Passed {
			mark = "NO"
		}
		line := fmt.Sprintf("  %s  %-*s  %s", mark, width, c.Name, c.detail())
		b.WriteString(printable(strings.TrimRight(line, " ")) + "\n")
	}
	if len(v.Checks) > 0 {
		b.WriteByte('\n')
	}
	if v.Allowed {
		b.WriteString("accepted: " + accepted + "\n")
	} else {
		fmt.Fprintf(&b, "refused: %d %s: %s\n", v.Status, v.Reason, v.Text)
		if v.Cause != "" {
			b.WriteString("cause: " + printable(v.Cause) + "\n")
		}
	}
	if v.hidden {
		b.WriteString("Values of claims are hidden; --show-claims shows them.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// detail says what was found, and what was expected. Each is kept on one line.
func (c *check) detail() string {
	got, expected := oneLine(c.Got), oneLine(c.Expected)
	switch {
	case got == "" && expected == "":
		return string(c.Reason)
	case expected == "":
		return c.blame(got)
	case got == "":
		return c.blame("expected " + expected)
	default:
		return c.blame(got + " (expected " + expected + ")")
	}
}

// blame puts the reason code of a refusal in front.
func (c *check) blame(detail string) string {
	if c.Passed {
		return detail
	}
	return string(c.Reason) + ": " + detail
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// report prints the verdict; a refusal becomes the exit code.
func (v *verdict) report(cmd *cobra.Command, asJSON bool, accepted string) error {
	write := func(w io.Writer) error { return v.writeText(w, accepted) }
	if asJSON {
		write = v.writeJSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if !v.Allowed {
		return errReported
	}
	return nil
}
