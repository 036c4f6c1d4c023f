package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/reference/cli.md instead of comparing with it")

const referencePage = "../../docs/reference/cli.md"

// TestReferencePage keeps the reference page of the command line what the commands say.
func TestReferencePage(t *testing.T) {
	root := newRootCommand()
	root.InitDefaultCompletionCmd()
	var page strings.Builder
	page.WriteString("# The command line\n\n" +
		"This page is written by `go test ./cmd/jotgate -run TestReferencePage -update`; `jotgate COMMAND --help` shows the same.\n")
	describe(&page, root)
	got := page.String()
	if *update {
		if err := os.WriteFile(referencePage, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the page is out of date; run the test with -update (-page +commands):\n%s", diff)
	}
}

// describe writes the section of a command and those below it.
func describe(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	b.WriteString(escape(strings.TrimSpace(text)) + "\n")
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
		fmt.Fprintf(b, "\n```\n%s\n```\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```\n%s\n```\n", unindent(cmd.Example))
	}
	if cmd.Name() == "completion" {
		b.WriteString("\nShells: ")
		for i, sub := range cmd.Commands() {
			b.WriteString(strings.Repeat(", ", min(i, 1)) + "`" + sub.Name() + "`")
		}
		b.WriteString(". `jotgate completion SHELL --help` says how to install it.\n")
		return
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(b, "- [`%s`](#%s): %s\n", sub.CommandPath(), strings.ReplaceAll(sub.CommandPath(), " ", "-"), sub.Short)
			}
		}
	}
	cmd.InitDefaultHelpFlag()
	if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(b, "\n```\n%s```\n", flags.FlagUsages())
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			describe(b, sub)
		}
	}
}

// escape keeps what looks like markup from being it. Indented blocks are code already.
func escape(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "\t") {
			line = strings.NewReplacer("<", "&lt;", "*", `\*`).Replace(line)
		} else {
			line = "  " + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}
