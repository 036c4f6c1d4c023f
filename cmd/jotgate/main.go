// Command jotgate runs the gateway and the tools around it: checking configurations, explaining verdicts, making and reading tokens and keys.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes of every sub-command.
const (
	exitOK      = 0 // done; the token, request or configuration is good
	exitRefused = 1 // refused, invalid or failed
	exitUsage   = 2 // the command line makes no sense
)

func main() {
	// What matters is logged by loggers that are handed around. Of what the standard library says on its own, some holds bytes that upstreams sent.
	log.SetOutput(io.Discard)
	os.Exit(run(os.Args[1:]))
}

// run executes one command line. The first SIGINT or SIGTERM ends the command's context; a second one ends the process.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRootCommand()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var failed *runError
	if !errors.As(err, &failed) {
		root.PrintErrf("jotgate: %v\nRun '%s --help' for usage.\n", err, command.CommandPath())
		return exitUsage
	}
	if !errors.Is(err, errReported) {
		root.PrintErrf("jotgate: %v\n", err)
	}
	return exitRefused
}

// errReported is returned by commands that have already printed why they fail.
var errReported = errors.New("already reported")

// runError is a failure of a command that was called correctly.
type runError struct{ err error }

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }

// usageError is a mistake in the command line that only the command itself can see.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// misused makes a usageError.
func misused(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
