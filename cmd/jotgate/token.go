package main

import (
	"github.com/spf13/cobra"
)

func newTokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Sign, read and verify tokens",
		Args:  cobra.NoArgs,
		RunE:  needSubcommand,
	}
	cmd.AddCommand(newTokenSignCommand(), newTokenInspectCommand(), newTokenVerifyCommand())
	return cmd
}
