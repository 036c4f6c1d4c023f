package main

import (
	"github.com/spf13/cobra"
)

func newKeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Generate keys, publish them as a JWK Set, convert them",
		Args:  cobra.NoArgs,
		RunE:  needSubcommand,
	}
	cmd.AddCommand(newKeysGenerateCommand(), newKeysJWKSCommand(), newKeysConvertCommand())
	return cmd
}
