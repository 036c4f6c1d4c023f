package main

import (
	"errors"
	"log"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// raceOptions keeps a program that is built with the race detector from sleeping a second at its end.
const raceOptions = "atexit_sleep_ms=0"

// TestMain makes this test binary the program that scripts and tests find as jotgate.
func TestMain(m *testing.M) {
	if err := os.Setenv("GORACE", raceOptions); err != nil {
		log.Fatal(err)
	}
	testscript.Main(m, map[string]func(){"jotgate": main})
}

// TestScripts runs the scripts: one for each promise of a command.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", raceOptions)
			env.Values[stageKey{}] = newStage()
			return nil
		},
		Cmds: scriptCommands(),
	})
}

// exits runs a program and checks its exit code: exits CODE PROGRAM ARGUMENTS... What it printed is there for the checks of stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENTS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("running %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s ended with %d, not %d", args[1], got, want)
	}
}
