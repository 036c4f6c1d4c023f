package main

import (
	"os"
	"os/exec"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/demo"
)

func newDemoCommand() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the gateway between a small identity provider and a small API, with commands to try",
		Long: `Run the gateway with everything around it: an identity provider whose keys rotate on request, an API of flight tickets, and the gateway between them,
with a real configuration file to look at and to copy. It prints commands to paste into another terminal, and stops on Ctrl-C.

Everything listens on the loopback address. A default port that is in use is replaced by a free one; a port that is named must be free, and 0 is any.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for name, port := range map[string]*demo.Port{
				"port": &o.Gateway, "admin-port": &o.Admin, "idp-port": &o.Provider, "upstream-port": &o.Upstream,
			} {
				if port.Number < 0 || port.Number > 65535 {
					return misused("--%s %d: not a port", name, port.Number)
				}
				port.Fallback = !cmd.Flags().Changed(name)
			}
			o.Access, o.Log = cmd.OutOrStdout(), cmd.ErrOrStderr()
			o.Program, o.Version = program(), version()
			return demo.Run(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Gateway.Number, "port", demo.GatewayPort, "port of the gateway")
	f.IntVar(&o.Admin.Number, "admin-port", demo.AdminPort, "port of the gateway's admin listener")
	f.IntVar(&o.Provider.Number, "idp-port", demo.ProviderPort, "port of the identity provider")
	f.IntVar(&o.Upstream.Number, "upstream-port", demo.UpstreamPort, "port of the tickets API")
	f.BoolVar(&o.Keep, "keep", false, "leave the configuration file behind")
	return cmd
}

// program is the command that runs this program in a shell: its name if the shell finds it by that, else its path.
func program() string {
	const name = "jotgate"
	self, err := os.Executable()
	if err != nil {
		return name
	}
	if found, err := exec.LookPath(name); err == nil && same(found, self) {
		return name
	}
	if strings.ContainsFunc(self, special) {
		return "'" + strings.ReplaceAll(self, "'", `'\''`) + "'"
	}
	return self
}

// special reports whether r may mean something to a shell.
func special(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+", r)
}

func same(a, b string) bool {
	first, errA := os.Stat(a)
	second, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(first, second)
}
