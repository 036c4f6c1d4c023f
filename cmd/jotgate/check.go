package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/source/file"
)

func newCheckCommand() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Find every mistake in a configuration file",
		Long: `Find every mistake in a configuration file, without starting anything and without the network.

Each is one line: file:line:column: path: message (hint). Warnings are marked; they do not fail the check unless --strict is given.`,
		Example: `  jotgate check jotgate.yaml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded := app.File(args[0])(file.Read)
			for _, p := range loaded.Problems {
				cmd.PrintErrln(p.Error())
			}
			if loaded.Problems.Err() != nil || strict && len(loaded.Problems) > 0 {
				return errReported
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %d APIs, %d providers, %d upstreams\n",
				args[0], len(loaded.Config.APIs), len(loaded.Config.Providers), len(loaded.Config.Upstreams))
			return err
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "fail on warnings too")
	return cmd
}
