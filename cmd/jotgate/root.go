package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newRootCommand builds the whole tree of commands.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "jotgate",
		Short: "An API gateway that lets a request through only with a valid, sufficient JSON Web Token",
		Long: `jotgate is an API gateway that secures HTTP APIs with JSON Web Tokens (RFC 7519).

Exit codes: 0 all is well, 1 refused, invalid or failed, 2 the command line is wrong.
Results go to standard output, errors to standard error.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          needSubcommand,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		newCheckCommand(),
		newDemoCommand(),
		newExplainCommand(),
		newKeysCommand(),
		newServeCommand(),
		newTokenCommand(),
		newVersionCommand(),
	)
	tellFailureFromMisuse(root)
	return root
}

// complete lets shells complete the values of a flag.
func complete(cmd *cobra.Command, flag string, values []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag's name is misspelt in the call
	}
}

// needSubcommand is what a command does that is only a group of others.
func needSubcommand(cmd *cobra.Command, _ []string) error {
	return misused("%s needs a sub-command", cmd.CommandPath())
}

// tellFailureFromMisuse marks what the commands themselves return as failures. Whatever else comes out of a command line (an unknown flag, a missing argument)
// was found before the command ran, and is a mistake in the line.
func tellFailureFromMisuse(cmd *cobra.Command) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			err := work(cmd, args)
			var usage *usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return &runError{err}
		}
	}
	for _, c := range cmd.Commands() {
		tellFailureFromMisuse(c)
	}
}
