package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/gate"
)

func newServeCommand() *cobra.Command {
	var config string
	var watch bool
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the gateway",
		Long: `Run the gateway with a configuration file, until SIGINT or SIGTERM.

A changed file (or one that it refers to) and SIGHUP make the gateway take the configuration over, without dropping a request or a connection. A bad
configuration is never taken over: the former stays in force, and the log, /status and the metric jotgate_config_last_reload_successful say so.

Access lines go to standard output, everything else that is logged to standard error, both as JSON lines.`,
		Example: `  jotgate serve --config jotgate.yaml
  jotgate serve --config /etc/jotgate/jotgate.yaml --watch=false`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config == "" {
				return misused("serve needs --config FILE")
			}
			return serve(cmd, app.File(config), watch)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration file")
	cmd.Flags().BoolVar(&watch, "watch", true, "reload when a file of the configuration changes")
	return cmd
}

func serve(cmd *cobra.Command, load app.Load, watch bool) error {
	gateway := app.New(app.Options{Load: load, Log: cmd.ErrOrStderr(), Access: cmd.OutOrStdout(), Version: version()})
	err := gateway.Run(cmd.Context(), hangups(cmd.Context()), watch)
	return reportProblems(cmd, err)
}

// hangups delivers a value for each SIGHUP until ctx is over.
func hangups(ctx context.Context) <-chan struct{} {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	out := make(chan struct{})
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			select {
			case <-ctx.Done():
				return
			case out <- struct{}{}:
			}
		}
	}()
	return out
}

// reportProblems prints the mistakes of a configuration, a line each, if they are what err is.
func reportProblems(cmd *cobra.Command, err error) error {
	var problems gate.Problems
	if !errors.As(err, &problems) {
		return err
	}
	for _, p := range problems {
		cmd.PrintErrln(p.Error())
	}
	return errReported
}
